"""Rows as the loop takes them: tokenised once, put together a batch at a time."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ..data import DataError, split_pairs
from ..losses import Loss
from ..models import length_limit, pad_id
from ..tokens import Example, collate, encode_rows
from .settings import TrainConfig


@dataclass
class Batch:
    """Some rows: which, the tokens of their responses (all chosen, then all rejected), labels."""

    rows: Tensor  # (B,)
    tokens: dict[str, Tensor]  # what a Scorer takes
    lengths: Tensor  # tokens of the responses, EOS included
    labels: Tensor | None  # (B,): a thumb, or the probability that chosen wins


@dataclass
class TrainingData:
    """All rows of a run: the examples of each, (chosen, rejected) or (completion,), and labels."""

    examples: list[tuple[Example, ...]]
    labels: Tensor | None
    tokenizer: object

    def __len__(self) -> int:
        return len(self.examples)

    def batch(self, rows: Tensor, device) -> Batch:
        """The batch of these rows, on a device."""
        sides = zip(*(self.examples[i] for i in rows.tolist()), strict=True)
        picked = [example for side in sides for example in side]
        return Batch(
            rows,
            collate(picked, pad_id(self.tokenizer), device=device),
            torch.tensor([float(e.response_length) for e in picked], device=device),
            None if self.labels is None else self.labels[rows].to(device),
        )


def prepare(
    tokenizer, rows: list[dict], loss: Loss, config: TrainConfig, model: nn.Module
) -> TrainingData:
    """The rows of a run, checked against what the loss needs. DataError says what doesn't fit."""
    if loss.needs == "labels" and rows and "chosen" in rows[0]:
        rows = split_pairs(rows)
    limit = length_limit(model, config.max_length)
    examples, report = encode_rows(tokenizer, rows, limit, config.skip_bad)
    if report.left_out or report.warnings:
        tqdm.write(str(report))
    if not examples:
        raise DataError("no row is left to train on")
    if len(examples[0]) != (2 if loss.needs == "pairs" else 1):
        raise DataError(f"loss {config.loss!r} needs rows of kind {loss.needs!r}")
    labels = row_labels(loss.needs, rows) if len(examples) == len(rows) else None
    if labels is None and {"kl", "delta", "win_probability"} & set(loss.inputs):
        mend = "mend or remove the rows that don't fit"
        raise DataError(f"loss {config.loss!r} needs the label of every row: {mend}")
    return TrainingData(examples, labels, tokenizer)


def row_labels(needs: str, rows: list[dict]) -> Tensor | None:
    """What a row says, (N,): its thumb, or the probability that its chosen response wins."""
    if needs == "labels":
        return torch.tensor([row["label"] for row in rows], device="cpu")
    if needs == "pairs":
        return torch.tensor([float(row.get("probability", 1.0)) for row in rows], device="cpu")
    return None
