"""Chapter 9: what a step does to a log-probability; why gradients are alike; goals; squeezing."""

from collections.abc import Mapping
from functools import cache

import numpy as np
import torch
from scipy.optimize import brentq, minimize_scalar
from torch import sigmoid

from .answers import Numbers
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
    "the cosine: its sign is lost or turned.": lambda w, v: -cosine_and_lengths(w, v)[0],
    "the cosine: that is its square.": lambda w, v: cosine_and_lengths(w, v)[0] ** 2,
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
        "that is the quotient of lengths alone.": lambda w, v: cosine_and_lengths(w, v)[1],
    }) + mixed(COSINES, LENGTHS),
    shows="A cosine is never above 1: where the ratio is, a longer rejected gradient made it so.",
)  # fmt: skip


# ---------------------------------------------------------------- 2: when the goal begins to fall
@cache
def chosen_rewards() -> np.ndarray:
    """True rewards of the chosen responses of the chapter's first 256 unseen pairs."""
    from ... import world

    rows = world.make_pairs(256, world.true_order, seed=6000)
    return np.array([world.reward(row["prompt"], row["chosen"]) for row in rows])


def average(beta: float) -> float:
    """Mean log-ratio of these responses at the optimum for this β, nats."""
    from ... import world

    log_z = world.REVIEWS.policy(world.prompts()[0], beta).log_Z  # of every prompt the same
    return float(chosen_rewards().mean() / beta - log_z)


@cache
def goal() -> dict[str, float]:
    """The β where the average is zero, and its highest value over all β; where that is."""
    top = minimize_scalar(lambda b: -average(b), bounds=(1, 20), method="bounded").x
    beta = brentq(lambda b: average(b), 0.5, top, xtol=1e-4)
    return {"beta": beta, "highest": average(top), "top": float(top)}


def falling() -> dict[str, float]:
    """What is handed in."""
    return {key: goal()[key] for key in ("beta", "highest")}


def goal_wrongs(answer: Mapping[str, float]) -> list:
    """β, then the height."""
    top = goal()["top"]
    return [
        ("beta", top, "β: that is where the average is highest; asked is where it is 0."),
        ("highest", top, "the height: that is the β where it is reached."),
        ("highest", top * answer["highest"], "the height: that is β times it; asked are nats."),
        ("highest", 0.0, "the height: the average is above 0 somewhere; try a large β."),
        *(("highest", average(b), "the height: between the β of a coarse table the average is "
           "higher.") for b in (2.0, 8.0)),
    ]  # fmt: skip


def still(found: Mapping[str, float], answer: Mapping[str, float]) -> str:
    """What the optimum does at a wrong β; what can't be the highest."""
    b, height = found["beta"], found["highest"]
    if FALLS.near([height, b], list(answer.values())):
        return ""
    if abs(b / answer["beta"] - 1) > 0.03:
        if not 0.05 < b < 1e4:
            return "β: look between 0.3 and 10."
        where = "above" if average(b) > 0 else "below"
        return f"β: at yours the average is still {where} 0."
    if height < 0:
        return "the height: the average is above 0 somewhere; try a large β."
    if height > 1.03 * answer["highest"]:
        return "the height: no β lifts the *average* so far. (Is it one response's?)"
    return "the height: some β lifts the average further."


FALLS = Numbers(
    falling,
    goal_wrongs,
    rtol=0.03,
    tell=still,
    shows="At a large β the goal lifts the average chosen response a little; at a small one even "
    "the better of two replies is not good enough.",
)  # fmt: skip


# ---------------------------------------------------------------- 3: push down the favourite
@cache
def world_of_one() -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities and true rewards of the mini world's replies to one prompt."""
    from ... import world

    prompt = world.prompts()[0]
    replies = world.MINI.replies(prompt)
    return world.MINI.log_probs(prompt, replies), world.rewards(prompt, replies)


def pushed(which: int = 0, way: float = -1.0, steps: int = 24, top: int = 3) -> dict[str, float]:
    """What steps on one reply's log-probability alone do; which: its place by likelihood."""
    start, true = world_of_one()
    p0, z = np.exp(start), start.copy()
    one = np.arange(len(z)) == np.argsort(-p0)[which]
    for _ in range(steps):
        z += way * (one - np.exp(z - np.logaddexp.reduce(z)))
    p = np.exp(z - np.logaddexp.reduce(z))
    first = np.argsort(np.where(one, 0, -p))[:top]
    return {"gained": float((p - p0)[first].sum()), "change": float((p - p0) @ true),
            "after": float(p[first].sum()), "lost": float((p0 - p)[one].sum()),
            "reward": float(p @ true), "theirs": float(true[first].mean())}  # fmt: skip


def favourite() -> dict[str, float]:
    """What is handed in."""
    return {key: pushed()[key] for key in ("gained", "change")}


def favourite_wrongs(answer: Mapping[str, float]) -> list:
    """Another push first; then what was gained, then the change of reward."""
    found, both = pushed(), ("gained", "change")
    pair = lambda which: [which[key] for key in both]
    mass, worth = "the mass: ", "the reward: "
    return [
        (both, pair(pushed(-1)), "that pushes the unlikeliest reply down, not the likeliest."),
        (both, pair(pushed(way=1.0)), "that pushes the favourite up."),
        (both, pair(pushed(steps=1)), "that is after one step; asked is after 24."),
        ("gained", pushed(way=1.0)["after"], mass + "that pushes the favourite up."),
        ("gained", found["after"], mass + "that is what they hold afterwards, not the gain."),
        ("gained", found["after"] - found["gained"], mass + "that is what they held before."),
        ("gained", found["gained"] / 3, mass + "that is what one of the three gains."),
        ("gained", found["lost"], mass + "that is what the favourite lost; the three gain from "
         "others, too."),
        ("gained", found["after"] / (found["after"] - found["gained"]), mass + "that is a "
         "quotient; asked is how much they gained."),
        ("change", found["reward"], worth + "that is the mean afterwards; asked is its change."),
        ("change", found["reward"] - found["change"], worth + "that is the mean before."),
        ("change", -found["change"], worth + "the sign is turned: after less before."),
        ("change", found["theirs"], worth + "that is the three replies' own; asked is how the mean "
         "over all replies changes."),
        ("change", found["theirs"] * found["gained"], worth + "that is what the three bring in; "
         "what others lost is missing."),
        ("change", found["change"] / (found["reward"] - found["change"]), worth + "that is its "
         "share of the mean before; asked is the difference."),
        ("change", 0.0, worth + "it does change: the three that gain are fillers."),
    ]  # fmt: skip


FAVOURITE = Numbers(
    favourite,
    favourite_wrongs,
    rtol=0.02,
    shows="Pushed down alone, a likely reply feeds the next likeliest, which are worth less: its "
    "mass doesn't go to better ones.",
)  # fmt: skip

EXERCISES = {"09.0": PUSH, "09.1": ALIKE, "09.2": FALLS, "09.3": FAVOURITE}
