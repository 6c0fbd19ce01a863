"""Exercise 1 of chapter 02: how many labels agree with the true reward."""

from collections.abc import Callable

import numpy as np

from ... import world
from ...data import data_path, read_rows
from .functions import Function


def gaps(labels) -> np.ndarray:
    """True reward of the chosen text less that of the rejected one."""
    both = [[world.reward(r["prompt"], r[s]) for s in ("chosen", "rejected")] for r in labels]
    return np.array(both) @ (1, -1)


def agreements(labels) -> int:
    """In how many labels the true reward is higher for the chosen text."""
    return int((gaps(labels) > 0).sum())


def told(labels, measure: Callable) -> int:
    """In how many labels the chosen text has more of something."""
    of = lambda row, side: measure(row["prompt"], row[side])
    return sum(of(row, "chosen") > of(row, "rejected") for row in labels)


def first_question(rows) -> int:
    """Agreements on the question of the first label."""
    return agreements([row for row in rows if row["prompt"] == rows[0]["prompt"]])


def last_question(rows) -> int:
    """Agreements on the question of the last label."""
    return agreements([row for row in rows if row["prompt"] == rows[-1]["prompt"]])


def in_a_row(agree) -> int:
    """How many agree before the first that doesn't."""
    return int(np.cumprod(agree).sum())


def some_labels() -> list[dict]:
    """The shipped labels of a question, all of them with some turned round, and other pairs."""
    shipped = read_rows(data_path("reviews_labels.jsonl"))[0]
    turn = lambda row: row | {"chosen": row["rejected"], "rejected": row["chosen"]}
    mixed = [turn(row) if i % 3 == 0 else row for i, row in enumerate(shipped)]
    drawn = world.make_pairs(40, world=world.REVIEWS, seed=3)
    return [{"labels": rows} for rows in (mixed, drawn[:33], shipped[:10], mixed[4:11])]


AGREE = Function(
    agreements,
    some_labels(),
    wrongs=[
        ("those are the labels that disagree.", lambda rows: int((gaps(rows) <= 0).sum())),
        ("that is a share; the number of labels is asked.", lambda rows: (gaps(rows) > 0).mean()),
        ("in per cent; the number is asked.", lambda rows: 100 * (gaps(rows) > 0).mean()),
        ("those that disagree are taken off.", lambda rows: np.sign(gaps(rows)).sum()),
        ("rewards are added up; labels are to be counted.", lambda rows: gaps(rows).sum()),
        (
            "it adds up the differences of the labels that agree; count those labels.",
            lambda rows: np.maximum(gaps(rows), 0).sum(),
        ),
        (
            "rewards are rounded to whole numbers first, so that close ones tie.",
            lambda rows: told(rows, lambda p, t: round(world.reward(p, t))),
        ),
        ("that is a mean of rewards; labels are to be counted.", lambda rows: gaps(rows).mean()),
        (
            "it counts chosen texts of positive reward; compare them with the rejected.",
            lambda rows: sum(world.reward(r["prompt"], r["chosen"]) > 0 for r in rows),
        ),
        ("it compares lengths, not rewards.", lambda rows: told(rows, lambda p, t: len(t))),
        ("it compares lengths, not rewards.", lambda rows: told(rows, lambda p, t: len(t.split()))),
        (
            "the first label's prompt is used for all; each text answers its own.",
            lambda rows: told(rows, lambda p, t: world.reward(rows[0]["prompt"], t)),
        ),
        (
            "the prompt plays no part: a text is rewarded for answering this question.",
            lambda rows: told(rows, lambda p, t: world.reward("", t)),
        ),
        (
            "prompt and text are exchanged.",
            lambda rows: told(rows, lambda p, t: world.reward(t, p)),
        ),
        ("that is the number of labels.", len),
        (
            "it counts rejected texts of negative reward; compare them with the chosen.",
            lambda rows: sum(world.reward(r["prompt"], r["rejected"]) < 0 for r in rows),
        ),
        (
            "it counts pairs where chosen is above zero and rejected below; compare the two.",
            lambda rows: sum(
                world.reward(r["prompt"], r["chosen"])
                > 0
                > world.reward(r["prompt"], r["rejected"])
                for r in rows
            ),
        ),
        (
            "that is how many one would expect to agree, the sum of σ; count those that do.",
            lambda rows: (1 / (1 + np.exp(-gaps(rows)))).sum(),
        ),
        ("it counts for the first question only; all labels are asked.", first_question),
        ("it counts for the last question only; all labels are asked.", last_question),
        (
            "each text counts once; a label counts as often as it was given.",
            lambda rows: len({rows[i]["chosen"] for i in np.flatnonzero(gaps(rows) > 0)}),
        ),
        (
            "that is the chosen texts' mean reward; labels are to be counted.",
            lambda rows: np.mean([world.reward(r["prompt"], r["chosen"]) for r in rows]),
        ),
        ("it counts differences above one half, not all.", lambda rows: (gaps(rows) > 0.5).sum()),
        ("it counts up to the first that disagrees.", lambda rows: in_a_row(gaps(rows) > 0)),
        (
            "that is the difference of two shares, no count.",
            lambda rows: np.sign(gaps(rows)).mean(),
        ),
        ("it counts differences above 1, not all.", lambda rows: int((gaps(rows) > 1).sum())),
        ("it stops at the first label.", lambda rows: int(gaps(rows)[0] > 0)),
        ("one more than there are.", lambda rows: agreements(rows) + 1),
        ("the last label is left out.", lambda rows: agreements(rows[:-1])),
        ("the first label is left out.", lambda rows: agreements(rows[1:])),
        ("a yes or no for each label; how many are a yes?", lambda rows: gaps(rows) > 0),
        ("that is a share of 20; the number is asked.", lambda rows: agreements(rows) / 20),
    ],
    shows="Two tastes agree mostly, and not always.",
    common=False,
)
