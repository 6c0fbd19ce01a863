"""Exercises of chapter 15: the loop of rounds, what labels are worth, more rounds, a judge."""

import numpy as np

from .answers import Own
from .ch15_runs import LENGTHS, LOST, judged, more_rounds
from .ch15_worth import WORTH
from .functions import Function


# ---------------------------------------------------------------- 15.0: the loop
def collect(author, parts, label_of, policy_of, *, extra=0, ask="policy", keep="all", scale="sum"):
    """Wins (N, N) in all labelled pairs of `parts` rounds; the keywords are mistakes.

    label_of(log_pi): wins in one round's pairs by this policy; policy_of(wins): log-probabilities
    of the policy fitted to these wins. The first round's pairs are the author's.
    """
    won = new = label_of(author)
    first = policy_of(won) if ask == "first fit" else None
    for _ in range(parts - 1 + extra):
        fitted = new if keep == "fit the last" else won
        writer = {
            "policy": lambda w=fitted: policy_of(w),
            "author": lambda: author,
            "first fit": lambda: first,
            "turned": lambda w=fitted: policy_of(w.T),
        }[ask]()
        new = label_of(writer)
        won = new if keep == "last" else won + new
    return won / parts if scale == "mean" else won


def _from_nothing(author, parts, label_of, policy_of):
    won = 0 * label_of(author)
    for _ in range(parts):
        won = won + label_of(policy_of(won))
    return won


def _one_behind(author, parts, label_of, policy_of):
    writers, won = [author, author], 0.0
    for t in range(parts):
        won = won + label_of(writers[t])
        writers.append(policy_of(won))
    return won


def _mixture(author, parts, label_of, policy_of):
    writers, won = [author], label_of(author)
    for _ in range(parts - 1):
        writers.append(policy_of(won))
        won = won + label_of(np.log(np.mean(np.exp(writers), 0)))
    return won


def _with_author(author, parts, label_of, policy_of):
    won = label_of(author)
    for _ in range(parts - 1):
        won = won + label_of(policy_of(won)) + label_of(author)
    return won


def _last_alone(author, parts, label_of, policy_of):
    won = new = label_of(author)
    for _ in range(parts - 1):
        new = label_of(policy_of(won))
        won = won + new
    return new


def _half_way(author, parts, label_of, policy_of):
    won = label_of(author)
    for _ in range(parts - 1):
        won = won + label_of(np.logaddexp(author, policy_of(won)) - np.log(2))
    return won


def _fits_the_mean(author, parts, label_of, policy_of):
    won = label_of(author)
    for t in range(1, parts):
        won = won + label_of(policy_of(won / t))
    return won


def _doubled(author, parts, label_of, policy_of):
    won = label_of(author)
    for _ in range(parts - 1):
        won = won + won + label_of(policy_of(won))
    return won


def _toy(parts: int, seed: int) -> dict:
    draw = np.random.default_rng(seed)
    n, (worth, tilt) = 4, draw.normal(size=(2, 4))
    wins = 1 / (1 + np.exp(worth[None] - worth[:, None]))

    def label_of(log_pi):
        p = np.exp(log_pi)
        return 8 * wins * np.outer(p, p) * (1 - np.eye(n))

    def policy_of(won):
        score = tilt + (won - won.T).sum(1)
        return score - np.logaddexp.reduce(score)

    author = draw.normal(size=n)
    author = author - np.logaddexp.reduce(author)
    return {"author": author, "parts": parts, "label_of": label_of, "policy_of": policy_of}


LOOP = Function(
    collect,
    [_toy(4, 0), _toy(3, 1), _toy(5, 2)],
    switches={
        "ask": ("author", "each round's pairs are the first author's: nothing samples the policy."),
        "extra": (1, "that is one round too many: the author's pairs are the first round."),
        "keep": ("last", "the wins of earlier rounds are dropped."),
        "scale": ("mean", "the mean over the rounds: all labels count, so their sum is asked."),
    },
    wrongs=(
        ("that is one round too few.", lambda *args: collect(*args, extra=-1)),
        ("the policy is fitted once, after the first round: fit again after each.",
         lambda *args: collect(*args, ask="first fit")),
        ("the policy is fitted to the last round's wins alone: fit it to all so far.",
         lambda *args: collect(*args, keep="fit the last")),
        ("the wins go into the fit turned round: `won[i, j]` says how often i won.",
         lambda *args: collect(*args, ask="turned")),
        ("the first round's pairs are a fit's, made of no labels: they are the author's.",
         _from_nothing),
        ("each round is written by the policy of the round before the last: one behind.",
         _one_behind),
        ("the pairs are written by a mixture of all policies so far: the newest writes them.",
         _mixture),
        ("those are the last round's wins alone; the wins of all rounds are asked.", _last_alone),
        ("the later pairs are written half by the author; the policy writes them.", _half_way),
        ("the author's pairs come again in every round: they are the first round alone.",
         _with_author),
        ("the fit is to the mean of the rounds: all their wins, added up, go in.", _fits_the_mean),
        ("what was won before is added twice in each round.", _doubled),
        ("that is the last policy; the wins of all rounds are asked.",
         lambda *args: args[3](collect(*args))),
        ("that is how many pairs there are; the wins (N, N) are asked.",
         lambda *args: collect(*args) + collect(*args).T),
        ("only the first round's wins are there.", lambda a, parts, label_of, fit: label_of(a)),
    ),
    shows="From the second round on, labels are about what the policy itself writes.",
    common=False,
)  # fmt: skip


EXERCISES = {
    "15.0": LOOP,
    "15.1": WORTH,
    "15.2": Own(more_rounds, own=LOST),
    "15.3": Own(judged, own=LENGTHS[0]),
}
