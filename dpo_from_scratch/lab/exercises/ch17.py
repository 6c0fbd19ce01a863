"""Chapter 17, the preference game: a round of exact DNO, averages of rounds, Nash-MD."""

from functools import cache

import numpy as np

from ... import exact
from . import Function
from .ch17_mixture import NASH_MD
from .ch17_step import GRAMMAR, STEP, fitted, logit, panel, scaled


# ---------------------------------------------------------------- 17.1: the average of rounds
@cache
def rounds_of(eta, rounds, *, turned=False, fixed=False, rewards=None, inverse=False):
    """Policies of exact DNO with the start, (rounds + 1, 3)."""
    path, table = [GRAMMAR], panel().T if turned else panel()
    for _ in range(rounds):
        now = path[-1]
        won = rewards(now, table, path) if rewards else table @ now
        start = np.log(GRAMMAR if fixed else now)
        beta = 1 / eta if inverse else eta
        path.append(np.exp(exact.gibbs(start, won, beta).log_probs))
    return np.array(path)


_best = lambda policy: float((panel() @ policy).max())  # how often the best reply wins
OF = {  # of policies without the start: one of them, or several
    "average": lambda path: path.mean(0)[None],
    "last": lambda path: path[-1:],
    "each": lambda path: path,
    "logs": lambda path: scaled(np.exp(np.log(path).mean(0)))[None],
    "late": lambda path: path[len(path) // 2 :].mean(0)[None],
    "middle": lambda path: np.median(path, 0)[None],
}


def of_average(eta, rounds, *, first=1, more=0, of="average", **play) -> float:
    """Exploitability of the average of exact DNO's rounds."""
    path = rounds_of(eta, rounds + more, **play)[first:]
    return float(np.mean([_best(p) for p in OF[of](path)]))


def _of(take, **play):
    """A mistake: take(path with the start, number of rounds)."""
    return lambda eta, rounds: take(rounds_of(eta, rounds, **play), rounds)


_mean_of = lambda path, _: path[1:].mean(0)
LATER = "only the later half of the rounds is averaged."
NOT_BEST = "asked is how often the best reply beats it."
# reward of a reply, of (now, table, path) -> how it is said
OTHER_REWARDS = {
    "those are iterated DPO's rounds: rewards fitted by Bradley-Terry, not win rates.":
        lambda now, P, path: fitted(now, P),
    "the win rates have become log-odds; they are rewards as they stand.":
        lambda now, P, path: logit(P @ now),
    "a logarithm of the win rates is taken; they are rewards as they stand.":
        lambda now, P, path: np.log(P @ now),
    "the opponent is the grammar in each round; it is the present policy.":
        lambda now, P, path: P @ GRAMMAR,
    "the opponent is the average of all rounds so far; in DNO it is the present policy.":
        lambda now, P, path: P @ np.mean(path, 0),
    "each step is twice as long (are the win rates stretched from 0…1 to -1…1?).":
        lambda now, P, path: 2 * (P @ now),
}  # fmt: skip
# a number made of the path -> how it is said
OTHER_FIGURES = {
    "the start stands in the average, and the last round doesn't.":
        lambda path, n: _best(path[:-1].mean(0)),
    "the first round is left out of the average.": lambda path, n: _best(path[2:].mean(0)),
    "that is the least exploitable round.": lambda path, n: min(map(_best, path[1:])),
    "that is the most exploitable round.": lambda path, n: max(map(_best, path[1:])),
    "that is the median of the rounds' exploitabilities; asked is the exploitability of their "
    "mean policy.": lambda path, n: float(np.median([_best(p) for p in path[1:]])),
    "the average is made anew after each round, and the exploitabilities are averaged: average "
    "the policies once.":
        lambda path, n: np.mean([_best(path[1 : t + 1].mean(0)) for t in range(1, n + 1)]),
    "that is the least exploitable of the averages on the way; asked is the last one.":
        lambda path, n: min(_best(path[1 : t + 1].mean(0)) for t in range(1, n + 1)),
    "only the first half of the rounds is averaged.":
        lambda path, n: _best(path[1 : n // 2 + 1].mean(0)),
    "only the last ten rounds are averaged.": lambda path, n: _best(path[-10:].mean(0)),
    "only the last five rounds are averaged.": lambda path, n: _best(path[-5:].mean(0)),
    "only the start and the last round are averaged.":
        lambda path, n: _best((path[0] + path[-1]) / 2),
    "the sum of the rounds is divided by one more than their number.":
        lambda path, n: _best(path[1:].sum(0) / (n + 1)),
    "the sum of the rounds is divided by one less than their number.":
        lambda path, n: _best(path[1:].sum(0) / (n - 1)),
    "the start is in the sum, but not in the number that it is divided by.":
        lambda path, n: _best(path.sum(0) / n),
    "the rounds are added up and not divided by their number.":
        lambda path, n: _best(path[1:].sum(0)),
    "the geometric means of the rounds are taken, and their sum isn't 1; asked is the mean of the "
    "shares.": lambda path, n: _best(np.exp(np.log(path[1:]).mean(0))),
    "that is how far it lies above one half; how often the best reply wins is asked.":
        lambda path, n: _best(_mean_of(path, n)) - 0.5,
    "that is twice the way above one half (wins less losses); how often the best reply wins is "
    "asked.": lambda path, n: 2 * _best(_mean_of(path, n)) - 1,
    "that is one half whatever η and the rounds are: the mean over all replies, the policy against "
    "itself, or rounds that begin at even shares. The best reply's win rate is asked, and the "
    "start is the grammar.": lambda path, n: 0.5,
    "that is the worst reply's win rate, not the best one's.":
        lambda path, n: (panel() @ _mean_of(path, n)).min(),
    "that is the largest share of the mean policy; " + NOT_BEST:
        lambda path, n: _mean_of(path, n).max(),
    "that is the entropy of the mean policy; " + NOT_BEST:
        lambda path, n: -(_mean_of(path, n) * np.log(_mean_of(path, n))).sum(),
    "that is the mean policy's KL from the grammar; " + NOT_BEST:
        lambda path, n: (_mean_of(path, n) * np.log(_mean_of(path, n) / GRAMMAR)).sum(),
    "that is how far a share lies from a third; " + NOT_BEST:
        lambda path, n: abs(_mean_of(path, n) - 1 / 3).max(),
    "that is how far the shares lie from a third, added up; " + NOT_BEST:
        lambda path, n: abs(_mean_of(path, n) - 1 / 3).sum(),
    "that is the number of the best reply; asked is how often it wins.":
        lambda path, n: (panel() @ _mean_of(path, n)).argmax(),
    "that is the grammar's exploitability: nothing has moved (no round, or all rewards alike).":
        lambda path, n: _best(GRAMMAR),
    "that is the change from the grammar's exploitability; asked is the average's own.":
        lambda path, n: _best(_mean_of(path, n)) - _best(GRAMMAR),
    "that is how far it lies below the grammar's exploitability; asked is the average's own.":
        lambda path, n: _best(GRAMMAR) - _best(_mean_of(path, n)),
    "that is the mean policy; asked is its exploitability, one number.": _mean_of,
    "that is how often each reply beats the mean policy; the best one's figure is asked.":
        lambda path, n: panel() @ _mean_of(path, n),
    "that is each round's exploitability; asked is one number, that of their mean policy.":
        lambda path, n: [_best(p) for p in path[1:]],
    "those are the policies of all rounds; asked is their mean's exploitability.":
        lambda path, n: path[1:],
}  # fmt: skip


AVERAGE = Function(
    of_average,
    [{"eta": 1.0, "rounds": 14}, {"eta": 0.4, "rounds": 8}, {"eta": 3.0, "rounds": 30}],
    switches={
        "first": (0, "the policy before the first round is in the average."),
        "of": ("last", "that is the last round's figure, not the average policy's."),
        "fixed": (True, "the reference stays at the grammar: here it moves along."),
        "turned": (True, "P is read the wrong way round somewhere: the row beats the column."),
        "inverse": (True, "a larger η must make shorter steps; yours makes longer ones."),
        "more": (-1, "a round is missing."),
    },
    wrongs=[
        ("that is the mean of the rounds' exploitabilities; asked is the exploitability of their "
         "mean policy.", lambda *a: of_average(*a, of="each")),
        ("that is the mean of the rounds' exploitabilities, the start's among them; asked is the "
         "exploitability of a mean policy.", lambda *a: of_average(*a, of="each", first=0)),
        ("there is one round too many.", lambda *a: of_average(*a, more=1)),
        ("that is the figure of one round, the one after the last.",
         lambda *a: of_average(*a, more=1, of="last")),
        ("the logarithms of the policies are averaged; asked is the mean of their shares.",
         lambda *a: of_average(*a, of="logs")),
        ("that is the median of the rounds, not their mean.",
         lambda *a: of_average(*a, of="middle")),
        (LATER, lambda *a: of_average(*a, of="late")),
        *((LATER, _of(take)) for take in (
            lambda path, n: _best(path[n // 2 :].mean(0)),
            lambda path, n: _best(path[-((n + 1) // 2) :].mean(0)))),
        *((why, _of(take)) for why, take in OTHER_FIGURES.items()),
        *((why, lambda *a, f=f: of_average(*a, rewards=f)) for why, f in OTHER_REWARDS.items()),
        ("η is divided by the number of rounds; each round has the whole η.",
         lambda eta, n: of_average(eta / n, n)),
        ("η is multiplied by the number of rounds; each round has the η given.",
         lambda eta, n: of_average(eta * n, n)),
    ],
    shows="A small η soon averages whole turns; a large one needs more rounds, and can end nearer.",
    rtol=0.0,
    atol=6e-4,
)  # fmt: skip


EXERCISES = {"17.0": STEP, "17.1": AVERAGE, "17.2": NASH_MD}
