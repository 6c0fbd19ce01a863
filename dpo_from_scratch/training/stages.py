"""Stages: files of rows that are made once, and remember what made them.

made_by.json, beside them, holds for each what decided it, in words, and a hash of its content. So a
run that goes on with another judge, or finds half a file, says so.
"""

import json
from collections.abc import Callable
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from torch import nn

from ..data import DataError
from ..models import ModelError, load_model
from ..processes.group import here
from .folders import recorded, settle, write_text
from .locks import Lock
from .loop import train
from .settings import TrainConfig

NOTES = "made_by.json"
AGAIN = "delete it and what was made after it, and --resume makes them again"


def stage(path: Path, make: Callable[[], list[dict]], made_by: dict | None = None) -> list[dict]:
    """The rows of a file; where it is missing, they are made and written first.

    `made_by` is what decides them, such as the judge. DataError if the file that is there was made
    by something else, or is not as it was written. Several processes make them together, and the
    first writes.
    """
    processes, text = here(), None
    if not processes.from_first(path.exists):
        text = "".join(json.dumps(row) + "\n" for row in make())
    return processes.from_first(lambda: _kept(path, text, made_by or {}))


def _kept(path: Path, text: str | None, made_by: dict) -> list[dict]:
    """The rows of a file, which is written first where there is a text for it."""
    if text is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        remember(path, made_by | {"sha256": _hash(text)})
        write_text(path, text)
    text = path.read_text(encoding="utf-8", errors="replace")
    written = compare(path, made_by).get("sha256")
    if written and written != _hash(text):
        raise DataError(f"{path} is damaged, or was changed: {AGAIN}")
    return rows_of(path, text)


def rows_of(path: Path, text: str | None = None) -> list[dict]:
    """The rows of a file of JSON Lines that the package wrote; DataError names a broken line."""
    text = path.read_text(encoding="utf-8", errors="replace") if text is None else text
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            rows.append(json.loads(line))
        except ValueError:
            raise DataError(f"{path}, line {number}: broken JSON: {AGAIN}") from None
    return rows


def trained(
    run: Path | None,
    model: nn.Module,
    tokenizer,
    rows: list[dict],
    config: TrainConfig,
    reference: nn.Module | None = None,
    progress: bool = True,
    made_by: dict | None = None,
) -> list[dict]:
    """The metrics of a run as `train` gives them: made now, gone on with, or read from its folder.

    `model` has its weights afterwards. DataError if a run that is done is damaged, or was made by
    something else than `made_by`, which is noted beside it.
    """
    if made_by:
        here().from_first(lambda: _note(run, made_by))
    how_far = lambda: run and ((run / "model").exists(), recorded(run) is not None)
    done, begun = here().from_first(how_far) or (False, False)
    if done:
        return finished(run, model, config.steps)
    how = {"reference": reference, "resume": begun, "progress": progress, "force": True}
    return train(model, tokenizer, rows, config, run, **how)


def _note(run: Path, made_by: dict) -> None:
    compare(run, made_by)
    if not (run / "model").exists():
        remember(run, made_by)


def finished(run: Path, model: nn.Module, steps: int) -> list[dict]:
    """The model takes the weights of a run that is done; returns its metrics, a row for each step.

    DataError if the run is damaged. What it left beside its model, if it was killed right after
    writing it, goes.
    """
    try:
        history = rows_of(run / "metrics.jsonl")
        if len(history) != steps:
            raise DataError(f"metrics.jsonl has {len(history)} rows and not {steps}")
        model.load_state_dict(load_model(str(run / "model"))[0].state_dict())
    except (DataError, ModelError, OSError, RuntimeError) as error:
        told = str(error).splitlines()[0].removesuffix(f": {AGAIN}")
        raise DataError(f"{run} holds a finished run that is damaged ({told}): {AGAIN}") from error
    here().from_first(lambda: _settle(run))
    return history


def _settle(run: Path) -> None:
    """Delete what a run whose model is there no longer needs, and its lock."""
    with suppress(OSError):  # a folder that can only be read is read all the same
        lock = Lock(run)
        try:
            settle(run)
        finally:
            lock.release()


@contextmanager
def claimed(
    folder: Path,
    found: Callable[[], str],
    differs: Callable[[], list[str]],
    clear: Callable[[], None],
    resume: bool,
    overwrite: bool,
):
    """A folder of several stages or runs, for those who write there now, and for nobody else.

    `found` names what of a run is there ("" for nothing), `differs` what is other than that run
    had it, `clear` deletes it. DataError unless the folder is free, may be overwritten, or goes on
    with the same.
    """
    held: list[Lock] = []
    take = lambda: _claim(folder, held, found, differs, clear, resume, overwrite)
    try:
        here().from_first(take)
        yield
    finally:
        for lock in held:
            lock.release()
        if held:
            with suppress(OSError):
                folder.rmdir()  # only where nothing was written


def _claim(
    folder: Path,
    held: list[Lock],
    found: Callable[[], str],
    differs: Callable[[], list[str]],
    clear: Callable[[], None],
    resume: bool,
    overwrite: bool,
) -> None:
    """Take the folder's lock into `held`, and look whether what is there may be gone on with."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held.append(Lock(folder))
    except OSError as error:
        why = f"{folder} ({error.strerror})"
        raise DataError(f"can't write a run to {why}: name another folder with --out") from error
    there = found()
    told = ", ".join(differs()) if there and not overwrite else ""
    if there and overwrite:
        clear()
    elif there and not resume:
        choice = "go on with --resume, begin anew with --overwrite, or name another with --out"
        other = f" with other settings ({told})" if told else ""
        raise DataError(f"{folder} holds {there}{other}: {choice}")
    elif told:
        mend = "give the same, or name another folder with --out"
        raise DataError(f"{folder} can't go on with other settings ({told}): {mend}")


def remember(path: Path, made_by: dict) -> None:
    """Note what decides the file, or the folder, `path`; it is written after this."""
    notes = _notes(path) | {path.name: made_by}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path.with_name(NOTES), json.dumps(notes, indent=2) + "\n")


def compare(path: Path, made_by: dict) -> dict:
    """What was noted about `path`; DataError if something that decides it is another one now.

    What an older version did not note yet has nothing to compare it with.
    """
    told = changed(path, made_by)
    if told:
        mend = f"give the same, name another folder with --out, or {AGAIN}"
        raise DataError(f"{path} was made otherwise ({', '.join(told)}): {mend}")
    return noted(path) or {}


def changed(path: Path, made_by: dict) -> list[str]:
    """What decides the file `path` and is another one now than was noted, a phrase each."""
    before = (noted(path) or {}) if path.exists() else {}
    other = [key for key in made_by if key in before and before[key] != made_by[key]]
    return [f"{key} was {before[key]!r} and is {made_by[key]!r}" for key in other]


def noted(path: Path) -> dict | None:
    """What was noted when the file, or the folder, `path` was made; None where nothing was."""
    return _notes(path).get(path.name)


def _notes(path: Path) -> dict:
    notes = path.with_name(NOTES)
    if not notes.exists():
        return {}
    try:
        found = json.loads(notes.read_text(encoding="utf-8"))
        if all(isinstance(value, dict) for value in found.values()):
            return found
    except (ValueError, AttributeError):
        pass
    raise DataError(f"{notes} is damaged: start again with --overwrite, or in another folder")


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", errors="replace")).hexdigest()
