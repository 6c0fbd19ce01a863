"""Exercises 3 and 4 of chapter 02: a labeller who flips, and twenty labels spent well."""

import math
from collections.abc import Mapping
from functools import cache

import numpy as np

from ... import exact, world

SOUP = "restaurant : how was the soup ?"


def sigmoid(z: float) -> float:
    """1 / (1 + exp(-z))."""
    return 1 / (1 + math.exp(-z))


# ---------------------------------------------------------------- 02.3: a labeller who flips
FLIPS = ("ceiling", "difference")


@cache
def best_accuracy() -> float:
    """The mini world's ceiling."""
    replies = world.MINI.replies(SOUP)
    probs = np.exp(world.MINI.log_probs(SOUP, replies))
    return exact.ceiling(probs, exact.preferences(world.rewards(SOUP, replies)))[0]


def logit(p: float) -> float:
    """Log-odds."""
    return math.log(p / (1 - p))


def flipped() -> dict[str, float]:
    """With max(p, 1 - p), the ceiling is flipped as each probability is."""
    seen = (0.2 + 0.6 * best_accuracy(), logit(0.2 + 0.6 * sigmoid(1.0)))
    return dict(zip(FLIPS, seen, strict=True))


def flip_slips(answer: Mapping[str, float]) -> list:
    """Mistakes with flips."""
    (top, gap), best, p = FLIPS, best_accuracy(), sigmoid(1.0)
    half = "only half of it: a label that is right by luck is flipped, and one that is wrong, too."
    return [
        (FLIPS, list(answer.values())[::-1], "the right numbers, but the ceiling comes first."),
        (top, 0.8 * best, half),
        (top, best, "that is the ceiling without flips."),
        (top, best - 0.2, "a fifth of all labels is flipped, and some of them become right."),
        (top, 0.6 * best, "ε is missing in front: ε + (1 − 2ε) p."),
        (top, 0.8, "that is how often a label is kept, whatever its ceiling was."),
        (top, 0.8 + 0.2 * best, "p is kept with 1 − ε and becomes 1 − p with ε, not 1."),
        (top, 0.2 + 0.8 * best, "p is kept with 1 − ε and becomes 1 − p with ε, not 1."),
        (top, 0.1 + 0.8 * best, "that is a coin tossed with ε; a flip turns the label round."),
        (top, 0.4 + 0.2 * best, "that is ε = 0.4: two flips, or 2ε taken for ε."),
        (gap, 0.2 + 0.6 * p, "that is the probability of the label; its log-odds are asked."),
        (gap, p, "that is a probability, and without flips."),
        (gap, 1, "that is the true difference, without flips."),
        (gap, 0.6, "the probability is shrunk by 1 − 2ε, not the difference."),
        (gap, 0.8, "the probability is flipped, not the difference."),
        (gap, logit(0.8 * p), half),
        (gap, logit(0.6 * p), "ε is missing in front: ε + (1 − 2ε) p."),
        (gap, logit(0.2 + 0.8 * p), "p is kept with 1 − ε and becomes 1 − p with ε, not 1."),
        (gap, logit(0.1 + 0.8 * p), "that is a coin tossed with ε; a flip turns it round."),
        (gap, logit(best_accuracy()), "that is the ceiling's log-odds; asked is one pair."),
        (gap, logit(answer[top]), "that is the ceiling's log-odds; asked is one pair."),
        (gap, math.log(0.2 + 0.6 * p), "that is a logarithm; log-odds divide by 1 − p first."),
        (gap, (0.2 + 0.6 * p) / (0.8 - 0.6 * p), "those are the odds; their logarithm is asked."),
    ]


# ---------------------------------------------------------------- 02.4: twenty labels
PLANS = ("all, outer", "all, first two", "neighbours, outer", "neighbours, first two")
APART = np.abs(np.subtract.outer(range(5), range(5)))


def errors(all_pairs=2.0, neighbours=5.0, of=None, spread=1.0, prior=0.0) -> list[float]:
    """The four standard errors, or another figure of the covariance."""
    truth = exact.preferences(spread * np.arange(-2.0, 3.0))
    of = of or (lambda c, j: math.sqrt(c[0, 0] + c[j, j] - 2 * c[0, j]))
    bought = (all_pairs * truth * (APART > 0), neighbours * truth * (APART == 1))
    found = [exact.fit_bradley_terry(wins, prior).covariance for wins in bought]
    return [of(c, j) for c in found for j in (4, 1)]


def plan_slips(answer: Mapping[str, float]) -> list:
    """Mistakes with the plans: in all four numbers, then in some of them."""
    a, b, c, d = answer.values()
    alone = [1 / math.sqrt(2 * q) for q in (sigmoid(4) * sigmoid(-4), sigmoid(1) * sigmoid(-1))]
    whole = [
        ([a * a, b * b, c * c, d * d], "those are variances; a standard error is the root."),
        (errors(1, 1), "each pair is counted once: hand in the expected wins, n p."),
        (errors(5, 2), "the numbers of labels are exchanged: two for ten pairs, five for four."),
        (errors(20, 20), "that is 20 labels for every pair; 20 in all can be bought."),
        (errors(4, 10), "that is twice as many labels as were bought: p and 1 − p add up to one."),
        (errors(1, 2.5), "that is half of the labels that were bought."),
        (errors(spread=0), "that is for answers that are all alike; p depends on the scores."),
        (errors(spread=-1), "that is it with the order turned round."),
        (errors(prior=0.25), "there is a prior in it; the formula has none."),
        (errors(of=lambda v, j: math.sqrt(v[0, 0])), "that is the error of one score alone."),
        (errors(of=lambda v, j: math.sqrt(v[j, j])), "that is the error of one score alone."),
        (
            errors(of=lambda v, j: math.sqrt(v[0, 0] + v[j, j])),
            "the covariance of the two scores is left out.",
        ),
        ([1.96 * v for v in (a, b, c, d)], "those are half-widths of 95 % intervals."),
        ([c, d, a, b], "the two plans are exchanged."),
        ([b, a, d, c], "the outer two and the first two are exchanged."),
        ([a, c, b, d], "the order is: both of the first plan, then both of the second."),
    ]
    direct = "that is for its own labels alone; the other pairs tell something, too."
    return [
        *((PLANS, value, why) for value, why in whole),
        (PLANS[:2], alone, direct),
        (PLANS[0], alone[0], direct),
        (PLANS[1], alone[1], direct),
        (PLANS[2], 4 * d, "along a chain the squares of the errors add up, not the errors."),
        (PLANS[2], d, "that is one link of the chain; four lie between the outer two."),
        (PLANS[2], d / 2, "along a chain errors add up; they don't average out."),
        (
            PLANS[2],
            1 / math.sqrt(5 * sigmoid(4) * sigmoid(-4)),
            "the outer two are never compared.",
        ),
    ]
