"""Editions: what stands in the book and not in the student's, and nothing written over."""

import json
from pathlib import Path

import pytest

from dpo_from_scratch.cli import main
from dpo_from_scratch.lab import editions

ROOT = Path(__file__).parent.parent
BOOK = editions.stored()
source = lambda cell: "".join(cell["source"])


def test_the_book_is_found():
    assert editions.notebooks() == ROOT / "notebooks"
    assert len([p for p in BOOK if p.parent.name == "notebooks"]) >= 21


@pytest.mark.parametrize("path", BOOK, ids=lambda p: p.stem)
def test_the_students_is_the_book_less_solutions_cell_by_cell(path):
    book, ours = editions.read(path), editions.student(editions.read(path))
    kept = [c for c in book["cells"] if "solution" not in editions.tags(c)]
    assert len(kept) == len(ours["cells"])
    assert {k: v for k, v in book.items() if k != "cells"} == {
        k: v for k, v in ours.items() if k != "cells"
    }
    for before, after in zip(kept, ours["cells"], strict=True):
        assert before["cell_type"] == after["cell_type"]
        assert before["metadata"] == after["metadata"]
        assert not after.get("outputs")
        if "key" not in editions.tags(before):
            assert source(before) == source(after)
            continue
        assert "..." in source(after)
        assert 'by="book"' not in source(after)
        own = [line for line in source(after).splitlines() if line.strip() != "..."]
        told = source(before).replace(', by="book"', "").splitlines()
        assert [line for line in told if line in own] == own  # nothing new but the blank
    assert not any('by="book"' in source(c) for c in ours["cells"])


@pytest.mark.parametrize("path", BOOK, ids=lambda p: p.stem)
def test_every_attempt_and_key_can_be_solved_by_the_books_own(path):
    ours = editions.student(editions.read(path))
    for cell, done in zip(ours["cells"], editions.solved(ours)["cells"], strict=True):
        open_ones = {"attempt", "key"} & set(editions.tags(cell))
        assert bool(open_ones) == (source(cell) != source(done)), source(cell)


KEY = '''def dpo(chosen, beta):
    """The loss.

    (B,) in and out.
    """
    margin = beta * chosen
    return -margin


dpo = exercises.use("04.0", dpo, by="book")
assert dpo(0, 1) == 0'''


def test_a_key_loses_its_body_alone():
    told = editions.blank(KEY)
    assert "margin" not in told
    assert '    """\n    ...\n\n\ndpo = exercises.use("04.0", dpo)\nassert' in told
    with pytest.raises(ValueError, match="without its function"):
        editions.blank("x = 1")
    with pytest.raises(ValueError, match="blank already"):
        editions.blank('def f():\n    """Doc."""\n\n\nf = exercises.use("04.0", f)')


def test_dpo_book_writes_a_folder_and_nothing_over_ones_work(tmp_path, capsys):
    folder = tmp_path / "mine"
    assert main(["book", str(folder), "--student"]) == 0
    assert "begin with 00" in capsys.readouterr().out
    first = folder / "00_start_here.ipynb"
    cells = json.loads(first.read_text(encoding="utf-8"))["cells"]
    assert not any("solution" in c["metadata"].get("tags", []) for c in cells)
    assert (folder / "notation.md").exists()
    assert (folder / "teaching" / "sheet.html").exists()
    assert not (folder / "teaching" / "quiz.gift").exists()  # it has the answers
    first.write_text("my work")
    assert main(["book", str(folder)]) == 2
    assert "holds 00_start_here.ipynb already" in capsys.readouterr().err
    assert first.read_text() == "my work"
    assert main(["book", str(first)]) == 2  # a file, not a folder
