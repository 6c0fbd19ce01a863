"""The recipes of CONTRIBUTING.md: who follows the one for a loss to the letter has a loss."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPE = TEXT[TEXT.index("## How to add a loss") : TEXT.index("## How to add a study")]
CODE, ROWS = (dedent(block) for block in re.findall(r"```python\n(.*?)```", RECIPE, re.S))
FILE = re.search(r"For\s+instance,\s+in\s+`(losses/\w+\.py)`", RECIPE)[1]
NAME = re.search(r"^def (\w+)", CODE, re.M)[1]
COMMAND = re.search(r"^ +(dpo train .*)$", RECIPE, re.M)[1]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the package in which the recipe's first step has been followed, and no other."""
    folder = tmp_path_factory.mktemp("copy")
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "dpo_from_scratch", folder / "dpo_from_scratch", ignore=unwanted)
    shutil.copytree(ROOT / "data" / "tiny", folder / "data" / "tiny")
    shutil.copy(ROOT / "data" / "README.md", folder / "data")
    rows = (ROOT / "data" / "reviews_pairs_test.jsonl").read_text(encoding="utf-8").splitlines()
    (folder / "pairs.jsonl").write_text("\n".join(rows[:16]) + "\n", encoding="utf-8")
    with (folder / "dpo_from_scratch" / FILE).open("a", encoding="utf-8") as family:
        family.write("\n\n" + CODE)
    return folder


def python(folder: Path, *arguments: str) -> str:
    """What Python prints in the copy, where the package is the copy's."""
    found = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "200", "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def test_a_loss_is_twenty_lines_in_one_file():
    assert len(CODE.splitlines()) <= 20
    assert max(map(len, CODE.splitlines())) <= 100


def test_it_is_the_last_of_the_losses_and_a_wrong_name_lists_it(copy):
    told = "import dpo_from_scratch as d, json; from dpo_from_scratch.losses import LOSSES as L; "
    told += "print(json.dumps([d.__file__, list(L), list(L.values())[-1].inputs]))"
    file, names, inputs = json.loads(python(copy, "-c", told))
    assert Path(file).is_relative_to(copy)
    assert names[0] == "dpo"
    assert names[-1] == NAME
    assert inputs == ["reference"]
    told = "import contextlib, sys; from dpo_from_scratch.cli import main; "
    told += "contextlib.redirect_stderr(sys.stdout).__enter__(); "
    told += "main('train --loss none --data x'.split())"
    listed = re.search(r"loss is one of (.*), not 'none'", python(copy, "-c", told))[1]
    assert listed.split(", ") == names


def test_the_command_of_the_recipe_trains_it(copy):
    assert f"--loss {NAME} --steps 2 --batch-size 4 " in COMMAND
    out = python(copy, "-m", *module(COMMAND))
    assert out.startswith(f"options: loss {NAME}, beta 0.1, ")
    run = copy / "runs" / NAME
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    metrics = [json.loads(line) for line in lines]
    assert len(metrics) == 2
    assert metrics[0]["loss"] == pytest.approx(1)  # (1 - m)^2 where policy and reference agree
    assert all(math.isfinite(value) for row in metrics for value in row.values())
    assert (run / "model" / "model.safetensors").is_file()


@pytest.mark.slow
def test_with_the_rows_of_the_recipe_the_tests_of_losses_accept_it(copy):
    tests = (ROOT / "tests" / "test_losses.py").read_text(encoding="utf-8")
    for table, row in re.findall(r"^(\w+) = \{(.*)\}$", ROWS, re.M):
        tests, n = re.subn(
            rf"(^{table} = {{\n.*?)(^}})", rf"\1    {row},\n\2", tests, flags=re.M | re.S
        )
        assert n == 1, table
    (copy / "tests").mkdir()
    (copy / "tests" / "test_losses.py").write_text(tests, encoding="utf-8")
    shutil.copy(ROOT / "tests" / "golden_losses.json", copy / "tests")
    chosen = ["-k", f"{NAME} or registry", "-p", "no:cacheprovider"]
    out = python(copy, "-m", "pytest", "-q", "tests/test_losses.py", *chosen)
    assert int(re.search(r"(\d+) passed", out)[1]) >= 7, out


def module(command: str) -> list[str]:
    """`dpo ...` as arguments of `python -m`."""
    return ["dpo_from_scratch", *command.split()[1:]]
