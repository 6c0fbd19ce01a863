"""What runs where nobody looks: workflows, hooks, versions, and the repository's address."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import address
import pytest
import yaml

from dpo_from_scratch import __version__

ROOT = Path(__file__).parent.parent
GITHUB = ROOT / ".github"
pytestmark = pytest.mark.skipif(not GITHUB.exists(), reason="an sdist has no workflows")
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
ACTION = r"actions/[\w-]+@v\d+|pypa/gh-action-pypi-publish@release/v\d+"
WRITES = {  # all that a workflow may do besides reading the repository
    "site": {"pages": "write", "id-token": "write"},
    "release": {"contents": "write", "id-token": "write"},
}
OTHERS = {  # whose repositories the book, the workflows and the hooks name
    *("ContextualAI", "huggingface", "junkangwu", "rasbt", "wyf3"),
    *("astral-sh", "codespell-project", "pre-commit"),
    "you",  # the example of `make address`
}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def pins() -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)$", read("constraints.txt"), re.M))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_a_workflow_is_pinned_bounded_and_has_few_rights(path):
    text = path.read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["name"] == path.stem
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["group"]
    assert not re.search(r"secrets\.|password:|token:(?! write)|https?://|index-url", text)
    rights = {}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 120
        rights |= job.get("permissions", {})
        for step in job["steps"]:
            assert re.fullmatch(ACTION, step["uses"]) if "uses" in step else step["run"]
    assert rights == WRITES.get(path.stem, {})


@pytest.mark.parametrize("path", [*WORKFLOWS, ROOT / ".ci" / "run"], ids=lambda p: p.stem)
def test_a_workflow_calls_make_by_targets_that_exist(path):
    targets = set(re.findall(r"^([a-z][\w-]*):", read("Makefile"), re.M))
    text = re.sub(r"#.*", "", path.read_text(encoding="utf-8"))
    called = set(re.findall(r"(?:run: |^\s*|&& )make ([\w-]+)", text, re.M))
    assert called <= targets
    assert called or path.stem == "release"


def test_the_targets_of_the_makefile_are_declared():
    targets = set(re.findall(r"^([a-z][\w-]*):", read("Makefile"), re.M))
    assert set(re.search(r"^\.PHONY: (.+)", read("Makefile"), re.M)[1].split()) == targets


@pytest.mark.parametrize("path", sorted(GITHUB.rglob("*.yml")), ids=lambda p: p.stem)
def test_forms_and_settings_parse(path):
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


def test_one_version():
    """CHANGELOG's first heading, CITATION.cff and the package; a released one has one date."""
    title = re.search(r"^## ([\d.]+) \((.+)\)$", read("CHANGELOG.md"), re.M)
    cited = yaml.safe_load(read("CITATION.cff"))
    assert title[1] == cited["version"] == __version__
    assert title[2] in ("unreleased", str(cited["date-released"]))


def test_hooks_have_the_versions_of_the_constraints():
    hooks = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    found = {hook["repo"].rpartition("/")[2]: hook["rev"] for hook in hooks}
    assert found["ruff-pre-commit"] == f"v{pins()['ruff']}"
    assert found["codespell"] == f"v{pins()['codespell']}"


def test_the_address_of_the_repository_is_one():
    """`make address` changes it everywhere; somebody else's repository is listed in OTHERS."""
    ours = address.address_of(ROOT).removeprefix("https://github.com/")
    named = set()
    for path in address.files(ROOT):
        if path.parent == ROOT / "tests":  # these make addresses up
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        text = "\n".join(line for line in lines if "github" in line)  # pictures are long
        found = re.findall(r"(?:github\.com[/:]|/github/)([\w-]+/[\w.-]+\b)", text)
        found += map("/".join, re.findall(r"([\w-]+)\.github\.io/([\w.-]+\b)", text))
        where = path.relative_to(ROOT).as_posix()
        named |= {(name.removesuffix(".git"), where) for name in found}
    assert {where for what, where in named if what == ours} >= {"CITATION.cff", "pyproject.toml"}
    assert [n for n in named if n[0] != ours and n[0].split("/")[0] not in OTHERS] == []


def test_the_address_can_be_changed_everywhere(tmp_path):
    old = address.address_of(ROOT)
    book = ("notebooks/index.md", "notebooks/00_start_here.ipynb")
    for name in ("pyproject.toml", "CITATION.cff", "website/conf.py", "tests/address.py", *book):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    new = "https://github.com/someone/my.course"
    run = [sys.executable, tmp_path / "tests" / "address.py"]
    assert subprocess.run([*run, f"{new}/"], capture_output=True).returncode == 1
    assert address.address_of(tmp_path) == old
    subprocess.run([*run, new], check=True, capture_output=True)
    assert address.address_of(tmp_path) == new
    short = old.removeprefix("https://github.com/")
    texts = {p.name: p.read_text(encoding="utf-8") for p in address.files(tmp_path)}
    assert not [name for name, text in texts.items() if short in text]
    assert f"{new}\ncd my.course\n" in texts["index.md"]
    assert "/github/someone/my.course/blob/main/notebooks/00" in texts["00_start_here.ipynb"]
    assert f"git+{new}@v{__version__}" in texts["00_start_here.ipynb"]
    subprocess.run([*run, old], check=True, capture_output=True)
    for path in address.files(tmp_path):
        assert path.read_bytes() == (ROOT / path.relative_to(tmp_path)).read_bytes()
