"""Chapter 12: in what share of the pairs n judges agree, and what it is taken for."""

import math
from collections.abc import Callable

import numpy as np

from . import values
from .functions import Function
from .kit import mistakes


def of_one_mind(n: int, p: float) -> float:
    """The share of pairs whose n labels all say the same."""
    return p**n + (1 - p) ** n


def wins(n: int, p: float, which: Callable[[int], float]) -> float:
    """The chance of k wins of n, weighted by which(k)."""
    return sum(which(k) * math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1))


MINDS_WRONG = {
    "all right and all wrong can't both happen: nothing is to be taken off their sum.":
        lambda n, p: of_one_mind(n, p) - (p * (1 - p)) ** n,
    "all right and all wrong can't both happen: nothing is to be taken off their sum, let alone "
    "twice.": lambda n, p: of_one_mind(n, p) - 2 * (p * (1 - p)) ** n,
    "those are the odds of all right against all wrong; their chances are to be added.":
        lambda n, p: (p / (1 - p)) ** n,
    "that is the share of all right among the unanimous pairs; asked is the unanimous ones' own.":
        lambda n, p: p**n / of_one_mind(n, p),
    "with one label the share of wins is 0 or 1, and its logit infinite: that counts, too.":
        lambda n, p: 0.0 if n == 1 else of_one_mind(n, p),
    "with one label both answers have an infinite logit, the wrong one, too.":
        lambda n, p: p if n == 1 else of_one_mind(n, p),
    "that is a majority for the first response; asked is that all n agree.":
        lambda n, p: wins(n, p, lambda k: 2 * k > n),
    "that is a majority for the first response, a tie counted half; asked is that all n agree.":
        lambda n, p: wins(n, p, lambda k: (2 * k > n) + (2 * k == n) / 2),
    "that is half of the labels or more for the first; asked is that all n agree.":
        lambda n, p: wins(n, p, lambda k: 2 * k >= n),
    "that is a majority for the second response; asked is that all n agree.":
        lambda n, p: wins(n, p, lambda k: 2 * k < n),
    "that counts pairs in which the second wins by far; asked is where all n agree.":
        lambda n, p: wins(n, p, lambda k: k < n // 2),
    "that counts pairs with one label against the rest, on either side; asked is none. (And n = 2 "
    "is counted twice.)": lambda n, p: n * (p ** (n - 1) * (1 - p) + (1 - p) ** (n - 1) * p),
    "that is the share of ties, where the logit is 0; asked is where it is infinite.":
        lambda n, p: wins(n, p, lambda k: 2 * k == n),
    "p is not a half: all right and all wrong have chances of their own.":
        lambda n, p: 0.5**n,
    "that counts pairs with one label against the rest, on either side; asked is none.":
        lambda n, p: wins(n, p, lambda k: (k == 1) + (k == n - 1) if n > 1 else 0),
    "at most one label is wrong there; asked is none, or all.":
        lambda n, p: wins(n, p, lambda k: k >= n - 1),
    "the n-th root of p is taken: n labels in a row multiply.": lambda n, p: p ** (1 / n),
    "that is neither all right nor all wrong, taken as independent: each pair is one of three.":
        lambda n, p: (1 - p**n) * (1 - (1 - p) ** n),
    "that is e to −n(1 − p), close to pⁿ alone and for p near 1.":
        lambda n, p: math.exp(-n * (1 - p)),
    "p is 0.9 there, whatever p is asked.": lambda n, p: of_one_mind(n, 0.9),
    "that is the variance of the number of wins; a share of pairs is asked.":
        lambda n, p: n * p * (1 - p),
    "that is the variance of the share of wins; a share of pairs is asked.":
        lambda n, p: p * (1 - p) / n,
    "that is the spread of the share of wins; a share of pairs is asked.":
        lambda n, p: math.sqrt(p * (1 - p) / n),
    "that is n times a logit; a share of pairs is asked.":
        lambda n, p: n * math.log(p / (1 - p)),
    "the logarithms of the two chances are added; add the chances.":
        lambda n, p: n * math.log(p * (1 - p)),
    "one label too many: n labels have to agree.": lambda n, p: of_one_mind(n + 1, p),
    "the share is divided by n before it is raised: p is each label's own chance.":
        lambda n, p: (p / n) ** n,
    "p is divided by n: n labels in a row multiply.": lambda n, p: p / n,
    "the chances for 1, 2, ... n labels are added up: n is given.":
        lambda n, p: sum(p**k for k in range(1, n + 1)),
    "that is n pairs of two labels which agree; one pair has n labels.":
        lambda n, p: (p * p + (1 - p) ** 2) ** n,
    "every two labels are taken to agree by a chance of their own: all compare with the same p.":
        lambda n, p: (p * p + (1 - p) ** 2) ** math.comb(n, 2),
    "that is where two labels agree, whatever n is.": lambda n, p: p * p + (1 - p) ** 2,
    "that is where two labels differ, whatever n is.": lambda n, p: 2 * p * (1 - p),
    "all right is taken off 1: that is all but it, and all wrong among them already.":
        lambda n, p: 1 - p**n + (1 - p) ** n,
    "all wrong is taken off 1: that is all but it, and all right among them already.":
        lambda n, p: 1 - (1 - p) ** n + p**n,
    "the two chances are multiplied, and taken off 1: they are added.":
        lambda n, p: 1 - (p * (1 - p)) ** n,
    "the two chances are multiplied and doubled: they are added.":
        lambda n, p: 2 * (p * (1 - p)) ** n,
    "that doesn't depend on n: p is the chance of a single label.": lambda n, p: p,
    "that doesn't depend on n: 1 − p is the chance of a single label.": lambda n, p: 1 - p,
    "n multiplies the chance of a wrong label: labels in a row multiply.":
        lambda n, p: n * (1 - p),
    "that is 0 everywhere: p below 1 doesn't keep all n labels from agreeing.":
        lambda n, p: 0.0,
    "that is 1 everywhere: with more labels than one most pairs are finite.": lambda n, p: 1.0,
    "shares near 0 and 1 are counted, too: a logit is infinite at 0 and 1 alone.":
        lambda n, p: wins(n, p, lambda k: not 0.05 <= k / n <= 0.95),
    "shares near 0 and 1 are counted, too: a logit is infinite at 0 and 1 alone. (Up to a tenth.)":
        lambda n, p: wins(n, p, lambda k: not 0.1 <= k / n <= 0.9),
}  # fmt: skip


def too_few_draws(ask, cases) -> str:
    """Multiples of one over a round number, near the right shares; or others each time."""
    if any(ask(case) != ask(case) for case in cases):
        return (
            "asked twice for the same n and p, it gives two shares: draws by lot, and too few "
            "(take some hundred thousand), or compute it."
        )
    given = np.array([values.numbers(ask(case)) for case in cases], float).ravel()
    wanted = np.array([of_one_mind(**case) for case in cases])
    counts = given[0] >= 10 and (given == given.round()).all()
    if counts and np.allclose(given / given[0], wanted, atol=0.03):
        return "that counts pairs; their share of all is asked."
    if np.isin(given, (0, 1)).all():
        return "yours is 0 or 1 everywhere; with n above 1 a share between them is right."
    for draws in (10, 20, 50, 100, 200, 300, 400, 500, 1000, 2000, 5000, 10_000):
        spread = np.sqrt(wanted * (1 - wanted) / draws)
        whole = np.allclose(given * draws, np.round(given * draws), atol=1e-4)
        if whole and (abs(given - wanted) <= 4 * spread + 1e-9).all():
            return (
                f"the shares that you give are whole multiples of {1 / draws:g}, and near the "
                "right ones: rounded, or counted in too few draws? Give three digits."
            )
    return ""


MINDS = Function(
    of_one_mind,
    [{"n": 1, "p": 0.9}, {"n": 3, "p": 0.6}, {"n": 4, "p": 0.75}, {"n": 2, "p": 0.7},
     {"n": 30, "p": 0.97}],
    traits=[too_few_draws],
    wrongs=mistakes(of_one_mind, MINDS_WRONG | {
        "only labels that are all right are counted: all wrong is a share of 0, with a logit that "
        "is infinite, too.": lambda n, p: p**n,
        "only labels that are all wrong are counted: all right is infinite, too.":
            lambda n, p: (1 - p) ** n,
        "that is the share with a finite Δ.": lambda n, p: 1 - of_one_mind(n, p),
        "that is where at least one label is wrong.": lambda n, p: 1 - p**n,
        "that is where at least one label is right.": lambda n, p: 1 - (1 - p) ** n,
        "all right *and* all wrong can't be: the two chances are added, not multiplied.":
            lambda n, p: (p * (1 - p)) ** n,
        "the chances of one label are added up: n labels in a row multiply.":
            lambda n, p: n * p,
        "that is one label of n against the rest; asked is none.":
            lambda n, p: n * p ** (n - 1) * (1 - p),
        "one label too few: all n have to agree.": lambda n, p: of_one_mind(n - 1, p),
        "only the n − 1 labels after the first are asked, and only the right ones.":
            lambda n, p: p ** (n - 1),
        "neighbours agree by chance, but not each anew: all compare with the same p.":
            lambda n, p: (p * p + (1 - p) ** 2) ** (n - 1),
        "all wrong is taken to be as likely as all right.": lambda n, p: 2 * p**n,
        "all wrong is taken to be as likely as all right (and what is above 1 is cut off).":
            lambda n, p: min(1.0, 2 * p**n),
        "p is taken for a half: a fair coin's labels.": lambda n, p: 0.5 ** (n - 1),
        "the two are taken off each other: they are added.": lambda n, p: p**n - (1 - p) ** n,
        "that is where Δ rests for one p; asked is how often it is infinite.":
            lambda n, p: math.log(p / (1 - p)),
    }),
    atol=0.006,
    shows="With one label a pair every target is infinite; with twenty it is one pair in eight.",
)  # fmt: skip
