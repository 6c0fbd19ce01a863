"""The loss of a batch and what the dashboard shows of it, and their means over a step."""

import torch
from torch import Tensor

from ..losses import LOSSES
from .settings import TrainConfig


def loss_and_metrics(
    config: TrainConfig,
    logps: Tensor,
    ref_logps: Tensor | None,
    lengths: Tensor,
    labels: Tensor | None = None,
    **numbers,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Losses (B,) and what the dashboard shows, each (B,).

    For pairs logps (2B,) hold the chosen, then the rejected responses. `lengths` are the responses'
    tokens, EOS included, in the same order; `labels` (B,) thumbs or win probabilities; `numbers`
    KTO's kl and BCO's delta.
    """
    loss, options = LOSSES[config.loss], config.options()
    if loss.needs == "texts":
        losses = loss.fn(logps)
        return losses, {"loss": losses.detach(), "logp": logps.detach(), "length": lengths}
    options |= {key: numbers[key] for key in ("kl", "delta") if key in loss.inputs}
    lengths = lengths.to(logps.device)
    rewards = (config.beta * (logps if ref_logps is None else logps - ref_logps)).detach()
    if loss.needs == "labels":
        losses = loss.fn(logps, ref_logps, labels, **options)
        middle = config.beta * numbers["kl"] if "kl" in loss.inputs else numbers["delta"]
        return losses, {
            "loss": losses.detach(),
            "accuracy": share_right(rewards - middle, (rewards > middle) == labels),
            "reward": rewards,
            "logp": logps.detach(),
            "length": lengths,
        }
    if "lengths" in loss.inputs:
        options |= dict(zip(("chosen_lengths", "rejected_lengths"), lengths.chunk(2), strict=True))
    if "win_probability" in loss.inputs:
        options["win_probability"] = labels
    references = ref_logps.chunk(2) if "reference" in loss.inputs else ()
    losses = loss.fn(*logps.chunk(2), *references, **options)
    return losses, {"loss": losses.detach()} | pair_metrics(logps.detach(), rewards, lengths)


def pair_metrics(logps: Tensor, rewards: Tensor, lengths: Tensor) -> dict[str, Tensor]:
    """The columns of pairs, each (B,), from values (2B,) of the chosen, then the rejected."""
    chosen, rejected = rewards.chunk(2)
    margin = chosen - rejected
    return {
        "accuracy": share_right(margin, margin > 0),
        "margin": margin,
        "chosen_reward": chosen,
        "rejected_reward": rejected,
        "chosen_logp": logps.chunk(2)[0],
        "rejected_logp": logps.chunk(2)[1],
        "chosen_length": lengths.chunk(2)[0],
        "rejected_length": lengths.chunk(2)[1],
    }


def share_right(gap: Tensor, right: Tensor) -> Tensor:
    """1 where right, 0 where wrong, one half for a tie, rounding apart: a coin toss."""
    return torch.where(gap.abs() < 1e-5, 0.5, right.float())


class Means:
    """Means over the rows of a batch that comes in parts."""

    def __init__(self, rows: int):
        self.rows, self.sums = rows, {}

    def add(self, metrics: dict[str, Tensor]) -> None:
        """A part's values, one a row."""
        for key, value in metrics.items():
            self.sums[key] = self.sums.get(key, 0.0) + float(value.sum())

    def values(self) -> dict[str, float]:
        """The means, when all parts are there."""
        return {key: value / self.rows for key, value in self.sums.items()}
