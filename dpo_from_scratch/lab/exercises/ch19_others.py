"""Chapter 19: other figures that could be made of scores, of two orders, and of two lines."""

from collections.abc import Callable

import numpy as np


def fours(judged) -> np.ndarray:
    """Scores of the groups with four responses, (groups, 4)."""
    return np.array([g["scores"] for g in judged if len(g["scores"]) == 4])


def sigmoid(x):
    """σ."""
    return 1 / (1 + np.exp(-np.asarray(x, float)))


_shares = lambda places: np.bincount(places, minlength=4) / len(places)
_won = lambda s: _shares(s.argmax(1))
_centred = lambda s: s - s.mean(1, keepdims=True)
_soft = lambda s: np.exp(s) / np.exp(s).sum(-1, keepdims=True)
ASKED = "; asked is how often each has the highest score."
# of the scores (groups, 4) -> how it is said
SCORES: dict[str, Callable] = {
    "that is how often each source comes third.": lambda s: _shares(s.argsort(1)[:, 1]),
    "that is how often a source isn't the worst" + ASKED: lambda s: 1 - _shares(s.argmin(1)),
    "that is how often a source is among the best two" + ASKED:
        lambda s: (s.argsort(1).argsort(1) >= 2).mean(0),
    "those are shares of a softmax over each group" + ASKED: lambda s: _soft(s).mean(0),
    "that is a softmax of the mean scores" + ASKED: lambda s: _soft(s.mean(0)),
    "those are medians of the scores" + ASKED: lambda s: np.median(s, 0),
    "those are the largest scores of each source" + ASKED: lambda s: s.max(0),
    "that is the spread of each source's scores" + ASKED: lambda s: s.std(0),
    "those are shares of all scores added up" + ASKED: lambda s: s.sum(0) / s.sum(),
    "that is how often a source beats the next one; all three must be beaten.":
        lambda s: (s > np.roll(s, -1, 1)).mean(0),
    "that is how often a source beats the last one; all three must be beaten.":
        lambda s: (s > s[:, 3:]).mean(0),
    "those are odds, p / (1 − p); the shares themselves are asked.":
        lambda s: _won(s) / (1 - _won(s)),
    "that is how far the shares lie above a quarter; the shares themselves are asked.":
        lambda s: _won(s) - 0.25,
    "those are the winners of the groups; asked are four shares.": lambda s: s.argmax(1),
    "the scores have lost their signs.": lambda s: _won(abs(s)),
    "that is how often a source wins less how often it comes last" + ASKED:
        lambda s: _won(s) - _shares(s.argmin(1)),
    "those are mean ranks, divided by 3" + ASKED: lambda s: s.argsort(1).argsort(1).mean(0) / 3,
    "`argsort` tells which source stands at a place, not a source's place" + ASKED:
        lambda s: s.argsort(1).mean(0),
    "those are mean scores, less each group's mean" + ASKED: lambda s: _centred(s).mean(0),
    "those are mean leads over the second best" + ASKED:
        lambda s: (s - np.sort(s, 1)[:, [2]]).mean(0),
    "those are mean leads over the best" + ASKED:
        lambda s: (s - s.max(1, keepdims=True)).mean(0),
    "only the first half of the groups is counted.": lambda s: _won(s[: len(s) // 2]),
}  # fmt: skip
ONE = "one source gets everything; count the winner of each group."
ONE_OF = (  # which source it is
    lambda s: np.eye(4)[np.unravel_index(s.argmax(), s.shape)[1]],
    lambda s: np.eye(4)[s.mean(0).argmax()],
    lambda s: np.eye(4)[_won(s).argmax()],
)

# of the two answers for the first text, p and q, and of (d, b) -> how it is said
ORDERS: dict[str, Callable] = {
    "that is the mean of two logarithms; the mean of the probabilities is asked.":
        lambda p, q, d, b: (np.log(p) + np.log(q)) / 2,
    "that is the first order's answer as a share of both texts' answers; the mean of the first "
    "text's two is asked.": lambda p, q, d, b: p / (p + 1 - q),
    "the bias goes in twice as large.":
        lambda p, q, d, b: (sigmoid(d + 2 * b) + sigmoid(d - 2 * b)) / 2,
    "the bias goes in once, and then twice as large.":
        lambda p, q, d, b: (sigmoid(d + b) + sigmoid(d - 2 * b)) / 2,
    "that is a mean of odds; the mean of the probabilities is asked.":
        lambda p, q, d, b: (np.exp(d + b) + np.exp(d - b)) / 2,
    "those are log-odds of the mean; the mean itself is asked.":
        lambda p, q, d, b: np.log((p + q) / (2 - p - q)),
    "tanh stands in place of σ.": lambda p, q, d, b: (np.tanh(d + b) + np.tanh(d - b)) / 2,
    "the second text's σ in the other order goes in as it is, and 1 is taken off the sum; turn it "
    "first.": lambda p, q, d, b: (p + (1 - q) - 1) / 2,
    "the second text's σ in the other order goes in as it is, and 1 is taken off; turn it first, "
    "and take the mean.": lambda p, q, d, b: p - q,
    "both answers are the second text's in part: one of the two is turned that shouldn't be.":
        lambda p, q, d, b: (q + 1 - p) / 2,
    "those are 1 where both orders agree; the mean of the probabilities is asked.":
        lambda p, q, d, b: (np.sign(d + b) == np.sign(d - b)) * 1.0,
    "that is the share of labels that one order gets wrong; a probability for each pair is asked.":
        lambda p, q, d, b: ((d + b > 0) != (d > 0)).mean(),
    "the judge without bias is the third in the mean; it is asked in two orders.":
        lambda p, q, d, b: (p + q + sigmoid(d)) / 3,
    "β 0.6 stands in the σ; here is none.":
        lambda p, q, d, b: (sigmoid(0.6 * (d + b)) + sigmoid(0.6 * (d - b))) / 2,
    "β 0.5 stands in the σ; here is none.":
        lambda p, q, d, b: (sigmoid(0.5 * (d + b)) + sigmoid(0.5 * (d - b))) / 2,
    "the bias is subtracted in the first order and missing in the other.":
        lambda p, q, d, b: (q + sigmoid(d)) / 2,
}  # fmt: skip
