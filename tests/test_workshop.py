"""The workshop's notebook and the plan: it runs without a network, and the minutes add up."""

import json
import re
from datetime import datetime
from pathlib import Path

import nbformat
import pytest
import test_notebooks as rules
from nbclient import NotebookClient

from dpo_from_scratch import __version__, cli
from dpo_from_scratch.cli import make_parser
from dpo_from_scratch.data import write_rows
from dpo_from_scratch.lab import class_report, editions, exercises, pages

TEACHING = Path(__file__).parent.parent / "notebooks" / "teaching"
WORKSHOP, PLAN = TEACHING / "workshop.ipynb", (TEACHING / "plan.md").read_text(encoding="utf-8")
BOOK = editions.read(WORKSHOP)
CODE = [cell for cell in BOOK["cells"] if cell["cell_type"] == "code"]
NUMBERS, WORDS_A_MINUTE = exercises.numbers("W"), 200
MINUTES = r"^\*\*[^*]+\*\* \((\d+) minutes"
NO_NETWORK = """
import socket
def refuse(self, address, _connect=socket.socket.connect):
    if self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "::1"):
        return _connect(self, address)
    raise OSError("no network in this room")
socket.socket.connect = refuse
"""
source = lambda cell: "".join(cell["source"])
RULES = [
    "stored_executed_in_order_without_errors_or_warnings",
    "small_and_free_of_machine_paths",
    "the_setup_cell_is_the_same_everywhere_and_installs_from_the_repository",
    "the_setup_cell_names_what_the_chapter_needs",
    "cells_are_short_and_parse",
    "nothing_is_imported_but_what_is_installed",
    "nbval_tags_are_spelled_as_nbval_reads_them_and_no_cell_ends_in_a_semicolon",
    "pictures_are_png_with_alt_text_and_a_sentence_below",
    "widgets_are_stored_as_their_static_twins",
    "ends_with_what_was_measured_and_sources",
    "links_between_chapters_lead_to_chapters",
    "every_decimal_of_the_prose_stands_in_an_output_above_it_or_is_a_setting",
    "no_notebook_copies_package_code",
]


@pytest.mark.parametrize("rule", RULES)
def test_it_keeps_the_rules_of_the_chapters(rule):
    getattr(rules, f"test_{rule}")((WORKSHOP, BOOK["cells"]))


def test_its_first_cell_is_a_chapters():
    first = source(BOOK["cells"][0])
    assert f"github/{rules.REPOSITORY.removeprefix('https://github.com/')}/blob/main/" in first
    assert "notebooks/teaching/workshop.ipynb)" in first
    for part in ("**You will build**", "**You will see**", "**You need**", "minute"):
        assert part in first


def test_no_text_of_the_blind_page_was_shown_before():
    """Without a nickname the blind page draws with the seed 0."""
    shown = next(source(cell) for cell in CODE if "sample(reference" in source(cell))
    assert int(re.search(r"seed=(\d+)", shown)[1]) != pages.seed_of("") == 0


def test_every_exercise_is_a_blank_with_minutes_and_a_hint():
    tried = [cell for cell in CODE if "attempt" in editions.tags(cell)]
    for number, cell in zip(NUMBERS, tried, strict=True):
        assert source(cell).startswith(f"# Attempt {number[-1]}: ")
        assert re.search(rf'exercises\.(check|use)\("{number}", \w+\)\Z', source(cell))
        told = "".join("".join(o["text"]) for o in cell["outputs"])
        assert told.startswith(f"{number}: not tried yet.\n")
    assert not any({"solution", "key"} & set(editions.tags(c)) for c in CODE)
    prose = "\n".join(source(c) for c in BOOK["cells"] if c["cell_type"] == "markdown")
    asked = re.findall(r"^\*\*(\d)\. .*?\*\* \(\d+ minutes, difficulty [123] of 3\)", prose, re.M)
    assert [f"W.{n}" for n in asked] == NUMBERS
    assert prose.count("<summary>Hint 1") == len(NUMBERS)


# ---------------------------------------------------------------- it runs
def run(book: dict, folder: Path):
    node = nbformat.reads(json.dumps(book), as_version=4)
    node.cells.insert(0, nbformat.v4.new_code_cell(NO_NETWORK))
    worked = 'import time\nprint(f"worked for {time.process_time():.1f} s")'
    node.cells.append(nbformat.v4.new_code_cell(worked))
    NotebookClient(node, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return node


def printed(node) -> str:
    return "".join(o.get("text", "") for c in node.cells for o in c.get("outputs", []))


@pytest.fixture(scope="module")
def handed_out(tmp_path_factory):
    """The students' edition, run in an empty folder without a network."""
    folder = tmp_path_factory.mktemp("room")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DPO_PROGRESS", str(folder / "solved.json"))
        return run(editions.student(BOOK), folder)


def test_as_handed_out_it_runs_to_its_end(handed_out):
    told = printed(handed_out)
    assert [f"{n}: not tried yet." in told for n in NUMBERS] == [True] * len(NUMBERS)
    assert "labels of a simulated class of 30" in told
    assert told.count("nothing is judged yet") == 2
    won, of = re.search(r"simulated readers: (\d+) of (\d+)", told).groups()
    assert int(of) > 340
    assert int(won) / int(of) > 0.55  # a change that is seen


def test_with_right_answers_and_the_class_s_file_it_trains_on_that(tmp_path, monkeypatch):
    monkeypatch.setenv("DPO_PROGRESS", str(tmp_path / "solved.json"))
    write_rows(tmp_path / "class.jsonl", class_report.simulated(12, seed=1))
    told = printed(run(editions.solved(editions.student(BOOK)), tmp_path))
    assert [f"{n}: right." in told for n in NUMBERS] == [True] * len(NUMBERS)
    assert "labels of 12 people, from class.jsonl" in told
    assert "goes on with its own" not in told


# ---------------------------------------------------------------- the minutes
def sections(cells) -> dict[str, list]:
    """Title -> its cells, what is above the first title with the first; Markdown is cut there."""
    out, above = {}, []
    for cell in cells:
        parts = [source(cell)]
        if cell["cell_type"] == "markdown":
            parts = re.split(r"^(?=## )", parts[0], flags=re.M)
        for text in filter(str.strip, parts):
            title = re.match(r"## (.+)", text) if cell["cell_type"] == "markdown" else None
            if title:
                out[title[1]], above = above, []
            last = out[next(reversed(out))] if out else above
            last.append(dict(cell) | {"source": text})
    return out


def minutes(cells) -> float:
    """Reading, exercises and clicks, and what the cells took."""
    prose = [source(c) for c in cells if c["cell_type"] == "markdown"]
    words = sum(len(re.sub(r"<[^>]+>", " ", text).split()) for text in prose)
    tried = sum(int(n) for text in prose for n in re.findall(MINUTES, text, re.M))
    return words / WORDS_A_MINUTE + tried + sum(map(seconds, cells)) / 60


def seconds(cell) -> float:
    times = cell["metadata"].get("execution", {})
    if cell["cell_type"] != "code" or "shell.execute_reply" not in times:
        return 0.0
    at = lambda key: datetime.fromisoformat(times[key].replace("Z", "+00:00"))
    return (at("shell.execute_reply") - at("iopub.execute_input")).total_seconds()


def table(heading: str) -> list[list[str]]:
    """The rows of the table below a heading of the plan, without its head."""
    part = PLAN[PLAN.index(f"## {heading}\n") :]
    lines = re.search(r"(?:^\|.*\n)+", part, re.M)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_timetable_adds_up_from_the_notebook(handed_out):
    rows = table("Ninety minutes")
    needed = {title: minutes(cells) for title, cells in sections(handed_out.cells).items()}
    needed.pop("Sources")
    assert [title for _, title, _ in rows] == list(needed)
    assert sum(int(planned) for planned, *_ in rows) == 90
    assert sum(needed.values()) <= 90
    for planned, title, _ in rows:
        assert needed[title] <= int(planned), title
    worked = float(re.search(r"worked for (\S+) s", printed(handed_out))[1])
    assert worked < 60  # of one core, however busy the machine is


def of_chapter(number: str) -> tuple[int, list[int]]:
    """Minutes of reading, and of each exercise."""
    (path,) = TEACHING.parent.glob(f"{number}_*.ipynb")
    cells = [c for c in editions.read(path)["cells"] if c["cell_type"] == "markdown"]
    prose = "\n".join(map(source, cells))
    words = len(re.sub(r"<[^>]+>|\$\$.*?\$\$|\]\([^)]*\)", " ", prose, flags=re.S).split())
    each = re.findall(r"^\*\*\d\. .*?\*\* \((\d+) minutes", prose, re.M)
    return round(words / WORDS_A_MINUTE), list(map(int, each))


def exercise_minutes(text: str) -> int:
    named = re.findall(r"\b(\d\d)\.(\d)\b", text)
    return sum(of_chapter(chapter)[1][int(n) - 1] for chapter, n in named)


@pytest.mark.parametrize(("plan", "most"), [("Half a day", 180), ("Two days", 480)])
def test_the_longer_plans_have_the_chapters_own_minutes(plan, most):
    total = 0
    for part, which, reading, tried in table(plan):
        total += int(reading or 0) + int(tried)
        if "workshop" in part:
            assert int(tried) == 90
            continue
        chapter = re.search(r"\[(\d\d)\]", part)[1]
        assert int(reading) == pytest.approx(of_chapter(chapter)[0], abs=1)
        assert exercise_minutes(which) == int(tried), part
        assert {n[:2] for n in which.split(", ")} == {chapter}
    assert total <= most


def test_the_semester_has_ten_weeks_of_exercises_that_there_are():
    rows = table("A semester")
    assert [int(week) for week, *_ in rows] == list(range(1, 11))
    given = []
    for week, chapters, here, home in rows:
        assert exercise_minutes(here) <= 60, week  # the other hour is for talk
        assert exercise_minutes(home) <= 60, week
        numbers = re.findall(r"\b\d\d\.\d\b", f"{here} {home}")
        given += numbers
        assert {n[:2] for n in numbers} <= {*re.findall(r"\[(\d\d)\]", chapters), "00"}
        assert all(exercises.find(n) for n in numbers)
    assert len(given) == len(set(given))


def test_the_plan_warns_links_and_shows_commands_that_are_there():
    assert "**This runs your students' code, on your machine, with your rights.**" in PLAN
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", PLAN):
        assert (TEACHING / target).exists(), target
    shown = re.findall(r"^ *dpo (.+)$", PLAN, re.M)
    assert {line.split()[0] for line in shown} == {"labels", "grade"}
    for line in shown:
        make_parser().parse_args(line.split())
    wheels = re.findall(r"dpo_from_scratch-\S+?\.whl", PLAN)
    assert set(wheels) == {f"dpo_from_scratch-{__version__}-py3-none-any.whl"}  # no shell expands *
    (installed,) = re.findall(r"git\+https://\S+@v[\w.]+", PLAN)
    assert f'"{installed}"' in source(CODE[0])  # the package that the notebook's first cell takes
    assert "MEASURED" not in PLAN  # a number that somebody meant to put in


def test_the_students_folder_has_the_workshop_and_the_plan(tmp_path, capsys):
    assert cli.main(["book", str(tmp_path / "book"), "--student"]) == 0
    for name in ("workshop.ipynb", "plan.md", "capstone.ipynb"):
        assert (tmp_path / "book" / "teaching" / name).exists()
