"""Chapter 11: robust DPO; ε from the labels; flips on flips; a clean loss from flipped labels."""

import numpy as np
import torch
from torch import sigmoid
from torch.nn.functional import logsigmoid

from .functions import Function
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
    "that is DPO's loss: ε has no effect. (Both terms with m, and not one with −m?)":
        lambda m, eps: clean(m),
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
    "ε m is taken off, and not divided by 1 − 2ε.": lambda m, eps: clean(m) - eps * m,
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


# ---------------------------------------------------------------- 1: ε from the labels
def share_flipped(clean, flipped):
    """The share of flips, from the agreement with the true order without and with them."""
    return (clean - flipped) / (2 * clean - 1)


SHARE = Function(
    share_flipped,
    [{"clean": c, "flipped": f} for c, f in ((0.83, 0.7), (0.92, 0.58), (0.74, 0.67))],
    wrongs=mistakes(share_flipped, {
        "that is how far the agreement falls. More labels are flipped: some flips turn a wrong "
        "label right.": lambda c, f: c - f,
        "that lets flips hit right labels alone; they also turn wrong ones right.":
            lambda c, f: (c - f) / c,
        "that takes every disagreement for a flip; judges err without flips, too.":
            lambda c, f: 1 - f,
        "under the line stands the agreement with flips; what one flip costs depends on that "
        "without.": lambda c, f: (c - f) / (2 * f - 1),
        "under the line is too much: were judges right half of the time, flips would cost nothing.":
            lambda c, f: (c - f) / (2 * c),
        "the fall is counted from 1, but judges err without flips, too.":
            lambda c, f: (1 - f) / (2 * c - 1),
        "the fall is counted from 1, but judges err without flips, and flips mend labels.":
            lambda c, f: (1 - f) / c,
        "the fall is divided by the agreement with flips.": lambda c, f: (c - f) / f,
        "the fall is halved; what one flip costs depends on how often judges are right.":
            lambda c, f: (c - f) / 2,
        "that lets every flipped label agree; one agrees only if the judge was wrong.":
            lambda c, f: (f - c) / (1 - c),
        "that lets every flipped label agree; one agrees only if the judge was wrong. ":
            lambda c, f: (c - f) / (1 - c),
        "that is the share of labels that were left alone.":
            lambda c, f: 1 - share_flipped(c, f),
        "that is 1 − 2ε: by how much the lead over a coin has shrunk.":
            lambda c, f: (2 * f - 1) / (2 * c - 1),
        "that is 2ε: halve it.": lambda c, f: 2 * share_flipped(c, f),
        "that is the share of the agreement that is left; flips change right and wrong labels.":
            lambda c, f: f / c,
        "the second number went in as ε; it is the agreement with flips.":
            lambda c, f: c * (1 - f) + (1 - c) * f,
        "the sign is turned: agreement falls, and ε is above 0.":
            lambda c, f: (f - c) / (2 * c - 1),
    }),
    atol=2e-4,
    shows="Two agreements give ε, though nobody knows which labels are flipped.",
)  # fmt: skip


# ---------------------------------------------------------------- 2: flips on flips
def flipped_twice(first, second):
    """The share of labels that end up flipped, if they are flipped twice by chance."""
    return first + second - 2 * first * second


TWICE = Function(
    flipped_twice,
    [{"first": a, "second": b} for a, b in ((0.2, 0.2), (0.1, 0.35), (0.4, 0.25))],
    wrongs=mistakes(flipped_twice, {
        "the two are added: a label that is flipped twice is right again.": lambda a, b: a + b,
        "that is the share flipped at least once; flipped twice is right again.":
            lambda a, b: a + b - a * b,
        "that is the share flipped twice; those are right again.": lambda a, b: a * b,
        "that is the share flipped the first time only; the second time only counts, too.":
            lambda a, b: a * (1 - b),
        "that is the share flipped the second time only; the first time only counts, too.":
            lambda a, b: b * (1 - a),
        "that is the share that ends up right.": lambda a, b: 1 - flipped_twice(a, b),
        "that is what remains of 1 − 2ε; ask which ε has it.":
            lambda a, b: (1 - 2 * a) * (1 - 2 * b),
        "that is twice the share: 1 − 2ε was solved for 2ε.":
            lambda a, b: 2 * flipped_twice(a, b),
        "that is the share that is never flipped.": lambda a, b: (1 - a) * (1 - b),
        "that is the share that is never flipped, as if two flips never met.":
            lambda a, b: 1 - (a + b),
        "that is the larger of the two: the smaller adds to it.": max,
        "that is the mean of the two: every flip has its own chance.": lambda a, b: (a + b) / 2,
        "the second flips don't undo the first: each is a coin of its own.":
            lambda a, b: abs(a - b),
        "the product is taken off four times: each of the two shares loses it once.":
            lambda a, b: a + b - 4 * a * b,
        "the product is added where it is taken off: a label flipped twice is right again.":
            lambda a, b: a + b + 2 * a * b,
        "that holds for two equal shares of `first` alone.": lambda a, b: 2 * a * (1 - a),
        "that holds for two equal shares of `second` alone.": lambda a, b: 2 * b * (1 - b),
        "squares are added, as for variances; chances multiply.":
            lambda a, b: np.hypot(a, b),
    }),
    atol=0.003,
    shows="To cDPO, labels flipped already are flipped once more: 0.2 and 0.2 make 0.32.",
)  # fmt: skip


# ---------------------------------------------------------------- 3: a clean loss
def held_out(margins, eps, **switches):
    """An estimate of the clean mean loss, from margins (N,) in the order of flipped labels."""
    return robust(margins, eps, **switches).mean()


WRONG_CLEAN = mistakes(held_out, {
    "that is the loss on the labels as they stand; the flips have raised it.":
        lambda m, eps: clean(m).mean(),
    "that is cDPO's loss, which adds ε m: it flips the labels a second time.":
        lambda m, eps: cdpo(m, eps).mean(),
    "ε times the mean margin is taken off. But the margins are those of flipped labels: the "
    "flips have shrunk their mean, too.": lambda m, eps: (clean(m) - eps * m).mean(),
    "the correction is added; flips raise the loss, so it is taken off.":
        lambda m, eps: (clean(m) + eps / (1 - 2 * eps) * m).mean(),
    "ε m is divided by 1 − ε; flips shrink a mean by 1 − 2ε.":
        lambda m, eps: (clean(m) - eps / (1 - eps) * m).mean(),
    "ε times the size of the margins is taken off; a margin has a sign.":
        lambda m, eps: (clean(m) - eps * m.abs()).mean(),
    "ε/(1 − 2ε) times the size of the margins is taken off; a margin has a sign.":
        lambda m, eps: (clean(m) - eps / (1 - 2 * eps) * m.abs()).mean(),
    "ε itself is taken off; the flips add something that grows with the margin.":
        lambda m, eps: clean(m).mean() - eps,
    "ε/(1 − 2ε) is taken off as it stands; it belongs to the mean margin.":
        lambda m, eps: clean(m).mean() - eps / (1 - 2 * eps),
    "2ε times the mean margin is taken off; flips shrink a mean by 1 − 2ε.":
        lambda m, eps: (clean(m) - 2 * eps * m).mean(),
    "the division is by 1 − ε.": {"divide": "1 - ε"},
    "it is multiplied by 1 − 2ε, not divided.": {"divide": "times"},
    "the loss is scaled by 1 − ε: flipped labels don't have a loss of 0.":
        lambda m, eps: (1 - eps) * clean(m).mean(),
    "the loss is divided by 1 − ε: nobody can tell the flipped ones apart to leave them out.":
        lambda m, eps: clean(m).mean() / (1 - eps),
    "the loss is scaled by 1 − 2ε.": lambda m, eps: (1 - 2 * eps) * clean(m).mean(),
    "the loss is divided by 1 − 2ε, and the opposite label's share isn't taken off.":
        lambda m, eps: clean(m).mean() / (1 - 2 * eps),
    "the mean loss of the opposite labels has the wrong weight.":
        lambda m, eps: (clean(m) - eps * clean(-m)).mean(),
    "ε times the opposite loss is taken off, and divided as if the first had no weight.":
        lambda m, eps: (clean(m) - eps * clean(-m)).mean() / (1 - eps),
    "the pairs with a margin below 0 are left out; there the policy may err, not the label.":
        lambda m, eps: clean(m[m > 0]).mean(),
    "each margin is stretched by 1/(1 − 2ε); the flips shrink their mean, not each of them.":
        lambda m, eps: clean(m / (1 - 2 * eps)).mean(),
    "each margin is shrunk by 1 − 2ε.": lambda m, eps: clean(m * (1 - 2 * eps)).mean(),
    "all margins are made positive: that takes the policy's order for the truth.":
        lambda m, eps: clean(m.abs()).mean(),
    "all margins are turned round: only some labels are flipped.":
        lambda m, eps: clean(-m).mean(),
    "that is the loss of the mean margin; asked is the mean of the losses.":
        lambda m, eps: robust(m.mean(), eps),
    "that is the plain loss of the mean margin.": lambda m, eps: clean(m.mean()),
    "that is one number a pair; asked is their mean.": robust,
    "that is the log of a mean probability; asked is a mean of logs.":
        lambda m, eps: -torch.log(sigmoid(m).mean()),
    "the probability is mixed inside the log; mixed are the losses.":
        lambda m, eps: -torch.log((1 - eps) * sigmoid(m) + eps * sigmoid(-m)).mean(),
})  # fmt: skip
CLEAN = Function(
    held_out,
    [{"margins": case["m"] + 0.4, "eps": case["eps"]} for case in MARGINS],
    switches={
        "opposite": (-1.0, "the opposite label's loss is added; that flips a second time."),
        "divide": ("", "the division by 1 − 2ε is missing."),
        "exchanged": (True, "ε and 1 − ε have changed places."),
        "over": ("sum", "that is the sum over the pairs; asked is the mean."),
    },
    wrongs=WRONG_CLEAN
    + then(WRONG_CLEAN, lambda v, m, _: v * len(m), "the pairs are added up, not averaged."),
    shows="A loss that is unbiased measures the clean loss on flipped labels; cDPO's doesn't.",
)  # fmt: skip

EXERCISES = {"11.0": ROBUST, "11.1": SHARE, "11.2": TWICE, "11.3": CLEAN}
