"""Chapter 06: a healthy run beside three that are not."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from ..plots import POLICY, PPO, REFERENCE, REJECTED

STYLES = {
    "healthy": ("-", POLICY),
    "swapped": ((0, (6, 2)), REFERENCE),
    "high": (":", REJECTED),
    "low": ("-.", PPO),
}


def draw_runs(runs: dict[str, list[dict]]) -> Figure:
    """Loss and margin of each run against its steps; `runs` maps names to metrics of `train`.

    The vertical range is that of the runs that stay in it; what a wild one does beyond is cut off.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6))
    for ax, key, span in zip(axes, ("loss", "margin"), ((0.3, 2.0), (-0.5, 4.5)), strict=True):
        for name, run in runs.items():
            dash, color = STYLES[name]
            steps, values = [row["step"] for row in run], [row[key] for row in run]
            label = name if ax is axes[0] else None
            ax.plot(steps, values, ls=dash, color=color, label=label)
        ax.set(xlabel="step", ylim=span)
    axes[0].set_ylabel("loss, nats per pair")
    axes[1].set_ylabel("margin (reward)")
    figure.legend(loc="outside upper center", ncols=len(runs), handlelength=3.5)
    return figure
