"""Handed-in notebooks, run again with the checks of this package: what is right, what isn't tried.

    for mark in grade(Path("handed_in")): print(mark.student, mark.right)

This runs other people's code, with the rights of whoever calls it. Each notebook has a process and
an empty folder of its own, and ten minutes; nothing else holds it back. What a notebook stores as
its outputs is not looked at.
"""

import json
import os
import re
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL

from .. import __version__
from . import exercises
from .tampering import code_of, tampering

SECONDS, LOADING = 600.0, 120.0  # for a notebook; for loading PyTorch before it
HEAD = ("student", "right", "of", "which are right", "mistakes", "not tried", "remarks")
CALL = re.compile(r"""exercises\.(?:check|use)\(\s*["']([\w.]+)["']""")
INSTALLS = re.compile(r'git\+https?://[^@"\s]+@v([^"\s]+)"')
QUIET = {"PIP_DRY_RUN": "1", "PIP_NO_INDEX": "1"}  # a student's %pip changes nothing here


@dataclass
class Mark:
    """One student: number -> what the check said last, by state; and what is to be known."""

    student: str
    asked: list[str] = field(default_factory=list)
    right: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    @property
    def untried(self) -> list[str]:
        """What was asked, and is neither right nor wrong."""
        return [n for n in self.asked if n not in self.right and n not in self.wrong]

    def add(self, other: "Mark") -> None:
        """Another notebook of the same student; what is right in one of them is right."""
        self.asked += [n for n in other.asked if n not in self.asked]
        self.right |= other.right
        self.wrong = {n: w for n, w in (self.wrong | other.wrong).items() if n not in self.right}
        self.remarks += other.remarks

    def row(self) -> list[str | int]:
        """As `HEAD` names it; a spreadsheet takes nothing of it for a formula."""
        told = [f"{n}: {why.removeprefix('not yet: ')}" for n, why in sorted(self.wrong.items())]
        cells = [" ".join(sorted(self.right)), " | ".join(told), " ".join(self.untried)]
        cells = [self.student, *cells, "; ".join(self.remarks)]
        cells = [f"'{text}" if text[:1] in ("=", "+", "-", "@") else text for text in cells]
        return [cells[0], len(self.right), len(self.asked), *cells[1:]]


def handed_in(folder: Path) -> dict[str, list[Path]]:
    """Student -> notebooks: a file's name, or where there are folders, the folder's.

    ValueError if there are none.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder")
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.ipynb")):
        inside = path.relative_to(folder)
        if ".ipynb_checkpoints" not in inside.parts:
            student = inside.parts[0] if len(inside.parts) > 1 else inside.stem
            found.setdefault(student, []).append(path)
    if not found:
        raise ValueError(f"{folder} holds no notebooks (.ipynb)")
    return found


def grade(folder: Path, seconds: float = 0) -> Iterator[Mark]:
    """A mark for each student, as soon as it is there; `seconds` (SECONDS) for each notebook."""
    for student, paths in handed_in(folder).items():
        mark = Mark(student)
        for path in paths:
            found = graded(path, seconds or SECONDS)
            if len(paths) > 1:
                found.remarks = [f"{path.name}: {remark}" for remark in found.remarks]
            mark.add(found)
        yield mark


def graded(path: Path, seconds: float = SECONDS) -> Mark:
    """One notebook, executed in an empty folder."""
    mark = Mark(path.stem)
    book, trouble = opened(path)
    if book is None:
        mark.remarks.append(trouble)
        return mark
    source = "\n".join(cell.source for cell in code_of(book))
    mark.asked = asked(source)
    if not mark.asked:
        mark.remarks.append("holds no check of the book's")
    written = INSTALLS.search(source)
    if not written:
        mark.remarks.append("the book's first cell is missing, which says its version")
    elif written[1] != __version__:
        mark.remarks.append(f"comes from version {written[1]}; the checks are of {__version__}")
    mark.remarks += tampering(book)
    notes, trouble = executed(book, seconds)
    for note in notes:
        if "number" in note:
            tell(mark, note)
    changes = {name for note in notes for name in note.get("changed", ())}
    if changes:
        mark.remarks.append(f"changes {', '.join(sorted(changes))}: its marks say nothing")
    if trouble:
        mark.remarks.append(trouble)
    return mark


def opened(path: Path):
    """(notebook, "") or (None, why not)."""
    import nbformat

    if not path.stat().st_size:
        return None, "is empty"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cells of older notebooks have no id
            book = nbformat.read(path, as_version=4)
    except Exception as error:  # a page of a website, a zip, half a download
        return None, f"is no notebook ({type(error).__name__})"
    empty = not any(cell.source.strip() for cell in code_of(book))
    return (None, "is empty: no cell has code") if empty else (book, "")


def asked(source: str) -> list[str]:
    """All exercises of the chapters that a notebook checks anything of."""
    called = {number.partition(".")[0] for number in CALL.findall(source)}
    known = [chapter for chapter in exercises.chapters() if chapter in called]
    return [number for chapter in known for number in exercises.numbers(chapter)]


def tell(mark: Mark, note: dict) -> None:
    """What a check said last counts; a number that is none of the book's doesn't."""
    number, state = note["number"], note["state"]
    if number in mark.asked:
        mark.right.pop(number, None)
        mark.wrong.pop(number, None)
        if state == "right":
            mark.right[number] = note["text"]
        elif state != "untried":
            mark.wrong[number] = note["text"]


def executed(book, seconds: float) -> tuple[list[dict], str]:
    """(what the checks said, what went wrong or ""); an error in a cell ends that cell alone."""
    import nbformat
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    with tempfile.TemporaryDirectory() as own, tempfile.TemporaryDirectory() as folder:
        file = Path(own, "notes.jsonl")
        call = f"__import__({__package__ + '.recorder'!r}, fromlist=['begin']).begin({str(file)!r})"
        book.cells.insert(0, nbformat.v4.new_code_cell(call))
        client, trouble = runner(book, folder, seconds), ""
        try:
            env = os.environ | QUIET | {"DPO_PROGRESS": str(Path(own, "solved.json"))}
            client.execute(env=env, stdout=DEVNULL, stderr=DEVNULL)
        except CellTimeoutError:
            trouble = f"stopped after {seconds / 60:.3g} minutes, {client.at()}"
        except DeadKernelError:
            trouble = f"its Python process died, {client.at()}"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    notes = [json.loads(line) for line in lines]
    if not notes or notes[0].get("file") != exercises.__file__:
        raise ValueError(f"notebooks don't run in this Python with this package{trouble}")
    return notes, trouble or first_error(book)


def first_error(book) -> str:
    """The first cell that ended in an error, which the notebook doesn't expect."""
    for count, cell in enumerate(code_of(book)):
        errors = [o for o in cell.get("outputs", []) if o.output_type == "error"]
        if errors and "raises-exception" not in cell.metadata.get("tags", []):
            words = " ".join(f"{errors[0].ename}: {errors[0].evalue}".split())
            return f"crashes in code cell {count}: {words[:160]}"
    return ""


def runner(book, folder: str, seconds: float):
    """A client that keeps nothing of the outputs but errors, and stops when the time is over."""
    from nbclient import NotebookClient

    class Runner(NotebookClient):
        """Printing without end fills no memory here."""

        began, now = 0.0, 0

        def output(self, outs, msg, display_id, cell_index):
            if msg["msg_type"] == "error":
                return super().output(outs, msg, display_id, cell_index)

        def at(self) -> str:
            """Where it stands, in words; the cell of `begin` counts as none."""
            return f"in code cell {self.now}"

    def left(cell) -> float:
        client.now = [id(c) for c in code_of(book)].index(id(cell))
        if not client.now:
            return LOADING
        client.began = client.began or time.monotonic()
        return max(1.0, client.began + seconds - time.monotonic())

    client = Runner(
        book,
        kernel_name="python3",
        allow_errors=True,
        timeout_func=left,
        shutdown_kernel="immediate",
        resources={"metadata": {"path": folder}},
    )
    client.log.disabled = True
    return client
