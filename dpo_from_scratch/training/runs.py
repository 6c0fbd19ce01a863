"""runs/NAME: configuration, metrics, checkpoints; a run killed at any moment goes on exactly.

The order of the rows needs no state: it follows from seed and step. Everything is written beside
its place and renamed, so there is never half of it under its name; what is to be deleted is renamed
first. The model is written last, and a folder that holds one is finished.
"""

import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from tqdm.auto import tqdm

from ..data import DataError
from ..models import load_model
from ..saving import WRITTEN, save_model, try_saving
from .checkpoints import not_finite, put_back, read_state, state_of, sync, write_state
from .fingerprints import differences, fingerprint
from .folders import (
    ELSEWHERE,
    check_ours,
    checkpoints,
    clear,
    is_finished,
    recorded,
    remove,
    settle,
    step_of,
    tidy,
    whole_lines,
    write_text,
)
from .locks import Lock

KEEP = 2  # checkpoints: the last, and the one before it in case the last is damaged


class RunFolder:
    """The folder of one run, and its lock from here to `close`, or to the end of a `with`.

    `settings` and `begun_with` (name -> hash, both for config.json) are what decides the result.
    With `resume` the folder must hold a run of the same; `finished` then tells whether anything is
    left to do. Without it the folder must hold no run, or `overwrite` deletes the one that is
    there. DataError otherwise, also where it holds what no run made, or another process is at work.
    A run of several parts names in `model` the last thing that it writes.
    """

    def __init__(
        self,
        folder: str | Path,
        settings: dict,
        begun_with: dict[str, str] | None = None,
        resume: bool = False,
        overwrite: bool = False,
        model: str = "model",
    ):
        self.folder, self.model, self.resume, self.lock = Path(folder), model, resume, None
        self.settings = json.loads(json.dumps(settings))
        self.begun_with = begun_with or {}
        self.metrics = self.folder / "metrics.jsonl"
        check_ours(self.folder)
        if resume and recorded(self.folder) is None:
            raise DataError(f"{self.folder} holds no run to go on with: start it without --resume")
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            self.lock = Lock(self.folder)
        try:
            self._open(overwrite)
        except BaseException:
            self.close()
            raise

    def _open(self, overwrite: bool) -> None:
        before, self.finished = recorded(self.folder), is_finished(self.folder, self.model)
        if self.resume:
            self._same_as(before)
            (settle if self.finished else tidy)(self.folder)
        else:
            if before and not overwrite:
                raise DataError(self._taken(before))
            self.finished = False
            with self._writing():
                clear(self.folder)
                config = self.settings | {"begun_with": self.begun_with}
                write_text(self.folder / "config.json", json.dumps(config, indent=2) + "\n")
                write_text(self.metrics, "")

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def close(self) -> None:
        """Let other processes in."""
        if self.lock:
            self.lock.release()

    def _same_as(self, before: dict) -> None:
        changed = differences(before, self.settings, self.begun_with)
        if changed:
            raise DataError(
                f"{self.folder} can't go on with other settings or data ({', '.join(changed)}): "
                f"give the same, or {ELSEWHERE}"
            )

    def _taken(self, before: dict) -> str:
        changed = differences(before, self.settings, self.begun_with)
        state = "a finished run" if self.finished else "an unfinished run"
        what, ways = "of the same settings and data", ["--resume goes on with it"]
        if changed:
            what = f"with other settings or data ({', '.join(changed)})"
            ways = ["--resume needs the same"]
        elif self.finished:
            ways = ["--resume leaves it as it is"]
        ways += ["--overwrite deletes it and begins anew", "--out names another folder"]
        return f"{self.folder} holds {state} {what}: {', '.join(ways)}"

    # ------------------------------------------------------------ while it runs
    def log(self, row: dict) -> None:
        """Append one step's metrics."""
        with self._writing(), open(self.metrics, "ab") as file:
            file.write((json.dumps(row) + "\n").encode())

    def save(
        self,
        step: int,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        notes: dict | None = None,
        last: bool = False,
    ) -> None:
        """Write a checkpoint after `step` steps, then drop those older than the last two.

        `notes` are numbers that decide the future too. After the last step no moments are needed.
        DataError, and nothing is written, if a weight or moment is not finite.
        """
        tensors = state_of(model, optimizer, moments=not last)
        if broken := not_finite(tensors):
            raise DataError(f"{broken} is not finite after step {step}{self.where()}")
        folder = self.folder / f"checkpoint-{step:08d}"
        partial = folder.with_suffix(".partial")
        with self._writing():
            sync(self.metrics)
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            write_state(partial, tensors, {"step": step} | (notes or {}))
            remove(folder)
            partial.rename(folder)
            sync(self.folder)
        self._drop(KEEP)

    def _drop(self, keep: int) -> None:
        found = checkpoints(self.folder)
        for old in found[: len(found) - keep]:
            remove(old)

    def restore(
        self, model: nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[int, list[dict], dict]:
        """Load the last checkpoint; returns its step (0: there is none), the metrics, and notes.

        The metrics file is cut to the steps that the checkpoint has made.
        """
        found, step, notes = checkpoints(self.folder), 0, {}
        if found:
            step = step_of(found[-1])
            try:
                tensors, notes = read_state(found[-1])
                put_back(tensors, model, optimizer, moments=step < self.settings["steps"])
            except (SafetensorError, OSError, ValueError, LookupError, TypeError) as error:
                rest = f"go on from {found[-2].name}" if len(found) > 1 else "start again"
                raise DataError(
                    f"{found[-1]} is damaged ({error}): delete this folder to {rest}"
                ) from None
        rows = whole_lines(self.metrics)[:step]
        if len(rows) < step:
            lost = f"{self.metrics} holds {len(rows)} of {step} steps; the others are lost"
            tqdm.write(f"{lost}, which changes the weights in nothing")
        with self._writing():
            write_text(self.metrics, "".join(json.dumps(row) + "\n" for row in rows))
        return step, rows, notes

    def keep_tricks(self, tricks: dict[str, bool]) -> None:
        """Note in config.json how the run computes."""
        config = recorded(self.folder) | {"tricks": tricks}
        with self._writing():
            write_text(self.folder / "config.json", json.dumps(config, indent=2) + "\n")

    def kept_tricks(self) -> dict[str, bool] | None:
        """How a run that goes on computed, or None where it didn't say."""
        return (recorded(self.folder) or {}).get("tricks") if self.resume else None

    def keep_reference(self, scores: Tensor) -> None:
        """Store the reference's scores, so that a run that goes on need not compute them again."""
        partial, scores = self.folder / "reference.partial", scores.contiguous()
        with self._writing():
            # save_file would write beside it under a name that a killed run leaves behind
            partial.write_bytes(save({"scores": scores}, {"check": fingerprint([scores])}))
            partial.replace(self.folder / "reference.safetensors")

    def kept_reference(self) -> Tensor | None:
        """The stored scores of a run that goes on, or None where none can be read."""
        if not self.resume:
            return None
        try:
            path = self.folder / "reference.safetensors"
            with safe_open(path, "pt") as file:
                scores, check = file.get_tensor("scores"), (file.metadata() or {}).get("check")
        except (SafetensorError, OSError):
            return None
        return scores if check in (None, fingerprint([scores])) else None

    # ------------------------------------------------------------ at its end
    def try_saving(self, model: nn.Module, tokenizer) -> None:
        """ModelError, before the first step, if what is small of the model can't be written."""
        try_saving(model, tokenizer, self.folder / "model")

    def finish(self, model: nn.Module, tokenizer) -> None:
        """Write the trained model; the checkpoints are no longer needed and go."""
        try:
            save_model(model, tokenizer, self.folder / "model")
            for path in (self.folder / "model").iterdir():
                sync(path)
        except Exception as error:  # whatever it is: the weights are safe, and that must be said
            remove(self.folder / "model.partial", WRITTEN)
            why = f"can't write {self.folder / 'model'} ({_reason(error)})"
            again = "writes the model" if checkpoints(self.folder) else "trains it again"
            raise DataError(f"{why}{self.where()}: mend that, and --resume {again}") from error
        self._drop(0)

    def take(self, model: nn.Module) -> list[dict]:
        """The model takes the weights of a run that is finished; returns its metrics."""
        dtype = next(model.parameters()).dtype
        model.load_state_dict(load_model(str(self.folder / "model"), dtype)[0].state_dict())
        return whole_lines(self.metrics)

    def where(self) -> str:
        """The end of a sentence that tells of a failure: where the last good weights are."""
        found = checkpoints(self.folder)
        none = f"{self.folder} holds no checkpoint (--save-every makes them)"
        return f"; the last good weights are in {found[-1]}" if found else f"; {none}"

    def how_to_go_on(self) -> str:
        """The end of the sentence that tells of an interruption."""
        return f"; {self.folder} goes on with --resume"

    @contextmanager
    def _writing(self):
        try:
            yield
        except (OSError, SafetensorError) as error:
            safe = checkpoints(self.folder)
            kept = f"the last checkpoint is untouched ({safe[-1].name})" if safe else ELSEWHERE
            raise DataError(
                f"can't write a run to {self.folder} ({_reason(error)}): {kept}"
            ) from error


def _reason(error: Exception) -> str:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return getattr(error, "strerror", None) or first
