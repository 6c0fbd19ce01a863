"""Chapter 10: losses as landscapes over the plane of the two log-ratios."""

import matplotlib.pyplot as plt
import numpy as np

from ..plots import CHOSEN, OPTIMUM, POLICY, REFERENCE, REJECTED

HALF = 4  # nats: the plane goes from -4 to 4 both ways
STYLES = ((POLICY, "-"), (CHOSEN, "--"), ("#E69F00", "-."), (OPTIMUM, ":"))
STYLES += ((REFERENCE, "-"), ("#CC79A7", "--"), (REJECTED, "-."))


def plane(ax, found, title: str, path=None, size: float = 10) -> None:
    """A landscape with its downhill arrows and the way down from the origin.

    found: (axis (N,), value, push on chosen, push on rejected, each (N, N)), rejected along rows.
    path: points (T, 2) of (chosen, rejected); the dot stands where it ends, if that is in sight.
    """
    axis, value, to_chosen, to_rejected = found
    ax.contourf(axis, axis, value, levels=10, cmap="Greys", alpha=0.5)
    x, y = np.meshgrid(axis[::4], axis[::4])
    u, v = to_chosen[::4, ::4], to_rejected[::4, ::4]
    length = np.hypot(u, v)  # arrows as long as its root, so that weak pushes show
    u, v = (a / np.sqrt(np.maximum(length, 1e-12) * length.max()) for a in (u, v))
    ax.quiver(x, y, u, v, color=POLICY, scale=10, width=0.009, headwidth=4, pivot="tail")
    ax.plot([-HALF, HALF], [-HALF, HALF], color=REFERENCE, lw=0.9, ls="--")
    if path is not None:
        ax.plot(*path.T, color=OPTIMUM, lw=2.2)
        ax.plot(*path[-1], "o", color=OPTIMUM, ms=6, mec="white", mew=0.8)
    ax.plot(0, 0, "s", color="white", mec=OPTIMUM, ms=4, zorder=1.9)
    ax.set_title(title, fontsize=size)
    ax.set(xlim=(-HALF, HALF), ylim=(-HALF, HALF), aspect="equal")
    ax.set_xticks([-4, 0, 4], ["−4", "0", "4"])
    ax.set_yticks([-4, 0, 4], ["−4", "0", "4"])
    ax.grid(False)


def one_plane(found, title: str, path=None):
    """DPO's plane, large."""
    figure, ax = plt.subplots(figsize=(5, 4.8))
    plane(ax, found, title, path, 11)
    ax.set_xlabel("log-ratio of the chosen response, nats")
    ax.set_ylabel("log-ratio of the rejected response, nats")
    return figure


def all_planes(found: dict, paths: dict, columns: int = 4):
    """All planes side by side, in rows of so many."""
    rows = -(-len(found) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.15 * columns, 2.25 * rows), sharex=True, sharey=True
    )
    for ax, (title, one) in zip(axes.flat, found.items(), strict=True):
        plane(ax, one, title, paths[title])
    figure.supxlabel("log-ratio of the chosen response, nats", fontsize=11)
    figure.supylabel("log-ratio of the rejected response, nats", fontsize=11)
    return figure


def plane_frame(found, title: str, path):
    """One frame of the dial of divergences."""
    figure, ax = plt.subplots(figsize=(2.9, 2.9))
    plane(ax, found, title, path, 10)
    ax.set_xlabel("chosen log-ratio, nats", fontsize=9)
    ax.set_ylabel("rejected log-ratio, nats", fontsize=9)
    ax.tick_params(labelsize=9)
    return figure


def losses_and_slopes(margin, curves: dict):
    """Losses of the margin on the left, their slopes on the right.

    curves: name -> (values, slopes), each as long as `margin`.
    """
    figure, axes = plt.subplots(1, 2, figsize=(10, 4))
    for (name, both), (color, dash) in zip(curves.items(), STYLES, strict=True):
        for ax, y in zip(axes, both, strict=True):
            ax.plot(margin, y, dash, color=color, lw=1.8, label=name)
    axes[0].set(ylim=(-1, 4), ylabel="loss")
    axes[1].set(ylim=(-2, 1.5), ylabel="slope; below 0 it wants a larger margin")
    axes[1].axhline(0, color="0.5", lw=0.9)
    for ax in axes:
        ax.set_xlabel("margin m (β = 1, so m = Δ)")
        ax.set_xlim(margin[0], margin[-1])
    axes[1].legend(fontsize=9, loc="upper left", labelspacing=0.3)
    return figure


def how_far(rewards, ratios: dict, places: dict):
    """How many times likelier each reply becomes, by its reward; a line for each regulariser.

    places: name -> where its name stands.
    """
    figure, ax = plt.subplots(figsize=(6, 3.8))
    order = np.argsort(rewards)
    styles = ((OPTIMUM, "-"), (POLICY, "--"))
    for (name, ratio), (color, dash) in zip(ratios.items(), styles, strict=True):
        ax.plot(rewards[order], ratio[order], color=color, ls=dash, lw=2)
        ax.text(*places[name], name, color=color)
    ax.axhline(1, color=REFERENCE, lw=1, ls=":")
    ax.text(-2.1, 1.3, "as likely as under the reference", color=REFERENCE, fontsize=10)
    ax.set_yscale("log")
    ax.set(xlabel="true reward of the reply", ylabel="π / π₀")
    return figure


def likeness(steps: dict, real: dict, ratio: float):
    """Left: steps of (chosen, rejected) by cosine, for one ratio. Right: real pairs on the map.

    steps: cosine -> (d rho_w, d rho_l). real: kind -> points (N, 2) of cosine and |g_l| / |g_w|.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4))
    for cosine, (dw, dl) in steps.items():
        color, dash = (REJECTED, "--") if dw < -1e-3 else (POLICY, "-")
        style = {"arrowstyle": "->", "color": color, "ls": dash, "lw": 1.8}
        left.annotate("", (dw, dl), (0, 0), arrowprops=style)
        words, side = f"{cosine:g}".replace("-", "−"), "left" if dw > 0 else "right"
        left.text(1.03 * dw, 1.03 * dl, words, fontsize=10, ha=side, va="top")
    left.plot([-1.5, 1.5], [-1.5, 1.5], color=REFERENCE, lw=0.9, ls="--")
    left.axvline(0, color="0.6", lw=0.9)
    left.set_xticks([-1, -0.5, 0, 0.5, 1])
    left.set_yticks([-1.5, -1, -0.5, 0])
    left.set(xlim=(-1.0, 1.1), ylim=(-1.6, 0.4), xlabel="change of the chosen log-ratio")
    left.set(
        ylabel="change of the rejected log-ratio",
        title=f"steps by cosine; $\\|g_l\\| = {ratio}\\,\\|g_w\\|$",
    )
    edge = np.linspace(0.5, 1, 100)
    right.fill_between(edge, 1 / edge, 2.2, color=REJECTED, alpha=0.15, lw=0)
    right.plot(edge, 1 / edge, color=REJECTED, lw=1.4)
    told = "a step on the\npair lowers\nits chosen\nresponse"
    right.text(0.97, 2.14, told, color=REJECTED, ha="right", va="top", fontsize=10)
    styles = zip(real.items(), ((CHOSEN, "^"), (POLICY, "o")), strict=True)
    for (kind, points), (color, mark) in styles:
        right.plot(*points.T, mark, color=color, ms=5, alpha=0.75, label=kind)
    right.legend(loc="upper left", fontsize=10)
    right.set(xlim=(-0.5, 1.0), ylim=(0.4, 2.2), xlabel="cosine of $g_w$ and $g_l$")
    right.set(
        ylabel="$\\|g_l\\|\\,/\\,\\|g_w\\|$", title="pairs of the review world, before training"
    )
    return figure
