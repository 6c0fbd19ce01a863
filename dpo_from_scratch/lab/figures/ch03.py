"""Chapter 03: what the optimum does to replies, the frontier, and what beta does to rewards."""

import matplotlib.pyplot as plt
import numpy as np

from ..plots import OPTIMUM, POLICY, REFERENCE


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


def under_the_frontier(frontier: list[tuple], others: dict[str, list[tuple]]):
    """The frontier as a line and other policies as points; all are lists of (KL, true reward)."""
    figure, ax = plt.subplots()
    kl, reward = np.array(frontier).T
    ax.plot(kl, reward, color=OPTIMUM)
    middle = np.abs(kl - 1.6).argmin()
    spot = (kl[middle], reward[middle])
    ax.annotate(
        "exact optimum", spot, (-8, 8), textcoords="offset points", ha="right", color=OPTIMUM
    )
    for (name, points), (marker, fill) in zip(
        others.items(), (("o", POLICY), ("^", "none")), strict=True
    ):
        ax.plot(*np.array(points).T, marker, color=POLICY, mfc=fill)
        ax.annotate(name, points[-1], (10, -4), textcoords="offset points", color=POLICY)
    ax.set(xlabel="KL to the reference, nats per reply", ylabel="mean true reward", xlim=(0, 6))
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
