"""Chapter 19: attempts at pairs of scores, who wins, both orders, straight lines."""

import math
import random

import numpy as np
import torch


# ---------------------------------------------------------------- 19.0
def with_numpy(judged, rule):
    rng, rows = np.random.default_rng(3), []
    for g in judged:
        s = np.array(g["scores"])
        lower = np.flatnonzero(s < s.max())
        if lower.size == 0:
            continue
        at = lower[s[lower].argmin()] if rule == "worst" else rng.choice(lower)
        text = g["responses"]
        rows += [{"prompt": g["prompt"], "chosen": text[s.argmax()], "rejected": text[at]}]
    return rows


def by_sorting(judged, rule):
    out = []
    for g in judged:
        order = sorted(range(len(g["scores"])), key=lambda i: -g["scores"][i])
        rest = [i for i in order[1:] if g["scores"][i] != g["scores"][order[0]]]
        if rest:
            other = rest[-1] if rule == "worst" else rest[int(random.random() * len(rest))]
            best, other = g["responses"][order[0]], g["responses"][other]
            out.append({"prompt": g["prompt"], "chosen": best, "rejected": other})
    return tuple(out)


def make(pick=None, best=max, ties="lower", row=None, skip=None, again=False):
    """A rule with one thing changed."""

    def attempt(judged, rule):
        rng, rows = random.Random(1), []
        for g in judged:
            rng = random.Random(1) if again else rng
            both = list(zip(g["scores"], g["responses"], strict=True))
            top = best(both)
            others = {
                "lower": [b for b in both if b[0] != top[0]],
                "others": [b for b in both if b != top],
                "all": both,
            }[ties]
            if not others or (skip and skip(g)):
                continue
            usual = min(others) if rule == "worst" else rng.choice(others)
            other = pick(sorted(others, reverse=True), rule, rng) if pick else usual
            new = {"prompt": g["prompt"], "chosen": top[1], "rejected": other[1]}
            rows += [row(new, top, other)] if row else [new]
        return rows

    return attempt


def two_drawn(judged, rule):
    rng, rows = random.Random(0), []
    for g in judged:
        if len(g["scores"]) > 1:
            both = rng.sample(list(zip(g["scores"], g["responses"], strict=True)), 2)
            low, high = sorted(both)
            if low[0] < high[0]:
                rows.append({"prompt": g["prompt"], "chosen": high[1], "rejected": low[1]})
    return rows


def each_other(judged, rule):
    return [
        {"prompt": g["prompt"], "chosen": best[1], "rejected": other[1]}
        for g in judged
        for best in [max(zip(g["scores"], g["responses"], strict=True))]
        for other in zip(g["scores"], g["responses"], strict=True)
        if other[0] < best[0]
    ]


def by_prompt(judged, rule):
    return list({row["prompt"]: row for row in with_numpy(judged, rule)}.values())


turn = lambda new, top, other: new | {"chosen": new["rejected"], "rejected": new["chosen"]}
BINARISE_WRONG = [
    (make(lambda rest, rule, rng: rest[-1]), "always the worst"),
    (make(lambda rest, rule, rng: rng.choice(rest)), "always a random one"),
    (make(lambda rest, rule, rng: rest[0]), "with either rule the second best"),
    (make(lambda rest, rule, rng: rest[-1] if rule == "worst" else rest[0]),
     '"random" rejects the second best'),
    (make(lambda rest, rule, rng: rest[0] if rule == "worst" else rng.choice(rest)),
     '"worst" rejects the second best'),
    (make(lambda rest, rule, rng: rest[-1] if rule == "random" else rng.choice(rest)),
     "changed places"),
    (make(best=min, pick=lambda rest, rule, rng: rest[0] if rule == "worst" else rng.choice(rest)),
     "the order is turned"),
    (make(ties="others"), "as high as the best"),
    (make(ties="all"), "itself can be drawn"),
    (make(row=turn), "chosen and rejected have changed places"),
    (make(skip=lambda g: len(g["scores"]) < 4), "fewer than four"),
    (make(skip=lambda g: g["scores"].count(max(g["scores"])) > 1), "whose best score is shared"),
    (make(again=True), "by lot"),
    (make(best=lambda both: both[0]), ""),
    (make(row=lambda new, top, other: new | {"chosen": top}), "texts of the group"),
    (make(row=lambda new, top, other: (new["chosen"], new["rejected"])), "a list of rows"),
    (make(row=lambda new, top, other: {"chosen": new["chosen"], "rejected": new["rejected"]}),
     'needs "prompt"'),
    (two_drawn, "two responses are drawn"),
    (each_other, "with each of the others"),
    (by_prompt, "some groups leave no pair"),
]  # fmt: skip
BINARISE_WRONG = [(f, why) for f, why in BINARISE_WRONG if why]


# ---------------------------------------------------------------- 19.1
def in_a_loop(judged):
    counts, n = {"a": 0, "b": 0, "c": 0, "d": 0}, 0
    for g in judged:
        if len(g["responses"]) == 4:
            n += 1
            counts["abcd"[g["scores"].index(max(g["scores"]))]] += 1
    return {k: c / n for k, c in counts.items()}


def fours(judged):
    return np.array([g["scores"] for g in judged if len(g["scores"]) == 4])


def with_torch(judged):
    s = torch.tensor(fours(judged)).float()
    return (s == s.max(1, keepdim=True).values).float().mean(0)


def share(counts):
    return np.array(counts) / sum(counts)


def counts_of(rows, pick=np.argmax):
    return [sum(pick(row) == k for row in rows) for k in range(4)]


WHO_WRONG = [
    (lambda judged: share(counts_of([g["scores"] for g in judged])), "there the places are others"),
    (lambda judged: counts_of(fours(judged)), "those are counts"),
    (lambda judged: np.array(counts_of(fours(judged))) / len(judged), "of all groups"),
    (lambda judged: share(counts_of(fours(judged), np.argmin)), "is the worst"),
    (lambda judged: fours(judged).mean(0), "mean scores"),
    (lambda judged: [(fours(judged)[:, k : k + 1] > fours(judged)).sum(1).mean() / 3
                     for k in range(4)], "all three must be beaten"),
    (lambda judged: (fours(judged) > fours(judged)[:, [0]]).mean(0), "beats the first one"),
    (lambda judged: fours(judged).argsort(1).argsort(1).mean(0), "mean ranks"),
    (lambda judged: 100 * share(counts_of(fours(judged))), "100 times"),
    (lambda judged: sorted(share(counts_of(fours(judged)))), "sorted by size"),
    (lambda judged: int(np.argmax(counts_of(fours(judged)))), "the winner alone"),
    (lambda judged: share(counts_of(fours(judged), lambda r: np.argsort(r)[2])), "comes second"),
    (lambda judged: share(counts_of(fours(judged)))[::-1], "opposite order"),
    (lambda judged: 1 - share(counts_of(fours(judged))), "the other side"),
    (lambda judged: fours(judged).max(0), ""),
    (lambda judged: (fours(judged) > 0).mean(0), "above 0"),
]  # fmt: skip
WHO_WRONG = [(f, why) for f, why in WHO_WRONG if why]


# ---------------------------------------------------------------- 19.2
s = lambda x: 1 / (1 + np.exp(-x))
BOTH_WRONG = [
    (lambda d, b: s(d + b), "asked once"),
    (lambda d, b: (s(d + b) + s(d + b)) / 2, "asked once"),
    (lambda d, b: (s(d + b) + 1 - s(-d - b)) / 2, "asked once"),
    (lambda d, b: 1 - s(-d + b), "in the other order alone"),
    (lambda d, b: s(-d + b), "the second text's probability"),
    (lambda d, b: (s(d + b) + s(-d + b)) / 2, "σ is the second text's"),
    (lambda d, b: (s(d + b) + 1 - s(-d)) / 2, "likes the first place in the other"),
    (lambda d, b: (s(d + b) + s(d)) / 2, "likes the first place in the other"),
    (lambda d, b: s(d + b) + 1 - s(b - d), "added up"),
    (lambda d, b: s((d + b + d - b) / 2), "mean of log-odds"),
    (lambda d, b: s(d), "without its bias"),
    (lambda d, b: s(d + b) * s(d - b), "multiplied"),
    (lambda d, b: s(2 * d), "log-odds are added up"),
    (lambda d, b: np.sqrt(s(d + b) * s(d - b)), "geometric"),
    (lambda d, b: (d > 0).astype(float), "those are labels"),
    (lambda d, b: (d > 0), "those are labels"),
    (lambda d, b: s(d + b) > 0.5, "a judge that is asked once"),
    (lambda d, b: ((s(d + b) > 0.5) + (s(d - b) > 0.5) * 1.0) / 2, "mean labels"),
    (lambda d, b: 1 - (s(d + b) + s(d - b)) / 2, "the other side"),
    (lambda d, b: np.mean((s(d + b) + s(d - b)) / 2), "one for each pair"),
    (lambda d, b: (s(d + b) - s(b - d)) / 2, "one half is missing"),
    (lambda d, b: s(d) + b, "belongs into σ"),
    (lambda d, b: s(d * b), "multiplies the difference"),
    (lambda d, b: (s(d + 1) + s(d - 1)) / 2, "`b` is left out (as if it were 1)"),
]  # fmt: skip


def by_loop(d, bias):
    sigma = lambda x: math.exp(x) / (1 + math.exp(x))
    return [round((sigma(x + bias) + 1 - sigma(bias - x)) / 2, 3) for x in d]


def by_torch(d, bias):
    d = torch.tensor(d, dtype=torch.float32)
    return torch.stack([(d + bias).sigmoid(), (d - bias).sigmoid()]).mean(0)


# ---------------------------------------------------------------- 19.3
LINES_WRONG = [
    ((0.008, 0.001), "at a KL of 1"),
    ((4.62, 4.83), "those are the readings"),
    ((0.113, 0.315), "not in the order"),
    ((-0.31, -0.11), "the sign is turned"),
    ((0.31, 0.31), "both lines are straight in KL"),
    ((0.31, -0.10), "the logarithm of KL"),
    ((0.31, 0.65), "the square of KL"),
    ((0.31, -1.35), "needs its root, too"),
    ((0.31, 1.45), "the curve's KLs need"),
    ((1.79, 1.83), "the runs' own rewards"),
    ((0.31, 0.20), "between the two lines"),
    ((0.064, 0.023), "shares of the optimum's reward"),
    (0.31, "2 in all"),
]

RIGHT = {
    "19.0": [with_numpy, by_sorting, make()],
    "19.1": [lambda judged: share(counts_of(fours(judged))), in_a_loop, with_torch],
    "19.2": [lambda d, bias: (s(d + bias) + 1 - s(-d + bias)) / 2, by_loop, by_torch],
    "19.3": [(0.31, 0.11), {"in its root": 0.1131, "in KL": 0.3148}, np.array([0.315, 0.113])],
}
WRONG = {"19.0": BINARISE_WRONG, "19.1": WHO_WRONG, "19.2": BOTH_WRONG, "19.3": LINES_WRONG}


# ---------------------------------------------------------------- more of them
WRONG["19.1"] += [
    (
        lambda judged: share(counts_of([g["scores"] for g in judged])),
        "groups with a response fewer are counted",
    ),
    (
        lambda judged: share(counts_of(fours(judged), lambda r: np.argsort(r)[1])),
        "that is how often each source comes third",
    ),
    (
        lambda judged: 1 - share(counts_of(fours(judged), np.argmin)),
        "that is how often a source isn't the worst",
    ),
    (
        lambda judged: np.array(
            [np.mean([k in np.argsort(r)[2:] for r in fours(judged)]) for k in range(4)]
        ),
        "that is how often a source is among the best two",
    ),
    (
        lambda judged: (
            np.exp(fours(judged) - fours(judged).max(1, keepdims=True))
            .__truediv__(
                np.exp(fours(judged) - fours(judged).max(1, keepdims=True)).sum(1, keepdims=True)
            )
            .mean(0)
        ),
        "those are shares of a softmax over each group",
    ),
    (lambda judged: np.median(fours(judged), 0), "those are medians of the scores"),
    (lambda judged: fours(judged).max(0), "those are the largest scores of each source"),
    (lambda judged: fours(judged).std(0), "that is the spread of each source's scores"),
    (
        lambda judged: np.exp(fours(judged).mean(0)) / np.exp(fours(judged).mean(0)).sum(),
        "that is a softmax of the mean scores",
    ),
    (
        lambda judged: fours(judged).sum(0) / fours(judged).sum(),
        "those are shares of all scores added up",
    ),
    (
        lambda judged: np.array(
            [(fours(judged)[:, k] > fours(judged)[:, (k + 1) % 4]).mean() for k in range(4)]
        ),
        "that is how often a source beats the next one",
    ),
    (
        lambda judged: np.eye(4)[np.unravel_index(fours(judged).argmax(), fours(judged).shape)[1]],
        "one source gets everything",
    ),
    (lambda judged: np.eye(4)[fours(judged).mean(0).argmax()], "one source gets everything"),
    (lambda judged: (lambda p: p / (1 - p))(share(counts_of(fours(judged)))), "those are odds"),
    (
        lambda judged: share(counts_of(fours(judged))) - 0.25,
        "that is how far the shares lie above a quarter",
    ),
    (lambda judged: share(counts_of(fours(judged))) * 4, "yours is 4 times the right value"),
    (lambda judged: dict(enumerate(counts_of(fours(judged)))), "those are counts"),
    (
        lambda judged: share([sum(np.argmax(g["scores"]) == k for g in judged) for k in range(4)]),
        "groups with a response fewer are counted",
    ),
    (lambda judged: fours(judged).argmax(1), "those are the winners of the groups"),
    (lambda judged: share(counts_of(np.abs(fours(judged)))), "the scores have lost their signs"),
    (
        lambda judged: share(counts_of(fours(judged))) - share(counts_of(fours(judged), np.argmin)),
        "that is how often a source wins less how often it comes ",
    ),
    (
        lambda judged: share(
            counts_of(
                [[len(t) for t in g["responses"]] for g in judged if len(g["responses"]) == 4]
            )
        ),
        "it doesn't look at `judged`",
    ),
    (lambda judged: fours(judged).argsort(1).argsort(1).mean(0) / 3, "those are mean ranks"),
    (
        lambda judged: fours(judged).argsort(1).mean(0),
        "`argsort` tells which source stands at a place",
    ),
    (
        lambda judged: (fours(judged) - fours(judged).mean(1, keepdims=True)).mean(0),
        "those are mean scores",
    ),
    (
        lambda judged: (fours(judged) - np.sort(fours(judged), 1)[:, [-2]]).mean(0),
        "those are mean leads over the second best",
    ),
    (
        lambda judged: (fours(judged) > fours(judged)[:, 3:]).mean(0),
        "that is how often a source beats the last one",
    ),
    (
        lambda judged: share(counts_of(fours(judged)[: len(fours(judged)) // 2])),
        "only the first half of the groups is counted",
    ),
]
WRONG["19.2"] += [
    (lambda d, b: (s(d + b) + s(d - 2 * b)) / 2, "the bias goes in once"),
    (lambda d, b: (1 - s(d + b) + s(b - d)) / 2, "yours is one minus the right value"),
    (lambda d, b: np.maximum(s(d + b), 1 - s(b - d)), "that is the judge asked once"),
    (
        lambda d, b: np.minimum(s(d + b), 1 - s(b - d)),
        "that is the judge asked in the other order alone",
    ),
    (
        lambda d, b: (np.log(s(d + b)) + np.log(1 - s(b - d))) / 2,
        "that is the mean of two logarithms",
    ),
    (
        lambda d, b: s(d + b) * s(d - b) / (s(d + b) * s(d - b) + (1 - s(d + b)) * (1 - s(d - b))),
        "the log-odds are added up",
    ),
    (
        lambda d, b: s(d + b) / (s(d + b) + s(b - d)),
        "that is the first order's answer as a share of both text",
    ),
    (lambda d, b: (s(d) + b + s(d) - b) / 2, "that is the judge without its bias"),
    (lambda d, b: (s(d + 2 * b) + s(d - 2 * b)) / 2, "the bias goes in twice as large"),
    (lambda d, b: (s(d + b / 2) + s(d - b / 2)) / 2, "`b` goes in halved"),
    (lambda d, b: (((s(d + b) + 1 - s(b - d)) / 2) > 0.5) * 1.0, "those are labels"),
    (lambda d, b: ((s(d + b) + 1 - s(b - d)) / 2) > 0.5, "those are labels"),
    (
        lambda d, b: float(((d + b > 0) != (d > 0)).mean()),
        "that is the share of labels that one order gets wrong",
    ),
    (lambda d, b: (np.exp(d + b) + np.exp(d - b)) / 2, "that is a mean of odds"),
    (
        lambda d, b: (lambda p: np.log(p / (1 - p)))((s(d + b) + s(d - b)) / 2),
        "those are log-odds of the mean",
    ),
    (lambda d, b: (np.tanh(d + b) + np.tanh(d - b)) / 2, "tanh stands in place of σ"),
    (lambda d, b: (s(0.6 * (d + b)) + s(0.6 * (d - b))) / 2, "β 0.6 stands in the σ"),
    (
        lambda d, b: (s(d + b) + s(-d + b) - 1) / 2,
        "the second text's σ in the other order goes in as it is",
    ),
    (
        lambda d, b: s(d + b) + s(-d + b) - 1,
        "the second text's σ in the other order goes in as it is",
    ),
    (lambda d, b: (1 - s(-d + b) + s(-d - b)) / 2, "both answers are the second text's in part"),
    (lambda d, b: (s(d + b) + 1 - s(-d - b)) / 2, "that is the judge asked once"),
    (lambda d, b: (np.sign(d + b) == np.sign(d - b)) * 1.0, "those are 1 where both orders agree"),
    (lambda d, b: np.log((s(d + b) + s(d - b)) / 2), "yours is the logarithm of the right value"),
    (
        lambda d, b: -np.log((s(d + b) + s(d - b)) / 2),
        "yours is minus the logarithm of the right value",
    ),
    (
        lambda d, b: (s(d + b) + s(d) + s(d - b)) / 3,
        "the judge without bias is the third in the mean",
    ),
]
WRONG["19.3"] += [
    ((0.315, 0.315), "both lines are straight in KL"),
    ((0.113, 0.113), "both lines are straight in the root"),
    ((0.315, 0.202), "that is the gap between the two lines"),
    ((0.202, 0.113), "that is the gap between the two lines"),
    ((4.62, 0.113), "that is the reading"),
    ((0.315, 4.83), "that is the reading"),
    ((0.008, 0.113), "at 5"),
    ((0.315, 0.001), "at 5"),
    ((0.064, 0.113), "that is a share of the optimum's reward"),
    ((4.94, 4.94), "that is the optimum itself"),
    ((0.315, -0.113), "the size is right"),
    ((-0.315, 0.113), "the size is right"),
    ((0.16, 0.06), "that is half the right number"),
    ((0.315, 0.23), "that is twice the right number"),
    ((4.62, 4.83), "those are the readings"),
]


def by_distance(judged, rule="random"):
    rng, rows = np.random.default_rng(0), []
    for g in judged:
        s = np.array(g["scores"], float)
        behind = s.max() - s
        if behind.sum():
            at = int(rng.choice(len(s), p=behind / behind.sum()))
            at = at if rule == "random" else int(s.argmin())
            sides = {"chosen": g["responses"][s.argmax()], "rejected": g["responses"][at]}
            rows.append({"prompt": g["prompt"]} | sides)
    return rows


WRONG["19.0"] += [(by_distance, "some of a group too seldom")]
