"""`check` of this package's own functions: `dpo train` asks before the first step."""

import torch
from torch import nn

from ..data import DataError, Report
from ..losses import LOSSES
from ..models import Scorer, length_limit, pad_id
from ..scoring import score_pairs
from ..tokens import collate, encode_each, encode_rows
from ..training import TrainConfig
from ..training.metrics import loss_and_metrics
from .findings import Finding
from .probe import check

# beta is in the configuration, which may hold numbers that this loss doesn't read; no step is asked
KNOWN = ("effective_beta", "not_looked_at", "beta_differs", "beta_twice", "setting_ignored")


def check_ours(
    policy: nn.Module, reference: nn.Module, tokenizer, rows: list[dict], config: TrainConfig
) -> list[Finding]:
    """`check` of this package's own functions on a model and pairs; makes no step.

    DataError if fewer than two pairs can be used, or if a model gives what is no number.
    """
    limit = length_limit(policy, config.max_length)
    by_length = sorted(_usable(rows[:256], tokenizer, limit), key=lambda r: len(str(r["chosen"])))

    def make_batch(pairs):
        examples, _ = encode_rows(tokenizer, pairs, limit)
        return collate([e for side in zip(*examples, strict=True) for e in side], pad_id(tokenizer))

    def loss(chosen, rejected, *references):
        ref = torch.cat(references) if "reference" in LOSSES[config.loss].inputs else None
        lengths = torch.full((2 * len(chosen),), 20.0, device=chosen.device)
        return loss_and_metrics(
            config, torch.cat([chosen, rejected]), ref, lengths, torch.ones(len(chosen)), delta=0.0
        )[0]

    pairs = [by_length[0], by_length[len(by_length) // 2], by_length[-1]]
    examples, _ = encode_rows(tokenizer, pairs, limit)
    for model in (policy, reference):
        score_pairs(Scorer(model), examples, pad_id(tokenizer))
    found = check(
        lambda m, batch: Scorer(m)(**batch).chunk(2),
        make_batch,
        policy,
        reference,
        pairs,
        tokenizer,
        loss,
    )
    return [finding for finding in found if finding.code not in KNOWN]


def _usable(rows: list[dict], tokenizer, limit: int | None) -> list[dict]:
    """The pairs that fit into the model; DataError, with the first reason, if they are no two."""
    report, numbered = Report(), enumerate(rows)
    found = [rows[i] for i, _ in encode_each(tokenizer, numbered, report, limit, skip_bad=True)]
    if len(found) < 2:
        why = f" ({next(iter(report.left_out))})" if report.left_out else ""
        raise DataError(f"two pairs or more that fit into the model are needed{why}")
    return found
