"""Attempts at chapter 18's exercises."""

import math

import numpy as np
import torch
from scipy.stats import t as student
from scipy.stats import ttest_1samp


# ---------------------------------------------------------------- 18.0: Holm's correction
def looped(p):
    """In plain Python, from the smallest on."""
    out, before, m = [0.0] * len(p), 0.0, len(p)
    for rank, (value, i) in enumerate(sorted((float(v), i) for i, v in enumerate(p))):
        before = out[i] = min(1.0, max(before, value * (m - rank)))
    return out


def by_rank(p):
    """Each p is the largest of what stands below it and at it."""
    ranks = np.argsort(np.argsort(p))
    times = p * (len(p) - ranks)
    return np.array([min(1, times[ranks <= r].max()) for r in ranks])


def in_torch(p):
    p = torch.as_tensor(p)
    sorted_p, order = p.sort()
    raised = (sorted_p * torch.arange(len(p), 0, -1)).cummax(0).values.clamp(max=1)
    return torch.empty_like(p).scatter(0, order, raised)


def changed(times, ends=np.maximum.accumulate, cap=1.0, place="back"):
    def attempt(p):
        p = np.asarray(p)
        order, m = np.argsort(p), len(p)
        raised = np.minimum(ends(p[order] * times(m, np.arange(m))), cap)
        out = np.empty(m)
        out[order] = raised
        return {"back": out, "sorted": raised, "again": raised[order]}[place]

    return attempt


falling, same = (lambda m, k: m - k), (lambda x: x)
down = lambda x: np.minimum.accumulate(x[::-1])[::-1]

HOLM_WRONG = [
    (lambda p: np.minimum(1, p * len(p)), "Bonferroni's"),
    (changed(falling, same), "fell below the one before"),
    (changed(falling, cap=9), "some are above 1"),
    (changed(falling, place="sorted"), "they come back sorted"),
    (changed(falling, place="again"), "in the wrong places"),
    (changed(lambda m, k: m - k - 1), "one too small"),
    (changed(lambda m, k: m - k + 1), "one too large"),
    (changed(lambda m, k: k + 1), "begins with the smallest"),
    (changed(lambda m, k: k + 1, same), "begins with the smallest"),
    (changed(falling, down), "Hochberg"),
    (changed(lambda m, k: m / (k + 1), down), "Benjamini"),
    (changed(lambda m, k: m / (k + 1), same), "Holm subtracts"),
    (changed(falling, np.cumsum), "added up along the way"),
    (changed(falling, same, 9), "Second: some are above 1"),
    (changed(falling, same, place="sorted"), "Second: they come back sorted"),
    (changed(lambda m, k: 1 / (m - k)), "becomes larger, not smaller"),
    (lambda p: p * (len(p) - np.arange(len(p))), "follow the order given"),
    (lambda p: np.array(looped(p)) < 0.05, "whether each is below 0.05"),
    (lambda p: p.copy(), "nothing is corrected"),
    (lambda p: looped(p)[0], "it gives one number"),
]


# ---------------------------------------------------------------- 18.1: until it works
def p_of(d):
    """A t-test of each row, by hand."""
    n = d.shape[1]
    statistic = d.mean(1) / d.std(1, ddof=1) * math.sqrt(n)
    return 2 * student.sf(abs(statistic), n - 1)


def by_hand(differences, first, level):
    found = np.zeros(len(differences), bool)
    for n in range(first, differences.shape[1] + 1):
        found |= p_of(differences[:, :n]) < level
    return found.mean()


def one_by_one(differences, first, level):
    count = 0
    for row in differences:
        n = first
        while n <= len(row) and ttest_1samp(row[:n], 0).pvalue >= level:
            n += 1
        count += n <= len(row)
    return count / len(differences)


def looking(end, sizes=lambda first, n: range(first, n + 1), part=lambda d, n, _: d[:, :n], p=p_of):
    def attempt(d, first, level):
        found = np.array([p(part(d, n, first)) for n in sizes(first, d.shape[1])])
        return end(found, level).mean()

    return attempt


some = lambda p, level: p.min(0) < level
sided = lambda side: lambda d: ttest_1samp(d, 0, axis=1, alternative=side).pvalue

PEEKING_WRONG = [
    (lambda d, first, level: np.mean(p_of(d) < level), "one look, at all pairs"),
    (lambda d, first, level: np.mean(p_of(d[:, :first]) < level), "one look, at the first pairs"),
    (looking(lambda p, level: p < level), "share of looks"),
    (looking(lambda p, level: p.max(0) < level), "every look must find"),
    (looking(lambda p, level: p.mean(0) < level), "are averaged"),
    (looking(lambda p, level: p.min(0) >= level), "find nothing"),
    (looking(lambda p, level: p.min(0) < level / len(p)), "divided by the number of looks"),
    (looking(some, lambda first, n: range(first, n)), "the last look"),
    (looking(some, lambda first, n: range(first + 1, n + 1)), "the first look"),
    (looking(some, lambda first, n: range(first + 1, n)), "Second: the last look"),
    (looking(some, p=sided("greater")), "one-sided"),
    (looking(some, p=sided("less")), "one-sided"),
    (looking(some, part=lambda d, n, first: d[:, n - first : n]), "the newest pairs alone"),
    (looking(some, p=lambda d: p_of(abs(d))), "lost their signs"),
    (lambda d, first, level: by_hand(d, first, level / 2), "the level is halved"),
    (lambda *args: 100 * by_hand(*args), "in per cent"),
    (lambda d, *args: len(d) * by_hand(d, *args), "a number of tries"),
]


# ---------------------------------------------------------------- 18.2: care for your own
def picked(true, luck):
    """In loops."""
    tables, methods, _ = true.shape
    best = lambda t, m: max(zip(true[t, m] + luck[t, m], true[t, m], strict=True))[1]
    return [[best(t, m) for m in range(methods)] for t in range(tables)]


def gathered(true, luck):
    true, luck = torch.as_tensor(true), torch.as_tensor(luck)
    return true.gather(2, (true + luck).argmax(2, keepdim=True)).squeeze(2)


def masked(true, luck):
    seen = true + luck
    return np.where(seen == seen.max(2, keepdims=True), true, 0).sum(2)


def taking(values, at):
    return np.take_along_axis(values, at[..., None], 2)[..., 0]


TUNED_WRONG = [
    (lambda true, luck: (true + luck).max(2), "its luck included"),
    (lambda true, luck: true.max(2), "which nobody sees"),
    (lambda true, luck: taking(luck, (true + luck).argmax(2)), "the luck of the chosen"),
    (lambda true, luck: taking(true, luck.argmax(2)), "by its luck alone"),
    (lambda true, luck: taking(true, (true - luck).argmax(2)), "luck is subtracted"),
    (lambda true, luck: taking(true, (true + luck).argmin(2)), "looks worst"),
    (lambda true, luck: true.mean(2), "nothing is chosen"),
    (lambda true, luck: (true + luck).mean(2), "nothing is chosen"),
    (lambda true, luck: true[:, :, 0], "the first trial"),
    (lambda true, luck: (true + luck).argmax(2), "the number of the trial"),
    (lambda true, luck: np.take_along_axis(
        true, (true + luck).mean(1).argmax(1)[:, None, None], 2)[..., 0], "the same trial"),
    (lambda true, luck: true.max(2) + luck.max(2), "are added up"),
    (lambda true, luck: taking(true, (true + luck).argmax(2)).mean(), "one number"),
]  # fmt: skip

# ---------------------------------------------------------------- 18.3: a run in twenty breaks
RIGHT = {
    "18.0": [looped, by_rank, in_torch, changed(falling)],
    "18.1": [by_hand, one_by_one, lambda *args: torch.tensor(by_hand(*args))],
    "18.2": [picked, gathered, masked],
    "18.3": [(0.483, 0.48), {"deviation": 0.4835, "lead": 0.46}, np.array([0.484, 0.475])],
}
WRONG = {
    "18.0": HOLM_WRONG,
    "18.1": PEEKING_WRONG,
    "18.2": TUNED_WRONG,
    "18.3": [
        ((0.141, 0.48), "without broken runs"),
        ((0.342, 0.48), "of one run"),
        ((0.234, 0.48), "its root is asked"),
        ((0.462, 0.48), "comes on top"),
        ((0.356, 0.48), "only one of the two"),
        ((0.495, 0.48), "not taken off"),
        ((0.684, 0.48), "variances add"),
        ((0.483, 0.14), "without broken runs"),
        ((0.483, 0.38), "found at 0.05"),
        ((0.483, 0.335), "or that is with one run's deviation"),
        ((0.483, 1.2), "five seeds"),
        (0.483, "two numbers"),
    ],
}


# ---------------------------------------------------------------- more of them
WRONG["18.0"] += [
    (lambda p: 1 - (1 - p) ** len(p), "1 −"),
    (lambda p: np.sort(np.minimum(1, p * len(p))), "Second: they come back sorted"),
    (
        lambda p: np.where(p == p.min(), np.minimum(1, p * len(p)), p),
        "only the smallest p is corrected",
    ),
    (lambda p: float(min(1, p.min() * len(p))), "that is the smallest p"),
    (lambda p: p / len(p), "each p is divided by M"),
    (
        lambda p: 0.05 / (len(p) - np.argsort(np.argsort(p))),
        "those are levels that the p-values are held against",
    ),
    (lambda p: p * len(p), "Second: some are above 1: a p-value is a share"),
    (lambda p: np.minimum(1, p * (len(p) - 1)), "M − 1 multiplies all of them"),
    (lambda p: np.full(len(p), max(looped(p))), "all have become the largest one"),
    (lambda p: np.argsort(np.argsort(p)) + 1.0, "those are ranks"),
    (
        lambda p: np.minimum(
            1,
            np.array(changed(lambda m, k: m / (k + 1), down, 9)(p))
            * sum(1 / i for i in range(1, len(p) + 1)),
        ),
        "that is Benjamini and Yekutieli's",
    ),
    (changed(lambda m, k: m / (k + 1), down, 1, "sorted"), "M is divided by the rank"),
    (lambda p: np.sort(looped(p))[::-1], "they come back sorted"),
    (
        lambda p: np.minimum(1, np.maximum.accumulate(p * (len(p) - np.argsort(np.argsort(p))))),
        "the larger of two is kept in the order given",
    ),
    (
        lambda p: np.minimum(1, p * (np.argsort(np.argsort(p)) + 1)),
        "the largest p gets the largest factor",
    ),
    (
        lambda p: np.where(np.array(looped(p)) < 0.05, looped(p), 1.0),
        "those from the first one above 0.05 on have become 1",
    ),
    (lambda p: int((np.array(looped(p)) < 0.05).sum()), "that is the number of those below 0.05"),
    (lambda p: np.array(looped(p)) < 0.05, "that is whether each is below 0.05"),
    (lambda p: np.minimum(1, p * (len(p) - np.argsort(p))), "`argsort` tells places"),
    (lambda p: np.minimum(0.05, looped(p)), "they are cut off at 0.05"),
    (lambda p: np.maximum.accumulate(np.minimum(1, p * len(p))), "that is Bonferroni's factor"),
    (lambda p: np.minimum(1, 2 * np.array(looped(p))), "`p` goes in doubled"),
    (lambda p: 1 - np.array(looped(p)), "yours is one minus the right value"),
]
WRONG["18.2"] += [
    (lambda t, x: np.median(t + x, 2), "that is the median over the trials"),
    (lambda t, x: t[..., -1], "that is the last trial"),
    (lambda t, x: taking(t, (t + x).argmax(2)).max(1), "that is the best of the methods"),
    (lambda t, x: taking(t, (t + x).argmax(2)).mean(1), "that is the mean over the methods"),
    (
        lambda t, x: np.take_along_axis(t, (t + x).argmax(1)[:, None], 1)[:, 0],
        "the best is looked for among the methods",
    ),
    (
        lambda t, x: (t + x).max(2) - taking(t, (t + x).argmax(2)),
        "that is the luck of the chosen trial",
    ),
    (
        lambda t, x: t.max(2) - taking(t, (t + x).argmax(2)),
        "that is what the choice loses on the best trial",
    ),
    (
        lambda t, x: taking(t, (t + x).argmax(2)) + taking(x, (t + x).argmax(2)),
        "that is what the best trial showed",
    ),
    (lambda t, x: taking(t, (t + x / 2).argmax(2)), "`luck` goes in halved"),
    (lambda t, x: taking(t, (t * x).argmax(2)), "worth and luck are multiplied"),
    (lambda t, x: taking(t, np.abs(t + x).argmax(2)), "what a trial shows has lost its sign"),
    (
        lambda t, x: np.full(t.shape[:2], t.ravel()[(t + x).argmax()]),
        "one trial of all tables and methods is taken",
    ),
    (
        lambda t, x: (t + x).max(2) - x.mean(2),
        "the mean luck is taken off what the best trial showed",
    ),
    (
        lambda t, x: taking(t, np.argsort(t + x, 2)[..., -2]),
        "that is the trial that looks second best",
    ),
    (
        lambda t, x: (
            t[:, :, (t + x).argmax(2)][..., 0][:, :, 0] if 0 else np.take(t, (t + x).argmax(2))
        ),
        "the trial's number is used without its table and method",
    ),
    (
        lambda t, x: (np.where((t + x) == (t + x).max(2, keepdims=True), t, 0)).mean(2),
        "the chosen worth is divided by the number of trials",
    ),
    (lambda t, x: taking(t + x, x.argmax(2)), "the trial is chosen by its luck alone"),
    (lambda t, x: taking(t + x, t.argmax(2)), "the trial is chosen by its true worth"),
    (lambda t, x: t.min(2), "that is the least worth of all trials"),
    (
        lambda t, x: np.broadcast_to(taking(t, (t + x).argmax(2)).mean(0), t.shape[:2]),
        "that is the mean over the tables",
    ),
    (
        lambda t, x: taking(t, np.broadcast_to((t + x).mean(0).argmax(1), t.shape[:2])),
        "all tables take the same trial",
    ),
    (
        lambda t, x: (t.argmax(2) == (t + x).argmax(2)) * 1.0,
        "that is whether the best trial was chosen",
    ),
]
WRONG["18.1"] += [
    (lambda d, f, level: by_hand(d, 2, level), "it doesn't look at `first`"),
    (looking(some, sizes=lambda f, m: range(f, m + 1, 2)), "only every second look is taken"),
    (looking(some, sizes=lambda f, m: (f, m)), "only the first look and the last are taken"),
    (
        lambda d, f, level: 1 - (1 - level) ** (d.shape[1] - f + 1),
        "that is a formula for independent looks",
    ),
    (
        lambda d, f, level: float(
            np.mean(np.min([p_of(d[:, :m]) for m in range(f, d.shape[1] + 1)], 0))
        ),
        "that is the mean of each try's smallest p",
    ),
    (lambda d, f, level: float(p_of(d).mean()), "that is the mean p at all pairs"),
    (looking(lambda p, level: (p < level).sum(0) >= 2), "two looks must find"),
    (
        looking(lambda p, level: ((p[1:] < level) & (p[:-1] < level)).any(0)),
        "two looks in a row must find",
    ),
    (
        lambda d, f, level: np.min([p_of(d[:, :m]) for m in range(f, d.shape[1] + 1)], 0) < level,
        "those are the single tries",
    ),
    (
        lambda d, f, level: np.array(
            [(p_of(d[:, :m]) < level).mean() for m in range(f, d.shape[1] + 1)]
        ),
        "that is the share found at each look",
    ),
    (
        lambda d, f, level: max((p_of(d[:, :m]) < level).mean() for m in range(f, d.shape[1] + 1)),
        "that is the share of the look that finds most",
    ),
    (
        lambda d, f, level: sum((p_of(d[:, :m]) < level).mean() for m in range(f, d.shape[1] + 1)),
        "the shares of the looks are added up",
    ),
    (
        lambda d, f, level: by_hand(d, f, level) - float((p_of(d) < level).mean()),
        "that is what the looks before the last add",
    ),
    (
        lambda d, f, level: by_hand(d, f, level) - level,
        "that is how far the share lies above the level",
    ),
]
WRONG["18.3"] += [
    ((0.4835, 0.38), "that is found at 0.05"),
    ((0.342, 0.34), "that is of one run"),
    ((0.4835, 0.3395), "that is found in half of the cases"),
    ((0.4835, 0.606), "or that is found at 0.05/23"),
    ((0.4835, 0.44), "that is what sign flips find"),
    ((0.4835, 0.7), "a t-test of fifteen pairs finds yours in about"),
    ((0.4835, -0.47), "it is above 0"),
    ((0.2338, 0.48), "that is the variance"),
    ((0.327, 0.48), "only the breaking is in it"),
    ((0.4624, 0.48), "only the breaking is in it"),
    ((0.1, 0.48), "that is a run's luck without broken runs"),
    ((0.4835, 0.335), "that is with one run's deviation"),
    ((0.4835, 0.125), "that is without broken runs"),
    ((0.4835, 0.14), "that is without broken runs"),
    ((0.2, 0.48), "that is twice the luck of a run"),
    ((0.1414, 0.14), "that is without broken runs"),
    ((0.342, 0.48), "that is of one run"),
    ((0.15, 0.48), "that is the mean loss of two runs"),
    ((0.075, 0.48), "that is the mean loss of a run"),
    ((0.4835, 0.075), "that is the mean loss of a run"),
    ((0.4835, 0.15), "that is without broken runs"),
    ((0.4123, 0.48), "the loss goes in as it is"),
    ((0.4031, 0.48), "the loss goes in as it is"),
    ((0.6432, 0.48), "the luck goes in as it is"),
    ((0.473, 0.48), "luck is that of one run"),
    ((0.854, 0.48), "deviations are added up and doubled"),
    ((0.427, 0.48), "deviations are added up"),
    ((0.0322, 0.48), "divided by the number of seeds"),
    ((0.1292, 0.48), "that is of the mean of fifteen"),
    ((1.8726, 0.48), "that is of the sum of fifteen"),
    ((2.0724, 0.48), "q is left out of q (1 − q)"),
    ((0.1768, 0.48), "that is the mean loss"),
    ((48.35, 48), "that is a hundred times too large"),
    ((-0.4835, 0.48), "a deviation isn't negative"),
]
