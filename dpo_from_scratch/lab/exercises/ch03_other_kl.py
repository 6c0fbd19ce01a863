"""Exercise 4 of chapter 03: how both KL divergences grow as beta falls."""

from functools import cache

import numpy as np

from .lettered import Lettered
from .worked import worked


@cache
def _optima(betas):
    """log pi_ref, and log pi* at these two betas, of the chapter's 2,812 replies."""
    from ... import exact, world

    prompt = "film : how was the plot ?"
    replies = world.MINI.replies(prompt)
    ref, r = world.MINI.log_probs(prompt, replies), world.rewards(prompt, replies)
    return ref, [exact.gibbs(ref, r, b).log_probs for b in betas]


@cache
def _full() -> list[tuple[float, float]]:
    """Both divergences in the full world, at 0.5 and at 0.15."""
    from ... import world

    prompt, found = "film : how was the plot ?", []
    mean = world.REVIEWS.policy(prompt).mean_reward
    for beta in (0.5, 0.15):
        there = world.REVIEWS.policy(prompt, beta)
        found.append((there.kl, there.log_Z - mean / beta))
    return found


def _apart(star, ref, weigh: str) -> tuple[float, float]:
    """Both divergences, or what is taken for them."""
    apart, p, q = star - ref, np.exp(star), np.exp(ref)
    return {
        "each its own": (p @ apart, -q @ apart), "optimum": (p @ apart, -p @ apart),
        "reference": (q @ apart, -q @ apart), "none": (apart.mean(), -apart.mean()),
        "absolute": (p @ abs(apart), q @ abs(apart)),
        "none, absolute": (abs(apart).mean(), abs(apart).mean()),
        "squares": (p @ apart**2, q @ apart**2), "largest": (apart.max(), -apart.min()),
        "both": (p @ apart - q @ apart, p @ apart - q @ apart),
        "distance": (abs(p - q).sum(), abs(p - q).sum()),
        "entropy": (-p @ star, -q @ star),
    }[weigh]  # fmt: skip


def growth(*, weigh="each its own", over="ratio", betas=(0.5, 0.15), world="mini"):
    """How many times both divergences grow from beta 0.5 to 0.15 in the mini world."""
    if world == "full":
        found = _full()
    else:
        ref, stars = _optima(betas)
        found = [_apart(star, ref, weigh) for star in stars]
    near, far = np.array(found[0]), np.array(found[1])
    way = {"ratio": far / near, "difference": far - near, "at 0.15": far, "at 0.5": near,
           "percent": 100 * (far / near - 1), "more": far / near - 1, "per cent": 100 * far / near,
           "exp": np.exp(far - near), "one over": near / far, "log": np.log(far / near),
           "share": (far - near) / far, "times": far * near, "over β": 0.15 * far / (0.5 * near),
           "each": np.array([near[1] / near[0], far[1] / far[0]]),
           "each, turned": np.array([near[0] / near[1], far[0] / far[1]]),
           "β": np.full(2, 0.5 / 0.15), "β squared": np.full(2, (0.5 / 0.15) ** 2),
           "β alone": np.array([0.5 / 0.15, (0.5 / 0.15) ** 2])}[over]  # fmt: skip
    return {"first_grows": float(way[0]), "other_grows": float(way[1])}


GROWTH = worked(
    growth,
    [
        ("both are weighted by the optimum; the second is a mean over what the reference"
         " writes.", {"weigh": "optimum"}),
        ("both are weighted by the reference; the first is a mean over what the optimum writes.",
         {"weigh": "reference"}),
        ("the log-ratios are averaged over the list; each counts as often as it is written.",
         {"weigh": "none"}),
        ("the log-ratios have lost their sign.", {"weigh": "absolute"}),
        ("the log-ratios are squared.", {"weigh": "squares"}),
        ("those are differences; asked is how many times each grows.", {"over": "difference"}),
        ("those are the divergences at β 0.15; divide by those at 0.5.", {"over": "at 0.15"}),
        ("those are the divergences at β 0.5; asked is how many times each grows.",
         {"over": "at 0.5"}),
        ("that is the growth in per cent; asked is how many times.", {"over": "percent"}),
        ("that is by how much each grows, one too few: asked is how many times as large.",
         {"over": "more"}),
        ("that is e to the differences; divide one divergence by the other.", {"over": "exp"}),
        *((f"that is from β {b} to {c}; asked is from 0.5 to 0.15.", {"betas": (b, c)})
          for b, c in ((0.6, 0.15), (1.0, 0.15), (0.5, 0.1), (0.5, 0.2), (0.5, 0.05), (1.0, 0.5),
                       (0.6, 0.2), (0.5, 0.25))),
        ("that is the full world; asked is the mini world.", {"world": "full"}),
        ("the log-ratios' sizes are averaged over the list; each counts as often as it is written.",
         {"weigh": "none, absolute"}),
        ("that is the largest log-ratio of all; a divergence is their mean.", {"weigh": "largest"}),
        ("both divergences are added up; asked is each for itself.", {"weigh": "both"}),
        ("that is the difference of the probabilities; a divergence has their log-ratio.",
         {"weigh": "distance"}),
        ("the reference is missing in the log-ratio.", {"weigh": "entropy"}),
        ("those are growths in per cent, the old size included; asked is how many times.",
         {"over": "per cent"}),
        ("those are logarithms; asked is how many times each grows.", {"over": "log"}),
        ("that is which share of the new one is new; asked is how many times each grows.",
         {"over": "share"}),
        ("the two divergences are multiplied; divide the new one by the old.", {"over": "times"}),
        ("that is the growth of β times the divergence; asked is the divergence's own.",
         {"over": "over β"}),
        ("that is the second divergence over the first, at each β; asked is each at 0.15 over"
         " itself at 0.5.", {"over": "each"}),
        ("that is the first divergence over the second, at each β; asked is each at 0.15 over"
         " itself at 0.5.", {"over": "each, turned"}),
        ("that is how many times β falls; compute both divergences.", {"over": "β"}),
        ("that is how many times β squared falls; compute both divergences.",
         {"over": "β squared"}),
        ("those are powers of how many times β falls; compute both divergences.",
         {"over": "β alone"}),
        ("that is turned over: the divergence at 0.15 over that at 0.5.", {"over": "one over"}),
    ],
    rtol=0.015,
)  # fmt: skip
OTHER_KL = Lettered(
    GROWTH,
    2,
    {
        "a": "the optimum never writes what the reference can't: equation 4 multiplies.",
        "b": None,
        "c": "a smaller β makes every log-ratio larger, for both divergences; why does one grow"
        " faster?",
        "d": "both are means over all replies; what differs is whose probabilities weigh them.",
    },
    '(first_grows, other_grows, "letter"), two numbers and a reason',
    "KL(reference || optimum) is a mean over what the optimum has all but given up.",
)
