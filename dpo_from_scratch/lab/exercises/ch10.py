"""Chapter 10: which way is down in the plane of the two log-ratios; IPO in disguise; slopes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import sigmoid
from torch.nn.functional import logsigmoid, softplus

from .functions import Function
from .kit import mistakes, mixed, then


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
}  # fmt: skip
FAMILY = Function(
    lambda beta: (beta / 2, beta**2),
    [{"beta": 0.3}, {"beta": 0.7}, {"beta": 2.6}],
    wrongs=[
        ("the right two, in the opposite order: τ comes first.", lambda b: (b**2, b / 2)),
        ("that is IPO's target; asked are τ and the factor.", lambda b: 1 / b),
        ("that is τ alone; the factor is asked, too.", lambda b: b / 2),
        *mixed(TAUS, FACTORS),
    ],
    shows="A squared loss with another target and scale is IPO with another τ and learning rate.",
)  # fmt: skip


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
    "that is DPO's slope; ε is nowhere.": lambda m, eps: -sigmoid(-m),
    "that is cDPO's slope.": lambda m, eps: sigmoid(m) - (1 - eps),
    "the second term is left out.": {"second": 0.0},
    "the second term is left out, and so is the division by 1 − 2ε.":
        {"second": 0.0, "divide": ""},
    "the first term is left out.": lambda m, eps: -eps * sigmoid(m) / (1 - 2 * eps),
    "both terms have σ(−m): the slope of log σ(−m) has the other one.":
        lambda m, eps: -sigmoid(-m) / (1 - 2 * eps),
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


# ---------------------------------------------------------------- 3: a table of logits
def table_step(pi, chosen, rejected, *, less=1.0, along=(1.0, -1.0), of="log", order=1):
    """Change of both log-probabilities in DPO's step on a softmax (n,); switches are mistakes."""
    pi = np.asarray(pi, float)
    g_w, g_l = (np.eye(len(pi))[i] - less * pi for i in (chosen, rejected))
    if of == "pi":
        g_w, g_l = pi[chosen] * g_w, pi[rejected] * g_l
    if of == "entry":
        g_w, g_l = (np.eye(len(pi))[i] * (1 - pi[i]) for i in (chosen, rejected))
    step = along[0] * g_w + along[1] * g_l
    step = step / np.linalg.norm(step) if of == "unit" else step
    return (g_w @ step, g_l @ step)[::order]


TABLES = (([0.13, 0.42, 0.28, 0.17], 1, 3), ([0.35, 0.09, 0.21, 0.05, 0.3], 4, 1),
          ([0.08, 0.27, 0.1, 0.31, 0.19, 0.05], 2, 3))  # fmt: skip
SIGNS = [(1, 1, 1, 1), (1, 1, -1, 1), (-1, -1, -1, 1), (-1, -1, -1, -1), (-1, 1, 1, 1),
         (-1, 1, -1, -1), (-1, 1, 1, -1), (1, -1, -1, 1), (-1, -1, 1, 1),
         (1, 1, -1, -1)]  # fmt: skip


def _signed(s):
    return lambda p, i, j: (1 + s[0] * p[i] + s[1] * p[j], -1 + s[2] * p[i] + s[3] * p[j])


def _both(*steps):
    return lambda *at: [table_step(*at, along=a)[i] for i, a in enumerate(steps)]


TABLE = Function(
    table_step,
    [{"pi": np.array(p), "chosen": i, "rejected": j} for p, i, j in TABLES],
    switches={
        "less": (-1.0, "π has the wrong sign: is it added to the gradients, or have the two "
            "responses changed places?"),
        "along": ((-1.0, 1.0), "the step goes along g_l − g_w: that is uphill."),
        "order": (-1, "the two changes have changed places: the chosen one comes first."),
        "of": ("pi", "those are gradients of the probabilities; asked are those of their logs."),
    },
    wrongs=mistakes(table_step, {
        "π is left out of the gradients: raising one logit lowers all other probabilities.":
            {"less": 0.0},
        "the step goes along g_w alone: DPO's pushes the rejected response, too.":
            {"along": (1.0, 0.0)},
        "the step goes along −g_l alone: DPO's pushes the chosen response, too.":
            {"along": (0.0, -1.0)},
        "the step goes along g_w + g_l: that raises both.": {"along": (1.0, 1.0)},
        "the gradients have only their own entry: the other logits move a probability, too.":
            {"of": "entry"},
        "the step is scaled to length one; asked is the formula without a factor.": {"of": "unit"},
        "each response feels only its own push here; the other one's is left out.":
            _both((1, 0), (0, -1)),
        "the rejected response's change has its sign turned.":
            lambda *at: np.array(table_step(*at)) * [1, -1],
        "the product of the two gradients is added where it is taken off.":
            lambda *at: np.array(table_step(*at, along=(1, 1))) * [1, -1],
        "that is what each does to the other; a response feels its own push, too.":
            _both((0, -1), (1, 0)),
        "each response's own π is left out.": lambda p, i, j: (1 + p[j], -1 - p[i]),
        "those are slopes of a probability by its own logit.":
            lambda p, i, j: (p[i] * (1 - p[i]), -p[j] * (1 - p[j])),
        "each feels the push on its own logit alone; the other's moves it through the softmax.":
            lambda p, i, j: (1 - p[i], p[j] - 1),
        "the rejected one's change is set to minus the chosen one's; they differ.":
            lambda *at: np.array([1, -1]) * table_step(*at)[0],
        "`pi` is taken for logits: it holds probabilities.":
            lambda p, i, j: table_step(np.exp(p) / np.exp(p).sum(), i, j),
        "`chosen` and `rejected` count from 0.": lambda p, i, j: table_step(p, i - 1, j - 1),
        "that is the change of all logits; asked are the two log-probabilities.":
            lambda p, i, j: np.eye(len(p))[i] - np.eye(len(p))[j],
        "that is the change of all log-probabilities; asked are the pair's two.":
            lambda p, i, j: np.eye(len(p))[i] - np.eye(len(p))[j] - p[i] + p[j],
        "that is the chosen one's change alone; the rejected one's is asked, too.":
            lambda *at: table_step(*at)[0],
        "that is how fast the margin grows; asked are both changes.":
            lambda *at: table_step(*at)[0] - table_step(*at)[1],
    }) + [("a π has the wrong sign.", _signed(s)) for s in SIGNS],
    shows="1 − π_w + π_l is never negative: in a table a pair always raises its own chosen text. "
    "Shared parameters change that.",
)  # fmt: skip

EXERCISES = {"10.0": DOWNHILL, "10.1": FAMILY, "10.2": SLOPE, "10.3": TABLE}
