"""Chapter 19: what judges teach, by how often they agree with the truth and by distance."""

import matplotlib.pyplot as plt
import numpy as np

from ... import world
from ..plots import CHOSEN, OPTIMUM, POLICY, REFERENCE, REJECTED

LOOKS = {  # judge -> colour, marker, dash, where its name stands beside its mark: points, side
    "exact": (POLICY, "o", "-", (-8, 8), "right"),
    "noise 2": (REFERENCE, "s", "--", (8, 4), "left"),
    "noise 6": (REFERENCE, "D", "--", (10, -4), "left"),
    "length": (REJECTED, "v", ":", (8, -12), "left"),
    "reward model 256": (CHOSEN, "^", "-.", (8, -12), "left"),
    "reward model 2048": (CHOSEN, "P", "-.", (8, -12), "left"),
}
# of the exact judge's path, point by point: its name, and where that stands beside its mark
MARKS = (
    ("student", (-2, -17), "left"),
    ("β 4.8", (-13, 8), "right"),
    ("β 1.2", (-14, 9), "right"),
    ("β 0.3", (0, 10), "center"),
)
ROOT = (lambda x: np.sqrt(np.maximum(x, 0)), np.square)  # an axis on which frontiers are straight


def curves(
    record, judge: str, rule: str = "random", key: str = "true_reward", skip: bool | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """KL and a figure of the study `judge_quality`, both (S, P): a row a seed.

    Columns: the model after dSFT, then the runs by falling beta; skip=True: the runs without dSFT.
    """
    runs = record.select(judge=judge, rule=rule, skip=skip, learning_rate=None)
    runs = sorted(runs, key=lambda p: -p["point"]["beta"])
    rows: dict = {}
    for p in runs if skip else record.select(judge="none") + runs:
        rows.setdefault(p["point"]["seed"], []).append([p["result"]["kl"], p["result"][key]])
    kl, figure = np.moveaxis(np.array([rows[seed] for seed in sorted(rows)]), -1, 0)
    return kl, figure


def judges(agreement: dict, taught: dict, paths: dict, at: float, ceiling: float):
    """Figure: reward at one KL against agreement, and reward against KL with a root axis.

    agreement: judge -> share; taught: judge -> (mean, half-width); paths: judge -> `curves`;
    ceiling: the exact optimum's reward where the KL is `at`.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.3))
    for name, (mean, half) in taught.items():
        color, marker, _, shift, side = LOOKS[name]
        place = (agreement[name], mean)
        left.errorbar(*place, half, fmt=marker, color=color, capsize=3, ms=7)
        left.annotate(
            name, place, shift, textcoords="offset points", ha=side, fontsize=9, color=color
        )
    left.axhline(ceiling, color=OPTIMUM, lw=1.5)
    left.text(0.58, ceiling + 0.02, "exact optimum at this KL", fontsize=9, color=OPTIMUM)
    left.set(xlim=(0.57, 1.03), ylim=(1.4, 2.6), ylabel=f"true reward at a KL of {at:g}")
    left.set_xlabel("agreement of the judge with the true order")
    draw_paths(right, paths, at)
    return figure


def draw_paths(ax, paths: dict, at: float) -> None:
    """Each seed's curve, pale, and the mean of each column; the frontier; `at` is dotted."""
    best = world.REVIEWS.frontier(np.geomspace(20, 0.3, 60))
    ax.set_xscale("function", functions=ROOT)
    ax.plot([g["kl"] for g in best], [g["mean_reward"] for g in best], color=OPTIMUM, lw=1.5)
    ax.text(4.7, 4.5, "exact optimum", fontsize=9, color=OPTIMUM)
    for name, (x, y) in paths.items():
        color, marker, dash, *_ = LOOKS[name]
        for row in zip(x, y, strict=True):
            ax.plot(*row, color=color, lw=0.6, alpha=0.5)
        how = {"marker": marker, "ls": dash, "color": color, "ms": 6, "lw": 1.8}
        ax.plot(x.mean(0), y.mean(0), label=name, **how)
    places = np.mean(paths["exact"], axis=1).T
    for place, (told, shift, side) in zip(places, MARKS, strict=False):  # a path may be shorter
        style = {"ha": side, "fontsize": 9, "color": LOOKS["exact"][0]}
        ax.annotate(told, place, shift, textcoords="offset points", **style)
    ax.axvline(at, color=REFERENCE, ls=":", lw=1.2)
    ax.legend(loc="lower right", fontsize=9, title="judge")
    ticks = [0, 0.25, 1, 2, 4, 6, 9, 12]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set(xlim=(0, 13), ylim=(-0.3, 5.2), ylabel="true reward")
    ax.set_xlabel("KL to the shipped model, nats per reply (root axis)")
