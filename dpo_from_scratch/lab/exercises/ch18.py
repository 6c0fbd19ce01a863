"""Exercises of chapter 18: Holm's correction, looks until it works, tuning, runs that break."""

import math
from functools import cache
from itertools import product

import numpy as np
from scipy.stats import norm, ttest_1samp

from ..comparisons import smallest_seen
from .answers import Own
from .ch18_leads import lead_seen, of_the_lead
from .ch18_others import (
    DEVIATION,
    LEVEL,
    LOOKS,
    SEEDS,
    TRIALS,
    in_place,
    p_values,
    wrong_deviations,
)
from .functions import Function
from .values import numbers
from .verdicts import Verdict, misformed, right, unknown, wrong


# ---------------------------------------------------------------- 18.0: Holm's correction
def holm(p, *, factor="falling", off=0, rising=True, cap=True, back="home", decide=False):
    """p-values corrected for their number, Holm's way, in the order given, (M,) -> (M,).

    The keywords are mistakes.
    """
    p = np.asarray(p, float)
    m, order = len(p), np.argsort(p, kind="stable")
    order = {"largest first": order[::-1], "as given": np.arange(m)}.get(factor, order)
    k = np.arange(m)
    times = {"all": np.full(m, m), "climbing": k + 1, "rank": m / (k + 1)}.get(factor, m - k) + off
    raised = p[order] * times
    if factor == "chances":
        raised = 1 - (1 - p[order]) ** times
    if rising == "down":
        raised = np.minimum.accumulate(raised[::-1])[::-1]
    elif rising == "sum":
        raised = np.cumsum(raised)
    elif rising:
        raised = np.maximum.accumulate(raised)
    raised = np.minimum(raised, 1.0) if cap else raised
    if back == "home":
        out = np.empty_like(raised)
        out[order] = raised
    else:
        out = raised[order] if back == "again" else raised
    return (out < 0.05).astype(float) if decide else out


def _as(**mistakes):
    return lambda p: holm(p, **mistakes)


OTHER_FACTORS = {
    "largest first": "the largest p gets the largest factor: Holm begins with the smallest.",
    "climbing": "the largest p gets the largest factor: Holm begins with the smallest.",
    "as given": "the factors follow the order given, and not the size of p.",
    "rank": "M is divided by the rank; Holm subtracts.",
}
HOLM = Function(
    holm,
    [
        {"p": np.array([0.03, 0.011, 0.2, 0.012, 0.6])},
        {"p": np.array([0.4, 0.7, 0.02, 0.45])},
        {"p": np.array([0.009, 0.3, 0.04, 0.002, 0.0095, 0.021])},
    ],
    switches={
        "factor": ("all", "every p is multiplied by M, which is Bonferroni's correction; Holm's "
                   "factor becomes one less with every p."),
        "rising": (False, "one of them fell below the one before."),
        "cap": (False, "some are above 1: a p-value is a share."),
        "back": ("sorted", "they come back sorted; each should stand where its p stood."),
        "off": (-1, "each factor is one too small: the smallest p is one of M, too."),
    },
    wrongs=(
        *((why, _as(factor=factor, rising=rising, cap=cap))
          for factor, why in OTHER_FACTORS.items()
          for rising, cap in product((True, False), repeat=2)),
        ("each factor is one too large.", _as(off=1)),
        ("the right values in the wrong places: write to the places that the sort tells; don't "
         "sort once more.", _as(back="again")),
        ("that steps up from the largest p (Hochberg's way): none may fall below the one before, "
         "beginning with the smallest.", _as(rising="down")),
        ("M is divided by the rank: that is Benjamini and Hochberg's, for another promise.",
         _as(factor="rank", rising="down")),
        ("1 − (1 − p) to a power: that is for independent comparisons; Holm multiplies.",
         _as(factor="chances")),
        ("they are added up along the way: the larger of two is kept, not their sum.",
         _as(rising="sum")),
        ("that is whether each is below 0.05: the corrected p-values are asked.",
         _as(decide=True)),
        ("p is divided by its factor: it becomes larger, not smaller.",
         lambda p: in_place(p, lambda s, m: s / m)),
        ("nothing is corrected.", lambda p: np.asarray(p, float)),
        *p_values(holm).items(),
    ),
    shows="Of many comparisons the best must be better than one alone.",
)  # fmt: skip


# ---------------------------------------------------------------- 18.1: until it works
def found_by_looking(differences, first, level, *, start=0, end=0, of="any", test="t"):
    """The share of tries, rows of (tries, N), in which a look at n = first ... N pairs finds."""
    d = np.asarray(differences, float)
    p = _looked(d.tobytes(), d.shape, first, start, end, test)
    if callable(of):
        return of(p, level)
    ends = {
        "any": lambda: (p < level).any(0), "all": lambda: (p < level).all(0),
        "last": lambda: p[-1] < level, "first": lambda: p[0] < level,
        "looks": lambda: p < level, "mean": lambda: p.mean(0) < level,
        "none": lambda: ~(p < level).any(0), "corrected": lambda: (p < level / len(p)).any(0),
    }  # fmt: skip
    return float(ends[of]().mean())


@cache
def _looked(rows, shape, first, start, end, test):
    """p-values of all looks, (looks, tries)."""
    d = np.frombuffer(rows).reshape(shape)
    sizes = range(first + start, shape[1] + 1 + end)
    return np.array(
        [_p(d[:, n - first : n] if test == "window" else d[:, :n], test) for n in sizes]
    )


def _p(d, test):
    """p-values of rows."""
    if test in ("greater", "less"):
        return ttest_1samp(d, 0, axis=1, alternative=test).pvalue
    if test == "size":
        d = abs(d)
    if test == "bell":
        return 2 * norm.sf(abs(d.mean(1)) / d.std(1, ddof=1) * math.sqrt(d.shape[1]))
    found = ttest_1samp(d, 0, axis=1)
    return np.where(found.statistic > 0, found.pvalue, 1.0) if test == "wins" else found.pvalue


def _tries(seed, tries, n, lead, first, level):
    d = np.random.default_rng(seed).normal(lead, 1.0, (tries, n))
    return {"differences": d, "first": first, "level": level}


def _looks(**mistakes):
    return lambda *args: found_by_looking(*args, **mistakes)


PEEKING = Function(
    found_by_looking,
    [_tries(0, 90, 9, 0.2, 4, 0.2), _tries(1, 80, 7, 0.1, 3, 0.2), _tries(2, 70, 8, -0.15, 5, 0.3)],
    switches={
        "start": (1, "the first look is left out."),
        "end": (-1, "the last look, at all pairs, is left out."),
        "test": ("greater", "the test is one-sided; a difference below zero is a find, too."),
    },
    wrongs=(
        ("that is one look, at all pairs.", _looks(of="last")),
        ("that is one look, at the first pairs: go on where it finds nothing.",
         _looks(of="first")),
        ("that is the share of looks that find; asked is the share of tries with one such look.",
         _looks(of="looks")),
        ("every look must find, in yours; one is enough to stop.", _looks(of="all")),
        ("the p-values of a try are averaged; the first below the level ends it.",
         _looks(of="mean")),
        ("that is the share of tries that find nothing.", _looks(of="none")),
        ("the level is divided by the number of looks: a cure, but here the disease is asked.",
         _looks(of="corrected")),
        ("the test is one-sided; a difference above zero is a find, too.", _looks(test="less")),
        ("only finds above zero are counted.", _looks(test="wins")),
        ("all tries find something. Have the differences lost their signs?", _looks(test="size")),
        ("the level is halved; p has both sides.", lambda d, n, a: found_by_looking(d, n, a / 2)),
        ("each look takes the newest pairs alone; it takes all pairs so far.",
         _looks(test="window")),
        ("that takes the bell curve's levels; a t-test's are wider, for few pairs.",
         _looks(test="bell")),
        ("that is in per cent: a share is asked.", lambda *args: 100 * found_by_looking(*args)),
        ("that is a number of tries: a share is asked.",
         lambda d, *args: len(d) * found_by_looking(d, *args)),
        *((why, _looks(of=take)) for why, take in LOOKS.items()),
    ),
    shows="Every look is one more chance for luck.",
    common=False,
    seconds=30.0,
)  # fmt: skip


# ---------------------------------------------------------------- 18.2: care for your own
def worth_of_chosen(true, luck, *, by="seen", give="true", pick="best"):
    """True worth of the trial that looks best, (tables, methods, trials) -> (tables, methods)."""
    true, luck = np.asarray(true, float), np.asarray(luck, float)
    score = {"seen": true + luck, "true": true, "luck": luck, "less": true - luck}[by]
    ends = {"best": np.argmax, "worst": np.argmin}
    score = score.mean(1, keepdims=True) + 0 * score if pick == "together" else score
    at = ends.get(pick, np.argmax)(score, 2)[..., None]
    given = {"true": true, "seen": true + luck, "luck": luck}[give]
    return np.take_along_axis(given, at, 2)[..., 0]


def _chosen(**mistakes):
    return lambda true, luck: worth_of_chosen(true, luck, **mistakes)


def _worths(seed, shape, luck):
    rng = np.random.default_rng(seed)
    return {"true": rng.normal(0.2, 0.5, shape), "luck": rng.normal(0, luck, shape)}


TUNED = Function(
    worth_of_chosen,
    [_worths(0, (4, 3, 6), 0.8), _worths(1, (3, 5, 4), 0.5), _worths(2, (5, 2, 7), 1.0)],
    switches={
        "give": ("seen", "that is what the best trial showed, its luck included: new runs have "
                 "the true worth."),
        "by": ("true", "the trial is chosen by its true worth, which nobody sees: tuning sees it "
               "with luck."),
        "pick": ("worst", "the trial that looks worst is taken."),
    },
    wrongs=(
        ("that is the luck of the chosen trial; asked is its true worth.", _chosen(give="luck")),
        ("the trial is chosen by its luck alone.", _chosen(by="luck")),
        ("luck is subtracted: a trial shows its worth plus its luck.", _chosen(by="less")),
        ("all methods of a table take the same trial: each has its own best.",
         _chosen(pick="together")),
        ("that is the mean over the trials: nothing is chosen.", lambda t, x: t.mean(2)),
        ("that is the mean over the trials: nothing is chosen.", lambda t, x: (t + x).mean(2)),
        ("that is the first trial, whatever it showed.", lambda t, x: t[..., 0]),
        ("that is the number of the trial; asked is its true worth.",
         lambda t, x: (t + x).argmax(2)),
        ("the best trial's true worth and the largest luck are added up.",
         lambda t, x: t.max(2) + x.max(2)),
        ("that is the median over the trials: nothing is chosen.", lambda t, x: np.median(t, 2)),
        *TRIALS.items(),
    ),
    shows="What looks best is better than the rest, and worse than it looks.",
)  # fmt: skip


# ---------------------------------------------------------------- 18.3: a run in twenty breaks
def _broken(attempt) -> Verdict:
    """Deviation, to a hundredth of it, and lead, to 0.03: readers draw their own runs."""
    names = ("deviation", "lead")
    if isinstance(attempt, dict) and set(names) <= set(attempt):
        attempt = [attempt[name] for name in names]
    found = numbers(attempt)
    if found is None or found.size != 2 or not np.isfinite(found).all():
        return misformed("asked: (deviation of a difference, lead seen), two numbers.")
    deviation, lead = found.ravel()
    off_deviation = abs(deviation / DEVIATION - 1) > 0.01
    off_lead = abs(lead - lead_seen()) > 0.03
    if not (off_deviation or off_lead):
        return right("A few broken runs blind a design more than all its other luck.")
    if off_deviation:
        for value, why in wrong_deviations():
            if abs(deviation - value) <= 0.006 * abs(value):
                return wrong(f"the deviation: {why}")
        return unknown(f"the deviation isn't {deviation:.4g}.")
    return wrong(f"the lead: {of_the_lead(lead)}")


BREAKS = Own(_broken, (DEVIATION, smallest_seen(DEVIATION, SEEDS, LEVEL)))

EXERCISES = {"18.0": HOLM, "18.1": PEEKING, "18.2": TUNED, "18.3": BREAKS}
