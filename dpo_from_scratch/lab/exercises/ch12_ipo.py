"""Chapter 12's key cell: IPO's loss, and what it is taken for."""

import math

import torch
import torch.nn.functional as F
from torch.nn.functional import logsigmoid

from .kit import mistakes, then
from .worked import Trainable


def ipo(w, v, ref_w, ref_l, tau, *, power=1, target="1/2τ", turn=1, ref=1.0, weight="", over=""):
    """IPO's loss of each pair (B,) from log-probabilities (B,); the switches are mistakes."""
    delta = turn * ((w - v) - ref * (ref_w - ref_l))
    at = {"1/2τ": 1 / (2 * tau), "1/τ": 1 / tau, "2τ": 2 * tau, "τ": tau, "τ/2": tau / 2,
          "1": 1.0, "1/2": 0.5, "0": 0.0}[target]  # fmt: skip
    scale = {"": 1.0, "τ": tau, "τ²": tau**2, "1/τ": 1 / tau}[weight]
    short = lambda x: torch.relu(-x)
    loss = {1: lambda x: x**2, 0: abs, 2: lambda x: short(x) ** 2, 3: lambda x: x**2 / 2}[power]
    value = loss(delta - at) * scale
    return value.mean() if over == "mean" else value.sum() if over == "sum" else value


def batches() -> list[dict]:
    """Log-probabilities of three batches and τ of each."""
    rng, found = torch.Generator().manual_seed(0), []
    for n, tau in ((3, 0.1), (2, 0.4), (4, 0.7)):
        w, v = (-20 + 4 * torch.randn(n, generator=rng, dtype=torch.double) for _ in "wv")
        ref_w, ref_v = (x + 3 * torch.randn(n, generator=rng, dtype=torch.double) for x in (w, v))
        names = ("chosen", "rejected", "ref_chosen", "ref_rejected", "tau")
        found.append(dict(zip(names, (w, v, ref_w, ref_v, tau), strict=True)))
    return found


def of_delta(change):
    """A loss of the pair's Δ and of τ."""
    return lambda w, v, rw, rv, t: change((w - v) - (rw - rv), t)


OF_DELTA = {
    "−log σ stands round the distance from the target; IPO squares the distance.":
        lambda d, t: -logsigmoid(d - 1 / (2 * t)),
    "−log σ stands round τ times the distance from the target; IPO squares the distance.":
        lambda d, t: -logsigmoid(t * (d - 1 / (2 * t))),
    "the target is a logarithm of 1/(2τ): it is 1/(2τ) itself.":
        lambda d, t: (d - math.log(1 / (2 * t))) ** 2,
    "the target is the logit of τ: IPO's is 1/(2τ), and no logit.":
        lambda d, t: (d - math.log(t / (1 - t))) ** 2,
    "only a Δ beyond the target costs something; IPO pulls from both sides.":
        lambda d, t: torch.relu(d - 1 / (2 * t)) ** 2,
    "that is the hinge 1 − τΔ; IPO is a square about 1/(2τ).":
        lambda d, t: torch.relu(1 - t * d),
    "that is the hinge 1 − Δ, without τ; IPO is a square about 1/(2τ).":
        lambda d, t: torch.relu(1 - d),
    "the square's constant is missing, 1/(2τ) squared: the gradient is right, the loss isn't.":
        lambda d, t: d**2 - d / t,
    "the square is multiplied out with a wrong middle term: it is Δ/τ.":
        lambda d, t: d**2 - d / (2 * t),
    "the square is multiplied out with a wrong middle term: it is Δ/τ. (The constant is there.)":
        lambda d, t: d**2 - d / (2 * t) + 1 / (4 * t * t),
    "Δ is averaged over the batch before the square: each pair has its own loss.":
        lambda d, t: (d.mean() - 1 / (2 * t)) ** 2,
    "that is the root of all squares added up: each pair has its own loss.":
        lambda d, t: ((d - 1 / (2 * t)) ** 2).sum().sqrt(),
    "a sigmoid is taken of τΔ, and compared with 1: IPO takes none.":
        lambda d, t: (torch.sigmoid(t * d) - 1) ** 2,
    "a sigmoid is taken of Δ: IPO's distance is that of Δ itself.":
        lambda d, t: (torch.sigmoid(d) - 1 / (2 * t)) ** 2,
    "the target is 1/2, and τ multiplies the whole: τ belongs into the target.":
        lambda d, t: t * (d - 0.5) ** 2,
    "the target is 1/2, and τ divides the whole: τ belongs into the target.":
        lambda d, t: (d - 0.5) ** 2 / t,
    "all in the square is multiplied by 2τ: that is 4τ² times IPO.":
        lambda d, t: (2 * t * d - 1) ** 2,
    "Δ is divided by τ, and the target is 1/2; 1/(2τ) is the target.":
        lambda d, t: (d / t - 0.5) ** 2,
    "Δ is divided by τ, and so is the target: IPO has its τ in the target alone.":
        lambda d, t: (d / t - 1 / (2 * t)) ** 2,
    "Δ is divided by 2τ: 1/(2τ) is to be taken off.": lambda d, t: (d / (2 * t)) ** 2,
    "Δ is multiplied by 2τ, and the target is 1/(2τ): IPO has its τ in the target alone.":
        lambda d, t: (2 * t * d - 1 / (2 * t)) ** 2,
    "the third power of the distance is taken, not its square.":
        lambda d, t: (d - 1 / (2 * t)).abs() ** 3,
    "the fourth power of the distance is taken: it is squared twice.":
        lambda d, t: (d - 1 / (2 * t)) ** 4,
    "Δ loses its sign: a pair in the wrong order would rest at minus the target.":
        lambda d, t: (d.abs() - 1 / (2 * t)) ** 2,
    "that is Huber's loss of the distance: a line from 1 on; IPO is a square everywhere.":
        lambda d, t: F.huber_loss(d, torch.full_like(d, 1 / (2 * t)), reduction="none"),
    "that is σ(−τΔ), how unsure the pair is: IPO has no sigmoid.":
        lambda d, t: torch.sigmoid(-t * d),
    "that is DPO's loss with 1/τ as its β.": lambda d, t: -logsigmoid(d / t),
    "that is DPO's loss without any β.": lambda d, t: -logsigmoid(d),
    "that is DPO's loss with τΔ² as a penalty: IPO is the square of a distance.":
        lambda d, t: -logsigmoid(d) + t * d**2,
    "the ratio itself stands there, e to the Δ; IPO takes the logarithm, Δ.":
        lambda d, t: (d.exp() - 1 / (2 * t)) ** 2,
    "half of the loss is that of the opposite label: the label is to be believed.":
        lambda d, t: ((d - 1 / (2 * t)) ** 2 + (d + 1 / (2 * t)) ** 2) / 2,
}  # fmt: skip
OF_FOUR = {
    "chosen and rejected have a square each, with half of the target: IPO sees only Δ.":
        lambda w, v, rw, rv, t: (w - rw - 1 / (4 * t)) ** 2 + (v - rv + 1 / (4 * t)) ** 2,
    "Δ is averaged over the batch, and every pair gets that loss: each has a Δ of its own.":
        lambda w, v, rw, rv, t: 0 * w + ((w - v - rw + rv).mean() - 1 / (2 * t)) ** 2,
    "ratios of probabilities stand where log-ratios should.":
        lambda w, v, rw, rv, t: ((w - rw).exp() - (v - rv).exp() - 1 / (2 * t)) ** 2,
    "the log-ratios are divided by each other: their difference is asked.":
        lambda w, v, rw, rv, t: ((w - rw) / (v - rv) - 1 / (2 * t)) ** 2,
    "log-probabilities are divided by the reference's: a log-ratio is a difference of logs.":
        lambda w, v, rw, rv, t: (w / rw - v / rv - 1 / (2 * t)) ** 2,
    "the reference's loss is taken off the policy's: it belongs into Δ, before the square.":
        lambda w, v, rw, rv, t: (w - v - 1 / (2 * t)) ** 2 - (rw - rv - 1 / (2 * t)) ** 2,
    "the rejected response is looked at alone.":
        lambda w, v, rw, rv, t: (v - rv + 1 / (2 * t)) ** 2,
    "the rejected response is looked at alone, and drawn up.":
        lambda w, v, rw, rv, t: (v - rv - 1 / (2 * t)) ** 2,
    "chosen and rejected have a square each: IPO sees only their difference.":
        lambda w, v, rw, rv, t: (w - rw - 1 / (2 * t)) ** 2 + (v - rv) ** 2,
    "chosen and rejected have a square each, with one target: IPO sees only their difference.":
        lambda w, v, rw, rv, t: (w - rw - 1 / (2 * t)) ** 2 + (v - rv - 1 / (2 * t)) ** 2,
    "the rejected response's square is taken off the chosen one's: the square is of Δ.":
        lambda w, v, rw, rv, t: (w - rw - 1 / (2 * t)) ** 2 - (v - rv - 1 / (2 * t)) ** 2,
    "τ multiplies the reference: it goes in whole, and τ only into the target.":
        lambda w, v, rw, rv, t: ((w - v) - t * (rw - rv) - 1 / (2 * t)) ** 2,
}  # fmt: skip
WRONG_IPO = mistakes(ipo, {
    "the target is 2τ: it should be one over that.": {"target": "2τ"},
    "the target is τ itself; a small τ should let Δ go far.": {"target": "τ"},
    "the target is τ/2: it is 1/(2·τ), not (1/2)·τ.": {"target": "τ/2"},
    "the target is 1, whatever τ is.": {"target": "1"},
    "the target is 1/2, whatever τ is.": {"target": "1/2"},
    "there is no target: Δ is drawn to 0.": {"target": "0"},
    "the reference is added where it is taken off, or its two sides have changed places.":
        {"ref": -1.0},
    "the rejected response's reference is left out.":
        lambda w, v, rw, rv, t: (w - rw - v - 1 / (2 * t)) ** 2,
    "the chosen response's reference is left out.":
        lambda w, v, rw, rv, t: (w - v + rv - 1 / (2 * t)) ** 2,
    "only one side of the distance counts, as in the hinge: IPO pulls back, too.": {"power": 2},
    "only one side of the distance counts, and unsquared: that is a hinge.":
        lambda w, v, rw, rv, t: torch.relu(1 / (2 * t) - ((w - v) - (rw - rv))),
    "the square is halved.": {"power": 3},
    "the square reaches Δ alone; it is of the distance from the target.":
        lambda w, v, rw, rv, t: ((w - v) - (rw - rv)) ** 2 - 1 / (2 * t),
    "that is the distance from the target, not its square.":
        lambda w, v, rw, rv, t: (w - v) - (rw - rv) - 1 / (2 * t),
    "the sum over the batch is taken: each pair has its own loss.": {"over": "sum"},
    "the whole is divided by τ.": {"weight": "1/τ"},
    "τ multiplies Δ, as DPO's β does, and the target is 1/2: that is τ² times IPO.":
        {"weight": "τ²"},
    "τ multiplies Δ, as DPO's β does: IPO has its τ in the target alone.":
        lambda w, v, rw, rv, t: (t * ((w - v) - (rw - rv)) - 1 / (2 * t)) ** 2,
    "τ multiplies Δ as DPO's β does, and the target is 1.":
        lambda w, v, rw, rv, t: (t * ((w - v) - (rw - rv)) - 1) ** 2,
    "that is DPO's loss with τ as its β.":
        lambda w, v, rw, rv, t: -logsigmoid(t * ((w - v) - (rw - rv))),
    "the two responses are squared one by one: IPO sees only their difference.":
        lambda w, v, rw, rv, t: (w - rw - 1 / (2 * t)) ** 2 + (v - rv + 1 / (2 * t)) ** 2,
    "the chosen response is looked at alone.":
        lambda w, v, rw, rv, t: (w - rw - 1 / (2 * t)) ** 2,
    "Δ and the target are squared one by one; the square is of their difference.":
        lambda w, v, rw, rv, t: ((w - v) - (rw - rv)) ** 2 - 1 / (2 * t) ** 2,
    "the rejected log-ratio is added where it is taken off.":
        lambda w, v, rw, rv, t: (w - rw + v - rv - 1 / (2 * t)) ** 2,
} | {why: of_delta(change) for why, change in OF_DELTA.items()} | OF_FOUR)  # fmt: skip
IPO = Trainable(
    ipo,
    batches(),
    switches={
        "turn": (-1, "the rejected response is to win: the two have changed places, or the target "
                 "has the wrong sign."),
        "ref": (0.0, "the reference is left out."),
        "target": ("1/τ", "the target is 1/τ: a 2 is missing."),
        "power": (0, "the distance from the target is taken, not its square."),
        "over": ("mean", "the mean over the batch is taken: each pair has its own loss."),
        "weight": ("τ", "τ multiplies the whole: it has no place outside the square."),
    },
    wrongs=WRONG_IPO
    + then(WRONG_IPO, lambda loss, *_: loss.mean(), "the mean over the batch is taken.")
    + then(WRONG_IPO, lambda loss, *_: loss.sum(), "the sum over the batch is taken."),
    through=("chosen", "rejected"),
    shows="A square about a target: it rests there even if all labels agree.",
)  # fmt: skip
