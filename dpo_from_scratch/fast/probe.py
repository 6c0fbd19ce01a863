"""Both ways compared on a run's own longest rows, before its first step."""

import torch
from torch import nn

from ..models import Scorer, device_of
from ..tokens import Example, collate
from .scorer import FastScorer
from .tricks import PLAIN, Tricks, allowed


def sound_tricks(
    model: nn.Module, rows: list[tuple[Example, ...]], pad: int, tricks: Tricks | None = None
) -> tuple[Tricks, str]:
    """The tricks that a run may use, and a sentence where some fall away.

    What the architecture allows for the longest of the rows (`tricks`, where an earlier part of
    the run has settled it) is tried on three of them; a trick that changes a log-probability goes.
    """
    longest = max(rows, key=lambda row: max(len(e.ids) for e in row))
    why = ""
    if tricks is None:
        tricks, why = allowed(model, max(len(e.ids) for e in longest))
    told = why
    others = [rows[0], rows[len(rows) // 2]]
    batch = collate([e for row in (longest, *others) for e in row], pad, device=device_of(model))
    while tricks != PLAIN and (off := disagreement(model, batch, tricks)):
        dropped, tricks = tricks, tricks.less()
        found = f"with {dropped} the model gives {off} on this data, so it goes on with {tricks}"
        told = f"{why}; {found}" if why else found
    return tricks, told


@torch.no_grad()
def disagreement(model: nn.Module, batch: dict, tricks: Tricks) -> str:
    """By how much the two ways differ, in words, if it is more than rounding explains.

    With weights in half precision rounding explains much, and only large differences show.
    """
    plain, fast = Scorer(model)(**batch).double(), FastScorer(model, tricks)(**batch).double()
    eps = lambda dtype: torch.finfo(dtype).eps
    # float64 models round to float32 inside; SmolLM2-135M is 1.7 of these units off, in bf16 0.6
    limit = max(64 * eps(torch.float32), 2 * eps(next(model.parameters()).dtype))
    worst = ((plain - fast).abs() / (limit * (1 + plain.abs()))).nan_to_num(torch.inf).max()
    off = float((plain - fast).abs().max())
    return f"log-probabilities that are {off:.2g} nats off" if worst > 1 else ""
