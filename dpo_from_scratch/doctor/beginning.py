"""Signs of a run's beginning, where policy and reference are equal and the loss is known."""

import math
from functools import partial

import numpy as np
import torch

from ..losses import LOSSES
from .logs import Log

LN2 = math.log(2)
OFFSET = 0.1  # of rewards, in the mean of the first row of several steps
EXACT = 0.02  # of rewards, before the first update
TRL_LOSSES = {"sigmoid": "dpo", "hinge": "hinge", "ipo": "ipo", "apo_zero": "apo_zero"}


def check_beginning(out, log: Log) -> bool:
    """The first row: are the rewards 0, and is the loss what it must be? True: something found."""
    name, start = loss_of(log)
    first, begins = int(log.step[0]), int(log.span[0])
    if first > begins:
        out.could_not.append(f"the beginning: the log starts at step {first}")
        return False
    if begins > 1:
        out.could_not.append(
            f"the first update: the first row is the mean of steps 1 to {first}, where rewards are "
            "not 0 any more; low precision and small noise of dropout can't be seen "
            "(TRL: logging_steps=1 or logging_first_step=True)"
        )
    if name in LOSSES and "reference" not in LOSSES[name].inputs:
        return False
    if name is None:
        out.could_not.append(
            "which loss it was: no settings lie beside the log, so a sigmoid loss is assumed"
        )
    out.looks_for("reference_differs", "dropout", "accumulation", "padding_rows")
    row, before = {k: float(column[0]) for k, column in log.columns.items()}, len(out.findings)
    largest = max(abs(row.get(k, 0)) for k in ("chosen_reward", "rejected_reward", "margin"))
    if begins > 1:
        scaled = _scale(out, log, row, start, name is not None)
        if not scaled and _far(row) and log.mean("loss", _few(log)) > start + 0.02:
            _offset(out, log, row, start, name is not None)
        return len(out.findings) > before
    out.looks_for("precision")
    if largest > EXACT:
        _offset(out, log, row, start, name is not None)
    elif largest < 1e-6 and start == LN2 and 5e-4 < abs(row["loss"] - LN2) < 0.01:
        seen = f"step 1: with all rewards 0 the loss is {row['loss']:.5f}, and ln 2 is {LN2:.5f}"
        out.add("precision", seen, row=1, number=row["loss"])
    else:
        _scale(out, log, row, start, name is not None)
    return len(out.findings) > before


def loss_of(log: Log) -> tuple[str | None, float]:
    """The loss's name here, None if nobody says, and its value where policy equals reference."""
    told = log.settings.get("loss") or log.settings.get("loss_type")
    told = told[0] if isinstance(told, list) and len(told) == 1 else told
    name = TRL_LOSSES.get(told, told) if isinstance(told, str) else None
    if name not in LOSSES or LOSSES[name].needs != "pairs":
        return name, LN2
    loss, zero = LOSSES[name], torch.zeros(2)
    options = log.settings.get("options")
    if "reference" not in loss.inputs:
        return name, LN2
    more = dict(options) if isinstance(options, dict) else {}
    if "lengths" in loss.inputs:
        more |= {"chosen_lengths": zero + 20, "rejected_lengths": zero + 20}
    if "win_probability" in loss.inputs:
        more["win_probability"] = zero + 1
    try:
        return name, float(loss.fn(*[zero] * 4, **more).mean())
    except (TypeError, ValueError):
        return name, LN2


def _far(row: dict) -> bool:
    """Both rewards far from 0 on the same side, or a margin that is not there by training."""
    chosen, rejected = row.get("chosen_reward", 0.0), row.get("rejected_reward", 0.0)
    return chosen * rejected > 0 and min(abs(chosen), abs(rejected)) > OFFSET


def _few(log: Log) -> slice:
    """The rows of the first ten steps, or the first row: the noise of one batch is large."""
    return slice(0, max(1, int((log.step <= 10).sum())))


def _scale(out, log: Log, row: dict, start: float, known: bool) -> bool:
    """A loss that is a multiple of what the margins allow; is it one?"""
    near = max(abs(row.get("chosen_reward", 0)), abs(row.get("rejected_reward", 0)))
    if near > 0.5 or abs(row["margin"]) > 0.6 or start <= 0:
        return False
    expected = float(np.logaddexp(0, -row["margin"])) if start == LN2 else start
    times = row["loss"] / expected
    whole, late = max(times, 1 / times), log.span[0] > 12
    slack = 0.01 if log.span[0] == 1 else 0.08
    halves = abs(whole - round(2 * whole) / 2) <= slack * whole
    least = 1.8 if late or (log.span[0] > 1 and _far(row)) else 1.2  # noise makes 1.3 of it
    if whole < least or not (known or late or halves):
        return False
    at, ties = int(log.step[0]), _ties(log)
    words = f"{times:.2f} times" if times > 1 else f"1/{whole:.2f} of"
    seen = f"step {at}: with rewards near 0 the loss is {row['loss']:.3f}, {words} {expected:.3f}"
    added = times > 1 and (ties or _slope(log) < 0.55)  # of one pair's loss: 1/2 at most near 0
    other = added and not ties and not known and abs(times - 2) < (0.5 if late else 0.1)
    sure, level = ("possible", "note") if other else ("likely", "problem")
    if not known:
        seen += "; other losses begin elsewhere (TRL's nca_pair and bco_pair at 2 ln 2)"
    code = "padding_rows" if added else "accumulation"
    out.add(code, seen, sure, level, row=at, number=times)
    return True


def _ties(log: Log) -> bool:
    """Is accuracy far too low for a margin that grows? TRL counts a row without margin as wrong."""
    margin, moved = log["margin"], np.abs(log["margin"]) > 1e-4
    if not log.has("accuracy") or not moved.any() or margin[-1] < 0.02:
        return False
    return bool(np.average(log["accuracy"][moved], weights=log.span[moved]) < 0.45)


def _slope(log: Log) -> float:
    """How far the loss falls for a margin of one; infinite where the margin hardly moves."""
    if np.ptp(log["margin"]) < 0.3 or len(log) < 4:
        return math.inf
    return float(-np.polyfit(log["margin"], log["loss"], 1)[0])


def _offset(out, log: Log, row: dict, start: float, known: bool) -> None:
    """Rewards that are not 0 at the beginning: another reference, dropout, or steps too large."""
    chosen, rejected, loss = (
        log.mean(k, _few(log)) if log.has(k) else row["margin"]
        for k in ("chosen_reward", "rejected_reward", "loss")
    )
    at, middle = int(log.step[0]), (chosen + rejected) / 2
    if log.span[0] > 1 and runs_away(log):
        return  # the course says so
    seen = (
        f"step {at}: the loss is {loss:.3f} and the rewards are {chosen:.2f} (chosen) and "
        f"{rejected:.2f} (rejected), where equal models have {start:.3f} and 0"
    )
    add = partial(out.add, row=at, number=middle)
    if not known and not _has_reference(log):  # CPO's and ORPO's trainers log such rewards too
        add("reference_differs", f"{seen}, if the loss has a reference", "possible", "note")
        return
    gone = _gone_in_evaluation(log, middle)
    if gone is not None:
        told = "gone" if gone else "there too"
        code = "dropout" if gone else "reference_differs"
        add(code, f"{seen}; in evaluation, without dropout, they are {told}", "certain")
    elif loss <= start + 0.01 or middle > 0 or _comes_back(log, middle) > 0.6:
        add("reference_differs", f"{seen}, which noise of dropout does not do to both")
    elif log.span[0] <= 12 and _comes_back(log, middle) < 0.3 and _trained(log, middle):
        add("dropout", f"{seen}, and stay there while the margin grows")
    else:
        seen += "; it may be dropout too: evaluate once, where dropout is off, to tell them apart"
        add("reference_differs", seen, "possible")


def _has_reference(log: Log) -> bool:
    """False where rewards are log-probabilities times a constant, or where nobody can tell."""
    if not log.has("chosen_reward", "chosen_logp") or len(log) < 2:
        return False
    ratio = log["chosen_reward"] / np.where(log["chosen_logp"] == 0, np.nan, log["chosen_logp"])
    return bool(np.nanstd(ratio) > 1e-3 * abs(np.nanmean(ratio)))


def runs_away(log: Log) -> bool:
    """Does the chosen reward go on falling far beyond the first row's?"""
    if not log.has("chosen_reward"):
        return False
    chosen = log["chosen_reward"]
    most, first = -chosen.min(), max(abs(chosen[0]), 1e-6)
    return bool(most > 1.5 and (most > 1.7 * first or (first > 3 and most > 1.2 * first)))


def _gone_in_evaluation(log: Log, middle: float) -> bool | None:
    """Is the offset absent where dropout is off? None without evaluations."""
    keys = ("eval_rewards/chosen", "eval_rewards/rejected")
    rows = [row for row in log.evals if all(key in row for key in keys)]
    if not rows or not log.has("chosen_reward"):
        return None
    now = sum(float(rows[0][key]) for key in keys) / 2
    near = int(np.abs(log.step - rows[0].get("step", 0)).argmin())
    then = (log["chosen_reward"][near] + log["rejected_reward"][near]) / 2
    return abs(now) < 0.5 * abs(then) if abs(then) > 0.3 * abs(middle) else None


def _comes_back(log: Log, middle: float) -> float:
    """How much of the first offset the chosen reward makes up for, as a share."""
    values = log.blocks("chosen_reward") if log.has("chosen_reward") else np.zeros(0)
    return float((values[1:].max() - values[0]) / abs(middle)) if len(values) > 2 else 0.0


def _trained(log: Log, middle: float) -> bool:
    """Did the margin grow by something?"""
    values = log.blocks("margin")
    return bool(len(values) > 2 and values[-1] - values[0] > max(0.2, 0.4 * abs(middle)))
