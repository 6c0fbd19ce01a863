"""Which tokens a score counts, found from outside: by the gradient with respect to the logits.

The logits of the model are replaced by zeros, so every word has the log-probability -ln V, and the
gradient of a score says which tokens it counts, at which position, and how much.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ..data import DataError


@dataclass
class Scored:
    """The tokens that one response's score counts, and the row that they stand in."""

    labels: list[int]
    weights: list[float]
    padding: list[bool]
    row: list[int]  # the real tokens of the row
    shifted: bool  # each target is the token after the position that predicts it
    exact: float  # the same sum from the model's own logits, in float64
    left_padded: bool  # and without position ids


def scored_tokens(score: Callable, policy: nn.Module, batch) -> list[Scored]:
    """What `score` counts for the first chosen and the first rejected response of a batch.

    DataError if it reads no logits.
    """
    calls = []

    def replace(module, args, kwargs, output):
        ids = kwargs.get("input_ids", args[0] if args else None)
        mask = kwargs.get("attention_mask", args[1] if len(args) > 1 else None)
        mask = torch.ones_like(ids) if mask is None else mask
        if not hasattr(output, "logits"):
            raise DataError("the model's forward gives no .logits: leave return_dict as it is")
        real, zeros = (
            output.logits.detach(),
            torch.zeros_like(output.logits, dtype=torch.float32).requires_grad_(),
        )
        output.logits = zeros * 1  # not a leaf, so that code may work on it in place
        calls.append((ids, mask, kwargs.get("position_ids") is None, real, zeros))
        return output

    handle = policy.register_forward_hook(replace, with_kwargs=True)
    try:
        scores = [side[0] for side in score(policy, batch)]
        flat = [call[-1] for call in calls]
        if not calls or not scores[0].requires_grad:
            why = (
                "the score doesn't come from the logits of the policy's own forward with gradients"
            )
            raise DataError(f"{why}: can't look inside")
        grads = [torch.autograd.grad(s, flat, retain_graph=True, allow_unused=True) for s in scores]
    finally:
        handle.remove()
    return [_read_gradient(calls, g) for g in grads]


def _read_gradient(calls, grads) -> Scored:
    size = [0.0 if g is None else float(g.abs().sum()) for g in grads]
    ids, mask, no_positions, logits, _ = calls[int(np.argmax(size))]
    g = grads[int(np.argmax(size))]
    b = int(g.abs().sum((1, 2)).argmax())
    g, ids, mask, logits = g[b].double(), ids[b], mask[b], logits[b].double()
    at = (
        g.abs().amax(-1).nonzero().squeeze(-1)
    )  # at uniform probabilities the target's entry is 1 - 1/V, all others -1/V
    labels = g[at].abs().argmax(-1)
    weights = g[at, labels] / (1 - 1 / g.shape[-1])
    for plain in (1.0, 1 / max(len(at), 1)):  # what bf16 rounded on the way back
        weights = torch.where((weights / plain - 1).abs() < 0.01, plain, weights)
    exact = (
        weights * logits[at].log_softmax(-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    ).sum()
    at = at + len(ids) - len(logits)  # where logits were kept for the last positions only
    following = (at + 1).clamp(max=len(ids) - 1)
    shifted = (labels == ids[following]).sum() >= (labels == ids[at]).sum()
    padding = mask[following if shifted else at] == 0
    left = bool(mask[0] == 0) and no_positions
    return Scored(
        labels.tolist(),
        weights.tolist(),
        padding.tolist(),
        ids[mask.bool()].tolist(),
        bool(shifted),
        float(exact),
        left,
    )
