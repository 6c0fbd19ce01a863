"""The folder of a run before anything is written to it: whose it is, what is its name, who uses it.

Nothing is written over or deleted that a run did not make. A run makes what stands in OWN.
"""

import json
import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path

from ..data import DataError
from ..saving import WRITTEN, check_target

OWN = ("metrics.jsonl", "reference.safetensors", "doctor.json", "curves.png", "model")
OWN += ("model.partial",)
CHECKPOINT = re.compile(r"checkpoint-(\d+)")
STATE = re.compile(r"state(-\d+)?\.safetensors|state\.json|\.tmp\w{6}")
ELSEWHERE = "name another folder with --out"


def checkpoints(folder: Path) -> list[Path]:
    """Folders of whole checkpoints, oldest first; what only looks like one is passed over."""
    found = [p for p in folder.glob("checkpoint-*") if CHECKPOINT.fullmatch(p.name) and p.is_dir()]
    return sorted(found, key=step_of)


def step_of(checkpoint: Path) -> int:
    """The number of steps after which a checkpoint was written."""
    return int(CHECKPOINT.fullmatch(checkpoint.name)[1])


def recorded(folder: Path) -> dict | None:
    """What config.json says, if a run wrote it, else None."""
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    ours = isinstance(found, dict) and {"loss", "steps", "batch_size"} <= found.keys()
    return found if ours else None


def whole_lines(path: Path) -> list[dict]:
    """The rows of a file of JSON Lines up to the first line that is not whole."""
    rows = []
    with suppress(OSError, ValueError), open(path, encoding="utf-8") as file:
        for line in file:
            rows.append(json.loads(line))
    return rows


def write_text(path: Path, text: str) -> None:
    """Write a file beside its place and rename it: all of it, or nothing."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8", newline="\n")  # the same bytes on every system
    partial.replace(path)


def is_finished(folder: Path, model: str = "model") -> bool:
    """Whether a run wrote its model, which it does last, at one stroke."""
    config = recorded(folder)
    if config is None or not (folder / model / "config.json").is_file():
        return False
    # older versions let a new run begin beside the model of one before it
    return "begun_with" in config or len(whole_lines(folder / "metrics.jsonl")) >= config["steps"]


def check_ours(folder: Path) -> None:
    """DataError if something stands in the folder's place, or in that of a file, that isn't ours.

    ModelError for what stands in the place of its model. Called before anything is written.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file, and a run needs a folder: {ELSEWHERE}")
    names = ["config.json", *OWN, *(p.name for p in checkpoints(folder))]
    there = [n for n in names if os.path.lexists(folder / n)]
    refuse_links(folder, [*there, "run.lock"])
    if there and recorded(folder) is None:
        told = "has no config.json that a run wrote, so nobody can tell whose"
        raise DataError(
            f"{folder} {told} {', '.join(there)} is: move that away, or {ELSEWHERE} (without "
            "--resume)"
        )
    check_target(folder / "model")


def refuse_links(folder: Path, names: Iterable[str]) -> None:
    """DataError if one of these, which a run writes, is a link: it would be written through."""
    link = next((n for n in names if (folder / n).is_symlink()), None)
    if link:
        raise DataError(f"{folder / link} is a link, which a run would write through: {ELSEWHERE}")


def remove(folder: Path, known: re.Pattern = STATE) -> None:
    """Delete a folder that a run made: out of the way first, at one stroke; others' files stay."""
    if not folder.is_dir() or any(not known.fullmatch(p.name) for p in folder.iterdir()):
        return
    partial = folder.with_name(folder.name.removesuffix(".partial") + ".partial")
    with suppress(OSError):
        if partial != folder:
            shutil.rmtree(partial, ignore_errors=True)
            folder.rename(partial)
        shutil.rmtree(partial, ignore_errors=True)


def tidy(folder: Path) -> None:
    """Delete what a killed run of ours has left half written."""
    for path in folder.glob(".try-*"):
        remove(path, WRITTEN)
    for path in folder.glob("*.partial"):
        name = path.name.removesuffix(".partial")
        if name == "model":
            remove(path, WRITTEN)
        elif CHECKPOINT.fullmatch(name):
            remove(path)
        elif name in (*OWN, "config.json", "reference"):
            path.unlink(missing_ok=True)


def settle(folder: Path) -> None:
    """Delete what a run whose model is there no longer needs: half-written files, checkpoints."""
    tidy(folder)
    for checkpoint in checkpoints(folder):
        remove(checkpoint)


def clear(folder: Path) -> None:
    """Delete the run in a folder, and nothing else; what tells whose it is goes last."""
    settle(folder)
    remove(folder / "model", WRITTEN)
    for name in ("reference.safetensors", "doctor.json", "curves.png", "metrics.jsonl"):
        (folder / name).unlink(missing_ok=True)
    (folder / "config.json").unlink(missing_ok=True)


# ---------------------------------------------------------------- names
def next_free(stem: str | os.PathLike) -> Path:
    """A new folder: `stem`, or the first of stem-2, stem-3, ... that is not there; it is made."""
    stem = Path(stem)
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        for number in count(1):
            folder = stem if number == 1 else stem.with_name(f"{stem.name}-{number}")
            with suppress(FileExistsError):
                folder.mkdir()  # at one stroke: two processes never take the same
                return folder
    except OSError as error:
        why = f"{stem} ({error.strerror}): {ELSEWHERE}"
        raise DataError(f"can't write a run to {why}") from error


def family(stem: str | os.PathLike) -> list[Path]:
    """The runs stem, stem-2, ... that are there, the newest last."""
    stem = Path(stem)
    name = re.compile(re.escape(stem.name) + r"(-\d+)?")
    found = [p for p in stem.parent.glob("*") if name.fullmatch(p.name) and recorded(p)]
    return sorted(found, key=lambda p: (p / "config.json").stat().st_mtime_ns)
