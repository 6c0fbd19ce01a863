"""Chapter 19's key cell: from a judge's scores to pairs, read by how often each pair is made."""

import random
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from . import Function, unknown

COPIES = 300  # of each group, so that a draw by lot shows its shares
SCORES = (
    (0.3, 2.1, -1.4, 0.9), (1.5, -0.2, 0.6), (2.0, -1.0, 2.0, 0.5), (0.7, 0.7), (1.0,),
    (-3.0, -1.5, -2.2, -1.0), (0.4, 1.3), (-0.6, -2.0, 3.1),
)  # fmt: skip


def _text(g: int, i: int) -> str:
    return f"text {i + 1} of group {g + 1} ."


PLACES = {_text(g, i): (g, i) for g, scores in enumerate(SCORES) for i in range(len(scores))}


def _groups(which) -> list[dict]:
    rows = [
        {
            "prompt": f"prompt {g + 1}",
            "responses": [_text(g, i) for i in range(len(SCORES[g]))],
            "scores": list(SCORES[g]),
        }
        for g in which
    ]
    return rows * COPIES


def binarise(judged, rule="random"):
    """Pairs: the best response of each group over a random other one, or over the worst."""
    rng, rows = random.Random(0), []
    for g in judged:
        top, best = max(zip(g["scores"], g["responses"], strict=True))
        rest = [(s, t) for s, t in zip(g["scores"], g["responses"], strict=True) if s < top]
        if rest:
            other = min(rest) if rule == "worst" else rng.choice(rest)
            rows.append({"prompt": g["prompt"], "chosen": best, "rejected": other[1]})
    return rows


def _one(g: int, i: int) -> int:
    """The place of a response in a table; those that share the best score count as one."""
    scores = SCORES[g]
    return 4 * g + (scores.index(max(scores)) if scores[i] == max(scores) else i)


def table(pairs) -> np.ndarray:
    """How many rows a copy of each (group and place chosen, place rejected): (32, 32)."""
    found = np.zeros((4 * len(SCORES), 4 * len(SCORES)))
    for (g, c), (h, r), weight in pairs:
        found[_one(g, c), _one(h, r)] += weight
    return found


def read_rows(rows):
    """The rows as a table of shares, or what is wrong with them."""
    if not isinstance(rows, Sequence) or not all(isinstance(row, Mapping) for row in rows):
        return "no rows"
    for row in rows:
        if not {"prompt", "chosen", "rejected"} <= set(row):
            return "no keys"
        sides = row["chosen"], row["rejected"]
        if not all(isinstance(s, str) and s in PLACES for s in sides):
            return "no texts"
        if row["prompt"] != f"prompt {PLACES[row['chosen']][0] + 1}":
            return "no prompt"
    return table((PLACES[r["chosen"]], PLACES[r["rejected"]], 1 / COPIES) for r in rows)


def expected(
    judged, rule, *, pick="rule", best="max", equals="out", sides="best first", groups="all"
):
    """The table that right rows give, and those of mistakes."""
    rule = {"rule": rule, "turned": {"random": "worst", "worst": "random"}[rule]}.get(pick, pick)
    return table(
        pair
        for g in {PLACES[group["responses"][0]][0] for group in judged}
        for pair in _pairs(g, rule, best, equals, sides, groups)
    )


def _pairs(g, rule, best, equals, sides, groups):
    """(chosen, rejected, share) of one group."""
    scores = np.array(SCORES[g])
    n, order = len(scores), np.argsort(scores if best == "min" else -scores, kind="stable")
    tied = n > 1 and (scores == scores.max()).sum() > 1
    if (groups == "fours" and n < 4) or (groups == "no ties" and tied):
        return
    c = 0 if best == "first" else int(order[0])
    rest = [int(i) for i in order if i != c and (equals == "in" or scores[i] != scores[c])]
    rest = [int(i) for i in order] if equals == "itself" else rest
    if rule == "ordered":  # the better of two drawn ones
        found = [(int(i), int(j), 2 / (n * (n - 1))) for i, j in combinations(order, 2)
                 if scores[i] > scores[j]]  # fmt: skip
    elif rule == "every":
        found = [(c, i, 1.0) for i in rest]
    elif rule == "combinations":
        found = [(int(i), int(j), 1.0) for i, j in combinations(order, 2) if scores[i] > scores[j]]
    else:
        place = {"worst": rest[-1:], "second": rest[:1], "listed last": sorted(rest)[-1:],
                 "listed first": sorted(rest)[:1]}.get(rule, rest)  # fmt: skip
        found = [(c, i, 1 / len(place)) for i in place]
    for a, b, share in found:
        a, b = (b, a) if sides == "turned" else (a, b)
        yield (g, a), (g, b), share


def _only(told: str, done: str):
    """A mistake with one rule alone."""
    return lambda judged, rule: expected(judged, rule, pick=done if rule == told else rule)


def _by_lot(ask, cases) -> str:
    """A draw that gives the same place in each copy."""
    for case in cases:
        found = read_rows(ask(case))
        if case["rule"] == "random" and isinstance(found, np.ndarray):
            if found.sum() < 0.9 * expected(**case).sum():
                return "some groups leave no pair, though not all of their scores are equal."
            if found.sum() > 1.1 * expected(**case).sum():
                return "there are too many pairs: at most one a group is asked, and none for ties."
            drawn = [row[row > 0] for row in found if (row > 0).any()]
            if all(len(row) == 1 for row in drawn) and len(drawn) > 1:
                return (
                    "the same place is rejected in each copy of a group: is nothing drawn by lot, "
                    "or the generator made anew for each?"
                )
            if reweighed(found, expected(**case)):
                return (
                    "the right pairs are made, but some of a group too seldom: every worse "
                    "response is drawn with the same chance."
                )
    return ""


def reweighed(found: np.ndarray, right: np.ndarray) -> bool:
    """Whether the same pairs are made in other shares, one a group."""
    same = ((found > 0) <= (right > 0)).all() and abs(found.sum() - right.sum()) < 0.01
    return bool(same and np.allclose(found.sum(1), right.sum(1)))


ROWS = {
    "no rows": "a list of rows is asked, each with a prompt, a chosen and a rejected text.",
    "no keys": 'each row needs "prompt", "chosen" and "rejected".',
    "no texts": "chosen and rejected must be texts of the group, not scores or places.",
    "no prompt": "a row's prompt is another group's than its texts.",
}


class Pairs(Function):
    """A function that gives rows; they are read as shares of pairs."""

    @property
    def own(self):
        """The book's function."""
        return binarise

    def trouble(self, value, answer) -> str:
        """A word about rows."""
        return ROWS.get(value, "") if isinstance(value, str) else ""

    def verdict(self, gave, answers, ask):
        """A word about pairs where the cause isn't known."""
        said = super().verdict(gave, answers, ask)
        off = [c for c, a, b in zip(self.cases, gave, answers, strict=True) if not self.near(a, b)]
        what = f"with the rule {off[0]['rule']!r} some pairs are none that it makes, or too rare."
        return unknown(what) if said.state == "unknown" else said


BINARISE = Pairs(
    expected,
    [
        {"judged": _groups(which), "rule": rule}
        for which in ((0, 1, 2, 3, 4), (2, 5, 6, 7, 3))
        for rule in ("random", "worst")
    ],
    switches={
        "pick": ("turned", "the two rules have changed places."),
        "best": ("min", "the chosen response has the lowest score: the order is turned."),
        "equals": ("in", "a response can be rejected that scores as high as the best."),
        "sides": ("turned", "chosen and rejected have changed places."),
        "groups": ("fours", "groups of fewer than four responses are left out; they make pairs."),
    },
    wrongs=[
        ("`rule` makes no difference: it is always the worst.",
         lambda *a: expected(*a, pick="worst")),
        ("`rule` makes no difference: it is always a random one.",
         lambda *a: expected(*a, pick="random")),
        ("with either rule the second best is rejected.", lambda *a: expected(*a, pick="second")),
        ('"random" rejects the second best instead of drawing.',
         _only("random", "second")),
        ('"worst" rejects the second best.',
         _only("worst", "second")),
        ('"worst" rejects the one that is listed last, whatever its score.',
         _only("worst", "listed last")),
        ("the best response itself can be drawn as the rejected one.",
         lambda *a: expected(*a, equals="itself")),
        ("two responses are drawn and the better one is chosen; the best of all must be.",
         lambda *a: expected(*a, pick="ordered")),
        ("two responses are drawn and the better one is chosen; the best of all must be.",
         _only("random", "ordered")),
        ("the best is paired with each of the others; one pair a group is asked.",
         lambda *a: expected(*a, pick="every")),
        ("the best is paired with each of the others; one pair a group is asked.",
         _only("random", "every")),
        ("all pairs of a group are made; one pair a group is asked.",
         lambda *a: expected(*a, pick="combinations")),
        ("the chosen response is always the first of the list.",
         lambda *a: expected(*a, best="first")),
        ("a group whose best score is shared leaves no pair; its others are worse, so it should.",
         lambda *a: expected(*a, groups="no ties")),
    ],
    traits=[_by_lot],
    shows="A judge's scores have become pairs, and a tie has become none.",
    rtol=0.0,
    atol=0.13,
    common=False,
    read=read_rows,
)  # fmt: skip
