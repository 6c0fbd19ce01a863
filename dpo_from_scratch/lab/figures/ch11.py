"""Chapter 11's figures: paths under the frontier, and margins that rest or grow."""

import matplotlib.pyplot as plt
import numpy as np

from ... import world
from ..evaluation import mean_and_half_width
from ..plots import CHOSEN, OPTIMUM, POLICY, PPO, REFERENCE, REJECTED, draw_frontier

STYLES = {  # loss, the share that it is told -> how it is drawn
    ("dpo", 0.0): ("DPO", POLICY, "o", "-"),
    ("cdpo", 0.2): ("cDPO, told 0.2", CHOSEN, "s", "--"),
    ("robust_dpo", 0.2): ("robust DPO, told 0.2", PPO, "^", "--"),
    ("cdpo", 0.4): ("cDPO, told 0.4", CHOSEN, "s", ":"),
    ("robust_dpo", 0.4): ("robust DPO, told 0.4", PPO, "^", ":"),
}


def root_axis(ax, right: float, ticks: list[float]) -> None:
    """A KL axis in the root of KL, in which a frontier is nearly straight."""
    ax.set_xscale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0)), np.square))
    ax.set(xlim=(0, right))
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])


def bars(ax, kls: np.ndarray, rewards: np.ndarray, across: bool = True, **style) -> None:
    """Means over the seeds, (S, P) each, with bars of half the 95 % interval where S > 1.

    across: with bars of the KL too.
    """
    if len(kls) == 1:
        ax.plot(kls[0], rewards[0], **style)
        return
    (x, dx), (y, dy) = (
        np.array([mean_and_half_width(column) for column in values.T]).T
        for values in (kls, rewards)
    )
    ax.errorbar(x, y, yerr=dy, xerr=dx if across else None, elinewidth=0.7, **style)


def under_the_frontier(panels: dict[str, dict]):
    """Figure: a panel a share of flips; (loss, told) -> KL and true reward, (seeds, betas)."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.6), sharey=True)
    limits = ((6, [0.1, 0.5, 1, 2, 4, 6]), (2, [0.1, 0.5, 1, 2]))
    nowhere = world.REVIEWS.policy(world.prompts()[0]).mean_reward
    for ax, (title, runs), limit in zip(axes, panels.items(), limits, strict=True):
        draw_frontier(ax, "")
        root_axis(ax, *limit)
        for case, (kls, rewards) in runs.items():
            name, color, marker, dash = STYLES[case]
            fill = "white" if case[1] == 0.4 else color
            style = {"color": color, "marker": marker, "ls": dash, "mfc": fill, "label": name}
            narrow = limit[0] == 2 or case != ("robust_dpo", 0.4)  # else wider than the panel
            bars(ax, kls, rewards, narrow, lw=1.2, ms=5, **style)
        grey = {"color": REFERENCE, "ls": "", "clip_on": False, "zorder": 5}
        ax.plot(0, nowhere, "o", label="before training (grammar)", **grey)
        ax.set(ylim=(-0.5, 3.4), title=title)
        there = world.REVIEWS.optimum_at_kl(1.1 if limit[0] == 6 else 0.7)
        where = {"xytext": (8, -14), "textcoords": "offset points", "fontsize": 9}
        ax.annotate("exact\noptimum", (there.kl, there.mean_reward), **where)
    axes[1].set_ylabel("")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, fontsize=9)
    return figure


def margins(runs: dict[str, dict[int, dict[str, np.ndarray]]], rest: float):
    """Figure: a panel a loss; step -> "right" and "wrong" -> margins of the training pairs.

    Lines are means, bands reach from the least to the largest; dotted: the place of rest.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True)
    sides = {"right": (CHOSEN, "-"), "wrong": (REJECTED, "--")}
    for ax, (name, run) in zip(axes, runs.items(), strict=True):
        for side, (color, dash) in sides.items():
            of = [run[step][side] for step in run]
            label = f"{side} labels"
            ax.plot(list(run), [m.mean() for m in of], dash, color=color, lw=1.6, label=label)
            low, high = [m.min() for m in of], [m.max() for m in of]
            ax.fill_between(list(run), low, high, color=color, alpha=0.15, lw=0)
        ax.axhline(rest, color=OPTIMUM, ls=":", lw=1)
        ax.set(xscale="log", title=name, xlabel="step")
        ax.set_xticks(list(run), [str(step) for step in run], minor=False)
        ax.minorticks_off()
    axes[0].set_ylabel("margin, in its label's order")
    axes[0].legend(loc="upper left", fontsize=9)
    words = "logit(1 − ε)"
    last = max(runs[name])
    axes[1].annotate(words, (last, rest), (0, 5), textcoords="offset points", ha="right")
    return figure
