"""Chapter 21: the roofline of a machine, who looks at whom in a packed row, steps on a stack."""

import matplotlib.pyplot as plt
import numpy as np

from ..plots import CHOSEN, OPTIMUM, POLICY, REFERENCE, REJECTED

MARKS = "osD^vP"


def roofline(peak: float, bandwidth: float, pieces: dict[str, tuple[float, float]]):
    """Pieces of a step under the roof of a machine.

    peak: operations a second; bandwidth: bytes a second. pieces: name -> (operations per byte,
    operations a second).
    """
    figure, ax = plt.subplots()
    corner = peak / bandwidth
    most = max(corner, *(x for x, _ in pieces.values())) * 4
    x = np.array([0.1, corner, most])
    ax.loglog(x, np.minimum(x * bandwidth, peak) / 1e9, color=OPTIMUM)
    ax.axvline(corner, color=REFERENCE, ls=":")
    slowest = min(rate for _, rate in pieces.values())
    ax.set_ylim(bottom=min(ax.get_ylim()[0], slowest / 2e9))  # room for its name
    ax.annotate("balance", (corner, ax.get_ylim()[0]), (4, 6), textcoords="offset points")
    for (name, (per_byte, rate)), mark in zip(pieces.items(), MARKS, strict=False):
        ax.plot(per_byte, rate / 1e9, mark, color=POLICY, ms=7)
        above = rate > min(per_byte * bandwidth, peak)  # what fits into a cache: clear of the line
        left = mark in MARKS[::2] if per_byte > corner else above  # neighbours on either side
        ax.annotate(
            name,
            (per_byte, rate / 1e9),
            (-6 if left else 8, -14),
            textcoords="offset points",
            ha="right" if left else "left",
            fontsize=9.5,
        )
    ax.set(xlabel="operations per byte moved", ylabel="billion operations a second")
    return figure


def who_looks_at_whom(sees: np.ndarray, names: list[tuple[str, int, int]]):
    """A row's mask as a picture: black where a token (down) looks at another (across).

    sees: (W, W) bool. names: (name, first place, place behind the last) of each piece.
    """
    figure, ax = plt.subplots(figsize=(6.4, 6))
    width = len(sees)
    ax.imshow(sees, cmap="Greys", vmin=0, vmax=1.25, interpolation="nearest")
    for _, first, last in names:
        for edge in (first - 0.5, last - 0.5):
            ax.axhline(edge, color=REFERENCE, lw=0.6)
            ax.axvline(edge, color=REFERENCE, lw=0.6)
    middles = [(first + last - 1) / 2 for _, first, last in names]
    told = [name for name, *_ in names]
    ax.set_xticks(middles, told, rotation=35, ha="right", fontsize=9)
    ax.set_yticks(middles, told, fontsize=9)
    ax.grid(visible=False)
    ax.set(xlim=(-0.5, width - 0.5), ylim=(width - 0.5, -0.5))
    ax.set(xlabel="is looked at", ylabel="looks")
    return figure


def stack(seconds: dict[str, float], inexact: list[str]):
    """Seconds of a step with each trick on top of those above it; hatched where it isn't exact."""
    figure, ax = plt.subplots(figsize=(7.6, 0.5 * len(seconds) + 1.1))
    names, first = list(seconds), next(iter(seconds.values()))
    for place, (name, taken) in enumerate(seconds.items()):
        off = name in inexact
        ax.barh(
            place,
            taken,
            color="white" if off else POLICY,
            edgecolor=REJECTED if off else POLICY,
            hatch="///" if off else None,
            height=0.62,
        )
        ax.annotate(
            f"{first / taken:.1f}×",
            (taken, place),
            (5, 0),
            textcoords="offset points",
            va="center",
        )
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="seconds a step", xlim=(0, 1.12 * max(seconds.values())))
    ax.invert_yaxis()
    ax.grid(visible=False, axis="y")
    return figure


def directions(shares: dict[str, np.ndarray], ranks: list[int]):
    """The share of a step's square that a rank holds, a line for each kind of step."""
    figure, ax = plt.subplots()
    styles = ((POLICY, "o-"), (CHOSEN, "s--"), (REJECTED, "^:"), (OPTIMUM, "D-."))
    for (name, share), (color, style) in zip(shares.items(), styles, strict=False):
        ax.plot(ranks, share, style, color=color, label=name)
    ax.set_xscale("log", base=2)
    ax.set_xticks(ranks, [str(rank) for rank in ranks])
    ax.set(xlabel="rank", ylabel="share of the square", ylim=(0, 1.38))  # room for the names
    ax.set_yticks(np.linspace(0, 1, 6))
    ax.legend(loc="upper left")
    return figure
