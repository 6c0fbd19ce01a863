"""Chapter 19, AI feedback: pairs of scores, who wins, a judge that likes the first place."""

from collections.abc import Mapping
from functools import cache

import numpy as np

from ... import world
from . import Function, Numbers
from .ch19_others import ONE, ONE_OF, ORDERS, SCORES, fours, sigmoid
from .ch19_pairs import BINARISE


# ---------------------------------------------------------------- 19.1: who wins
def wins(judged, *, best="max", only=4, over="kept"):
    """Share of the groups with four responses in which each of them scores highest, (4,)."""
    rows = [np.array(g["scores"]) for g in judged if only is None or len(g["scores"]) == only]
    place = {"max": np.argmax, "min": np.argmin}[best]
    counts = np.bincount([place(row) for row in rows], minlength=4)
    return counts / {"kept": len(rows), "all": len(judged), "none": 1}[over]


def _duels(judged):
    s = fours(judged)
    return np.array([(s[:, [k]] > np.delete(s, k, 1)).mean() for k in range(4)])


def _judged(seed: int, n: int) -> list[dict]:
    rng, out = np.random.default_rng(seed), []
    for i in range(n):
        size = 4 if i % 3 else 3
        scores = (rng.normal(size=size) + np.array([0.5, 0.0, 0.9, -0.4])[:size]).round(3).tolist()
        texts = [f"a text {i} {k} ." for k in range(size)]
        out.append({"prompt": f"prompt {i}", "responses": texts, "scores": scores})
    return out


def _listed(value):
    return list(value.values()) if isinstance(value, Mapping) else value


WHO_WINS = Function(
    wins,
    [{"judged": _judged(19, 40)}, {"judged": _judged(7, 61)}, {"judged": _judged(3, 25)}],
    switches={
        "best": ("min", "that counts the lowest scores: how often each source is the worst."),
        "only": (None, "groups with a response fewer are counted: there the places are others."),
        "over": ("none", "those are counts; shares of the groups are asked."),
    },
    wrongs=[
        ("the share is taken of all groups, also of those that were not counted.",
         lambda judged: wins(judged, over="all")),
        ("those are mean scores; a source can score well and seldom win.",
         lambda judged: fours(judged).mean(0)),
        ("that is how often a source beats one other; all three must be beaten.", _duels),
        ("that is a share of pairs won in all; a group has one winner.",
         lambda judged: _duels(judged) / 2),
        ("that is how often a source beats the first one.",
         lambda judged: (fours(judged) > fours(judged)[:, :1]).mean(0)),
        ("those are mean ranks; asked is how often each has the highest score.",
         lambda judged: fours(judged).argsort(1).argsort(1).mean(0)),
        ("those are mean ranks; asked is how often each has the highest score.",
         lambda judged: fours(judged).argsort(1).argsort(1).mean(0) + 1),
        ("those are mean ranks; asked is how often each has the highest score.",
         lambda judged: (-fours(judged)).argsort(1).argsort(1).mean(0) + 1),
        ("that is how often a source is above its group's mean.",
         lambda judged: (fours(judged) > fours(judged).mean(1, keepdims=True)).mean(0)),
        ("that is how often a source has a score above 0.",
         lambda judged: (fours(judged) > 0).mean(0)),
        ("the shares are sorted by size; they must stand in the sources' order.",
         lambda judged: np.sort(wins(judged))[::-1]),
        ("the shares are sorted by size; they must stand in the sources' order.",
         lambda judged: np.sort(wins(judged))),
        ("that is the winner alone; a share for each source is asked.",
         lambda judged: np.argmax(wins(judged))),
        ("only the groups with a response fewer are counted.", lambda judged: wins(judged, only=3)),
        ("those are sums of scores; asked is how often each has the highest score.",
         lambda judged: fours(judged).sum(0)),
        ("the counts are divided by the sources, not by the groups.",
         lambda judged: wins(judged, over="none") / 4),
        ("that is how often each source comes second.",
         lambda judged: (fours(judged).argsort(1)[:, [2]] == np.arange(4)).mean(0)),
        *((why, lambda judged, f=f: f(fours(judged))) for why, f in SCORES.items()),
        *((ONE, lambda judged, f=f: f(fours(judged))) for f in ONE_OF),
        ("that is the winning score where each source wins, not how often it does.",
         lambda judged: np.array([fours(judged)[fours(judged).argmax(1) == k, k].mean()
                                  for k in range(4)])),
    ],
    shows="A source that nearly always won would teach the policy to sound like it.",
    rtol=0.0,
    atol=6e-4,
    read=_listed,
    common=True,
)  # fmt: skip


# ---------------------------------------------------------------- 19.2: both orders
def both_orders(d, bias, *, turn=True, second="biased", half=True):
    """Mean probability of the first text, asked in both orders, (N,)."""
    once = sigmoid(d + bias)
    again = sigmoid(-d + (bias if second == "biased" else 0))
    return (once + (1 - again if turn else again)) / (2 if half else 1)


BOTH = Function(
    both_orders,
    [
        {"d": np.array([0.4, -1.3, 2.2, -0.6, 0.9]), "b": 1.0},
        {"d": np.array([-0.2, 1.7, -2.5, 0.8]), "b": 0.6},
        {"d": np.array([3.0, -1.1, 0.3, -0.7, 1.2, -3.4]), "b": 2.3},
    ],
    switches={
        "turn": (False, "asked in the other order, the judge's σ is the second text's."),
        "second": ("fair", "the judge likes the first place in the other order, too."),
        "half": (False, "the two are added up; their mean is asked."),
    },
    wrongs=[
        ("that is the judge asked once (or twice in the same order, or the larger of two answers).",
         lambda d, b: sigmoid(d + b)),
        ("that is the judge asked in the other order alone (or the smaller of two answers).",
         lambda d, b: 1 - sigmoid(b - d)),
        ("that is the second text's probability, asked once.", lambda d, b: 1 - sigmoid(d + b)),
        ("the judge likes the first place in both orders; in one of yours it doesn't.",
         lambda d, b: (sigmoid(d) + sigmoid(d - b)) / 2),
        ("that is the second text's probability, asked in the other order alone.",
         lambda d, b: sigmoid(b - d)),
        ("that is the judge without its bias, or a mean of log-odds; asked is the mean of two "
         "probabilities.", lambda d, b: sigmoid(d)),
        ("the two answers are multiplied; their mean is asked.",
         lambda d, b: sigmoid(d + b) * (1 - sigmoid(b - d))),
        ("the two answers are multiplied, and one of them is the second text's.",
         lambda d, b: sigmoid(d + b) * sigmoid(b - d)),
        ("the log-odds are added up, as if two judges had been asked; asked is a mean.",
         lambda d, b: sigmoid(2 * d)),
        ("that is the geometric mean.",
         lambda d, b: np.sqrt(sigmoid(d + b) * (1 - sigmoid(b - d)))),
        ("those are labels; probabilities are asked.", lambda d, b: (d > 0) * 1.0),
        ("those are labels, of a judge that is asked once; probabilities are asked.",
         lambda d, b: (d + b > 0) * 1.0),
        ("those are mean labels; the mean of the probabilities is asked.",
         lambda d, b: ((d + b > 0) * 1.0 + (d - b > 0)) / 2),
        ("that is one order less the other; their mean is asked.",
         lambda d, b: sigmoid(d + b) - sigmoid(b - d)),
        ("half of one order less the other: one half is missing in the sum.",
         lambda d, b: (sigmoid(d + b) - sigmoid(b - d)) / 2),
        ("the bias is added to a probability; it belongs into σ.", lambda d, b: sigmoid(d) + b),
        ("the bias multiplies the difference; it is added to it.", lambda d, b: sigmoid(d * b)),
        ("those are log-odds or differences; a probability needs σ.", lambda d, b: d + b),
        ("those are log-odds or differences; a probability needs σ.", lambda d, b: 1.0 * d),
        ("that is the mean over all pairs; one for each pair is asked.",
         lambda d, b: both_orders(d, b).mean()),
        *((why, lambda d, b, f=f: f(sigmoid(d + b), sigmoid(d - b), d, b))
          for why, f in ORDERS.items()),
        ("that is how far the two orders are apart.",
         lambda d, b: sigmoid(d + b) - sigmoid(d - b)),
    ],
    shows="The bias moves both answers, in opposite directions: above one half is the better text.",
    atol=6e-4,
)  # fmt: skip


# ---------------------------------------------------------------- 19.3: straight lines
LINES = ("in KL", "in its root")


@cache
def optimum(kl: float) -> float:
    """True reward of the exact optimum at this KL."""
    return world.REVIEWS.optimum_at_kl(kl).mean_reward


@cache
def _curve():
    """Mean KLs of the exact judge's curve, its runs' mean rewards, the optimum's there."""
    from ..figures import ch19
    from ..records import Record

    kls, runs = ch19.curves(Record.load("judge_quality"), "exact")
    return kls.mean(0), runs.mean(0), np.array([optimum(float(kl)) for kl in kls.mean(0)])


def read_at(to, scale, figures=None):
    """The reading at a KL on a scale."""
    kls, _, rewards = _curve()
    figures = rewards if figures is None else figures
    return float(np.interp(scale(to), scale(kls), figures))


SCALES = (np.asarray, np.sqrt)


def lows(to=5.0, **other):
    """How far below the optimum the two readings lie."""
    return [optimum(to) - read_at(to, scale, **other) for scale in SCALES]


def _lines_wrong(answer):
    kls, runs, rewards = _curve()
    there = optimum(5.0)
    in_log = there - read_at(5.0, np.log)
    squared = there - read_at(5.0, np.square)
    unrooted = there - float(np.interp(5.0, np.sqrt(kls), rewards))
    half_rooted = there - float(np.interp(np.sqrt(5.0), kls, rewards))
    each = [
        (lows(1.0), "that is the gap at a KL of 1; asked: at 5."),
        (
            [there - low for low in answer.values()],
            "that is the reading; how far it lies below the optimum is asked.",
        ),
        (lows(figures=runs), "that reading is of the runs' own rewards; read the optimum's."),
        (
            [low / there for low in answer.values()],
            "that is a share of the optimum's reward; the gap itself is asked.",
        ),
        (
            [100 * low / there for low in answer.values()],
            "that is in per cent of the optimum's reward; the gap itself is asked.",
        ),
        ([100 * low for low in answer.values()], "that is a hundredfold: is it in per cent?"),
    ]
    single = [(n, v, why) for both, why in each for n, v in zip(LINES, both, strict=True)]
    return [
        (LINES, 0.0, "between its points the frontier is straight on neither scale."),
        (LINES, lows(1.0), "those are the gaps at a KL of 1; asked: at 5."),
        (LINES, [there - low for low in answer.values()],
         "those are the readings; how far they lie below the optimum is asked."),
        (LINES, lows(figures=runs),
         "those readings are of the runs' own rewards; read the optimum's at their KLs."),
        (LINES, [read_at(5.0, scale, runs) for scale in SCALES],
         "those are readings of the runs' rewards; asked are gaps of the optimum's."),
        (LINES, there, "that is the optimum itself; how far a reading lies below it is asked."),
        (LINES, [low / there for low in answer.values()],
         "those are shares of the optimum's reward; the gaps themselves are asked."),
        ("in its root", in_log, "that line is straight in the logarithm of KL."),
        ("in KL", in_log, "that line is straight in the logarithm of KL."),
        ("in its root", squared, "that line is straight in the square of KL."),
        ("in its root", unrooted, "the KL that is read at needs its root, too."),
        ("in its root", half_rooted, "the curve's KLs need their root, too."),
        (LINES, answer["in KL"], "both lines are straight in KL."),
        (LINES, answer["in its root"], "both lines are straight in the root."),
        ("in its root", there - read_at(5.0, np.sqrt, np.sqrt(np.maximum(rewards, 0))) ** 2,
         "the rewards were rooted as well; only KL is."),
        ("in its root", answer["in KL"] - answer["in its root"],
         "that is the gap between the two lines, not to the optimum."),
        ("in KL", answer["in KL"] - answer["in its root"],
         "that is the gap between the two lines, not to the optimum."),
        *single,
    ]  # fmt: skip


STRAIGHT = Numbers(
    lambda: dict(zip(LINES, lows(), strict=True)),
    _lines_wrong,
    "The frontier is nearly straight in the root of KL, so a line in the root misses by less.",
    rtol=0.0,
    atol=0.0055,
)

EXERCISES = {"19.0": BINARISE, "19.1": WHO_WINS, "19.2": BOTH, "19.3": STRAIGHT}
