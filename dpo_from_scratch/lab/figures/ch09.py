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


def told(values) -> tuple[float, float] | None:
    """Mean and half-width over the seeds; None where a seed has no figure (nan)."""
    values = np.asarray(values, float)
    return mean_and_half_width(values) if np.isfinite(values).all() else None


def where_mass_went(record, **where) -> dict[str, np.ndarray]:
    """Figures of the runs of the study `squeezing` that hold `where`, (S,); entropy: the change."""
    before, after = record.values("before", **where), record.values("after", **where)
    out = {key: np.array(record.values(key, **where)) for key in ("chosen", "rejected")}
    out["rejected_logp"] = np.array([row["rejected_logp"] for row in before])
    out["kl"] = np.array([row["kl"] for row in after])
    for name, rows in (("before", before), ("after", after)):
        out[f"worth_{name}"] = np.array([row["true_reward"] for row in rows])
    old, new = (np.array([row["entropy"] for row in rows]) for rows in (before, after))
    return out | {"entropy": new - old}


def log_ratios_beside_the_optimum(panels: dict[str, dict]):
    """A panel for each of two kinds of pairs: log-ratios of unseen pairs over the run, by seed.

    panels: kind -> {"steps": [...], "chosen": (S, L), "rejected": (S, L), "optimum": (S, L, 2)};
    the optimum's own at each seed's KL is dotted in the side's colour, and ends where it is nan.
    The second panel is logarithmic below -1.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8))
    for ax, (kind, found) in zip(axes, panels.items(), strict=True):
        steps = found["steps"]
        for side, (key, (color, dash)) in enumerate(SIDES.items()):
            for seed, best in zip(found[key], found["optimum"], strict=True):
                ax.plot(steps, seed, color=color, ls=dash, lw=1.3)
                ax.plot(steps, best[:, side], color=color, ls=":", lw=1.8)
        ax.text(20, 0.33, "chosen", color=CHOSEN)
        ax.text(3, -2.1, "rejected", color=REJECTED)
        ax.axhline(0, color=REFERENCE, lw=1)
        ax.set(title=kind, xlabel="step", xlim=(0, 130), ylim=(-5.6, 0.7))
        ax.set_xticks([0, 32, 64, 96, 128])
    axes[0].text(3, -5.4, "dotted: the optimum at the run's KL")
    axes[0].set_ylabel("log-ratio, nats per reply")
    axes[1].set_yscale("symlog", linthresh=1.0)
    axes[1].set_ylim(-300, 0.8)
    axes[1].set_yticks([0, -1, -10, -100], ["0", "−1", "−10", "−100"])
    return figure


def dial_frame(record, where: dict, optimum):
    """One setting of the dial: log-ratios of unseen pairs, means and ranges of the seeds.

    optimum: (KL, seed) -> the optimum's own two log-ratios there, dotted; nan ends the line.
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
        end, above = (steps[-1], curves.mean(0)[-1]), (3, (1, -7)[side])
        ax.annotate(key, end, above, textcoords="offset points", color=color, fontsize=8)
    worth = np.mean(record.values("true_reward", **where))
    ax.set_title("β {beta}, rate {learning_rate:g}".format(**where), fontsize=9)
    said = f"KL {kls[:, -1].mean():.1f}, true reward {worth:.1f}".replace("-", "−")
    ax.text(2, -26, said, fontsize=9)
    ax.set_yscale("symlog", linthresh=1.0)
    ax.set(xlim=(0, 64), ylim=(-40, 0.4))
    ax.set_xlabel("step", fontsize=8)
    ax.set_ylabel("log-ratio, nats", fontsize=8)
    ax.set_yticks([0, -1, -10], ["0", "−1", "−10"])
    ax.tick_params(labelsize=8)
    return figure
