"""Attempts by students who had seen neither checks nor solutions, judged again.

The record says what they were told the first time; since then mistakes have been mended, so this is
no second blind trial. It holds that no right attempt is turned away and that no more wrong ones
pass, or stay without a name.
"""

import json
from importlib import import_module

import pytest

from dpo_from_scratch.data import data_path
from dpo_from_scratch.lab import exercises

TRIAL = json.loads(data_path("results/exercises/blind_trial.json").read_text(encoding="utf-8"))
TOLD = {row["id"]: row for row in TRIAL["attempts"]}


def judged(part: int) -> dict[str, tuple[dict, str]]:
    """Attempt -> (its row of the record, the state that it has now)."""
    attempts = import_module(f"attempts.blind.students_{part}").ATTEMPTS
    states = [exercises.judge(a["exercise"], a["attempt"]).state for a in attempts]
    return {f"{part}.{i}": (TOLD[f"{part}.{i}"], state) for i, state in enumerate(states)}


def test_the_record_counts_what_it_holds():
    marks = [row["mark"] for row in TRIAL["attempts"]]
    assert {mark: marks.count(mark) for mark in set(marks)} == TRIAL["counts"]
    assert len({row["exercise"] for row in TRIAL["attempts"]}) >= 30


@pytest.mark.parametrize("part", [1, 2, 3])
def test_strangers_attempts_are_judged_no_worse_than_the_first_time(part):
    found = judged(part)
    turned_away = [k for k, (row, now) in found.items() if row["kind"] == "right" != now]
    assert not turned_away
    wrong = {k: pair for k, pair in found.items() if pair[0]["kind"] == "wrong"}
    passed = [k for k, (row, now) in wrong.items() if now == "right" != row["state"]]
    assert not passed
    named = lambda state: state in ("wrong", "form")
    before = sum(named(row["state"]) for row, _ in wrong.values())
    assert sum(named(now) for _, now in wrong.values()) >= before
