"""Exercise 11.3: a clean loss from flipped labels."""

import numpy as np
import torch
from torch import sigmoid

from .ch11_robust import MARGINS, cdpo, clean, robust
from .functions import Function
from .kit import mistakes, then


# ---------------------------------------------------------------- 3: a clean loss
def held_out(margins, eps, **switches):
    """An estimate of the clean mean loss, from margins (N,) in the order of flipped labels."""
    return robust(margins, eps, **switches).mean()


# the share ε of the pairs as a number of them
ROUNDED = {
    "rounded": lambda eps, m: round(eps * len(m)),
    "rounded down": lambda eps, m: int(eps * len(m)),
    "rounded up": lambda eps, m: int(np.ceil(eps * len(m))),
}


def turned(margins, n: int):
    """A mistake: the mean loss with the n smallest margins turned round."""
    m = margins.sort().values
    return clean(torch.cat((-m[:n], m[n:]))).mean()


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
    **{f"the share ε of the {worst} is {done} ({how}): the flipped pairs aren't the worst ones, "
       "since the policy errs, too.": change
       for how, number in ROUNDED.items() for worst, done, change in (
           ("largest losses", "left out",
            lambda m, eps, n=number: clean(m.sort().values[n(eps, m) :]).mean()),
           ("smallest margins", "turned round", lambda m, eps, n=number: turned(m, n(eps, m))))},
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
    "that is the median over the pairs.": lambda m, eps: robust(m, eps).median(),
    "that is the mean margin; asked is a loss.": lambda m, eps: m.mean(),
    "that is the mean margin with right labels; asked is a loss.":
        lambda m, eps: m.mean() / (1 - 2 * eps),
    "that is ε times the mean margin, a part of the way.": lambda m, eps: eps * m.mean(),
    "that is the correction alone; take it off the loss on the labels as they stand.":
        lambda m, eps: eps / (1 - 2 * eps) * m.mean(),
    "the mean margin is multiplied by 1 − 2ε; flips shrink it, so it is divided.":
        lambda m, eps: (clean(m) - eps * (1 - 2 * eps) * m).mean(),
    "the mean margin is divided by 1 − 2ε twice.":
        lambda m, eps: (clean(m) - eps / (1 - 2 * eps) ** 2 * m).mean(),
    "2ε/(1 − 2ε) times the mean margin is taken off; it is ε.":
        lambda m, eps: (clean(m) - 2 * eps / (1 - 2 * eps) * m).mean(),
    "ε is taken off, as if a flip cost 1.": lambda m, eps: (clean(m).mean() - eps) / (1 - 2 * eps),
    "the weight 1 − ε of the labels as they stand is missing.":
        lambda m, eps: (clean(m) - eps * clean(-m)).mean() / (1 - 2 * eps),
    "the margins have lost their signs.": lambda m, eps: robust(m.abs(), eps).mean(),
    "that is the slope; asked is the loss.": lambda m, eps: (
        -((1 - eps) * sigmoid(-m) + eps * sigmoid(m)).mean() / (1 - 2 * eps)),
    "that is the share of pairs in order; asked is a loss.": lambda m, eps: (m > 0).double().mean(),
    "that is the share of pairs in order, with ε undone; asked is a loss.":
        lambda m, eps: ((m > 0).double().mean() - eps) / (1 - 2 * eps),
    "ε ln 2 is taken off; flips add ε times a margin.":
        lambda m, eps: clean(m).mean() - eps * np.log(2),
    "it is divided by 1 − 2ε twice.": lambda m, eps: robust(m, eps).mean() / (1 - 2 * eps),
    "losses below 0 are cut off; without them the mean isn't unbiased.":
        lambda m, eps: robust(m, eps).clamp(min=0).mean(),
    "the mean is cut off at 0; it may be below.":
        lambda m, eps: robust(m, eps).mean().clamp(min=0),
    "that is a mean probability; asked is a loss.": lambda m, eps: sigmoid(m).mean(),
    "the sum of the margins is taken off; it is their mean.":
        lambda m, eps: clean(m).mean() - eps / (1 - 2 * eps) * m.sum(),
    "that is cDPO's loss over 1 − ε.": lambda m, eps: cdpo(m, eps).mean() / (1 - eps),
    "cDPO's loss less 2ε m: neither repair.": lambda m, eps: (cdpo(m, eps) - 2 * eps * m).mean(),
    "the correction is taken off cDPO's loss; it goes off the loss on the labels as they stand.":
        lambda m, eps: (cdpo(m, eps) - eps / (1 - 2 * eps) * m).mean(),
    "ε itself is added.": lambda m, eps: clean(m).mean() + eps,
    "both labels' losses are averaged.": lambda m, eps: (clean(m) + clean(-m)).mean() / 2,
    "the opposite labels' loss is taken off in full: that is minus the mean margin.":
        lambda m, eps: -m.mean(),
    "that is the spread of the losses; asked is their mean.": lambda m, eps: robust(m, eps).std(),
    "the sum is divided by N − 1; a mean divides by N.":
        lambda m, eps: robust(m, eps).sum() / (len(m) - 1),
})  # fmt: skip
CLEAN = Function(
    held_out,
    [
        *({"margins": case["m"] + 0.4, "eps": case["eps"]} for case in MARGINS),
        {"margins": torch.tensor([3.2, 1.9, 4.1], dtype=torch.double), "eps": 0.3},  # below 0
    ],
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
