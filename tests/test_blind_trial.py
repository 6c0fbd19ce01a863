"""Attempts by students who had seen neither checks nor solutions, judged again.

Four trials, each with readers of its own; the last is of right attempts alone. A record says what
they were told the first time; since then mistakes have been mended, so this is no trial. It holds
that no right attempt is turned away and that no more wrong ones pass, or stay without a name.
"""

import json
from functools import cache
from importlib import import_module

import pytest

from dpo_from_scratch.data import data_path
from dpo_from_scratch.lab import exercises

TRIALS = {
    "blind_trial": (1, 2, 3),
    "blind_trial_2": (4, 5, 6),
    "blind_trial_3": (7, 8, 9, 10),
    "blind_trial_4": (11,),
}
PARTS = [(name, part) for name, parts in TRIALS.items() for part in parts]


@cache
def trial(name: str) -> dict:
    return json.loads(data_path(f"results/exercises/{name}.json").read_text(encoding="utf-8"))


def judged(name: str, part: int) -> list[tuple[dict, str]]:
    """(a row of the record, the state that its attempt has now)."""
    told = {row["id"]: row for row in trial(name)["attempts"]}
    attempts = import_module(f"attempts.blind.students_{part}").ATTEMPTS
    both = [(told.get(f"{part}.{i}"), attempt) for i, attempt in enumerate(attempts)]
    judge = lambda a: exercises.judge(a["exercise"], a["attempt"]).state
    return [(row, judge(attempt)) for row, attempt in both if row]  # some weren't drawn


@pytest.mark.parametrize("name", TRIALS)
def test_a_record_counts_what_it_holds(name):
    marks = [row["mark"] for row in trial(name)["attempts"]]
    assert {mark: marks.count(mark) for mark in set(marks)} == trial(name)["counts"]
    assert len({row["exercise"] for row in trial(name)["attempts"]}) >= 30


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_strangers_attempts_are_judged_no_worse_than_the_first_time(name, part):
    found = judged(name, part)
    assert len(found) >= 70
    turned_away = [row["id"] for row, now in found if row["kind"] == "right" != now]
    assert not turned_away
    wrong = [pair for pair in found if pair[0]["kind"] == "wrong"]
    passed = [row["id"] for row, now in wrong if now == "right" != row["state"]]
    assert not passed
    named = lambda state: state in ("wrong", "form")
    before = sum(named(row["state"]) for row, _ in wrong)
    assert sum(named(now) for _, now in wrong) >= before
