"""A first loss that is a multiple of what its margins allow: padding, accumulation, or neither.

A loss times a factor falls that many times as fast; a loss with something added falls as it did,
and never below what was added.
"""

import math

import numpy as np

from .logs import Log

LN2 = math.log(2)
OFFSET = 0.1  # of rewards, in the mean of the first row of several steps
STEEPEST = 0.6  # slope of a sigmoid loss by its margin: 1/2 at 0, and noise
OTHERS = "; other losses begin elsewhere (TRL's nca_pair and bco_pair at 2 ln 2)"


def far(row: dict) -> bool:
    """Both rewards far from 0 on the same side: nothing that training does within few steps."""
    chosen, rejected = row.get("chosen_reward", 0.0), row.get("rejected_reward", 0.0)
    return chosen * rejected > 0 and min(abs(chosen), abs(rejected)) > OFFSET


def check_scale(out, log: Log, row: dict, start: float, known: bool) -> bool:
    """A loss that is a multiple of what the margins allow; is it one?"""
    near = max(abs(row.get("chosen_reward", 0)), abs(row.get("rejected_reward", 0)))
    if near > 0.5 or abs(row["margin"]) > 0.6 or start <= 0:
        return False
    expected = float(np.logaddexp(0, -row["margin"])) if start == LN2 else start
    times = row["loss"] / expected
    whole, late = max(times, 1 / times), log.span[0] > 12
    slack = 0.01 if log.span[0] == 1 else 0.08
    halves = abs(whole - round(2 * whole) / 2) <= slack * whole
    least = 1.8 if late or (log.span[0] > 1 and far(row)) else 1.2  # noise makes 1.3 of it
    if whole < least or not (known or late or halves):
        return False
    words = f"{times:.2f} times" if times > 1 else f"1/{whole:.2f} of"
    at = int(log.step[0])
    seen = f"step {at}: with rewards near 0 the loss is {row['loss']:.3f}, {words} {expected:.3f}"
    code, sure, level = _kind(log, times, start, known, late)
    seen += "" if known else OTHERS
    out.add(code, seen, sure, level, row=at, number=times)
    return True


def _kind(log: Log, times: float, start: float, known: bool, late: bool) -> tuple[str, str, str]:
    """Which of the two it is, how sure, and whether it is a problem."""
    slope, likely = _slope(log), ("likely", "problem")
    if not known and slope is not None and slope > STEEPEST * max(times, 1 / 3):
        return "accumulation", "possible", "note"  # no multiple of this loss falls so fast
    if times < 1:
        return "accumulation", *likely
    if _ties(log):
        return "padding_rows", *likely
    alone = 1.1 * float(np.average(1 / (1 + np.exp(log["margin"])), weights=log.span))
    steep = slope is not None and slope > alone * math.sqrt(times)  # nearer to times than to once
    if steep or _below(log, times, start):
        return "accumulation", *likely
    if slope is None or slope > alone:
        return "accumulation", "possible", "problem"
    theirs = not known and log.where.suffix == ".json"  # TRL has losses that begin there
    if theirs and abs(times - 2) < (0.5 if late else 0.1):
        return "padding_rows", "possible", "note"
    return "padding_rows", *likely


def _below(log: Log, times: float, start: float) -> bool:
    """Is the loss ever lower than what was added, and what its mean margin makes at least?"""
    if start != LN2:
        return False
    added = (times - 1) * start
    least = added + np.logaddexp(0, -log.blocks("margin"))  # Jensen: the mean of a convex loss
    return bool((log.blocks("loss") - least).min() < -0.1 * added)


def _ties(log: Log) -> bool:
    """Is accuracy far too low for a margin that grows? TRL counts a row without margin as wrong."""
    margin, moved = log["margin"], np.abs(log["margin"]) > 1e-4
    if not log.has("accuracy") or not moved.any() or margin[-1] < 0.02:
        return False
    return bool(np.average(log["accuracy"][moved], weights=log.span[moved]) < 0.45)


def _slope(log: Log) -> float | None:
    """How far the loss falls for a margin of one; None if it hardly moves.

    From row to row where that tells, and not over the whole course, in which the pairs' spread
    grows and raises the loss again.
    """
    if np.ptp(log["margin"]) < 0.3 or len(log) < 4:
        return None
    loss, margin = np.diff(log["loss"]), np.diff(log["margin"])
    weight = (margin**2).sum()
    slope = (loss * margin).sum() / weight
    error = np.std(loss - slope * margin) / np.sqrt(weight)
    return -float(slope if error < 0.1 else np.polyfit(log["margin"], log["loss"], 1)[0])
