"""Right and wrong attempts at chapter 11's exercises."""

import math

import numpy as np
import torch
from torch import sigmoid
from torch.nn.functional import logsigmoid, softplus

from dpo_from_scratch import losses


# ---------------------------------------------------------------- 11.0
def loss(m):
    return -logsigmoid(m)


def robust(m, eps=0.2):
    return ((1 - eps) * softplus(-m) - eps * softplus(m)) / (1 - 2 * eps)


def of_the_package(m, eps):
    zero = torch.zeros_like(m)
    return losses.robust_dpo(m, zero, zero, zero, beta=1.0, label_smoothing=eps)


def solved(m, eps):
    a, b = np.linalg.solve([[1 - eps, eps], [eps, 1 - eps]], [1, 0])
    return a * loss(m) + b * loss(-m)


def one_by_one(m, eps):
    return torch.stack([loss(x) - eps / (1 - 2 * eps) * x for x in m])


def through_numpy(m, eps):
    m = m.detach().numpy()
    return torch.tensor(np.log1p(np.exp(-m)) - eps / (1 - 2 * eps) * m)


def cdpo(m, eps):
    return (1 - eps) * loss(m) + eps * loss(-m)


# ---------------------------------------------------------------- 11.3
def in_loops(margins, eps):
    total = 0.0
    for m in margins.tolist():
        total += math.log1p(math.exp(-m)) - eps / (1 - 2 * eps) * m
    return total / len(margins)


def in_numpy(margins, eps):
    m = margins.numpy()
    stands, opposite = np.log1p(np.exp(-m)).mean(), np.log1p(np.exp(m)).mean()
    return ((1 - eps) * stands - eps * opposite) / (1 - 2 * eps)


RIGHT = {
    "11.0": [
        robust, of_the_package, solved, one_by_one,
        lambda m, eps: robust(m.float(), eps),
    ],
    "11.1": [
        lambda clean, flipped: (clean - flipped) / (2 * clean - 1),
        lambda c, n: torch.tensor((n - c) / (1 - 2 * c)),
        lambda c, n: np.linalg.solve([[1 - 2 * c]], [n - c]),
        lambda c, n: round((c - n) / (2 * c - 1), 4),
        lambda c, n: (1 - (2 * n - 1) / (2 * c - 1)) / 2,
    ],
    "11.2": [
        lambda a, b: a + b - 2 * a * b,
        lambda a, b: a * (1 - b) + b * (1 - a),
        lambda a, b: np.float32(1 - (1 - 2 * a) * (1 - 2 * b)) / 2,
        lambda a, b: torch.tensor(b + (1 - 2 * b) * a),
    ],
    "11.3": [
        lambda m, eps: robust(m, eps).mean(), in_loops, in_numpy,
        lambda m, eps: (loss(m) - eps / (1 - 2 * eps) * m).float().mean().item(),
        lambda m, eps: [robust(m, eps).sum() / len(m)],
    ],
}  # fmt: skip
WRONG = {
    "11.0": [
        (lambda m, e: (1 + e) * loss(m) - e * loss(-m), "only the first order in ε"),
        (lambda m, e: loss((1 - 2 * e) * m), "stands inside σ"),
        (lambda m, e: robust(m, e).clamp(min=0), "cut off at 0"),
        (lambda m, e: robust(m, e / 2), "half of ε"),
        (lambda m, e: ((1 - e) * loss(m) - loss(-m)) / (1 - 2 * e), "weight ε is missing"),
        (lambda m, e: loss(m - math.log((1 - e) / e)), "where cDPO rests"),
        (lambda m, e: loss(m) - 2 * e * m, "2ε m is taken off"),
        (lambda m, e: cdpo(m, e) / (1 - 2 * e), "b is negative"),
        (lambda m, e: (1 - e) * loss(m) - e * loss(-m), "division by 1 − 2ε is missing"),
        (lambda m, e: robust(-m, e), "or else m with −m"),
        (lambda m, e: (e * loss(m) - (1 - e) * loss(-m)) / (1 - 2 * e), "changed places"),
        (cdpo, "that is cDPO"),
        (lambda m, e: loss(m), "DPO's loss itself: ε has no effect"),
        (lambda m, e: (1 - e) * loss(m) / (1 - 2 * e), "opposite label's loss is left out"),
        (lambda m, e: ((1 - e) * loss(m) - e * loss(-m)) / (1 - e), "divided by 1 − ε"),
        (lambda m, e: ((1 - e) * loss(m) - e * loss(-m)) * (1 - 2 * e), "multiplied by"),
        (lambda m, e: loss(m) - e * loss(-m), "a is 1 and b is −ε"),
        (lambda m, e: loss(m) / (1 - e), "b is 0"),
        (lambda m, e: (loss(m) - e * loss(-m)) / (1 - 2 * e), "weight 1 − ε"),
        (lambda m, e: loss(m) + e / (1 - 2 * e) * m, "pulls back"),
        (lambda m, e: loss(m) - e * m, "not divided by 1 − 2ε"),
        (lambda m, e: ((1 - e) * sigmoid(m) - e * sigmoid(-m)) / (1 - 2 * e), "the log is missing"),
        (lambda m, e: -((1 - e) * sigmoid(-m) + e * sigmoid(m)) / (1 - 2 * e), "that is the slope"),
        (lambda m, e: -torch.log((1 - e) * sigmoid(m) + e * sigmoid(-m)), "outside the log"),
        (lambda m, e: robust(m, e).mean(), "the mean over the pairs"),
        (lambda m, e: robust(m, e).sum(), "the sum over the pairs"),
        (lambda m, e: -robust(m, e), "sign is turned"),
        (lambda m, e: robust(m, e) * 3, "times a factor"),
        (lambda m, e: ((1 - e) * loss(m) - e * loss(-m)) / (1 - 2 * e) ** 2, "times a factor"),
        (lambda m, e: robust(m), "doesn't look at `eps`"),
        (through_numpy, "no gradient gets back"),
    ],
    "11.1": [
        (lambda c, f: 1.0 * (c - f), "how far the agreement falls"),
        (lambda c, f: c - f / (2 * c - 1), "a bracket is missing"),
        (lambda c, f: (f - c) / (2 * f - 1), "changed places"),
        (lambda c, f: (2 * c - 1) / (2 * f - 1), "upside down and not solved"),
        (lambda c, f: 2 * c - 1, "the lead over a coin without"),
        (lambda c, f: 2 * f - 1, "the lead over a coin with"),
        (lambda c, f: c * (1 - f), "hit right labels alone"),
        (lambda c, f: (c - f) * (2 * c - 1), "multiplied by"),
        (lambda c, f: 1 - c, "the judge errs"),
        (lambda c, f: (c - f) / c, "hit right labels alone"),
        (lambda c, f: 1 - f / c, "hit right labels alone"),
        (lambda c, f: 1 - 1.0 * f, "takes every disagreement"),
        (lambda c, f: (c - f) / (2 * f - 1), "with flips; what one flip costs"),
        (lambda c, f: (c - f) / (2 * c), "under the line is too much"),
        (lambda c, f: (f - c) / (1 - c), "every flipped label agree"),
        (lambda c, f: (f + c - 1) / (2 * c - 1), "left alone"),
        (lambda c, f: (2 * f - 1) / (2 * c - 1), "1 − 2ε"),
        (lambda c, f: 1 - (2 * f - 1) / (2 * c - 1), "2ε: halve it"),
        (lambda c, f: c * (1 - f) + (1 - c) * f, "the agreement with flips"),
        (lambda c, f: (c - f) / (1 - 2 * c), "agreement falls"),
        (lambda c, f: 100 * (c - f) / (2 * c - 1), "100 times"),
        (lambda c, f: 0.2, "doesn't look at"),
    ],
    "11.2": [
        (lambda a, b: 1.0 * a + b, "the two are added"),
        (lambda a, b: b * (1 - 2 * a), "what `second` adds"),
        (lambda a, b: a, "`first` as it went in"),
        (lambda a, b: min(a, b), "the smaller of the two"),
        (lambda a, b: a + b - 3 * a * b, "three times"),
        (lambda a, b: (a - b) / (1 - 2 * b), "takes the second flips away"),
        (lambda a, b: min(a + b, 0.5), "cut off at one half"),
        (lambda a, b: (1 - 2 * a) * (1 - 2 * b) / 2, "half of what remains"),
        (lambda a, b: a + b - 1.0 * a * b, "at least once"),
        (lambda a, b: 1 - (1 - a) * (1 - b), "at least once"),
        (lambda a, b: 1.0 * a * b, "flipped twice"),
        (lambda a, b: a * (1 - b), "the first time only; the second"),
        (lambda a, b: b * (1 - a), "the second time only; the first"),
        (lambda a, b: (1 - a) * (1 - b) + a * b, "ends up right"),
        (lambda a, b: (1 - 2 * a) * (1 - 2 * b), "1 − 2ε"),
        (lambda a, b: 1 - (1 - 2 * a) * (1 - 2 * b), "twice the share"),
        (lambda a, b: (1 - a) * (1 - b), "never flipped"),
        (lambda a, b: max(a, b), "the larger of the two"),
        (lambda a, b: (a + b) / 2, "the mean of the two"),
        (lambda a, b: abs(a - b), "don't undo"),
        (lambda a, b: a + b - 4 * a * b, "four times"),
        (lambda a, b: a + b + 2 * a * b, "the product is added"),
    ],
    "11.3": [
        (lambda m, e: loss(m).mean(), "labels as they stand"),
        (lambda m, e: m.mean(), "that is the mean margin"),
        (lambda m, e: m.mean() / (1 - 2 * e), "mean margin with right labels"),
        (lambda m, e: e / (1 - 2 * e) * m.mean(), "the correction alone"),
        (lambda m, e: loss(m).mean() - e * (1 - 2 * e) * m.mean(), "so it is divided"),
        (lambda m, e: ((1 + e) * loss(m) - e * loss(-m)).mean(), "shrunk their mean"),
        (lambda m, e: robust(m, e).clamp(min=0).mean(), "cut off"),
        (lambda m, e: robust(m, e).mean().clamp(min=0), "cut off at 0"),
        (lambda m, e: robust(m, e).median(), "median"),
        (lambda m, e: (m > 0).double().mean(), "pairs in order"),
        (lambda m, e: cdpo(m, e).mean(), "cDPO's loss"),
        (lambda m, e: loss(m).mean() - e * m.mean(), "shrunk their mean"),
        (lambda m, e: loss(m).mean() + e / (1 - 2 * e) * m.mean(), "the correction is added"),
        (lambda m, e: loss(m).mean() + e * m.mean(), "adds ε m"),
        (lambda m, e: loss(m).mean() - e, "ε itself"),
        (lambda m, e: loss(m).mean() - e * m.abs().mean(), "a margin has a sign"),
        (lambda m, e: robust(m, e).sum(), "the sum over the pairs"),
        (robust, "one number a pair"),
        (lambda m, e: robust(m.mean(), e), "loss of the mean margin"),
        (lambda m, e: loss(m[m > 0]).mean(), "below 0 are left out"),
        (lambda m, e: loss(m.abs()).mean(), "made positive"),
        (lambda m, e: loss(m / (1 - 2 * e)).mean(), "stretched"),
        (lambda m, e: (1 - e) * loss(m).mean(), "scaled by 1 − ε"),
        (lambda m, e: loss(m).mean() / (1 - 2 * e), "isn't taken off"),
        (lambda m, e: ((1 - e) * loss(m) - e * loss(-m)).mean(), "division by 1 − 2ε is missing"),
        (lambda m, e: -torch.log(sigmoid(m).mean()), "log of a mean"),
        (lambda m, e: cdpo(m, e).mean() / (1 - 2 * e), "flips a second time"),
    ],
}

WRONG["11.0"] += [
    (
        lambda m, e=0.2: (e * logsigmoid(m) - (1 - e) * logsigmoid(-m)) / (1 - 2 * e),
        "the two weights have changed places",
    ),
    (lambda m, e=0.2: -logsigmoid(m) + e / (1 - 2 * e) * logsigmoid(-m), "a is 1 where"),
    (
        lambda m, e=0.2: -((sigmoid(m) - e) / (1 - 2 * e)).clamp(min=1e-6).log(),
        "taken out of the probability",
    ),
]


def trimmed(margins, eps):
    keep = len(margins) - round(eps * len(margins))
    return softplus(-margins).sort().values[:keep].mean().item()


def turned_round(margins, eps):
    m = margins.sort().values.clone()
    m[: round(eps * len(m))] *= -1
    return softplus(-m).mean().item()


WRONG["11.3"] += [
    (trimmed, "largest losses is left out"),
    (turned_round, "smallest margins is turned round"),
]
