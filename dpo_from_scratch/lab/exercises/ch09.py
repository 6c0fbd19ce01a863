"""Chapter 9: what a step does to a log-probability; why gradients are alike.

The exercises that ask for numbers are in ch09_numbers.py.
"""

import torch
from torch import sigmoid
from torch.nn.functional import softplus

from .ch09_numbers import FALLS, FAVOURITE
from .functions import Function
from .kit import mistakes, mixed


# ---------------------------------------------------------------- 0: the push of a batch
def predicted(
    g, g_w, g_l, margins, eta, beta, *, turn=1.0, side=1.0, joined=-1.0, over="mean", weight="σ(-m)"
):
    """First-order change of a log-probability in a step on a batch; the switches are mistakes."""
    weights = {
        "σ(-m)": sigmoid(-side * margins),
        "": torch.ones_like(margins),
        "βm": sigmoid(-beta * margins),
        "log": torch.nn.functional.logsigmoid(-margins),
        "σ'": sigmoid(margins) * sigmoid(-margins),
        "e": torch.exp(-margins),
        "m": margins,
    }[weight]
    pulls = weights * ((g_w + joined * g_l) @ g)
    step = turn * eta * beta
    return step * {"mean": pulls.mean(), "sum": pulls.sum(), "": pulls}[over]


def weighed(weights):
    """A mistake: other weights than σ(−m), as a function of margins and β."""
    return lambda g, w, v, m, eta, beta: eta * beta * (weights(m, beta) * ((w - v) @ g)).mean()


def batches() -> list[dict]:
    """Gradients of three batches and of one response."""
    rng, found = torch.Generator().manual_seed(0), []
    some = lambda *size: torch.randn(*size, generator=rng, dtype=torch.double)
    for n, width, eta, beta in ((3, 5, 0.5, 0.6), (2, 6, 0.8, 0.2), (4, 7, 0.3, 2.0)):
        both = {"g_w": some(n, width), "g_l": some(n, width)}
        rest = {"margins": 1.5 * some(n) + 0.4, "eta": eta, "beta": beta}
        found.append({"g": some(width)} | both | rest)
    return found


PUSH = Function(
    predicted,
    batches(),
    switches={
        "turn": (-1.0, "the sign is turned: a step down the loss raises chosen texts. (Or g_w and "
                 "g_l have changed places.)"),
        "side": (-1.0, "σ(m) stands where σ(−m) should: pairs that are in order would push most."),
        "joined": (1.0, "the rejected gradients are added where they are taken off."),
        "over": ("sum", "the pulls of the pairs are added up: the batch's loss is a mean."),
        "weight": ("", "σ(−m) is left out: pairs that are in order push less."),
    },
    wrongs=mistakes(predicted, {
        "β stands inside σ, too, but the margins hold it already.": {"weight": "βm"},
        "log σ(−m) stands where σ(−m) should: a slope, not the loss.": {"weight": "log"},
        "the slope of σ stands where σ(−m) should.": {"weight": "σ'"},
        "e to the −m stands where σ(−m) should.": {"weight": "e"},
        "the margin itself stands where σ(−m) should.": {"weight": "m"},
        "every σ(−m) is taken for one half, which holds before training alone.":
            lambda g, w, v, m, eta, beta: 0.5 * predicted(g, w, v, m, eta, beta, weight=""),
        "the rejected responses are left out: the step pushes them down, too.": {"joined": 0.0},
        "the chosen responses are left out.": lambda g, w, *a: predicted(g, 0 * w, *a),
        "that is one number a pair; the step is their mean.": {"over": ""},
        "the mean of a product was taken for the product of two means: σ(−m) belongs to its pair.":
            lambda g, w, v, m, eta, beta: eta * beta * sigmoid(-m).mean() * ((w - v) @ g).mean(),
        "the σ(−m) are made to add up to one; the mean divides by the number of pairs.":
            lambda g, w, v, m, eta, beta: eta * beta * sigmoid(-m) @ ((w - v) @ g)
            / sigmoid(-m).sum(),
        "σ is taken of the mean margin: each pair has its own.":
            lambda g, w, v, m, eta, beta: eta * beta * sigmoid(-m.mean()) * ((w - v) @ g).mean(),
        "the products are averaged over the weights of the model; an inner product adds them up.":
            lambda g, w, v, m, eta, beta: predicted(g, w, v, m, eta, beta) / len(g),
        "`g` isn't asked: that is what the step does to the batch's own chosen responses.":
            lambda g, w, v, m, eta, beta: (
                eta * beta * (sigmoid(-m) * ((w - v) * w).sum(1)).mean()),
        "the gradients are brought to length one (a cosine); an inner product keeps lengths.":
            lambda g, w, v, m, eta, beta: eta * beta * (
                sigmoid(-m) * torch.cosine_similarity(w - v, g[None], dim=1)).mean(),
        "that is where the step moves the weights; asked is what it does to one log-probability.":
            lambda g, w, v, m, eta, beta: (
                eta * beta * (sigmoid(-m)[:, None] * (w - v)).mean(0)),
        "the rejected gradients are weighed by σ(m): the pair has one weight, σ(−m).":
            lambda g, w, v, m, eta, beta: (
                eta * beta * (sigmoid(-m) * (w @ g) - sigmoid(m) * (v @ g)).mean()),
        "the pair's loss stands where its slope σ(−m) should.":
            weighed(lambda m, beta: softplus(-m)),
        "log σ(−m) stands where σ(−m) should, and the sign is turned.":
            weighed(lambda m, beta: softplus(m)),
        "only pairs that are out of order count; σ(−m) weighs all of them.":
            weighed(lambda m, beta: (m < 0).double()),
        "only pairs with a margin below 1 count, as in the hinge; σ(−m) weighs all of them.":
            weighed(lambda m, beta: (m < 1).double()),
        "β stands inside σ, and the margin has the wrong sign.":
            weighed(lambda m, beta: sigmoid(beta * m)),
        "the margins are divided by β inside σ; they go in as they are.":
            weighed(lambda m, beta: sigmoid(-m / beta)),
        "the weights are a softmax over the batch: each pair's is its own σ(−m).":
            weighed(lambda m, beta: torch.softmax(-m, 0)),
        "σ is taken of the margins' size: a margin has a sign.":
            weighed(lambda m, beta: sigmoid(-m.abs())),
        "σ is taken of the margins' size, and of plus: a margin has a sign.":
            weighed(lambda m, beta: sigmoid(m.abs())),
        "tanh stands where σ should.": weighed(lambda m, beta: torch.tanh(-m)),
        "tanh stands where σ should, with the wrong sign.":
            weighed(lambda m, beta: torch.tanh(m)),
        "e to the m stands where σ(−m) should.": weighed(lambda m, beta: torch.exp(m)),
        "one plus the margin's e-power isn't turned over: σ(−m) is one over it.":
            weighed(lambda m, beta: 1 + torch.exp(m)),
        "σ(−m) goes in squared.": weighed(lambda m, beta: sigmoid(-m) ** 2),
        "`g` is brought to length one; an inner product keeps lengths.":
            lambda g, *rest: predicted(g / g.norm(), *rest),
        "it is divided by the length of `g` squared: that belongs to a ratio, not here.":
            lambda g, *rest: predicted(g / (g @ g), *rest),
        "only the batch's first pair is in it.": lambda g, w, v, m, eta, beta: predicted(
            g, w[:1], v[:1], m[:1], eta, beta),
        "only the batch's last pair is in it.": lambda g, w, v, m, eta, beta: predicted(
            g, w[-1:], v[-1:], m[-1:], eta, beta),
        "the differences g_w − g_l are brought to length one.": lambda g, w, v, m, eta, beta: (
            eta * beta * (sigmoid(-m) * ((w - v) / (w - v).norm(dim=1, keepdim=True) @ g)).mean()),
        "only the chosen gradients are weighed by σ(−m); the pair has one weight.":
            lambda g, w, v, m, eta, beta: eta * beta * (sigmoid(-m) * (w @ g) - v @ g).mean(),
        "only the rejected gradients are weighed by σ(−m); the pair has one weight.":
            lambda g, w, v, m, eta, beta: eta * beta * (w @ g - sigmoid(-m) * (v @ g)).mean(),
        "the inner products have lost their signs.": lambda g, w, v, m, eta, beta: (
            eta * beta * (sigmoid(-m) * ((w - v) @ g).abs()).mean()),
        "lengths are multiplied; an inner product also counts how alike the directions are.":
            lambda g, w, v, m, eta, beta: eta * beta * (
                sigmoid(-m)[:, None] * (w - v)).mean(0).norm() * g.norm(),
        "lengths are multiplied, pair by pair; an inner product also counts the directions.":
            lambda g, w, v, m, eta, beta: eta * beta * (
                sigmoid(-m) * (w - v).norm(dim=1)).mean() * g.norm(),
        "the products are averaged over the weights of the model, and the pairs added up.":
            lambda g, w, v, m, eta, beta: predicted(
                g, w, v, m, eta, beta, over="sum") / len(g),
        "`g` isn't asked: that is what the step does to the batch's own margins.":
            lambda g, w, v, m, eta, beta: (
                eta * beta * (sigmoid(-m) * ((w - v) ** 2).sum(1)).mean()),
        "`g` isn't asked: that is what the step does to the batch's own rejected responses.":
            lambda g, w, v, m, eta, beta: (
                eta * beta * (sigmoid(-m) * ((w - v) * v).sum(1)).mean()),
        "the inner product isn't added up: those are its products, one a weight of the model.":
            lambda g, w, v, m, eta, beta: (
                eta * beta * (sigmoid(-m)[:, None] * (w - v)).mean(0) * g),
        "that is the weight and the pull, without η and β.": lambda g, w, v, m, eta, beta: (
            (sigmoid(-m) * ((w - v) @ g)).sum()),
        "η and β are left out.": lambda *a: predicted(*a[:4], 1.0, 1.0),
    }),
    shows="Any response moves by how alike its gradient is to what the batch pushes.",
)  # fmt: skip


# ---------------------------------------------------------------- 1: alike is not enough
def cosine_and_lengths(g_w, g_l):
    """The cosine of two gradients (W,), and the second's length over the first's."""
    return g_w @ g_l / (g_w.norm() * g_l.norm()), g_l.norm() / g_w.norm()


COSINES = {
    None: lambda w, v: cosine_and_lengths(w, v)[0],
    "the cosine: that is the inner product; divide it by both lengths.": lambda w, v: w @ v,
    "the cosine: that is the whole ratio; both of its parts are asked.":
        lambda w, v: w @ v / (w @ w),
    "the cosine: it is divided by |g_l|² alone.": lambda w, v: w @ v / (v @ v),
    "the cosine: the length of g_l is missing below.": lambda w, v: w @ v / w.norm(),
    "the cosine: it is divided by the sum of the lengths.":
        lambda w, v: w @ v / (w.norm() + v.norm()),
    "the cosine: it is divided by the lengths squared.": lambda w, v: w @ v / ((w @ w) * (v @ v)),
    "the cosine: that is the angle.": lambda w, v: torch.arccos(cosine_and_lengths(w, v)[0]),
    "the cosine: that is one minus it, a distance.": lambda w, v: 1 - cosine_and_lengths(w, v)[0],
    "the cosine: that is a correlation, with the means taken off first.":
        lambda w, v: cosine_and_lengths(w - w.mean(), v - v.mean())[0],
    "the cosine: its sign is turned.": lambda w, v: -cosine_and_lengths(w, v)[0],
    "the cosine: that is its square.": lambda w, v: cosine_and_lengths(w, v)[0] ** 2,
    "the cosine: that is the angle, in degrees.":
        lambda w, v: torch.rad2deg(torch.arccos(cosine_and_lengths(w, v)[0])),
    "the cosine: that is the sine of the angle.":
        lambda w, v: (1 - cosine_and_lengths(w, v)[0] ** 2).sqrt(),
    "the cosine: its sign is lost.": lambda w, v: cosine_and_lengths(w, v)[0].abs(),
    "the cosine: it is cut at 0; it may be negative.":
        lambda w, v: cosine_and_lengths(w, v)[0].clamp(min=0),
    "the cosine: only its sign is left.": lambda w, v: cosine_and_lengths(w, v)[0].sign(),
    "the cosine: it is moved to between 0 and 1.":
        lambda w, v: (1 + cosine_and_lengths(w, v)[0]) / 2,
    "the cosine: the products are averaged, not added up, and the lengths are missing.":
        lambda w, v: (w * v).mean(),
    "the cosine: the products are averaged, not added up.":
        lambda w, v: cosine_and_lengths(w, v)[0] / len(w),
    "the cosine: absolute values are added below; a length is the root of a sum of squares.":
        lambda w, v: w @ v / (w.abs().sum() * v.abs().sum()),
    "the cosine: the length of g_w is missing below.": lambda w, v: w @ v / v.norm(),
    "the cosine: that is a distance, the length of a difference.": lambda w, v: (w - v).norm(),
    "the cosine: that is the distance of two directions.":
        lambda w, v: (w / w.norm() - v / v.norm()).norm(),
    "the cosine: both gradients went through a softmax first.":
        lambda w, v: cosine_and_lengths(w.softmax(0), v.softmax(0))[0],
}  # fmt: skip
LENGTHS = {
    None: lambda w, v: v.norm() / w.norm(),
    "the lengths: the quotient is upside down.": lambda w, v: w.norm() / v.norm(),
    "the lengths: they are squared.": lambda w, v: (v @ v) / (w @ w),
    "the lengths: that is their difference; asked is a quotient.": lambda w, v: v.norm() - w.norm(),
    "the lengths: that is their product; asked is a quotient.": lambda w, v: v.norm() * w.norm(),
    "the lengths: absolute values are added; a length is the root of a sum of squares.":
        lambda w, v: v.abs().sum() / w.abs().sum(),
    "the lengths: that is a quotient of sums, not of lengths.": lambda w, v: v.sum() / w.sum(),
    "the lengths: that is the difference's length over g_w's; asked is g_l's.":
        lambda w, v: (v - w).norm() / w.norm(),
    "the lengths: that is g_l's share of both; asked is g_l's over g_w's.":
        lambda w, v: v.norm() / (w.norm() + v.norm()),
    "the lengths: that is the logarithm of the quotient.": lambda w, v: (v.norm() / w.norm()).log(),
    "the lengths: largest entries are compared; a length is the root of a sum of squares.":
        lambda w, v: v.abs().max() / w.abs().max(),
    "the lengths: that is a quotient of standard deviations; a length takes no mean off.":
        lambda w, v: v.std() / w.std(),
    "the lengths: that is the root of the quotient.": lambda w, v: (v.norm() / w.norm()).sqrt(),
    "the lengths: the quotient is upside down, and squared.": lambda w, v: (w @ w) / (v @ v),
    "the lengths: that is a mean of quotients, entry by entry.": lambda w, v: (v / w).mean(),
    "the lengths: that is a mean of sizes of quotients, entry by entry.":
        lambda w, v: (v / w).abs().mean(),
    "the lengths: sums of absolute values are taken off each other.":
        lambda w, v: v.abs().sum() - w.abs().sum(),
    "the lengths: it is divided by g_w's twice.": lambda w, v: v.norm() / (w @ w),
    "the lengths: the numbers of entries are compared, not the lengths.":
        lambda w, v: torch.ones((), dtype=w.dtype),
    "the lengths: that is g_l's alone.": lambda w, v: v.norm(),
    "the lengths: that is g_w's alone.": lambda w, v: w.norm(),
    "the lengths: that is the whole ratio; the cosine is still in it.":
        lambda w, v: w @ v / (w @ w),
}  # fmt: skip


def alike() -> list[dict]:
    """Three pairs of gradients of some likeness; one with a negative cosine."""
    rng, found = torch.Generator().manual_seed(1), []
    for width, mix, size in ((5, 1.0, 1.4), (7, 0.5, 0.7), (6, -0.6, 2.1)):
        w, v = torch.randn(2, width, generator=rng, dtype=torch.double)
        found.append({"g_w": w, "g_l": size * (v + mix * w)})
    return found


ALIKE = Function(
    cosine_and_lengths,
    alike(),
    wrongs=mistakes(cosine_and_lengths, {
        "the right two, in the opposite order: the cosine comes first.":
            lambda w, v: cosine_and_lengths(w, v)[::-1],
        "that is the ratio itself; asked are its two parts.": lambda w, v: w @ v / (w @ w),
        "that is the cosine alone.": lambda w, v: cosine_and_lengths(w, v)[0],
        "those are the two lengths; asked are the cosine and their quotient.":
            lambda w, v: (w.norm(), v.norm()),
        "those are the two lengths; asked are the cosine and their quotient. ":
            lambda w, v: (v.norm(), w.norm()),
        "that is the product of the two, the ratio; asked are its two parts.":
            lambda w, v: v @ w / (v @ v),
        "that is the quotient of lengths alone.": lambda w, v: cosine_and_lengths(w, v)[1],
    }) + mixed(COSINES, LENGTHS),
    shows="A cosine is never above 1: where the ratio is, a longer rejected gradient made it so.",
)  # fmt: skip


EXERCISES = {"09.0": PUSH, "09.1": ALIKE, "09.2": FALLS, "09.3": FAVOURITE}
