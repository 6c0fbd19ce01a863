"""Chapter 22, "Find the bug": patches as text, curves of broken runs, and who was named."""

import matplotlib.pyplot as plt
import numpy as np

from ...data import data_path
from ...doctor import hooks
from ..plots import CHOSEN, OPTIMUM, POLICY, REFERENCE, REJECTED

TITLES = {
    "loss": "loss, nats per pair",
    "margin": "margin (reward)",
    "chosen_reward": "chosen reward",
    "chosen_logp": "chosen log-probability, nats",
    "grad_norm": "gradient norm",
}
DASHES = ("-", "--", "-.", ":")
HEALTHY = {"color": "0.55", "lw": 1.2}


def show_patches(names) -> None:
    """The lines of plain_loop.py that each bug changes, as they stand (-) and broken (+)."""
    text = (data_path("gallery") / "plain_loop.py").read_text(encoding="utf-8")
    for name in names:
        print(f"== {name}")
        for old, new in hooks.BUGS["plain_loop.py"][name]["patch"]:
            first = old.strip().split("\n")[0]
            line = next(line for line in text.split("\n") if first in line).strip()
            told = line.replace(old.strip(), new.strip()).replace("\n", "\n+  ")
            print("-  ", line, "\n+  ", told)


def _steps(values) -> np.ndarray:
    return 1 + np.arange(len(values)) * (128 // len(values))


def draw_overlay(runs: dict, curves, optimum: dict) -> plt.Figure:
    """One panel a curve, one line a bug, over the band of healthy runs.

    `runs` maps a bug (None: healthy) to its runs' curves, one dictionary a seed; bugs are drawn
    from the first seed. `optimum` gives the exact optimum's value of a curve where there is one.
    """
    figure, axes = plt.subplots(1, len(curves), figsize=(10, 3.4))
    bugs = [name for name in runs if name]
    for ax, curve in zip(axes, curves, strict=True):
        draw_band(ax, runs[None], curve)
        for bug, dash, color in zip(bugs, DASHES, (POLICY, REJECTED, CHOSEN, "k"), strict=False):
            values = runs[bug][0][curve]
            ax.plot(_steps(values), values, ls=dash, lw=1.3, color=color, label=bug)
        _finish(ax, curve, optimum)
    axes[0].legend(fontsize=9, loc="lower left")
    return figure


def draw_band(ax, healthy: list[dict], curve: str) -> None:
    """The healthy runs: their range as a band, the first of them as a thin grey line."""
    values = np.array([run[curve] for run in healthy])
    ax.fill_between(_steps(values[0]), values.min(0), values.max(0), color="0.85", lw=0)
    ax.plot(_steps(values[0]), values[0], **HEALTHY)


def _finish(ax, curve: str, optimum: dict) -> None:
    if curve in optimum:
        ax.axhline(optimum[curve], color=OPTIMUM, ls=":", lw=1.2)
    ax.set(title=TITLES.get(curve, curve), xlabel="step")


def draw_symptoms(runs: dict, curves, optimum: dict, own_scale=(), height=1.7) -> plt.Figure:
    """A row of panels a bug, a column a curve: raw, over the band of healthy runs.

    Rows of a column share a scale, but for the bugs in `own_scale`.
    """
    bugs = [name for name in runs if name]
    size = (10, 0.5 + height * len(bugs))
    figure, axes = plt.subplots(len(bugs), len(curves), figsize=size, sharex=True, squeeze=False)
    for line, bug in zip(axes, bugs, strict=True):
        for ax, curve in zip(line, curves, strict=True):
            draw_band(ax, runs[None], curve)
            values = runs[bug][0][curve]
            ax.plot(_steps(values), values, color=POLICY, lw=1.3)
            _finish(ax, curve, optimum)
            ax.set(xlabel="step" if line is axes[-1] else "")
            if line is not axes[0]:
                ax.set_title("")
            if bug not in own_scale:
                shared = [a for a, b in zip(axes[:, curves.index(curve)], bugs) if b not in own_scale]
                ax.sharey(shared[0]) if ax is not shared[0] else None
        line[0].set_ylabel(bug.replace(" ", "\n", 1) if len(bug) > 14 else bug, fontsize=10)
    return figure


def draw_named(shares: np.ndarray, rows, columns, of: int) -> plt.Figure:
    """How many of `of` runs were named: a row a bug, a column a kind of evidence."""
    figure, ax = plt.subplots(figsize=(8.5, 0.33 * len(rows) + 1.2))
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1.6 * of, aspect="auto")
    for i, j in np.ndindex(shares.shape):
        weight = "bold" if shares[i, j] == of else "normal"
        ax.text(j, i, shares[i, j], ha="center", va="center", fontsize=10, weight=weight)
    ax.set_xticks(range(len(columns)), columns, fontsize=10)
    ax.set_yticks(range(len(rows)), rows, fontsize=10)
    ax.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False)
    ax.grid(False)
    return figure


def draw_unlabelled(runs: dict[str, dict], healthy: list[dict] = ()) -> plt.Figure:
    """Lettered runs, one a row: loss, margin, both rewards, gradient norm; raw."""
    panels = (("loss",), ("margin",), ("chosen_reward", "rejected_reward"), ("grad_norm",))
    size = (10, 0.5 + 1.35 * len(runs))
    figure, axes = plt.subplots(len(runs), len(panels), figsize=size, sharex=True)
    for line, (letter, run) in zip(axes, runs.items(), strict=True):
        for ax, keys in zip(line, panels, strict=True):
            for key, color, dash in zip(keys, _colors(keys), ("-", "--"), strict=False):
                ax.plot(_steps(run[key]), run[key], color=color, ls=dash, lw=1.3)
            ax.tick_params(labelsize=9)
        line[0].axhline(np.log(2), color=REFERENCE, ls=":", lw=1.2)
        line[0].set_ylabel(letter, rotation=0, fontsize=14, weight="bold", labelpad=14)
    for ax, keys in zip(axes[0], panels, strict=True):
        ax.set_title("rewards" if len(keys) == 2 else TITLES[keys[0]], fontsize=10)
    for ax in axes[-1]:
        ax.set_xlabel("step")
    return figure


def _colors(keys) -> tuple:
    return (CHOSEN, REJECTED) if len(keys) == 2 else (POLICY,)
