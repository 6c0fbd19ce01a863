"""Chapter 13: two value functions, baselines of a run, paths under the frontier, uneven thumbs."""

import matplotlib.pyplot as plt
import numpy as np

from ..evaluation import mean_and_half_width
from ..plots import CHOSEN, OPTIMUM, POLICY, REFERENCE, REJECTED, draw_frontier

NAMES = {"dpo": "DPO", "kto": "KTO", "bco": "BCO"}
ARMS = {  # name -> loss, source, weighted; colour, marker, dash
    "KTO": (("kto", "thumbs", None), (CHOSEN, "s", "-")),
    "KTO, weighted": (("kto", "thumbs", True), (CHOSEN, "s", "--")),
    "KTO, rare repeated": (("kto", "thumbs, repeated", None), (CHOSEN, "s", ":")),
    "BCO": (("bco", "thumbs", None), (REJECTED, "^", "-")),
    "BCO, rare repeated": (("bco", "thumbs, repeated", None), (REJECTED, "^", ":")),
}
Path = tuple[np.ndarray, np.ndarray]  # KL and true reward, both (seeds, betas)


def whole_betas(record, loss: str, source: str) -> list[float]:
    """The betas of the balanced runs that all five seeds have, the smallest first."""
    same = {"loss": loss, "source": source, "share": 0.5}
    betas = sorted({p["point"]["beta"] for p in record.select(**same)})
    return [b for b in betas if len(record.select(beta=b, **same)) == 5]


def path(record, loss: str, source: str) -> Path:
    """KL and true reward of the balanced runs, both (S, B): the betas that every seed has."""
    same = {"loss": loss, "source": source, "share": 0.5}
    kl, reward = (
        np.array([record.values(key, beta=b, **same) for b in whole_betas(record, loss, source)]).T
        for key in ("kl", "true_reward")
    )
    return kl, reward


def uneven_runs(
    record, arm: str, share: float, learning_rate: float | None = None, steps: int | None = None
) -> dict[str, np.ndarray]:
    """Figures of an arm's runs at one share of thumbs up, (S,); "worth" is reward - 0.6 KL.

    At the rate of balanced thumbs and in 128 steps unless others are given. At a share of one half
    there is nothing to repair: the unrepaired loss. An empty array where the record has none yet.
    """
    (loss, source, weighted), _ = ARMS[arm.split(",")[0] if share == 0.5 else arm]
    where = {"loss": loss, "source": source, "weighted": weighted, "share": share, "beta": 0.6}
    where |= {"learning_rate": learning_rate, "steps": steps}
    out = {key: np.array(record.values(key, **where)) for key in ("true_reward", "kl")}
    return out | {"worth": out["true_reward"] - 0.6 * out["kl"]}


def z0_beside_kl(record) -> dict[str, list]:
    """Columns of a table of KTO's runs on thumbs: z_0 of the last 32 steps, and the final KL.

    Settings of fewer than three seeds are left out.
    """
    same = {"loss": "kto", "source": "thumbs", "weighted": None, "learning_rate": None}
    points = [p["point"] for p in record.select(**same)]
    balanced = sorted({(p["beta"], 0.5) for p in points if p["share"] == 0.5})
    cases = balanced + sorted({(0.6, p["share"]) for p in points if p["share"] != 0.5})
    cases = [c for c in cases if len(record.select(beta=c[0], share=c[1], **same)) > 2]
    figure = lambda key: [
        mean_and_half_width(record.values(key, beta=beta, share=share, **same))
        for beta, share in cases
    ]
    return {
        "β": [f"{beta:g}" for beta, _ in cases],
        "thumbs up": [f"{share:.0%}" for _, share in cases],
        "z₀": figure("kl_batch"),
        "KL at the end": figure("kl"),
    }


def values_and_slopes(m, values: dict[str, np.ndarray], slopes: dict[str, np.ndarray]):
    """Two panels over m: what a response is worth to each loss, and how hard it is pushed."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6))
    looks = {"BCO": (REJECTED, "--"), "KTO": (CHOSEN, "-"), "KTO, λ 2": (CHOSEN, ":")}
    for ax, curves in zip(axes, (values, slopes), strict=True):
        for name, curve in curves.items():
            color, dash = looks[name]
            ax.plot(m, curve, color=color, ls=dash)
        ax.axvline(0, color=REFERENCE, lw=1)
        ax.set_xlabel("m: beyond the baseline, in the thumb's direction")
    axes[0].set(title="value", ylim=(-4.3, 0.6))
    axes[0].text(-5.8, -2.95, "log σ(m):\nBCO, DPO", color=REJECTED)
    axes[0].text(-5.8, -0.75, "σ(m) − 1: KTO", color=CHOSEN)
    axes[0].text(-5.8, -1.75, "KTO, λ = 2", color=CHOSEN)
    axes[0].text(0.15, -3.2, "baseline\n(KTO: ρ = z₀)", color=REFERENCE)
    axes[1].set(title="slope: how hard it is pushed", ylim=(0, 1.08))
    axes[1].text(0.2, 0.8, "σ(−m): BCO, DPO", color=REJECTED)
    axes[1].text(0.2, 0.11, "KTO", color=CHOSEN)
    axes[1].text(1.0, 0.45, "KTO, λ = 2", color=CHOSEN)
    return figure


def baselines(z0, looked, kls, errors, delta, rewards):
    """Two panels over a run's steps: z_0 beside the KL that it stands for, delta beside rewards.

    looked, kls, errors: the steps whose KL was measured by samples, with standard errors.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4))
    steps = np.arange(1, len(z0) + 1)
    axes[0].plot(steps, z0, color=CHOSEN)
    axes[0].errorbar(looked, kls, 1.96 * np.array(errors), fmt="o--", color=POLICY, lw=1, capsize=3)
    axes[0].set(title="KTO", ylabel="nats", ylim=(-0.04, None))
    axes[0].text(looked[-2], 0.06, "z₀", color=CHOSEN, ha="center")
    axes[0].annotate(
        "KL to the reference,\nfrom samples",
        (looked[-3], kls[-3]),
        (-8, 14),
        textcoords="offset points",
        color=POLICY,
        ha="right",
    )
    axes[1].plot(steps, rewards, color=REFERENCE, ls="--", lw=1)
    axes[1].plot(steps, delta, color=REJECTED)
    axes[1].set(title="BCO", ylabel="reward")
    axes[1].text(steps[-1], delta[-1] + 0.03, "δ", color=REJECTED, va="bottom", ha="right")
    axes[1].text(1, min(rewards), "mean βρ of each batch", color=REFERENCE, va="bottom")
    for ax in axes:
        ax.set_xlabel("step")
    return figure


def under_the_frontier(paths: dict[tuple[str, str], Path]):
    """Two panels, KTO and BCO, each beside DPO on pairs: means and intervals of each beta."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True)
    for ax, loss, color, marker in zip(axes, ("kto", "bco"), (CHOSEN, REJECTED), "s^", strict=True):
        draw_frontier(ax, "")
        lines = [("dpo", "pairs", POLICY, "o", "-", "DPO, pairs")]
        lines.append((loss, "pairs, split", color, marker, "--", f"{NAMES[loss]}, pairs split"))
        lines.append((loss, "thumbs", color, marker, "-", f"{NAMES[loss]}, thumbs"))
        for name, source, c, m, dash, words in lines:
            (x, dx), (y, dy) = (
                np.transpose([mean_and_half_width(column) for column in of_seeds.T])
                for of_seeds in paths[name, source]
            )
            order = np.argsort(x)
            ax.plot(
                x[order],
                y[order],
                color=c,
                ls=dash,
                marker=m,
                ms=5,
                mfc="white" if dash == "--" else c,
                label=words,
            )
            ax.errorbar(x, y, dy, dx, fmt="none", ecolor=c, lw=0.9, alpha=0.7)
        ax.text(1.65, 3.3, "exact optimum", color=OPTIMUM, ha="right")
        ax.set(xlim=(0, 4.4), ylim=(0.6, 4.2), title=NAMES[loss])
        ax.legend(fontsize=9, loc="lower right", handlelength=3.5)
    axes[1].set_ylabel("")
    return figure


def uneven(found: dict[str, dict[float, dict[str, np.ndarray]]], floor: float):
    """Two panels over the share of thumbs up: true reward and KL of each arm, with intervals.

    floor: the reference's true reward, a dotted line. Shares stand at equal distances.
    """
    shares = sorted({share for by_share in found.values() for share in by_share})
    figure, axes = plt.subplots(2, 1, figsize=(8, 6), sharex=True)
    for number, (arm, by_share) in enumerate(found.items()):
        color, marker, dash = ARMS[arm][1]
        at = [shares.index(share) + 0.06 * (number - 1.5) for share in by_share]
        for ax, key in zip(axes, ("true_reward", "kl"), strict=True):
            told = [mean_and_half_width(runs[key]) for runs in by_share.values()]
            mean, half = np.transpose(told)
            low = np.minimum(half, 0.8 * mean) if key == "kl" else half  # a log axis has no zero
            look = {"color": color, "ls": dash, "marker": marker, "ms": 5, "capsize": 2}
            face = "white" if "," in arm else color
            ax.errorbar(at, mean, (low, half), mfc=face, elinewidth=1, label=arm, **look)
    axes[0].axhline(floor, color=REFERENCE, ls=":")
    axes[0].text(
        len(shares) - 0.9, floor - 0.15, "reference", color=REFERENCE, ha="right", va="top"
    )
    axes[0].set_ylabel("mean true reward")
    axes[0].legend(fontsize=9, loc="lower right")
    axes[1].set(yscale="log", ylabel="KL, nats per reply", xlabel="share of thumbs up")
    axes[1].set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
    axes[1].set_xticks(range(len(shares)), [f"{share:.0%}" for share in shares])
    return figure
