"""Chapter 15: ways to spend labels, under the frontier and at equal KL; and which pairs teach."""

import matplotlib.pyplot as plt
import numpy as np

from ..evaluation import AtEqualKL, at_equal_kl, mean_and_half_width
from ..plots import CHOSEN, POLICY, PPO, REFERENCE, REJECTED, draw_frontier

LOOKS = {  # arm: colour, marker, dash; each its own, since some stand in both panels
    "another author": (REJECTED, "s", "--"),
    "another author, SFT first": ("#B87800", "x", ":"),
    "another author, then own": (PPO, "v", "-."),
    "the reference": (REFERENCE, "D", "-"),
    "the reference, same rate": ("#404040", "h", "--"),
    "iterated": (POLICY, "o", "-"),
    "online": ("#56B4E9", "^", "--"),
    "iterated, moving reference": (CHOSEN, "P", ":"),
}
PLACES = {  # where a name stands, from its curve's end, with a line from far off; else right
    "SFT first": (8, -14),
    "then own samples": (9, -12),
    "the reference": (18, 5),
    "the reference, once": (78, 7),
    "the reference, same rate": (9, -12),
    "online": (34, 22),
    "moving reference": (20, -46),
}


def curve(record, arm: str, key: str = "true_reward") -> np.ndarray:
    """A figure of an arm's runs, (seeds, betas), the largest beta first; seeds with all betas."""
    return curve_of(record, key, arm=arm)


def curve_of(record, key: str, **where) -> np.ndarray:
    """The same of the runs that hold `where`, which tells all but beta and the seed."""
    told = [p for p in record.select(**where) if {"beta", "seed"} <= p["point"].keys()]
    betas = sorted({p["point"]["beta"] for p in told}, reverse=True)
    found = [record.values(key, beta=beta, **where) for beta in betas]
    whole = min(map(len, found))
    return np.array([values[:whole] for values in found]).T


def gap(record, arm: str, other: str, kl: float, key: str = "true_reward") -> AtEqualKL:
    """What an arm has of a figure less what the other has where the KL is `kl`, seed by seed."""
    both = [[curve(record, a, name) for name in ("kl", key)] for a in (arm, other)]
    seeds = min(len(kl) for kl, _ in both)
    ours, theirs = (at_equal_kl(x[:seeds], y[:seeds], kl) for x, y in both)
    return ours - theirs


def told(values) -> tuple[float, float] | None:
    """Mean and half-width over the seeds; None for fewer than two, or where one is nan."""
    values = np.asarray(values, float)
    if len(values) < 2 or not np.isfinite(values).all():
        return None
    return mean_and_half_width(values)


def under_the_frontier(record, panels: dict[str, dict[str, str]]):
    """A panel for each group of arms: mean true reward against mean KL, one point a beta.

    panels: title -> {arm: its name in the picture}; pale dots are seeds, bars are 95 % over them.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(10, 4.4), sharey=True)
    for ax, (title, arms) in zip(axes, panels.items(), strict=True):
        draw_frontier(ax)
        for arm, name in arms.items():
            color, marker, dash = LOOKS[arm]
            kl, reward = curve(record, arm, "kl"), curve(record, arm)
            half = [mean_and_half_width(column)[1] for column in reward.T]
            x, y = kl.mean(0), reward.mean(0)
            drawn = {"color": color, "marker": marker, "ls": dash, "ms": 5, "lw": 1.3}
            ax.errorbar(x, y, yerr=half, elinewidth=0.9, capsize=2, **drawn)
            ax.plot(kl, reward, marker, color=color, ms=2.5, alpha=0.4)
            place = PLACES.get(name, (9, -7))
            at = {"xytext": place, "textcoords": "offset points", "va": "center"}
            if max(map(abs, place)) > 30:
                at["arrowprops"] = {"arrowstyle": "-", "color": color, "lw": 0.6, "shrinkB": 4}
            ax.annotate(name, (x[-1], y[-1]), color=color, fontsize=9, **at)
        ax.set(title=title, xlim=(0, 6), ylim=(-0.4, 5.3))
        ax.set_xlabel("KL to the first model, nats per reply")
    axes[1].set_ylabel("")
    return figure


def best_by_others(rewards: np.ndarray) -> np.ndarray:
    """Each seed's figure at the setting that is best on the mean of the *other* seeds, (S,).

    rewards (S, P): S seeds, two or more, P settings. So no seed chooses what it is judged by.
    """
    rewards = np.asarray(rewards, float)
    if len(rewards) < 2:
        raise ValueError("to choose on the other seeds takes two seeds or more")
    means = (rewards.sum(0) - rewards) / (len(rewards) - 1)
    return rewards[np.arange(len(rewards)), means.argmax(1)]


def quality_and_gap(earned: dict[str, dict[float, np.ndarray]], reference: float):
    """A line for each way to train: true reward earned, against that of its chosen texts.

    earned: name of the line -> {true reward of the chosen: (S,) of the seeds}; bars are 95 %.
    """
    figure, ax = plt.subplots(figsize=(7.6, 4.4))
    looks = ((REJECTED, "s", "--"), (CHOSEN, "^", "-."), (POLICY, "o", "-"), (PPO, "D", ":"))
    xs = [x for line in earned.values() for x in line]
    ends, near = [min(xs), max(xs)], {"textcoords": "offset points", "fontsize": 9, "va": "center"}
    ax.plot(ends, ends, color="black", lw=0.8)
    ax.annotate("as good as\nthe chosen", (-0.6, -0.6), xytext=(10, -4), **near)
    ax.axhline(reference, color=REFERENCE, lw=1, ls=(0, (1, 3)))
    ax.annotate("the reference", (ends[1], reference), xytext=(9, 7), color=REFERENCE, **near)
    for (name, line), (color, marker, dash) in zip(earned.items(), looks, strict=True):
        mean, half = np.array([mean_and_half_width(values) for values in line.values()]).T
        drawn = {"color": color, "marker": marker, "ls": dash, "ms": 5, "lw": 1.4, "capsize": 2}
        ax.errorbar(list(line), mean, yerr=half, elinewidth=0.9, **drawn)
        ax.annotate(name, (ends[1], mean[-1]), xytext=(9, 0), color=color, **near)
    ax.set(xlabel="true reward of the chosen texts", xlim=(ends[0] - 0.2, ends[1] + 1.3))
    ax.set_ylabel("true reward of the policy")
    return figure


def by_sync(earned: dict[str, dict[int, np.ndarray]], best: float):
    """True reward at one KL against how many steps the sampler stays behind; a line for a judge.

    earned: judge -> {sync, in steps: (S,) of the seeds}; bars are 95 %; what some seed does not
    reach is left out. A judge with one sync is a level line. best: the exact optimum's.
    """
    figure, ax = plt.subplots(figsize=(7.6, 4.2))
    looks = ((REFERENCE, "", ":"), (POLICY, "o", "-"), (REJECTED, "s", "--"), (CHOSEN, "^", "-."))
    near = {"textcoords": "offset points", "fontsize": 9, "va": "center"}
    ax.axhline(best, color="black", lw=1)
    ax.annotate("exact optimum", (1, best), xytext=(0, -9), **near)
    apart = (8, -9, 0, 9)  # so that names don't lie on each other
    for (judge, line), (color, marker, dash), up in zip(earned.items(), looks, apart, strict=False):
        reached = {s: told(v) for s, v in line.items() if told(v) is not None}
        if not reached:
            continue
        mean, half = np.array(list(reached.values())).T
        drawn = {"color": color, "marker": marker, "ls": dash, "ms": 5, "lw": 1.4, "capsize": 2}
        if len(line) == 1:
            ax.axhspan(mean[0] - half[0], mean[0] + half[0], color=color, alpha=0.15, lw=0)
            ax.axhline(mean[0], color=color, ls=dash)
            ax.annotate(judge, (2, mean[0]), xytext=(0, up), color=color, **near)
        else:
            x = np.array(list(reached)) * 1.04 ** (len(ax.lines) % 7 - 3)  # side by side
            ax.errorbar(x, mean, yerr=half, elinewidth=0.9, **drawn)
            ax.annotate(judge, (max(reached), mean[-1]), xytext=(14, up), color=color, **near)
    ax.set_xscale("log", base=2)
    ax.set(xlabel="steps between two times that the sampler follows", xlim=(0.8, 420))
    ax.set_xticks([1, 4, 16, 64, 128], ["1", "4", "16", "64", "never"])
    ax.set_ylabel("true reward at equal KL")
    return figure
