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
def ceiling(flips: float = 0.0) -> tuple[float, float]:
    """Best accuracy and least loss in the mini world."""
    replies = world.MINI.replies(SOUP)
    probs = np.exp(world.MINI.log_probs(SOUP, replies))
    labels = exact.preferences(world.rewards(SOUP, replies))
    return exact.ceiling(probs, flips + (1 - 2 * flips) * labels)[:2]


def best_accuracy() -> float:
    """The mini world's ceiling."""
    return ceiling()[0]


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
        (
            top,
            0.1 + 0.8 * best,
            "that is ε = 0.1, or a coin tossed with ε: a flip turns the label round.",
        ),
        (top, 0.4 + 0.2 * best, "that is ε = 0.4: two flips, or 2ε taken for ε."),
        (
            top,
            0.2 + 0.6 * p,
            "that is the one pair's share, or the mini world's, rounded on the way.",
        ),
        (top, p, "that is the share for the one pair, without flips; asked is the mini world's."),
        (top, ceiling(0.2)[1], "that is the least loss; asked is the accuracy."),
        (top, ceiling()[1], "that is the least loss, without flips; asked is the accuracy."),
        (top, 0.5 + (best - 0.5) / 2, "ε is 0.2, and what is above a half shrinks by 1 − 2ε."),
        (top, best - 0.2 * best + 0.2 * 0.5, "a flipped label is turned round, and not tossed."),
        (top, 0.5, "the labels still say something: a flip turns one in five round."),
        (top, 0.6, "1 − 2ε shrinks what is above a half; it is no accuracy itself."),
        (top, best - 0.2 * (1 - best), "a label that was wrong gets right by its flip."),
        (top, 1 - 0.6 * best, "ε is missing: ε + (1 − 2ε) p."),
        (gap, logit(0.8), "those are the log-odds of a label that isn't flipped; p is missing."),
        (gap, logit(0.4 + 0.2 * p), "that is ε = 0.4: two flips, or 2ε taken for ε."),
        (gap, logit(0.2 + 0.6 * sigmoid(0.5)), "p is σ(1): the difference isn't halved."),
        (gap, logit(0.2 + 0.6 * sigmoid(2.0)), "p is σ(1): the difference isn't doubled."),
        (gap, 1 - answer[gap], "that is by how much it shrinks; asked is what is left."),
        (gap, 1 / answer[gap], "that is one over it; flips make a difference smaller."),
        (gap, 2 * (0.2 + 0.6 * p) - 1, "p − (1 − p) is no difference of scores; take log-odds."),
        (gap, 0.0, "the labels still favour the better one."),
        (gap, answer[gap] / math.log(2), "that is a logarithm to base 2; ours are natural."),
        (gap, 0.2, "that is ε itself."),
        (gap, sigmoid(0.6), "the probability is shrunk by 1 − 2ε, not the difference."),
        (gap, logit(answer[gap]), "the log-odds are taken twice."),
        (gap, 0.2 + 0.6 * p, "that is the probability of the label; its log-odds are asked."),
        (gap, p, "that is a probability, and without flips."),
        (gap, 1, "that is the true difference, without flips."),
        (gap, 0.6, "the probability is shrunk by 1 − 2ε, not the difference."),
        (gap, 0.8, "the probability is flipped, not the difference."),
        (gap, logit(0.8 * p), half),
        (gap, logit(0.6 * p), "ε is missing in front: ε + (1 − 2ε) p."),
        (gap, logit(0.2 + 0.8 * p), "p is kept with 1 − ε and becomes 1 − p with ε, not 1."),
        (
            gap,
            logit(0.1 + 0.8 * p),
            "that is ε = 0.1, or a coin tossed with ε: a flip turns the label round.",
        ),
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
        (errors(2, 2), "the second plan has five labels for each of its pairs, not two."),
        (errors(5, 5), "the first plan has two labels for each of its pairs, not five."),
        (errors(2, 4), "20 labels for four pairs are five for each."),
        (errors(2, 20), "20 labels for four pairs are five for each."),
        (errors(2, 1), "the second plan has five labels for each of its pairs, not one."),
        (errors(20, 5), "20 labels for ten pairs are two for each."),
        (errors(spread=0.5), "the scores are one apart, not one half."),
        (errors(spread=2.0), "the scores are one apart, not two."),
        (errors(prior=1.0), "there is a prior in it; the formula has none."),
        (
            errors(of=lambda v, j: math.sqrt(v[0, 0]) + math.sqrt(v[j, j])),
            "standard errors of the two scores are added; they are correlated, and squares add.",
        ),
        (
            errors(of=lambda v, j: v[0, 0] + v[j, j]),
            "those are variances, and the covariance is left out.",
        ),
        (
            errors(of=lambda v, j: math.sqrt(v[0, 0] + v[j, j] + 2 * v[0, j])),
            "that is the error of the sum of the two scores; of a difference, 2 cov comes off.",
        ),
        (
            errors(
                of=lambda v, j: (
                    math.sqrt(v[1, 1] + v[2, 2] - 2 * v[1, 2])
                    if j == 1
                    else math.sqrt(v[0, 0] + v[4, 4] - 2 * v[0, 4])
                )
            ),
            "the first two are answers 0 and 1; that is 1 and 2.",
        ),
        ([1 / v for v in (a, b, c, d)], "that is one over the standard error."),
        ([0.5**0.5, 0.5**0.5, 0.2**0.5, 0.2**0.5], "that is 1/√n; a label tells p(1 − p) of it."),
        (
            [
                math.sqrt(sigmoid(4) * sigmoid(-4) / 2),
                math.sqrt(sigmoid(1) * sigmoid(-1) / 2),
                math.sqrt(sigmoid(4) * sigmoid(-4) / 5),
                math.sqrt(sigmoid(1) * sigmoid(-1) / 5),
            ],
            "those are standard errors of a share; asked are those of a difference of scores.",
        ),
        ([2 * v for v in (a, b, c, d)], "those are two standard errors; one is asked."),
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
