"""Chapter 08's figures: the clipped loss, the arms of the comparison, credit, win rates."""

import matplotlib.pyplot as plt
import numpy as np

from ... import world
from ..plots import CHOSEN, OPTIMUM, POLICY, PPO, REFERENCE, REJECTED

BOTH = "#E69F00"
STYLES = {
    "SFT": (REFERENCE, "x", ":"),
    "DPO": (POLICY, "o", "-"),
    "PPO": (PPO, "s", "--"),
    "DPO then PPO": (BOTH, "^", "-."),
    "best of 16": (CHOSEN, "D", ":"),
}


def near(ax, text: str, point: tuple, offset: tuple, **more) -> None:
    """A label some points away from a place."""
    ax.annotate(text, point, offset, textcoords="offset points", **more)


def draw_clip(ratio, losses: dict[int, np.ndarray]):
    """Loss of a token against its ratio, for the advantages 1 and -1; returns the figure."""
    figure, ax = plt.subplots(figsize=(6.5, 3.6))
    for advantage, loss in losses.items():
        good = advantage > 0
        color, dash = (CHOSEN, "-") if good else (REJECTED, "--")
        ax.plot(ratio, loss, dash, color=color)
        end, offset, side = (-1, (0, 8), "right") if good else (0, (0, 8), "left")
        label = f"advantage {advantage:+d}".replace("-", "−")
        near(ax, label, (ratio[end], loss[end]), offset, color=color, ha=side)
    for edge in (0.8, 1.2):
        ax.axvline(edge, color=REFERENCE, lw=0.8, ls=":")
    ax.set(xlabel="ratio: probability now / when it was sampled", ylabel="loss of the token")
    return figure


def draw_arms(runs: dict[tuple[str, float], list[dict]]):
    """A dot for each run, at its KL and its true reward; a line through the means of a method."""
    figure, ax = plt.subplots(figsize=(7.5, 4.6))
    line = world.REVIEWS.frontier(np.geomspace(0.25, 20, 40))
    ax.plot([p["kl"] for p in line], [p["mean_reward"] for p in line], color=OPTIMUM)
    near(ax, "exact optimum", (4.2, 4.6), (-14, 12), ha="right")
    for method in ("DPO", "PPO", "DPO then PPO"):
        color, marker, dash = STYLES[method]
        betas = [beta for name, beta in runs if name == method]
        points = np.array(
            [[[r["kl"], r["true_reward"]] for r in runs[method, b]] for b in betas]
        )  # (betas, seeds, 2)
        ax.plot(*points.reshape(-1, 2).T, marker, color=color, ms=5, alpha=0.8, mfc="none")
        ax.plot(*points.mean(1).T, dash, color=color, lw=1.2)
        for beta, (x, y) in zip(betas, points.mean(1), strict=True):
            if method == "DPO":
                near(ax, f"β {beta}", (x, y), (10, -16), color=color, fontsize=9)
    near(ax, "DPO (circles)", (4.6, 2.9), (-4, -48), color=POLICY)
    near(ax, "PPO (squares)", (2.9, 3.55), (14, -2), color=PPO)
    arrow = {"arrowstyle": "-", "color": BOTH, "lw": 0.8}
    near(ax, "DPO then PPO\n(triangles)", (1.74, 2.86), (-96, 44), color=BOTH, arrowprops=arrow)
    ax.set_xlabel("KL to the reference, nats per reply")
    ax.set_ylabel("mean true reward")
    ax.set(xlim=(0, 5.7), ylim=(0.9, 5.4))
    return figure


def draw_credit(words: list[str], exact: np.ndarray, told: np.ndarray):
    """Bars: beta times the log-ratio of each token; marks: its exact advantage."""
    figure, ax = plt.subplots(figsize=(8, 3.8))
    at = np.arange(len(words))
    ax.bar(at, told, color=POLICY, alpha=0.55, width=0.7, label="DPO's β log-ratio")
    ax.plot(at, exact, "D", color=OPTIMUM, ms=5, mfc="white", label="exact advantage")
    ax.axhline(0, color=REFERENCE, lw=0.8)
    ax.set_xticks(at, words, rotation=60, ha="right", fontsize=9)
    ax.set_ylabel("reward units")
    ax.legend(fontsize=9)
    return figure


def draw_win_rates(rates: dict[str, dict[float, list[float]]]):
    """Mean win rate of each method against the sampling temperature."""
    figure, ax = plt.subplots(figsize=(7.5, 4.4))
    shift = {"DPO then PPO": (8, 8), "PPO": (8, -10), "DPO": (8, -6)}
    for method, found in rates.items():
        color, marker, dash = STYLES[method]
        t, means = list(found), [np.mean(values) for values in found.values()]
        ax.plot(t, means, dash, marker=marker, color=color)
        near(ax, method, (t[-1], means[-1]), shift.get(method, (8, -4)), color=color)
    ax.axhline(0.5, color=REFERENCE, lw=0.8)
    label = "wins against the grammar's reply"
    ax.set(xlabel="sampling temperature", ylabel=label, xlim=(-0.05, 1.65))
    return figure
