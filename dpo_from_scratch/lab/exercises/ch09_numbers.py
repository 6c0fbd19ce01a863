"""Exercises 09.2 and 09.3: when the goal begins to fall, and the favourite pushed down."""

from collections.abc import Mapping
from functools import cache

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from .answers import Numbers


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
        ("highest", answer["beta"], "the height: that is the β where the average is 0."),
        ("highest", 100 * answer["highest"], "the height: that is in hundredths of a nat."),
        ("highest", np.exp(answer["highest"]), "the height: that is a ratio of probabilities; "
         "asked are nats, its logarithm."),
        ("highest", answer["highest"] / np.log(2), "the height: that is in bits; asked are nats."),
        ("highest", answer["highest"] / np.log(10), "the height: its logarithm has base 10."),
        ("highest", -answer["highest"], "the height: the sign is turned."),
        ("highest", chosen_rewards().mean(), "the height: that is the mean true reward; asked is "
         "the mean log-ratio."),
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


def pushed(
    which: int = 0, way: float = -1.0, steps: int = 24, top: int = 3, how: str = ""
) -> dict[str, float]:
    """What steps on one reply's log-probability alone do; which: its place by likelihood."""
    start, true = world_of_one()
    p0, z = np.exp(start), start.copy()
    one = np.arange(len(z)) == np.argsort(-p0)[which]
    other = 1.0 * (np.arange(len(z)) == np.argsort(-p0)[len(z) // 2])
    for _ in range(steps):
        p = np.exp(z - np.logaddexp.reduce(z))
        z += way * (one - {"logit": 0.0, "start": p0, "pair": other}.get(how, p))
    p = np.exp(z - np.logaddexp.reduce(z))
    first = np.argsort(np.where(one, 0, -p))[:top]
    return {"gained": float((p - p0)[first].sum()), "change": float((p - p0) @ true),
            "after": float(p[first].sum()), "lost": float((p0 - p)[one].sum()),
            "reward": float(p @ true), "theirs": float(true[first].mean()),
            "own": float(true[one].sum()), "share": float((p - p0)[first] @ true[first]),
            "worth": float(p[first] @ true[first]), "likeliest": float((p - p0)[np.argsort(-p0)[:3]]
            .sum()), "left": float((p0 - p)[one] @ true[one]), "gainers": float((p - p0).clip(0)
            .sum()), "plain": float(true.mean())}  # fmt: skip


def favourite() -> dict[str, float]:
    """What is handed in."""
    return {key: pushed()[key] for key in ("gained", "change")}


def favourite_wrongs(answer: Mapping[str, float]) -> list:
    """Another push first; then what was gained, then the change of reward."""
    found, both = pushed(), ("gained", "change")
    pair = lambda which: [which[key] for key in both]
    mass, worth = "the mass: ", "the reward: "
    return [
        (both, pair(pushed(-1)), "that pushes the unlikeliest reply down, or another unlikely one, "
         "not the likeliest."),
        (both, pair(pushed(way=1.0)), "that pushes the favourite up."),
        (both, (pushed(way=1.0, top=2)["gained"] - pushed(way=1.0)["lost"],
                pushed(way=1.0)["change"]),
         "that pushes the favourite up, and counts it among the three."),
        (both, (0.00436, 0.0179), "that is DPO's step on a pair, the favourite as the rejected "
         "reply; asked is the favourite alone."),
        (both, pair(pushed(steps=1)), "that is after one step; asked is after 24."),
        *((both, pair(pushed(n)), "that pushes another of the likeliest down; asked is "
           "`order[0]`. (Or, in the change, what the favourite lost is missing.)")
          for n in (1, 2, 3)),
        *((both, pair(pushed(steps=n)), "that is after another number of steps; asked is after 24.")
          for n in (6, 8, 10, 12, 16, 20, 23, 25, 30, 32, 48)),
        *((both, pair(pushed(way=-b)), f"each step is shortened by {b:g}; `after` takes it whole.")
          for b in (0.6, 0.5, 0.3, 0.1)),
        (both, pair(pushed(how="logit")), "only the reply's own logit is lowered; the gradient of "
         "its log-probability has −p, too."),
        (both, pair(pushed(how="start")), "the probabilities in the step stay those of the start; "
         "each step has its own."),
        (both, pair(pushed(how="pair")), "that pushes another reply up as well; asked is the "
         "favourite alone."),
        (both, pair(pushed(way=-0.3, how="pair")), "that is a step on a pair; asked is the "
         "favourite alone."),
        ("gained", pushed(way=1.0)["after"], mass + "that pushes the favourite up."),
        ("gained", found["after"], mass + "that is what they hold afterwards, not the gain."),
        ("gained", found["after"] - found["gained"], mass + "that is what they held before."),
        ("gained", found["gained"] / 3, mass + "that is what one of the three gains."),
        ("gained", found["lost"], mass + "that is what the favourite lost; the three gain from "
         "others, too."),
        ("gained", found["after"] / (found["after"] - found["gained"]), mass + "that is a "
         "quotient; asked is how much they gained."),
        ("gained", pushed(top=4)["gained"] , mass + "those are four replies; asked are three."),
        ("gained", pushed(top=4)["after"] , mass + "that is what four replies hold afterwards."),
        ("gained", pushed(top=2)["gained"], mass + "those are two replies; asked are three. "
         "(Or the first is left out: after the push the favourite isn't among them.)"),
        ("gained", found["likeliest"], mass + "the favourite itself is among your three."),
        ("gained", found["gainers"], mass + "that is what all gain that gain; asked are three."),
        ("gained", -found["gained"], mass + "the sign is turned."),
        ("gained", found["gained"] / (found["after"] - found["gained"]), mass + "that is the gain "
         "over what they held; asked is the gain itself."),
        ("gained", np.log(found["after"] / (found["after"] - found["gained"])), mass + "that is "
         "the logarithm of a quotient; asked is a difference."),
        ("gained", 3 * np.log(found["after"] / (found["after"] - found["gained"])), mass + "those "
         "are three log-ratios added up; asked is probability."),
        ("change", found["own"], worth + "that is the favourite's own; asked is how the mean over "
         "all replies changes."),
        ("change", found["theirs"] - found["own"], worth + "that is the three's less the "
         "favourite's; asked is how the mean over all replies changes."),
        ("change", found["theirs"] - found["reward"] + found["change"], worth + "that is the "
         "three's less the mean before; asked is how the mean over all replies changes."),
        ("change", 3 * found["theirs"], worth + "those are the three's added up; asked is how the "
         "mean over all replies changes."),
        ("change", found["worth"], worth + "that is the three's part of the mean afterwards."),
        ("change", -found["left"], worth + "that is the favourite's part alone."),
        ("change", found["change"] + found["left"], worth + "what the favourite lost is missing."),
        ("change", found["plain"], worth + "that is the plain mean of all rewards; each counts by "
         "its probability."),
        ("change", 100 * found["change"], worth + "that is in hundredths."),
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


def too_short(found: Mapping[str, float], answer: Mapping[str, float]) -> str:
    """The right numbers, rounded."""
    off = [key for key in answer if not FAVOURITE.near(found[key], answer[key])]
    for digits in (2, 1):
        short = [round(found[key], digits) == found[key] for key in off]
        if all(short) and all(abs(found[k] - answer[k]) < 0.51 / 10**digits for k in off):
            return "three digits are asked: others come near it as well."
    return ""


FAVOURITE = Numbers(
    favourite,
    favourite_wrongs,
    rtol=0.004,
    tell=too_short,
    shows="Pushed down alone, a likely reply feeds the next likeliest, which are worth less: its "
    "mass doesn't go to better ones.",
)  # fmt: skip
