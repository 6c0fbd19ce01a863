"""Signs of a run's beginning, where policy and reference are equal and the loss is known."""

from functools import partial

import numpy as np
import torch

from ..losses import LOSSES
from .evaluated import course, judge, other_reference
from .logs import Log
from .scale import LN2, check_scale, far

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
        scaled = check_scale(out, log, row, start, name is not None)
        if not scaled and far(row) and log.mean("loss", _few(log)) > start + 0.02:
            _offset(out, log, row, start, name is not None)
        return len(out.findings) > before
    out.looks_for("precision")
    if largest > EXACT:
        _offset(out, log, row, start, name is not None)
    elif largest < 1e-6 and start == LN2 and 5e-4 < abs(row["loss"] - LN2) < 0.01:
        seen = f"step 1: with all rewards 0 the loss is {row['loss']:.5f}, and ln 2 is {LN2:.5f}"
        out.add("precision", seen, row=1, number=row["loss"])
    else:
        check_scale(out, log, row, start, name is not None)
    return len(out.findings) > before


def without_reference(log: Log) -> bool:
    """Whether its settings name a loss that has no reference, as SimPO and ORPO."""
    name, _ = loss_of(log)
    return name in LOSSES and "reference" not in LOSSES[name].inputs


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


def _few(log: Log) -> slice:
    """The rows of the first ten steps, or the first row: the noise of one batch is large."""
    return slice(0, max(1, int((log.step <= 10).sum())))


def _offset(out, log: Log, row: dict, start: float, known: bool) -> None:
    """Rewards that are not 0 at the beginning: another reference, dropout, or steps too large."""
    chosen, rejected, loss = (
        log.mean(k, _few(log)) if log.has(k) else row["margin"]
        for k in ("chosen_reward", "rejected_reward", "loss")
    )
    at, middle = int(log.step[0]), (chosen + rejected) / 2
    if log.span[0] > 1 and runs_away(log):
        return  # the course says so
    seen = _first_row(log, row, start)
    add = partial(out.add, row=at, number=middle)
    if not known and not _has_reference(log):  # CPO's and ORPO's trainers log such rewards too
        add("reference_differs", f"{seen}, if the loss has a reference", "possible", "note")
        return
    code, sure, why = _which(log, middle, loss <= start + 0.01, start == LN2)
    add(code, f"{seen}{why}", sure)


def _first_row(log: Log, row: dict, start: float) -> str:
    """The first row beside what it would be if policy and reference were equal."""
    at, span = int(log.step[0]), int(log.span[0])
    when = f"step {at}" if span == 1 else f"the mean of steps {at - span + 1} to {at}"
    if log.has("chosen_reward", "rejected_reward"):
        rewards = (
            "the rewards are {chosen_reward:.2f} (chosen) and {rejected_reward:.2f} (rejected)"
        )
    else:
        rewards = "the margin is {margin:.2f}"
    told = f"{when}: the loss is {row['loss']:.3f} and {rewards.format(**row)}"
    return f"{told}, where equal models have {start:.3f} and 0"


def _which(log: Log, middle: float, low: bool, sigmoid: bool) -> tuple[str, str, str]:
    """Another reference or dropout: code, how sure, and why. `low`: the loss is none of noise's."""
    if other_reference(log):
        why = "; config.json says that the reference was another model, and dropout was off"
        return "reference_differs", "certain", why
    told = judge(log, middle, sigmoid)
    if told:
        return told
    if low:
        return "reference_differs", "likely", "; noise of dropout would raise the first losses"
    if middle > 0:
        return "reference_differs", "likely", "; noise of dropout would lower both rewards"
    back, away, scatter = course(log, middle)
    if back > max(1 / 3, 2 * scatter):
        return "reference_differs", "likely", "; both come back, which noise of dropout does not"
    if log.span[0] <= 12 and back < 1 / 3 and away < 1 and _trained(log, middle):
        why = (
            ", and both stay there while the margin grows; evaluate to be sure: noise is gone then"
        )
        return "dropout", "likely", why
    why = "; it may be dropout too: evaluate early and often, where dropout is off, to tell"
    return "reference_differs", "possible", why


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


def _trained(log: Log, middle: float) -> bool:
    """Did the margin grow by something?"""
    values = log.blocks("margin")
    return bool(len(values) > 2 and values[-1] - values[0] > max(0.2, 0.4 * abs(middle)))
