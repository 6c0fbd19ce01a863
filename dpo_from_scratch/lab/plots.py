"""The book's figures: one style, and the pictures that several chapters share."""

import os
import warnings
from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np

from .. import world
from .needs import provide

# Okabe-Ito colours, one meaning each; never colour alone, so each line has its own marker or dash
# too
POLICY, REFERENCE, OPTIMUM, CHOSEN, REJECTED, PPO = (
    "#0072B2",
    "#7F7F7F",
    "#000000",
    "#009E73",
    "#D55E00",
    "#CC79A7",
)

STYLE = {
    "figure.figsize": (7, 4),
    "figure.dpi": 110,
    "font.size": 11,
    "axes.grid": True,
    "grid.linewidth": 0.5,
    "grid.alpha": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "figure.constrained_layout.use": True,
    "axes.titlesize": 11,
}


def setup_notebook(*, needs: Iterable[str] = ()) -> None:
    """What every chapter's first cell calls: the book's figure style, and quiet libraries.

    `needs` names what the chapter uses besides the package; `lab.needs` has them. Those come last:
    where one is missing the error leaves all else set up.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    plt.rcParams.update(STYLE)
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", message=".*IProgress not found.*")
    provide(*needs)


def smooth(values, width: int = 8) -> np.ndarray:
    """Mean of each value and those at most `width` / 2 away on either side; shape kept.

    Centred, so that a curve's bends stay where they are; at its ends one side is shorter.
    """
    sums = np.cumsum(np.insert(np.asarray(values, float), 0, 0.0))
    places = np.arange(len(sums) - 1)
    starts = np.maximum(places - width // 2, 0)
    ends = np.minimum(places + width // 2 + 1, len(places))
    return (sums[ends] - sums[starts]) / (ends - starts)


def draw_frontier(ax, label: str = "exact optimum") -> None:
    """The exact reward-KL frontier of the grammar: no policy at that KL to it can be above."""
    rows = [{"kl": 0.0, "mean_reward": world.REVIEWS.policy(world.prompts()[0]).mean_reward}]
    rows += sorted(world.REVIEWS.frontier(np.geomspace(0.4, 20, 30)), key=lambda row: row["kl"])
    ax.plot([r["kl"] for r in rows], [r["mean_reward"] for r in rows], color=OPTIMUM, lw=1.5)
    end = rows[-1]
    ax.annotate(
        label, (end["kl"], end["mean_reward"]), (-4, 6), textcoords="offset points", ha="right"
    )
    ax.set_xlabel("KL to the reference, nats per reply")
    ax.set_ylabel("mean true reward")


def dashboard(
    history: list[dict],
    ceiling: float | None = None,
    title: str = "",
    optimum: dict[str, float] | None = None,
):
    """Six curves of a DPO run, from the metrics of `training.train`; returns the figure.

    Thin lines are single batches, thick ones running means over 17 steps. `ceiling` marks the
    accuracy that label noise allows; `optimum`, what the exact optimum has of some metrics, such as
    "chosen_reward", "rejected_reward", "margin" and "loss".
    """
    figure, axes = plt.subplots(2, 3, figsize=(10, 5.2))
    panels = {
        "loss, nats per pair": {"loss": POLICY},
        "accuracy": {"accuracy": POLICY},
        "margin (reward)": {"margin": POLICY},
        "implicit rewards": {"chosen_reward": CHOSEN, "rejected_reward": REJECTED},
        "log-probability, nats": {"chosen_logp": CHOSEN, "rejected_logp": REJECTED},
        "gradient norm": {"grad_norm": POLICY},
    }
    steps = [row["step"] for row in history]
    for ax, (name, lines) in zip(axes.flat, panels.items(), strict=True):
        for (key, color), dash in zip(lines.items(), ("-", "--"), strict=False):
            values = [row[key] for row in history]
            ax.plot(steps, values, color=color, alpha=0.25, lw=0.7)
            ax.plot(steps, smooth(values, 16), color=color, ls=dash)
        ax.set_title(name)
        if len(lines) == 2:
            name_the_sides(ax, history, lines)
        for key in lines.keys() & (optimum or {}).keys():
            color = lines[key] if len(lines) == 2 else OPTIMUM
            ax.axhline(optimum[key], color=color, ls=":", lw=1.5)
            note(ax, "optimum", (steps[0], optimum[key]), color)
    axes[0, 0].axhline(np.log(2), color=REFERENCE, ls=":")
    axes[0, 1].axhline(0.5, color=REFERENCE, ls=":")
    if ceiling:
        axes[0, 1].axhline(ceiling, color=OPTIMUM, ls=":")
        note(axes[0, 1], "ceiling", (steps[0], ceiling), OPTIMUM)
    for ax in axes[1]:
        ax.set_xlabel("step")
    figure.suptitle(title)
    return figure


def note(ax, words: str, place: tuple[float, float], color: str) -> None:
    """Small words just above a place, to its right."""
    ax.annotate(words, place, (0, 3), textcoords="offset points", fontsize=9, color=color)


def name_the_sides(ax, history: list[dict], lines: dict[str, str]) -> None:
    """ "chosen" and "rejected" behind the ends of their curves, the upper one above its end."""
    last, ends = history[-1]["step"], {}
    for key in lines:
        ends[key] = np.mean([row[key] for row in history[-16:]])
    top = max(ends, key=ends.get)
    for key, color in lines.items():
        ax.annotate(
            key.split("_")[0],
            (last, ends[key]),
            (4, 4 if key == top else -4),
            textcoords="offset points",
            va="bottom" if key == top else "top",
            color=color,
            fontsize=9,
        )
    ax.set_xlim(right=last * 1.35)
