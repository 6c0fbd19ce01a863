"""Chapter 18: other figures that could be made of p-values, looks, trials and broken runs."""

import math
from collections.abc import Callable

import numpy as np

LUCK, LOSS, CHANCE, SEEDS, LEVEL = 0.1, 1.5, 0.05, 15, 0.05 / 4
DEVIATION = math.sqrt(2 * (LUCK**2 + CHANCE * (1 - CHANCE) * LOSS**2))


def taking(values, at):
    """The values at these places of the last axis."""
    return np.take_along_axis(values, at[..., None], 2)[..., 0]


def p_values(holm: Callable) -> dict[str, Callable]:
    """18.0: mistakes, told with the right function."""
    ranks = lambda p: np.argsort(np.argsort(p))
    harmonic = lambda m: sum(1 / k for k in range(1, m + 1))
    benjamini = lambda p, **more: holm(p, factor="rank", rising="down", cap=False, **more)
    return {
        "1 − (1 − p) to the power M: that is for independent comparisons; Holm multiplies.":
            lambda p: 1 - (1 - p) ** len(p),
        "only the smallest p is corrected; the next is multiplied by M − 1, and so on.":
            lambda p: np.where(p == p.min(), np.minimum(1, p * len(p)), p),
        "that is the smallest p, corrected; all are asked.": lambda p: holm(p).min(),
        "that is the number of those below 0.05; all corrected p-values are asked.":
            lambda p: (holm(p) < 0.05).sum(),
        "each p is divided by M: it becomes larger, not smaller.": lambda p: p / len(p),
        "those are levels that the p-values are held against; the p-values themselves, corrected, "
        "are asked.": lambda p: 0.05 / (len(p) - ranks(p)),
        "all have become the largest one: each is the largest of what stands below it and at it.":
            lambda p: np.full(len(p), holm(p).max()),
        "those are ranks; corrected p-values are asked.": lambda p: ranks(p) + 1.0,
        "that is Benjamini and Yekutieli's, for another promise.":
            lambda p: np.minimum(1, benjamini(p) * harmonic(len(p))),
        "M is divided by the rank (Benjamini and Hochberg's), and they come back sorted.":
            lambda p: np.minimum(1, benjamini(p, back="sorted")),
        "they come back sorted, the largest first; each should stand where its p stood.":
            lambda p: np.sort(holm(p))[::-1],
        "the larger of two is kept in the order given; it should be in the order of size.":
            lambda p: np.minimum(1, np.maximum.accumulate(p * (len(p) - ranks(p)))),
        "those from the first one above 0.05 on have become 1.":
            lambda p: np.where(holm(p) < 0.05, holm(p), 1.0),
        "`argsort` tells places, not ranks: the factors stand at the wrong p.":
            lambda p: np.minimum(1, p * (len(p) - np.argsort(p))),
        "they are cut off at 0.05.": lambda p: np.minimum(0.05, holm(p)),
        "that is Bonferroni's factor, and the larger of two is kept in the order given.":
            lambda p: np.maximum.accumulate(np.minimum(1, p * len(p))),
        "M − 1 multiplies all of them; the smallest gets M, the next M − 1, and so on.":
            lambda p: np.minimum(1, p * (len(p) - 1)),
    }  # fmt: skip


def in_place(p, change):
    """Sorted p-values and their factors, changed, made to rise, and put back."""
    p = np.asarray(p, float)
    order, out = np.argsort(p), np.empty(len(p))
    out[order] = np.maximum.accumulate(change(p[order], np.arange(len(p), 0, -1)))
    return out


# what is made of the p-values of all looks, (looks, tries), and of the level -> how it is said
LOOKS: dict[str, Callable] = {
    "only every second look is taken; there is one after each pair.":
        lambda p, level: (p[::2] < level).any(0).mean(),
    "only the first look and the last are taken.":
        lambda p, level: (p[[0, -1]] < level).any(0).mean(),
    "two looks must find, in yours; one is enough to stop.":
        lambda p, level: ((p < level).sum(0) >= 2).mean(),
    "two looks in a row must find, in yours; one is enough to stop.":
        lambda p, level: ((p[1:] < level) & (p[:-1] < level)).any(0).mean(),
    "those are the single tries, found or not; asked is their share, one number.":
        lambda p, level: (p < level).any(0) * 1.0,
    "that is the share found at each look; asked is the share of tries with such a look.":
        lambda p, level: (p < level).mean(1),
    "the shares of the looks are added up, so that a try counts several times.":
        lambda p, level: (p < level).mean(1).sum(),
    "that is the share of the look that finds most; asked is the share of tries with some look.":
        lambda p, level: (p < level).mean(1).max(),
    "that is what the looks before the last add; asked is the share found in all.":
        lambda p, level: (p < level).any(0).mean() - (p[-1] < level).mean(),
    "that is how far the share lies above the level; asked is the share.":
        lambda p, level: (p < level).any(0).mean() - level,
    "that is the mean of each try's smallest p; asked is how often it is below the level.":
        lambda p, level: p.min(0).mean(),
    "that is the mean p at all pairs; asked is how often some look is below the level.":
        lambda p, level: p[-1].mean(),
    "that is a formula for independent looks; these share their pairs, so count the tries.":
        lambda p, level: 1 - (1 - level) ** len(p),
}  # fmt: skip

# of true worths and luck, (tables, methods, trials)
TRIALS: dict[str, Callable] = {
    "that is the median over the trials: nothing is chosen.": lambda t, x: np.median(t + x, 2),
    "that is the last trial, whatever it showed.": lambda t, x: t[..., -1],
    "that is the best of the methods; each method's own is asked.":
        lambda t, x: taking(t, (t + x).argmax(2)).max(1),
    "that is the mean over the methods; each method's own is asked.":
        lambda t, x: taking(t, (t + x).argmax(2)).mean(1),
    "the best is looked for among the methods; it is one of a method's trials, the last axis.":
        lambda t, x: np.take_along_axis(t, (t + x).argmax(1)[:, None], 1)[:, 0],
    "that is what the choice loses on the best trial; asked is what it is worth.":
        lambda t, x: t.max(2) - taking(t, (t + x).argmax(2)),
    "worth and luck are multiplied; a trial shows their sum.":
        lambda t, x: taking(t, (t * x).argmax(2)),
    "what a trial shows has lost its sign; a large loss isn't the best.":
        lambda t, x: taking(t, abs(t + x).argmax(2)),
    "one trial of all tables and methods is taken; each method has its own best.":
        lambda t, x: np.full(t.shape[:2], t.ravel()[(t + x).argmax()]),
    "the mean luck is taken off what the best trial showed; its own luck should be.":
        lambda t, x: (t + x).max(2) - x.mean(2),
    "that is the trial that looks second best.":
        lambda t, x: taking(t, np.argsort(t + x, 2)[..., -2]),
    "the trial's number is used without its table and method: `np.take_along_axis` keeps them.":
        lambda t, x: np.take(t, (t + x).argmax(2)),
    "the trial is chosen by its luck alone, and luck is in the result, too.":
        lambda t, x: taking(t + x, x.argmax(2)),
    "the trial is chosen by its true worth, and luck is in the result.":
        lambda t, x: taking(t + x, t.argmax(2)),
    "that is the least worth of all trials.": lambda t, x: t.min(2),
    "that is the mean over the tables; each table's own is asked.":
        lambda t, x: np.broadcast_to(taking(t, (t + x).argmax(2)).mean(0), t.shape[:2]),
    "all tables take the same trial: each has its own best.":
        lambda t, x: taking(t, np.broadcast_to((t + x).mean(0).argmax(1), t.shape[:2])),
    "that is whether the best trial was chosen; asked is what the chosen one is worth.":
        lambda t, x: (t.argmax(2) == (t + x).argmax(2)) * 1.0,
    "the chosen worth is divided by the number of trials.":
        lambda t, x: taking(t, (t + x).argmax(2)) / t.shape[2],
}  # fmt: skip


def _more_deviations(luck: float, loss: float, q: float, seeds: int) -> list[tuple[float, str]]:
    """18.3: other deviations that could be made of these numbers."""
    broken = q * (1 - q) * loss**2
    whole, root = 2 * (luck**2 + broken), math.sqrt
    return [
        (root(2 * (luck**2 + q * loss)), "the loss goes in as it is; its square has the variance "
         "q (1 − q)."),
        (root(2 * (luck**2 + q * (1 - q) * loss)), "the loss goes in as it is, not its square."),
        (root(2 * (luck + broken)), "the luck goes in as it is; a variance is its square."),
        (2 * (luck + root(broken)), "deviations are added up and doubled; variances add."),
        (luck + root(broken), "deviations are added up; variances add, and a difference has two."),
        (root(whole) / seeds, "divided by the number of seeds: asked is one difference's."),
        (root(whole / (seeds - 1)), "that is of the mean of fifteen; asked is of one."),
        (root(whole * seeds), "that is of the sum of fifteen; asked is of one."),
        (root(2 * (luck**2 + (1 - q) * loss**2)), "q is left out of q (1 − q)."),
        (root(2 * (luck**2 + (q * loss) ** 2)), "that is the mean loss, squared; its variance is "
         "q (1 − q) times the square of 1.5."),
        (root(luck**2 + (q * loss) ** 2), "that is the mean loss, squared, and of one run; its "
         "variance is q (1 − q) times the square of 1.5."),
        (q * loss, "that is the mean loss of a run."),
        (2 * q * loss, "that is the mean loss of two runs."),
        (-root(whole), "a deviation isn't negative."),
        (100 * root(whole), "that is a hundred times too large: is it in per cent?"),
        (2 * luck, "that is twice the luck of a run, without broken ones; variances add."),
        (root(luck**2 + 2 * broken), "luck is that of one run, breaking that of two."),
    ]  # fmt: skip


def wrong_deviations() -> list[tuple[float, str]]:
    """Each with what it is."""
    broken = CHANCE * (1 - CHANCE) * LOSS**2
    run = DEVIATION / math.sqrt(2)
    return [
        (math.sqrt(2) * LUCK, "that is without broken runs."),
        (LUCK, "that is a run's luck without broken runs."),
        (run, "that is of one run; a difference has the luck of two."),
        (DEVIATION**2, "that is the variance: its root is asked."),
        (run**2, "that is the variance of one run."),
        (math.sqrt(2 * broken), "only the breaking is in it: the luck of 0.1 comes on top."),
        (math.sqrt(broken), "only the breaking is in it, and of one run."),
        (math.sqrt(2 * LUCK**2 + broken), "only one of the two methods breaks, in yours."),
        (math.sqrt(2 * (LUCK**2 + CHANCE * LOSS**2)), "the square of the mean loss is not taken "
         "off: that is a distance from zero."),
        (2 * run, "deviations are added up or doubled; variances add."),
        (math.sqrt(2) * (LUCK + math.sqrt(broken)), "deviations are added up; variances add."),
        (DEVIATION / math.sqrt(SEEDS), "that is of the mean of fifteen; asked is of one."),
        *_more_deviations(LUCK, LOSS, CHANCE, SEEDS),
    ]  # fmt: skip
