"""Chapter 07: the plane of reward and distance, the sweep's other measures, the gap's parts."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np

from ... import world
from ..evaluation import best_of_n_kl, mean_and_half_width
from ..plots import CHOSEN, OPTIMUM, POLICY, REFERENCE, REJECTED

ORANGE = "#E69F00"
Runs = dict[float, tuple[list[float], list[float]]]  # beta -> KL and true reward of its seeds
BESIDE = {0.05: (0, -17), 0.1: (25, 1), 0.2: (-6, -17), 0.35: (12, -16)}  # points; else (10, -14)


def best_rewards(record) -> dict[str, dict[int, list[float]]]:
    """Judge -> n -> mean true reward of best-of-n, one number a seed."""
    out = {}
    for row in (row for rows in record.values("rows", best_of_n=True) for row in rows):
        if row["n"] > 1:
            out.setdefault(row["judge"], {}).setdefault(row["n"], []).append(row["true_reward"])
    return out


def draw_frontier(ax) -> None:
    """The exact frontier of the grammar in a plane whose KL axis is logarithmic."""
    line = world.REVIEWS.frontier(np.geomspace(0.015, 8, 70))
    ax.plot([g["kl"] for g in line], [g["mean_reward"] for g in line], color=OPTIMUM)
    ax.set(xscale="log", xlim=(0.08, 40), ylim=(-1.5, 8.5))
    ax.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])


def draw_runs(ax, runs: Runs, highlight: float | None = None, size: float = 5) -> None:
    """A dot for each seed, those of one beta joined; every other beta hollow and dashed."""
    for number, (beta, (kl, reward)) in enumerate(sorted(runs.items())):
        order, chosen = np.argsort(kl), beta == highlight
        color = REJECTED if chosen else POLICY
        ax.plot(
            np.array(kl)[order],
            np.array(reward)[order],
            "o--" if number % 2 == 0 else "o-",
            ms=size + 2 * chosen,
            lw=0.8,
            color=color,
            mfc="white" if number % 2 == 0 and not chosen else color,
            zorder=4 if chosen else 3,
        )


def plane(runs: Runs, best: dict[str, dict[int, list[float]]]):
    """Figure: the frontier, the runs with their betas, and best-of-n at the KL it has at most."""
    figure, ax = plt.subplots(figsize=(8, 4.8))
    draw_frontier(ax)
    looks = {"true reward": ("s", ORANGE), "implicit reward": ("D", CHOSEN)}
    for judge, (marker, color) in looks.items():
        at = [best_of_n_kl(n) for n in best[judge]]
        means = [np.mean(v) for v in best[judge].values()]
        name = f"best of n by {judge}"
        ax.plot(at, means, marker=marker, ms=4.5, color=color, ls="--", lw=1, label=name)
    draw_runs(ax, runs)
    ax.plot([], [], "o", color=POLICY, label="DPO, one dot a seed")
    for beta, (kl, reward) in runs.items():
        far = int(np.argmax(kl))
        where = {"xy": (kl[far], reward[far]), "xytext": BESIDE.get(beta, (10, -14))}
        ax.annotate(f"β {beta:g}", **where, textcoords="offset points", color=POLICY, ha="center")
    ax.annotate("exact frontier", (5, 5.6), color=OPTIMUM, ha="right")
    ax.set(xlabel="KL to the reference, nats per reply", ylabel="mean true reward")
    ax.legend(loc="upper left", fontsize=10)
    return figure


def frame(runs: Runs, beta: float, texts: list[str]):
    """A small figure for the slider: the plane with one beta picked out, and what it writes."""
    style = {"font.size": 9, "figure.constrained_layout.use": False}
    with plt.rc_context(style):
        figure = plt.figure(figsize=(3.6, 2.7))
        ax = figure.add_axes((0.13, 0.53, 0.84, 0.38))
        draw_frontier(ax)
        draw_runs(ax, runs, beta, size=3)
        ax.set_title(f"β = {beta:g}", fontsize=9, pad=3)
        ax.set_xticks([0.1, 1, 10], ["KL 0.1", "1", "10 nats"])
        ax.tick_params(labelsize=7.5, pad=1)
        ax.set_ylabel("reward", fontsize=8, labelpad=1)
        lines = "\n".join(textwrap.fill(text, 66) for text in texts)
        figure.text(0.03, 0.43, lines, va="top", fontsize=7, linespacing=1.2)
    return figure


def without_broken(runs: Runs, before: Runs, after: Runs):
    """Figure: the plane, and by arrows where runs go that throw their broken texts away."""
    figure, ax = plt.subplots(figsize=(7, 4))
    draw_frontier(ax)
    draw_runs(ax, {beta: run for beta, run in runs.items() if beta > max(before)}, size=3.5)
    for beta in before:
        for start, end in zip(np.transpose(before[beta]), np.transpose(after[beta]), strict=True):
            arrow = {"arrowstyle": "->", "color": REJECTED, "lw": 0.9, "shrinkB": 4}
            ax.annotate("", end, start, arrowprops=arrow)
        ax.plot(*before[beta], "o", ms=5.5, color=REJECTED)
        ax.plot(*after[beta], "D", ms=5.5, color=CHOSEN, mec="white", mew=0.6, zorder=5)
        far = np.argmax(before[beta][0])
        last = (before[beta][0][far], before[beta][1][far] - 0.75)
        ax.annotate(f"β {beta:g}, all texts", last, color=REJECTED, ha="center")
        last = (1.08 * max(after[beta][0]), max(after[beta][1]) + 0.2)
        ax.annotate("whole texts only", last, color=CHOSEN)
    ax.annotate("exact frontier", (2.2, 4.5), color=OPTIMUM, ha="right")
    ax.set(xlim=(0.8, 40), ylim=(-1.5, 8.5))
    ax.set(xlabel="KL to the reference, nats per reply", ylabel="mean true reward")
    return figure


def against_beta(
    measures: dict[str, dict[float, list[float]]], best: dict[str, dict[float, float]]
):
    """Figure: panels of a measure against beta: a dot a seed, a line through the means.

    best: the exact optimum's own measure at each beta, for the panels that show it.
    """
    figure, axes = plt.subplots(2, 3, figsize=(10, 5.2), sharex=True)
    for ax, (name, by_beta) in zip(axes.flat, measures.items(), strict=True):
        for beta, values in by_beta.items():
            ax.plot([beta] * len(values), values, "o", ms=4, mfc="white", color=POLICY)
        ax.plot(list(by_beta), [np.mean(v) for v in by_beta.values()], color=POLICY, lw=1.2)
        if name in best:
            ax.plot(list(best[name]), list(best[name].values()), color=OPTIMUM, ls="--", lw=1.4)
            told = {"xytext": (5, 3), "textcoords": "offset points", "fontsize": 9}
            middle = list(best[name].items())[len(best[name]) // 2]
            ax.annotate("exact optimum", middle, color=OPTIMUM, **told)
        ax.set_title(name)
        ax.set_xscale("log")
        ax.set_xticks(list(by_beta), [f"{beta:g}" for beta in by_beta], fontsize=8)
        ax.minorticks_off()
    for ax in axes[1]:
        ax.set_xlabel("β")
    return figure


def shares(found: dict[str, list[float]]):
    """Figure: what each setting misses: dots are seeds, the tick their mean, bars its interval."""
    figure, ax = plt.subplots(figsize=(8, 3.8))
    for row, values in enumerate(found.values()):
        mean, half = mean_and_half_width(values)
        color = REFERENCE if row == 0 else POLICY
        ax.errorbar(mean, row, xerr=half, fmt="|", ms=14, color=color, capsize=3, lw=1.2)
        ax.plot(values, [row] * len(values), "o", ms=5, color=color, mfc="white", zorder=3)
    ax.axvline(np.mean(next(iter(found.values()))), color=REFERENCE, ls=":", lw=1)
    ax.axvline(0, color=OPTIMUM)
    ax.set_yticks(range(len(found)), list(found))
    ax.invert_yaxis()
    ax.set_xlabel("share of the way to π* that is missed (0: the optimum, 1: the reference)")
    return figure


def gap_by_pairs(cells, law, start: float, bound: float):
    """Figure: the gap against pairs, a line a size: dots are seeds; dashed: a fitted law.

    cells: `studies.scaling.Cells`; law: of all of them; start: the gap untrained; bound: the gap of
    the references' own optimum.
    """
    figure, ax = plt.subplots(figsize=(8, 4.6))
    shades = plt.get_cmap("viridis")(np.linspace(0.85, 0.0, len(set(cells.names))))
    for number, (name, color) in enumerate(zip(dict.fromkeys(cells.names), shades, strict=True)):
        some = cells.where([n == name for n in cells.names])
        aside = some.pairs * 1.045 ** (number - 2)  # sizes side by side, not on top of each other
        ax.plot(aside, some.means, "osD^v"[number], ls="-", color=color, ms=6, label=name)
        ax.plot(aside, some.figures, ".", color=color, ms=4, alpha=0.6)
        ax.plot(aside, law(some.x), "--", color=color, lw=1)
    ax.axhline(start, color=REFERENCE, ls=":", lw=1)
    ax.axhline(bound, color=OPTIMUM, lw=1)
    least = cells.pairs.min()
    ax.annotate("untrained", (least, start), (0, 4), textcoords="offset points", fontsize=9)
    ax.annotate("the references' own optimum", (least, bound), (0, 4), textcoords="offset points")
    ax.set(xscale="log", xlabel="pairs, each read once", ylabel="gap: 0 is the exact optimum")
    ax.set_xticks(sorted(set(cells.pairs)), [f"{int(p):,}" for p in sorted(set(cells.pairs))])
    ax.minorticks_off()
    ax.legend(title="weights", loc="upper right", bbox_to_anchor=(1, 0.93))
    return figure
