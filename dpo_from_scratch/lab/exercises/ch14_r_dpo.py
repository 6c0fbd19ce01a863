"""Chapter 14's key cell: R-DPO's loss, and what it is taken for."""

import torch
from torch.nn.functional import logsigmoid

from .functions import Function


def r_dpo(
    w,
    lost,
    ref_w,
    ref_l,
    n_w,
    n_l,
    beta,
    alpha,
    *,
    of="difference",
    power=1,
    sides="both",
    reference=1,
    turned=1,
    price="alpha",
    total=False,
):
    """R-DPO's loss of each pair (B,); the keywords are mistakes."""
    rho_w, rho_l = w - reference * ref_w, lost - reference * ref_l
    if sides == "per token":
        rho_w, rho_l = rho_w / n_w, rho_l / n_l
    longer = {
        "difference": n_w - n_l, "turned": n_l - n_w, "chosen": n_w, "rejected": -n_l,
        "sum": n_w + n_l, "size": (n_w - n_l).abs(), "ratio": n_w / n_l,
        "logs": torch.log(n_w / n_l), "share": (n_w - n_l) / (n_w + n_l),
        "squares": n_w**2 - n_l**2,
        "relative": n_w / n_l - 1, "relative to chosen": 1 - n_l / n_w,
        "roots": n_w**0.5 - n_l**0.5, "none": -1.0 + 0 * n_w,
        "longer or not": torch.sign(n_w - n_l),
    }[of]  # fmt: skip
    weight = {"alpha": alpha, "times beta": alpha * beta, "over beta": alpha / beta}[price]
    inside = beta**power * turned * (rho_w - rho_l)
    loss = -logsigmoid(inside + weight * longer)
    return loss.mean() if total else loss


def _rewritten(change):
    """R-DPO's loss as a function of DPO's margin m and the price a of the difference in length."""

    def loss(w, lost, ref_w, ref_l, n_w, n_l, beta, alpha):
        return change(beta * (w - ref_w - lost + ref_l), alpha * (n_w - n_l))

    return loss


def _pairs(n: int, beta: float, alpha: float, seed: int) -> dict:
    draw = torch.Generator().manual_seed(seed)
    normal = lambda: torch.randn(n, generator=draw, dtype=torch.double)
    n_w, n_l = (torch.randint(7, 31, (n,), generator=draw).double() for _ in range(2))
    ref_w, ref_l = -0.9 * n_w + normal(), -0.9 * n_l + normal()
    return {
        "w": ref_w + 1.5 * normal(), "l": ref_l + 1.5 * normal() - 0.4, "ref_w": ref_w,
        "ref_l": ref_l, "n_w": n_w, "n_l": n_l, "beta": beta, "alpha": alpha,
    }  # fmt: skip


def _as(**mistakes):
    return lambda *args: r_dpo(*args, **mistakes)


R_DPO = Function(
    r_dpo,
    [_pairs(5, 0.6, 0.1, 0), _pairs(4, 0.3, 0.07, 1), _pairs(6, 1.7, 0.04, 2)],
    switches={
        "of": ("turned", "the lengths go in with the wrong sign: who has credit already?"),
        "reference": (0, "the reference is left out: the log-ratios ρ are asked."),
        "power": (2, "β goes in twice."),
        "turned": (-1, "the difference of log-ratios has its sign turned: chosen and rejected, or "
                   "policy and reference, have changed places."),
        "price": ("times beta", "the lengths are multiplied by β, too: α is a price in rewards."),
        "sides": ("per token", "the log-ratios are divided by the lengths: that is LN-DPO's part."),
        "total": (True, "the mean over the batch is taken; a value for each pair is asked."),
    },
    wrongs=(
        ("that is DPO: the lengths don't go in.", _rewritten(lambda m, a: -logsigmoid(m))),
        ("β is left out.", _as(power=0)),
        ("the reference goes in with the wrong sign, or its two sides are exchanged.",
         lambda w, lost, ref_w, ref_l, *rest: r_dpo(w, lost, ref_l, ref_w, *rest)),
        ("a chosen response that is shorter counts too: the difference may be negative.",
         _rewritten(lambda m, a: -logsigmoid(m + a.clamp(min=0)))),
        ("the lengths lose the batch's mean: each pair's own difference counts.",
         _rewritten(lambda m, a: -logsigmoid(m + a - a.mean()))),
        ("the lengths are divided by β: α is a price in rewards, and so is βρ.",
         _as(price="over beta")),
        ("only the chosen response's length goes in.", _as(of="chosen")),
        ("only the rejected response's length goes in.", _as(of="rejected")),
        ("the two lengths are added up.", _as(of="sum")),
        ("the difference of the lengths has lost its sign.", _as(of="size")),
        ("the lengths are divided by each other: their difference is asked.", _as(of="ratio")),
        ("logarithms of the lengths: α is a price of a token.", _as(of="logs")),
        ("the difference is divided by the sum of the lengths: α is a price of a token.",
         _as(of="share")),
        ("the lengths go in squared.", _as(of="squares")),
        ("only which one is longer goes in, not by how much.", _as(of="longer or not")),
        ("the lengths stand outside the sigmoid, as a bonus of the loss.",
         _rewritten(lambda m, a: a - logsigmoid(m))),
        ("the lengths stand outside the sigmoid, as a bonus of the loss.",
         _rewritten(lambda m, a: -logsigmoid(m) - a)),
        ("lengths and log-ratios have a sigmoid each: they belong in one.",
         _rewritten(lambda m, a: -logsigmoid(m) - logsigmoid(a))),
        ("the margin is multiplied by the lengths; they are added to it.",
         _rewritten(lambda m, a: -logsigmoid(m * a))),
        ("the sigmoid's argument has its sign turned.",
         _rewritten(lambda m, a: -logsigmoid(-m - a))),
        ("that is how sure the pair's other side is: no logarithm is taken.",
         _rewritten(lambda m, a: torch.sigmoid(-m - a))),
        ("the loss is divided by the chosen response's length.",
         lambda *args: r_dpo(*args) / args[4]),
        ("the loss is divided by both lengths.", lambda *args: r_dpo(*args) / (args[4] + args[5])),
        ("the lengths' difference is divided by the rejected one's: α is a price of a token.",
         _as(of="relative")),
        ("the lengths' difference is divided by the chosen one's: α is a price of a token.",
         _as(of="relative to chosen")),
        ("roots of the lengths go in: α is a price of a token.", _as(of="roots")),
        ("α is taken for a margin, whatever the lengths.", _as(of="none")),
        ("the mean difference of the batch goes in: each pair's own counts.",
         _rewritten(lambda m, a: -logsigmoid(m + a.mean()))),
        ("a chosen response that is longer counts too: only the shorter ones do here.",
         _rewritten(lambda m, a: -logsigmoid(m + a.clamp(max=0)))),
        ("β stands in front of the loss, and not inside.",
         lambda *args: args[6] * r_dpo(*args, power=0)),
        ("β multiplies the loss, too.", lambda *args: args[6] * r_dpo(*args)),
        ("the lengths scale the loss: they belong into the sigmoid.",
         _rewritten(lambda m, a: -(1 + a) * logsigmoid(m))),
        ("that is a hinge; the loss is −log σ.", _rewritten(lambda m, a: (1 - m - a).clamp(min=0))),
        ("that is minus the sigmoid's argument.", _rewritten(lambda m, a: -m - a)),
        ("the size of the difference stands outside the sigmoid, as a penalty.",
         _rewritten(lambda m, a: a.abs() - logsigmoid(m))),
        ("that is the sigmoid's argument itself.", _rewritten(lambda m, a: m + a)),
    ),
    shows="A chosen response that is longer leaves the policy less to learn from it.",
)  # fmt: skip
