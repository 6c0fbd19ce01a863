"""The workshop's picture for the wall: what a class chose, pair by pair, and the ceiling."""

import matplotlib.pyplot as plt
import numpy as np

from ..class_report import Summary


def wall(found: Summary):
    """The share of labels for the majority's side, pair by pair, the surest first; the figure."""
    counts = found.counts[found.counts.sum(1) > 0]
    share = np.sort(counts.max(1) / counts.sum(1))[::-1]
    at = np.arange(1, len(share) + 1)
    figure, ax = plt.subplots()
    ax.bar(at, share, color="#0072B2", width=0.8)
    ax.bar(at, 1 - share, bottom=share, color="white", edgecolor="#D55E00", hatch="///", width=0.8)
    ceiling = found.ceiling[1]
    ax.axhline(ceiling, color="black", ls="--", lw=1.5)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 2}
    named = f"the ceiling, {ceiling:.2f}"
    ax.text(len(share) + 0.4, ceiling - 0.02, named, ha="right", va="top", bbox=box)
    ax.set(xlabel="pair, the surest first", ylabel="share of labels")
    ax.set(xlim=(0.3, len(share) + 0.7), ylim=(0, 1))
    ax.set_title(f"{found.people} people, {int(counts.sum())} labels")
    return figure
