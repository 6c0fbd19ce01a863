"""Editions of the book: its notebooks without outputs, and for students without solutions.

`dpo book FOLDER [--student]` writes them. Uses the standard library alone, since the wheel is
built with it.
"""

import ast
import copy
import json
import re
from pathlib import Path

KEY = re.compile(r'^(\w+) = exercises\.use\("([\w.]+)", \1(, by="book")?\)$', re.M)
ATTEMPT = re.compile(r'^exercises\.check\("([\w.]+)", (\w+)\)$', re.M)
PAGES = (
    "index.md",
    "commands.md",
    "glossary.md",
    "notation.md",
    "equations.md",
    "api.md",
    "trl.md",
    "teaching/plan.md",
)
KIT = ("teaching/sheet.html",)
ANSWERS = ("teaching/quiz.gift",)  # for teachers
GUIDES = ("your_own_model_and_data.ipynb",)  # no number, no exercises


class FolderTaken(ValueError):
    """A folder that holds notebooks already; what a reader wrote into them is worth more."""


def plain(book: dict) -> dict:
    """A notebook without outputs and counts."""
    book = copy.deepcopy(book)
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    return book


def student(book: dict) -> dict:
    """A notebook without outputs and solutions; the body of its key function is a blank."""
    book = plain(book)
    book["cells"] = [cell for cell in book["cells"] if "solution" not in tags(cell)]
    for cell in book["cells"]:
        if "key" in tags(cell):
            cell["source"] = blank("".join(cell["source"])).splitlines(keepends=True)
    return book


def solved(book: dict) -> dict:
    """A student's notebook with the book's own answers put in."""
    book, own = copy.deepcopy(book), 'exercises.find("{}").own'
    for cell in book["cells"]:
        source = "".join(cell["source"])
        if "attempt" in tags(cell):
            put = lambda m: f"{m[2]} = {own.format(m[1])}\n{m[0]}"
            source = ATTEMPT.sub(put, source)
        if {"attempt", "key"} & set(tags(cell)):
            put = lambda m: f"{m[1]} = {own.format(m[2])}\n{m[0]}"
            cell["source"] = KEY.sub(put, source).splitlines(keepends=True)
    return book


def tags(cell: dict) -> list[str]:
    """The tags of a cell."""
    return cell["metadata"].get("tags", [])


def blank(source: str) -> str:
    """A key cell with `...` for the body of the function that it hands to `exercises.use`.

    Its docstring stays, which says what the function must return. ValueError if there is none.
    """
    found = KEY.search(source)
    named = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and found and node.name == found[1]
    ]
    if not named:
        raise ValueError(f"a key cell without its function:\n{source}")
    node, lines = named[0], source.splitlines()
    told = ast.get_docstring(node) is not None
    if told and len(node.body) < 2:
        raise ValueError(f"a key cell that is blank already:\n{source}")
    first = node.body[1] if told else node.body[0]
    start = node.body[0].end_lineno + 1 if told else first.lineno
    indent = " " * first.col_offset
    kept = [*lines[: start - 1], f"{indent}...", *lines[node.end_lineno :]]
    return KEY.sub(r'\1 = exercises.use("\2", \1)', "\n".join(kept))


def notebooks() -> Path:
    """Where the notebooks are: in a checkout, or inside the wheel."""
    from ..data import data_path

    shipped = data_path()
    inside = shipped / "notebooks"
    return inside if inside.is_dir() else shipped.parent / "notebooks"


def read(path: Path) -> dict:
    """A notebook's JSON."""
    return json.loads(path.read_text(encoding="utf-8"))


def text(book: dict) -> str:
    """A notebook as it is stored."""
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


def stored() -> list[Path]:
    """The book's notebooks: the chapters, the guides, and the teacher's folder."""
    here = notebooks()
    guides = [path for path in map(here.joinpath, GUIDES) if path.exists()]
    return sorted([*here.glob("[0-9][0-9]_*.ipynb"), *guides, *here.glob("teaching/*.ipynb")])


def write(folder: Path, for_students: bool = False) -> list[Path]:
    """The book's notebooks and pages, written to a folder; returns their paths.

    FolderTaken, and nothing written, if one of them is there already.
    """
    here, make = notebooks(), student if for_students else plain
    told = (*PAGES, *KIT, *(() if for_students else ANSWERS))
    pages = {here / page: None for page in told if (here / page).exists()}
    wanted = dict.fromkeys(stored(), make) | pages
    taken = [p for p in wanted if (folder / p.relative_to(here)).exists()]
    if taken:
        raise FolderTaken(
            f"{folder} holds {taken[0].name} already, perhaps with work of yours: name a new folder"
        )
    written = []
    for path, change in wanted.items():
        to = folder / path.relative_to(here)
        to.parent.mkdir(parents=True, exist_ok=True)
        content = text(change(read(path))) if change else path.read_text(encoding="utf-8")
        to.write_text(content, encoding="utf-8")
        written.append(to)
    return written
