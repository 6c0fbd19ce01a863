"""What was solved on this machine: a small file in the reader's home folder, and its drawing."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ...training.folders import write_text

SOLVED, OPEN = "■", "□"
_here: dict[str, str] = {}  # of this session, where the file can't be written


def place() -> Path:
    """The file; the variable DPO_PROGRESS names another one."""
    return Path(os.environ.get("DPO_PROGRESS") or Path.home() / ".dpo_from_scratch" / "solved.json")


def read() -> dict[str, str]:
    """Exercise -> day on which it was first solved. A file that is none counts as empty."""
    try:
        found = json.loads(place().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = {}
    found = found if isinstance(found, dict) else {}
    return _here | {str(k): str(v) for k, v in found.items()}


def keep(number: str) -> None:
    """Note that an exercise was solved; where nothing can be written, for this session alone."""
    now = read()
    if number in now:
        return
    _here[number] = datetime.now(UTC).date().isoformat()
    try:
        place().parent.mkdir(parents=True, exist_ok=True)
        write_text(place(), json.dumps(dict(sorted((now | _here).items())), indent=1) + "\n")
    except OSError as error:
        print(f"(not kept for the next time: {place()} can't be written, {error.strerror})")


def draw(exercises: Mapping[str, Sequence[str]]) -> None:
    """Print a row a chapter, a square an exercise, and how many are filled."""
    done, total = read(), sum(map(len, exercises.values()))
    for chapter, numbers in exercises.items():
        row = "".join(SOLVED if number in done else OPEN for number in numbers)
        print(f"{chapter:>2}  {row}")
    right = sum(number in done for numbers in exercises.values() for number in numbers)
    print(f"{right} of {total} solved; the first square of a row is the chapter's key cell.")
    print(f"kept in {place()}")
