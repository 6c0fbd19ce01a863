"""Rows as the loop takes them: those that it will pick, tokenised once, a batch at a time."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ..data import DataError, Report, split_pairs
from ..data.stored import SplitRows, StoredRows
from ..losses import LOSSES
from ..models import length_limit, pad_id
from ..tokens import Example, collate, encode_each
from ..turns import end_ids
from .flat import examples_of
from .settings import TrainConfig, rows_picked


@dataclass
class Batch:
    """Some rows: which, the tokens of their responses (all chosen, then all rejected), labels."""

    rows: Tensor  # (B,)
    tokens: dict[str, Tensor]  # what a Scorer takes
    lengths: Tensor  # tokens of the responses, EOS included
    labels: Tensor | None  # (B,): a thumb, or the probability that chosen wins
    counters: dict[str, Tensor]  # each (B,), see `counters`


@dataclass
class TrainingData:
    """The rows of a run: those that it will pick as examples, (chosen, rejected) or (completion,).

    Their numbers count all `number` rows that can be used, so that the order of the rows does not
    depend on how many are picked.
    """

    number: int
    examples: Mapping[int, tuple[Example, ...]]  # in the order of the rows
    labels: Tensor | None  # (number,)
    tokenizer: object
    limit: int | None  # the most tokens of a row

    def __len__(self) -> int:
        return self.number

    @cached_property
    def longest(self) -> tuple[Example, ...]:
        """The row with the longest text."""
        return longest_of(self.examples)

    def batch(self, rows: Tensor, device) -> Batch:
        """The batch of these rows, on a device."""
        sides = zip(*(self.examples[i] for i in rows.tolist()), strict=True)
        picked = [example for side in sides for example in side]
        tokens = collate(picked, pad_id(self.tokenizer), device=device)
        return Batch(
            rows,
            tokens,
            torch.tensor([float(e.response_length) for e in picked], device=device),
            None if self.labels is None else self.labels[rows].to(device),
            counters(tokens, end_ids(self.tokenizer), len(rows)),
        )


def counters(batch: dict[str, Tensor], ends: list[int], rows: int) -> dict[str, Tensor]:
    """Ends (`turns.end_ids`) per response, which should be 1, and the share of tokens scored.

    Each (rows,).
    """
    scored = batch["response_mask"]
    ending = torch.isin(batch["input_ids"], torch.tensor(ends, device=scored.device))
    many = (ending & scored).sum(1).float()
    share = scored.sum(1) / batch["attention_mask"].sum(1)
    return {"eos": many.view(-1, rows).mean(0), "scored": share.view(-1, rows).mean(0)}


def longest_of(examples: Mapping[int, tuple[Example, ...]]) -> tuple[Example, ...]:
    """The row with the longest text."""
    return max(examples.values(), key=lambda row: max(len(e.ids) for e in row))


def three_of(examples: Mapping[int, tuple[Example, ...]]) -> list[tuple[Example, ...]]:
    """The first row, the one in the middle, and the longest."""
    picked = (next(islice(examples, i, None)) for i in (0, len(examples) // 2))
    return [*(examples[i] for i in picked), longest_of(examples)]


def prepare(
    tokenizer, rows: list[dict], config: TrainConfig, model: nn.Module, progress: bool = False
) -> TrainingData:
    """The rows of a run, checked against what the loss needs. DataError says what doesn't fit.

    Rows that seed and steps will not pick are not tokenised, unless all must be to tell which can
    be used (`skip_bad`).
    """
    loss, limit = LOSSES[config.loss], length_limit(model, config.max_length)
    if loss.needs == "labels" and len(rows) and "chosen" in rows[0]:
        rows = SplitRows(rows) if isinstance(rows, StoredRows) else split_pairs(rows)
    report = Report("tokens")
    usable: Sequence[int] = range(len(rows))
    bar = {"desc": "tokenising", "disable": not progress, "leave": False, "delay": 2}
    if config.skip_bad:
        numbered = ((i + 1, rows[i]) for i in tqdm(usable, **bar))
        found = encode_each(tokenizer, numbered, report, limit, skip_bad=True)
        usable = array("q", (i - 1 for i, _ in found))
    if not len(usable):
        raise DataError("no row is left to train on")
    picked = rows_picked(len(usable), config)

    def encode(told: Report):
        numbered = ((usable[i] + 1, rows[usable[i]]) for i in tqdm(picked, **bar))
        return encode_each(tokenizer, numbered, told, limit)

    again = Report() if config.skip_bad else report
    examples = examples_of(picked, encode, again, rows, tokenizer, limit)
    report.rows = len(usable)
    if report.left_out or report.warnings:
        tqdm.write(str(report))
    if len(next(iter(examples.values()))) != (2 if loss.needs == "pairs" else 1):
        raise DataError(f"loss {config.loss!r} needs rows of kind {loss.needs!r}")
    labels = row_labels(loss.needs, (rows[i] for i in usable))
    return TrainingData(len(usable), examples, labels, tokenizer, limit)


def row_labels(needs: str, rows: Iterable[dict]) -> Tensor | None:
    """What a row says, (N,): its thumb, or the probability that its chosen response wins."""
    if needs == "labels":
        return torch.from_numpy(np.fromiter((row["label"] for row in rows), bool))
    if needs == "pairs":
        found = (float(row.get("probability", 1.0)) for row in rows)
        return torch.from_numpy(np.fromiter(found, np.float64).astype(np.float32))
    return None
