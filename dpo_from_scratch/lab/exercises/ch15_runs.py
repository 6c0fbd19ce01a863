"""Exercises 15.2 and 15.3: numbers of a reader's own runs, held against measured ones."""

from collections.abc import Mapping

import numpy as np

from . import values
from .verdicts import Verdict, misformed, right, unknown, wrong


def _read(attempt, n: int, order: str) -> np.ndarray | Verdict:
    attempt = list(attempt.values()) if isinstance(attempt, Mapping) else attempt
    found = values.numbers(attempt)
    if found is None or found.size != n or not np.isfinite(found).all():
        return misformed(f"asked: {order}, {n} numbers.")
    return found.ravel()


# ---------------------------------------------------------------- 15.2: more rounds
LOST = (0.1488, 0.0811, 0.0753, 0.0728)  # drawn by NumPy's seeds 0 to 7: alike on every machine
MEASURED = (  # what other ways to reckon give
    ((0.1505, 0.0777, 0.0729, 0.0736), "that is seed 0 alone; the mean of 0 to 7 is asked."),
    ((0.1509, 0.0782, 0.0735, 0.0724), "that is the median over the seeds; the mean is asked."),
    ((0.1020, 0.0624, 0.0650, 0.0591), "that is the best seed's; the mean over all is asked."),
    ((0.2370, 0.1525, 0.1115, 0.0386), "that is the reward lost, without the KL: `lost` has both."),
    ((0.1194, 0.0602, 0.0526, 0.0500), "the seeds' rewards are averaged before there is a policy: "
     "each seed has its own policy, and what these lose is averaged."),
    ((0.2396, 0.2101, 0.1991, 0.1796), "the policies are made with a β of 1, not with `beta`."),
    ((0.2395, 0.1999, 0.2133, 0.1694), "that is seed 0 alone, and a β of 1, not `beta`."),
    ((0.2480, 0.1352, 0.1255, 0.1213), "that is the KL to π*: what is lost is β times that."),
    ((0.2307, 0.1425, 0.1532, 0.1806), "that is the KL of π* to the policies."),
    ((0.2662, 0.0908, 0.0725, 0.0820), "the first round's pairs are the other author's; the "
     "grammar's are asked, `log_ref`."),
    ((0.7265, 0.7942, 0.8000, 0.8025), "that is the policies' reward − β KL; asked is what they "
     "lack of the best."),
    ((1.304, 1.389, 1.430, 1.503), "that is the policies' true reward."),
    ((0.962, 0.990, 1.050, 1.166), "that is how far the policies are from π_ref."),
    ((0.149, 0.133, 0.150, 0.134), "rounds change nothing there: each round's pairs are the first "
     "author's."),
    ((0.149, 0.200, 0.440, 0.418), "the pairs of earlier rounds are forgotten there."),
    ((0.149, 0.073, 0.057, 0.048), "each round has 2,048 labels there: that is what all rounds "
     "have together."),
    ((0.185, 0.143, 0.090, 0.0895), "the first round's pairs are π*'s there: nobody can ask it "
     "yet."),
)  # fmt: skip
HALF_WIDTHS = (0.021, 0.012, 0.008, 0.008)
CHANGED = (
    (lambda f: f[::-1], "the right numbers, but not in the order 1, 2, 4, 16 rounds."),
    (lambda f: -f, "the sign is turned round: what is lost is positive."),
    (lambda f: f / 100, "that is in per cent."),
    (lambda f: f / 8, "that is the sum over eight seeds; the mean is asked."),
    (lambda f: LOST[0] - f, "that is what is gained over one round; asked is what is lost."),
)


def _near(found, wanted, rtol: float = 0.025) -> bool:
    return bool(np.allclose(found, wanted, rtol=rtol, atol=5e-4))


def _rounds_why(found: np.ndarray) -> str:
    """What gives such numbers, where that was measured; else what is certain."""
    for change, why in CHANGED:
        if _near(change(found), LOST):
            return why
    if np.allclose(found, HALF_WIDTHS, atol=0.0015):
        return "those are half-widths; the means are asked."
    for numbers, why in MEASURED:
        if _near(found, numbers, 0.015):
            return why
    if (found < 0).any():
        return "no policy has more of reward − β KL than the best: what is lost isn't negative."
    if _near(found, LOST, 0.25):
        return (
            "near, but not the means over seeds 0 to 7, each from a `learn(log_ref, parts, seed)` "
            "of its own: these have the same three digits on every machine."
        )
    if _near(found[:1], LOST[:1]):
        return "with one round it is right; with more it isn't. Do your rounds pass 15.0's check?"
    return ""


def more_rounds(attempt) -> Verdict:
    """Four means of what is lost, of the reader's own fits."""
    found = _read(attempt, 4, "what is lost with 1, 2, 4 and 16 rounds")
    if isinstance(found, Verdict):
        return found
    why = next((w for n, w in MEASURED[:2] if np.allclose(found, n, rtol=0, atol=6e-4)), "")
    if not why and _near(found, LOST):
        return right("The second round brings nearly all; four and sixteen differ by their luck.")
    why = why or _rounds_why(found)
    return wrong(why) if why else unknown(f"yours are {values.show(found)}.")


# ---------------------------------------------------------------- 15.3: a judge who likes length
# Lengths (before, after the judge who likes it, after the honest one) by some samplings' seeds.
LENGTHS = ((22.042, 27.3, 22.092), (19.742, 26.475, 20.825), (20.983, 25.95, 20.817))
TASK = "0.3 a word, a learning rate of 1e-3, three rounds of 8 steps, 24 in all"
OTHER_RUNS = (  # by the second sampling, of other runs
    ((19.742, 24.608, 20.425), "the rate left as the preset has it"),
    ((19.742, 24.59, 20.825), "the judge's own 0.15 a word left in, or else of a rate left as the "
     "preset has it in that run"),
    ((19.742, 23.392, 19.650), "8 steps in all"),
)  # fmt: skip


def _forms(before: float, liked: float, honest: float) -> str:
    """Numbers that are no lengths of reviews in tokens, each in its place."""
    checks = (
        (before > 400, "that is a sum of tokens; the mean of a review is asked."),
        (before > 60, "that is far too long: are characters counted? Tokens are asked."),
        (abs(liked) < 12, "no such mean is so small: are these differences? Lengths are asked."),
        (before > 18 and liked > 18 and abs(honest) < 8,
         "the last number is too small for a length: is it a difference?"),
        (before < 8, "that is far too short for a review: are these differences?"),
        (before > 24.2 and abs(before - liked) < 1,
         "`before` is as long as after: is it measured before training? That changes the model in "
         "place."),
        (before > 24.2, "`before` is longer than the first model's reviews: is the prompt counted, "
         "or the model trained already?"),
        (before < 18.2, "`before` is shorter than the first model's reviews: is every token of a "
         "review counted, the stops and the end, too?"),
    )  # fmt: skip
    return next((why for holds, why in checks if holds), "")


def _measured(found: np.ndarray) -> str:
    """What gives these very numbers, by the same samplings."""
    near = lambda numbers: np.allclose(found, numbers, rtol=0, atol=0.06)
    if any(near(np.subtract(numbers, 1)) for numbers in LENGTHS):
        return "that is one less a review: is the end's token left out, or are words counted?"
    how = next((how for numbers, how in OTHER_RUNS if near(numbers)), "")
    return how and f"that is what comes of {how}; asked: {TASK}."


def _changes(before: float, liked: float, honest: float) -> str:
    """What the two trainings did, which differs from what they do as told."""
    grew, same = liked - before, honest - before
    checks = (
        (same > 2.9 and grew < 2,
         "the honest judge's texts grew and the other's didn't: have the two changed places?"),
        (honest > 23.0, "with the honest judge it grew as well: was the model loaded anew, and "
         "that judge handed in?"),
        (grew < -2, "with a liking for length it got shorter: are chosen and rejected exchanged?"),
        (abs(grew) < 1.2, "the first judge's texts haven't grown: was the writer trained, and by "
         "this judge?"),
        (abs(same) < 5e-3 and abs(10 * before - round(10 * before)) > 1e-6,  # not to one digit
         "the honest judge's texts are as long as before, to the last digit: was that model "
         "trained before it was asked?"),
        (honest < 18.9, "the honest judge's texts are shorter than such a run's are."),
        (liked < 25.0, f"it grew, but less than as told: {TASK}?"),
        (liked > 28.7, f"it grew more than as told: {TASK}?"),
    )  # fmt: skip
    return next((why for holds, why in checks if holds), "")


def judged(attempt) -> Verdict:
    """Mean tokens before, after rounds with a judge who likes length, and with an honest one."""
    found = _read(attempt, 3, "tokens before, with the judge who likes length, with the honest one")
    if isinstance(found, Verdict):
        return found
    why = _forms(*found) or _measured(found) or _changes(*found)
    if why:
        return wrong(why)
    return right("Fresh samples carry the judge's liking into the texts, round by round.")
