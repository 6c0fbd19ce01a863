"""Chapter 22, "Find the bug": patches as text, curves of broken runs, and who was named."""

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Image, display

from ...data import data_path
from ...doctor import hooks
from ..plots import CHOSEN, OPTIMUM, POLICY, REFERENCE, REJECTED
from ..tables import show_table
from ..widgets import pixels, png

TITLES = {
    "loss": "loss, nats",
    "margin": "margin",
    "chosen_reward": "chosen reward",
    "chosen_logp": "chosen logp, nats",
    "grad_norm": "gradient norm",
}
COLORS = (POLICY, REJECTED, CHOSEN)


def show(figure: plt.Figure) -> None:
    """Display a figure with few colours, a third of the size; and close it."""
    display(Image(data=png(pixels(figure, figure.dpi)), format="png"))


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


def print_rows(heads, lines, decimals=2) -> None:
    """`show_table` of lines instead of columns."""
    show_table(dict(zip(heads, zip(*lines, strict=True), strict=True)), decimals)


def _steps(values) -> np.ndarray:
    """The record keeps 32 values, each fourth step's; a run of this notebook all of them."""
    return 1 + np.arange(len(values)) * (4 if len(values) == 32 else 1)


def draw_overlay(runs: dict, curves, optimum: dict) -> plt.Figure:
    """A panel a curve and a line a bug, over the band of healthy runs; the legend stands above.

    `runs` maps a bug (None: healthy) to the curves of its runs, one dictionary a seed; of a bug the
    first is drawn. `optimum` holds the exact optimum's value of a curve, where there is one.
    """
    figure, axes = plt.subplots(1, len(curves), figsize=(10, 3.6), squeeze=False)
    bugs = [name for name in runs if name]
    for ax, curve in zip(axes[0], curves, strict=True):
        _draw_healthy(ax, runs[None], curve, optimum)
        for bug, dash, color in zip(bugs, ("-", "--", "-."), COLORS, strict=False):
            values = runs[bug][0][curve]
            ax.plot(_steps(values), values, ls=dash, lw=1.4, color=color, label=bug)
        ax.set(ylabel=TITLES[curve], xlabel="step")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=9.5)
    figure.set_layout_engine("constrained", wspace=0.06)
    return figure


def draw_symptoms(runs: dict, curves, optimum: dict, alone=()) -> plt.Figure:
    """A row of panels a bug and a column a curve, raw, over the band of healthy runs.

    The panels of a column share a scale, but for the bugs in `alone`. Else as `draw_overlay`.
    """
    bugs = [name for name in runs if name]
    size = (10, 0.5 + 1.75 * len(bugs))
    figure, axes = plt.subplots(len(bugs), len(curves), figsize=size, sharex=True, squeeze=False)
    for i, j in np.ndindex(axes.shape):
        ax, curve, bug = axes[i, j], curves[j], bugs[i]
        _draw_healthy(ax, runs[None], curve, optimum)
        values = runs[bug][0][curve]
        ax.plot(_steps(values), values, color=POLICY, lw=1.4, label="with the bug")
        ax.set_ylabel(TITLES[curve], fontsize=10)
        if bug not in alone and bugs[0] not in alone and i:
            ax.sharey(axes[0, j])
    for i, bug in enumerate(bugs):
        axes[i, 0].set_title(bug, loc="left", fontsize=11, weight="bold")
    for ax in axes[-1]:
        ax.set_xlabel("step")
    figure.align_ylabels(axes)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=5, fontsize=9.5)
    figure.set_layout_engine("constrained", wspace=0.06)
    return figure


def _draw_healthy(ax, healthy: list[dict], curve: str, optimum: dict) -> None:
    """The healthy runs' range as a band, the first in grey; ln 2 dashed, the optimum dotted."""
    values = np.array([run[curve] for run in healthy])
    if len(values) > 1:
        band = values.min(0), values.max(0)
        ax.fill_between(_steps(values[0]), *band, color="0.87", lw=0, label="three healthy runs")
    ax.plot(_steps(values[0]), values[0], color="0.5", lw=1.2, label="healthy, same pairs")
    if curve == "loss":
        ax.axhline(np.log(2), color="0.45", ls=(0, (5, 4)), lw=1.0, label="ln 2")
    if curve in optimum:
        ax.axhline(optimum[curve], color=OPTIMUM, ls=":", lw=1.3, label="exact optimum")


def draw_named(counts: np.ndarray, rows, columns, of: int = 3) -> plt.Figure:
    """How many of `of` runs of each kind (row) went to each column; a full count is bold."""
    many = len(columns) > 8
    figure, ax = plt.subplots(figsize=(9, 0.31 * len(rows) + (2.6 if many else 0.8)))
    ax.imshow(counts, cmap="Blues", vmin=0, vmax=1.7 * of, aspect="auto")
    for i, j in np.ndindex(counts.shape):
        if counts[i, j] or not many:
            weight = "bold" if counts[i, j] == of else "normal"
            ax.text(j, i, counts[i, j], ha="center", va="center", fontsize=10, weight=weight)
    ax.set_xticks(range(len(columns)), columns, fontsize=9.5, rotation=90 if many else 0)
    ax.set_yticks(range(len(rows)), rows, fontsize=9.5)
    ax.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False)
    ax.grid(False)
    if many:
        ax.set_ylabel("what the run was", labelpad=12)
        ax.set_xlabel("what it was taken for", labelpad=10)
        ax.xaxis.set_label_position("top")
    return figure


def draw_unlabelled(runs: dict[str, dict]) -> plt.Figure:
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
