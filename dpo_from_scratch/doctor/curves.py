"""The curves of a run, ours or TRL's, read as causes."""

import json
import math
from pathlib import Path

import numpy as np

from ..data import DataError
from ..losses import LOSSES
from .findings import Finding

LN2 = math.log(2)
MOST_LOSS = 1.5  # nats per pair, mean of the five worst steps of a run that began at ln 2
TRL_NAMES = {
    "rewards/chosen": "chosen_reward",
    "rewards/rejected": "rejected_reward",
    "rewards/margins": "margin",
    "rewards/accuracies": "accuracy",
    "logps/chosen": "chosen_logp",
    "logps/rejected": "rejected_logp",
}


def read_curves(path: str | Path) -> dict[str, np.ndarray]:
    """The columns of a run, by name.

    runs/NAME (its metrics.jsonl), a metrics.jsonl, or TRL's trainer_state.json; DataError if none.
    """
    path = Path(path)
    for name in ("metrics.jsonl", "trainer_state.json"):
        path = path / name if path.is_dir() and (path / name).is_file() else path
    try:
        text = path.read_text(encoding="utf-8")
        rows = (
            json.loads(text)["log_history"]
            if path.suffix == ".json"
            else [json.loads(line) for line in text.splitlines()]
        )
        rows = [{TRL_NAMES.get(k, k): v for k, v in row.items()} for row in rows if "loss" in row]
        columns = {
            key: np.array([row[key] for row in rows], float)
            for key in rows[0]
            if all(key in row for row in rows)
        }
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        files = "no metrics.jsonl of a run and no trainer_state.json of TRL"
        raise DataError(f"{path}: {files} ({type(error).__name__})") from None
    if "margin" not in columns:
        raise DataError(f"{path}: no margins: the curves of a loss on pairs are needed")
    return columns


def check_run(path: str | Path) -> list[Finding]:
    """Read the curves of a run as causes.

    Log every step (TRL: logging_steps=1): the first step tells most.
    """
    c, found = read_curves(path), []

    def add(code: str, seen: str, sure: str = "likely", level: str = "problem") -> None:
        found.append(Finding(code, seen, sure, level))

    margin, loss = c["margin"], c["loss"]
    _check_counters(add, c)
    if np.abs(margin).max() < 1e-6:
        still = c.get("grad_norm", loss * 0).max() < 1e-8
        code = "no_gradient" if still else "reference_is_policy"
        add(code, f"the margin is 0 at all {len(margin)} steps", "certain")
        return found
    moved = np.abs(margin) > 1e-3
    returns = (np.abs(margin[moved.argmax() :]) < 1e-6).sum() if moved.any() else 0
    if returns >= 2:
        seen = f"the margin grows, and returns to exactly 0 at {returns} later steps"
        add("reference_moves", seen)
    loss_name = _loss_name(Path(path))
    if loss_name not in LOSSES or "reference" in LOSSES[loss_name].inputs:
        _check_first_step(add, c, loss_name is not None)
    if len(loss) >= 16:
        _check_course(add, c)
    return found


def _check_course(add, c: dict[str, np.ndarray]) -> None:
    """What a whole run shows: a loss that rose, and the state of its last quarter."""
    loss, margin = c["loss"], c["margin"]
    quarter = slice(-(len(loss) // 4), None)
    if np.sort(loss[5:])[-5:].mean() > MOST_LOSS and loss[0] < 0.75:
        add("step_too_large", f"the loss began at {loss[0]:.3g} and rose to {loss.max():.3g}")
    if c.get("chosen_reward", loss * 0)[quarter].mean() < -0.5 and margin[quarter].mean() > 0:
        seen = "chosen responses became less likely while the margin grew"
        add("displacement", seen, level="note")
    if c.get("accuracy", loss)[quarter].mean() > 0.99:
        add("too_sure", "almost every pair is in order", level="note")
    if len(loss) >= 50 and np.abs(margin[quarter]).mean() < 0.01:
        seen = f"after {len(loss)} steps the margin is {margin[quarter].mean():.2g}"
        add("nothing_learned", seen, level="note")


def _loss_name(path: Path) -> str | None:
    config = path / "config.json"
    return json.loads(config.read_text(encoding="utf-8")).get("loss") if config.is_file() else None


def _check_counters(add, c: dict[str, np.ndarray]) -> None:
    """The two counters of chapter 09, and log-probability per token.

    Ends of text per response, and the share of tokens that is scored.
    """
    if "eos" in c:
        eos = c["eos"].mean()
        code = (
            "eos_missing"
            if eos < 0.01
            else "truncated"
            if eos < 0.999
            else "eos_doubled"
            if eos > 1.001
            else None
        )
        if code:
            add(code, f"{eos:.2f} ends of text are scored per response", "certain")
    if (
        "scored" in c
        and "chosen_length" in c
        and (c["chosen_length"] * (1 / c["scored"] - 1)).mean() < 1.5
    ):
        add(
            "prompt_scored",
            f"{c['scored'].mean():.0%} of all tokens are scored: the prompts are among them",
            "certain",
        )
    if "chosen_length" in c and "chosen_logp" in c:
        per_token = -(c["chosen_logp"] / c["chosen_length"])[:5].mean()
        if per_token > 7:
            add(
                "not_shifted",
                f"{per_token:.1f} nats a token: no model that fits its data is as bad",
            )
        if per_token < 0.1 and c["chosen_length"].mean() > 8:
            logp, tokens = -c["chosen_logp"][:5].mean(), c["chosen_length"][:5].mean()
            add("mean", f"{logp:.2f} nats for {tokens:.0f} tokens can't be a sum", level="note")


def _check_first_step(add, c: dict[str, np.ndarray], certain_of_loss: bool) -> None:
    if "step" in c and c["step"][0] > 1:
        return
    loss, rewards = (
        c["loss"][0],
        [abs(c[k][0]) for k in ("chosen_reward", "rejected_reward", "margin") if k in c],
    )
    if max(rewards) > 0.02:
        noise = loss > LN2 + 0.01 and 0.2 < c.get("accuracy", [0.5])[0] < 0.8
        seen = f"before the first update the loss is {loss:.3f} and rewards are not 0"
        if noise:
            add("dropout", seen)
        else:  # a trainer of CPO or ORPO logs such rewards too
            add("reference_differs", seen, *(() if certain_of_loss else ("possible", "note")))
    elif max(rewards) < 1e-6 and 5e-4 < abs(loss - LN2) < 0.01:
        add("precision", f"with all rewards 0 the loss is {loss:.5f}, and ln 2 is {LN2:.5f}")
