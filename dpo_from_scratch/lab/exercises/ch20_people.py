"""Chapter 20: other figures that could be made of ratings, and of votes, and what they are."""

import math
from collections.abc import Callable

import numpy as np

_gaps = lambda a, b: np.subtract(a, b, dtype=float)
_sigmoid = lambda x: 1 / (1 + np.exp(-np.asarray(x, float)))
_higher = lambda a, b: float((np.sign(_gaps(a, b)).mean() + 1) / 2)
_all_gaps = lambda a, b: np.subtract.outer(a, b)
_share = lambda x: float(np.mean(x))
SIZES = "by how much someone rates A higher counts, in yours; only that it is higher should."

# ---------------------------------------------------------------- 20.0
RATINGS: dict[str, Callable] = {
    "that is a σ of the difference of means; asked is how many people rate A higher.":
        lambda a, b: _sigmoid(np.mean(a) - np.mean(b)),
    "that is a σ of the difference of sums; asked is how many people rate A higher.":
        lambda a, b: _sigmoid(np.sum(a) - np.sum(b)),
    "that is a σ of the difference of medians; asked is how many people rate A higher.":
        lambda a, b: _sigmoid(np.median(a) - np.median(b)),
    "that is a mean of σ: by how much someone rates A higher doesn't count, only that.":
        lambda a, b: _share(_sigmoid(_gaps(a, b))),
    SIZES: lambda a, b: np.maximum(_gaps(a, b), 0).sum() / abs(_gaps(a, b)).sum(),
    SIZES + " (Ties count a half.)":
        lambda a, b: (np.maximum(_gaps(a, b), 0).sum() + np.equal(a, b).sum() / 2)
        / (abs(_gaps(a, b)).sum() + np.equal(a, b).sum()),
    "by how much someone rates A higher counts, in yours (a difference of means, moved to a scale "
    "from 0 to 1); asked is a share of people.":
        lambda a, b: 0.5 + _gaps(a, b).mean() / 16,
    "that is a difference of means, put beside one half; asked is a share of people.":
        lambda a, b: 0.5 + _gaps(a, b).mean() / 8,
    "that is half a difference of means, put beside one half; asked is a share of people.":
        lambda a, b: 0.5 + _gaps(a, b).mean() / 2,
    "that is a bell curve's share above 0, of the mean difference and its spread; count people.":
        lambda a, b: 0.5 * (1 + math.erf(_gaps(a, b).mean() / _gaps(a, b).std() / math.sqrt(2))),
    "that is A's mean as a share of both means; asked is a share of people.":
        lambda a, b: np.mean(a) / (np.mean(a) + np.mean(b)),
    "that is a difference of sums, in points of the scale; asked is a share of people.":
        lambda a, b: _gaps(a, b).sum(),
    "that is the mean rating of A alone.": lambda a, b: _share(a),
    "that is the mean rating of B alone.": lambda a, b: _share(b),
    "a tie counts a quarter; asked is one half.":
        lambda a, b: _share((_gaps(a, b) > 0) + 0.25 * np.equal(a, b)),
    "a tie counts twice; asked is one half.":
        lambda a, b: _share((_gaps(a, b) > 0) + 2.0 * np.equal(a, b)),
    "a tie counts one and a half: where A isn't lower, and then as a tie once more.":
        lambda a, b: _share((_gaps(a, b) >= 0) + 0.5 * np.equal(a, b)),
    "the half takes in the people who rate A higher as well; it is for ties alone.":
        lambda a, b: _share(_gaps(a, b) >= 0) / 2,
    "those who rate A higher count a half, too.": lambda a, b: _share(_gaps(a, b) > 0) / 2,
    "that is the share of ties.": lambda a, b: _share(np.equal(a, b)),
    "that is half the share of ties.": lambda a, b: _share(np.equal(a, b)) / 2,
    "that is the share of people who don't rate both alike; asked is how many rate A higher.":
        lambda a, b: _share(np.not_equal(a, b)),
    "that is the number of ties.": lambda a, b: float(np.equal(a, b).sum()),
    "those are odds, p / (1 − p); the share p itself is asked.":
        lambda a, b: _higher(a, b) / (1 - _higher(a, b)),
    "those are log-odds; the share itself is asked.":
        lambda a, b: math.log(_higher(a, b) / (1 - _higher(a, b))),
    "those are the people above less those below; asked is a share.":
        lambda a, b: np.sign(_gaps(a, b)).sum(),
    "half of the share above less the share below: one half is missing in the sum.":
        lambda a, b: np.sign(_gaps(a, b)).mean() / 2,
    "those who decide are the share, and ties are added to it: all people are the whole.":
        lambda a, b: _share(_gaps(a, b)[_gaps(a, b) != 0] > 0) + _share(np.equal(a, b)) / 2,
    "ties count a half above, and are left out below: divide by all people.":
        lambda a, b: ((_gaps(a, b) > 0).sum() + np.equal(a, b).sum() / 2)
        / np.not_equal(a, b).sum(),
    "the sum is divided by one less than the people.":
        lambda a, b: _higher(a, b) * len(a) / (len(a) - 1),
    "the sum is divided by one more than the people.":
        lambda a, b: _higher(a, b) * len(a) / (len(a) + 1),
    "one person is added on each side before the share is taken.":
        lambda a, b: (_higher(a, b) * len(a) + 1) / (len(a) + 2),
    "only praise or blame is compared (the signs of the ratings), not the ratings.":
        lambda a, b: _higher(np.sign(a), np.sign(b)),
    "the ratings have lost their signs: −3 is lower than 1.":
        lambda a, b: _higher(np.abs(a), np.abs(b)),
    "a difference of one point counts as a tie; any difference decides.":
        lambda a, b: _share((_gaps(a, b) >= 2) + (abs(_gaps(a, b)) < 2) / 2),
    "that is the larger side's share; A's is asked, below one half, too.":
        lambda a, b: max(_higher(a, b), 1 - _higher(a, b)),
    "that is the smaller side's share; A's is asked, above one half, too.":
        lambda a, b: min(_higher(a, b), 1 - _higher(a, b)),
    "that is how often both ratings have one sign.":
        lambda a, b: _share(np.sign(a) == np.sign(b)),
    "that is the share of ratings of A above 0.": lambda a, b: _share(np.greater(a, 0)),
    "those are shares of ratings above 0, A's less B's.":
        lambda a, b: _share(np.greater(a, 0)) - _share(np.greater(b, 0)),
    "each rating of A is held against each of B, and a tie counts nothing; the same person's are "
    "asked, and a tie counts one half.": lambda a, b: _share(_all_gaps(a, b) > 0),
    "each rating of A is held against each of B, and a tie counts in full; the same person's are "
    "asked, and a tie counts one half.": lambda a, b: _share(_all_gaps(a, b) >= 0),
    "each rating of A is held against each of B, and ties are left out; the same person's are "
    "asked, and a tie counts one half.":
        lambda a, b: _share(_all_gaps(a, b)[_all_gaps(a, b) != 0] > 0),
    "the last person is left out.": lambda a, b: _higher(a[:-1], b[:-1]),
    "the first person is left out.": lambda a, b: _higher(a[1:], b[1:]),
    "that is the first person alone.": lambda a, b: _higher(a[:1], b[:1]),
    "one of the two lists is read backwards: the same place is one person.":
        lambda a, b: _higher(a, b[::-1]),
    "that is the variance of such a vote; the share itself is asked.":
        lambda a, b: _higher(a, b) * (1 - _higher(a, b)),
    "that is how uncertain the share is; the share itself is asked.":
        lambda a, b: np.std((np.sign(_gaps(a, b)) + 1) / 2) / math.sqrt(len(a)),
    "that is the correlation of the ratings; asked is a share of people.":
        lambda a, b: np.corrcoef(a, b)[0, 1],
    "those are the single people's votes; asked is their mean, one number.":
        lambda a, b: (np.sign(_gaps(a, b)) + 1) / 2,
    "those are the single people's votes, and a tie counts nothing; asked is one number.":
        lambda a, b: (_gaps(a, b) > 0) * 1.0,
    "those are the single people's differences; asked is a share of them.": _gaps,
}  # fmt: skip


# ---------------------------------------------------------------- 20.1
def person_by_person(figure: Callable) -> Callable:
    """figure(own votes, the others' sums, all votes, the person) of each person."""

    def figures(votes):
        votes = np.asarray(votes)
        return np.array([
            figure(votes[:, i], votes.sum(1) - votes[:, i], votes, i)
            for i in range(votes.shape[1])
        ])  # fmt: skip

    return figures


def _where(mask: Callable) -> Callable:
    """The share of the pairs of mask(own, others) on which both have one sign."""
    return lambda m, o, *_: (np.sign(o) == m)[mask(m, o)].mean()


_sure = lambda m, o: (m != 0) & (o != 0)
_same = lambda m, o: (np.sign(o) == m) & (m != 0)
_rest = lambda v, i: np.delete(v, i, axis=1)
_most = lambda v, i: np.array(
    [max((-1, 0, 1), key=lambda k: (row == k).sum()) for row in _rest(v, i)])  # fmt: skip
OWN = "the person's own vote is part of the majority: leave it out. "
PEOPLE: dict[str, Callable] = {
    "nothing is left out, and two ties count as agreement: only pairs where neither is a tie are "
    "asked.": _where(lambda m, o: m == m),
    "a pair goes out only where both tie; it must go out where either does.":
        _where(lambda m, o: (m != 0) | (o != 0)),
    "a pair with a tie counts as agreement; it must go out.":
        lambda m, o, *_: (m * o >= 0).mean(),
    "where the others tie, that counts as agreement (or the person's own vote is part of the "
    "majority, and decides there); the pair must go out.":
        lambda m, o, *_: (m * o >= 0)[m != 0].mean(),
    "each tie adds one half, and two ties count as agreement besides; ties must go out.":
        lambda m, o, *_: ((np.sign(o) == m) + (m == 0) / 2 + (o == 0) / 2).mean(),
    "the person's own ties count as agreement; the pair must go out.":
        lambda m, o, *_: (m * o >= 0)[o != 0].mean(),
    "each tie adds one half, so that two ties add a whole; both must go out.":
        lambda m, o, *_: (_same(m, o) + (m == 0) / 2 + (o == 0) / 2).mean(),
    "the size of the others' majority weighs the pairs; only its sign counts.":
        lambda m, o, *_: abs(o)[_same(m, o)].sum() / abs(o)[_sure(m, o)].sum(),
    "that is the mean of own vote times the others' sum; asked is how often the signs agree.":
        lambda m, o, *_: (m * o)[_sure(m, o)].mean(),
    "that is the mean of own vote times the others' sum, over all pairs; asked is how often the "
    "signs agree.": lambda m, o, *_: (m * o).mean(),
    OWN + "And ties count one half; they go out.": lambda m, o, *_: (
        (1 + m * np.sign(o + m)) / 2).mean(),
    OWN + "And no pair is left out.": lambda m, o, *_: (np.sign(o + m) == m).mean(),
    OWN + "And the person's ties are kept.":
        lambda m, o, *_: (np.sign(o + m) == m)[o + m != 0].mean(),
    OWN + "And it is divided by all pairs.": lambda m, o, *_: _same(m, o + m).mean(),
    OWN + "And it is held against the size of the sum, not its sign.":
        lambda m, o, *_: (o + m == m)[_sure(m, o + m)].mean(),
    "the person's own vote is subtracted twice.":
        lambda m, o, *_: (np.sign(o - m) == m)[_sure(m, o - m)].mean(),
    "the person's own vote is added once more, not subtracted.":
        lambda m, o, *_: (np.sign(o + 2 * m) == m)[_sure(m, o + 2 * m)].mean(),
    "that is the share of pairs without a tie; asked is how often they agree on those.":
        lambda m, o, *_: _sure(m, o).mean(),
    "that is the number of pairs without a tie; asked is how often they agree on those.":
        lambda m, o, *_: _sure(m, o).sum(),
    "that is how often a person decides; asked is how often with the majority.":
        lambda m, o, *_: (m != 0).mean(),
    "that is how often a person ties.": lambda m, o, *_: (m == 0).mean(),
    "that is how often a person votes 1; asked is how often with the majority.":
        lambda m, o, *_: (m > 0).mean(),
    "that is how often a person votes 1, ties left out; asked is how often with the majority.":
        lambda m, o, *_: (m > 0).sum() / (m != 0).sum(),
    "that is a person's mean vote; asked is how often it is the majority's.":
        lambda m, o, *_: m.mean(),
    "that is a correlation with the others' sum; asked is a share of pairs.":
        lambda m, o, *_: np.corrcoef(m, o)[0, 1],
    "that is a correlation with the others' sign; asked is a share of pairs.":
        lambda m, o, *_: np.corrcoef(m, np.sign(o))[0, 1],
    "that is agreement with each other person in turn, a tie one half; asked: with their "
    "majority, without ties.":
        lambda m, o, v, i: ((1 + m[:, None] * _rest(v, i)) / 2).mean(),
    "that is agreement with each other person in turn, two ties among it; asked: with their "
    "majority, without ties.": lambda m, o, v, i: (m[:, None] == _rest(v, i)).mean(),
    "that is the mean of the agreements with each other person; asked: with their majority.":
        lambda m, o, v, i: np.mean([(m == w)[_sure(m, w)].mean() for w in _rest(v, i).T]),
    "that is the share of the others who vote so; asked is how often their majority does.":
        lambda m, o, v, i: (m[:, None] == _rest(v, i))[_sure(m, o)].mean(),
    "the others' mean is rounded before it is compared; its sign is asked.":
        lambda m, o, v, i: (np.round(o / (v.shape[1] - 1)) == m)[_sure(m, o)].mean(),
    "the others' mean is rounded, which makes many pairs ties; the sign of their sum is asked.":
        lambda m, o, v, i: _where(_sure)(m, np.round(o / (v.shape[1] - 1))),
    "that is the others' most frequent vote, ties among them; the sign of their sum is asked.":
        lambda m, o, v, i: _where(_sure)(m, _most(v, i)),
    "only pairs on which all the others agree are counted.":
        lambda m, o, v, i: _where(lambda m, o: _sure(m, o) & (abs(o) == v.shape[1] - 1))(m, o),
    "a pair goes out wherever one of the others ties; only their sum must not be 0.":
        lambda m, o, v, i: _where(lambda m, o: _sure(m, o) & (_rest(v, i) != 0).all(1))(m, o),
    "the share is divided by one pair less than there are.":
        lambda m, o, *_: _same(m, o).sum() / (_sure(m, o).sum() - 1),
    "each person is held against the one before alone.":
        lambda m, o, v, i: _where(_sure)(m, v[:, i - 1]),
    "each person is held against the next one alone.":
        lambda m, o, v, i: _where(_sure)(m, v[:, (i + 1) % v.shape[1]]),
    "each person is held against the first one alone.":
        lambda m, o, v, i: _where(_sure)(m, v[:, 0]),
    "those are odds, p / (1 − p); the share p itself is asked.":
        lambda m, o, *_: _same(m, o).sum() / ((m * o) < 0).sum(),
    "that is how often a person is against the majority, of all pairs.":
        lambda m, o, *_: (m * o < 0).mean(),
    "those are numbers of pairs on which a person is against the majority.":
        lambda m, o, *_: (m * o < 0).sum(),
}  # fmt: skip


def of_people(told: Callable) -> dict[str, Callable]:
    """Figures of the right shares, told(votes)."""
    pooled = lambda v: (
        person_by_person(lambda m, o, *_: _same(m, o).sum())(v).sum()
        / (person_by_person(lambda m, o, *_: _sure(m, o).sum())(v).sum())
    )
    everyone = lambda figure: lambda v: np.full(np.shape(v)[1], figure(v))
    return {
        "all people have one figure, the block's; asked is each person's own.": everyone(pooled),
        "all people have one figure, their mean; asked is each person's own.":
            everyone(lambda v: told(v).mean()),
        "the right shares, but sorted: each must stand in the person's place.":
            lambda v: np.sort(told(v)),
        "the right shares, but sorted, the largest first: each must stand in the person's place.":
            lambda v: np.sort(told(v))[::-1],
        "that is the first person alone; asked is one share for each.": lambda v: told(v)[0],
        "that is the last person alone; asked is one share for each.": lambda v: told(v)[-1],
        "that is the largest share alone; asked is one share for each.": lambda v: told(v).max(),
        "that is the smallest share alone; asked is one share for each.": lambda v: told(v).min(),
        "that is the spread over the people; asked is one share for each.":
            lambda v: told(v).std(),
        "that is the median over the people; asked is one share for each of them.":
            lambda v: np.median(told(v)),
    }  # fmt: skip
