"""Inside the kernel of a handed-in notebook: what its checks said, and whether they were changed.

`grading` puts a cell before the student's own that calls `begin`. Python has no walls inside a
process, so somebody who wants to can get round this; plain ways of changing a check are noticed.
"""

import json
from pathlib import Path

from .. import __version__
from . import exercises

WATCHED = ("check", "use", "judge", "find", "_told")


def begin(file: str) -> None:
    """Write what each check says from now on, and each change of the checks, to a file.

    A line a note, JSON: {"number", "state", "text"}, {"changed": names}; the first has the version.
    What is checked by="book" is the book's own and isn't noted.
    """
    from IPython import get_ipython

    out, told, shell = Path(file), exercises._told, get_ipython()

    def note(**what) -> None:
        with out.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(what) + "\n")

    def noted(number, attempt, by):
        said = told(number, attempt, by)
        if by == "reader":
            note(number=str(number), state=said.state, text=said.text)
        return said

    exercises._told = noted
    kept = {name: getattr(exercises, name) for name in WATCHED}
    codes = {name: function.__code__ for name, function in kept.items()}

    def look(*_) -> None:
        if found := changed(kept, codes, shell.user_ns):
            note(changed=found)

    shell.events.register("post_run_cell", look)
    note(version=__version__, file=exercises.__file__)


def changed(kept: dict, codes: dict, names: dict) -> list[str]:
    """What is no longer what it was: functions of `exercises`, or that name in the notebook."""
    now = {name: getattr(exercises, name, None) for name in kept}
    found = [
        f"exercises.{name}"
        for name, function in kept.items()
        if now[name] is not function or function.__code__ is not codes[name]
    ]
    shadowed = names.get("exercises", exercises) is not exercises
    return (["exercises"] if shadowed else []) + found
