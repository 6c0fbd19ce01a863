"""The doctor on trainers in other people's styles, written without a look at its checks.

Three sets of 36 in data/gallery. Each one's fault is in `answers.json`, what counts as its name in
`accepted.json`, and what the doctor said at first sight in `first_run.json`. A sixth of them is
tried here.
"""

import json
import tempfile

import pytest
from conftest import script

from dpo_from_scratch import doctor
from dpo_from_scratch.data import data_path
from dpo_from_scratch.models import load_model

SETS = ("unseen", "unseen2", "unseen3")


def of(folder, name):
    return json.loads((data_path("gallery") / folder / f"{name}.json").read_text(encoding="utf-8"))


ANSWERS, ACCEPTED, FIRST = (
    {
        (folder, name): value
        for folder in SETS
        for name, value in of(folder, file).items()
        if name.endswith(".py")
    }
    for file in ("answers", "accepted", "first_run")
)


def sixth(right):
    return [key for key in sorted(ANSWERS) if ANSWERS[key]["right"] == right][::6]


def problems(key, folder, monkeypatch):
    """What the doctor has against a specimen, with a fresh model and eight pairs."""
    path = data_path("gallery").joinpath(*key)
    if "trl" in path.read_text(encoding="utf-8"):
        pytest.importorskip("trl", reason="make trl installs TRL")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    rows = data_path("reviews_pairs_train.jsonl").read_text(encoding="utf-8").splitlines()[:8]
    pairs, (model, tokenizer) = [json.loads(row) for row in rows], load_model("tiny")
    hooks = script(path).connect(model, tokenizer, pairs)
    found = doctor.check(**{"pairs": pairs, "tokenizer": tokenizer} | hooks)
    return [f.code for f in found if f.level == "problem"]


@pytest.mark.parametrize("key", sixth(right=True), ids="/".join)
def test_no_alarm_for_a_right_trainer(key, tmp_path, monkeypatch):
    assert problems(key, tmp_path, monkeypatch) == []


@pytest.mark.parametrize("key", sixth(right=False), ids="/".join)
def test_what_was_named_stays_named(key, tmp_path, monkeypatch):
    named, codes = FIRST[key]["result"], problems(key, tmp_path, monkeypatch)
    if named.startswith("named"):
        assert set(codes[:1] if named == "named" else codes) & set(ACCEPTED[key])
