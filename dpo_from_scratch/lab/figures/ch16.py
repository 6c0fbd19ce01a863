"""Chapter 16: ways through the pairs, by seeds and betas, under the exact frontier."""

import matplotlib.pyplot as plt
import numpy as np

from ... import world
from ..plots import CHOSEN, OPTIMUM, POLICY, PPO, REFERENCE, REJECTED

LOOKS = {  # what an arm's name ends in -> colour, marker, dash
    "DPO": (POLICY, "o", "-"),
    "the same stairs": (REFERENCE, "D", (0, (1, 1))),
    "no order": (CHOSEN, "^", "--"),
    "easy first": (PPO, "s", "-."),
    "hard first": (REJECTED, "v", ":"),
}
Curves = tuple[np.ndarray, np.ndarray]  # KL and true reward of seeds by betas, (S, P)


def curves(record, **where) -> Curves:
    """KL and true reward, both (S, P), of the points that hold `where`, a beta and a seed.

    Columns by falling beta; rows are the seeds that have every beta.
    """
    keys = {*where, "beta", "seed"}
    points = [p for p in record.select(**where) if p["point"].keys() == keys]
    found = {(p["point"]["seed"], p["point"]["beta"]): p["result"] for p in points}
    betas = sorted({beta for _, beta in found}, reverse=True)
    seeds = dict.fromkeys(seed for seed, _ in found)
    whole = [s for s in seeds if all((s, beta) in found for beta in betas)]
    of = lambda key: np.array([[found[s, beta][key] for beta in betas] for s in whole])
    return of("kl"), of("true_reward")


def planes(panels: dict[str, dict[str, Curves]], right: tuple[float, ...] = (7.5, 7.5)):
    """Figure: panels of true reward against KL, a line through each arm's medians, seeds pale.

    `right`: where the KL of each panel ends.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(10, 4.4), sharey=True, squeeze=False)
    frontier = world.REVIEWS.frontier(np.geomspace(20, 0.3, 60))
    reaches = np.interp(4.55, [g["mean_reward"] for g in frontier], [g["kl"] for g in frontier])
    for ax, (title, arms), end in zip(axes[0], panels.items(), right, strict=False):
        ax.plot([g["kl"] for g in frontier], [g["mean_reward"] for g in frontier], color=OPTIMUM)
        for name, (kl, reward) in arms.items():
            color, marker, dash = LOOKS[name.split(", ")[-1]]
            ax.plot(kl.ravel(), reward.ravel(), marker, color=color, ms=3.5, alpha=0.4)
            middle = np.median(kl, axis=0), np.median(reward, axis=0)
            ax.plot(*middle, marker=marker, ls=dash, color=color, ms=6, lw=1.5, label=name)
        ax.text(reaches - 0.05 * end, 4.55, "exact optimum", color=OPTIMUM, fontsize=10, ha="right")
        ax.set(xlim=(0, end), ylim=(0, 4.9), xlabel="KL to the first model, nats per reply")
        ax.set_title(title)
    axes[0, 0].set_ylabel("mean true reward")
    lines, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower center", ncols=len(names), fontsize=9)
    return figure
