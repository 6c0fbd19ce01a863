"""Chapter 18: what a tournament's record holds, whole problems only, and its pictures."""

import matplotlib.pyplot as plt
import numpy as np

from ..evaluation import mean_and_half_width
from ..plots import OPTIMUM, POLICY, PPO, REFERENCE, REJECTED, draw_frontier

TRIALS, SEEDS, NEW = 6, 5, 15
NAMES = {
    "dpo": "DPO",
    "cdpo": "cDPO",
    "robust_dpo": "robust DPO",
    "ipo": "IPO",
    "hinge": "hinge",
    "exo": "EXO",
    "nca": "NCA",
    "apo_zero": "APO-zero",
    "apo_down": "APO-down",
    "sppo": "SPPO",
    "bco_pair": "BCO, pairs",
    "dpop": "DPOP",
    "r_dpo": "R-DPO",
    "length_normalized_dpo": "LN-DPO",
    "f_dpo": "f-DPO",
    "chi_po": "χPO",
    "discopop": "DiscoPOP",
    "aot": "AOT",
    "simpo": "SimPO",
    "orpo": "ORPO",
    "cpo": "CPO",
    "kto": "KTO",
    "bco": "BCO",
    "sdpo": "sDPO",
}
POINTWISE = {"nca", "apo_zero", "apo_down", "sppo", "bco_pair", "kto", "bco"}
FREE = {"simpo", "orpo", "cpo"}
FAMILIES = {  # colour and marker
    "compares two sides": (POLICY, "o"),
    "each side alone": (REJECTED, "s"),
    "no reference": (PPO, "D"),
}


def family(method: str) -> str:
    """A difference of two scores; each response against a zero of its own; or no reference."""
    if method in FREE:
        return "no reference"
    return "each side alone" if method in POINTWISE else "compares two sides"


# ---------------------------------------------------------------- what a record holds
def whole(record) -> list[str]:
    """The problems of which all trials and all runs of all methods are there, in its order."""
    points = [p["point"] for p in record.points if "problem" in p["point"]]
    wanted = len(NAMES) * (TRIALS + SEEDS)
    problems = dict.fromkeys(point["problem"] for point in points)
    return [name for name in problems if sum(p["problem"] == name for p in points) == wanted]


def runs(record, problem: str, key: str) -> dict[str, np.ndarray]:
    """A figure of each method's runs of the first round, (5,), in the order of the seeds."""
    found = {}
    for method in NAMES:
        seeds = record.select(problem=problem, method=method, trial=None)
        seeds = sorted(seeds, key=lambda p: p["point"]["seed"])
        found[method] = np.array([p["result"][key] for p in seeds])
    return found


def trials(record, problem: str, key: str = "objective") -> dict[str, np.ndarray]:
    """A figure of each method's six trials, (6,)."""
    at = lambda method, i: record.at(problem=problem, method=method, trial=i)[key]
    return {method: np.array([at(method, i) for i in range(TRIALS)]) for method in NAMES}


def on_new_seeds(record, key: str = "objective") -> dict[str, np.ndarray]:
    """A figure of each finalist's runs on the new seeds, (15,), DPO first; {} until all are there.

    ValueError if one rank holds two methods.
    """
    found = {}
    for rank in dict.fromkeys(p["point"]["rank"] for p in record.points if "rank" in p["point"]):
        seeds = sorted(record.select(rank=rank), key=lambda p: p["point"]["new_seed"])
        names = {p["result"]["method"] for p in seeds}
        if len(names) > 1:
            raise ValueError(f"rank {rank} holds {', '.join(sorted(names))}")
        found[names.pop()] = np.array([p["result"][key] for p in seeds])
    return found if len(found) == 5 and {len(v) for v in found.values()} == {NEW} else {}


def less_dpo(figures: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each method's figures less DPO's, seed by seed."""
    return {m: values - figures["dpo"] for m, values in figures.items() if m != "dpo"}


def by_worth(figures: dict[str, np.ndarray]) -> list[str]:
    """Methods, the largest mean first."""
    return sorted(figures, key=lambda m: figures[m].mean(), reverse=True)


# ---------------------------------------------------------------- tests of the whole table
def share_explained(means: dict[str, float], groups: dict[str, str]) -> float:
    """The part of the variance of the methods' means that lies between their groups, 0 to 1."""
    values = np.array(list(means.values()))
    label = np.array([groups[m] for m in means])
    fitted = np.array([values[label == own].mean() for own in label])
    return float(fitted.var() / values.var())


def share_by_luck(means: dict[str, float], groups: dict[str, str], n: int = 2000) -> np.ndarray:
    """What groups of the same sizes, dealt at random, explain: n shares."""
    rng, names, own = np.random.default_rng(0), list(means), [groups[m] for m in means]
    dealt = (dict(zip(names, rng.permutation(own), strict=True)) for _ in range(n))
    return np.array([share_explained(means, groups) for groups in dealt])


def spread_by_luck(table: np.ndarray, n: int = 2000) -> np.ndarray:
    """Spread of the methods' means if they are equal: names dealt anew within each seed.

    table (M, S): M methods, S seeds. Returns n standard deviations.
    """
    rng, (m, s) = np.random.default_rng(0), table.shape
    order = rng.random((n, m, s)).argsort(1)
    return np.take_along_axis(table[None], order, 1).mean(2).std(1, ddof=1)


def in_all_seeds(figures: dict[str, np.ndarray]) -> tuple[list[str], list[str]]:
    """The methods that are above DPO with every seed, and those that are below it."""
    gaps = less_dpo(figures)
    return [m for m in gaps if (gaps[m] > 0).all()], [m for m in gaps if (gaps[m] < 0).all()]


# ---------------------------------------------------------------- pictures
def curse(first: np.ndarray, again: np.ndarray):
    """Figure: the best rival's lead in the seeds that chose it, and in new; two histograms."""
    figure, ax = plt.subplots()
    bins = np.linspace(min(again.min(), 0), first.max(), 60)
    looks = {"bins": bins, "density": True, "histtype": "step", "lw": 1.8}
    ax.hist(first, **looks, color=REJECTED, ls="--")
    ax.hist(again, **looks, color=POLICY)
    for values, color, words in (
        (first, REJECTED, "on the seeds\nthat chose it"),
        (again, POLICY, "on new seeds"),
    ):
        height = np.histogram(values, bins, density=True)[0].max()
        place = {"textcoords": "offset points", "ha": "left", "color": color}
        ax.annotate(words, (np.quantile(values, 0.75), 0.85 * height), (10, 0), **place)
    ax.axvline(0, color=OPTIMUM, lw=1)
    ax.set(xlabel="lead of the best of 23 rivals over an equal method", ylabel="density")
    return figure


def tuning(tried: dict[str, np.ndarray], later: dict[str, np.ndarray], low: float):
    """Figure: a row for each method; its six trials, and the mean of its five runs at the best.

    low: the axis begins there; what lies below is counted on the right.
    """
    order, high = by_worth(later), max(v.max() for v in tried.values()) + 0.35
    figure, ax = plt.subplots(figsize=(7, 6.4))
    for row, method in enumerate(order):
        shown = tried[method][tried[method] >= low]
        ax.plot(shown, [row] * len(shown), "o", ms=4.5, mfc="none", color=REFERENCE)
        ax.plot(tried[method].max(), row, "o", ms=6, color=POLICY)
        if later[method].mean() >= low:
            ax.plot(later[method].mean(), row, "D", ms=5, color=REJECTED)
        if len(shown) < len(tried[method]):
            least, at = f"{low:g}".replace("-", "−"), (high, row)
            words = f"{len(tried[method]) - len(shown)} below {least}"
            ax.annotate(words, at, ha="right", va="center", fontsize=8, color=REFERENCE)
    ax.set_yticks(range(len(order)), [NAMES[m] for m in order])
    ax.set_xlim(low, high)
    ax.invert_yaxis()
    ax.set_xlabel("true reward − 0.6 KL")
    for label, mark in {
        "a trial": {"marker": "o", "color": REFERENCE, "mfc": "none"},
        "the best trial": {"marker": "o", "color": POLICY},
        "five runs at it, test prompts": {"marker": "D", "color": REJECTED},
    }.items():
        ax.plot([], [], ls="", ms=5, label=label, **mark)
    figure.legend(loc="outside upper center", fontsize=9, ncols=3)
    return figure


def first_round(panels: dict[str, dict[str, np.ndarray]], optimum: float, start: float):
    """Figure: a panel for each problem, a row for each method: objective, mean and interval.

    Rows in the order of the first problem. Dotted: DPO's mean; black: the exact optimum for
    beta 0.6; grey: `start`, where all began. A mean left of the axis is told at its edge.
    """
    order, low = by_worth(next(iter(panels.values()))), start - 0.15
    width = 7 if len(panels) == 1 else 10
    figure, axes = plt.subplots(1, len(panels), figsize=(width, 6.4), sharey=True, squeeze=False)
    for ax, (problem, figures) in zip(axes[0], panels.items(), strict=True):
        ax.axvline(figures["dpo"].mean(), color=POLICY, ls=":", lw=1.4)
        ax.axvline(optimum, color=OPTIMUM, lw=1.5)
        ax.axvline(start, color=REFERENCE, lw=1.5)
        for row, method in enumerate(order):
            mean, half = mean_and_half_width(figures[method])
            color, marker = FAMILIES[family(method)]
            if mean < low:
                words = f"◂ −{abs(mean):.1f}"
                ax.annotate(words, (low, row), va="center", fontsize=8, color=color)
                continue
            ax.errorbar(mean, row, xerr=half, fmt=marker, color=color, ms=5, capsize=2, lw=1.2)
        ax.set(title=problem, xlabel="reward − 0.6 KL", xlim=(low, optimum + 0.15))
    axes[0, 0].set_yticks(range(len(order)), [NAMES[m] for m in order])
    axes[0, 0].set_ylim(len(order) - 0.4, -0.6)
    _name_families(figure)
    return figure


def under_the_frontier(rewards, kls, to: float, named=()):
    """Figure: each method's median true reward over its median KL, under the frontier; seeds faint.

    rewards, kls: method -> (S,). to: the largest KL shown; methods beyond it are told in a corner.
    named: methods with their names beside them; DPO has a ring.
    """
    figure, ax = plt.subplots(figsize=(7, 4.6))
    draw_frontier(ax, "")
    beyond = [NAMES[m] for m in kls if np.median(kls[m]) > to]
    for method in kls:
        color, marker = FAMILIES[family(method)]
        ax.plot(kls[method], rewards[method], marker, ms=2.5, alpha=0.4, color=color)
        x, y = np.median(kls[method]), np.median(rewards[method])
        ax.plot(x, y, marker, ms=6, color=color, mec="w", mew=0.6, zorder=3)
        if method in named and x <= to:
            at, side = {"dpo": ((-8, 7), "right"), "orpo": ((-6, -10), "right")}.get(
                method, ((7, -9), "left")
            )
            told = {"textcoords": "offset points", "ha": side, "fontsize": 9}
            ax.annotate(NAMES[method], (x, y), at, **told)
        if method == "dpo":
            ax.plot(x, y, "o", ms=11, mfc="none", color=OPTIMUM)
    best = max(values.max() for values in rewards.values())
    ax.set(xlim=(0, to), ylim=(-0.4, best + 1.3))
    ax.annotate("exact optimum", (1.6, 3.25), ha="right", fontsize=10)
    if beyond:
        at, words = (0.98, 0.03), "farther out: " + ", ".join(beyond)
        ax.annotate(words, at, xycoords="axes fraction", ha="right", fontsize=9)
    _name_families(figure)
    return figure


def finalists(chose: dict[str, np.ndarray], new: dict[str, np.ndarray]):
    """Figure: a row for each finalist; its lead over DPO on the seeds that chose it, and on new.

    Both by method: differences of each seed.
    """
    figure, ax = plt.subplots(figsize=(7, 3.2))
    for row, method in enumerate(new):
        ax.plot(new[method], [row + 0.22] * len(new[method]), ".", ms=4, color=REFERENCE)
        mean, half = mean_and_half_width(chose[method])
        ax.errorbar(mean, row - 0.18, xerr=half, fmt="s", color=REJECTED, ms=6, mfc="w", capsize=3)
        mean, half = mean_and_half_width(new[method])
        ax.errorbar(mean, row, xerr=half, fmt="o", color=POLICY, ms=7, capsize=3)
    ax.axvline(0, color=OPTIMUM, lw=1)
    ax.set_yticks(range(len(new)), [NAMES[m] for m in new])
    ax.set_ylim(len(new) - 0.5, -0.5)
    ax.set_xlabel("reward − 0.6 KL, less DPO's on the same seed")
    for label, mark, color in (("first round", "s", REJECTED), ("new seeds", "o", POLICY)):
        fill = "w" if label == "first round" else color
        ax.plot([], [], mark, color=color, mfc=fill, label=label)
    figure.legend(loc="outside upper center", fontsize=9, ncols=2)
    return figure


def _name_families(figure) -> None:
    """A legend of the families above a figure."""
    marks = [plt.Line2D([], [], ls="", marker=m, color=c, ms=6) for c, m in FAMILIES.values()]
    figure.legend(marks, list(FAMILIES), loc="outside upper center", fontsize=9, ncols=3)
