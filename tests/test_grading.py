"""`dpo grade`: ten notebooks as students hand them in, each with its row."""

import csv
import time
from pathlib import Path

import nbformat
import pytest

from dpo_from_scratch import __version__, cli
from dpo_from_scratch.lab import exercises, grading, recorder, tampering

SETUP = f'book = "git+https://github.com/some/where@v{__version__}"\n'
IMPORT = "from dpo_from_scratch.lab import exercises\n"
RIGHT = "import torch.nn.functional as F\n" + (
    "def mine(c, r, ref_c, ref_r, beta):\n"
    "    return -F.logsigmoid(beta * ((c - ref_c) - (r - ref_r)))\n"
)
SQUARED = RIGHT.replace("(beta *", "(beta * beta *")
BY_HAND = 'exercises.check("00.1", {})'
CHECK = 'mine = exercises.use("00.0", mine)'
NOT_TRIED = "00.1 00.2 00.3"
HANDED_IN = {  # name -> the code cells of what is handed in, or a file's bytes
    "ada": [SETUP + IMPORT, RIGHT, CHECK, BY_HAND.format("(0.153, 1.953)")],
    "bo": [SETUP + IMPORT, SQUARED, CHECK, BY_HAND.format("None")],
    "cy crashes": [SETUP + IMPORT, "1 / 0", RIGHT, CHECK],
    "di dies": [SETUP + IMPORT, RIGHT, CHECK, "import os\nos._exit(1)", BY_HAND.format("(1, 2)")],
    "ed is empty": b"",
    "flo has no code": [""],
    "gus patches": [SETUP + IMPORT, 'exercises.check = lambda n, a: print(n + ": right.")\n'
                    + BY_HAND.format("(1, 2)")],
    "hal shadows": [SETUP + IMPORT, "class exercises:\n    check = staticmethod(print)\n"
                    + BY_HAND.format("(1, 2)")],
    "ida has another version": [SETUP.replace(__version__, "0.0.7") + IMPORT, RIGHT, CHECK],
    "=jo is slow": [SETUP + IMPORT, CHECK.replace(", mine", ", None"), "while True: print(1)"],
}  # fmt: skip


def notebook(cells: list[str]) -> str:
    node = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    for cell in node.cells:  # what a student's outputs claim is not looked at
        cell.outputs = [nbformat.v4.new_output("stream", text="00.2: right.\n")]
    return nbformat.writes(node)


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("handed_in")
    for name, cells in HANDED_IN.items():
        content = cells if isinstance(cells, bytes) else notebook(cells).encode()
        (folder / f"{name}.ipynb").write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def rows(handed_in, tmp_path_factory) -> dict[str, dict]:
    out = tmp_path_factory.mktemp("marks") / "marks.csv"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grading, "SECONDS", 6.0)
        assert cli.main(["grade", str(handed_in), "--out", str(out)]) == 0
    with out.open(encoding="utf-8-sig", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def test_a_row_for_each_and_a_name_is_no_formula(rows):
    assert {name.removeprefix("'") for name in rows} == set(HANDED_IN)
    assert not any(cell[:1] in "=+-@" for row in rows.values() for cell in row.values() if cell)


def test_right_wrong_and_not_tried(rows):
    assert rows["ada"]["which are right"] == "00.0 00.1"
    assert (rows["ada"]["right"], rows["ada"]["of"]) == ("2", "4")
    assert (rows["ada"]["not tried"], rows["ada"]["remarks"]) == ("00.2 00.3", "")
    assert rows["bo"]["mistakes"] == "00.0: β goes in twice."
    assert (rows["bo"]["right"], rows["bo"]["not tried"]) == ("0", NOT_TRIED)


SAID = {
    "cy crashes": "crashes in code cell 2: ZeroDivisionError: division by zero",
    "di dies": "its Python process died, in code cell 4",
    "ed is empty": "is empty",
    "flo has no code": "is empty: no cell has code",
    "gus patches": "changes exercises.check: its marks say nothing",
    "hal shadows": "puts something else in the place of exercises: its marks say nothing",
    "ida has another version": f"comes from version 0.0.7; the checks are of {__version__}",
    "'=jo is slow": "stopped after 0.1 minutes, in code cell 3",
}


@pytest.mark.parametrize("student", SAID)
def test_what_is_wrong_with_a_notebook_stands_in_its_row(student, rows):
    assert SAID[student] in rows[student]["remarks"]


def test_what_was_right_before_a_crash_counts_and_what_a_patched_check_says_does_not(rows):
    for student in ("cy crashes", "di dies", "ida has another version"):
        assert rows[student]["which are right"] == "00.0", student
    assert rows["gus patches"]["right"] == rows["hal shadows"]["right"] == "0"
    assert "changes exercises.check" in rows["gus patches"]["remarks"]


def test_a_folder_for_each_student_and_nothing_written_over(tmp_path, capsys, monkeypatch):
    for student, name in (("ada", "00"), ("ada", "04"), ("bo", "00")):
        (tmp_path / student).mkdir(exist_ok=True)
        (tmp_path / student / f"{name}.ipynb").write_text("{}")
    assert {s: len(p) for s, p in grading.handed_in(tmp_path).items()} == {"ada": 2, "bo": 1}
    first = grading.Mark("ada", ["00.0", "00.1"], {"00.0": "right."}, {"00.1": "not yet: no."})
    first.add(grading.Mark("04", ["00.1", "04.0"], {"00.1": "right."}, {}, ["04.ipynb: crashes"]))
    assert first.row() == ["ada", 2, 3, "00.0 00.1", "", "04.0", "04.ipynb: crashes"]
    (tmp_path / "marks.csv").write_text("mine")
    assert cli.main(["grade", str(tmp_path), "--out", str(tmp_path / "marks.csv")]) == 2
    assert "is there already" in capsys.readouterr().err
    assert cli.main(["grade", str(tmp_path / "bo" / "none")]) == 2
    assert "is no folder" in capsys.readouterr().err


def test_the_help_says_that_it_runs_students_code(capsys):
    with pytest.raises(SystemExit):
        cli.main(["grade", "--help"])
    assert "runs the students' code on your machine" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("exercises.check = print", "changes exercises.check"),
        ("lab.exercises.judge = print", "changes exercises.judge"),
        ("setattr(exercises, 'use', print)", "with setattr"),
        ("from mine import exercises", "in the place of exercises"),
        ("import mine as exercises", "in the place of exercises"),
        ("def exercises(): pass", "in the place of exercises"),
        ("attempt_1 = exercises.find('00.1').own", "the book's own answers"),
        ("%time attempt_1 = None", ""),
        ("from dpo_from_scratch.lab import exercises", ""),
        ("this is no Python", ""),
        ("said = exercises.judge('C.2', attempt_2).state", ""),
    ],
)
def test_what_changes_a_check_is_seen_in_the_source(code, told):
    found = tampering.tampering(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)]))
    assert len(found) == bool(told)
    assert told in "".join(found)


def test_a_check_that_was_changed_is_seen_while_it_runs(monkeypatch):
    kept = {name: getattr(exercises, name) for name in recorder.WATCHED}
    codes = {name: function.__code__ for name, function in kept.items()}
    assert recorder.changed(kept, codes, {"exercises": exercises}) == []
    assert recorder.changed(kept, codes, {"exercises": print}) == ["exercises"]
    monkeypatch.setattr(exercises, "use", print)
    monkeypatch.setattr(exercises.check, "__code__", (lambda number, attempt=0, by=0: 0).__code__)
    assert recorder.changed(kept, codes, {}) == ["exercises.check", "exercises.use"]


def test_all_exercises_of_a_chapter_are_asked():
    assert grading.asked('exercises.check("04.1", attempt_1)') == exercises.numbers("04")
    assert grading.asked("print(1)") == grading.asked('exercises.check("99.1", 1)') == []


def test_a_notebook_that_prints_without_end_fills_no_memory_and_is_stopped_in_time(rows):
    assert rows["'=jo is slow"]["not tried"].startswith("00.0")


def test_time_is_of_the_whole_notebook(monkeypatch):
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in "12"])
    client = grading.runner(book, ".", 5.0)
    client.began = time.monotonic() - 3
    assert 1 <= client.timeout_func(book.cells[1]) <= 2
    assert client.at() == "in code cell 1"
