"""Exercises of chapter 13: KTO's mismatched rows, where BCO rests, weights for uneven thumbs."""

import torch

from .answers import Numbers
from .ch13_rows import ROWS
from .functions import Function
from .resting import REST


# ---------------------------------------------------------------- 13.2: KTO's weights
def _weight_wrongs(answer) -> list:
    both = tuple(answer)
    low, high = 1 / 99, 4 / 3 / 99
    return [
        (both, (1, 4 / 3), "these are the bounds of the ratio; it also holds the counts."),
        (both, (99, 132), "the counts go in upside down."),
        (both, (99, 99 * 3 / 4), "the counts go in upside down, and the bounds as well."),
        (both, (99 * 3 / 4, 99), "these are for λ_down, with λ_up = 1: the larger one is to be 1."),
        (both, (1, 3 / 4), "these are for λ_down: λ_up is asked."),
        (both, (3 / 4 / 99, low), "the 4/3 goes in upside down."),
        (both, (0.01, 4 / 300), "that is for 1 to 100; 99 % up are other odds than that."),
        (both, (0.99, 0.99 * 4 / 3), "that is the share of thumbs-up, not a weight for them."),
        (both, (0.01 * 0.99, 0.01 * 0.99 * 4 / 3), "the shares are multiplied; the ratio counts."),
        (both, (low, 4 / 3), "the upper bound forgets the counts."),
        (both, (low, low + 1 / 3), "the upper bound is 4/3 of the ratio; 1/3 is added."),
        (both, (1, 1), "then the thumbs-up weigh 99 times as much together; TRL would warn."),
        (both, (1 / 98, 4 / 3 / 98), "99 % up leave 1 % down: the ratio is 99."),
        (both, (low, 3 / 4 / 99), "the upper bound is 4/3 of the ratio, not 3/4."),
        (both, (low, low), "the lower bound stands twice: the ratio may go up to 4/3."),
        (both, (high, high), "the upper bound stands twice: the ratio may go down to 1."),
        (both, (high, 16 / 9 / 99), "4/3 goes in twice."),
        (both, (1 / 0.99, 4 / 3 / 0.99), "either that is in per cent, or one over the share of "
         "thumbs-up; one over the ratio of the counts is asked."),
        (both, (3 / 4 * 99, 4 / 3 * 99), "the counts go in upside down."),
        (both, (132, 99), "the counts go in upside down."),
        (both, (low, 2 / 99), "the upper bound is 4/3 of the ratio, not twice it."),
        (both, (low, 5 / 4 / 99), "the upper bound is 4/3 of the ratio, not 5/4."),
        (both, (low, 1), "the larger weight is λ_down, 1; λ_up's upper bound has the counts, too."),
        (both, (1, 99), "those are weights before any bound: λ_up is the smaller one."),
        (both, (0.01, 0.013), "give three digits: 1 to 99 and 1 to 100 differ in the third."),
        (both, (1 / 99**2, 4 / 3 / 99**2), "the counts go in twice."),
        (both, (low**0.5, high**0.5), "that is the root: the ratio itself is bounded."),
    ]  # fmt: skip


def _own_ratio(found, answer) -> str:
    """What TRL's ratio is for the weights that were handed in."""
    least, most = (99 * weight for weight in found.values())
    return (
        f"with λ_down = 1 your weights make TRL's ratio {least:.3g} and {most:.3g}; "
        "the bounds are 1 and 4/3."
    )


# ---------------------------------------------------------------- 13.3: weights for prompts
def kind_weight(of_kind, up, *, over: str = "down", what: str = "share", turned: bool = False):
    """How much more often a kind stands among the rows that are up than among those down.

    over: what it is divided by; what: shares, counts or the odds of the shares.
    """
    here, up = (torch.as_tensor(t).bool() for t in (of_kind, up))
    liked, other = here[up].double(), {"down": here[~up], "all": here}[over].double()
    size = {
        "share": torch.mean,
        "count": torch.sum,
        "odds": lambda t: t.mean() / (1 - t.mean()),
    }[what]
    ratio = size(liked) / size(other)
    return float(1 / ratio if turned else ratio)


def _share_wrong(change):
    """Of the shares of the kind among up rows, among down rows, of up, and of up in the kind."""

    def weight(of_kind, up):
        here, up = (torch.as_tensor(t).bool() for t in (of_kind, up))
        shares = here[up], here[~up], up, up[here], up[~here]
        return float(change(*(s.double().mean() for s in shares)))

    return weight


def _smoothed(above: float, below: float):
    """A mistake: something added to the counts of each share, above and below."""

    def weight(of_kind, up):
        here, up = (torch.as_tensor(t).bool() for t in (of_kind, up))
        a, b = ((here[x].sum() + above) / (x.sum() + below) for x in (up, ~up))
        return float(a / b)

    return weight


def _rows(n: int, kind: float, up: float, seed: int, more: float = 0.2) -> dict:
    draw = torch.Generator().manual_seed(seed)
    here = torch.rand(n, generator=draw) < kind
    return {"of_kind": here, "up": torch.rand(n, generator=draw) < up + more * here}


WEIGHT = Function(
    kind_weight,
    [_rows(41, 0.35, 0.3, 0), _rows(60, 0.6, 0.5, 1), _rows(83, 0.25, 0.6, 2),
     _rows(71, 0.5, 0.6, 3, -0.15)],
    switches={
        "turned": (True, "the ratio is upside down: disliked rows must come to match liked ones."),
        "over": ("all", "it is divided by the share among all rows, not among the disliked."),
        "what": ("count", "counts are divided, or shares of all rows: the class sizes go in."),
    },
    wrongs=(
        ("a one is added to the counts: the shares are asked as they are.", _smoothed(1, 2)),
        ("a one is added to the counts of both kinds of rows.", _smoothed(1, 1)),
        ("a half is added to the counts: the shares are asked as they are.", _smoothed(0.5, 1)),
        ("the odds of the kind are divided; divide its shares.",
         lambda here, up: kind_weight(here, up, what="odds")),
        ("that is p, the chance that a row of this kind is up; the weight is p / (1 - p).",
         _share_wrong(lambda a, b, u, p, q: a / (a + b))),
        ("that is the share of thumbs-up in this kind: asked is the kind's share in each class.",
         _share_wrong(lambda a, b, u, p, q: p)),
        ("that is the share of thumbs-down in this kind: asked is the kind's share in each class.",
         _share_wrong(lambda a, b, u, p, q: 1 - p)),
        ("thumbs-up in this kind against thumbs-up in the others: the conditional is turned round.",
         _share_wrong(lambda a, b, u, p, q: p / q)),
        ("that is 1 - p, with p the chance that a row of this kind is up; asked is p / (1 - p).",
         _share_wrong(lambda a, b, u, p, q: b / (a + b))),
        ("this kind against the others within the liked rows: the disliked ones don't go in.",
         _share_wrong(lambda a, b, u, p, q: a / (1 - a))),
        ("that is the kind's share among the rows that are up, undivided.",
         _share_wrong(lambda a, b, u, p, q: a)),
        ("that is the kind's share among the rows that are down; divide by it.",
         _share_wrong(lambda a, b, u, p, q: b)),
        ("that is all rows' share over the disliked rows' share; the liked rows' is asked.",
         _share_wrong(lambda a, b, u, p, q: (a * u + b * (1 - u)) / b)),
        ("that is the disliked rows' share over all rows' share; the liked rows' is asked.",
         _share_wrong(lambda a, b, u, p, q: b / (a * u + b * (1 - u)))),
        ("that is the kind's share among all rows.",
         _share_wrong(lambda a, b, u, p, q: a * u + b * (1 - u))),
        ("that is the share of thumbs-up among all rows.",
         _share_wrong(lambda a, b, u, p, q: u)),
        ("that is the share of thumbs-up in the other kind.",
         _share_wrong(lambda a, b, u, p, q: q)),
        ("that is a share of all rows, of this kind and up: divide within the classes.",
         _share_wrong(lambda a, b, u, p, q: a * u)),
        ("that is a share of all rows, of this kind and down: divide within the classes.",
         _share_wrong(lambda a, b, u, p, q: b * (1 - u))),
        ("that is the other kind's weight, upside down.",
         _share_wrong(lambda a, b, u, p, q: (1 - b) / (1 - a))),
        ("counts of the other kind are divided; shares of this one are asked.",
         _share_wrong(lambda a, b, u, p, q: q / (1 - q))),
        ("this kind against the others within the disliked rows: the liked ones don't go in.",
         _share_wrong(lambda a, b, u, p, q: b / (1 - b))),
        ("this kind's share among the liked rows over the others' among the disliked ones.",
         _share_wrong(lambda a, b, u, p, q: a / (1 - b))),
        ("this kind against the others among all rows: thumbs don't go in.",
         _share_wrong(lambda a, b, u, p, q: (a * u + b * (1 - u)) / (1 - a * u - b * (1 - u)))),
        ("the two shares are multiplied; divide them.", _share_wrong(lambda a, b, u, p, q: a * b)),
        ("the shares of thumbs-up of the two kinds are subtracted.",
         _share_wrong(lambda a, b, u, p, q: p - q)),
        ("thumbs-down in this kind against thumbs-down in the others: the conditional is turned.",
         _share_wrong(lambda a, b, u, p, q: (1 - p) / (1 - q))),
        ("thumbs-down in this kind against thumbs-down in all: the conditional is turned.",
         _share_wrong(lambda a, b, u, p, q: (1 - p) / (1 - u))),
        ("the excess over 1 is given, not the weight.",
         _share_wrong(lambda a, b, u, p, q: a / b - 1)),
        ("weights below 1 are raised to 1.", _share_wrong(lambda a, b, u, p, q: max(1, a / b))),
        ("weights above 1 are cut to 1.", _share_wrong(lambda a, b, u, p, q: min(1, a / b))),
        ("the class sizes go in twice: the ratio of shares needs none.",
         _share_wrong(lambda a, b, u, p, q: a / b * (u / (1 - u)) ** 2)),
        ("the liked rows of this kind are divided by all disliked ones.",
         _share_wrong(lambda a, b, u, p, q: a * u / (1 - u))),
        ("all liked rows are divided by the disliked ones of this kind.",
         _share_wrong(lambda a, b, u, p, q: u / (b * (1 - u)))),
        ("one share is of all rows, the other within its class: take both within.",
         _share_wrong(lambda a, b, u, p, q: a * u / b)),
        ("one share is of all rows, the other within its class: take both within.",
         _share_wrong(lambda a, b, u, p, q: a / (b * (1 - u)))),
        ("that is the weight of the other kind.",
         _share_wrong(lambda a, b, u, p, q: (1 - a) / (1 - b))),
        ("the shares are subtracted; divide them.", _share_wrong(lambda a, b, u, p, q: a - b)),
        ("that is the ratio of up to down among all rows: the kind doesn't go in.",
         _share_wrong(lambda a, b, u, p, q: u / (1 - u))),
    ),
    shows="Weighted so, the disliked rows have the prompts of the liked ones.",
)  # fmt: skip

EXERCISES = {
    "13.0": ROWS,
    "13.1": REST,
    "13.2": Numbers(
        {"least λ_up": 1 / 99, "largest λ_up": 4 / 3 / 99},
        _weight_wrongs,
        shows="So 99 thumbs-up together weigh as much as one thumb-down, or a third more.",
        rtol=0.004,
        tell=_own_ratio,
    ),
    "13.3": WEIGHT,
}
