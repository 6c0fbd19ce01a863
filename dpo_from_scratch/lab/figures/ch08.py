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


def draw_learning(history: list[dict], true: list[float]):
    """PPO's iterations: the score it is trained on, the KL, and the true reward it never sees."""
    figure, axes = plt.subplots(1, 3, figsize=(9, 2.9))
    panels = {
        "thanks a text": ([row["score"] for row in history], CHOSEN),
        "KL to the reference, nats": ([row["kl"] for row in history], PPO),
        "mean true reward": (true, REJECTED),
    }
    for ax, (title, (values, color)) in zip(axes, panels.items(), strict=True):
        ax.plot([row["iteration"] for row in history], values, "o-", color=color, ms=4)
        ax.set_title(title, fontsize=10)
        ax.set(xlabel="iteration", xticks=[row["iteration"] for row in history])
        ax.margins(y=0.12)
    return figure


def draw_win_rates(rates: dict[str, dict[float, list[float]]]):
    """Win rates against the sampling temperature: means and the seeds' range; the axis is cut."""
    figure, (top, low) = plt.subplots(
        2, 1, figsize=(7.5, 5), sharex=True, height_ratios=(4, 1), gridspec_kw={"hspace": 0.08}
    )
    names = {  # where a label stands, off the line's end or another point of it
        "DPO then PPO": (1.25, (10, 6)),
        "PPO": (1.25, (10, -10)),
        "DPO": (1.25, (10, -4)),
        "best of 16": (1.0, (14, 6)),
        "SFT": (1.25, (10, -4)),
    }
    for k, (method, found) in enumerate(rates.items()):
        color, marker, dash = STYLES[method]
        ax = low if method == "SFT" else top
        means = np.array([np.mean(values) for values in found.values()])
        ends = np.array([(min(values), max(values)) for values in found.values()]).T
        t = np.array(list(found)) + 0.012 * (k - 2)  # side by side, so that the bars are seen
        bars = np.abs(ends - means)
        ax.errorbar(t, means, bars, fmt=marker + dash, color=color, ms=5, capsize=2, lw=1.3)
        at, offset = names[method]
        near(ax, method, (at, means[list(found).index(at)]), offset, color=color)
    low.axhline(0.5, color=REFERENCE, lw=0.8)
    top.set(ylim=(0.76, 1.005), xlim=(-0.05, 1.6), xticks=np.arange(6) / 4)
    low.set(ylim=(0.44, 0.575), xlabel="sampling temperature", yticks=(0.45, 0.5, 0.55))
    top.set_ylabel("wins against the grammar's reply")
    top.spines["bottom"].set_visible(False)
    top.tick_params(bottom=False)
    return figure
