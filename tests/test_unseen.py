"""The doctor on 36 trainers in other people's styles, written without a look at its checks.

Each one's fault is in `answers.json`, what counts as its name in `accepted.json`, and what the
doctor said at first sight in `first_run.json`.
"""

import json
import tempfile

import pytest
from conftest import script

from dpo_from_scratch import doctor
from dpo_from_scratch.data import data_path
from dpo_from_scratch.models import load_model

FOLDER = data_path("gallery") / "unseen"
ANSWERS, ACCEPTED, FIRST = (
    json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    for name in ("answers", "accepted", "first_run")
)
SLOW = {"t01.py", "t05.py", "t10.py", "t15.py", "t20.py"}


def problems(name, folder, monkeypatch):
    """What the doctor has against a specimen, with a fresh model and eight pairs."""
    if "trl" in (FOLDER / name).read_text(encoding="utf-8"):
        pytest.importorskip("trl", reason="make trl installs TRL")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    rows = data_path("reviews_pairs_train.jsonl").read_text(encoding="utf-8").splitlines()[:8]
    pairs, (model, tokenizer) = [json.loads(row) for row in rows], load_model("tiny")
    hooks = script(FOLDER / name).connect(model, tokenizer, pairs)
    found = doctor.check(**{"pairs": pairs, "tokenizer": tokenizer} | hooks)
    return [f.code for f in found if f.level == "problem"]


def those(right):
    names = [n for n in ANSWERS if n != "_how" and ANSWERS[n]["right"] == right]
    return [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in names]


@pytest.mark.parametrize("name", those(right=True))
def test_no_alarm_for_a_right_trainer(name, tmp_path, monkeypatch):
    assert problems(name, tmp_path, monkeypatch) == []


@pytest.mark.parametrize("name", those(right=False))
def test_what_was_named_stays_named(name, tmp_path, monkeypatch):
    named, codes = FIRST[name]["result"], problems(name, tmp_path, monkeypatch)
    if named.startswith("named"):
        assert set(codes[:1] if named == "named" else codes) & set(ACCEPTED[name])
