"""Exercises of chapter 15: the loop of rounds, what labels are worth, more rounds, a judge."""

from collections.abc import Mapping

import numpy as np

from . import values
from .answers import Own
from .ch15_worth import WORTH
from .functions import Function
from .verdicts import Verdict, misformed, right, unknown, wrong


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


# ---------------------------------------------------------------- 15.2: more rounds
def _read(attempt, n: int, order: str) -> np.ndarray | Verdict:
    attempt = list(attempt.values()) if isinstance(attempt, Mapping) else attempt
    found = values.numbers(attempt)
    if found is None or found.size != n or not np.isfinite(found).all():
        return misformed(f"asked: {order}, {n} numbers.")
    return found.ravel()


def _in_range(lost: np.ndarray) -> bool:
    first, *rest = lost
    return 0.115 < first < 0.19 and all(0.06 < x < 0.105 for x in rest) and max(rest) < 0.75 * first


def _rounds_why(f: np.ndarray) -> str:
    first, later = f[0], f[1:]
    checks = (
        (_in_range(f[::-1]), "the right size, but not in the order 1, 2, 4, 16 rounds."),
        (_in_range(-f), "the sign is turned round: what is lost is positive."),
        (_in_range(f * 0.6), "that is the KL to π*: what is lost is β times that."),
        (_in_range(f / 100), "that is in per cent."),
        (_in_range(f / 8), "that is the sum over eight seeds; the mean is asked."),
        (_in_range(first - f + 0 * f) or (abs(first) < 1e-9 and (later > 0.03).all()),
         "that is what is gained over one round; asked is what is lost."),
        ((f > 0.6).all() and (f < 0.9).all(),
         "that is the policies' reward − β KL; asked is what they lack of the best."),
        ((f > 0.9).all() and (f < 1.25).all(), "that is how far the policies are from π_ref."),
        ((f > 1.2).all() and (f < 1.7).all(), "that is the policies' true reward."),
        ((f > 0).all() and (f < 0.035).all(), "that is a half-width; the mean is asked."),
        (first > 0.21 and (later < 0.15).all(),
         "too much is lost in one round: it begins with another author's pairs."),
        ((later[1:] > 0.25).all() and first < 0.2,
         "more rounds lose more: the pairs of earlier rounds are forgotten."),
        (0.165 < first < 0.21 and 0.115 < later[0] < 0.18 and (later[1:] < 0.115).all(),
         "the first round's pairs seem to be π*'s: nobody can ask it yet."),
        (((f > 0.11) & (f < 0.19)).all(),
         "rounds change nothing: each round's pairs are the first author's."),
        (0.115 < first < 0.19 and later[0] < 0.1 and later[2] < 0.058,
         "too little is lost: 2,048 labels are all that there are, for all rounds together."),
    )  # fmt: skip
    return next((why for holds, why in checks if holds), "")


def more_rounds(attempt) -> Verdict:
    """Four means of what is lost, of the reader's own fits."""
    found = _read(attempt, 4, "what is lost with 1, 2, 4 and 16 rounds")
    if isinstance(found, Verdict):
        return found
    if _in_range(found):
        return right("The second round brings nearly all; four and sixteen differ by their luck.")
    why = _rounds_why(found)
    return wrong(why) if why else unknown(f"yours are {values.show(found)}.")


# ---------------------------------------------------------------- 15.3: a judge who likes length
def judged(attempt) -> Verdict:
    """Mean tokens before, after rounds with a judge who likes length, and with an honest one."""
    found = _read(attempt, 3, "tokens before, with the judge who likes length, with the honest one")
    if isinstance(found, Verdict):
        return found
    before, liked, honest = found
    grew, same = liked - before, abs(honest - before)
    checks = (
        (before > 400, "that is a sum of tokens; the mean of a review is asked."),
        (before > 60, "that counts characters: tokens are asked."),
        (25.5 < before < 34 and abs(before - liked) < 1,
         "`before` is as long as after: training changes the model in place; measure first."),
        (25.5 < before < 34, "the prompt is counted too; asked is the review's length."),
        (before < 8, "that is far too short for a review: are these differences?"),
        (before < 19, "stops and the end are left out, or texts: count a review's tokens."),
        (before > 20 and liked > 20 and abs(honest) < 8,
         "the last number is a difference: the length itself is asked."),
        (abs(liked) < 12, "these are differences: the lengths themselves are asked."),
        (honest - before > 2 and grew < 2, "the two judges have changed places."),
        (honest - before > 3.5 and grew > 2,
         "with the honest judge it grew as well: load the model anew, and hand in that judge."),
        (grew < -2, "with a liking for length it got shorter: chosen and rejected are exchanged."),
        (abs(grew) < 1.2 and same < 2.5, "neither changed: was the writer trained, by this judge?"),
    )  # fmt: skip
    if why := next((why for holds, why in checks if holds), ""):
        return wrong(why)
    if 19 <= before <= 25.5 and 1.2 <= grew < 20 and same <= 3.5:
        return right("Fresh samples carry the judge's liking into the texts, round by round.")
    return unknown(f"yours are {values.show(found)}.")


EXERCISES = {
    "15.0": LOOP,
    "15.1": WORTH,
    "15.2": Own(more_rounds, own=(0.149, 0.081, 0.075, 0.073)),
    "15.3": Own(judged, own=(22.0, 27.3, 22.1)),
}
