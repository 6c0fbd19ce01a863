"""Chapter 20: how far people agree, the order of the file, and who orders pairs as they do."""

import matplotlib.pyplot as plt
import numpy as np

from ..plots import CHOSEN, OPTIMUM, POLICY, REFERENCE


def agreement_and_order(agreement: dict[int, tuple[float, float]], tone: np.ndarray):
    """Agreement of k people with 13 others (mean, half-width); the mean rating of each block."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8))
    mean, half = np.array(list(agreement.values())).T
    left.errorbar(list(agreement), mean, half, fmt="o-", color=POLICY, capsize=3)
    left.set(xlabel="people who vote", ylabel="agreement with 13 others", ylim=(0.6, 1.0))
    right.plot(tone, ".", color=POLICY, ms=4)
    right.axhline(0, color=REFERENCE, lw=1)
    right.set(xlabel="number of the block in the file", ylim=(-4, 4))
    right.set_ylabel("mean rating of its 30 sentences")
    return figure


def accuracies(found: dict[str, dict], guides: dict[str, dict], kinds: list[str]):
    """A panel for each kind of pairs: each scorer's accuracy, its seeds, and what people reach.

    found: scorer -> kind -> `lab.ordering.Accuracy`; guides: kind -> name -> accuracy.
    """
    figure, axes = plt.subplots(1, len(kinds), figsize=(10, 4.1), sharey=True)
    for ax, kind in zip(axes, kinds, strict=True):
        for i, (name, row) in enumerate(found.items()):
            mean, half = row[kind].over_blocks()
            color, mark = REFERENCE, "D"
            if "DPO" in name:
                color, mark = POLICY, "o"
            elif "reward" in name:
                color, mark = CHOSEN, "s"
            ax.errorbar(mean, i, xerr=half, fmt=mark, color=color, capsize=3)
            ax.plot(row[kind].seeds, [i - 0.25] * len(row[kind].seeds), "|", color=color)
        for (name, value), dash in zip(guides[kind].items(), ("--", "-"), strict=True):
            ax.axvline(value, color=OPTIMUM, ls=dash, lw=1.2)
            ax.text(value - 0.004, -0.6, name, rotation=90, ha="right", va="bottom", size=8)
        ax.axvline(0.5, color=REFERENCE, ls=":")
        ax.set(title=f"pairs of {kind}", xlabel="accuracy on the test blocks")
        ax.set(xlim=(0.35, 1.01), ylim=(-0.7, len(found) - 0.3))
        ax.set_yticks(range(len(found)), list(found))
    return figure
