"""Chapter 14: lengths under the optimum's own curve, what losses aim at, KL step by step."""

from functools import cache

import matplotlib.pyplot as plt
import numpy as np

from ... import world
from ..evaluation import mean_and_half_width
from ..plots import CHOSEN, OPTIMUM, POLICY, PPO, REFERENCE, REJECTED

ORANGE = "#E69F00"
NAMES = {
    "dpo": "DPO",
    "length_normalized_dpo": "LN-DPO",
    "r_dpo": "R-DPO",
    "sampo": "SamPO",
    "ld_dpo": "LD-DPO",
    "simpo": "SimPO",
    "orpo": "ORPO",
    "cpo": "CPO",
}
LONG_NAMES = NAMES | {"cpo, no NLL": "CPO, no NLL"}  # of the long runs, one of which is a control
LOOKS = {  # colour, marker, dash: of a method, or of a labeller's runs
    "dpo": (POLICY, "o", "-"),
    "length_normalized_dpo": (CHOSEN, "s", "--"),
    "r_dpo": (REJECTED, "^", "-."),
    "sampo": ("#56B4E9", "v", "-"),
    "ld_dpo": ("#6B4C9A", "P", ":"),
    "simpo": (PPO, "D", ":"),
    "orpo": (ORANGE, "X", "--"),
    "cpo": ("#8C510A", "p", "-"),
    "cpo, no NLL": ("#8C510A", "o", ":"),
}


@cache
def _optima() -> tuple[list[float], list[float]]:
    """KL and mean tokens of the exact optimum at 90 betas, from near to far."""
    betas = np.geomspace(100, 0.1, 90)
    found = [world.REVIEWS.policy(world.prompts()[0], beta) for beta in betas]
    return [p.kl for p in found], [p.mean_length for p in found]


def optimum_length(kl):
    """Mean tokens of the exact optimum of the true reward that is `kl` nats from the grammar."""
    return np.interp(kl, *_optima())


def biases(kls, lengths) -> np.ndarray:
    """Mean length of each run less the optimum's at the run's own KL, tokens."""
    return np.asarray(lengths) - optimum_length(kls)


def whole_seeds(record) -> int:
    """How many seeds have a run of every method on the labels of every labeller."""
    points = [
        p["point"] for p in record.points if p["point"].keys() == {"labels", "method", "seed"}
    ]
    number = [sum(p["seed"] == seed and p["labels"] != "coin" for p in points) for seed in range(9)]
    return sum(n == 3 * len(NAMES) for n in number)


def along(record, key: str, seeds: int, **where) -> np.ndarray:
    """A figure at every look of the first seeds' runs that hold `where`, (seeds, looks)."""
    runs = record.values("looks", **where)[:seeds]
    return np.array([[look[key] for look in looks] for looks in runs])


def two_optima(kls, honest: list[float], liking: list[float], reference: float):
    """Figure: the exact optimum's length over KL, for the true reward and for one plus length."""
    figure, ax = plt.subplots()
    ax.plot(kls, honest, color=OPTIMUM)
    ax.plot(kls, liking, color=REJECTED, ls="--")
    middle, told = len(kls) // 2, {"textcoords": "offset points"}
    ax.annotate("true reward", (kls[middle], honest[middle]), (6, -14), **told)
    at = (kls[middle], liking[middle])
    ax.annotate("true reward + 0.15 a word", at, (-4, 8), ha="right", color=REJECTED, **told)
    ax.axhline(reference, color=REFERENCE, ls=":", lw=1.2)
    ax.annotate("the reference", (kls[-1], reference), (0, 4), ha="right", color=REFERENCE, **told)
    ax.set(xlabel="KL to the reference, nats per reply", ylabel="tokens per reply, end included")
    return figure


def aims(kls, panels: dict[str, dict[str, list[float]]]):
    """Figure: a panel for each labeller; the length that each loss aims at, over KL."""
    figure, axes = plt.subplots(1, len(panels), figsize=(10, 4), sharey=True)
    for ax, (labeller, lines) in zip(axes, panels.items(), strict=True):
        for name, values in lines.items():
            color, marker, dash = (
                (OPTIMUM, "", "-") if name == "optimum" else LOOKS[name.split(",")[0]]
            )
            label = NAMES.get(name, name.replace("r_dpo", "R-DPO"))
            fill = "none" if name.endswith("0.05") else color
            ax.plot(kls, values, color=color, marker=marker, mfc=fill, ls=dash, ms=5, label=label)
        ax.set(title=labeller, xlabel="KL to the reference, nats per reply")
    axes[0].set_ylabel("tokens per reply, end included")
    axes[0].legend(fontsize=9, loc="upper left")
    return figure


def paths(panels: dict[str, dict[str, tuple]], to: float = 3.0):
    """Figure: a panel for each labeller; a method's mean length over its mean KL, look by look."""
    figure, axes = plt.subplots(1, len(panels), figsize=(10, 4), sharey=True)
    kls = np.linspace(0, to, 25)
    for ax, (labeller, methods) in zip(axes, panels.items(), strict=True):
        ax.plot(kls, optimum_length(kls), color=OPTIMUM, lw=2.2, label="optimum")
        for method, (kl, length) in methods.items():
            color, marker, dash = LOOKS[method]
            looks = {"color": color, "marker": marker, "ls": dash, "ms": 5, "lw": 1.3}
            ax.plot(kl.mean(0), length.mean(0), **looks, label=NAMES[method])
        ax.set(title=labeller, xlim=(0, to), xlabel="KL, nats per reply")
    axes[0].set_ylabel("tokens per reply, end included")
    handles, names = axes[0].get_legend_handles_labels()
    place = {"loc": "outside lower center", "ncols": 9, "columnspacing": 1.2}
    figure.legend(handles, names, fontsize=9, **place)
    return figure


def bias_of_methods(panels: dict[str, dict[str, np.ndarray]], aims: dict[tuple, float]):
    """Figure: a panel for each labeller; a row for each method: its bias, mean and interval.

    aims: (labeller, method) -> the bias of what the loss aims at, an open diamond.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(10, 4), sharey=True, sharex=True)
    for ax, (labeller, methods) in zip(axes, panels.items(), strict=True):
        ax.axvline(0, color=OPTIMUM, lw=1)
        for row, (method, values) in enumerate(methods.items()):
            color, marker, _ = LOOKS[method]
            there = np.asarray(values)[np.isfinite(values)]
            if (labeller, method) in aims:
                looks = {"ms": 6, "mfc": "none", "mew": 1.4, "color": OPTIMUM, "zorder": 3}
                ax.plot(aims[labeller, method], row - 0.3, "D", **looks)
            ax.plot(there, [row + 0.3] * len(there), ".", ms=4, color=REFERENCE)
            if len(there) == len(values):
                mean, half = mean_and_half_width(there)
                ax.errorbar(mean, row, xerr=half, fmt=marker, color=color, ms=6, capsize=3)
        ax.set(title=labeller, xlabel="tokens more than the optimum")
    axes[0].set_yticks(range(len(NAMES)), list(NAMES.values()))
    axes[0].invert_yaxis()
    return figure


def kl_by_step(runs: dict[str, tuple[list[int], np.ndarray]]):
    """Figure: KL step by step, mean and band from the lowest to the highest seed; log axes."""
    figure, ax = plt.subplots()
    for method, (steps, kl) in runs.items():
        color, marker, dash = LOOKS[method]
        ax.plot(steps, kl.mean(0), color=color, marker=marker, ls=dash)
        ax.fill_between(steps, kl.min(0), kl.max(0), color=color, alpha=0.15, lw=0)
        at = (steps[-1], kl.mean(0)[-1])
        ax.annotate(LONG_NAMES[method], at, (6, -4), textcoords="offset points", color=color)
    ax.set(xscale="log", yscale="log", xlabel="step", ylabel="KL to the reference, nats per reply")
    ax.set_xticks(steps, [str(step) for step in steps])
    ax.set_yticks([0.3, 1, 3, 10], ["0.3", "1", "3", "10"])
    ax.minorticks_off()
    ax.set_xlim(right=steps[-1] * 2)
    return figure
