"""Exercises 11.1 and 11.2: ε from the labels; flips on flips."""

import numpy as np

from .functions import Function
from .kit import mistakes


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
        "a bracket is missing: only the second agreement is divided.":
            lambda c, f: c - f / (2 * c - 1),
        "a bracket is missing: below the line belongs 2 · clean − 1, as one number.":
            lambda c, f: (c - f) / 2 * c - 1,
        "a bracket is missing: below the line belongs 2 · clean − 1, as one number. ":
            lambda c, f: (c - f) / (2 * c) - 1,
        "the two agreements have changed places.": lambda c, f: (f - c) / (2 * f - 1),
        "below the line both agreements are added; there it is 2 · clean − 1.":
            lambda c, f: (c - f) / (c + f - 1),
        "the share of the agreement that is lost is halved.": lambda c, f: (1 - f / c) / 2,
        "half of the disagreement: judges err without flips, too.": lambda c, f: (1 - f) / 2,
        "flips are taken to hit right labels alone, and independent of the first count.":
            lambda c, f: c * (1 - f),
        "that is a quotient of the two disagreements.": lambda c, f: (1 - c) / (1 - f),
        "that is a quotient of the two disagreements. ": lambda c, f: (1 - f) / (1 - c),
        "that is how often the judge errs without flips.": lambda c, f: 1 - c,
        "that is 1/(1 − 2ε), upside down and not solved.": lambda c, f: (2 * c - 1) / (2 * f - 1),
        "below the line stands clean (1 − clean); there it is 2 · clean − 1.":
            lambda c, f: (c - f) / (c * (1 - c)),
        "that is the root of the fall.": lambda c, f: np.sqrt(c - f),
        "that is how far the log-odds fall.":
            lambda c, f: np.log(c / (1 - c)) - np.log(f / (1 - f)),
        "that is the lead over a coin with flips.": lambda c, f: 2 * f - 1,
        "that is the lead over a coin without flips.": lambda c, f: 2 * c - 1,
        "the two agreements are multiplied.": lambda c, f: c * f,
        "that is the agreement of two independent judges.":
            lambda c, f: c * f + (1 - c) * (1 - f),
        "the fall is divided by the disagreement with flips.": lambda c, f: (c - f) / (1 - f),
        "the fall is multiplied by 2 · clean − 1, not divided.":
            lambda c, f: (c - f) * (2 * c - 1),
        "below the line 1 is added where it is taken off.": lambda c, f: (c - f) / (2 * c + 1),
        "below the line stands 1 + clean.": lambda c, f: (c - f) / (1 + c),
        "both agreements are added where they are taken off.":
            lambda c, f: (c + f) / (2 * c - 1),
        "that is the mean of both agreements.": lambda c, f: (c + f) / 2,
        "that is the agreement with flips less the judge's errors.": lambda c, f: f + c - 1,
        "that is the agreement with flips as it went in.": lambda c, f: f,
        "that is the agreement without flips as it went in.": lambda c, f: c,
        "the disagreement is divided by twice the agreement.": lambda c, f: (1 - f) / (2 * c),
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
        "that is a geometric mean.": lambda a, b: (a * b) ** 0.5,
        "that is twice the share flipped twice.": lambda a, b: 2 * a * b,
        "that is the share that isn't flipped twice.": lambda a, b: 1 - a * b,
        "the product is taken off three times: each of the two shares loses it once.":
            lambda a, b: a + b - 3 * a * b,
        "that takes the second flips away again; they come on top.":
            lambda a, b: (a - b) / (1 - 2 * b),
        "it is divided by 1 − 2ε: that undoes flips, as robust DPO does.":
            lambda a, b: (a + b) / (1 - 2 * b),
        "`first` is divided by 1 − 2ε: that undoes flips, as robust DPO does.":
            lambda a, b: a / (1 - 2 * b),
        "that is what is left of `first` alone; `second` is to be added.":
            lambda a, b: a * (1 - 2 * b),
        "that is what `second` adds; `first` is still missing.": lambda a, b: b * (1 - 2 * a),
        "squares are added.": lambda a, b: a * a + b * b,
        "that is the smaller of the two: both flip.": min,
        "that is twice the share flipped the first time only.": lambda a, b: 2 * a * (1 - b),
        "that is twice the share flipped the second time only.": lambda a, b: 2 * b * (1 - a),
        "that is half of the share.": lambda a, b: flipped_twice(a, b) / 2,
        "the product is added; it is taken off, twice.": lambda a, b: a + b + a * b,
        "that is `first` as it went in: cDPO flips once more.": lambda a, b: a,
        "that is `second` as it went in: the labels are flipped already.": lambda a, b: b,
        "the two shares are multiplied; they are added, since only one of them happens.":
            lambda a, b: a * (1 - b) * b * (1 - a),
        "the sum is divided by 1 + the product, as speeds are added.":
            lambda a, b: (a + b) / (1 + a * b),
        "the sum is cut off at one half.": lambda a, b: min(a + b, 0.5),
        "those are log-odds added up: a margin, not a share.":
            lambda a, b: np.log((1 - a) / a) + np.log((1 - b) / b),
        "that is the margin where it rests; asked is the share of flips.":
            lambda a, b: np.log(1 / flipped_twice(a, b) - 1),
        "odds are multiplied, as if both flips had to agree.":
            lambda a, b: a * b / (a * b + (1 - a) * (1 - b)),
        "that is the first-time-only part of the share, as a share of it.":
            lambda a, b: a * (1 - b) / flipped_twice(a, b),
        "half of what `second` adds is missing.": lambda a, b: a + b * (1 - 2 * a) / 2,
        "that is half of what remains of 1 − 2ε.": lambda a, b: (1 - 2 * a) * (1 - 2 * b) / 2,
        "one half is taken off 1 at the wrong place: it is (1 − the product) / 2.":
            lambda a, b: 1 - (1 - 2 * a) * (1 - 2 * b) / 2,
        "squares are added, as for variances; chances multiply.":
            lambda a, b: np.hypot(a, b),
    }),
    atol=0.003,
    shows="To cDPO, labels flipped already are flipped once more: 0.2 and 0.2 make 0.32.",
)  # fmt: skip
