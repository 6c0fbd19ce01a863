"""04.4: the DPO loss of a ranking."""

import math
from itertools import combinations

import numpy as np
import torch
from torch.nn.functional import softplus

from .functions import Function


def ranking_loss(log_ratios, beta, *, rest="k on", power=1, stop=0, over="sum", sums="sum"):
    """The DPO loss of a ranking, (K,) log-ratios, best first."""
    scores = beta**power * torch.as_tensor(log_ratios)
    parts = []
    for k in range(len(scores) - stop):
        left = {"k on": scores[k:], "all": scores, "after k": scores[k + 1 :],
                "up to k": scores[: k + 1]}[rest]  # fmt: skip
        if not len(left):
            continue
        below = left.logsumexp(0)
        below = below - np.log(len(left)) if sums == "mean" else below
        parts.append((left.max() if sums == "max" else below) - scores[k])
    parts = torch.stack(parts or [0 * scores[0]])
    return {
        "sum": parts.sum(), "mean": parts.mean(), "first": parts[0],
        "gaps": parts[:-1].mean(), "shares": -parts.neg().exp().sum(),
        "log of the sum": -parts.neg().logsumexp(0),
        "one minus": (1 - parts.neg().exp()).sum(),
        "log of the mean": -parts.neg().logsumexp(0) + np.log(len(parts)),
    }[over]  # fmt: skip


def _over_pairs(pick, mean=False):
    """DPO's loss of some pairs of places, added up."""

    def loss(log_ratios, beta):
        rho = torch.as_tensor(log_ratios)
        pairs = [(i, j) for i, j in combinations(range(len(rho)), 2) if pick(i, j, len(rho))]
        losses = torch.stack([softplus(-beta * (rho[i] - rho[j])) for i, j in pairs])
        return losses.mean() if mean else losses.sum()

    return loss


def _no_exp(log_ratios, beta):
    """Scores in place of e to the scores."""
    scores = beta * torch.as_tensor(log_ratios)
    return sum((scores[k:].sum() / scores[k]).log() for k in range(len(scores)))


def _rankings() -> list[dict]:
    """Four, three, five and two places."""
    rng = torch.Generator().manual_seed(3)
    draw = lambda n: torch.randn(n, generator=rng, dtype=torch.float64) * 1.4 + 0.5
    sizes = ((4, 0.6), (3, 0.25), (5, 1.7), (2, 0.8))
    return [{"log_ratios": draw(n), "beta": beta} for n, beta in sizes]


def _as(**keywords):
    return lambda *case: ranking_loss(*case, **keywords)


RANKING = Function(
    ranking_loss,
    _rankings(),
    switches={
        "rest": ("all", "every factor's denominator holds all replies; those already placed have"
                        " left."),
        "power": (2, "β goes in twice."),
        "sums": ("mean", "the denominators take a mean; asked is the sum."),
    },
    wrongs=[
        ("a reply isn't in its own denominator; it is one of those left to choose from.",
         _as(rest="after k")),
        ("it reads the ranking from the worst: the denominators hold those already placed, and not"
         " those that are left.",
         _as(rest="up to k")),
        ("it stops one place early: the last two still have to be put in order.", _as(stop=2)),
        ("it stops one place early: the last two still have to be put in order.",
         lambda rho, beta: ranking_loss(rho, beta, stop=2 if len(rho) > 2 else 1)),
        ("every factor has the first reply's score in its numerator.",
         lambda rho, beta: sum((beta * rho[k:]).logsumexp(0) - beta * rho[0]
                               for k in range(len(rho)))),
        ("only the first place's factor and the last but one's are in it.",
         lambda rho, beta: sum((beta * rho[k:]).logsumexp(0) - beta * rho[k]
                               for k in {0, len(rho) - 2})),
        ("the loss is multiplied by the number of replies.",
         lambda rho, beta: len(rho) * ranking_loss(rho, beta)),
        ("the best reply's probability among all is counted once for each place.",
         lambda rho, beta: len(rho) * ranking_loss(rho, beta, over="first")),
        ("the log-ratios are taken for probabilities' logs, and their sum is the loss.",
         lambda rho, beta: -(beta * rho).sum()),
        ("that is the log of the number of rankings more: each factor lacks 1 / (places left).",
         lambda rho, beta: ranking_loss(rho, beta) + math.lgamma(len(rho) + 1)),
        ("the log of the sum of all pairs' chances is taken; a place is drawn from all.",
         lambda rho, beta: -torch.stack([
             torch.sigmoid(beta * (rho[i] - rho[j]))
             for i, j in combinations(range(len(rho)), 2)]).sum().log()),
        ("that is minus the ranking's probability; its logarithm is missing.",
         lambda *c: -torch.exp(-ranking_loss(*c))),
        ("only the hardest place counts; the ranking's loss adds up all.",
         lambda rho, beta: max((beta * rho[k:]).logsumexp(0) - beta * rho[k]
                               for k in range(len(rho)))),
        ("only the last two are compared; the other places are drawn as well.",
         lambda rho, beta: ranking_loss(rho[-2:], beta)),
        ("the mean over the places is taken; the probability of a ranking is a product, so its"
         " loss is a sum.", _as(over="mean")),
        ("the mean over the places is taken; the probability of a ranking is a product, so its"
         " loss is a sum.", _as(over="gaps")),
        ("only the first place is in it; the others have to be drawn as well.", _as(over="first")),
        ("the factors are added; a ranking's probability is their product.", _as(over="shares")),
        ("that is the log of a sum; asked is the sum of logs: a ranking's probability is a"
         " product.", _as(over="log of the sum")),
        ("that is the log of a mean; asked is the sum of logs.", _as(over="log of the mean")),
        ("the factors' shortfalls from one are added; asked are minus their logarithms.",
         _as(over="one minus")),
        ("the denominators take the largest term; asked is the sum.", _as(sums="max")),
        ("all pairs are compared two by two, which counts a reply several times; a place is drawn"
         " from all that are left.", _over_pairs(lambda i, j, n: True)),
        ("that is the mean over all pairs; a place is drawn from all that are left.",
         _over_pairs(lambda i, j, n: True, mean=True)),
        ("each place is compared with the next one alone; it is drawn from all that are left.",
         _over_pairs(lambda i, j, n: j == i + 1)),
        ("that is the mean over neighbouring pairs; a place is drawn from all that are left.",
         _over_pairs(lambda i, j, n: j == i + 1, mean=True)),
        ("the first is compared with each other one by one; the rest has no order yet.",
         _over_pairs(lambda i, j, n: i == 0)),
        ("the last reply is left out: it stands in every denominator.",
         lambda rho, beta: ranking_loss(rho[:-1], beta)),
        ("the first reply is left out: the first place is drawn, too.",
         lambda rho, beta: ranking_loss(rho[1:], beta)),
        ("the pairs are turned round, and a place is drawn from all that are left.",
         lambda rho, beta: _over_pairs(lambda i, j, n: True)(-rho, beta)),
        ("the numerators are missing: a factor is one reply's weight over the sum.",
         lambda rho, beta: sum((beta * rho[k:]).logsumexp(0) for k in range(len(rho)))),
        ("β is in the numerators alone; the denominators need it, too.",
         lambda rho, beta: sum(rho[k:].logsumexp(0) - beta * rho[k] for k in range(len(rho)))),
        ("β is in the denominators alone; the numerators need it, too.",
         lambda rho, beta: sum((beta * rho[k:]).logsumexp(0) - rho[k] for k in range(len(rho)))),
        ("each place is set against the best of those that are left; it is drawn from all.",
         lambda rho, beta: sum(
             softplus(beta * (rho[k + 1 :].max() - rho[k])) for k in range(len(rho) - 1))),
        ("each place is set against the mean of those that are left; it is drawn from all.",
         lambda rho, beta: sum(
             softplus(beta * (rho[k + 1 :].mean() - rho[k])) for k in range(len(rho) - 1))),
        ("only the best and the worst are compared.", _over_pairs(lambda i, j, n: j - i == n - 1)),
        ("β stands in front of the whole loss; it belongs to the log-ratios.",
         lambda rho, beta: beta * ranking_loss(rho, 1.0)),
        ("the scores stand there without e to them.", _no_exp),
    ],
    shows="For two replies it is the DPO loss, and Z cancels from every factor.",
)  # fmt: skip
