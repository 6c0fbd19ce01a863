"""Exercise 10.3: a step on a table of logits."""

import numpy as np

from .functions import Function
from .kit import mistakes, mixed


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
PLACES = {-2: "goes in twice", -1: "is taken off", 0: "is left out", 1: "is added"}


def entries(row: str, sign: int) -> dict:
    """What dρ may be: a constant, and π_w and π_l with a factor each; None: the right one."""
    found = {None: lambda p, i, j: sign - p[i] + p[j]}
    for w, v in ((w, v) for w in PLACES for v in PLACES):
        if (w, v) != (-1, 1):
            both = (("w", w, -1), ("l", v, 1))
            off = [f"π_{n} {PLACES[x]}" for n, x, right in both if x != right]
            found[f"in {row}: {' and '.join(off)}; it should not."] = lambda p, i, j, w=w, v=v: (
                sign + w * p[i] + v * p[j]
            )
    found[f"in {row}: the {sign} is missing: a response's own logit is pushed."] = lambda p, i, j: (
        p[j] - p[i]
    )
    return found


def _both(*steps):
    return lambda *at: [table_step(*at, along=a)[i] for i, a in enumerate(steps)]


def _gradients(p, i, j):
    p = np.asarray(p, float)
    return np.eye(len(p))[i] - p, np.eye(len(p))[j] - p


def _along(step):
    """A mistake: another direction, step(g_w, g_l, p, i, j)."""
    return lambda *at: [g @ step(*_gradients(*at), *at) for g in _gradients(*at)]


def _taken(change):
    """A mistake: change(the right change, g, π) of each of the two."""
    return lambda p, i, j: [
        change(d, g, p[k])
        for d, g, k in zip(table_step(p, i, j), _gradients(p, i, j), (i, j), strict=True)
    ]


def _real(p, i, j):
    q = p * np.exp(np.eye(len(p))[i] - np.eye(len(p))[j])
    return np.log(q / q.sum() / p)[[i, j]]


PI_ADDED = (
    "π has the wrong sign: is it added to the gradients, or have the two responses changed places?"
)
OTHER_STEPS = {
    PI_ADDED: lambda p, i, j: table_step(p, i, j, less=-1.0),  # before the signs, one by one
    "that is how the probabilities change, π times it; asked are their logarithms.":
        _taken(lambda d, g, p: p * d),
    "π is still in g_w − g_l once; it cancels.": _along(lambda w, v, p, i, j: w - v - p),
    "the step moves the two own logits alone, by 1 − π each; g_w − g_l is longer there.":
        _along(lambda w, v, p, i, j: np.eye(len(p))[i] * w[i] - np.eye(len(p))[j] * v[j]),
    "it is divided by each gradient's length squared; asked is the formula without a factor.":
        _taken(lambda d, g, p: d / (g @ g)),
    "those are cosines; asked is the formula, with the lengths.": lambda p, i, j: [
        g @ s / np.linalg.norm(g) / np.linalg.norm(s)
        for s in [np.eye(len(p))[i] - np.eye(len(p))[j]]
        for g in _gradients(p, i, j)],
    "it is divided by the number of replies.":
        lambda p, i, j: np.array(table_step(p, i, j)) / len(p),
    "π is taken as even; it is an argument.":
        lambda p, i, j: table_step(np.ones(len(p)) / len(p), i, j),
    "log π stands where π should.": lambda p, i, j: table_step(np.log(p), i, j),
    "both get the chosen one's change; the rejected one's own push is down.":
        lambda p, i, j: [table_step(p, i, j)[0]] * 2,
    "those are slopes of log π_w by the two logits; asked are the changes of two logarithms.":
        lambda p, i, j: (1 - p[i], -p[j]),
    "those are slopes of log π_w and of log π_l, each by the chosen logit.":
        lambda p, i, j: (1 - p[i], -p[i]),
    "the chosen one is the place after the one that is asked.":
        lambda p, i, j: table_step(p, (i + 1) % len(p), j),
    "the rejected one is the place after the one that is asked.":
        lambda p, i, j: table_step(p, i, (j + 1) % len(p)),
    "that is the inner product of the two gradients, for both.":
        lambda p, i, j: [np.dot(*_gradients(p, i, j))] * 2,
    "those are the squared lengths of the two gradients; the inner product is missing.":
        lambda p, i, j: [g @ g for g in _gradients(p, i, j)],
    "those are the gradients themselves; asked is what a step does to two numbers.": _gradients,
    "that is where the log-probabilities are after it; asked is the change.":
        _taken(lambda d, g, p: np.log(p) + d),
    "that is the change in a step of full length; asked is the first order, a product of "
    "gradients.": _real,
    "products of π stand in it: π cancels in g_w − g_l.":
        lambda p, i, j: ((1 - p[i]) * (1 + p[j]), -(1 - p[j]) * (1 + p[i])),
    "1 − π is a factor in yours; in the formula the π are added.":
        lambda p, i, j: ((1 - p[i]) * (1 - p[i] + p[j]), -(1 - p[j]) * (1 - p[j] + p[i])),
    "a quotient of the two π stands in it: they are taken off each other.":
        lambda p, i, j: (1 - p[i] / p[j], p[i] / p[j] - 1),
    "those are odds.": lambda p, i, j: (p[i] / (1 - p[i]), -p[j] / (1 - p[j])),
    "those are slopes of π_w; asked are those of both logarithms.":
        lambda p, i, j: (p[i] * (1 - p[i]), -p[i] * p[j]),
    "that is the sum of the two changes; both are asked.":
        lambda p, i, j: sum(table_step(p, i, j)),
    "those are probabilities; asked are changes of their logarithms.": lambda p, i, j: (p[i], p[j]),
    "only the constants are missing: 1 and −1, a response's own push.":
        lambda p, i, j: (p[j] - p[i], p[j] - p[i]),
    "the chosen one counts from 1 in yours.": lambda p, i, j: table_step(p, i - 1, j),
    "the rejected one counts from 1 in yours.": lambda p, i, j: table_step(p, i, j - 1),
    "both changes are added to 1: factors, not changes.":
        lambda p, i, j: np.exp(table_step(p, i, j)),
}  # fmt: skip
TABLE = Function(
    table_step,
    [{"pi": np.array(p), "chosen": i, "rejected": j} for p, i, j in TABLES],
    switches={
        "less": (-1.0, PI_ADDED),
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
    } | OTHER_STEPS) + mixed(entries("dρ_w", 1), entries("dρ_l", -1)),
    shows="1 − π_w + π_l is never negative: in a table DPO on a pair raises its chosen text. "
    "Shared parameters change that.",
)  # fmt: skip
