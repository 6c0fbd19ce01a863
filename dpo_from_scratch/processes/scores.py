"""Many responses scored by several processes, each its share, and put together in their order."""

from collections.abc import Iterable
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from ..models import Scorer
from ..scoring import BLOCK, finite, score_examples, score_pairs
from ..tokens import Example
from .group import here
from .shard import is_sharded


def score_rows(
    scorer: nn.Module, rows: Iterable[tuple[Example, ...]], pad: int, progress: bool = False
) -> Tensor:
    """As `scoring.score_pairs`, (N, responses a row), the same in every process."""
    if here().size == 1:
        return score_pairs(scorer, rows, pad, progress)
    out, rest = [], iter(rows)
    while part := list(islice(rest, BLOCK)):
        flat = [example for row in part for example in row]
        found = score_shared(scorer, flat, pad, progress, len(part[0]))
        out.append(finite(found).view(len(part), -1))
    return torch.cat(out)


def log_ratios_shared(
    policy: nn.Module, reference: nn.Module, rows: list[tuple[Example, ...]], pad: int
) -> np.ndarray:
    """As `scoring.pair_log_ratios`, (N, responses a row), nats, the same in every process."""
    if policy is reference:
        return np.zeros((len(rows), len(rows[0])))
    scores = [score_rows(Scorer(m), rows, pad).double().numpy() for m in (policy, reference)]
    return scores[0] - scores[1]


def score_shared(
    scorer: nn.Module, examples: list[Example], pad: int, progress: bool = False, of_row: int = 1
) -> Tensor:
    """As `scoring.score_examples`, (N,), the same in every process.

    A row's `of_row` examples, which are neighbours, are scored by one process.
    """
    processes = here()
    if processes.size == 1:
        return score_examples(scorer, examples, pad, progress=progress)
    rows = processes.share(len(examples) // of_row)
    mine = examples[rows.start * of_row : rows.stop * of_row]
    # who has no row scores one all the same: a sharded model must be called by all, and as often
    most = processes.most if is_sharded(scorer) else None
    found = score_examples(scorer, mine or examples[:1], pad, 64, progress, most)
    counts = [n * of_row for n in processes.counts(len(examples) // of_row)]
    return torch.cat(processes.gather(found[: len(mine)], counts))
