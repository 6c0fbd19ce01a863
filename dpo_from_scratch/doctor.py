"""What is wrong with this DPO run? Ask its code (`check`), its curves (`check_run`) or its data (`check_data`).

Each answers with findings: what was seen, how sure that is, what to do, and the section of chapter 09 that shows it.
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .checking import check_file
from .data import DataError
from .losses import LOSSES
from .models import Scorer, context_length, pad_id
from .probing import Finding
from .probing import check as check
from .tokens import collate, encode_rows
from .training import TrainConfig, loss_and_metrics

LN2 = math.log(2)


def check_ours(policy: nn.Module, reference: nn.Module, tokenizer, rows: list[dict], config: TrainConfig) -> list[Finding]:
    """`check` of this package's own functions with a model, a tokenizer and rows that are pairs; makes no step."""
    limit = config.max_length or context_length(policy)
    fitting = [row for row in rows[:256] if encode_rows(tokenizer, [row], limit, skip_bad=True)[0]]
    if len(fitting) < 2:
        raise DataError("two pairs or more that fit into the model are needed")
    by_length = sorted(fitting, key=lambda row: len(str(row["chosen"])))

    def make_batch(pairs):
        examples, _ = encode_rows(tokenizer, pairs, limit)
        return collate([e for side in zip(*examples, strict=True) for e in side], pad_id(tokenizer))

    def loss(chosen, rejected, *references):
        ref = torch.cat(references) if "reference" in LOSSES[config.loss].inputs else None
        lengths = torch.full((2 * len(chosen),), 20.0)
        return loss_and_metrics(config, torch.cat([chosen, rejected]), ref, lengths, torch.ones(len(chosen)), delta=0.0)[0]

    pairs = [by_length[0], by_length[len(by_length) // 2], by_length[-1]]
    return check(lambda m, batch: Scorer(m)(**batch).chunk(2), make_batch, policy, reference, pairs, tokenizer, loss)


TRL_NAMES = {
    "rewards/chosen": "chosen_reward", "rewards/rejected": "rejected_reward", "rewards/margins": "margin",
    "rewards/accuracies": "accuracy", "logps/chosen": "chosen_logp", "logps/rejected": "rejected_logp",
}  # fmt: skip


def read_curves(path: str | Path) -> dict[str, np.ndarray]:
    """The columns of a run: runs/NAME (its metrics.jsonl), a metrics.jsonl, or the trainer_state.json of TRL. DataError if none."""
    path = Path(path)
    for name in ("metrics.jsonl", "trainer_state.json"):
        path = path / name if path.is_dir() and (path / name).is_file() else path
    try:
        text = path.read_text(encoding="utf-8")
        rows = json.loads(text)["log_history"] if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]
        rows = [{TRL_NAMES.get(k, k): v for k, v in row.items()} for row in rows if "loss" in row]
        columns = {key: np.array([row[key] for row in rows], float) for key in rows[0] if all(key in row for row in rows)}
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise DataError(f"{path}: no metrics.jsonl of a run and no trainer_state.json of TRL ({type(error).__name__})") from None
    if "margin" not in columns:
        raise DataError(f"{path}: no margins: the curves of a loss on pairs are needed")
    return columns


def check_run(path: str | Path) -> list[Finding]:
    """Read the curves of a run as causes. Log every step (TRL: logging_steps=1): the first step tells most."""
    c, found = read_curves(path), []

    def add(code: str, seen: str, sure: str = "likely", level: str = "problem") -> None:
        found.append(Finding(code, seen, sure, level))

    margin, loss = c["margin"], c["loss"]
    _check_counters(add, c)
    if np.abs(margin).max() < 1e-6:
        still = c.get("grad_norm", loss * 0).max() < 1e-8
        add("no_gradient" if still else "reference_is_policy", f"the margin is 0 at all {len(margin)} steps", "certain")
        return found
    moved = np.abs(margin) > 1e-3
    returns = (np.abs(margin[moved.argmax() :]) < 1e-6).sum() if moved.any() else 0
    if returns >= 2:
        add("reference_moves", f"the margin grows, and returns to exactly 0 at {returns} later steps")
    loss_name = _loss_name(Path(path))
    if loss_name not in LOSSES or "reference" in LOSSES[loss_name].inputs:
        _check_first_step(add, c, loss_name is not None)
    if len(loss) < 16:
        return found
    quarter = slice(-(len(loss) // 4), None)
    if np.sort(loss[5:])[-5:].mean() > MOST_LOSS and loss[0] < 0.75:
        add("step_too_large", f"the loss began at {loss[0]:.3g} and rose to {loss.max():.3g}")
    if c.get("chosen_reward", loss * 0)[quarter].mean() < -0.5 and margin[quarter].mean() > 0:
        add("displacement", "chosen responses became less likely while the margin grew", level="note")
    if c.get("accuracy", loss)[quarter].mean() > 0.99:
        add("too_sure", "almost every pair is in order", level="note")
    if len(loss) >= 50 and np.abs(margin[quarter]).mean() < 0.01:
        add("nothing_learned", f"after {len(loss)} steps the margin is {margin[quarter].mean():.2g}", level="note")
    return found


MOST_LOSS = 1.5  # nats per pair, mean of the five worst steps of a run that began at ln 2


def _loss_name(path: Path) -> str | None:
    config = path / "config.json"
    return json.loads(config.read_text(encoding="utf-8")).get("loss") if config.is_file() else None


def _check_counters(add, c: dict[str, np.ndarray]) -> None:
    """The two counters of chapter 09, ends of text per response and share of tokens scored, and log-probability per token."""
    if "eos" in c:
        eos = c["eos"].mean()
        code = "eos_missing" if eos < 0.01 else "truncated" if eos < 0.999 else "eos_doubled" if eos > 1.001 else None
        if code:
            add(code, f"{eos:.2f} ends of text are scored per response", "certain")
    if "scored" in c and "chosen_length" in c and (c["chosen_length"] * (1 / c["scored"] - 1)).mean() < 1.5:
        add("prompt_scored", f"{c['scored'].mean():.0%} of all tokens are scored: the prompts are among them", "certain")
    if "chosen_length" in c and "chosen_logp" in c:
        per_token = -(c["chosen_logp"] / c["chosen_length"])[:5].mean()
        if per_token > 7:
            add("not_shifted", f"{per_token:.1f} nats a token: no model that fits its data is as bad")
        if per_token < 0.1 and c["chosen_length"].mean() > 8:
            logp, tokens = -c["chosen_logp"][:5].mean(), c["chosen_length"][:5].mean()
            add("mean", f"{logp:.2f} nats for {tokens:.0f} tokens can't be a sum", level="note")


def _check_first_step(add, c: dict[str, np.ndarray], certain_of_loss: bool) -> None:
    if "step" in c and c["step"][0] > 1:
        return
    loss, rewards = c["loss"][0], [abs(c[k][0]) for k in ("chosen_reward", "rejected_reward", "margin") if k in c]
    if max(rewards) > 0.02:
        noise = loss > LN2 + 0.01 and 0.2 < c.get("accuracy", [0.5])[0] < 0.8
        seen = f"before the first update the loss is {loss:.3f} and rewards are not 0"
        if noise:
            add("dropout", seen)
        else:  # a trainer of CPO or ORPO logs such rewards too
            add("reference_differs", seen, *(() if certain_of_loss else ("possible", "note")))
    elif max(rewards) < 1e-6 and 5e-4 < abs(loss - LN2) < 0.01:
        add("precision", f"with all rewards 0 the loss is {loss:.5f}, and ln 2 is {LN2:.5f}")


# ---------------------------------------------------------------- the data
def check_data(path: str | Path) -> list[Finding]:
    """The findings of `checking.check_file`, read as causes of what a run on this file will show."""
    report = (checked := check_file(path)).report
    found = []
    if report.left_out:
        found.append(Finding("bad_rows", f"{report.left_out.total()} rows can't be used ({next(iter(report.left_out))})"))
    for words, code in (("contradicts", "contradictions"), ("duplicate", "duplicates")):
        n = sum(count for reason, count in report.warnings.items() if words in reason)
        if n:
            found.append(Finding(code, f"{n} of {report.rows} rows: {words}", level="note"))
    if checked.kind == "pairs" and report.rows >= 50:
        longer = np.array(checked.lengths["chosen"]) > np.array(checked.lengths["rejected"])
        if longer.mean() > 0.6:
            found.append(Finding("length_bias", f"the chosen response is longer in {longer.mean():.0%}", "certain", "note"))
    return found
