"""Chapter 09: curves of runs beside the exact optimum's own."""

import matplotlib.pyplot as plt
import numpy as np

from ..evaluation import mean_and_half_width
from ..plots import CHOSEN, OPTIMUM, REFERENCE, REJECTED

SIDES = {"chosen": (CHOSEN, "-"), "rejected": (REJECTED, "--")}


def over_the_run(record, key: str, **where) -> np.ndarray:
    """A figure at each step that was looked at, (seeds, looks)."""
    return np.array([[row[key] for row in told] for told in record.values("told", **where)])


def intervals(curves: np.ndarray) -> list[tuple[float, float]]:
    """Mean and half-width over the seeds at each look; curves (seeds, looks)."""
    return [mean_and_half_width(column) for column in np.asarray(curves).T]


def log_ratios_beside_the_optimum(panels: dict[str, dict], lowest: dict[str, float]):
    """A panel for each kind of pairs: log-ratios of unseen pairs over the run, seed by seed.

    panels: kind -> {"steps": [...], "chosen": (S, L), "rejected": (S, L), "optimum": (S, L, 2)};
    the optimum's own at each seed's KL is dotted, and leaves the panel at `lowest`.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8))
    for ax, (kind, found) in zip(axes, panels.items(), strict=True):
        steps = found["steps"]
        for side, (key, (color, dash)) in enumerate(SIDES.items()):
            for seed, best in zip(found[key], found["optimum"], strict=True):
                ax.plot(steps, seed, color=color, ls=dash, lw=1.3)
                ax.plot(steps, best[:, side], color=OPTIMUM, ls=":", lw=1.2)
            end = np.mean(found[key], 0)[-1]
            above = 4 if key == "chosen" else -4
            ax.annotate(key, (steps[-1], end), (5, above), textcoords="offset points", color=color)
        ax.axhline(0, color=REFERENCE, lw=1)
        bottom = lowest[kind]
        ax.set(title=kind, xlabel="step", xlim=(0, 172), ylim=(bottom, -0.1 * bottom))
    axes[0].text(4, 0.96 * lowest[next(iter(panels))], "dotted: the optimum at the run's KL")
    axes[0].set_ylabel("log-ratio, nats per reply")
    return figure


def dial_frame(record, where: dict, optimum):
    """One setting of the dial: log-ratios of unseen pairs, means and ranges of the seeds.

    optimum: (KL, seed) -> the optimum's own two log-ratios there, dotted.
    """
    figure, ax = plt.subplots(figsize=(3.6, 2.7))
    steps = record.values("steps", **where)[0]
    kls = over_the_run(record, "kl", **where)
    best = np.array([[optimum(kl, seed) for kl in row] for seed, row in enumerate(kls)]).mean(0)
    for side, (key, (color, dash)) in enumerate(SIDES.items()):
        curves = np.insert(over_the_run(record, key, **where), 0, 0.0, axis=1)
        ax.plot([0, *steps], curves.mean(0), color=color, ls=dash, lw=1.6)
        low, high = curves.min(0), curves.max(0)
        ax.fill_between([0, *steps], low, high, color=color, alpha=0.2, lw=0)
        ax.plot([0, *steps], [0.0, *best[:, side]], color=OPTIMUM, ls=":", lw=1.4)
    worth = np.mean(record.values("true_reward", **where))
    ax.set_title("β {beta}, rate {learning_rate:g}".format(**where), fontsize=9)
    told = f"KL {kls[:, -1].mean():.1f}, true reward {worth:.1f}".replace("-", "−")
    ax.text(2, -22, told, fontsize=9)
    ax.set_yscale("symlog", linthresh=1.0)
    ax.set(xlim=(0, 64), ylim=(-40, 0.4))
    ax.set_yticks([0, -1, -10], ["0", "−1", "−10"])
    ax.tick_params(labelsize=8)
    return figure


def sorted_masses(masses: dict[str, np.ndarray]):
    """Probabilities of all replies to one prompt, in the order of the first; both axes are logs."""
    figure, ax = plt.subplots(figsize=(7, 3.6))
    styles = ((REFERENCE, "-", 4), (REJECTED, "--", 1.6), (CHOSEN, ":", 1.6))
    order = np.argsort(-next(iter(masses.values())), kind="stable")
    rank = np.arange(1, len(order) + 1)
    for (name, p), (color, dash, width) in zip(masses.items(), styles, strict=False):
        ax.loglog(rank, p[order], color=color, ls=dash, lw=width, label=name)
    ax.set(xlabel="reply, the likeliest first", ylabel="probability", ylim=(1e-9, 1))
    ax.legend(loc="lower left")
    return figure
