"""Signs that a whole log shows: numbers that aren't finite, counters, flat lines, the course."""

import numpy as np

from .beginning import runs_away, without_reference
from .logs import Log
from .scale import LN2

FINITE_LATER = "grad_norm alone is not finite, and finite again later: an fp16 loss scaler at work"
ROSE = 0.1  # nats per pair: how far a mean over ten steps or more may lie above the beginning
UNMOVED = 0.02  # of rewards: less in a whole run is nothing
FEW_ROWS, FEW_STEPS = 4, 16


def check_finite(out, log: Log) -> Log:
    """First of all: is every number one? Returns the rows before the first that is not."""
    out.looks_for("not_finite")
    first: dict[str, int] = {}
    for name, column in log.columns.items():
        bad = ~np.isfinite(column)
        if bad.any():
            first[name] = int(bad.argmax())
    zero = _masked_loss(log)
    if zero is not None:
        first["loss"] = min(zero, first.get("loss", zero))
    if set(first) == {"grad_norm"} and np.isfinite(log["grad_norm"][-1]):
        at = int(log.step[first["grad_norm"]])
        out.add("not_finite", f"row of step {at}: {FINITE_LATER}", "likely", "note", row=at)
        keep = {name: c for name, c in log.columns.items() if name != "grad_norm"}
        return type(log)(log.where, keep, log.step, log.span, log.evals, log.settings, log.told)
    if not first:
        return log
    row = min(first.values())
    names = ", ".join(name for name in first if first[name] == row)
    at = int(log.step[row])
    seen = f"from step {at} on {names} {'is' if ',' not in names else 'are'} not finite"
    if zero is not None:
        seen += ' (a loss of exactly 0 is how TRL shows nan: "logging_nan_inf_filter")'
    out.add("not_finite", seen, "certain", row=at)
    out.could_not.append(f"anything from step {at} on: only the {row} rows before it are read")
    return log.before(row)


def _masked_loss(log: Log) -> int | None:
    """From which row the loss is exactly 0 for good, without a margin that would explain it."""
    zero = log["loss"] == 0
    if not zero[-1] or zero.all():
        return None
    start = len(zero) - int((~zero[::-1]).argmax())
    margin = log["margin"][start:] if log.has("margin") else np.zeros(1)
    earned = np.isfinite(margin).all() and margin.min() > 10
    return None if earned or len(zero) - start < 2 else start


def check_counters(out, log: Log) -> None:
    """The two counters of chapter 22, and log-probability per token.

    Ends of text per response, and the share of tokens that is scored.
    """
    if log.has("eos"):
        out.looks_for("eos_missing", "truncated", "eos_doubled")
        eos = log.mean("eos")
        seen = f"{eos:.2f} ends of text are scored per response"
        code = "eos_missing" if eos < 0.01 else "truncated" if eos < 0.999 else "eos_doubled"
        if abs(eos - 1) > 0.001:
            out.add(code, seen, "certain", number=eos)
    if log.has("scored", "chosen_length"):
        out.looks_for("prompt_scored")
        share = log["scored"]
        if (log["chosen_length"] * (1 / share - 1)).mean() < 1.5:
            seen = f"{share.mean():.0%} of all tokens are scored: the prompts are among them"
            out.add("prompt_scored", seen, "certain", number=float(share.mean()))
    if not log.has("eos", "scored"):
        out.could_not.append(
            "which tokens are scored (prompt, end of text, cut responses): the log has no "
            "counters eos and scored; `doctor.check` looks at the code"
        )
    if log.has("chosen_length", "chosen_logp"):
        out.looks_for("not_shifted", "mean")
        logp, tokens = -log["chosen_logp"][:5].mean(), log["chosen_length"][:5].mean()
        per_token = logp / tokens
        if per_token > 7:
            seen = f"{per_token:.1f} nats a token: no model that fits its data is as bad"
            out.add("not_shifted", seen, number=float(per_token))
        if per_token < 0.1 and tokens > 8:
            seen = f"{logp:.2f} nats for {tokens:.0f} tokens can't be a sum"
            out.add("mean", seen, level="note", number=float(logp))


def check_flat(out, log: Log) -> bool:
    """A margin of exactly 0 all along: no gradient, or a reference that is the policy."""
    steps, flat = int(log.span.sum()), np.abs(log["margin"]).max() < 1e-6
    if steps < FEW_ROWS:
        out.could_not.append(f"the course of the run: it has {steps} steps")
        return bool(flat)
    out.looks_for("no_gradient", "reference_is_policy")
    if flat:
        norm, rate = log.columns.get("grad_norm"), rate_of(log)
        still = (norm is not None and norm.max() < 1e-8) or rate == 0
        code = "no_gradient" if still else "reference_is_policy"
        # a rate that is too low for anything to move would look the same
        known = norm is not None and rate is not None
        seen = f"the margin is 0 at all {len(log)} rows, {steps} steps"
        out.add(code, seen, "certain" if known else "likely", row=int(log.step[-1]), number=0.0)
    return bool(flat)


def rate_of(log: Log) -> float | None:
    """The largest learning rate that the log or the settings beside it know."""
    if log.has("learning_rate"):
        return float(log["learning_rate"].max())
    return log.settings.get("learning_rate")


def check_returns(out, log: Log) -> None:
    """A margin that grew and is exactly 0 again: the reference was set to the policy."""
    if log.span.max() > 1:
        every = int(np.median(log.span))
        out.could_not.append(
            f"a reference that moves: a row is the mean of {every} steps, which hides a return to 0"
        )
    else:
        out.looks_for("reference_moves")
    margin = np.abs(log["margin"])
    moved = margin > 1e-3
    again = np.flatnonzero((margin < 1e-6) & (np.cumsum(moved) > 0))
    if len(again) >= 2:
        at = int(log.step[again[0]])
        seen = f"the margin grows, and is exactly 0 again in {len(again)} rows, first at step {at}"
        out.add("reference_moves", seen, row=at, number=float(len(again)))


def check_course(out, log: Log, sound: bool) -> None:
    """What a whole run shows: a loss that rose (where the beginning was sound), its last quarter.

    A run with another problem is not judged by its loss.
    """
    steps = int(log.span.sum())
    if len(log) < FEW_ROWS or steps < FEW_STEPS:
        out.could_not.append(f"the course of the run: {len(log)} rows of {steps} steps are too few")
        return
    if sound:
        if without_reference(log):
            out.could_not.append("a loss that rose: without a reference its beginning says little")
        else:
            far = log.span[0] > 1 and runs_away(log)
            check_rise(out, log, min(log["loss"][0], LN2) if far else log["loss"][0])
        _check_still(out, log, steps)
    last = slice(-max(1, len(log) // 4), None)
    margin = log.mean("margin", last)
    if log.has("chosen_reward"):
        out.looks_for("displacement")
        fell = log.mean("chosen_reward", last) - log["chosen_reward"][0]
        if fell < -0.5 and margin > log["margin"][0]:
            seen = (
                f"the chosen reward fell by {-fell:.2g} since the first row while the margin grew"
            )
            out.add("displacement", seen, level="note", row=int(log.step[-1]), number=float(fell))
    if log.has("accuracy"):
        out.looks_for("too_sure")
        right = log.mean("accuracy", last)
        if right > 0.99:
            seen = f"{right:.1%} of the pairs of the last quarter are in order"
            out.add("too_sure", seen, level="note", row=int(log.step[-1]), number=right)


def check_rise(out, log: Log, began: float) -> None:
    """A loss above its beginning, in means over ten steps or more: the steps are too large.

    Steps that are too large hold a loss up. One that rose a little may have other causes, or came
    back: a note.
    """
    out.looks_for("step_too_large")
    means = log.blocks("loss")
    if not len(means) or not np.isfinite(began):
        return
    worst = float(means.max())
    where = int(np.minimum(means.argmax() * max(10, log.span.max()) + 10, log.step[-1]))
    ran = log.blocks("rejected_reward").min() if log.has("rejected_reward") else 0.0
    away = ran < -6 and worst > 0.95 * began
    if worst > began + ROSE * max(1.0, abs(began)) or away:
        seen = f"the loss began at {began:.3g} and was {worst:.3g} on average about step {where}"
        sure = "likely" if worst > began + 3 * ROSE or away else "possible"
        last = log.mean("loss", slice(-max(1, len(log) // 4), None))
        back = sure == "possible" and last < began - ROSE * max(1.0, abs(began))
        seen += f"; it came back to {last:.3g}" if back else ""
        level = "note" if sure == "possible" else "problem"
        out.add("step_too_large", seen, sure, level, row=where, number=worst)


def _check_still(out, log: Log, steps: int) -> None:
    """A run in which nothing moved, or in which only the margin did not."""
    if steps < 50:
        out.could_not.append(f"whether the learning rate is too low: {steps} steps are too few")
        return
    out.looks_for("rate_too_low", "nothing_learned")
    last = slice(-max(1, len(log) // 4), None)
    margin, at = log.mean("margin", last), int(log.step[-1])
    names = [n for n in ("chosen_reward", "rejected_reward") if log.has(n)]
    most = max(np.abs(log.blocks(n)).max() for n in [*names, "margin"])
    if most < UNMOVED:
        rate = rate_of(log)
        at_rate = "" if rate is None else f" at a learning rate of {rate:.2g}"
        seen = f"after {steps} steps{at_rate} rewards and margin are at most {most:.2g}: none moved"
        if log.has("accuracy"):
            seen += f" (an accuracy of {log.mean('accuracy', last):.2f} says nothing here)"
        out.add("rate_too_low", seen, row=at, number=float(most))
    elif abs(margin) < 0.01:
        seen = f"after {steps} steps the margin is {margin:.2g}"
        out.add("nothing_learned", seen, level="note", row=at, number=margin)
