"""The house: floors, sizes, docstrings, one list of dependencies, and a wheel that works alone."""

import ast
import inspect
import itertools
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module
from pathlib import Path

import nbformat
import pytest

from dpo_from_scratch.lab.run import tell

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "dpo_from_scratch"
ROOM = {  # what stands directly in the package -> its room
    **dict.fromkeys(("logprobs", "losses", "exact", "tokens", "data", "models"), "core"),
    **dict.fromkeys(("scoring", "training", "next_logits", "sampling", "others"), "core"),
    **dict.fromkeys(("turns", "folders", "saving", "smollm2", "processes"), "core"),
    **dict.fromkeys(("rlhf", "rounds", "judges", "feedback"), "roads"),
    **{name: name for name in ("doctor", "fast", "world", "lab", "studies", "cli")},
}
ARROWS = {  # room -> rooms that it may import from; world.tiny may ask the core as well
    "core": {"core"},
    "doctor": {"core", "doctor"},
    "fast": {"core", "fast"},
    "roads": {"core", "roads"},
    "world": {"world"},
    "lab": {"core", "doctor", "roads", "world", "lab"},
    "studies": {"core", "doctor", "fast", "roads", "world", "lab", "studies"},
    "cli": {"core", "doctor", "roads", "world", "lab", "studies", "cli"},
}
WITH_THE_FAST_PATH = ("training.start", "training.memory", "training.played")
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = [".".join(p.relative_to(PACKAGE).with_suffix("").parts) for p in FILES]
MODULES = [m.removesuffix(".__init__") for m in MODULES if m not in ("__init__", "__main__")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def path_of(module: str) -> Path:
    whole = PACKAGE.joinpath(*module.split("."))
    return whole / "__init__.py" if whole.is_dir() else whole.with_suffix(".py")


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(module: str, nodes) -> set[str]:
    """The package's modules that these nodes import, such as "losses.registry"."""
    path, out = path_of(module), set()
    here = ["dpo_from_scratch", *path.relative_to(PACKAGE).parts[:-1]]
    for node in nodes:
        if isinstance(node, ast.Import):
            out |= {a.name for a in node.names}
        if isinstance(node, ast.ImportFrom):
            base = here[: len(here) + 1 - node.level] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            out |= {source} | {f"{source}.{a.name}" for a in node.names}
    ours = {name.removeprefix("dpo_from_scratch.") for name in out if "dpo_from_scratch." in name}
    return ours & set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_rooms_that_its_own_may_enter(module):
    room = ROOM[module.split(".")[0]]
    allowed = ARROWS[room] | ({"core"} if module == "world.tiny" else set())
    allowed |= {"fast"} if module in WITH_THE_FAST_PATH else set()  # inside functions: no circle
    for name in imported(module, ast.walk(tree(path_of(module)))):
        assert ROOM[name.split(".")[0]] in allowed, f"{module} imports {name}"


def test_imports_make_no_circle():
    """Of modules as they are loaded; what stands inside a function is loaded later."""
    needs = {m: imported(m, tree(path_of(m)).body) - {m} for m in MODULES}
    # a room's __init__ shows its files, so only what the files say counts between them
    needs = {m: {n for n in names if not m.startswith(f"{n}.")} for m, names in needs.items()}
    left = dict(needs)
    while left:
        free = [m for m, names in left.items() if not names & left.keys()]
        assert free, f"a circle among {sorted(left)}"
        left = {m: names for m, names in left.items() if m not in free}


def test_small_is_a_feature():
    files = [p for p in FILES if p.stat().st_size] + [ROOT / "data" / "make.py"]
    lines = {p.relative_to(ROOT).as_posix(): p.read_text(encoding="utf-8") for p in files}
    long = {name: text.count("\n") for name, text in lines.items() if text.count("\n") > 300}
    long.pop("dpo_from_scratch/__init__.py", None)  # the map has a line for every file
    assert not long
    functions = [
        f"{path.name}: {node.name} has {code_lines(node)} lines"
        for path in files
        for node in ast.walk(tree(path))
        # a table of an exercise's mistakes is one thing, however many there are
        if isinstance(node, ast.FunctionDef)
        and code_lines(node) > (90 if path.parent.name == "exercises" else 40)
    ]
    assert not functions


def test_what_a_reader_must_read_is_short():
    must = ["logprobs.py", "exact.py", "tokens.py", "models.py", "training/loop.py"]
    must += ["training/references.py", "training/whole_batch.py"]
    must += [p.relative_to(PACKAGE).as_posix() for p in (PACKAGE / "losses").glob("*.py")]
    assert sum((PACKAGE / p).read_text(encoding="utf-8").count("\n") for p in must) <= 1800


def code_lines(node: ast.FunctionDef) -> int:
    """Lines of the body, without signature and docstring."""
    has = ast.get_docstring(node) and len(node.body) > 1
    start = (node.body[1] if has else node.body[0]).lineno
    return node.end_lineno - start + 1


OURS = [*FILES, ROOT / "data" / "make.py"]
OURS += [path for folder in ("tests", "website") for path in (ROOT / folder).glob("*.py")]


@pytest.mark.parametrize("path", OURS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_hundred_columns_and_tables_alone_keep_their_own_form(path):
    text = path.read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if len(line) > 100] == []
    literal = (ast.Dict, ast.List, ast.Tuple)
    statement, value = (ast.Assign | ast.AnnAssign), literal
    if "exercises" in path.parts:  # tables of mistakes are handed to a call, or looked up at once
        statement = ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Return | ast.Expr
        value = ast.expr
    free = {
        node.end_lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, statement) and isinstance(node.value, value)
    }
    skips = [
        number
        for number, line in enumerate(text.splitlines(), start=1)
        if re.search(r"# fmt: ?(skip|off)\b(?!\\)", line) and "re." not in line
    ]
    assert set(skips) <= free


@pytest.mark.parametrize("module", MODULES)
def test_public_things_have_docstrings(module):
    found = import_module(f"dpo_from_scratch.{module}")
    if not path_of(module).stat().st_size:
        return
    assert found.__doc__
    for name, thing in vars(found).items():
        own = getattr(thing, "__module__", "") == found.__name__ and callable(thing)
        if own and not name.startswith("_"):
            if module.startswith("cli.") and name.endswith("_command"):
                continue  # their help text is the command's
            assert inspect.getdoc(thing), name


def test_the_world_knows_no_torch():
    for path in (PACKAGE / "world").glob("*.py"):
        assert path.stem == "tiny" or "torch" not in path.read_text(encoding="utf-8"), path


def test_conda_and_pip_agree_and_the_constraints_fit():
    """environment.yml has every dependency of pyproject.toml with the same lower bound, under
    conda's names.
    """
    conda_names = {
        "torch": "pytorch",
        "matplotlib": "matplotlib-base",
        "vaderSentiment": "vadersentiment",
    }
    wanted = {}
    for requirement in [
        *PROJECT["dependencies"],
        *itertools.chain(*PROJECT["optional-dependencies"].values()),
    ]:
        name, bound = requirement.split(">=")
        wanted[conda_names.get(name, name)] = bound
    text = (ROOT / "environment.yml").read_text()
    found = dict(re.findall(r"^ +- ([a-z0-9_-]+)>=([\d.]+) *#", text, re.M))
    assert found.pop("python") == PROJECT["requires-python"].removeprefix(">=")
    assert found == wanted
    assert re.findall(r"channels:\n((?:  - .*\n)+)", text) == ["  - conda-forge\n  - nodefaults\n"]
    pins = dict(
        re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;]+)", (ROOT / "constraints.txt").read_text(), re.M)
    )
    pins = {name.lower().replace("_", "-"): version for name, version in pins.items()}
    for requirement in PROJECT["dependencies"]:
        assert requirement.split(">=")[0].lower() in pins, requirement
    assert pins["torch"].startswith("2.13.0")


def test_readme_names_commands_that_exist():
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", readme, re.M):
        assert re.search(rf"^{target}:", makefile, re.M), target
    for path in re.findall(r"\]\((?!https?:|#)([^)]+)\)", readme):
        assert (ROOT / path.split("#")[0]).exists(), path


def test_the_readme_is_short():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 200
    running = re.sub(r"^ *```.*?^ *```|^\|.*?$", "", readme, flags=re.M | re.S)
    assert len(re.sub(r"<img.*?>|\]\(.*?\)", "", running).split()) <= 900


@pytest.mark.slow
def test_the_student_edition_runs_with_only_the_wheel(tmp_path, capsys):
    """As in Colab: dependencies are there, the package comes from its wheel, which holds the
    notebooks; chapters 00 and 01 run in a folder where nothing else is.
    """
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "dist"],
        cwd=ROOT,
        check=True,
    )
    wheel = next((tmp_path / "dist").glob("*.whl"))
    names = zipfile.ZipFile(wheel).namelist()
    assert "dpo_from_scratch/shipped/tiny/model.safetensors" in names
    assert "dpo_from_scratch/shipped/notebooks/00_start_here.ipynb" in names
    assert "dpo_from_scratch/shipped/benchmarks/cpu.json" in names
    assert wheel.stat().st_size < 4_000_000
    site, alone = tmp_path / "site", tmp_path / "alone"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--no-index",
            "--target",
            site,
            wheel,
        ],
        check=True,
    )
    run = (
        "import dpo_from_scratch, nbformat; from nbclient import NotebookClient\n"
        f"assert {str(site)!r} in dpo_from_scratch.__file__, dpo_from_scratch.__file__\n"
        "from dpo_from_scratch.cli import main\n"
        "assert main(['book', '.', '--student']) == 0\n"
        "for name in ('00_start_here', '01_score_a_text'):\n"
        "    book = nbformat.read(f'{name}.ipynb', as_version=4)\n"
        "    assert not any(c.get('outputs') for c in book.cells)\n"
        "    NotebookClient(book, timeout=300, kernel_name='python3').execute()\n"
        "    nbformat.write(book, f'{name}_done.ipynb')\n"
    )
    alone.mkdir()
    # the environment's own editable install must not be seen: the wheel's folder comes first on the
    # path
    own = {"PYTHONPATH": str(site), "DPO_PROGRESS": str(tmp_path / "solved.json")}
    command = [sys.executable, "-c", run]
    subprocess.run(command, cwd=alone, env=os.environ | own, check=True, timeout=500)
    for name in ("00_start_here", "01_score_a_text"):
        done = nbformat.read(alone / f"{name}_done.ipynb", as_version=4)
        told = "".join(o.get("text", "") for c in done.cells for o in c.get("outputs", []))
        assert f"{name[:2]}.1: not tried yet." in told
    # what `make run` tells of it
    tell(json.loads((alone / "runs/00_start_here/results.json").read_text(encoding="utf-8")))
    told = capsys.readouterr().out
    assert re.search(r"^mean true reward +−0\.\d\d ± 0\.\d\d +2\.\d\d ± ", told, re.M), told
