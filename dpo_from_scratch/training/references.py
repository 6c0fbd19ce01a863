"""What the reference says of a batch: nothing, scores that were kept, or a forward pass a step."""

from array import array
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..losses import Loss
from ..models import frozen_copy, pad_id
from ..processes.scores import score_rows
from .batches import Batch, TrainingData
from .settings import TrainConfig


class NoReference:
    """For losses that have none: SFT, SimPO, ORPO, CPO."""

    def logps(self, batch: Batch) -> None:
        """Nothing."""


@dataclass
class KeptScores:
    """Every response scored once, before anything moves: a forward pass less at every step."""

    scores: Tensor  # (rows, responses a row), on the CPU; nan for rows that are never picked
    model: nn.Module  # the reference's Scorer, for KTO, which asks about new texts too

    def logps(self, batch: Batch) -> Tensor:
        """log pi_ref(y|x) in the order of the batch: all chosen responses, then all rejected."""
        return self.scores[batch.rows].T.flatten().to(batch.tokens["input_ids"].device)


@dataclass
class LiveReference:
    """A frozen copy that scores each batch again."""

    model: nn.Module
    accelerator: object

    def logps(self, batch: Batch) -> Tensor:
        """log pi_ref(y|x) in the order of the batch."""
        with torch.no_grad(), self.accelerator.autocast():
            return self.model(**batch.tokens)


Reference = NoReference | KeptScores | LiveReference


def reference_of(
    loss: Loss,
    config: TrainConfig,
    scorer: nn.Module,
    data: TrainingData,
    run,
    accelerator,
    progress: bool,
) -> Reference:
    """The reference of a run, by its Scorer, made before the first step.

    A run that goes on reads its scores.
    """
    if "reference" not in loss.inputs:
        return NoReference()
    frozen = scorer.eval().to(accelerator.device)
    if config.live_reference:
        return LiveReference(frozen_copy(frozen), accelerator)
    scores = run.kept_reference()
    if scores is None or not cover(scores, data):
        with accelerator.autocast():
            scores = scores_of(frozen, data, progress)
        run.keep_reference(scores)
    return KeptScores(scores, frozen_copy(frozen) if "kl" in loss.inputs else frozen)


def scores_of(reference: nn.Module, data: TrainingData, progress: bool) -> Tensor:
    """log pi_ref(y|x) of the rows that will be picked, (rows, responses a row), nan for others."""
    found = score_rows(reference, data.examples.values(), pad_id(data.tokenizer), progress)
    scores = torch.full((len(data), found.shape[1]), torch.nan, dtype=found.dtype, device="cpu")
    scores[torch.tensor(array("q", data.examples), device="cpu")] = found
    return scores


def cover(scores: Tensor, data: TrainingData) -> bool:
    """Whether there is a finite score for every response of the rows that will be picked."""
    picked = torch.tensor(array("q", data.examples), device="cpu")
    wide = (len(data), len(next(iter(data.examples.values()))))
    return scores.shape == wide and bool(scores[picked].isfinite().all())
