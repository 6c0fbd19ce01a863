"""Chapter 02: fits that settle or run away, and what labels can tell."""

import matplotlib.pyplot as plt
import numpy as np

from ..plots import CHOSEN, OPTIMUM, POLICY, REJECTED

SECOND = "#E69F00"


def climbs(paths: dict[str, np.ndarray], names: list[str]):
    """Scores over the steps of several climbs, a panel each; `paths`: title -> (steps, N).

    The lines of the first panel end in the N `names`.
    """
    figure, axes = plt.subplots(1, len(paths), figsize=(8, 3.4), sharey=True)
    for ax, (title, path) in zip(axes, paths.items(), strict=True):
        ax.semilogx(np.arange(1, len(path) + 1), path, color=POLICY)
        ax.set(title=title, xlabel="steps of gradient ascent")
        ax.set_xticks(10.0 ** np.arange(len(str(len(path)))))
    first = next(iter(paths.values()))
    for name, score in zip(names, first[-1], strict=True):
        spot = (len(first), score)
        axes[0].annotate(name, spot, (5, 0), textcoords="offset points", va="center", color=POLICY)
    axes[0].set_xlim(None, 10 * len(first))
    axes[0].set_ylabel("score of each answer, log-odds")
    return figure


def fitted_against_true(questions: dict[str, tuple]):
    """Fitted scores against true rewards; `questions`: prompt -> (true, fitted, bars), (N,) each.

    Both are measured from the mean of their question.
    """
    figure, ax = plt.subplots(figsize=(6.4, 4.2))
    styles = (("o", POLICY), ("s", SECOND))
    for (prompt, (true, fitted, bars)), (marker, color) in zip(
        questions.items(), styles, strict=True
    ):
        ax.errorbar(true, fitted, bars, fmt=marker, capsize=3, color=color, label=prompt)
    ax.plot([-2.6, 3.4], [-2.6, 3.4], color=OPTIMUM, ls="--", lw=1)
    ax.text(3.5, 3.65, "choices = true reward", ha="right")
    ax.set(xlabel="true reward, from its question's mean, log-odds")
    ax.set_ylabel("score fitted to the choices, log-odds")
    ax.set(xlim=(-2.9, 3.6), ylim=(-3.4, 4.6))
    ax.legend(loc="upper left", fontsize=10)
    return figure


def labels_needed(gaps: np.ndarray, needed: np.ndarray, marked=(0, 1, 3, 5)):
    """Labels that one pair needs against its true difference; some counts are written on."""
    figure, ax = plt.subplots()
    ax.semilogy(gaps, needed, color=POLICY)
    for gap in marked:
        n = np.interp(gap, gaps, needed)
        ax.plot(gap, n, "o", color=POLICY)
        ax.annotate(f"{n:.0f}", (gap, n), (0, 9), textcoords="offset points", ha="center")
    ax.set(xlabel="true difference of the two scores, log-odds")
    ax.set_ylabel("labels needed for ± 0.5 (95 %)")
    ax.set_ylim(30, 6000)
    return figure


def ceiling(differences: np.ndarray, weight: np.ndarray, right: np.ndarray):
    """Share of pairs by true difference, split into labels for the better reply and the worse.

    `differences` (M,) are not negative, `weight` (M,) adds up to one, and `right` (M,) is the share
    of a pair's labels that name its better reply.
    """
    bins = np.arange(0, differences.max() + 0.25, 0.25)
    share = [
        100 * np.histogram(differences, bins, weights=weight * w)[0] for w in (right, 1 - right)
    ]
    total = [100 * weight @ right, 100 * weight @ (1 - right)]
    figure, ax = plt.subplots()
    box = {"width": 0.25, "align": "edge", "edgecolor": "white", "linewidth": 0.8}
    ax.bar(bins[:-1], share[0], color=CHOSEN, **box)
    ax.bar(bins[:-1], share[1], bottom=share[0], color=REJECTED, hatch="////", **box)
    notes = (
        (f"labels for the worse reply: {total[1]:.1f} %", (1.12, 9.2), (1.9, 11.6)),
        (f"labels for the better reply: {total[0]:.1f} %", (2.35, 2.2), (2.45, 6.4)),
    )
    for text, tip, place in notes:
        ax.annotate(text, tip, place, va="center", arrowprops={"arrowstyle": "->", "lw": 1.2})
    ax.set(xlabel="true difference of the two replies, log-odds", ylabel="share of all labels, %")
    ax.set_xlim(0, 4.75)
    return figure
