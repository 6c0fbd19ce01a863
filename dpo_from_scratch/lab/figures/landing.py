"""The website's first page: trained policies under the exact optimum."""

import matplotlib.pyplot as plt
import numpy as np

from ... import world
from ..plots import OPTIMUM, POLICY, REFERENCE

LABEL = {"textcoords": "offset points", "va": "center"}


def frontier(runs: list[tuple[float, float, float]]):
    """Figure: the exact frontier, and DPO's runs below it, each a (beta, KL, true reward).

    Small, since a phone shows it; the KL axis is logarithmic, and the grammar itself a line.
    """
    figure, ax = plt.subplots(figsize=(5, 3.9))
    line = world.REVIEWS.frontier(np.geomspace(0.015, 8, 70))
    ax.plot([g["kl"] for g in line], [g["mean_reward"] for g in line], color=OPTIMUM)
    ax.annotate("the best there can be,\ncomputed exactly", (6, 6.1), color=OPTIMUM, ha="right")
    start = world.REVIEWS.policy(world.prompts()[0]).mean_reward
    ax.axhline(start, color=REFERENCE, ls="--", lw=1.2)
    ax.annotate("before training", (0.09, start), (0, -9), color="#555555", **LABEL)
    ax.plot([kl for _, kl, _ in runs], [reward for *_, reward in runs], "o", ms=5, color=POLICY)
    ax.annotate("trained with DPO,\na dot a run", (0.95, 0.95), color=POLICY, va="center")
    for beta, offset in ((4, (0, -13)), (0.35, (12, -14)), (0.05, (-30, 0))):
        at = np.mean([run[1:] for run in runs if run[0] == beta], axis=0)
        ax.annotate(f"β {beta:g}", at, offset, color=POLICY, ha="center", **LABEL)
    ax.set(xscale="log", xlim=(0.08, 40), ylim=(-1.7, 8.5))
    ax.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
    ax.set(xlabel="KL to where it started, nats per reply", ylabel="mean true reward")
    return figure
