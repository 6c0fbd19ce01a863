"""Chapter 04's exercises that ask for a loss: of a pair, and of a ranking."""

from itertools import combinations

import numpy as np
import torch
from torch.nn.functional import logsigmoid, softplus

from .functions import Function
from .worked import Trainable


# ---------------------------------------------------------------- 04.0, the loss
def dpo(
    chosen_logps,
    rejected_logps,
    ref_chosen_logps,
    ref_rejected_logps,
    beta,
    *,
    swap=False,
    ref="minus",
    scale="inside",
    power=1,
    end="-log sigmoid",
    over="none",
):
    """The DPO loss of each pair, (B,)."""
    sides = (chosen_logps, ref_chosen_logps), (rejected_logps, ref_rejected_logps)
    first, second = (_against(policy, its, ref) for policy, its in sides)
    margin = (second - first) if swap else (first - second)
    beta = beta**power
    inside = {"inside": beta, "outside": 1.0, "left out": 1.0, "over": 1 / beta}
    if scale == "chosen":
        margin = beta * first - second
    elif scale == "rejected":
        margin = first - beta * second
    else:
        margin = inside[scale] * margin
    out = ENDS[end](margin) * (beta if scale == "outside" else 1)
    return {"none": out, "mean": out.mean(), "sum": out.sum()}[over]


def _against(policy, reference, how: str):
    """Policy against reference, or what some take for it."""
    return {
        "minus": lambda: policy - reference,
        "left out": lambda: policy,
        "quotient": lambda: policy / reference,
        "no log": lambda: torch.exp(policy - reference),
        "probabilities": lambda: torch.exp(policy) - torch.exp(reference),
    }[how]()


ENDS = {
    "-log sigmoid": lambda m: -logsigmoid(m),
    "log sigmoid": logsigmoid,
    "sigmoid": torch.sigmoid,
    "-sigmoid": lambda m: -torch.sigmoid(m),
    "margin": lambda m: m,
    "-margin": lambda m: -m,
    "1 - sigmoid": lambda m: torch.sigmoid(-m),
    "exp": lambda m: torch.exp(-m),
    "hinge": lambda m: torch.relu(1 - m),
    "square": lambda m: (m - 1) ** 2,
    "base 2": lambda m: -logsigmoid(m) / np.log(2),
    "log(1 + m)": lambda m: torch.log1p(m),
}


def _ended(end: str):
    return lambda *case: dpo(*case, end=end)


def _one_sided(*keep: int):
    """Only some of the four log-probabilities; the others are taken as 0."""

    def loss(*case):
        parts = [v if i in keep else 0 * v for i, v in enumerate(case[:4])]
        return dpo(*parts, case[4])

    return loss


def _crossed(chosen, rejected, ref_chosen, ref_rejected, beta):
    return dpo(chosen, rejected, ref_rejected, ref_chosen, beta)


def _policy_against_reference(chosen, rejected, ref_chosen, ref_rejected, beta):
    """Two losses in one: winner and loser each by itself."""
    return softplus(-beta * (chosen - ref_chosen)) + softplus(beta * (rejected - ref_rejected))


def _pairs() -> list[dict]:
    """Three batches: 4, 2 and 3 pairs, three betas."""
    names = ("chosen_logps", "rejected_logps", "ref_chosen_logps", "ref_rejected_logps")
    rng = torch.Generator().manual_seed(4)
    drawn = []
    for size, beta in ((4, 0.6), (2, 0.1), (3, 1.7)):
        logps = 1.5 * torch.randn(4, size, generator=rng, dtype=torch.float64) - 9
        drawn.append(dict(zip(names, logps, strict=True)) | {"beta": beta})
    return drawn


OF_DPO = (
    ("that is the probability of the choice; a `-log` is missing.", _ended("sigmoid")),
    ("that is minus the probability of the choice; the logarithm is missing.", _ended("-sigmoid")),
    ("that is the probability of the other choice, the weight of the gradient; the loss is minus a"
     " logarithm.", _ended("1 - sigmoid")),
    ("that is the margin; `-logsigmoid` of it is missing.", _ended("margin")),
    ("that is minus the margin; the log-sigmoid is missing.", _ended("-margin")),
    ("that is e to minus the margin; Bradley–Terry asks for a log-sigmoid.", _ended("exp")),
    ("that is a hinge, `max(0, 1 - m)`; Bradley–Terry asks for a log-sigmoid.", _ended("hinge")),
    ("that is a squared distance from a margin; Bradley–Terry asks for a log-sigmoid.",
     _ended("square")),
    ("that is IPO's squared distance; Bradley–Terry asks for a log-sigmoid.",
     lambda *case: (dpo(*case[:4], 1.0, end="margin") - 1 / (2 * case[4])) ** 2),
    ("that is in bits, a logarithm to base 2; ours are natural.", _ended("base 2")),
    ("that is log(1 + m); the sigmoid has log(1 + e^(-m)).", _ended("log(1 + m)")),
    ("only the chosen side is in it; the rejected one is left out.", _one_sided(0, 2)),
    ("only the rejected side is in it; the chosen one is left out.", _one_sided(1, 3)),
    ("only the reference is in it: the policy's log-probabilities are left out.",
     _one_sided(2, 3)),
    ("the reference of the rejected text is left out.", _one_sided(0, 1, 2)),
    ("the reference of the chosen text is left out.", _one_sided(0, 1, 3)),
    ("the reference comes in with the wrong sign: it is added, or the two have changed places.",
     _crossed),
    ("each side is put through the sigmoid by itself; Bradley–Terry knows only their difference.",
     _policy_against_reference),
)  # fmt: skip

KEY = Trainable(
    dpo,
    _pairs(),
    switches={
        "swap": (True, "chosen and rejected are exchanged, or the margin has the wrong sign."),
        "ref": ("left out", "the reference is left out: the policy's own log-probabilities stay."),
        "scale": ("left out", "β is left out."),
        "power": (2, "β goes in twice."),
        "end": ("log sigmoid", "that is the logarithm of a probability, which grows as the pair"
                " gets right; a loss falls: its sign is turned."),
        "over": ("mean", "the mean over the batch is taken; asked is one loss a pair."),
    },
    wrongs=[
        *OF_DPO,
        ("that is max(0, −m), without the smooth corner of a log-sigmoid.",
         lambda *c: torch.relu(-dpo(*c, end="margin"))),
        ("the margin has lost its sign: a wrong order must cost more.",
         lambda *c: -logsigmoid(dpo(*c, end="margin").abs())),
        ("β multiplies the policy's part alone; the reference needs it, too.",
         lambda c, r, rc, rr, beta: -logsigmoid(beta * (c - r) - (rc - rr))),
        ("a log-probability is a logarithm already: the ratio's log is taken once too often.",
         lambda c, r, rc, rr, beta: -logsigmoid(beta * ((c / rc).log() - (r / rr).log()))),
        ("log-probabilities are divided; the log of a ratio is a difference of logarithms.",
         lambda *c: dpo(*c, ref="quotient")),
        ("the ratios stand there without their logarithm.", lambda *c: dpo(*c, ref="no log")),
        ("probabilities are subtracted; asked are log-probabilities.",
         lambda *c: dpo(*c, ref="probabilities")),
        ("β stands outside the log-sigmoid; it belongs inside.",
         lambda *c: dpo(*c, scale="outside")),
        ("the margin is divided by β.", lambda *c: dpo(*c, scale="over")),
        ("β multiplies the chosen side alone: a bracket is missing.",
         lambda *c: dpo(*c, scale="chosen")),
        ("β multiplies the rejected side alone.", lambda *c: dpo(*c, scale="rejected")),
        ("the sum over the batch is taken; asked is one loss a pair.",
         lambda *c: dpo(*c, over="sum")),
    ],
    shows="Two log-ratios, one difference, and no Z.",
    through=("chosen_logps", "rejected_logps"),
)  # fmt: skip


# ---------------------------------------------------------------- 04.4, rankings
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
