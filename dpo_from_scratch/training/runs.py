"""runs/NAME: configuration, metrics, checkpoints; a run killed at any moment goes on exactly.

A checkpoint holds what decides the future: step, trainable weights, the optimizer's two moments
(safetensors, no pickle), and the random state. The order of the rows needs no state: it follows
from seed and step. A checkpoint is written beside its place and renamed, so there is never half of
one under its name.
"""

import json
import os
import shutil
import signal
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..data import DataError
from ..models import save_model, try_saving

KEEP = 2  # checkpoints: the last, and the one before it in case the last is damaged


class RunFolder:
    """The folder of one run.

    `resume` asks for a run to go on; without it the folder must not hold one that was cut short.
    """

    def __init__(self, folder: str | Path, config: dict, resume: bool = False):
        self.folder, self.config, self.resume = Path(folder), config, resume
        self.metrics = self.folder / "metrics.jsonl"
        before = self.checkpoints()
        if resume:
            self._same_configuration()
        elif before:  # a run that ended well has dropped its checkpoints
            choice = "go on with --resume, or name another folder with --out"
            raise DataError(f"{self.folder} holds an unfinished run: {choice}")
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            if not resume:
                write_text(self.folder / "config.json", json.dumps(config, indent=2) + "\n")
                write_text(self.metrics, "")

    def checkpoints(self) -> list[Path]:
        """Folders of whole checkpoints, oldest first."""
        return sorted(p for p in self.folder.glob("checkpoint-*") if p.suffix != ".partial")

    def log(self, row: dict) -> None:
        """Append one step's metrics."""
        with self._writing(), open(self.metrics, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def save(self, step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Write a checkpoint after `step` steps, then drop those older than the last two."""
        folder = self.folder / f"checkpoint-{step:08d}"
        partial = folder.with_suffix(".partial")
        with self._writing():
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            tensors = _state(model, optimizer) | {"random_state": torch.get_rng_state()}
            save_file(tensors, partial / "state.safetensors", metadata={"step": str(step)})
            with open(partial / "state.safetensors", "rb") as file:
                os.fsync(file.fileno())
            shutil.rmtree(folder, ignore_errors=True)
            partial.rename(folder)
        for old in self.checkpoints()[:-KEEP]:
            shutil.rmtree(old, ignore_errors=True)

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, list[dict]]:
        """Load the last checkpoint; returns its step, 0 if there is none, and the metrics up to it.

        The metrics file is cut to these.
        """
        found, step = self.checkpoints(), 0
        if found:
            step = int(found[-1].name.removeprefix("checkpoint-"))
            try:
                tensors = load_file(found[-1] / "state.safetensors")
                _restore(tensors, model, optimizer)
            except (SafetensorError, OSError, KeyError, RuntimeError) as error:
                rest = f"go on from {found[-2].name}" if len(found) > 1 else "start again"
                raise DataError(
                    f"{found[-1]} is damaged ({error}): delete this folder to {rest}"
                ) from None
            torch.set_rng_state(tensors["random_state"])
        lines = (
            self.metrics.read_text(encoding="utf-8").splitlines(keepends=True)[:step]
            if self.metrics.exists()
            else []
        )
        with self._writing():
            write_text(self.metrics, "".join(lines))
        return step, [json.loads(line) for line in lines]

    def keep_reference(self, scores: Tensor) -> None:
        """Store the reference's scores, so that a run that goes on need not compute them again."""
        partial = self.folder / "reference.partial"
        with self._writing():
            save_file({"scores": scores.contiguous()}, partial)
            partial.replace(self.folder / "reference.safetensors")

    def kept_reference(self) -> Tensor | None:
        """The stored scores of a run that goes on, or None where none can be read."""
        if not self.resume:
            return None
        try:
            return load_file(self.folder / "reference.safetensors")["scores"]
        except (SafetensorError, OSError, KeyError):
            return None

    def try_saving(self, model: nn.Module, tokenizer) -> None:
        """ModelError before the first step for what would fail after the last."""
        try_saving(model, tokenizer, self.folder / "model")

    def finish(self, model: nn.Module, tokenizer) -> None:
        """Write the trained model; the checkpoints are no longer needed and go."""
        with self._writing():
            save_model(model, tokenizer, self.folder / "model")
        for old in self.checkpoints():
            shutil.rmtree(old, ignore_errors=True)

    def how_to_go_on(self) -> str:
        """The end of the sentence that tells of an interruption."""
        return f"; {self.folder} goes on with --resume"

    def _same_configuration(self) -> None:
        path = self.folder / "config.json"
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            why = "no run to go on with (no readable config.json): start it without --resume"
            raise DataError(f"{self.folder} holds {why}") from None
        # a version that did not write a setting yet has nothing to compare it with
        changed = sorted(k for k in before if before[k] != self.config.get(k))
        if changed:
            told = ", ".join(
                f"{k} was {before.get(k)!r} and is {self.config.get(k)!r}" for k in changed
            )
            mend = "give the same, or name another folder"
            raise DataError(f"{self.folder} can't go on with other settings ({told}): {mend}")

    @contextmanager
    def _writing(self):
        try:
            yield
        except (OSError, SafetensorError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            safe = self.checkpoints()
            kept = "the last checkpoint is untouched" if safe else "name another folder"
            raise DataError(f"can't write a run to {self.folder} ({reason}): {kept}") from error


class NoRun:
    """In place of a RunFolder where nothing is written."""

    def log(self, *whatever) -> None:
        """Nothing is written."""

    save = keep_reference = try_saving = finish = log

    def kept_reference(self) -> None:
        """No scores are stored."""

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, list[dict]]:
        """The beginning."""
        return 0, []

    def how_to_go_on(self) -> str:
        """It can't."""
        return ""


def open_run(folder: str | Path | None, config: dict, resume: bool) -> RunFolder | NoRun:
    """The folder of a run, or what stands in its place where none is wanted."""
    return RunFolder(folder, config, resume) if folder else NoRun()


def fingerprint(*parts: object) -> str:
    """A short hash of data or weights, to tell whether a run goes on with what it began with."""
    digest = sha256()
    for part in parts:
        tensor = isinstance(part, Tensor)
        whole = part.detach().cpu().float().numpy().tobytes() if tensor else repr(part).encode()
        digest.update(whole)
    return digest.hexdigest()[:16]


@contextmanager
def interruptible():
    """Ctrl-C sets a flag instead of breaking into a step; twice breaks in.

    Yields a function that tells whether it came.
    """
    came = []

    def note(number, frame):
        if came:
            raise KeyboardInterrupt
        came.append(number)

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # not in the main thread
        yield lambda: False
        return
    try:
        yield lambda: bool(came)
    finally:
        signal.signal(signal.SIGINT, before)


def write_text(path: Path, text: str) -> None:
    """Write a file beside its place and rename it: all of it, or nothing."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _trainable(model: nn.Module) -> dict[str, Tensor]:
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def _state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Trainable weights and their AdamW moments under their names."""
    out = {}
    for name, p in _trainable(model).items():
        moments = optimizer.state.get(p, {})
        out |= {f"weight.{name}": p.detach()} | {
            f"{k}.{name}": moments[k] for k in ("step", "exp_avg", "exp_avg_sq") if k in moments
        }
    return {k: v.detach().cpu().clone().contiguous() for k, v in out.items()}


@torch.no_grad()
def _restore(
    tensors: dict[str, Tensor], model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    for name, p in _trainable(model).items():
        p.copy_(tensors[f"weight.{name}"])
        for k in ("step", "exp_avg", "exp_avg_sq"):
            if f"{k}.{name}" in tensors:
                value = tensors[f"{k}.{name}"]
                optimizer.state[p][k] = value if k == "step" else value.to(p.device)
