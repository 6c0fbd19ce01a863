"""Attempts at chapter 20's exercises."""

import math

import numpy as np
import torch


# ---------------------------------------------------------------- 20.0
def by_counting(a, b):
    higher = sum(x > y for x, y in zip(a, b, strict=True))
    same = sum(x == y for x, y in zip(a, b, strict=True))
    return (higher + 0.5 * same) / len(a)


def by_torch(a, b):
    gap = torch.tensor(a) - torch.tensor(b)
    return (gap > 0).float().mean() + (gap == 0).float().mean() / 2


def by_loop(a, b):
    total = 0
    for i in range(len(a)):
        total += 1 if a[i] > b[i] else 0.5 if a[i] == b[i] else 0
    return total / len(a)


def mean_over(a, b, tie):
    return np.mean([1 if x > y else tie if x == y else 0 for x, y in zip(a, b, strict=True)])


def decided_only(a, b):
    a, b = np.array(a), np.array(b)
    return (a > b)[a != b].mean()


def twice(a, b):  # the chapter's second formula
    return np.mean([(x > y) + (x == y) / 2 for x in a for y in b])


# ---------------------------------------------------------------- 20.1
def loops(votes):
    pairs, people = votes.shape
    shares = []
    for person in range(people):
        agree = decided = 0
        for pair in range(pairs):
            rest = sum(votes[pair][p] for p in range(people) if p != person)
            if votes[pair][person] != 0 and rest != 0:
                decided += 1
                agree += votes[pair][person] * rest > 0
        shares.append(agree / decided)
    return shares


def in_one_go(votes):
    rest = votes.sum(1, keepdims=True) - votes
    product = np.sign(rest) * votes
    return (product > 0).sum(0) / (product != 0).sum(0)


def masked(votes):
    v = torch.as_tensor(votes)
    rest = torch.sign(v.sum(1, keepdim=True) - v)
    sure = ((v != 0) & (rest != 0)).double()
    return ((v == rest).double() * sure).sum(0) / sure.sum(0)


def person_by_person(votes, rest_of, keep, same=lambda v, r: np.sign(v) == np.sign(r)):
    found = []
    for i in range(votes.shape[1]):
        v, rest = votes[:, i], rest_of(votes, i)
        k = keep(v, rest)
        found.append(np.mean(same(v, rest)[k]))
    return np.array(found)


others = lambda votes, i: np.delete(votes, i, axis=1).sum(1)
first = lambda v, r: v != 0
second = lambda v, r: r != 0
both = lambda v, r: (v != 0) & (r != 0)
half = lambda v, r: (1 + np.sign(v) * np.sign(r)) / 2

RIGHT = {
    "20.0": [
        by_counting,
        by_torch,
        by_loop,
        lambda a, b: round(by_counting(a, b), 3),
        lambda a, b: (1 + np.sign(np.array(a) - np.array(b)).mean()) / 2,
        lambda a, b: np.float32(np.heaviside(np.subtract(a, b), 0.5).mean()),
    ],
    "20.1": [
        lambda v: dict(enumerate(loops(v))),
        loops,
        in_one_go,
        masked,
        lambda v: person_by_person(v, others, both),
    ],
    "20.2": [
        (0.634, 0.725, 2, 3),
        (0.6344137, 0.7246033, 2.0, 3.0),
        np.array([0.634, 0.7246, 2, 3]),
        {
            "512 sentences": 0.634,
            "2,048 sentences": 0.725,
            "lists below SmolLM2 asked": 2,
            "lists below the reward model": 3,
        },
    ],
}
WRONG = {
    "20.0": [
        (lambda a, b: mean_over(a, b, 0), "a tie counts nothing"),
        (lambda a, b: mean_over(a, b, 1), "a tie counts as if A"),
        (decided_only, "left out; they count one half"),
        (lambda a, b: by_counting(b, a), "rate B higher"),
        (lambda a, b: by_counting(a, b) * len(a), "added up, and not divided"),
        (twice, "each rating of A is held against each"),
        (lambda a, b: float(np.mean(a) > np.mean(b)), "whose mean is higher"),
        (lambda a, b: np.mean(np.array(a) - np.array(b)), "a difference of means"),
        (lambda a, b: np.mean(np.sign(np.array(a) - np.array(b))), "from −1 to 1"),
        (lambda a, b: by_counting(sorted(a), sorted(b)), "sorted first"),
        (lambda a, b: float(by_counting(a, b) > 0.5), "the majority's verdict"),
        (lambda a, b: sum(x > y for x, y in zip(a, b, strict=True)), "counts the people"),
        (lambda a, b: 1 - mean_over(a, b, 0), "at least as high"),
        (lambda a, b: mean_over(b, a, 0), "two things"),
        (lambda a, b: [x > y for x, y in zip(a, b, strict=True)], "the single people's votes"),
        (lambda a, b: np.mean(a - b), "raises TypeError"),
    ],
    "20.1": [
        (lambda v: person_by_person(v, others, second), "own ties are kept"),
        (lambda v: person_by_person(v, others, first), "nothing to agree with"),
        (lambda v: person_by_person(v, lambda v, i: v.sum(1), both), "own vote is part"),
        (lambda v: person_by_person(v, others, second, half), "own ties count one half"),
        (
            lambda v: person_by_person(v, others, lambda v, r: v == v, half),
            "ties count one half, on both sides",
        ),
        (lambda v: person_by_person(v, others, first, half), "the others' ties count"),
        (lambda v: np.mean(loops(v)), "the mean over the people"),
        (
            lambda v: [(np.sign(others(v, i)) * v[:, i] > 0).mean() for i in range(v.shape[1])],
            "divided by all pairs",
        ),
        (
            lambda v: [(others(v, i) * v[:, i] > 0).sum() for i in range(v.shape[1])],
            "numbers of pairs",
        ),
        (lambda v: loops(v[(v != 0).all(1)]), "wherever anybody ties"),
        (
            lambda v: person_by_person(v, others, both, lambda v, r: v == r),
            "the size of the others' sum",
        ),
        (lambda v: 1 - in_one_go(v), "one minus the right value"),
        (
            lambda v: person_by_person(v, lambda v, i: np.median(np.delete(v, i, 1), 1), both),
            "the others' median",
        ),
        (lambda v: 2 * in_one_go(v) - 1, "those who agree less those who don't; asked"),
        (
            lambda v: np.mean(v * np.sign(v.sum(1, keepdims=True) - v), 0),
            "those who don't, by all pairs",
        ),
        (
            lambda v: [
                np.mean([v[p, i] == v[p, j] for p in range(len(v)) for j in range(v.shape[1])
                         if j != i and v[p, i] * v[p, j] != 0])
                for i in range(v.shape[1])
            ],
            "with each other person in turn",
        ),
        (lambda v: in_one_go(v.T), "has them exchanged"),
        (
            lambda v: [np.mean([x == np.sign(sum(row) - x) for x in row if x and sum(row) - x])
                       for row in v.tolist()],
            "one share for each pair",
        ),
    ],
    "20.2": [
        ((0.595, 0.704, 2, 3), "`at_least=5` a small list"),
        ((0.546, 0.594, 2, 3), "nearly all praise"),
        ((0.634, 0.7396, 2, 3), "sentences of the test blocks"),
        ((0.721, 0.848, 2, 3), "pairs of opposite tone"),
        ((0.542, 0.593, 2, 3), "pairs of the same tone"),
        ((0.534, 0.595, 2, 3), "pairs of the same block"),
        ((0.616, 0.720, 2, 3), "from another draw"),
        ((0.725, 0.634, 2, 3), "not in the order"),
        ((0.634, 0.725, 3, 3), "another number of the three lists is below SmolLM2"),
        ((0.634, 0.725, 1, 3), "another number of the three lists is below SmolLM2"),
        ((0.634, 0.725, 2, 2), "by however little"),
        ((0.634, 0.725, 1, 0), "how many lists are above them"),
        ((0.397, 0.632, 3, 3), "correlations with people"),
        ((63.4, 72.5, 2, 3), "in per cent"),
        ((0.366, 0.275, 2, 3), "one minus the right"),
        ((0.634, 0.725), "4 in all; you gave 2"),
        ((0.634, 0.725, 0.776, 2), "the last two are numbers of lists"),
    ],
}  # fmt: skip

# ---------------------------------------------------------------- more of them
sigmoid = lambda x: 1 / (1 + np.exp(-np.asarray(x, float)))


def each(votes, figure):
    """figure(own votes, others' sums, all votes, i) of each person."""
    return np.array(
        [figure(votes[:, i], others(votes, i), votes, i) for i in range(votes.shape[1])]
    )


WRONG["20.0"] += [
    (
        lambda a, b: float(sigmoid(np.mean(a) - np.mean(b))),
        "that is a σ of the difference of means",
    ),
    (
        lambda a, b: float(
            np.maximum(np.subtract(a, b), 0).sum() / np.abs(np.subtract(a, b)).sum()
        ),
        "by how much someone rates A higher counts",
    ),
    (
        lambda a, b: float(
            (np.maximum(np.subtract(a, b), 0) + (np.subtract(a, b) == 0) / 2).sum()
            / (np.abs(np.subtract(a, b)) + (np.subtract(a, b) == 0)).sum()
        ),
        "by how much someone rates A higher counts",
    ),
    (lambda a, b: float(sigmoid(np.sum(a) - np.sum(b))), "that is a σ of the difference of sums"),
    (
        lambda a, b: float(sigmoid(np.median(a) - np.median(b))),
        "that is a σ of the difference of medians",
    ),
    (lambda a, b: sigmoid(np.subtract(a, b)).mean(), "that is a mean of σ"),
    (lambda a, b: 0.5 + np.mean(np.subtract(a, b)) / 8, "that is a difference of means"),
    (lambda a, b: 0.5 + np.mean(np.subtract(a, b)) / 16, "(a difference of means"),
    (
        lambda a, b: float(
            0.5 * (1 + math.erf(np.subtract(a, b).mean() / np.subtract(a, b).std() / 2**0.5))
        ),
        "that is a bell curve's share above 0",
    ),
    (
        lambda a, b: np.mean(a) / (np.mean(a) + np.mean(b)),
        "that is A's mean as a share of both means",
    ),
    (lambda a, b: mean_over(a, b, 0.25), "a tie counts a quarter"),
    (lambda a, b: by_counting(a, b) / (1 - by_counting(a, b)), "those are odds"),
    (lambda a, b: math.log(by_counting(a, b) / (1 - by_counting(a, b))), "those are log-odds"),
    (
        lambda a, b: int(np.sign(np.subtract(a, b)).sum()),
        "those are the people above less those below",
    ),
    (
        lambda a, b: np.mean([(x > y) + 2 * (x == y) for x, y in zip(a, b, strict=True)]),
        "a tie counts twice",
    ),
    (
        lambda a, b: np.mean([((x > y) + (x == y)) / 2 for x, y in zip(a, b, strict=True)]),
        "the half takes in the people who rate A higher as well",
    ),
    (
        lambda a, b: np.mean([(x >= y) + (x == y) / 2 for x, y in zip(a, b, strict=True)]),
        "a tie counts one and a half",
    ),
    (
        lambda a, b: by_counting(a, b) * len(a) / (len(a) - 1),
        "the sum is divided by one less than the people",
    ),
    (
        lambda a, b: by_counting(a, b) * len(a) / (len(a) + 1),
        "the sum is divided by one more than the people",
    ),
    (
        lambda a, b: (by_counting(a, b) * len(a) + 1) / (len(a) + 2),
        "one person is added on each side before the share is tak",
    ),
    (lambda a, b: by_counting(a, b) / 2, "yours is half the right value"),
    (lambda a, b: float(np.mean(np.equal(a, b))), "that is the share of ties"),
    (
        lambda a, b: float(np.mean(np.not_equal(a, b))),
        "that is the share of people who don't rate both alike",
    ),
    (lambda a, b: float(np.mean(np.greater(a, 0))), "that is the share of ratings of A above 0"),
    (
        lambda a, b: float(np.mean(np.greater(a, 0)) - np.mean(np.greater(b, 0))),
        "those are shares of ratings above 0",
    ),
    (
        lambda a, b: np.mean(
            [
                (np.sign(x) > np.sign(y)) + (np.sign(x) == np.sign(y)) / 2
                for x, y in zip(a, b, strict=True)
            ]
        ),
        "only praise or blame is compared",
    ),
    (lambda a, b: by_counting(np.abs(a), np.abs(b)), "the ratings have lost their signs"),
    (
        lambda a, b: decided_only(a, b) + 0.5 * np.mean(np.equal(a, b)),
        "those who decide are the share",
    ),
    (lambda a, b: max(by_counting(a, b), 1 - by_counting(a, b)), "that is the larger side's share"),
    (
        lambda a, b: np.mean(np.sign(a) == np.sign(b)),
        "that is how often both ratings have one sign",
    ),
    (
        lambda a, b: float((np.subtract(a, b) > 0).sum() + (np.subtract(a, b) == 0).sum() / 2),
        "the votes are added up",
    ),
    (lambda a, b: float(a[0] > b[0]), "that is the first person alone"),
    (
        lambda a, b: np.mean(
            [(x - y >= 2) + (abs(x - y) < 2) / 2 for x, y in zip(a, b, strict=True)]
        ),
        "a difference of one point counts as a tie",
    ),
    (
        lambda a, b: [(x > y) + (x == y) / 2 for x, y in zip(a, b, strict=True)],
        "those are the single people's votes",
    ),
    (lambda a, b: float(a > b), "that is the first person alone"),
    (lambda a, b: by_counting(a, b[::-1]), "one of the two lists is read backwards"),
    (
        lambda a, b: np.mean([x > y for x in a for y in b]),
        "each rating of A is held against each of B",
    ),
    (
        lambda a, b: (
            (lambda v: v[v != 0])(np.sign(np.subtract.outer(a, b)).ravel()).__gt__(0).mean()
        ),
        "each rating of A is held against each of B",
    ),
    (
        lambda a, b: sum((x > y) + (x == y) // 2 for x, y in zip(a, b, strict=True)) / len(a),
        "a tie counts nothing",
    ),
    (lambda a, b: round(by_counting(a, b)), "that is the majority's verdict"),
    (
        lambda a, b: by_counting(a, b) * (1 - by_counting(a, b)),
        "that is the variance of such a vote",
    ),
    (
        lambda a, b: float(
            np.std([(x > y) + (x == y) / 2 for x, y in zip(a, b, strict=True)]) / len(a) ** 0.5
        ),
        "that is how uncertain the share is",
    ),
    (
        lambda a, b: float(np.exp(np.mean(a)) / (np.exp(np.mean(a)) + np.exp(np.mean(b)))),
        "that is a σ of the difference of means",
    ),
    (lambda a, b: float(np.corrcoef(a, b)[0, 1]), "that is the correlation of the ratings"),
    (lambda a, b: 100 * by_counting(a, b), "yours is 100 times the right value"),
    (lambda a, b: by_counting(a[:-1], b[:-1]), "the last person is left out"),
    (
        lambda a, b: (np.greater(a, b).sum() + np.equal(a, b).sum() / 2) / np.not_equal(a, b).sum(),
        "ties count a half above",
    ),
    (lambda a, b: float(np.mean(a)), "that is the mean rating of A alone"),
    (lambda a, b: float((np.subtract(a, b).mean() + 8) / 16), "(a difference of means"),
]
WRONG["20.1"] += [
    (lambda v: each(v, lambda m, o, V, i: (np.sign(o) == m).mean()), "nothing is left out"),
    (
        lambda v: each(
            v,
            lambda m, o, V, i: (
                np.abs(o)[both(m, o) & (np.sign(o) == m)].sum() / np.abs(o)[both(m, o)].sum()
            ),
        ),
        "the size of the others' majority weighs the pairs",
    ),
    (
        lambda v: np.full(
            v.shape[1],
            each(v, lambda m, o, V, i: (np.sign(o) == m)[both(m, o)].sum()).sum()
            / each(v, lambda m, o, V, i: both(m, o).sum()).sum(),
        ),
        "all people have one figure",
    ),
    (lambda v: np.full(v.shape[1], np.mean(loops(v))), "all people have one figure"),
    (
        lambda v: each(v, lambda m, o, V, i: ((1 + m * np.sign(o + m)) / 2).mean()),
        "the person's own vote is part of the majority",
    ),
    (
        lambda v: each(v, lambda m, o, V, i: (np.sign(o + m) == m).mean()),
        "the person's own vote is part of the majority",
    ),
    (
        lambda v: each(v, lambda m, o, V, i: (np.sign(o + m) == m)[m != 0].mean()),
        "where the others tie",
    ),
    (
        lambda v: each(v, lambda m, o, V, i: ((np.sign(o + m) == m) & (m != 0)).mean()),
        "the person's own vote is part of the majority",
    ),
    (
        lambda v: each(v, lambda m, o, V, i: (np.sign(o) == m)[(m != 0) | (o != 0)].mean()),
        "a pair goes out only where both tie",
    ),
    (
        lambda v: each(v, lambda m, o, V, i: ((np.sign(o) == m) | (o == 0))[m != 0].mean()),
        "where the others tie",
    ),
    (
        lambda v: each(v, lambda m, o, V, i: ((np.sign(o) == m) | (m == 0))[o != 0].mean()),
        "the person's own ties count as agreement",
    ),
    (
        lambda v: each(v, lambda m, o, V, i: ((np.sign(o) == m) | (m == 0) | (o == 0)).mean()),
        "a pair with a tie counts as agreement",
    ),
    (
        lambda v: each(v, lambda m, o, V, i: (np.sign(o) == m)[both(m, o)].sum() / (m != 0).sum()),
        "nothing to agree with",
    ),
    (
        lambda v: each(v, lambda m, o, V, i: (np.sign(o) == m)[both(m, o)].sum() / (o != 0).sum()),
        "the person's own ties are kept",
    ),
    (lambda v: 1 - np.array(loops(v)), "yours is one minus the right value"),
    (
        lambda v: each(v, lambda m, o, V, i: (np.sign(o) == -m)[both(m, o)].mean()),
        "yours is one minus the right value",
    ),
    (
        lambda v: each(v, lambda m, o, V, i: both(m, o).mean()),
        "that is the share of pairs without a tie",
    ),
    (
        lambda v: each(v, lambda m, o, V, i: both(m, o).sum()),
        "that is the number of pairs without a tie",
    ),
    (lambda v: (v != 0).mean(0), "that is how often a person decides"),
    (lambda v: (v > 0).mean(0), "that is how often a person votes 1"),
    (lambda v: (v > 0).sum(0) / (v != 0).sum(0), "that is how often a person votes 1"),
    (lambda v: v.mean(0), "that is a person's mean vote"),
    (
        lambda v: np.array(
            [((1 + v[:, [i]] * np.delete(v, i, 1)) / 2).mean() for i in range(v.shape[1])]
        ),
        "that is agreement with each other person in turn",
    ),
    (
        lambda v: np.array([(v[:, [i]] == np.delete(v, i, 1)).mean() for i in range(v.shape[1])]),
        "that is agreement with each other person in turn",
    ),
    (
        lambda v: np.array(
            [
                np.mean(
                    [
                        (v[:, i] == v[:, j])[(v[:, i] != 0) & (v[:, j] != 0)].mean()
                        for j in range(v.shape[1])
                        if j != i
                    ]
                )
                for i in range(v.shape[1])
            ]
        ),
        "that is the mean of the agreements with each other perso",
    ),
    (
        lambda v: each(
            v,
            lambda m, o, V, i: (
                (np.equal(V, m[:, None]).sum(1) - 1)[both(m, o)].mean() / (V.shape[1] - 1)
            ),
        ),
        "that is the share of the others who vote so",
    ),
    (
        lambda v: each(
            v, lambda m, o, V, i: (np.round(o / (V.shape[1] - 1)) == m)[both(m, o)].mean()
        ),
        "the others' mean is rounded before it is compared",
    ),
    (
        lambda v: each(
            v,
            lambda m, o, V, i: (lambda r: (r == m)[(m != 0) & (r != 0)].mean())(
                np.round(o / (V.shape[1] - 1))
            ),
        ),
        "the others' mean is rounded",
    ),
    (
        lambda v: each(
            v,
            lambda m, o, V, i: (lambda r: (r == m)[(m != 0) & (r != 0)].mean())(
                np.array(
                    [max((-1, 0, 1), key=lambda k: (np.delete(row, i) == k).sum()) for row in V]
                )
            ),
        ),
        "that is the others' most frequent vote",
    ),
    (
        lambda v: each(
            v,
            lambda m, o, V, i: (
                (np.sign(o) == m)[both(m, o) & (np.abs(o) == V.shape[1] - 1)].mean()
                if (both(m, o) & (np.abs(o) == V.shape[1] - 1)).any()
                else 0.0
            ),
        ),
        "only pairs on which all the others agree are counted",
    ),
    (
        lambda v: each(v, lambda m, o, V, i: (m * o)[both(m, o)].mean()),
        "that is the mean of own vote times the others' sum",
    ),
    (
        lambda v: each(v, lambda m, o, V, i: np.corrcoef(m, o)[0, 1]),
        "that is a correlation with the others' sum",
    ),
    (
        lambda v: each(v, lambda m, o, V, i: np.corrcoef(m, np.sign(o))[0, 1]),
        "that is a correlation with the others' sign",
    ),
    (lambda v: loops(v)[0], "that is the first person alone"),
    (
        lambda v: each(v, lambda m, o, V, i: (o + m == m)[both(m, o + m)].mean()),
        "the person's own vote is part of the majority",
    ),
    (
        lambda v: each(v, lambda m, o, V, i: (m * o >= 0).mean()),
        "a pair with a tie counts as agreement",
    ),
    (lambda v: each(v, lambda m, o, V, i: (m * o >= 0)[m != 0].mean()), "where the others tie"),
    (
        lambda v: each(v, lambda m, o, V, i: (np.sign(o - m) == m)[both(m, o - m)].mean()),
        "the person's own vote is subtracted twice",
    ),
    (
        lambda v: each(v, lambda m, o, V, i: (np.sign(o + 2 * m) == m)[both(m, o + 2 * m)].mean()),
        "the person's own vote is added once more",
    ),
    (
        lambda v: np.array(
            [
                (v[:, i] == v[:, i - 1])[(v[:, i] != 0) & (v[:, i - 1] != 0)].mean()
                for i in range(v.shape[1])
            ]
        ),
        "each person is held against the one before alone",
    ),
    (lambda v: np.sort(loops(v)), "the right shares"),
    (lambda v: max(loops(v)), "that is the largest share alone"),
    (
        lambda v: each(
            v, lambda m, o, V, i: ((np.sign(o) == m) + (m == 0) / 2 + (o == 0) / 2).mean()
        ),
        "each tie adds one half",
    ),
    (
        lambda v: each(
            v, lambda m, o, V, i: (np.sign(o) == m)[both(m, o)].sum() / (both(m, o).sum() - 1)
        ),
        "the share is divided by one pair less than there are",
    ),
    (lambda v: 100 * np.array(loops(v)), "yours is 100 times the right value"),
]
WRONG["20.2"] += [
    ((0.776, 0.725, 2, 3), "that is the list of all sentences"),
    ((0.634, 0.776, 2, 3), "that is the list of all sentences"),
    ((0.634, 0.848, 2, 3), "that is the accuracy on pairs of opposite tone"),
    ((0.634, 0.704, 2, 3), "with `at_least=5` a small list loses most of its words"),
    ((0.5945, 0.725, 2, 3), "with `at_least=5` a small list loses most of its words"),
    ((0.634, 0.725, 3, 2), "the right numbers"),
    ((0.634, 0.725, 0, 3), "another number of the three lists"),
    ((0.634, 0.725, 2, 1), "another number of the three lists"),
    ((0.634, 0.725, 3, 3), "another number of the three lists"),
    ((0.546, 0.594, 1, 3), "the first sentences of the file are nearly all praise"),
    ((0.366, 0.275, 2, 3), "`512 sentences`"),
    ((0.725, 0.725, 2, 3), "that is the list of 2"),
    ((0.5, 0.5, 2, 3), "that is what a coin gets"),
    ((0.634, 0.725, 0.74, 0.85), "the last two are numbers of lists"),
    ((0.62, 0.73, 2, 3), "about right"),
    ((0.634, 0.716, 2, 3), "about right"),
]
