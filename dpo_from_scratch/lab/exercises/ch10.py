"""Chapter 10: which way is down in the plane of the two log-ratios; IPO in disguise; slopes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import sigmoid
from torch.nn.functional import softplus

from .ch10_slopes import SLOPE
from .ch10_table import TABLE
from .functions import Function
from .kit import mistakes, mixed


# ---------------------------------------------------------------- 0: downhill
@dataclass(frozen=True)
class Loss:
    """A loss of the two log-ratios, with its name."""

    name: str
    of: Callable

    def __call__(self, rho_w, rho_l):
        """One value for each point."""
        return self.of(rho_w, rho_l)

    def __repr__(self) -> str:
        return self.name


def downhill(loss, rho_w, rho_l, *, turn=-1, l_turn=1, over="sum", both="own", length="", order=1):
    """Minus the slopes of a loss in its two log-ratios, each (N,); the switches are mistakes."""
    w, v = (x.detach().clone().requires_grad_() for x in (rho_w, rho_l))
    value = loss(w, v)
    value = value.mean() if over == "mean" else value.sum()
    up, down = (turn * g for g in torch.autograd.grad(value, (w, v)))
    one = {"own": (up, down), "margin": (up, -up), "mirrored": (-down, down), "up": (up, up)}
    up, down = one[both][0], l_turn * one[both][1]
    size = torch.sqrt(up**2 + down**2)
    divide = {"": 1.0, "one": size, "root": size.sqrt()}[length]
    return (up / divide, down / divide)[::order]


def points() -> list[dict]:
    """Some points and four losses, of the margin and of each side."""
    rng = torch.Generator().manual_seed(0)
    some = lambda n: 1.5 * torch.randn(n, generator=rng, dtype=torch.double)
    kinds = {
        Loss("DPO", lambda w, v: softplus(v - w)): 3,
        Loss("NCA", lambda w, v: softplus(-w) + softplus(w) / 2 + softplus(v) / 2): 4,
        Loss("SPPO", lambda w, v: (w - 2) ** 2 + (v + 2) ** 2): 2,
        Loss("BCO", lambda w, v: softplus(-w) + softplus(v)): 5,
    }
    return [{"loss": f, "rho_w": some(n), "rho_l": some(n)} for f, n in kinds.items()]


def moved(change):
    """A mistake: the right pushes, changed afterwards, each by itself: change(push, value, w)."""
    return lambda f, w, v: [change(x, f(w, v), w) for x in downhill(f, w, v)]


def apart(back: float, on: float, over: float):
    """A mistake: a difference of two heights in place of the slope."""
    return lambda f, w, v: [
        (f(w - back, v) - f(w + on, v)) / over, (f(w, v - back) - f(w, v + on)) / over
    ]  # fmt: skip


COARSE = "that is a difference over so long a step that the slope changes on the way."
AROUND = {
    "each push is added up over all points, and all get the sum.":
        moved(lambda x, f, w: x.sum() + 0 * x),
    "each push is averaged over all points, and all get the mean.":
        moved(lambda x, f, w: x.mean() + 0 * x),
    "the push is divided by the loss itself: that is the slope of its logarithm.":
        moved(lambda x, f, w: x / f),
    "the push is multiplied by the loss itself: that is the slope of half its square.":
        moved(lambda x, f, w: x * f),
    "only the pushes' signs are left; how hard they are is asked, too.":
        moved(lambda x, f, w: x.sign()),
    "the pushes have lost their signs.": moved(lambda x, f, w: x.abs()),
    "pushes below 0 are cut off.": moved(lambda x, f, w: x.clamp(min=0)),
    "the pushes are squared.": moved(lambda x, f, w: x**2),
    "each side's pushes are brought to length one, over all points.":
        moved(lambda x, f, w: x / x.norm()),
    "each push is divided by the number of points twice over.":
        moved(lambda x, f, w: x / (2 * len(w))),
    "minus the loss's height stands for both pushes.": lambda f, w, v: [-f(w, v)] * 2,
    "the loss's height stands for both pushes.": lambda f, w, v: [f(w, v)] * 2,
    **{COARSE + " " * i: way for i, way in enumerate(
        apart(b, o, n) for h in (1, 0.5, 0.1, 0.01, 0.001)
        for b, o, n in ((0, h, h), (h, 0, h), (h, h, 2 * h)))},
    "that is how much a step of 0.1 lowers the loss; divide by the step.": apart(0, 0.1, 1),
    "that is how much a step of 0.01 lowers the loss; divide by the step.": apart(0, 0.01, 1),
    "a difference from both sides spans twice the step: divide by 2h.": apart(1e-4, 1e-4, 1e-4),
    "a difference from both sides, and undivided.": apart(1, 1, 1),
    "the arrows are divided by the sum of both sizes; how hard the push is has been lost.":
        lambda f, w, v: [x / sum(y.abs() for y in downhill(f, w, v)) for x in downhill(f, w, v)],
    "all arrows are divided by the largest push.": lambda f, w, v: [
        x / max(y.abs().max() for y in downhill(f, w, v)) for x in downhill(f, w, v)],
    "all arrows are divided by their common length.": lambda f, w, v: [
        x / torch.stack(downhill(f, w, v)).norm() for x in downhill(f, w, v)],
    "the slopes are taken where both log-ratios are 0, and not at the points.":
        lambda f, w, v: downhill(f, 0 * w, 0 * v),
    "that is the arrow's length; asked are both pushes.":
        lambda f, w, v: sum(x**2 for x in downhill(f, w, v)).sqrt(),
    "that is the arrow's angle; asked are both pushes.":
        lambda f, w, v: torch.atan2(*downhill(f, w, v)[::-1]),
    "only the push along the margin is left: half the difference of the two, for both.":
        lambda f, w, v: [s * (downhill(f, w, v)[0] - downhill(f, w, v)[1]) / 2 for s in (1, -1)],
    "that is DPO's push; the loss is an argument.":
        lambda f, w, v: [sigmoid(v - w), -sigmoid(v - w)],
    "the chosen response is left alone: it has a push of its own.":
        lambda f, w, v: (0 * w, downhill(f, w, v)[1]),
    "the loss is asked at (margin, 0): it takes two log-ratios.":
        lambda f, w, v: downhill(f, w - v, 0 * v),
    "the loss is asked at (margin, −margin): it takes two log-ratios.":
        lambda f, w, v: downhill(f, w - v, v - w),
    "that is one push for all points: each point has its own.":
        lambda f, w, v: [-x.sum() for x in downhill(f, w, v)],
    "that is where a step of 0.1 leads; asked is the push alone.":
        lambda f, w, v: [x + 0.1 * d for x, d in zip((w, v), downhill(f, w, v), strict=True)],
    "the push on the chosen response has its sign turned.":
        lambda f, w, v: (-downhill(f, w, v)[0], downhill(f, w, v)[1]),
}  # fmt: skip
DOWNHILL = Function(
    downhill,
    points(),
    switches={
        "turn": (1, "that points uphill: these are the slopes, and down is against them."),
        "order": (-1, "the two pushes have changed places: the chosen one comes first."),
        "l_turn": (-1, "the push on the rejected response has its sign turned."),
        "over": ("mean", "the loss is averaged over the points, so each push is divided by N."),
        "length": ("one", "the arrows have length one; how hard the push is has been lost."),
    },
    wrongs=mistakes(downhill, {
        "the push on the rejected response is set to minus that on the chosen one, which is right "
        "for functions of the margin alone.": {"both": "margin"},
        "the push on the chosen response is set to minus that on the rejected one, which is right "
        "for functions of the margin alone.": {"both": "mirrored"},
        "both are the push on the chosen response.": {"both": "up"},
        "the arrows are scaled as in a picture, by the root of their length; asked is the push "
        "itself.": {"length": "root"},
        "each push is added up over all points: every point has its own.":
            lambda f, w, v: [x.sum() for x in downhill(f, w, v)],
        "each push is averaged over all points: every point has its own.":
            lambda f, w, v: [x.mean() for x in downhill(f, w, v)],
        "that is the height of the loss; asked is which way is down.": lambda f, w, v: f(w, v),
        "that is the push on the chosen response alone; the rejected one has its own.":
            lambda f, w, v: downhill(f, w, v)[0],
        "that is how fast the margin grows; asked are the pushes on both, one by one.":
            lambda f, w, v: downhill(f, w, v)[0] - downhill(f, w, v)[1],
        "the slopes are added up: each log-ratio has its own.":
            lambda f, w, v: [sum(downhill(f, w, v))] * 2,
        "the loss is asked with the two log-ratios exchanged: loss(rho_w, rho_l).":
            lambda f, w, v: downhill(lambda a, b: f(b, a), w, v),
        "the rejected response is left alone: it has a push of its own.":
            lambda f, w, v: (downhill(f, w, v)[0], 0 * v),
        **AROUND,
        "that is where a step of length one leads; asked is the push alone.":
            lambda f, w, v: [x + d for x, d in zip((w, v), downhill(f, w, v), strict=True)],
    }),
    shows="One function draws the plane of every loss that sees only these two numbers.",
)  # fmt: skip


# ---------------------------------------------------------------- 1: one family
TAUS = {
    None: lambda b: b / 2,
    "τ is upside down.": lambda b: 2 / b,
    "τ: IPO's target for Δ is 1/(2τ), not 1/τ.": lambda b: 1.0 * b,
    "τ: Δ should rest where βΔ is 1; yours lets it rest at β.": lambda b: 1 / (2 * b),
    "τ: that is where Δ rests, not yet the τ that puts it there.": lambda b: 1 / b,
    "τ: a 2 stands above where it should stand below.": lambda b: 2 * b,
    "τ: that fits β = 1 alone.": lambda b: 0.5,
    "τ is half of what it should be.": lambda b: b / 4,
    "τ: the sign is turned.": lambda b: -b / 2,
    "τ: the bracket's target is squared.": lambda b: (b / 2) ** 2,
    "τ: the target is squared, and halved.": lambda b: 1 / (2 * b**2),
    "τ: the square is twice in it.": lambda b: 2 * b**2,
    "τ: that is the factor.": lambda b: b**2,
    "τ: that is one over the factor.": lambda b: b**-2,
    "τ: that is a root; τ goes with β itself.": lambda b: b**0.5,
    "τ: it doesn't depend on β in yours; where m is 1 depends on it.": lambda b: 1.0,
    "τ: it doesn't depend on β in yours; where m is 1 depends on it. ": lambda b: 0.1,
    "τ: β is taken off where it divides.": lambda b: b - 0.5,
    "τ: a 2 too many stands below, and β with it.": lambda b: 1 / (4 * b),
    "τ: that is a third of β.": lambda b: b / 3,
    "τ: the target is not squared, only its distance from Δ is.": lambda b: b**2 / 2,
}  # fmt: skip
FACTORS = {
    None: lambda b: b**2,
    "the factor: β is taken out of the bracket, but the bracket is squared.": lambda b: 1.0 * b,
    "the factor turns the squared loss into IPO's; asked is the other way.": lambda b: b**-2,
    "the factor turns the wrong way, and the bracket is squared.": lambda b: 1 / b,
    "the factor: it is not 1, since the curves differ in height, too.": lambda b: 1.0,
    "the factor: the 2 of 1/(2τ) doesn't go into it.": lambda b: b**2 / 4,
    "the factor is four times too large: the 2 of 1/(2τ) has no part in it.": lambda b: 4 * b**2,
    "the factor is halved: the 2 of 1/(2τ) has no part in it.": lambda b: b**2 / 2,
    "the factor is doubled: the 2 of 1/(2τ) has no part in it.": lambda b: 2 * b**2,
    "the factor: β is doubled where it should be squared.": lambda b: 2 * b,
    "the factor: β is halved where it should be squared.": lambda b: b / 2,
    "the factor: the sign is turned; a square's is never below 0.": lambda b: -(b**2),
    "the factor: β is cubed where it should be squared.": lambda b: b**3,
    "the factor is squared twice.": lambda b: b**4,
    "the factor: that is a root of β; β is squared.": lambda b: b**0.5,
    "the factor is one over τ squared.": lambda b: 4 / b**2,
    "the factor is one over τ.": lambda b: 2 / b,
    "the factor: that is IPO's 1/(4τ²) with τ = β.": lambda b: 1 / (4 * b**2),
    "the factor: upside down, and halved.": lambda b: 1 / (2 * b**2),
    "the factor: β isn't squared, upside down, and halved.": lambda b: 1 / (2 * b),
    "the factor is a quarter of β; β is squared.": lambda b: b / 4,
    "the factor: it depends on β.": lambda b: 0.25,
    "the factor: it depends on β. ": lambda b: 0.5,
    "the factor: it depends on β.  ": lambda b: 2.0,
    "the factor: 1 is added where β multiplies.": lambda b: 1 + b,
    "the factor: its logarithm stands there.": lambda b: 2 * np.log(b),
}  # fmt: skip
FAMILY = Function(
    lambda beta: (beta / 2, beta**2),
    [{"beta": 0.3}, {"beta": 0.7}, {"beta": 2.6}],
    wrongs=[
        ("the right two, in the opposite order: τ comes first.", lambda b: (b**2, b / 2)),
        ("that is IPO's target; asked are τ and the factor.", lambda b: 1 / b),
        ("that is the factor alone; τ is asked, too.", lambda b: b**2),
        ("that is τ alone; the factor is asked, too.", lambda b: b / 2),
        *mixed(TAUS, FACTORS),
    ],
    shows="A squared loss with another target and scale is IPO with another τ and learning rate.",
)  # fmt: skip


EXERCISES = {"10.0": DOWNHILL, "10.1": FAMILY, "10.2": SLOPE, "10.3": TABLE}
