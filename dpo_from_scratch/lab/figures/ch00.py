"""Chapter 00: the course of the loss, and where the run ended under the exact frontier."""

import math

import matplotlib.pyplot as plt

from ..evaluation import Evaluation
from ..plots import OPTIMUM, POLICY, REFERENCE, draw_frontier, smooth


def draw_run(history: list[dict], base: Evaluation, tuned: Evaluation, goal, floor: float):
    """The loss of each step with its running mean, and both models under the frontier.

    `goal` is the best policy for the run's beta, `floor` the loss of the true reward.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
    steps, batches = [row["step"] for row in history], [row["loss"] for row in history]
    left.plot(steps, batches, color=POLICY, alpha=0.3, lw=0.8)
    left.plot(steps, smooth(batches, 16), color=POLICY)
    left.axhline(math.log(2), color=REFERENCE, ls="--", lw=1.2)
    top = max(*batches, math.log(2)) + 0.04  # above the noise
    _label(left, "dashed: ln 2, the loss at the start", (steps[-1], top), (0, 0), "right")
    left.axhline(floor, color=OPTIMUM, ls=":", lw=1.5)
    _label(left, "dotted: the true reward's loss", (steps[-1], min(batches)), (0, -16), "right")
    left.set(xlabel="step", ylabel="DPO loss, nats per pair", ylim=(0, top + 0.08))
    draw_frontier(right)
    right.margins(y=0.12)
    for found, color, marker in ((base, REFERENCE, "s"), (tuned, POLICY, "o")):
        across = 1.96 * found.kl_se if found is tuned else None  # the reference is at 0 exactly
        up = 1.96 * found.true_reward_se
        right.errorbar(
            found.kl, found.true_reward, up, across, color=color, marker=marker, capsize=3
        )
    _label(right, "reference", (0, base.true_reward), (10, -4))
    _label(right, "after DPO", (tuned.kl, tuned.true_reward), (10, -12))
    ends = [tuned.true_reward, tuned.optimum]
    right.plot([tuned.kl] * 2, ends, color=OPTIMUM, ls=":", lw=1.2)
    _label(right, "what it missed", (tuned.kl, sum(ends) / 2), (6, 0))
    right.plot(goal.kl, goal.mean_reward, color=OPTIMUM, marker="D", ls="")
    _label(right, "best for this β", (goal.kl, goal.mean_reward), (8, -12))
    return figure


def _label(ax, text: str, at: tuple, offset: tuple, align: str = "left") -> None:
    """A label beside a point, in dark grey, `offset` in points."""
    ax.annotate(text, at, offset, textcoords="offset points", ha=align, color="0.3", fontsize=10)
