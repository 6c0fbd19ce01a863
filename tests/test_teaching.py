"""The teacher's notebooks: the capstone runs as it is handed out, and with right answers put in."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from dpo_from_scratch import __version__
from dpo_from_scratch.lab import editions, exercises
from dpo_from_scratch.lab.exercises import capstone

CAPSTONE = Path(__file__).parent.parent / "notebooks" / "teaching" / "capstone.ipynb"
BOOK = editions.read(CAPSTONE)
CODE = [cell for cell in BOOK["cells"] if cell["cell_type"] == "code"]
source = lambda cell: "".join(cell["source"])


def printed(cell) -> str:
    return "".join("".join(o.get("text", "")) for o in cell["outputs"])


def test_each_part_has_an_attempt_and_no_solution_is_stored():
    attempts = [c for c in CODE if "attempt" in editions.tags(c)]
    assert [printed(c) for c in attempts] == [f"{n}: not tried yet.\n" for n in capstone.EXERCISES]
    for number, cell in zip(capstone.EXERCISES, attempts, strict=True):
        assert source(cell).endswith(f'exercises.check("{number}", attempt_{number[-1]})')
    assert not any({"solution", "key"} & set(editions.tags(c)) for c in CODE)


def test_it_keeps_the_form_of_the_chapters():
    for cell in CODE:
        lines = source(cell).splitlines()
        assert len(lines) <= 40
        assert max(map(len, lines)) <= 88
        assert cell["execution_count"]
    assert f"@v{__version__}" in source(CODE[0])
    prose = "\n".join(source(c) for c in BOOK["cells"] if c["cell_type"] == "markdown")
    assert (
        prose.count("difficulty") == prose.count("<summary>Hint 1") + 2 == len(capstone.EXERCISES)
    )


def test_what_no_code_can_mark_is_printed(capsys):
    capstone.for_a_teacher()
    assert capsys.readouterr().out == printed(CODE[-1])
    assert {line.split()[0] for line in capstone.TEACHER} >= {"C.1", "C.2", "C.3", "C.4"}


@pytest.mark.parametrize("solved", [False, True], ids=["as handed out", "solved"])
def test_it_runs_to_its_end(solved, tmp_path, monkeypatch):
    monkeypatch.setenv("DPO_PROGRESS", str(tmp_path / "solved.json"))
    book = editions.student(BOOK)
    book = editions.solved(book) if solved else book
    node = nbformat.reads(json.dumps(book), as_version=4)
    NotebookClient(node, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    told = "\n".join(o.get("text", "") for c in node.cells for o in c.get("outputs", []))
    wanted = ": right." if solved else ": not tried yet."
    assert [f"{n}{wanted}" in told for n in capstone.EXERCISES] == [True] * 4
    assert ("below" in told) == solved  # the run was made
    if solved:  # and is marked as the reader's own
        found = dict(line.split() for line in told.splitlines() if line.startswith(capstone.ASKED))
        figures = {name: float(value.replace("−", "-")) for name, value in found.items()}
        said = exercises.judge("C.3", figures)
        assert said.state == "right", said
