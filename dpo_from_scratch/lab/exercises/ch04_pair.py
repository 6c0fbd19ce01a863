"""04.0: the DPO loss of a pair."""

import numpy as np
import torch
from torch.nn.functional import logsigmoid, softplus

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


def _penalised() -> list:
    """The loss, and something that is added to it."""
    kl = "a penalty for leaving the reference is added; the reference in the margin does its work."
    sft = "the chosen text's own loss, as in SFT, is added; asked is DPO's alone."
    a = lambda c: c[0] - c[2]
    b = lambda c: c[1] - c[3]
    added = [
        (kl, lambda c: c[4] * (a(c) + b(c)) / 2), (kl, lambda c: c[4] * (a(c) + b(c))),
        (kl, lambda c: c[4] * a(c)), (kl, lambda c: -c[4] * a(c)), (kl, lambda c: c[4] * b(c)),
        (kl, lambda c: (a(c) + b(c)) / 2), (kl, a), (sft, lambda c: -c[0]),
        (sft, lambda c: -c[4] * c[0]),
    ]  # fmt: skip
    return [(why, lambda *c, f=f: dpo(*c) + f(c)) for why, f in added]


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
        *_penalised(),
        ("the two log-ratios are added; asked is their difference.",
         lambda c, r, rc, rr, beta: -logsigmoid(beta * (c - rc + r - rr))),
        ("the policy's two sides are exchanged, and the reference's aren't.",
         lambda c, r, rc, rr, beta: dpo(r, c, rc, rr, beta)),
        ("β multiplies the reference's part alone; the policy's needs it, too.",
         lambda c, r, rc, rr, beta: -logsigmoid((c - r) - beta * (rc - rr))),
        ("that is the push β σ(−m), the size of the gradient; asked is the loss.",
         lambda *c: c[4] * dpo(*c, end="1 - sigmoid")),
        ("β stands inside the log-sigmoid, and once more in front of it.",
         lambda *c: c[4] * dpo(*c)),
        ("that has a logarithm to base 10; ours are natural.", lambda *c: dpo(*c) / np.log(10)),
        ("that is log(1 − σ), the loss's other side: Bradley–Terry asks for −log σ.",
         lambda *c: torch.log(1 - dpo(*c, end="sigmoid"))),
        ("one log-probability is divided by the sum of both: that takes them for probabilities.",
         lambda c, r, rc, rr, beta: -torch.log((c - rc) / (c - rc + r - rr))),
        ("labels are smoothed, or both orders are in it; asked is that of the label alone.",
         lambda *c: dpo(*c) + dpo(*c, swap=True)),
        ("labels are smoothed, or both orders are in it; asked is that of the label alone.",
         lambda *c: (dpo(*c) + dpo(*c, swap=True)) / 2),
        ("that is tanh of half the margin, which runs from −1 to 1; asked is −log σ.",
         lambda *c: torch.tanh(dpo(*c, end="margin") / 2)),
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
