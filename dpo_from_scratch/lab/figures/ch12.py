"""Chapter 12: how far margins grow, and the paths of policies out to where they end."""

import matplotlib.pyplot as plt
import numpy as np

from ... import world
from ..evaluation import mean_and_half_width
from ..plots import CHOSEN, OPTIMUM, POLICY, REFERENCE, REJECTED

COLORS = {"DPO": POLICY, "cDPO": CHOSEN, "IPO": REJECTED}
MARKERS = "os^Dvp"
Curves = dict[str, dict[float, np.ndarray]]  # loss -> strength -> (seeds, checkpoints)


def curves(record, key: str) -> Curves:
    """A figure at each checkpoint of the study `too_sure`: loss -> strength, rising -> (S, L)."""
    runs = [p for p in record.points if p["point"].keys() == {"loss", "strength", "seed"}]
    out = {loss: {} for loss in ("dpo", "cdpo", "ipo")}
    for run in sorted(runs, key=lambda run: (run["point"]["strength"], run["point"]["seed"])):
        told = [look[key] for look in run["result"]["looks"]]
        out[run["point"]["loss"]].setdefault(run["point"]["strength"], []).append(told)
    names = dict(zip(out, COLORS, strict=True))
    return {names[o]: {s: np.array(rows) for s, rows in out[o].items()} for o in out}


def by_certainty(record, key: str) -> dict[float, dict[float, np.ndarray]]:
    """A figure of the study `certainty_dial`: certainty -> beta -> a row a seed."""
    out = {}
    for p in record.points:
        by_beta = out.setdefault(p["point"]["certainty"], {})
        by_beta.setdefault(p["point"]["beta"], []).append(p["result"][key])
    return {c: {b: np.array(rows) for b, rows in by_beta.items()} for c, by_beta in out.items()}


def column(by_beta: dict[float, np.ndarray], betas) -> list:
    """Cells of a table: mean and half-width at each beta, None where there is no run."""
    return [told(by_beta[b]) if b in by_beta else None for b in betas]


def told(values) -> tuple[float, float] | float:
    """Mean and half-width over the seeds; of one seed the figure alone."""
    return mean_and_half_width(values) if len(values) > 1 else float(values[0])


def means_and_halves(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over the seeds and half-widths of their intervals, (L,) each, of (S, L)."""
    found = [told(column) for column in np.asarray(values).T]
    return tuple(np.array([x if isinstance(x, tuple) else (x, 0.0) for x in found]).T)


def margins(steps: list[int], found: Curves, limits: dict[str, dict[float, float]]):
    """Figure: a panel for each loss: delta at the checkpoints, a line for each strength.

    Bands are 95 % intervals over the seeds; limits, where the loss has some, are dotted.
    """
    figure, axes = plt.subplots(1, 3, figsize=(10, 4), sharey=True)
    for ax, (loss, by_strength) in zip(axes, found.items(), strict=True):
        heights = apart([np.mean(values[:, -1]) for values in by_strength.values()])
        for number, (strength, values) in enumerate(by_strength.items()):
            draw_line(ax, steps, values, COLORS[loss], MARKERS[number])
            name = f"{strength:g}"
            if strength == min(by_strength):
                name = f"{symbol(loss)} {name}"
            at = (steps[-1] * 1.25, heights[number])
            ax.annotate(name, at, va="center", color=COLORS[loss], fontsize=9)
            if strength in limits.get(loss, {}):
                limit = limits[loss][strength]
                ax.plot([3.5, 290], [limit, limit], color=COLORS[loss], ls=":", lw=1.2)
        ax.set(xscale="log", yscale="log", title=loss, xlabel="step", xlim=(3.5, 900))
        ax.set_xticks(steps, ["" if n % 2 else str(step) for n, step in enumerate(steps)])
        ax.minorticks_off()
    axes[0].set_ylim(0.04, 200)
    axes[0].set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
    axes[0].set_ylabel("mean Δ of the training pairs, nats")
    return figure


def symbol(loss: str) -> str:
    """What a loss's strength is called."""
    return "τ" if loss == "IPO" else "β"


def apart(ends: list[float], ratio: float = 1.4) -> list[float]:
    """Heights for names beside falling ends: each at most the one before over `ratio`."""
    heights = []
    for end in ends:
        heights.append(min(end, heights[-1] / ratio) if heights else end)
    return heights


def draw_line(ax, steps: list[int], values: np.ndarray, color, marker: str) -> None:
    """Means over the seeds with a band of their intervals; values (S, L)."""
    mean, half = means_and_halves(values)
    ax.plot(steps, mean, color=color, marker=marker, ms=4, lw=1.4)
    ax.fill_between(steps, np.maximum(mean - half, 1e-3), mean + half, color=color, alpha=0.2, lw=0)


def dial_frame(
    steps: list[int], found: dict[float, np.ndarray], limits: dict[float, float], title: str
):
    """Small figure: delta at the checkpoints by beta, (S, L) each; finite limits are dotted."""
    figure, ax = plt.subplots(figsize=(3.6, 2.7))
    colors = plt.cm.Blues(np.linspace(0.55, 1, len(found)))
    for color, marker, (beta, values) in zip(colors, MARKERS, found.items(), strict=False):
        draw_line(ax, steps, values, color, marker)
        end = (steps[-1] * 1.3, np.mean(values[:, -1]))
        ax.annotate(f"β {beta:g}", end, va="center", color=color, fontsize=8)
        if np.isfinite(limits[beta]):
            ax.plot([3.5, 300], [limits[beta]] * 2, color=color, ls=":", lw=1.5)
    ax.set(xscale="log", yscale="log", xlim=(3.5, 1100), ylim=(0.1, 150))
    ax.set_title(title, fontsize=9)
    ax.set_xticks(steps, [str(step) for step in steps])
    ax.minorticks_off()
    ax.set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
    ax.set_xlabel("step", fontsize=8)
    ax.set_ylabel("mean Δ, nats", fontsize=8)
    ax.tick_params(labelsize=8)
    return figure


def paths(kl: Curves, reward: Curves, places: dict[tuple[str, float], tuple[float, float]]):
    """Figure: a panel for each loss: reward against KL over the checkpoints, KL logarithmic.

    A line for each strength, means over the seeds, from left to right; at its end 95 % intervals.
    places: where a strength's name stands, (KL, reward), with a line to its end; else beside it.
    """
    figure, axes = plt.subplots(1, 3, figsize=(10, 4.2), sharey=True)
    for ax, loss in zip(axes, kl, strict=True):
        draw_frontier_by_log_kl(ax)
        for marker, strength in zip(MARKERS, kl[loss], strict=False):
            (x, dx), (y, dy) = (means_and_halves(part[loss][strength]) for part in (kl, reward))
            seen = x > 0.01
            ax.plot(x[seen], y[seen], color=COLORS[loss], marker=marker, ms=4, lw=1.2)
            ends = {"xerr": [[min(dx[-1], 0.9 * x[-1])], [dx[-1]]], "yerr": dy[-1]}
            ax.errorbar(x[-1], y[-1], **ends, color=COLORS[loss], marker=marker, ms=7, capsize=2)
            name, end = f"{symbol(loss)} {strength:g}", (x[-1], y[-1])
            at = {"xytext": (9, 7), "textcoords": "offset points"}
            if (loss, strength) in places:
                thin = {"arrowstyle": "-", "color": COLORS[loss], "lw": 0.6, "shrinkB": 5}
                at = {"xytext": places[loss, strength], "ha": "center", "arrowprops": thin}
            ax.annotate(name, end, **at, color=COLORS[loss], fontsize=9)
        ax.set(title=loss, xlabel="KL to the reference, nats per reply")
    axes[0].text(380, -0.1, "before\ntraining", ha="right", color=REFERENCE, fontsize=8)
    axes[0].set_ylabel("mean true reward")
    return figure


def draw_frontier_by_log_kl(ax) -> None:
    """The grammar's exact frontier, named, and the reward before training; KL is logarithmic."""
    line = world.REVIEWS.frontier(np.geomspace(0.1, 20, 60))
    ax.plot([g["kl"] for g in line], [g["mean_reward"] for g in line], color=OPTIMUM, lw=1.5)
    ax.annotate("exact optimum", (1.1, 3.2), color=OPTIMUM, ha="right", fontsize=9)
    start = world.REVIEWS.policy(world.prompts()[0]).mean_reward
    ax.axhline(start, color=REFERENCE, ls=":", lw=1.2)
    ax.set(xscale="log", xlim=(0.01, 400), ylim=(-6, 5))
    ax.set_xticks([0.01, 0.1, 1, 10, 100], ["0.01", "0.1", "1", "10", "100"])
