"""Chapter 14: the loss of LN-DPO over all pairs of a small world, and what it is taken for."""

import numpy as np
import torch
from scipy.special import logsumexp
from torch.nn.functional import logsigmoid

from .functions import Function


def mean_loss(log_p, score, sizes, beta, *, by="own", labels="soft", start=1, over="all", power=1):
    """LN-DPO's mean loss over all ordered pairs of N replies; the keywords are mistakes."""
    log_p, score, sizes = (torch.as_tensor(t, dtype=torch.double) for t in (log_p, score, sizes))
    rho = log_p + start * np.log(len(log_p))
    mine, yours = sizes[:, None], sizes[None]
    a, b = rho[:, None], rho[None]
    d = {
        "own": a / mine - b / yours, "nothing": a - b, "other": a / yours - b / mine,
        "both": (a - b) / (mine + yours), "middle": 2 * (a - b) / (mine + yours),
        "first": (a - b) / mine, "times": a * mine - b * yours, "mean": (a - b) / sizes.mean(),
    }[by] * beta**power  # fmt: skip
    gap = score[:, None] - score[None]
    wins = {
        "soft": torch.sigmoid(gap), "turned": torch.sigmoid(-gap),
        "scaled": torch.sigmoid(beta * gap), "loses": (gap < 0).double(),
        "alone": torch.sigmoid(score)[:, None] + 0 * gap,
        "hard": (gap > 0).double() + 0.5 * (gap == 0), "first": torch.ones_like(gap),
        "linear": gap, "per token": torch.sigmoid(score[:, None] / mine - score[None] / yours),
    }[labels]  # fmt: skip
    loss = -wins * logsigmoid(d) - (1 - wins) * logsigmoid(-d)
    if over == "others":
        return loss[~torch.eye(len(loss), dtype=torch.bool)].mean()
    return {"all": loss.mean, "sum": loss.sum, "rows": lambda: loss.mean(1), "each": lambda: loss}[
        over
    ]()


def _slip(**mistakes):
    return lambda *args: mean_loss(*args, **mistakes)


def _one_term(log_p, score, sizes, beta):
    each = beta * (log_p + np.log(len(log_p))) / sizes
    wins = torch.sigmoid(score[:, None] - score[None])
    return -(wins * logsigmoid(each[:, None] - each[None])).mean()


def _other(end=torch.mean, ahead=lambda rho, n, b: b * rho / n, p=None, sides=1):
    """The loss with its mean, its d, its p or its second term changed."""

    def loss(log_p, score, sizes, beta):
        each = ahead(log_p + np.log(len(log_p)), sizes, beta)
        d, wins = each[:, None] - each, torch.sigmoid(score[:, None] - score)
        wins = wins if p is None else p(score, sizes, beta)
        return end(-wins * logsigmoid(d) - sides * (1 - wins) * logsigmoid(-d))

    return loss


LEAST_MORE = (
    ("the roots of the lengths divide ρ: the lengths do.",
     _other(ahead=lambda rho, n, b: b * rho / n**0.5)),
    ("the lengths divide ρ twice.", _other(ahead=lambda rho, n, b: b * rho / n**2)),
    ("β divides ρ: it multiplies it.", _other(ahead=lambda rho, n, b: rho / n / b)),
    ("ρ is divided by the longest reply's length: divide each by its own.",
     _other(ahead=lambda rho, n, b: b * rho / n.max())),
    ("ρ is divided by all lengths added up: divide each by its own.",
     _other(ahead=lambda rho, n, b: b * rho / n.sum())),
    ("one is taken off the lengths: the end counts, too.",
     _other(ahead=lambda rho, n, b: b * rho / (n - 1))),
    ("one is added to the lengths: they have the end already.",
     _other(ahead=lambda rho, n, b: b * rho / (n + 1))),
    ("the scores are divided by β in the labels: they are σ of the scores' difference.",
     _other(p=lambda s, n, b: torch.sigmoid((s[:, None] - s) / b))),
    ("p is a ratio of scores: it is σ of their difference.",
     _other(p=lambda s, n, b: s[:, None] / (s[:, None] + s))),
    ("the second term is taken off: both terms cost something.", _other(sides=-1)),
    ("only pairs i ≤ j are averaged: all ordered ones are asked.",
     _other(lambda each: each[torch.triu(torch.ones_like(each)).bool()].mean())),
    ("half of the pairs is added up and divided by N²: all ordered ones are asked.",
     _other(lambda each: torch.triu(each, 1).mean())),
    ("the sum is divided by N; there are N × N pairs.", _other(lambda each: each.sum(1).mean())),
    ("the sum is divided by N(N − 1); there are N × N pairs.",
     _other(lambda each: each.sum() / len(each) / (len(each) - 1))),
    ("a reply's pair with itself is left out of the sum, and counted in the number.",
     _other(lambda each: (each.sum() - each.trace()) / each.numel())),
    ("only the first reply's pairs are averaged.", _other(lambda each: each[0].mean())),
    ("only a reply with itself is averaged: that is ln 2.",
     _other(lambda each: each.trace() / len(each))),
    ("only neighbours in the list are averaged.", _other(lambda each: each.diagonal(1).mean())),
    ("that is the median of the pairs; the mean is asked.", _other(torch.median)),
    ("that is the largest loss of a pair; the mean is asked.", _other(torch.max)),
    ("that is the least that the loss can be, the labels' own entropy.",
     lambda log_p, s, n, b: _entropy(torch.sigmoid(s[:, None] - s)).mean()),
    ("the labels' entropy is taken off: the loss itself is asked.",
     lambda log_p, s, n, b: mean_loss(log_p, s, n, b)
     - _entropy(torch.sigmoid(s[:, None] - s)).mean()),
)  # fmt: skip


def _entropy(p):
    return -p * p.log() - (1 - p) * (1 - p).log()


def _small_world(n: int, beta: float, seed: int) -> dict:
    draw = np.random.default_rng(seed)
    log_p = draw.normal(size=n) - np.log(n)
    given = {
        "log_p": log_p - logsumexp(log_p), "score": draw.normal(size=n) * 1.4,
        "sizes": draw.integers(5, 30, n).astype(float),
    }  # fmt: skip
    return {k: torch.tensor(v) for k, v in given.items()} | {"beta": beta}


LEAST = Function(
    mean_loss,
    [_small_world(5, 20.0, 0), _small_world(7, 12.0, 1), _small_world(4, 31.0, 2)],
    switches={
        "by": ("nothing", "the lengths are left out: that is DPO's loss."),
        "start": (0, "the reference is left out: ρ is log π less its log 1/N."),
        "labels": ("turned", "p is turned round, or d is: both speak of the first reply."),
        "over": ("others", "a reply's pair with itself is left out, or only pairs i < j count; "
                   "all N × N are asked."),
        "power": (2, "β goes in twice."),
    },
    wrongs=(
        ("β is left out.", _slip(power=0)),
        ("each ρ is divided by the other reply's length.", _slip(by="other")),
        ("the difference of ρ is divided by the sum of the lengths: divide each by its own.",
         _slip(by="both")),
        ("the difference of ρ is divided by the pair's mean length: divide each by its own.",
         _slip(by="middle")),
        ("both ρ are divided by the first reply's length.", _slip(by="first")),
        ("ρ is divided by the mean of all lengths: divide each by its own.", _slip(by="mean")),
        ("the lengths multiply ρ: they divide it.", _slip(by="times")),
        ("β goes into the labels: they are σ of the scores' difference.", _slip(labels="scaled")),
        ("the better one always wins: a label is drawn with chance p.", _slip(labels="hard")),
        ("the worse one always wins: a label is drawn with chance p, by the scores.",
         _slip(labels="loses")),
        ("p is σ of the first score alone: it is of the scores' difference.",
         _slip(labels="alone")),
        ("the reference goes in with the wrong sign: its log is -log N.", _slip(start=-1)),
        ("ρ is a ratio of probabilities; its logarithm is asked.",
         lambda log_p, *rest: mean_loss(log_p.exp() * len(log_p), *rest, start=0)),
        ("the sum over unordered pairs: the mean over all ordered ones is asked.",
         lambda *args: torch.triu(mean_loss(*args, over="each"), 1).sum()),
        ("the scores are left out: either the first one always wins, or p is a half.",
         _slip(labels="first")),
        ("p is the scores' difference itself: a sigmoid is missing.", _slip(labels="linear")),
        ("the scores are divided by the lengths, too: the labels know no lengths.",
         _slip(labels="per token")),
        ("the sum over pairs: the mean is asked.", _slip(over="sum")),
        ("a mean for each reply: one number for all pairs is asked.", _slip(over="rows")),
        ("a loss for each pair: their mean is asked.", _slip(over="each")),
        *LEAST_MORE,
        ("only one of the two terms of a pair's loss is there.", _one_term),
        ("the sign is turned: a loss is positive.", lambda *args: -mean_loss(*args)),
    ),
    shows="Its gradient is zero at the policy of the table's line, and not at DPO's.",
)  # fmt: skip
