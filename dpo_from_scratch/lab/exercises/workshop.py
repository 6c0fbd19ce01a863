"""The workshop's exercises: a choice, Z that cancels, the loss, a step, and a count of judgements.

W.1 Bradley-Terry     W.2 where Z goes     W.3 the loss (00.0)     W.4 a step (06.0)
W.5 what nine of twelve say
"""

import torch
from scipy.stats import binom

from . import ch00, ch06
from .answers import Choice, Numbers
from .functions import Function


# ---------------------------------------------------------------- W.1
def chance(chosen, rejected):
    """sigmoid(r_w - r_l), (B,): arXiv 2305.18290, eq. 1."""
    return torch.sigmoid(chosen - rejected)


def scores() -> list[dict]:
    """Rewards of some pairs, on both sides of zero."""
    rng = torch.Generator().manual_seed(5)
    draw = lambda n: 1.5 * torch.randn(n, generator=rng)
    return [{"chosen": draw(n) - 0.4, "rejected": draw(n)} for n in (3, 2, 4)]


def _softmax_over_the_batch(c, r):
    return torch.softmax(c - r, 0)


CHANCE = Function(
    chance,
    scores(),
    wrongs=[
        ("that is the chance of the other choice: the two are exchanged.",
         lambda c, r: chance(r, c)),
        ("that is the difference of the rewards; σ of it is asked.", lambda c, r: c - r),
        ("the difference is turned and σ is missing.", lambda c, r: r - c),
        ("that is the negative logarithm, the loss; here the chance is asked.",
         lambda c, r: -torch.log(chance(c, r))),
        ("that is the logarithm of the chance.", lambda c, r: torch.log(chance(c, r))),
        ("σ is taken of each reward, then subtracted; the difference goes into one σ.",
         lambda c, r: torch.sigmoid(c) - torch.sigmoid(r)),
        ("only the chosen text's reward counts.", lambda c, r: torch.sigmoid(c)),
        ("only the rejected text's reward counts.", lambda c, r: torch.sigmoid(-r)),
        ("rewards are divided as they are; it is exp of them that is shared out.",
         lambda c, r: c / (c + r)),
        ("the two rewards are added; their difference decides.", lambda c, r: torch.sigmoid(c + r)),
        ("1 or 0, for who is ahead: a choice has a chance.", lambda c, r: (c > r).to(c.dtype)),
        ("the 1 in 1 + exp(-z) is missing.", lambda c, r: torch.exp(c - r)),
        ("the pairs share one chance among them; each has its own.", _softmax_over_the_batch),
        ("the mean over the pairs is taken; each has its own chance.",
         lambda c, r: chance(c, r).mean()),
        ("tanh stands in place of σ.", lambda c, r: torch.tanh(c - r)),
    ],
    shows="Only the difference of two rewards counts.",
)  # fmt: skip

# ---------------------------------------------------------------- W.2
WHERE_Z_GOES = Choice(
    {
        "a": "Z is a sum over all texts, each with its own factor; nothing makes it one.",
        "b": None,
        "c": "it can be larger than both rewards; chapter 03 computes it.",
        "d": "β multiplies all of the reward: a small β makes neither term go.",
    },
    "A preference compares two answers to one prompt, so what depends on the prompt alone is gone.",
)

# ---------------------------------------------------------------- W.5
OF, WINS = 12, 9
LUCK = Numbers(
    {"luck": float(binom.sf(WINS - 1, OF, 0.5))},
    [
        ("luck", float(binom.pmf(WINS, OF, 0.5)), "that is exactly nine; nine or more are asked."),
        ("luck", float(binom.sf(WINS, OF, 0.5)), "that is more than nine; nine belongs to it."),
        ("luck", float(2 * binom.sf(WINS - 1, OF, 0.5)), "that is both ways, nine for either."),
        ("luck", float(binom.cdf(WINS, OF, 0.5)), "that is at most nine; nine or more are asked."),
        ("luck", float(binom.cdf(WINS - 1, OF, 0.5)), "that is fewer than nine."),
        ("luck", WINS / OF, "that is the share that was seen, not the luck behind it."),
        ("luck", 0.5**OF, "that is one order of twelve throws; count all with nine or more heads."),
        ("luck", 0.5**WINS, "that is nine heads in a row; they may come in any order."),
        ("luck", float(binom.sf(WINS - 1, OF, 0.5) * 2**OF),
         "that is how many of the 4,096 rows of throws; divide by their number."),
    ],
    shows="One coin in fourteen does as well: twelve judgements of one person decide little.",
    rtol=0.02,
)  # fmt: skip

EXERCISES = {
    "W.1": CHANCE,
    "W.2": WHERE_Z_GOES,
    "W.3": ch00.LOSS,
    "W.4": ch06.EXERCISES["06.0"],
    "W.5": LUCK,
}
