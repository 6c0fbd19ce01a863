"""Attempts at chapter 20's exercises."""

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
    "20.1": [loops, in_one_go, masked, lambda v: person_by_person(v, others, both)],
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
        (lambda a, b: [x > y for x, y in zip(a, b, strict=True)], "one number is asked"),
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
        ((0.634, 0.725, 3, 3), "compare it with all three lists: SmolLM2's"),
        ((0.634, 0.725, 1, 3), "compare it with all three lists: SmolLM2's"),
        ((0.634, 0.725, 2, 2), "pairs of the same tone; look"),
        ((63.4, 72.5, 2, 3), "in per cent"),
        ((0.366, 0.275, 2, 3), "one minus the right"),
        ((0.634, 0.725), "4 in all; you gave 2"),
        ((0.634, 0.725, 0.776, 2), "the last two are numbers of lists"),
    ],
}  # fmt: skip
