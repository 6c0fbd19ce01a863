"""Rewards far from 0 at the beginning: noise of dropout, or a reference that is another model?

Dropout is off in evaluation, and it stays in training as long as training lasts. Another model
stays in evaluation too, and a policy that is trained against it may come back to it.
"""

import numpy as np

from .logs import Log

KEYS = ("eval_rewards/chosen", "eval_rewards/rejected", "step")
GONE, SAME, STAYS = 0.3, 0.3, 0.6  # shares of the first offset


def judge(log: Log, middle: float, sigmoid: bool) -> tuple[str, str, str] | None:
    """What the evaluations say of an offset `middle`: code, how sure, why; None if nothing.

    They are compared with the training steps about them, before and after, not with the beginning:
    by then a policy may have come back to its reference.
    """
    rows = _evaluations(log)[:3]
    if not rows:
        return None
    sides, there = about(log, rows[0]["step"]), _middle(rows[0])
    share = lambda x: x / middle
    gaps = [share(float(np.mean(about(log, row["step"]))) - _middle(row)) for row in rows]
    then = there + gaps[0] * middle
    seen = (
        f"; at step {rows[0]['step']:.0f} their mean is {there:.2f} in evaluation, without "
        f"dropout, and {then:.2f} in training"
    )
    both = len(sides) == 2
    if gaps[0] > STAYS and share(min(sides, key=abs)) > STAYS:
        calm = sigmoid and _calm(log, rows[0])
        sure = both and middle < 0 and abs(share(there)) < GONE and calm
        return "dropout", "certain" if sure else "likely", seen
    if abs(float(np.mean(gaps))) < SAME:
        still = both and 1.5 > share(then) > STAYS and share(there) > STAYS
        return "reference_differs", "certain" if still else "likely", seen
    return None


def _middle(row: dict[str, float]) -> float:
    return (row[KEYS[0]] + row[KEYS[1]]) / 2


def _evaluations(log: Log) -> list[dict[str, float]]:
    """The evaluations with numbers in them, where there are rewards of training to compare with."""
    if not log.has("chosen_reward", "rejected_reward"):
        return []
    out = []
    for row in log.evals:
        try:
            found = {k: float(v) for k, v in row.items() if k in KEYS or k.startswith("eval_")}
        except (TypeError, ValueError):
            continue
        out += [found] if all(np.isfinite(found.get(key, np.nan)) for key in KEYS) else []
    return out


def about(log: Log, step: float, steps: int = 10) -> list[float]:
    """The mean of both rewards in training just before a step and, if it goes on, just after."""
    middles = (log["chosen_reward"] + log["rejected_reward"]) / 2
    centre = log.step - (log.span - 1) / 2
    out = []
    for side in (centre <= step, centre > step):
        far = np.where(side, np.abs(centre - step), np.inf)
        near = far <= max(steps, far.min())
        if side.any():
            out.append(float(np.average(middles[near], weights=log.span[near])))
    return out


def _calm(log: Log, row: dict[str, float]) -> bool:
    """Is the loss in evaluation what its mean margin says, as without noise, unlike training's?"""
    loss, margin = row.get("eval_loss", np.nan), row[KEYS[0]] - row[KEYS[1]]
    noise = np.average(excess(log["loss"], log["margin"]), weights=log.span)
    return bool(excess(loss, margin) < 0.5 * noise)


def excess(loss, margin):
    """How far a sigmoid loss lies above that of its mean margin: about the spread's square / 8."""
    return loss - np.logaddexp(0, -margin)


def course(log: Log, middle: float) -> tuple[float, float, float]:
    """How far both rewards' mean comes back from the first offset and goes away, as shares of it.

    In means over twenty steps or more, against the first ten; the last is how far chance moves
    such a difference. (0, inf, inf) where there is no course.
    """
    if not log.has("chosen_reward", "rejected_reward"):
        return 0.0, np.inf, np.inf
    rows = (log["chosen_reward"] + log["rejected_reward"]) / 2
    values = (log.blocks("chosen_reward") + log.blocks("rejected_reward")) / 2
    if len(values) < 3:
        return 0.0, np.inf, np.inf
    later = values[1:] if log.span[0] > 12 else (values[1:-1] + values[2:]) / 2
    moved = (later - values[0]) / -middle
    one = np.median(np.abs(np.diff(rows, 2))) / 0.6745 / np.sqrt(6)  # one row's scatter
    scatter = one * np.sqrt(1.5 * len(values) / len(rows)) / abs(middle)
    return float(moved.max()), float(-moved.min()), float(scatter)


def other_reference(log: Log) -> bool:
    """Does a config.json of this package say that the reference was another model?"""
    begun = log.settings.get("begun_with")
    if not isinstance(begun, dict) or log.settings.get("lora_rank"):
        return False
    same = (None, "the starting model", begun.get("starting model"))
    return begun.get("reference") not in same
