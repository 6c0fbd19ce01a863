"""Exercises of chapter 02: the slope of the fit, who agrees, which contradiction is enough."""

from collections.abc import Callable
from numbers import Integral

import numpy as np

from . import ch02b
from .answers import Numbers, Own
from .ch02_labels import AGREE
from .functions import Function
from .verdicts import Verdict, misformed, right, wrong


def sigmoid(z):
    """1 / (1 + exp(-z))."""
    return 1 / (1 + np.exp(-z))


# ---------------------------------------------------------------- 02.0: the slope of the fit
def gradient(scores, wins, *, part="", turned=False, lost=False, axis=1, ends=""):
    """Observed minus expected wins of each, (N,); the keywords are mistakes."""
    apart = scores[:, None] - scores[None, :]
    wins = wins.T if lost else wins
    return ENDS[ends](PARTS[part](wins, wins + wins.T, -apart if turned else apart), axis, wins)


PARTS: dict[str, Callable] = {
    "": lambda w, n, z: w - n * sigmoid(z),
    "wins alone": lambda w, n, z: w * sigmoid(-z),
    "losses alone": lambda w, n, z: -w.T * sigmoid(z),
    "whole wins": lambda w, n, z: w - w.T * sigmoid(z),
    "once": lambda w, n, z: w - (n > 0) * sigmoid(z),
    "once, itself too": lambda w, n, z: w - sigmoid(z),
    "all": lambda w, n, z: w - n.sum() / 2 * sigmoid(z),
    "logs": lambda w, n, z: w - n * np.log(sigmoid(z)),
    "log-likelihood": lambda w, n, z: w * np.log(sigmoid(z)),
    "likelihood": lambda w, n, z: w * sigmoid(z),
    "slope of σ": lambda w, n, z: (w - w.T) * sigmoid(z) * sigmoid(-z),
    "plain": lambda w, n, z: w - n * z,
    "odds": lambda w, n, z: w - n * np.exp(z),
    "expected": lambda w, n, z: -n * sigmoid(z),
    "observed": lambda w, n, z: w,
    "shares": lambda w, n, z: w / np.where(n, n, 1) - sigmoid(z),
    "shares, met": lambda w, n, z: (n > 0) * (w / np.where(n, n, 1) - sigmoid(z)),
    "product": lambda w, n, z: w - n @ sigmoid(z),
    "signs": lambda w, n, z: w + n * sigmoid(z),
    "difference": lambda w, n, z: w - w.T,
    "even": lambda w, n, z: w - n / 2,
    "tanh": lambda w, n, z: w - n * np.tanh(z),
    "doubled": lambda w, n, z: w - n * sigmoid(2 * z),
    "curvature": lambda w, n, z: -n * sigmoid(z) * sigmoid(-z),
    "later": lambda w, n, z: np.triu(w - n * sigmoid(z)),
    "earlier": lambda w, n, z: np.tril(w - n * sigmoid(z)),
    "softmax": lambda w, n, z: w - n / np.exp(-z).sum(1, keepdims=True),
    "their wins": lambda w, n, z: w - w * sigmoid(z) + w.T * sigmoid(-z),
    "size": lambda w, n, z: abs(w - n * sigmoid(z)),
    "softened": lambda w, n, z: w * sigmoid(-z) + w.T * sigmoid(z),
}
ENDS: dict[str, Callable] = {
    "": lambda each, axis, wins: each.sum(axis),
    "none": lambda each, axis, wins: each,
    "mean": lambda each, axis, wins: each.mean(axis),
    "choices": lambda each, axis, wins: each.sum(axis) / wins.sum(),
    "games": lambda each, axis, wins: each.sum(axis) / (wins + wins.T).sum(axis),
    "total": lambda each, axis, wins: each.sum(),
}
WHYS = {
    ("part", "losses alone"): "wins are left out: a score gains from its wins, too.",
    ("part", "whole wins"): "a win counts fully; it gains only what wasn't expected of it.",
    ("part", "once"): "each pair counts once, however often it was compared.",
    ("part", "once, itself too"): "σ is taken off once a pair, whatever was compared, itself too.",
    ("part", "all"): "every pair gets all the choices; it was compared w_ij + w_ji times.",
    ("part", "logs"): "a logarithm too many: expected wins are counts times σ, not log σ.",
    ("part", "log-likelihood"): "that is the log-likelihood, answer by answer, not its slope.",
    ("part", "likelihood"): "that is wins times σ; the slope of log σ(z) is σ(−z).",
    ("part", "slope of σ"): "that is the slope of σ; the slope of log σ is asked.",
    ("part", "plain"): "the difference of the scores stands in place of its σ.",
    ("part", "odds"): "the odds stand in place of the probability: σ is missing.",
    ("part", "expected"): "the observed wins are missing.",
    ("part", "observed"): "those are the observed wins alone; the expected ones come off.",
    ("part", "shares"): "shares stand in place of counts: each pair weighs the same.",
    ("part", "shares, met"): "shares stand in place of counts: each pair weighs the same.",
    ("part", "product"): "a matrix product (@) stands where entries are multiplied (*).",
    ("part", "signs"): "expected wins are added; they come off.",
    ("part", "softened"): "losses are added; a score pays for them.",
    ("part", "difference"): "those are wins minus losses; scores, and what they expect, are out.",
    ("part", "even"): "half of the comparisons come off, as if all scores were alike.",
    ("part", "tanh"): "tanh stands in place of σ.",
    ("part", "doubled"): "the difference of the scores goes in doubled.",
    ("part", "curvature"): "that is the second derivative; the first is asked.",
    ("part", "later"): "only opponents that come later are counted, not the earlier ones.",
    ("part", "earlier"): "only opponents that come earlier are counted, not the later ones.",
    ("part", "softmax"): "a softmax over all answers stands in place of σ, pair by pair.",
    ("part", "their wins"): "losses are added; a score pays for them.",
    ("part", "size"): "the sign of each pair's part is lost.",
    ("ends", "none"): "it isn't added up over the opponents: each answer has one slope.",
    ("ends", "games"): "it is divided by the number of comparisons of each answer.",
    ("ends", "choices"): "it is divided by the number of choices: a sum is asked.",
    ("ends", "total"): "all is added up, which is always zero: each answer has its own slope.",
}


def slope_with(**slips) -> Callable:
    """The gradient with these mistakes."""
    return lambda scores, wins: gradient(scores, wins, **slips)


def tables() -> list[dict]:
    """Scores and wins, each pair compared another number of times, some never."""
    return [
        {
            "scores": np.array([0.4, -1.3, 2.1]),
            "wins": np.array([[0, 3, 1], [2, 0, 0], [1, 4, 0.0]]),
        },
        {
            "scores": np.array([1.0, 0.3, -0.7, 1.6]),
            "wins": np.array([[0, 1, 2, 0], [0, 0, 1, 1], [5, 0, 0, 0], [3, 0, 2, 0.0]]),
        },
        {
            "scores": np.array([-0.2, 0.9, 0.5, -1.1, 0.7]),
            "wins": np.triu(np.ones((5, 5)), 1) + np.eye(5, k=-4),
        },
    ]


SLOPE = Function(
    gradient,
    tables(),
    switches={
        "part": ("wins alone", "losses don't count: a score pays for them, too."),
        "turned": (True, "the difference of the scores is turned round inside σ."),
        "lost": (True, "wins and losses are exchanged: w_ij counts how often i won against j."),
        "axis": (0, "the sign is turned: expected minus observed, or the sum has the wrong index."),
        "ends": ("mean", "it is divided by the number of answers: a sum is asked."),
    },
    wrongs=[
        *((why, slope_with(**{key: value})) for (key, value), why in WHYS.items()),
        (
            "that is the log-likelihood itself; its slope in each score is asked.",
            slope_with(part="log-likelihood", ends="total"),
        ),
        ("that is half of the slope.", lambda scores, wins: gradient(scores, wins) / 2),
        ("that is twice the slope.", lambda scores, wins: gradient(scores, wins) * 2),
        (
            "that is a step of the climb, the scores included; the slope alone is asked.",
            lambda scores, wins: scores + 0.3 * gradient(scores, wins),
        ),
        (
            "that is a Newton step: the slope over the curvature.",
            lambda scores, wins: gradient(scores, wins) / -gradient(scores, wins, part="curvature"),
        ),
        (
            "that is a step of the climb, the scores included; the slope alone is asked.",
            lambda scores, wins: scores + gradient(scores, wins),
        ),
        (
            "the slope of a prior is in it, too.",
            lambda scores, wins: gradient(scores, wins) - scores,
        ),
        (
            "the slope of a prior is in it, too.",
            lambda scores, wins: gradient(scores, wins) - scores / 4,
        ),
    ],
    shows="A score rises while it wins more often than it expects.",
    rtol=1e-3,
    atol=1e-5,
)


# ---------------------------------------------------------------- 02.2: which contradiction
def contradiction(attempt) -> Verdict:
    """The pairs (winner, loser) that make the best scores finite."""
    attempt = attempt.tolist() if hasattr(attempt, "tolist") else attempt
    attempt = list(attempt) if isinstance(attempt, dict) else attempt
    pairs = [attempt] if is_pair(attempt) else attempt
    if not isinstance(pairs, list | tuple | set | frozenset) or not all(map(is_pair, pairs)):
        return misformed("write a list of pairs, [(winner, loser), ...], counted from 0.")
    found = {(int(winner), int(loser)) for winner, loser in pairs}
    if any(max(pair) > 4 for pair in found):
        return wrong("answers are counted from 0, as the table's rows are, so the last is 4.")
    if not found:
        return wrong("at least one of the ten is enough.")
    if found == {(0, 4)}:
        return wrong("write the winner of the added label first.")
    if found == {(w, b) for w in range(5) for b in range(w)} - {(4, 0)}:
        return wrong("those are all but one: are they the ones that are not enough?")
    if any(winner <= loser for winner, loser in found):
        return wrong("row i beats the later ones already: a contradiction has the later one win.")
    for winner, loser in sorted(found, key=lambda pair: pair[0] - pair[1]):
        if loser > 0:
            return wrong(f"after {winner} over {loser}, answer 0 has still never lost.")
        if winner < 4:
            return wrong(f"after {winner} over {loser}, the last answer has still never won.")
    return right("Now every group of answers has won against the rest, and lost to it.")


def is_pair(value) -> bool:
    """Two whole numbers."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    many = isinstance(value, tuple | list) and len(value) == 2
    return many and all(isinstance(v, Integral | float) and v == int(v) >= 0 for v in value)


EXERCISES = {
    "02.0": SLOPE,
    "02.1": AGREE,
    "02.2": Own(contradiction, [(4, 0)]),
    "02.3": Numbers(ch02b.flipped, ch02b.flip_slips, "Flips look like indifference.", 0.004),
    "02.4": Numbers(
        lambda: dict(zip(ch02b.PLANS, ch02b.errors(), strict=True)),
        ch02b.plan_slips,
        "Close calls tell most, but along a chain the errors add up.",
    ),
}
