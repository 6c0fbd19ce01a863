"""Chapter 03: what the optimum does to replies, the frontier, and what beta does to rewards."""

import matplotlib.pyplot as plt
import numpy as np

from ..plots import OPTIMUM, POLICY, REFERENCE, draw_frontier


def log_ratio_lines(rewards: np.ndarray, lines: dict[float, tuple]):
    """Log-ratios of all replies against their rewards (N,).

    `lines` maps beta to (log-ratios (N,), reward at which a reply keeps its probability).
    """
    figure, ax = plt.subplots()
    order = rewards.argsort()
    for (beta, (ratios, level)), dash in zip(lines.items(), (":", "--", "-"), strict=False):
        ax.plot(rewards[order], ratios[order], dash, color=POLICY)
        end = (rewards[order[-1]], ratios[order[-1]])
        ax.annotate(f"β = {beta}", end, (10, -4), textcoords="offset points", color=POLICY)
        ax.plot(level, 0, "o", color=POLICY)
    ax.axhline(0, color=REFERENCE, lw=1)
    ax.set(xlabel="true reward of the reply", ylabel=r"$\log\,\pi^*/\pi_{\mathrm{ref}}$, nats")
    ax.set_xlim(None, 3.6)
    return figure


def tangents(touched: dict[float, tuple], start: float):
    """The full world's frontier and lines that touch it; `touched`: slope -> (KL, true reward).

    `start` is the reference's mean true reward.
    """
    figure, ax = plt.subplots()
    draw_frontier(ax)
    ax.plot(0, start, "s", color=REFERENCE, zorder=3)
    ax.annotate("reference", (0, start), (9, -6), textcoords="offset points", color=REFERENCE)
    for beta, (kl, reward) in touched.items():
        ends = np.array([0, kl + 0.9 / beta**0.5])
        ax.plot(ends, reward + beta * (ends - kl), "--", color=POLICY, lw=1.2)
        ax.plot(0, reward - beta * kl, "o", color=POLICY, mfc="white")
        ax.plot(kl, reward, "o", color=POLICY)
        ax.annotate(f"β = {beta}", (kl, reward), (7, -12), textcoords="offset points", color=POLICY)
    ax.set(xlim=(-0.15, 5.5), ylim=(-0.6, 5.6))
    return figure


def under_the_frontier(frontier: np.ndarray, others: dict[str, np.ndarray]):
    """The frontier (M, 2) and lines below it; `others`: name -> (D, B, 2); all (KL, true reward).

    The frontier starts at the reference.
    """
    figure, ax = plt.subplots()
    kl, reward = frontier.T
    right = max(path[..., 0].max() for path in others.values())
    ax.plot([*kl, right], [*reward, reward[-1]], color=OPTIMUM)
    ax.annotate(
        "exact optimum", (right, reward[-1]), (-60, 6), textcoords="offset points", ha="right"
    )
    ax.plot(*frontier[0], "s", color=REFERENCE, zorder=3)
    ax.annotate("reference", frontier[0], (9, -3), textcoords="offset points", color=REFERENCE)
    for (name, paths), style in zip(others.items(), ("-o", "--^"), strict=True):
        fill = POLICY if style[-1] == "o" else "white"
        for i, path in enumerate(paths):
            label = None if i else f"optima for reward + {name}"
            ax.plot(*path.T, style, color=POLICY, lw=1, ms=5, mfc=fill, label=label)
    ax.legend(loc="lower right")
    ax.set(xlabel="KL to the reference, nats per reply", ylabel="mean true reward")
    ax.set(xlim=(-0.2, right + 0.2), ylim=(0, 2.9))
    return figure


def reward_shift(reference: np.ndarray, optimum: np.ndarray, note: str):
    """Rewards of samples of the reference and of an optimum, as one small frame."""
    figure, ax = plt.subplots(figsize=(3.6, 2.2))
    bins = np.arange(-7, 10.5, 0.5)
    ax.hist(reference, bins, color=REFERENCE, alpha=0.5, density=True)
    ax.hist(optimum, bins, color=POLICY, histtype="step", lw=2, density=True)
    ax.text(-6.8, 0.59, note, va="top", fontsize=9)
    ax.set(yticks=[], ylim=(0, 0.6), xlim=(-7, 9.5), xticks=range(-5, 10, 5))
    ax.set_xlabel("true reward", fontsize=9)
    ax.tick_params(labelsize=9)
    ax.spines["left"].set_visible(False)
    ax.grid(False)
    return figure
