"""A training log, ours or TRL's, as columns, with what it says of itself: steps, spans, settings.

A row of a log is the mean over the steps since the row before (TRL: `logging_steps`); its gradient
norm and learning rate are those of its last step.
"""

import json
import math
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..data import DataError

TRL_NAMES = {
    "rewards/chosen": "chosen_reward",
    "rewards/rejected": "rejected_reward",
    "rewards/margins": "margin",
    "rewards/accuracies": "accuracy",
    "logps/chosen": "chosen_logp",
    "logps/rejected": "rejected_logp",
}
SETTINGS = ("loss", "loss_type", "beta", "learning_rate", "options", "accumulation")
SETTINGS += ("lora_rank", "begun_with")
NO_LOG = "no metrics.jsonl of a run and no trainer_state.json of TRL"


@dataclass(frozen=True)
class Log:
    """The rows of one run.

    `columns` by name, each (rows,); `step` the last step of each row, `span` how many steps it is
    the mean of; `evals` rows of evaluations; `settings` what stands beside the log; `told` what
    was noticed while reading.
    """

    where: Path
    columns: dict[str, np.ndarray]
    step: np.ndarray
    span: np.ndarray
    evals: list[dict] = field(default_factory=list)
    settings: dict = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.step)

    def has(self, *names: str) -> bool:
        """Are these columns all there?"""
        return all(name in self.columns for name in names)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def before(self, row: int) -> "Log":
        """The rows before this one."""
        return self.at(np.arange(row))

    def at(self, rows: np.ndarray) -> "Log":
        """Some of the rows."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        return replace(self, columns=columns, step=self.step[rows], span=self.span[rows])

    def mean(self, name: str, share: slice = slice(None)) -> float:
        """The mean of a column over the steps of these rows."""
        return float(np.average(self[name][share], weights=self.span[share]))

    def blocks(self, name: str, steps: int = 10) -> np.ndarray:
        """The column in means over at least so many steps, so that no batch's noise counts."""
        out, start = [], 0
        for i in range(len(self)):
            if self.span[start : i + 1].sum() >= steps:
                out.append(self.mean(name, slice(start, i + 1)))
                start = i + 1
        return np.array(out)


def find_log(path: str | Path) -> Path:
    """The file with the log: itself, in a run's folder, or in TRL's newest checkpoint."""
    path = Path(path)
    if not path.is_dir():
        return path
    for name in ("metrics.jsonl", "trainer_state.json"):
        if (path / name).is_file():
            return path / name
    inside = [p for p in path.glob("checkpoint-*/trainer_state.json") if number_of(p.parent) >= 0]
    if not inside:
        raise DataError(f"{path}: {NO_LOG}, nor a checkpoint-N that holds one")
    return max(inside, key=lambda p: number_of(p.parent))


def number_of(folder: Path) -> int:
    """N of checkpoint-N; -1 of any other folder."""
    found = re.fullmatch(r"checkpoint-(\d+)", folder.name)
    return int(found[1]) if found else -1


def read_log(path: str | Path) -> Log:
    """The log of a run: runs/NAME, metrics.jsonl, OUT, OUT/checkpoint-N, trainer_state.json.

    DataError, with the file and what is wrong with it, if there is none.
    """
    where, told = find_log(path), []
    if where.parent != Path(path) and where != Path(path):
        told.append(f"{where} is read, the newest checkpoint's log")
    rows, state = raw_rows(where, told)
    rows = [{TRL_NAMES.get(k, k): v for k, v in row.items()} for row in rows]
    training = [row for row in rows if "loss" in row]
    if not training:
        raise DataError(f"{where}: not one row with a loss in it, so no curve to read")
    training = whole_rows(in_order(training, told), told)
    names = [name for name in training[0] if all(name in row for row in training)]
    columns = {name: numbers([row[name] for row in training]) for name in names}
    columns = {name: column for name, column in columns.items() if column is not None}
    if "loss" not in columns:
        raise DataError(f"{where}: the losses are no numbers")
    if {"chosen_reward", "rejected_reward"} <= columns.keys() and "margin" not in columns:
        columns["margin"] = columns["chosen_reward"] - columns["rejected_reward"]
    step = columns.get("step")
    if step is None or not np.isfinite(step).all():
        told.append("the rows have no step numbers: each is taken for one step")
        step = np.arange(1.0, len(training) + 1)
    evals = [row for row in rows if any(k.startswith("eval_") for k in row)]
    known = {k: state[k] for k in ("logging_steps", "max_steps") if k in state}
    return Log(where, columns, step, spans(step), evals, known | settings_beside(where), told)


def raw_rows(where: Path, told: list[str]) -> tuple[list[dict], dict]:
    """The rows of a log as they stand, and the rest of TRL's file."""
    try:
        text = where.read_text(encoding="utf-8-sig")
        if where.suffix == ".json":
            state = json.loads(text)
            rows = state["log_history"]
        else:
            state, rows = {}, json_lines(where, text, told)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{where}: {NO_LOG} ({type(error).__name__})") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{where}: {NO_LOG}: its rows are no objects with names")
    return rows, state


def json_lines(where: Path, text: str, told: list[str]) -> list[dict]:
    """One row a line; the last may be half a line, of a run that was killed or still writes."""
    lines, rows = text.splitlines(), []
    for number, line in enumerate(lines, start=1):
        try:
            rows += [json.loads(line)] if line.strip() else []
        except ValueError:
            if number < len(lines):
                raise DataError(f"{where}, line {number}: no JSON; mend or delete it") from None
            told.append(f"line {number}, the last, is half a line and is left out")
    return rows


def in_order(rows: list[dict], told: list[str]) -> list[dict]:
    """Where a run went on from an earlier step, what was logged before and made again goes."""
    out: list[dict] = []
    for row in rows:
        step = row.get("step")
        if out and isinstance(step, int | float) and step <= out[-1].get("step", -math.inf):
            told.append(f"the steps go back to {step}: a resumed run, its last part counts")
            out = [r for r in out if r.get("step", -math.inf) < step]
        out.append(row)
    return out


def whole_rows(rows: list[dict], told: list[str]) -> list[dict]:
    """The rows that have every name that four of five rows have."""
    names = {name for row in rows for name in row}
    usual = {name for name in names if sum(name in row for row in rows) >= 0.8 * len(rows)}
    whole = [row for row in rows if usual <= row.keys()]
    if len(whole) < len(rows):
        told.append(f"{len(rows) - len(whole)} rows lack columns of the others and are left out")
    return whole or rows


def numbers(values: list) -> np.ndarray | None:
    """A column; None and "NaN" are not finite. None if something in it is no number at all."""
    try:
        return np.array([math.nan if v is None else float(v) for v in values])
    except (TypeError, ValueError):
        return None


def spans(step: np.ndarray) -> np.ndarray:
    """How many steps each row is the mean of. A log that begins late: as many as the next one."""
    span = np.diff(step, prepend=0.0)
    if len(span) > 1 and span[0] > 1.5 * span[1:].max():
        span[0] = span[1]
    return np.maximum(span, 1.0)


def settings_beside(where: Path) -> dict:
    """Loss, beta and learning rate, from our config.json or a training_args.json; never a pickle.

    A model's config.json, which lies in TRL's folders, has no learning rate and is passed over.
    """
    for folder in (where.parent, where.parent.parent):
        for name in ("config.json", "training_args.json", "args.json"):
            try:
                found = json.loads((folder / name).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            if isinstance(found, dict) and "learning_rate" in found:
                return {key: found[key] for key in SETTINGS if key in found}
    return {}
