"""The book's figures: one style, and the pictures that several chapters share."""

import os
import warnings

import matplotlib.pyplot as plt
import numpy as np

from . import world

# Okabe-Ito colours, one meaning each; never colour alone, so each line has its own marker or dash too
POLICY, REFERENCE, OPTIMUM, CHOSEN, REJECTED, PPO = "#0072B2", "#7F7F7F", "#000000", "#009E73", "#D55E00", "#CC79A7"

STYLE = {
    "figure.figsize": (7, 4), "figure.dpi": 110, "font.size": 11, "axes.grid": True, "grid.linewidth": 0.5,
    "grid.alpha": 0.5, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
    "lines.linewidth": 1.8, "figure.constrained_layout.use": True, "axes.titlesize": 11,
}  # fmt: skip


def setup_notebook() -> None:
    """What every chapter's first cell calls: the book's figure style, and quiet libraries."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    plt.rcParams.update(STYLE)
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", message=".*IProgress not found.*")


def smooth(values, width: int = 8) -> np.ndarray:
    """Mean of each value and those before it, at most `width` of them; shape kept."""
    sums = np.cumsum(np.insert(np.asarray(values, float), 0, 0.0))
    ends = np.arange(1, len(sums))
    starts = np.maximum(ends - width, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


def draw_frontier(ax, label: str = "exact optimum") -> None:
    """The exact reward-KL frontier of the grammar, which no policy at that KL to the grammar can be above."""
    rows = [{"kl": 0.0, "mean_reward": world.REVIEWS.policy(world.prompts()[0]).mean_reward}]
    rows += sorted(world.REVIEWS.frontier(np.geomspace(0.4, 20, 30)), key=lambda row: row["kl"])
    ax.plot([r["kl"] for r in rows], [r["mean_reward"] for r in rows], color=OPTIMUM, lw=1.5)
    end = rows[-1]
    ax.annotate(label, (end["kl"], end["mean_reward"]), (-4, 6), textcoords="offset points", ha="right")
    ax.set_xlabel("KL to the reference, nats per reply")
    ax.set_ylabel("mean true reward")


def training_and_frontier(history: list[dict], before: tuple[float, float], after: dict):
    """Chapter 00's picture: the loss of a run, and where its policy ends under the exact frontier.

    history: metrics of `training.train`; before: (mean true reward, standard error) of the reference;
    after: an `evaluation.Evaluation` as a dict. Returns the figure.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
    steps = [row["step"] for row in history]
    left.plot(steps, [row["loss"] for row in history], color=POLICY, alpha=0.3, lw=0.8)
    left.plot(steps, smooth([row["loss"] for row in history], 16), color=POLICY)
    left.axhline(np.log(2), color=REFERENCE, ls="--", lw=1.2)
    left.annotate("ln 2: policy = reference", (steps[-1], np.log(2)), (0, 4), textcoords="offset points", ha="right", color="0.35")
    left.set(xlabel="step", ylabel="DPO loss, nats per pair", ylim=(0, None))
    draw_frontier(right)
    right.errorbar(0, before[0], yerr=1.96 * before[1], color=REFERENCE, marker="s", capsize=3)
    right.annotate("reference", (0, before[0]), (8, -4), textcoords="offset points", color="0.35")
    right.errorbar(after["kl"], after["true_reward"], xerr=1.96 * after["kl_se"], yerr=1.96 * after["true_reward_se"],
                   color=POLICY, marker="o", capsize=3)  # fmt: skip
    right.annotate("after DPO", (after["kl"], after["true_reward"]), (8, -12), textcoords="offset points", color=POLICY)
    right.plot([after["kl"]] * 2, [after["true_reward"], after["optimum"]], color=OPTIMUM, ls=":", lw=1.2)
    return figure


def dashboard(history: list[dict], ceiling: float | None = None, title: str = ""):
    """Six curves of a DPO run, from the metrics of `training.train`; returns the figure.

    Thin lines are single batches, thick ones running means over 16 steps. `ceiling` marks the accuracy that label noise allows.
    """
    figure, axes = plt.subplots(2, 3, figsize=(10, 5.2), sharex=True)
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
            ax.plot(steps, smooth(values, 16), color=color, ls=dash, label=key.split("_")[0])
        ax.set_title(name)
        if len(lines) == 2:
            ax.legend(fontsize=9, loc="best")
    axes[0, 0].axhline(np.log(2), color=REFERENCE, ls=":")
    axes[0, 1].axhline(0.5, color=REFERENCE, ls=":")
    if ceiling:
        axes[0, 1].axhline(ceiling, color=OPTIMUM, ls=":")
        axes[0, 1].annotate("ceiling", (steps[-1], ceiling), (0, 3), textcoords="offset points", ha="right", fontsize=9)
    for ax in axes[1]:
        ax.set_xlabel("step")
    figure.suptitle(title)
    return figure


def annotated_loss(chosen: float, rejected: float, ref_chosen: float, ref_rejected: float, beta: float):
    """The DPO loss (arXiv 2305.18290, eq. 7) with every term named, coloured, and given its number; returns the figure."""
    figure, ax = plt.subplots(figsize=(10, 3.4))
    ax.axis("off")
    margin = beta * (chosen - ref_chosen - rejected + ref_rejected)
    grey = "0.25"
    pieces = [  # x, y, text, colour
        (0.0, 0.5, r"$\mathcal{L} \;=\; -\log\,\sigma\,($", grey),
        (0.245, 0.5, r"$\beta$", OPTIMUM),
        (0.285, 0.5, r"$[\;\log$", grey),
        (0.375, 0.63, r"$\pi_\theta(y_w|x)$", POLICY),
        (0.375, 0.37, r"$\pi_{\mathrm{ref}}(y_w|x)$", REFERENCE),
        (0.545, 0.5, r"$-\;\log$", grey),
        (0.645, 0.63, r"$\pi_\theta(y_l|x)$", POLICY),
        (0.645, 0.37, r"$\pi_{\mathrm{ref}}(y_l|x)$", REFERENCE),
        (0.815, 0.5, r"$]\,)$", grey),
    ]
    for x, y, text, color in pieces:
        ax.text(x, y, text, color=color, fontsize=20, va="center")
    for x in (0.37, 0.64):
        ax.plot([x, x + 0.165], [0.5, 0.5], color=grey, lw=1.2)
    notes = [  # where it points, where it stands, words, colour
        (0.445, 0.74, 0.445, 0.99, f"policy, chosen\n$\\log\\pi_\\theta = {chosen:.2f}$", POLICY),
        (0.715, 0.74, 0.715, 0.99, f"policy, rejected\n$\\log\\pi_\\theta = {rejected:.2f}$", POLICY),
        (0.445, 0.26, 0.445, 0.01, f"reference, chosen\n$\\log\\pi_{{\\mathrm{{ref}}}} = {ref_chosen:.2f}$", REFERENCE),
        (0.715, 0.26, 0.715, 0.01, f"reference, rejected\n$\\log\\pi_{{\\mathrm{{ref}}}} = {ref_rejected:.2f}$", REFERENCE),
        (0.255, 0.42, 0.255, 0.01, f"price of a nat\n$\\beta = {beta}$", OPTIMUM),
        (0.455, 0.5, 0.90, 0.78, f"winner: log-ratio ${chosen - ref_chosen:+.2f}$", CHOSEN),
        (0.725, 0.5, 0.90, 0.68, f"loser: log-ratio ${rejected - ref_rejected:+.2f}$", REJECTED),
    ]
    for x, y, tx, ty, words, color in notes:
        arrow = {"arrowstyle": "-", "color": color, "lw": 1} if tx < 0.9 else None
        ax.annotate(words, (x, y), (tx, ty), color=color, ha="left" if tx == 0.9 else "center", va="center", arrowprops=arrow)
    for x, color in ((0.37, CHOSEN), (0.64, REJECTED)):
        ax.add_patch(
            plt.Rectangle((x - 0.008, 0.27), 0.178, 0.46, fill=False, ec=color, lw=1.5, ls="-" if color == CHOSEN else "--")
        )
    ax.text(0.90, 0.48, f"margin ${margin:+.2f}$\nloss {np.logaddexp(0, -margin):.3f} nats", va="center", color=grey)
    ax.set(xlim=(0, 1.12), ylim=(-0.12, 1.1))
    return figure
