"""Figures of chapter 04: the loss term by term, the weight in its gradient, one step, beta."""

import matplotlib.pyplot as plt
import numpy as np

from ..plots import CHOSEN, OPTIMUM, POLICY, REFERENCE, REJECTED

INK, ADAM = "0.25", "#E69F00"


def loss_term_by_term(chosen, rejected, ref_chosen, ref_rejected, beta: float):
    """The DPO loss written out, with the number of one pair at each of its terms."""
    rho_w, rho_l = chosen - ref_chosen, rejected - ref_rejected
    margin = beta * (rho_w - rho_l)
    figure, ax = plt.subplots(figsize=(10, 3.4))
    ax.axis("off")
    ax.set(xlim=(0, 1.14), ylim=(-0.12, 1.1))
    formula = [
        (0.0, 0.5, r"$\mathcal{L} \;=\; -\log\,\sigma\,($", INK),
        (0.245, 0.5, r"$\beta$", OPTIMUM),
        (0.275, 0.5, r"$[$", INK),
        (0.56, 0.5, r"$-$", INK),
        (0.865, 0.5, r"$]\,)$", INK),
    ]
    for x, reply, colour, dash in ((0.37, "w", CHOSEN, "-"), (0.675, "l", REJECTED, "--")):
        formula += [(x - 0.065, 0.5, r"$\log$", INK)]
        formula += [(x, 0.63, rf"$\pi_\theta(y_{reply}|x)$", POLICY)]
        formula += [(x, 0.37, rf"$\pi_{{\mathrm{{ref}}}}(y_{reply}|x)$", REFERENCE)]
        ax.plot([x - 0.005, x + 0.16], [0.5, 0.5], color=INK, lw=1.2)
        box = {"fill": False, "ec": colour, "lw": 1.5, "ls": dash}
        ax.add_patch(plt.Rectangle((x - 0.074, 0.27), 0.241, 0.46, **box))
    for x, y, text, colour in formula:
        ax.text(x, y, text, color=colour, fontsize=20, va="center")
    for x, end, words, value, colour in (  # above its term or below it
        (0.445, 0.99, "policy, chosen", rf"\log\pi_\theta = {chosen:.2f}", POLICY),
        (0.745, 0.99, "policy, rejected", rf"\log\pi_\theta = {rejected:.2f}", POLICY),
        (0.445, 0.01, "reference, chosen", _ref(ref_chosen), REFERENCE),
        (0.745, 0.01, "reference, rejected", _ref(ref_rejected), REFERENCE),
        (0.255, 0.01, "price of a nat", rf"\beta = {beta}", OPTIMUM),
    ):
        edge = 0.74 if end > 0.5 else (0.42 if x < 0.3 else 0.26)
        line = {"arrowstyle": "-", "color": colour, "lw": 1}
        centred = {"ha": "center", "va": "center", "color": colour, "arrowprops": line}
        ax.annotate(f"{words}\n${value}$", (x, edge), (x, end), **centred)
    ax.text(0.93, 0.78, f"winner: log-ratio ${rho_w:+.2f}$", color=CHOSEN, va="center")
    ax.text(0.93, 0.68, f"loser: log-ratio ${rho_l:+.2f}$", color=REJECTED, va="center")
    told = f"margin ${margin:+.2f}$\nloss {np.logaddexp(0, -margin):.3f} nats"
    ax.text(0.93, 0.48, told, color=INK, va="center")
    return figure


def _ref(log_prob: float) -> str:
    return rf"\log\pi_{{\mathrm{{ref}}}} = {log_prob:.2f}"


def weight_against_margin(margins, weights):
    """The weight sigmoid(-m) of a pair in the gradient, and some pairs on it."""
    figure, ax = plt.subplots()
    m = np.linspace(-9, 6, 200)
    ax.plot(m, 1 / (1 + np.exp(m)), color=POLICY)
    ax.plot(margins, weights, "o", ms=4, color=POLICY, alpha=0.5)
    ax.axvline(0, color=REFERENCE, ls="--", lw=1.2)
    ax.text(0.3, 0.58, "policy = reference:\nweight one half")
    ax.text(-8.8, 0.9, "order wrong: weight near one", color=REJECTED)
    ax.text(6, 0.19, "order right and sure:\nweight near zero", color=CHOSEN, ha="right")
    ax.set(xlabel="margin $m$ (reward)", ylabel="weight in the gradient, σ(−m)")
    return figure


def one_step(beta: float, weight: float, push: float, before, after):
    """Weight and push of one pair; probabilities (3,) before and after a step on it."""
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(3.6, 2.7), width_ratios=(1, 2), layout="constrained"
    )
    small = {"fontsize": 9, "ha": "center"}
    left.bar([0, 1], [weight, push], width=0.6, color=[REFERENCE, POLICY])
    for x, height in enumerate((weight, push)):
        left.text(x, height + 0.015, f"{height:.2f}", **small)
    left.set(xticks=[0, 1], ylim=(0, 0.6), yticks=[])
    left.set_xticklabels(["weight", "push"], fontsize=9)
    x = np.arange(3)
    right.bar(x - 0.2, before, 0.38, fill=False, ec=INK, ls="--", lw=1)
    bars = right.bar(x + 0.2, after, 0.38, color=[CHOSEN, REJECTED, REFERENCE])
    bars[1].set_hatch("///")
    for place, height in zip(x + 0.27, after, strict=True):  # clear of the outline
        right.text(place, height + 0.015, f"{height:.2f}", **small)
    right.set(xticks=x, ylim=(0, 0.6), yticks=[])
    right.set_xticklabels(["chosen", "rejected", "all else"], fontsize=9)
    for ax in (left, right):
        ax.grid(False)
        ax.spines["left"].set_visible(False)
    figure.suptitle(f"β = {beta}", fontsize=9)
    return figure


def two_regimes(betas, one_sgd_step, one_adam_step, converged):
    """KL to the reference against beta: after one step of SGD or Adam, and at convergence."""
    figure, ax = plt.subplots()
    for values, style, colour, name, at, offset in (
        (converged, "-o", OPTIMUM, "converged", len(betas) // 2, (6, 5)),
        (one_sgd_step, "--s", POLICY, "after one SGD step", len(betas) // 2, (8, -8)),
        (one_adam_step, ":^", ADAM, "after one Adam step", 0, (0, 9)),
    ):
        ax.loglog(betas, values, style, color=colour)
        place = (betas[at], values[at])
        ax.annotate(name, place, offset, textcoords="offset points", color=colour)
    ax.set(xlabel="β", ylabel="KL to the reference, nats per reply")
    ax.set_xticks(betas, [f"{beta:g}" for beta in betas])
    ax.minorticks_off()
    return figure
