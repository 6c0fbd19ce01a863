"""Chapter 17: policies of a game of three replies, and methods by exploitability."""

import matplotlib.pyplot as plt
import numpy as np

from ..evaluation import mean_and_half_width
from ..plots import CHOSEN, OPTIMUM, POLICY, PPO, REFERENCE, REJECTED

CORNERS = np.array([[0, 0], [1, 0], [0.5, 0.87]])
PATHS = ((POLICY, "-", "o"), (REJECTED, "--", "^"))
STYLES = {
    "iterated DPO": (POLICY, "-", "o"),
    "iterated DPO, moving reference": (REJECTED, "--", "^"),
    "DNO": (PPO, ":", "s"),
    "DNO, fixed reference": (CHOSEN, "-.", "D"),
}


def triangles(panels: dict, corners: list[str], nash: np.ndarray, start: np.ndarray):
    """A triangle for each panel: title -> {label: policies (T, 3)}; one policy is a diamond."""
    figure, axes = plt.subplots(1, len(panels), figsize=(9.5, 4.3))
    places = (("right", -14), ("left", -14), ("center", 6))
    for ax, (title, paths) in zip(axes, panels.items(), strict=True):
        ax.plot(*CORNERS[[0, 1, 2, 0]].T, color="0.6", lw=1)
        for corner, name, (side, up) in zip(CORNERS, corners, places, strict=True):
            ax.annotate(name, corner, (0, up), textcoords="offset points", ha=side)
        for (label, path), (color, dash, mark) in zip(paths.items(), PATHS * 2, strict=False):
            if len(path) == 1:
                ax.plot(*(path @ CORNERS).T, "D", color=CHOSEN, ms=8, label=label)
            else:
                ax.plot(
                    *(path @ CORNERS).T, dash, marker=mark, color=color, ms=3, lw=1, label=label
                )
        ax.plot(*(nash @ CORNERS), "x", color=OPTIMUM, ms=9, mew=2, ls="", label="Nash")
        ax.plot(
            *(start @ CORNERS), "s", color=REFERENCE, ms=7, zorder=1, ls="", label="the grammar"
        )
        ax.set(aspect="equal", xlim=(-0.12, 1.12), ylim=(-0.08, 0.95))
        ax.set_title(title, y=1.02, fontweight="bold", loc="left", x=-0.05)
        ax.legend(loc="upper left", bbox_to_anchor=(-0.1, 1.0), fontsize=9, handlelength=1.6)
        ax.axis("off")
    return figure


def over_rounds(panels: dict, grammar: float, thin: str = ""):
    """A panel for each setting: title -> {arm: exploitability (seeds, rounds)}, with intervals.

    thin: an arm whose seeds are drawn as thin lines too.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(9.5, 4), sharey=True)
    for ax, (title, arms) in zip(axes, panels.items(), strict=True):
        for i, (arm, runs) in enumerate(arms.items()):
            color, dash, mark = STYLES[arm]
            told = np.array([mean_and_half_width(column) for column in np.asarray(runs).T])
            at = 1 + np.arange(len(told)) + 0.08 * (i - 1.5)
            how = {"color": color, "ls": dash, "marker": mark, "ms": 4, "elinewidth": 0.9}
            ax.errorbar(at, *told.T, lw=1.6, capsize=2, label=arm, **how)
            if arm == thin:
                ax.plot(at, np.transpose(runs), color=color, lw=0.7, alpha=0.6, zorder=1)
        ax.axhline(0.5, color=OPTIMUM, lw=1)
        ax.axhline(grammar, color=REFERENCE, ls=":", lw=1.2)
        ax.set_xticks(range(1, 9))
        ax.set(title=title, xlabel="round", xlim=(0.5, 8.6), ylim=(0.47, 0.98))
    axes[0].set_ylabel("exploitability")
    for name, height in {"Nash": 0.5, "grammar": grammar}.items():
        axes[1].annotate(name, (8.6, height), (4, -4), textcoords="offset points")
    axes[0].legend(fontsize=9, loc="upper left")
    return figure


def against_kl(ends: dict, ways: dict, frontier: np.ndarray):
    """Methods in the plane of KL and exploitability: title -> {arm: {"kl", "last": (S,)}}.

    A mark for each seed's last policy. `ways`: title -> {arm: {"kl", "rounds"}}, lists of runs, of
    which each is a thin line. frontier (N, 2): KL and the least exploitability possible there.
    """
    figure, axes = plt.subplots(1, len(ends), figsize=(9.5, 4.4), sharey=True)
    for ax, (title, arms) in zip(axes, ends.items(), strict=True):
        for arm, found in arms.items():
            color, dash, mark = STYLES.get(arm, (REFERENCE, "-", "v"))
            lines = ways[title].get(arm, {"kl": [], "rounds": []})
            for kl, seen in zip(lines["kl"], lines["rounds"], strict=True):
                ax.plot(kl, seen, color=color, ls=dash, lw=1.1, marker=mark, ms=2.5)
            ax.plot(*found.values(), mark, color=color, ms=6, mec="black", mew=0.6, label=arm)
        farthest = 1.15 * max(np.max(found["kl"]) for found in arms.values())
        ax.plot(*np.vstack([frontier, [farthest, frontier[-1, 1]]]).T, color=OPTIMUM, lw=2)
        ax.set_xscale("function", functions=(root, np.square))
        ticks = (0, 0.02, 0.1, 0.2, 0.4) if farthest < 1 else (0, 0.1, 0.5, 1, 2, 4, 8, 16)
        ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
        ax.set(title=title, xlabel="KL to the first model, nats", xlim=(0, farthest))
        ax.annotate("exact least", (ticks[-1], 0.5), (0, 5), textcoords="offset points", ha="right")
    axes[0].set(ylabel="exploitability", ylim=(0.48, 0.98))
    axes[0].legend(fontsize=9, loc="upper left")
    return figure


def root(kl):
    """Root of a KL; 0 below zero, where an estimate can lie."""
    return np.sqrt(np.maximum(kl, 0.0))
