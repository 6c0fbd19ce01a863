"""The house: floors, sizes, docstrings, one list of dependencies, and a wheel that works alone."""

import ast
import inspect
import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "dpo_from_scratch"
FLOORS = [
    {"world", "exact", "logprobs", "losses"},
    {"data"},
    {"tokens", "models", "ratings"},
    {"runs", "settings"},
    {"sampling", "training", "checking"},
    {"evaluation", "records", "probing"},
    {"rlhf", "online", "plots", "widgets", "doctor"},
    {"cli"},
]
FLOOR = {name: floor for floor, names in enumerate(FLOORS, start=1) for name in names}
MODULES = sorted(p.stem for p in PACKAGE.glob("*.py") if not p.stem.startswith("__"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def tree(module: str) -> ast.Module:
    return ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", MODULES)
def test_no_module_imports_upward(module):
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            for name in [node.module] if node.module else [a.name for a in node.names]:
                assert FLOOR[name] < FLOOR[module], f"{module} imports {name}"


def test_small_is_a_feature():
    lines = {m: len((PACKAGE / f"{m}.py").read_text().splitlines()) for m in MODULES}
    assert sum(lines.values()) < 4000
    assert all(n <= 300 for m, n in lines.items() if m not in ("world", "losses")), lines
    long = [f"{m}.{n.name}" for m in MODULES for n in ast.walk(tree(m)) if isinstance(n, ast.FunctionDef) and code_lines(n) > 40]
    assert set(long) <= {"training.train"}, long  # the loop is read from top to bottom


def code_lines(node: ast.FunctionDef) -> int:
    start = node.body[1].lineno if ast.get_docstring(node) and len(node.body) > 1 else node.body[0].lineno
    return node.end_lineno - start + 1


@pytest.mark.parametrize("module", MODULES)
def test_public_things_have_docstrings(module):
    found = import_module(f"dpo_from_scratch.{module}")
    assert found.__doc__
    for name, thing in vars(found).items():
        if not name.startswith("_") and getattr(thing, "__module__", "") == found.__name__ and callable(thing):
            if module == "cli" and (name.endswith("_command") or name == "make_parser"):
                continue  # their help text is the command's
            assert inspect.getdoc(thing), name


def test_the_world_knows_no_torch():
    assert "torch" not in (PACKAGE / "world.py").read_text().replace("no torch", "")


def test_conda_and_pip_agree_and_the_constraints_fit():
    """environment.yml has every dependency of pyproject.toml with the same lower bound, under conda's names."""
    conda_names = {"torch": "pytorch", "matplotlib": "matplotlib-base", "vaderSentiment": "vadersentiment"}
    wanted = {}
    for requirement in [*PROJECT["dependencies"], *itertools.chain(*PROJECT["optional-dependencies"].values())]:
        name, bound = requirement.split(">=")
        wanted[conda_names.get(name, name)] = bound
    text = (ROOT / "environment.yml").read_text()
    found = dict(re.findall(r"^  - ([a-z0-9_-]+)>=([\d.]+) *#", text, re.M))
    assert found.pop("python") == PROJECT["requires-python"].removeprefix(">=")
    assert found == wanted
    assert re.findall(r"channels:\n((?:  - .*\n)+)", text) == ["  - conda-forge\n  - nodefaults\n"]
    pins = dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;]+)", (ROOT / "constraints.txt").read_text(), re.M))
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


@pytest.mark.slow
def test_one_chapter_alone_runs_with_only_the_wheel(tmp_path):
    """As in Colab: dependencies are there, the package comes from its wheel, and the folder holds one notebook."""
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "dist"], cwd=ROOT, check=True)
    wheel = next((tmp_path / "dist").glob("*.whl"))
    names = zipfile.ZipFile(wheel).namelist()
    assert "dpo_from_scratch/shipped/tiny/model.safetensors" in names
    assert wheel.stat().st_size < 4_000_000
    site, alone = tmp_path / "site", tmp_path / "alone"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", site, wheel], check=True)
    alone.mkdir()
    shutil.copy(ROOT / "notebooks" / "00_start_here.ipynb", alone)
    run = (
        "import dpo_from_scratch, nbformat; from nbclient import NotebookClient\n"
        f"assert {str(site)!r} in dpo_from_scratch.__file__, dpo_from_scratch.__file__\n"
        "book = nbformat.read('00_start_here.ipynb', as_version=4)\n"
        "NotebookClient(book, timeout=300, kernel_name='python3').execute()\n"
        "nbformat.write(book, 'done.ipynb')\n"
    )
    # the environment's own editable install must not be seen: the wheel's folder comes first on the path
    subprocess.run([sys.executable, "-c", run], cwd=alone, env=os.environ | {"PYTHONPATH": str(site)}, check=True, timeout=400)
    assert nbformat.read(alone / "done.ipynb", as_version=4).cells
    assert (alone / "runs" / "00_start_here" / "results.json").is_file()
