"""Exercise 11.0: robust DPO."""

import numpy as np
import torch
from torch import sigmoid
from torch.nn.functional import logsigmoid

from .kit import mistakes, then
from .worked import Trainable


# ---------------------------------------------------------------- 0: robust DPO
def robust(m, eps=0.2, *, opposite=1.0, divide="1 - 2ε", exchanged=False, over=""):
    """Robust DPO's loss at margins (N,); the switches are mistakes."""
    keep, flip = (eps, 1 - eps) if exchanged else (1 - eps, eps)
    by = {"1 - 2ε": 1 - 2 * eps, "": 1.0, "1 - ε": 1 - eps, "times": 1 / (1 - 2 * eps),
          "1 + 2ε": 1 + 2 * eps, "ε": eps}[divide]  # fmt: skip
    loss = (-keep * logsigmoid(m) + opposite * flip * logsigmoid(-m)) / by
    return loss.mean() if over == "mean" else loss.sum() if over == "sum" else loss


def clean(m):
    """DPO's loss of a right label, at margins (N,)."""
    return -logsigmoid(m)


def cdpo(m, eps):
    """Conservative DPO at margins (N,)."""
    return -(1 - eps) * logsigmoid(m) - eps * logsigmoid(-m)


def mean_over_flips(ask, cases) -> str:
    """What an attempt's mean over the flips is, if it is the clean loss times a number."""
    found = []
    for case in cases:
        m, eps = case["m"], case["eps"]
        right, flipped = (ask(case | {"m": s * m}) for s in (1, -1))
        if not all(isinstance(x, torch.Tensor) and x.shape == m.shape for x in (right, flipped)):
            return ""
        found.append(((1 - eps) * right + eps * flipped) / clean(m))
    if all((x > 0).all() and x.max() - x.min() < 1e-4 * x.max() for x in found):
        return "over the flips, the mean of yours is the clean loss times a factor: it should be 1."
    return ""


MARGINS = ((0.1, [-1.7, 0.4, 2.3]), (0.3, [0.9, -0.6]), (0.2, [3.1, -2.2, 0.3, 1.2]))
MARGINS = [{"m": torch.tensor(m, dtype=torch.double), "eps": eps} for eps, m in MARGINS]
WRONG_ROBUST = mistakes(robust, {
    "that is cDPO: it flips labels a second time, and undoes nothing.": cdpo,
    "that is DPO's loss itself: ε has no effect. (Are both terms of m? Or is it the mean over the "
    "flips, which is the clean loss, in place of one label's loss?)": lambda m, eps: clean(m),
    "the two weights have changed places, a with b, or else m with −m.":
        lambda m, eps: robust(-m, eps),
    "a is 1 where it is (1 − ε)/(1 − 2ε): solve both equations for a and b.":
        lambda m, eps: clean(m) - eps / (1 - 2 * eps) * clean(-m),
    "a is 1 where it is (1 − ε)/(1 − 2ε), and b should be below 0.":
        lambda m, eps: clean(m) + eps / (1 - 2 * eps) * clean(-m),
    **{f"the flips are taken out of the probability, inside the log; asked is a sum of losses "
       f"that is right on average. (Cut off at {low:g}.)":
       lambda m, eps, low=low: -((sigmoid(m) - eps) / (1 - 2 * eps)).clamp(min=low).log()
       for low in (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12)},
    "the opposite label's loss is left out; it is what removes the flips.": {"opposite": 0.0},
    "the opposite label's loss is left out, and so is the division.":
        {"opposite": 0.0, "divide": ""},
    "it is divided by 1 − ε. Solve both equations for a and b.": {"divide": "1 - ε"},
    "it is multiplied by 1 − 2ε, not divided.": {"divide": "times"},
    "it is divided by 1 + 2ε.": {"divide": "1 + 2ε"},
    "it is divided by ε.": {"divide": "ε"},
    "a is 1 and b is −ε: only the first order in ε.":
        lambda m, eps: clean(m) - eps * clean(-m),
    "a is 1/(1 − ε) and b is 0: the second equation doesn't hold.":
        lambda m, eps: clean(m) / (1 - eps),
    "the weight 1 − ε of the label as it stands is missing.":
        lambda m, eps: (clean(m) - eps * clean(-m)) / (1 - 2 * eps),
    "the weight of the opposite label is 1 − 2ε, or the division reaches only one term.":
        lambda m, eps: (1 - eps) * clean(m) - eps * clean(-m) / (1 - 2 * eps),
    "the division reaches only the first term.":
        lambda m, eps: (1 - eps) * clean(m) / (1 - 2 * eps) - eps * clean(-m),
    "the m that is taken off has the wrong sign: that pulls back, as cDPO does.":
        lambda m, eps: clean(m) + eps / (1 - 2 * eps) * m,
    "ε m is taken off, and not divided by 1 − 2ε: only the first order in ε.":
        lambda m, eps: clean(m) - eps * m,
    "ε/(1 − 2ε) is taken off as it stands; it belongs to m.":
        lambda m, eps: clean(m) - eps / (1 - 2 * eps),
    "ε m is divided by 1 − ε.": lambda m, eps: clean(m) - eps / (1 - eps) * m,
    "2ε m is taken off where it is ε m.": lambda m, eps: clean(m) - 2 * eps / (1 - 2 * eps) * m,
    "the log is missing: the losses are −log σ.": lambda m, eps: (
        (1 - eps) * sigmoid(m) - eps * sigmoid(-m)) / (1 - 2 * eps),
    "the log is missing, and the minus before it stands.": lambda m, eps: (
        -(1 - eps) * sigmoid(m) + eps * sigmoid(-m)) / (1 - 2 * eps),
    "that is the slope; asked is the loss.":
        lambda m, eps: -((1 - eps) * sigmoid(-m) + eps * sigmoid(m)) / (1 - 2 * eps),
    "the log is taken of the mixed probability; mixed are the losses, outside the log.":
        lambda m, eps: -torch.log((1 - eps) * sigmoid(m) + eps * sigmoid(-m)),
    "the log is taken of the mixed probability; mixed are the losses. ":
        lambda m, eps: -torch.log((1 - eps) * sigmoid(m) + eps * sigmoid(-m)) / (1 - 2 * eps),
    "that is DPO's loss over 1 − 2ε: the opposite label's loss is that of −m.":
        lambda m, eps: clean(m) / (1 - 2 * eps),
    "the sum over the pairs is taken: each margin has its own loss.": {"over": "sum"},
    "1 − 2ε stands inside σ; it divides the losses.": lambda m, eps: clean((1 - 2 * eps) * m),
    "1 − 2ε divides the margin; it divides the losses.": lambda m, eps: clean(m / (1 - 2 * eps)),
    "it is cut off at 0; this loss goes below.": lambda m, eps: robust(m, eps).clamp(min=0),
    "its sign is lost; this loss goes below 0.": lambda m, eps: robust(m, eps).abs(),
    "half of ε went in.": lambda m, eps: robust(m, eps / 2),
    "the opposite label's weight is 2ε, and the label's own 1 − 2ε.":
        lambda m, eps: ((1 - 2 * eps) * clean(m) - 2 * eps * clean(-m)) / (1 - 2 * eps),
    "the opposite label's weight ε is missing.":
        lambda m, eps: ((1 - eps) * clean(m) - clean(-m)) / (1 - 2 * eps),
    "both losses have the weight 1 − ε.":
        lambda m, eps: (1 - eps) * (clean(m) - clean(-m)) / (1 - 2 * eps),
    "both losses have the weight ε.":
        lambda m, eps: eps * (clean(m) - clean(-m)) / (1 - 2 * eps),
    "the weights are squared.": lambda m, eps: (
        ((1 - eps) ** 2 * clean(m) - eps**2 * clean(-m)) / (1 - 2 * eps)),
    "only the opposite label's loss is there.": lambda m, eps: -eps * clean(-m) / (1 - 2 * eps),
    "2ε m is taken off, and not divided by 1 − 2ε.": lambda m, eps: clean(m) - 2 * eps * m,
    "the log of 1 − 2ε is taken off; it belongs below the losses.":
        lambda m, eps: clean(m) - np.log(1 - 2 * eps),
    "the margin is shifted by ε/(1 − 2ε); the loss is, by that times m.":
        lambda m, eps: clean(m - eps / (1 - 2 * eps)),
    "the margin is shifted to where cDPO rests.":
        lambda m, eps: clean(m - np.log((1 - eps) / eps)),
    "that is cDPO with its sign turned.": lambda m, eps: -cdpo(m, eps),
    "that is DPO's loss over 1 − 2ε, less ε.": lambda m, eps: clean(m) / (1 - 2 * eps) - eps,
    "the hinge stands where −log σ should.": lambda m, eps: (
        ((1 - eps) * torch.relu(1 - m) - eps * torch.relu(1 + m)) / (1 - 2 * eps)),
    "a squared distance stands where −log σ should.": lambda m, eps: (
        ((1 - eps) * (m - 1) ** 2 - eps * (m + 1) ** 2) / (1 - 2 * eps)),
    "a bracket is missing: 2ε is taken off, and the division is by 1.":
        lambda m, eps: robust(m, eps, divide="") - 2 * eps,
    "it is divided by 1 − ε².": lambda m, eps: robust(m, eps, divide="") / (1 - eps**2),
    "the label's own loss is scaled by 1 − ε, and ε m is added.":
        lambda m, eps: (1 - eps) * clean(m) + eps * m,
    "only the opposite label's loss is multiplied by 1 − 2ε.":
        lambda m, eps: (1 - eps) * clean(m) - eps * clean(-m) * (1 - 2 * eps),
    "the entropy of the flips is taken off cDPO's loss; that moves no margin.": lambda m, eps: (
        cdpo(m, eps) + (1 - eps) * np.log(1 - eps) + eps * np.log(eps)),
})  # fmt: skip
ROBUST = Trainable(
    robust,
    MARGINS,
    switches={
        "opposite": (-1.0, "the opposite label's loss is added; b is negative."),
        "divide": ("", "the division by 1 − 2ε is missing: over the flips the mean is too small."),
        "exchanged": (True, "ε and 1 − ε have changed places, or m and −m."),
        "over": ("mean", "the mean over the pairs is taken: each margin has its own loss."),
    },
    wrongs=WRONG_ROBUST
    + then(WRONG_ROBUST, lambda loss, *_: loss.mean(), "the mean over the pairs is taken."),
    traits=[mean_over_flips],
    through=("m",),
    shows="On labels flipped with probability ε it is, on average, DPO's loss on right ones.",
)  # fmt: skip
