"""Chapter 00: the course of the loss, and where the run ended under the exact frontier."""

import math

import matplotlib.pyplot as plt

from ..plots import OPTIMUM, POLICY, REFERENCE, draw_frontier, smooth


def draw_run(history: list[dict], floor: float, base, reward, kl, best, goal):
    """The loss of each step with its running mean, and both models under the frontier.

    floor: the loss of the true reward. base, reward, kl: the reference's and the policy's true
    reward and the policy's KL, each (mean, half-width). best, goal: the exact optimum at that KL,
    and the one for the run's beta.
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
    bars = {"capsize": 3}
    right.errorbar(0, base[0], base[1], color=REFERENCE, marker="s", **bars)  # at 0 exactly
    right.errorbar(kl[0], reward[0], reward[1], kl[1], color=POLICY, marker="o", **bars)
    _label(right, "reference", (0, base[0]), (10, -4))
    _label(right, "after DPO", (kl[0], reward[0]), (10, -12))
    ends = [reward[0], best.mean_reward]
    right.plot([kl[0]] * 2, ends, color=OPTIMUM, ls=":", lw=1.2)
    _label(right, "what it missed", (kl[0], sum(ends) / 2), (6, 0))
    right.plot(goal.kl, goal.mean_reward, color=OPTIMUM, marker="D", ls="")
    _label(right, "best for this β", (goal.kl, goal.mean_reward), (8, -12))
    return figure


def _label(ax, text: str, at: tuple, offset: tuple, align: str = "left") -> None:
    """A label beside a point, in dark grey, `offset` in points."""
    ax.annotate(text, at, offset, textcoords="offset points", ha=align, color="0.3", fontsize=10)
