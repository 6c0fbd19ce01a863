"""Chapter 21: the slope through a capped head, and the operations that LoRA leaves."""

import torch

from .functions import Function
from .kit import mistakes


# ---------------------------------------------------------------- 21.2: a head with a soft cap
def capped_slope(hidden, weight, labels, cap, *, squash="tanh", out="both", through="cap", sign=1):
    """d log pi / d h, (N, d), through z = cap tanh(W h / cap); the keywords are mistakes."""
    raw = hidden @ weight.T
    bent = torch.tanh(raw / cap)
    z = {"tanh": cap * bent, "none": raw, "no factor": bent, "no quotient": cap * torch.tanh(raw)}[
        squash
    ]
    hot = torch.zeros_like(z)
    hot[torch.arange(len(labels)), labels] = 1.0
    d = {"both": hot - z.softmax(1), "label": hot, "mean": -z.softmax(1), "logs": hot - z,
         "rows": hot - z.softmax(0), "sigmoid": hot - torch.sigmoid(z)}[out]  # fmt: skip
    factor = {
        "cap": 1 - bent**2, "none": 1.0, "z": 1 - z**2, "raw": 1 - (raw / cap) ** 2,
        "linear": 1 - bent, "square": bent**2, "twice": (1 - bent**2) ** 2,
        "times": cap * (1 - bent**2), "over": (1 - bent**2) / cap, "plus": 1 + bent**2,
        "again": 1 - torch.tanh(z / cap) ** 2, "sign": bent.abs(),
    }[through]  # fmt: skip
    return sign * (d * factor) @ weight


def _heads() -> list[dict]:
    """Three small heads whose caps bite."""
    rng, found = torch.Generator().manual_seed(3), []
    for n, d, v, cap in ((4, 3, 5, 2.0), (3, 4, 6, 0.7), (5, 3, 4, 3.5)):
        hidden, weight = (torch.randn(k, d, generator=rng, dtype=torch.double) for k in (n, v))
        labels = torch.randint(v, (n,), generator=rng)
        found.append({"hidden": 1.5 * hidden, "weight": weight, "labels": labels, "cap": cap})
    return found


def _label_alone(hidden, weight, labels, cap):
    """The cap's slope on the label's part alone."""
    one = capped_slope(hidden, weight, labels, cap, out="label")
    return one + capped_slope(hidden, weight, labels, cap, out="mean", through="none")


def _mean_alone(hidden, weight, labels, cap):
    """The cap's slope on the mean's part alone."""
    one = capped_slope(hidden, weight, labels, cap, out="label", through="none")
    return one + capped_slope(hidden, weight, labels, cap, out="mean")


def _by_logits(hidden, weight, labels, cap):
    z = cap * torch.tanh(hidden @ weight.T / cap)
    return torch.nn.functional.one_hot(labels, len(weight)) - z.softmax(1)


def _logps(hidden, weight, labels, cap):
    z = cap * torch.tanh(hidden @ weight.T / cap)
    return z.log_softmax(1).gather(1, labels[:, None]).squeeze(1)


CAPPED = Function(
    capped_slope,
    _heads(),
    switches={
        "squash": ("none", "p is made without the cap."),
        "through": ("none", "the way back passes the cap by: its slope is missing."),
        "sign": (-1, "the sign is turned: that is the slope of the loss, −log π."),
    },
    wrongs=mistakes(capped_slope, {
        "there is no cap in it at all.": {"squash": "none", "through": "none"},
        "p is made without the cap, and its slope has W h / c in place of tanh.":
            {"squash": "none", "through": "raw"},
        "the factor `cap` is missing in front of tanh.": {"squash": "no factor"},
        "`cap` doesn't divide W h inside tanh.": {"squash": "no quotient"},
        "the slope is 1 − (z/c)², and that is 1 − z².": {"through": "z"},
        "the slope is 1 − tanh², and that has W h / c itself in place of tanh.":
            {"through": "raw"},
        "the slope is 1 − tanh², and that is 1 − tanh.": {"through": "linear"},
        "the slope is 1 − tanh², and that is tanh².": {"through": "square"},
        "the slope is 1 − tanh², and that is 1 + tanh².": {"through": "plus"},
        "the slope is 1 − tanh², and that is |tanh|.": {"through": "sign"},
        "the cap's slope goes in twice.": {"through": "twice"},
        "`cap` stands before the cap's slope: it cancels with the one inside tanh.":
            {"through": "times"},
        "the cap's slope is divided by `cap`: that cancels with the one in front of tanh.":
            {"through": "over"},
        "tanh is taken of z, which is capped already.": {"through": "again"},
        "only the label's word is in it: Σ p W is missing.": {"out": "label"},
        "only −Σ p W is in it: the label's own word is missing.": {"out": "mean"},
        "logits stand where probabilities should.": {"out": "logs"},
        "the softmax runs over the tokens; it runs over the words.": {"out": "rows"},
        "a sigmoid of each logit stands where a softmax over the words should.":
            {"out": "sigmoid"},
        "the cap's slope is on the label's word alone: all words pass the cap.": _label_alone,
        "the cap's slope is on Σ p W alone: the label's word passes the cap, too.": _mean_alone,
        "that is the slope by the logits; it still has to pass the cap and W.": _by_logits,
        "those are the log-probabilities; asked is their slope.": _logps,
        "that is the slope by W h; it still has to pass W.":
            lambda h, w, y, c: _by_logits(h, w, y, c) * (1 - torch.tanh(h @ w.T / c) ** 2),
        "that is the mean over the tokens: each has its own slope.":
            lambda *a: capped_slope(*a).mean(0),
        "that is the sum over the tokens: each has its own slope.":
            lambda *a: capped_slope(*a).sum(0),
        "the slopes are divided by the number of tokens.":
            lambda *a: capped_slope(*a) / len(a[0]),
    }),
    common=False,
    shows="The forward pass can make it, and the capped logits can go.",
)  # fmt: skip


# ---------------------------------------------------------------- 21.3: what LoRA leaves
def share_left(sizes, rank, *, frozen=4, adapters=6, whole=6, held="both"):
    """(4 P + 6 A) / (6 P): the operations of a LoRA step over a whole one; keywords: mistakes."""
    P = sum(a * b for a, b in sizes)
    A = {
        "both": rank * sum(a + b for a, b in sizes), "in": rank * sum(a for a, _ in sizes),
        "out": rank * sum(b for _, b in sizes), "product": rank * P,
        "once": sum(a + b for a, b in sizes), "square": rank**2 * sum(a + b for a, b in sizes),
        "twice": 2 * rank * sum(a + b for a, b in sizes),
        "first": rank * sum(sizes[0]), "middle": len(sizes) * rank**2,
    }[held]  # fmt: skip
    return (frozen * P + adapters * A) / (whole * P)


LEFT = Function(
    share_left,
    [
        {"sizes": [(6, 18), (6, 6), (6, 24), (24, 6)], "rank": 2},
        {"sizes": [(10, 4), (4, 12)], "rank": 3},
        {"sizes": [(64, 64)] * 3, "rank": 5},
    ],
    switches={
        "frozen": (2, "a frozen matrix costs four: the gradient of what came in must pass it."),
        "adapters": (0, "the adapters are left out; they cost six operations a weight."),
        "whole": (4, "learning weights cost six, 2 forward and 4 backward: that has four below."),
    },
    wrongs=mistakes(share_left, {
        "a frozen matrix needs no gradient of its own: four operations, not six.": {"frozen": 6},
        "the frozen matrices are left out: tokens pass them, forward and back.": {"frozen": 0},
        "adapters learn: six operations a weight, not four.": {"adapters": 4},
        "adapters learn: six operations a weight; that is their forward pass.": {"adapters": 2},
        "the adapters' operations count once a weight: they cost six.": {"adapters": 1},
        "only the first factor of an adapter, inputs × rank, is in it.": {"held": "in"},
        "only the second factor of an adapter, rank × outputs, is in it.": {"held": "out"},
        "an adapter has rank · (inputs + outputs) weights, not rank · inputs · outputs.":
            {"held": "product"},
        "the rank is left out of the adapters.": {"held": "once"},
        "the rank goes in squared.": {"held": "square"},
        "the adapters are counted twice.": {"held": "twice"},
        "only the first matrix has an adapter in it; all have one.": {"held": "first"},
        "adapters of rank × rank are counted; they reach from inputs to outputs.":
            {"held": "middle"},
        "that is the share of weights that learn; asked are operations.":
            {"frozen": 0, "adapters": 1, "whole": 1},
        "that is in per cent; a share is asked.": lambda s, r: 100 * share_left(s, r),
        "that is the share of operations that is saved.": lambda s, r: 1 - share_left(s, r),
        "upside down: all weights over LoRA.": lambda s, r: 1 / share_left(s, r),
        "those are the operations of LoRA; asked is their share.":
            lambda s, r: 6 * sum(a * b for a, b in s) * share_left(s, r),
        "that is the mean of the matrices' shares; larger matrices weigh more.":
            lambda s, r: sum(share_left([one], r) for one in s) / len(s),
        "the forward pass alone is compared.":
            {"frozen": 2, "adapters": 2, "whole": 2},
        "the backward pass alone is compared.":
            {"frozen": 2, "adapters": 4, "whole": 4},
        "below stand the adapters, too: with all weights learning there are none.":
            lambda s, r: (lambda A, P: (4 * P + 6 * A) / (6 * (P + A)))(
                r * sum(a + b for a, b in s), sum(a * b for a, b in s)),
    }),
    common=False,
    shows="Frozen matrices still cost two thirds: LoRA saves memory first, operations second.",
)  # fmt: skip
