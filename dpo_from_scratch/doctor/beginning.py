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


def check_beginning(out, log: Log) -> None:
    """The first row: are the rewards 0, and is the loss what it must be?"""
    name, start = loss_of(log)
    first, begins = int(log.step[0]), int(log.span[0])
    if first > begins:
        out.could_not.append(f"the beginning: the log starts at step {first}")
        return
    if begins > 1:
        out.could_not.append(
            f"the first update: the first row is the mean of steps 1 to {first}, where rewards are "
            "not 0 any more; low precision and small noise of dropout can't be seen "
            "(TRL: logging_steps=1 or logging_first_step=True)"
        )
    if name and name in LOSSES and "reference" not in LOSSES[name].inputs:
        return
    if name is None:
        out.could_not.append(
            "which loss it was: no settings lie beside the log, so a sigmoid loss is assumed"
        )
    out.looks_for("reference_differs", "dropout", "accumulation", "padding_rows")
    known = name is not None
    row = {key: float(column[0]) for key, column in log.columns.items()}
    rewards = [row[k] for k in ("chosen_reward", "rejected_reward", "margin") if k in row]
    largest = max(map(abs, rewards))
    if begins == 1:
        out.looks_for("precision")
        if largest > EXACT:
            _offset(out, log, start, known)
        elif largest < 1e-6 and start == LN2 and 5e-4 < abs(row["loss"] - LN2) < 0.01:
            seen = f"step 1: with all rewards 0 the loss is {row['loss']:.5f}, and ln 2 is 0.69315"
            out.add("precision", seen, row=1, number=row["loss"])
        else:
            _scale(out, log, row, start, known)
    elif not _scale(out, log, row, start, known) and _far(row) and row["loss"] > start + 0.02:
        _offset(out, log, start, known)


def loss_of(log: Log) -> tuple[str | None, float]:
    """The loss's name here, None if nobody says, and its value where policy equals reference."""
    told = log.settings.get("loss") or log.settings.get("loss_type")
    told = told[0] if isinstance(told, list) and len(told) == 1 else told
    name = TRL_LOSSES.get(told, told) if isinstance(told, str) else None
    if name not in LOSSES or LOSSES[name].needs != "pairs":
        return (name, LN2)
    loss, zero = LOSSES[name], torch.zeros(2)
    options = log.settings.get("options") or {}
    if "reference" not in loss.inputs or not isinstance(options, dict):
        return name, LN2
    fill = {"chosen_lengths": zero + 20, "rejected_lengths": zero + 20, "win_probability": zero + 1}
    more = {k: v for k, v in fill.items() if k in loss.inputs or f"{k[:-1]}s" in loss.inputs}
    if "lengths" in loss.inputs:
        more |= {k: v for k, v in fill.items() if k.endswith("lengths")}
    try:
        return name, float(partial(loss.fn, *[zero] * 4)(**options, **more).mean())
    except (TypeError, ValueError):
        return name, LN2


def _far(row: dict) -> bool:
    """Both rewards far from 0 on the same side, or a margin that is not there by training."""
    chosen, rejected = row.get("chosen_reward", 0.0), row.get("rejected_reward", 0.0)
    return chosen * rejected > 0 and min(abs(chosen), abs(rejected)) > OFFSET


def _scale(out, log: Log, row: dict, start: float, known: bool) -> bool:
    """A loss that is a multiple of what the margins allow; is it one?"""
    near = max(abs(row.get("chosen_reward", 0)), abs(row.get("rejected_reward", 0)))
    if near > 0.4 or abs(row["margin"]) > 0.6 or start <= 0:
        return False
    expected = float(np.logaddexp(0, -row["margin"])) if start == LN2 else start
    times = row["loss"] / expected
    slack = 0.01 if log.span[0] == 1 else 0.08
    whole = times if times > 1 else 1 / times
    if whole < 1.2 or (not known and abs(whole - round(2 * whole) / 2) > slack * whole):
        return False
    at = int(log.step[0])
    words = f"{times:.2f} times" if times > 1 else f"1/{whole:.2f} of"
    seen = f"step {at}: with rewards near 0 the loss is {row['loss']:.3f}, {words} {expected:.3f}"
    if times > 1 and _is_added(log, times):
        code = "padding_rows"
    else:
        code = "accumulation"
    sure = "likely" if known or times < 1 else "possible"
    if not known:
        seen += " (right for another loss_type: nca_pair and bco_pair begin at 2 ln 2)"
    out.add(code, seen, sure, row=at, number=times)
    return True


def _is_added(log: Log, times: float) -> bool:
    """Were rows without a margin counted? Then ties abound, or the loss falls by its own slope."""
    accuracy, margin = log.columns.get("accuracy"), log["margin"]
    moved = np.abs(margin) > 1e-4
    if accuracy is not None and moved.any() and margin[-1] > 0.02:
        if np.average(accuracy[moved], weights=log.span[moved]) < 0.45:
            return True  # TRL counts a tie as wrong
    if np.ptp(margin) < 0.3 or len(log) < 4:
        return False
    slope = -np.polyfit(margin, log["loss"], 1)[0]
    return bool(slope < 0.55)  # of one pair's loss: at most 1/2 near 0


def _offset(out, log: Log, start: float, known: bool) -> None:
    """Rewards that are not 0 at the beginning: another reference, dropout, or steps too large."""
    row = {key: float(column[0]) for key, column in log.columns.items()}
    chosen, rejected = row.get("chosen_reward", 0.0), row.get("rejected_reward", 0.0)
    at, middle = int(log.step[0]), (chosen + rejected) / 2
    if log.span[0] > 1 and _runs_away(log, middle):
        return  # the course says so
    seen = (
        f"step {at}: the loss is {row['loss']:.3f} and the rewards are {chosen:.2f} (chosen) and "
        f"{rejected:.2f} (rejected), where equal models have {start:.3f} and 0"
    )
    add = partial(out.add, row=at, number=middle)
    if row["loss"] <= start + 0.01:
        level = () if known else ("possible", "note")
        add("reference_differs", seen, *level)  # CPO's and ORPO's trainers log such rewards too
        return
    gone = _gone_in_evaluation(log, middle)
    if gone is not None:
        told = "gone" if gone else "there too"
        code = "dropout" if gone else "reference_differs"
        add(code, f"{seen}; in evaluation they are {told}", "certain")
    elif middle > 0 or _shrinks(log, middle):
        add("reference_differs", f"{seen}; they come back towards 0 as training goes on")
    else:
        noise = "in eval mode noise is gone: evaluate once to tell it from a wrong reference"
        add("dropout", f"{seen}; {noise}", "possible")


def _runs_away(log: Log, middle: float) -> bool:
    """Do rewards go on growing, and the loss with them?"""
    middles = (log["chosen_reward"] + log["rejected_reward"]) / 2
    return bool(
        np.abs(middles).max() > 2.5 * abs(middle) and log["loss"][1:].max() > log["loss"][0]
    )


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


def _shrinks(log: Log, middle: float) -> bool:
    """Does the chosen reward come back from its first offset by a quarter or more?"""
    if not log.has("chosen_reward") or len(log) < 4:
        return False
    values = log.blocks("chosen_reward")
    if len(values) < 3:
        return False
    return bool(values[1 : max(3, len(values) // 2 + 1)].max() > values[0] + 0.3 * abs(middle))
