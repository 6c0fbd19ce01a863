"""Chapter 05: how SFT's loss falls, and what DPO makes of references of several qualities."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from ... import world
from ..evaluation import mean_and_half_width
from ..plots import CHOSEN, OPTIMUM, POLICY, REFERENCE

STYLES = (("-", POLICY), ("--", CHOSEN))


def draw_sft(curves: dict[str, list[float]], floor: float, late: int) -> Figure:
    """Loss per token of two runs against their steps, above the `floor` that the grammar sets.

    `curves` maps the divisor to the loss of each step. The small panel repeats the steps from
    `late` on, on a scale of their own.
    """
    figure, ax = plt.subplots()
    inset = ax.inset_axes((0.37, 0.3, 0.63, 0.5))
    for (name, values), (dash, color) in zip(curves.items(), STYLES, strict=True):
        steps = range(1, len(values) + 1)
        ax.plot(steps, values, dash, color=color, label=name)
        inset.plot(steps[late - 1 :], values[late - 1 :], dash, color=color, lw=1.4)
    tails = [value for values in curves.values() for value in values[late - 1 :]]
    inset.set(xlim=(late, None), ylim=(floor - 0.05, max(tails) + 0.02))
    for panel in (ax, inset):
        panel.axhline(floor, color=OPTIMUM, ls=":", lw=1.5)
    ax.text(len(values), floor - 0.12, "entropy of the grammar: the floor", ha="right", va="top")
    ax.set(xlabel="step", ylabel="loss, nats per token", ylim=(0.5, 5.1))
    ax.legend(loc="upper right", ncols=2, title="divided by", handlelength=3)
    return figure


def draw_references(at: dict[int, dict[str, list[float]]], beta: float = 0.6) -> Figure:
    """True reward before and after DPO against the gap of the reference to the grammar.

    `at` maps steps of SFT to the figures of each seed: "gap", "true_reward before" and
    "true_reward after". The exact optimum of the grammar at `beta` is dotted.
    """
    figure, ax = plt.subplots()
    gaps = [mean_and_half_width(found["gap"])[0] for found in at.values()]
    lines = (("before", "s--", REFERENCE, "reference"), ("after", "o-", POLICY, "after DPO"))
    for when, style, color, name in lines:
        points = [mean_and_half_width(found[f"true_reward {when}"]) for found in at.values()]
        means, halves = zip(*points, strict=True)
        ax.errorbar(gaps, means, halves, fmt=style, color=color, capsize=3)
        place = {"xytext": (10, 0), "textcoords": "offset points", "va": "center"}
        ax.annotate(name, (gaps[-1], means[-1]), color=color, **place)
    best = world.REVIEWS.policy(world.prompts()[0], beta).mean_reward
    ax.axhline(best, color=OPTIMUM, ls=":", lw=1.5)
    ax.annotate(
        f"exact optimum of the grammar, β {beta}",
        (gaps[0], best),
        (0, 5),
        textcoords="offset points",
    )
    ax.set(xscale="log", ylabel="mean true reward", ylim=(None, best + 1))
    ax.set_xlabel("steps of SFT, and gap of the reference to the grammar (nats per token)")
    ax.set_xticks(gaps, [f"{n:,}\n{gap:.3f}" for n, gap in zip(at, gaps, strict=True)])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim(gaps[0] * 1.4, gaps[-1] / 3.2)
    return figure
