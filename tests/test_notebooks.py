"""The rules that every stored chapter keeps."""

import ast
import base64
import itertools
import json
import re
import shlex
import tomllib
from importlib import import_module
from pathlib import Path

import nbformat
import pytest
from tidy_notebooks import records_read, tidy

from dpo_from_scratch import __version__
from dpo_from_scratch.cli import make_parser
from dpo_from_scratch.cli.options import train_config
from dpo_from_scratch.lab import editions, exercises
from dpo_from_scratch.lab.needs import NEEDS

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# a guide has no number and no exercises; all other rules hold for it
CHAPTERS = [path for path in NOTEBOOKS if path.name not in editions.GUIDES]
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
TAGS = {
    "nbval-ignore-output",
    "nbval-check-output",
    "nbval-skip",
    "nbval-raises-exception",
    "raises-exception",
    "attempt",
    "key",
    "solution",
}
SETUP = re.compile(r"^setup_notebook\((?:needs=(\[.+\]))?\)\Z", re.M)
# what a chapter needs besides the package, by what its cells say
NEEDED = {
    "ratings": r"^from dpo_from_scratch\.lab import .*\bratings\b",
    "vader": r"feedback\.(rubric|sentiment|vader)\b",
    "smollm2": r'load_model\("smollm2"\)|smollm2_folder',
}


@pytest.fixture(params=NOTEBOOKS, ids=lambda p: p.stem)
def book(request):
    return request.param, cells_of(request.param)


@pytest.fixture(params=CHAPTERS, ids=lambda p: p.stem)
def chapter(request):
    return request.param, cells_of(request.param)


def cells_of(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def code(cells):
    return [c for c in cells if c["cell_type"] == "code"]


def source(cell):
    return "".join(cell["source"])


def test_there_are_chapters_and_their_names_say_what_to_do():
    assert CHAPTERS
    assert all(re.fullmatch(r"\d\d_[a-z0-9_]+", p.stem) for p in CHAPTERS)
    assert {p.name for p in NOTEBOOKS} >= set(editions.GUIDES)


def test_stored_executed_in_order_without_errors_or_warnings(book):
    _, cells = book
    assert [c["execution_count"] for c in code(cells)] == list(range(1, len(code(cells)) + 1))
    for cell in code(cells):
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr", source(cell)


def test_stored_outputs_are_no_older_than_the_records_that_the_cells_read(book):
    path, cells = book
    stored = json.loads(path.read_text(encoding="utf-8"))["metadata"].get("records", {})
    assert records_read(cells) == stored, "execute it, run tests/tidy_notebooks.py, and read it"
    loads = "".join(map(source, code(cells)))
    assert bool(stored) == bool(re.search(r"Record\.load|benchmark\(", loads))


@pytest.mark.parametrize("executed", [True, False])
def test_only_an_execution_brings_the_noted_records_up_to_date(tmp_path, executed):
    cell = nbformat.v4.new_code_cell('Record.load("gap")')
    cell.metadata = {"execution": {"iopub.status.busy": "now"}} if executed else {}
    book = nbformat.v4.new_notebook(cells=[cell], metadata={"records": {"gap": "of old"}})
    nbformat.write(book, tmp_path / "a.ipynb")
    tidy(tmp_path / "a.ipynb")
    noted = nbformat.read(tmp_path / "a.ipynb", as_version=4).metadata["records"]
    assert noted == (records_read([cell]) if executed else {"gap": "of old"})
    assert records_read([cell])["gap"] != "of old"


def test_small_and_free_of_machine_paths(book):
    path, _ = book
    text = path.read_text(encoding="utf-8")
    assert len(text) < 1_000_000
    assert not re.search(r"/(root|home|work|tmp|Users)/[A-Za-z.]", text)


def test_title_badge_and_what_you_will_build_see_and_need(book):
    path, cells = book
    first = source(cells[0])
    assert first.startswith("# ")
    place = f"{REPOSITORY.removeprefix('https://github.com/')}/blob/main/notebooks/{path.name}"
    assert f"colab.research.google.com/github/{place})" in first
    for part in ("**You will build**", "**You will see**", "**You need**", "minute"):
        assert part in first, part


def test_the_setup_cell_is_the_same_everywhere_and_installs_from_the_repository(book):
    _, cells = book
    reference = json.loads(NOTEBOOKS[0].read_text(encoding="utf-8"))["cells"]
    setup = source(code(cells)[0])
    assert SETUP.sub("", setup) == SETUP.sub("", source(code(reference)[0]))
    assert SETUP.search(setup)
    # the tag, never main: a saved notebook goes on with the package that it was written for
    assert f'book = "git+{REPOSITORY}@v{__version__}"\n    %pip install -q --no-deps' in setup


def test_the_setup_cell_names_what_the_chapter_needs(book):
    assert NEEDED.keys() == NEEDS.keys()
    first, *others = code(book[1])
    named = ast.literal_eval(SETUP.search(source(first))[1] or "[]")
    cells = "\n".join(map(source, others))
    assert named == [name for name, says in NEEDED.items() if re.search(says, cells, re.M)]


def test_cells_are_short_and_parse(book):
    _, cells = book
    for cell in code(cells):
        lines = source(cell).splitlines()
        assert len(lines) <= 40, lines[0]
        assert max(map(len, lines)) <= 88, max(lines, key=len)  # the book's width
        ast.parse("\n".join(re.sub(r"^(\s*)%.*", r"\1pass", line) for line in lines))


def test_nothing_is_imported_but_what_is_installed(book):
    for cell in code(book[1]):
        assert "sys.path" not in source(cell)
        assert not re.search(r"^\s*(from|import) data\b", source(cell), re.M), source(cell)


def test_nbval_tags_are_spelled_as_nbval_reads_them_and_no_cell_ends_in_a_semicolon(book):
    _, cells = book
    for cell in code(cells):
        assert set(cell["metadata"].get("tags", [])) <= TAGS, cell["metadata"]
        assert not source(cell).rstrip().endswith(";")
        assert "NBVAL_" not in source(cell), "use tags"


def test_pictures_are_png_with_alt_text_and_a_sentence_below(book):
    _, cells = book
    for cell, below in zip(cells, [*cells[1:], None], strict=True):
        if cell["cell_type"] != "code":
            continue
        kinds = {kind for o in cell["outputs"] for kind in o.get("data", {})}
        assert "image/svg+xml" not in kinds
        if "image/png" in kinds:
            assert len(cell["metadata"].get("alt", "")) > 40, source(cell)
            assert below is not None
            assert below["cell_type"] == "markdown", (
                "what to see, in words, stands below the picture"
            )


def test_a_sliders_frames_are_stored_once_and_are_light(book):
    for cell in code(book[1]):
        if "show_slider(" not in source(cell):
            continue
        (shown,) = (o for o in cell["outputs"] if "slider" in o["metadata"].get("image/png", {}))
        assert len(base64.b64decode(shown["data"]["image/png"])) <= 250_000


def test_widgets_are_stored_as_their_static_twins(book):
    for cell in code(book[1]):
        for output in cell["outputs"]:
            assert "application/vnd.jupyter.widget-view+json" not in output.get("data", {}), (
                "run tests/tidy_notebooks.py"
            )


@pytest.mark.parametrize("name", ["03_solve_the_rlhf_objective", "04_derive_the_dpo_loss"])
def test_every_displayed_equation_has_an_assertion_beside_it(name):
    cells = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    checked = 0
    for cell, below in itertools.pairwise(cells):
        if cell["cell_type"] == "markdown" and "$$" in source(cell):
            following = [c for c in cells[cells.index(below) :] if c["cell_type"] == "code"]
            assert "assert" in source(following[0]), source(cell)
            checked += 1
    assert checked >= 5


NOT_YET = {p.stem[:2] for p in CHAPTERS} - set(exercises.chapters())  # without attempt cells


def tagged(cells, tag):
    return [c for c in code(cells) if tag in c["metadata"].get("tags", [])]


def test_exercises_have_minutes_difficulty_hints_and_executed_folded_solutions(chapter):
    path, cells = chapter
    prose = "\n".join(source(c) for c in cells if c["cell_type"] == "markdown")
    section = prose[prose.index("## Exercises") :]
    level = "" if path.stem[:2] in NOT_YET else r", difficulty [123] of 3"
    found = re.findall(rf"^\*\*(\d)\. .*?\*\* \((\d+) minutes?{level}\)", section, re.M)
    solutions = tagged(cells, "solution")
    assert 2 <= len(found) <= 5
    parts = re.split(r"^\*\*\d\. ", section, flags=re.M)[1:]
    assert all("<details><summary>Hint" in part for part in parts)
    # Jupyter reads Markdown inside HTML between blank lines only
    assert len(re.findall(r"</summary>\n\n(?:(?!</?details>).)*\n\n</details>", prose, re.S)) == (
        prose.count("<details>")
    )
    assert len(parts) == len(found) == len(solutions)
    for cell in solutions:
        assert cell["metadata"]["jupyter"]["source_hidden"] is True
        assert cell["metadata"]["jupyter"]["outputs_hidden"] is True
    # the folded bar shows the first line: it gives nothing away
    firsts = [source(cell).splitlines()[0] for cell in solutions]
    assert firsts == [f"# Solution {n}" for n in range(1, len(firsts) + 1)]


def test_every_exercise_has_an_attempt_and_its_solution_is_checked(chapter):
    path, cells = chapter
    prefix = path.stem[:2]
    if prefix in NOT_YET:
        return
    kinds = [c for c in code(cells) if {"attempt", "solution"} & set(c["metadata"].get("tags", []))]
    assert [c["metadata"]["tags"][0] for c in kinds] == ["attempt", "solution"] * (len(kinds) // 2)
    pairs = zip(kinds[::2], kinds[1::2], strict=True)
    for i, (attempt, solution) in enumerate(pairs, start=1):
        number = f"{prefix}.{i}"
        assert source(attempt).startswith(f"# Attempt {i}")
        assert source(attempt).endswith(f'exercises.check("{number}", attempt_{i})')
        assert solution["metadata"]["cellView"] == "form"
        assert re.search(rf'exercises\.check\("{number}", .+, by="book"\)$', source(solution), re.S)
        printed = "".join("".join(o.get("text", "")) for o in attempt["outputs"])
        assert printed == f"{number}: not tried yet.\n"
        printed = "".join("".join(o.get("text", "")) for o in solution["outputs"])
        assert f"{number}: right." in printed
    (key,) = tagged(cells, "key")
    assert editions.KEY.search(source(key))[2] == f"{prefix}.0"
    numbers = [f"{prefix}.{i}" for i in range(len(kinds) // 2 + 1)]
    module = import_module(f"dpo_from_scratch.lab.exercises.ch{prefix}")
    assert list(module.EXERCISES) == numbers


def test_ends_with_what_was_measured_and_sources(book):
    _, cells = book
    prose = "\n".join(source(c) for c in cells if c["cell_type"] == "markdown")
    assert "## What you measured" in prose
    assert re.search(r"arxiv\.org/abs/\d{4}\.\d{5}", prose[prose.index("## Sources") :])


def test_links_between_chapters_lead_to_chapters(book):
    path, cells = book
    for cell in cells:
        for target in re.findall(r"\]\((?!https?:|#)([^)]+)\)", source(cell)):
            assert (path.parent / target.split("#")[0]).exists(), target


NUMBER = re.compile(r"(?<![\w.])\d+\.\d+(?![\w.]*\d)")


def test_every_decimal_of_the_prose_stands_in_an_output_above_it_or_is_a_setting(book):
    """A figure comes from a cell: some printed number above rounds to it.

    Settings stand in the code; sources are cited.
    """
    _, cells = book
    settings = {
        float(n)
        for c in code(cells)
        for n in re.findall(r"(?<![\w.])\d*\.?\d+(?:e-?\d+)?(?![\w.])", source(c))
    }
    printed: list[float] = []
    for cell in cells:
        if cell["cell_type"] == "code":
            texts = [
                "".join(o.get("text", "")) + "".join(o.get("data", {}).get("text/markdown", ""))
                for o in cell["outputs"]
            ]
            printed += [
                float(n.replace(",", "")) for t in texts for n in re.findall(r"\d[\d,]*\.?\d*", t)
            ]
            continue
        text = source(cell)
        if text.startswith("## Sources"):
            continue
        text = re.sub(
            r"\[[^\]]*\]\(https?:[^)]*\)[^.\n]*|`[^`]*`", " ", text
        )  # what a source says, and code
        for number in NUMBER.findall(text):
            places = len(number.split(".")[1])
            near = [
                value
                for value in printed
                if abs(abs(value) - float(number)) <= 0.5001 * 10.0**-places
            ]
            assert near or float(number) in settings, f"{number} in: {text[:300]}"


def test_no_notebook_copies_package_code(book):
    """A function of a notebook that has a package function's body would be a second copy."""
    _, cells = book
    ours = set()
    for module in (ROOT / "dpo_from_scratch").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and len(node.body) > 2:
                ours.add(ast.dump(ast.Module(node.body[1:], [])))
    for cell in code(cells):
        for node in ast.walk(ast.parse(re.sub(r"^(\s*)%.*", r"\1pass", source(cell), flags=re.M))):
            if isinstance(node, ast.FunctionDef):
                assert ast.dump(ast.Module(node.body, [])) not in ours, node.name


def commands(path):
    """The lines `dpo ...` that a notebook shows: in its prose, and what its cells hand to `dpo`."""
    found = []
    for cell in cells_of(path):
        if cell["cell_type"] == "markdown":
            found += re.findall(r"`dpo ([a-z][^`]*)`", source(cell))
            found += re.findall(r"^dpo ([a-z].*)$", source(cell), re.M)
            continue
        tree = ast.parse(re.sub(r"^(\s*)%.*", r"\1pass", source(cell), flags=re.M))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "dpo":
                words = getattr(node.args[0], "value", None)  # in some chapters dpo is the loss
                found += [words] if isinstance(words, str) else []
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_every_command_that_a_notebook_shows_is_one(path):
    """Parsed by the real parser; one word alone is a command's name."""
    parser = make_parser()
    for line in commands(path):
        if len(line.split()) == 1:
            assert line in parser.commands.choices
            continue
        options = parser.parse_args(shlex.split(line, comments=True))
        if options.command == "train" and options.precision != "fp16":  # which asks for a GPU
            train_config(options)


def test_the_guide_shows_its_commands_and_says_what_was_not_run():
    path = ROOT / "notebooks" / "your_own_model_and_data.ipynb"
    shown = [line.split()[0] for line in commands(path)]
    assert {"check-data", "train", "doctor", "score", "sample"} <= set(shown)
    tables = [source(c) for c in cells_of(path) if "--precision fp16" in source(c)]
    assert tables
    assert all("**not run**" in text for text in tables)
