"""Exercise 10.2: robust DPO's slope."""

import torch
from torch import sigmoid
from torch.nn.functional import logsigmoid, softplus

from .functions import Function
from .kit import mistakes, then


# ---------------------------------------------------------------- 2: robust DPO's slope
def robust_slope(m, eps: float, *, turn=1, second=1.0, divide="1 - 2ε", exchanged=False):
    """The slope of robust DPO's loss at margins (N,); the switches are mistakes."""
    keep, flip = (eps, 1 - eps) if exchanged else (1 - eps, eps)
    by = {
        "1 - 2ε": 1 - 2 * eps,
        "": 1.0,
        "1 - ε": 1 - eps,
        "times": 1 / (1 - 2 * eps),
        "1 + 2ε": 1 + 2 * eps,
    }[divide]
    return -turn * (keep * sigmoid(-m) + second * flip * sigmoid(m)) / by


WRONG_SLOPE = mistakes(robust_slope, {
    "that is DPO's slope: ε has no effect on it.": lambda m, eps: -sigmoid(-m),
    "that is cDPO's slope.": lambda m, eps: sigmoid(m) - (1 - eps),
    "the second term is left out.": {"second": 0.0},
    "the second term is left out, and so is the division by 1 − 2ε.":
        {"second": 0.0, "divide": ""},
    "the first term is left out.": lambda m, eps: -eps * sigmoid(m) / (1 - 2 * eps),
    "that is DPO's slope over 1 − 2ε. Either both terms have σ(−m) (the slope of log σ(−m) has "
    "the other one), or DPO's slope was made steeper; the flips also add a constant.":
        lambda m, eps: -sigmoid(-m) / (1 - 2 * eps),
    "both terms have σ' = σ(m) σ(−m), with their weights added; the slope of log σ(m) is σ(−m).":
        lambda m, eps: -sigmoid(m) * sigmoid(-m) / (1 - 2 * eps),
    "both terms have σ(m): the slope of log σ(m) has the other one.":
        lambda m, eps: -sigmoid(m) / (1 - 2 * eps),
    "the division is by 1 − ε, but a flip counts twice: it is missing on one side and stands "
    "on the other.": {"divide": "1 - ε"},
    "it is multiplied by 1 − 2ε, not divided.": {"divide": "times"},
    "it is divided by 1 + 2ε.": {"divide": "1 + 2ε"},
    "that is the loss itself; asked is its slope.": lambda m, eps: (
        (-(1 - eps) * logsigmoid(m) + eps * logsigmoid(-m)) / (1 - 2 * eps)),
    "the division by 1 − 2ε reaches only the first term.":
        lambda m, eps: -(1 - eps) * sigmoid(-m) / (1 - 2 * eps) - eps * sigmoid(m),
    "the division by 1 − 2ε reaches only the second term.":
        lambda m, eps: -(1 - eps) * sigmoid(-m) - eps * sigmoid(m) / (1 - 2 * eps),
    "the constant ε/(1 − 2ε) has its sign turned: robust DPO pushes on.":
        lambda m, eps: sigmoid(m) - 1 + eps / (1 - 2 * eps),
    "the constant that is taken off is ε; it should be divided by 1 − 2ε.":
        lambda m, eps: sigmoid(m) - 1 - eps,
    "log σ stands where its slope should.": lambda m, eps: (
        -((1 - eps) * logsigmoid(-m) + eps * logsigmoid(m)) / (1 - 2 * eps)),
    "that is the slope's own slope: one derivative too many.":
        lambda m, eps: sigmoid(m) * sigmoid(-m),
    "both slopes have σ' in place of σ: the slope of log σ(m) is 1 − σ(m).": lambda m, eps: (
        -(1 - 2 * eps) * sigmoid(m) * sigmoid(-m) / (1 - 2 * eps)),
    "that is what the slope tends to; asked is the slope at each m.":
        lambda m, eps: 0 * m - eps / (1 - 2 * eps),
    "that is what it tends to for large m; asked is the slope at each m.":
        lambda m, eps: -eps / (1 - 2 * eps),
    "the slopes are added up: each margin has its own.":
        lambda m, eps: robust_slope(m, eps).sum(),
    "the slope by ε is asked nowhere: it is the one by m.": lambda m, eps: (
        (2 * (1 - eps) * softplus(-m) - 2 * eps * softplus(m)) / (1 - 2 * eps) ** 2
        - (softplus(-m) + softplus(m)) / (1 - 2 * eps)),
    "it is divided by 1 − 2ε twice.": lambda m, eps: robust_slope(m, eps) / (1 - 2 * eps),
    "the first term's weight 1 − ε is missing.":
        lambda m, eps: -(sigmoid(-m) + eps * sigmoid(m)) / (1 - 2 * eps),
    "the second term's weight ε is missing.":
        lambda m, eps: -((1 - eps) * sigmoid(-m) + sigmoid(m)) / (1 - 2 * eps),
    "both weights are missing.": lambda m, eps: 0 * m - 1 / (1 - 2 * eps),
    "both terms have the weight 1 − ε.": lambda m, eps: 0 * m - (1 - eps) / (1 - 2 * eps),
    "each σ is squared.": lambda m, eps: (
        -((1 - eps) * sigmoid(-m) ** 2 + eps * sigmoid(m) ** 2) / (1 - 2 * eps)),
    "1 − 2ε stands inside σ; it divides outside.": lambda m, eps: -sigmoid(-(1 - 2 * eps) * m),
    "1 − 2ε divides inside σ; it divides outside.": lambda m, eps: -sigmoid(-m / (1 - 2 * eps)),
    "the constant that is taken off is ε/(1 − ε); a flip counts twice.":
        lambda m, eps: sigmoid(m) - 1 - eps / (1 - eps),
    "the constant that is taken off is twice too large.":
        lambda m, eps: sigmoid(m) - 1 - 2 * eps / (1 - 2 * eps),
    "the constant that is taken off is 1/(1 − 2ε): its ε is missing.":
        lambda m, eps: sigmoid(m) - 1 - 1 / (1 - 2 * eps),
    "the 1 is missing: σ(m) less a constant is above 0 for large m.":
        lambda m, eps: sigmoid(m) - eps / (1 - 2 * eps),
    "it is divided by ε.": lambda m, eps: robust_slope(m, eps, divide="") / eps,
    "it is divided by 1 − ε².": lambda m, eps: robust_slope(m, eps, divide="") / (1 - eps**2),
    "a bracket is missing: 2ε is taken off, and the division is by 1.":
        lambda m, eps: robust_slope(m, eps, divide="") - 2 * eps,
    "that is cDPO's push: sign and second term.": lambda m, eps: (1 - eps) - sigmoid(m),
    "that is the slope at m = 0.": lambda m, eps: robust_slope(0 * m, eps),
    "e-powers stand where σ should.": lambda m, eps: (
        -((1 - eps) * torch.exp(-m) + eps * torch.exp(m)) / (1 - 2 * eps)),
    "σ(m) and σ(−m) have changed places, and the second term is taken off.": lambda m, eps: (
        -((1 - eps) * sigmoid(m) - eps * sigmoid(-m)) / (1 - 2 * eps)),
    "that is the mean of the slopes over the flips, the clean loss's slope plus something.":
        lambda m, eps: (1 - eps) * robust_slope(m, eps) + eps * robust_slope(-m, eps),
    "that is the mean over the flips: DPO's slope on right labels; asked is this label's.":
        lambda m, eps: (1 - eps) * robust_slope(m, eps) - eps * robust_slope(-m, eps),
    "that is DPO's push; ε is nowhere, and the sign is turned.": lambda m, eps: sigmoid(-m),
    "that is the loss, with the opposite label's added.": lambda m, eps: (
        ((1 - eps) * softplus(-m) + eps * softplus(m)) / (1 - 2 * eps)),
    "each slope is multiplied by its margin.": lambda m, eps: m * robust_slope(m, eps),
    "the slopes are averaged: each margin has its own.":
        lambda m, eps: robust_slope(m, eps).mean(),
    "that is the slope of a mean over the margins: each is divided by N.":
        lambda m, eps: robust_slope(m, eps) / len(m),
})  # fmt: skip
SLOPE = Function(
    robust_slope,
    [
        {"m": torch.tensor(m, dtype=torch.double), "eps": eps}
        for eps, m in ((0.1, [-2.0, 0.4, 1.3]), (0.3, [0.7, 5.0]), (0.2, [-0.6, 2.2, -3.1, 9.0]))
    ],
    switches={
        "turn": (-1, "that is the push, downhill; asked is the slope."),
        "second": (-1.0, "the second term has its sign turned: log σ(−m) falls with m."),
        "divide": ("", "the division by 1 − 2ε is missing."),
        "exchanged": (True, "ε and 1 − ε have changed places, or σ(m) and σ(−m)."),
    },
    wrongs=WRONG_SLOPE
    + then(WRONG_SLOPE, lambda slope, *_: slope.mean(), "the mean over the margins is taken."),
    shows="For large m it tends to −ε/(1 − 2ε): a wrong label is pushed on for ever, as a right "
    "one is.",
)  # fmt: skip
