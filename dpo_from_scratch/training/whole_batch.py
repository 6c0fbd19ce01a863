"""What only a whole batch can tell, before it is cut into parts: KTO's KL and BCO's delta.

`before(rows)` gives the numbers that the loss takes, `see` is shown each part, `after()` gives the
columns of the step's metrics. Most losses need none of it.
"""

import torch
from torch import Tensor, nn

from ..losses import Loss, class_mean_delta, kto_kl
from ..models import device_of, pad_id
from ..processes.scores import score_shared
from ..tokens import Example, fit
from .batches import Batch, TrainingData


class Nothing:
    """For all losses that look at one row at a time."""

    def before(self, rows: Tensor) -> dict:
        """The numbers that the loss takes for the batch of these rows."""
        return {}

    def see(self, metrics: dict[str, Tensor], batch: Batch) -> None:
        """A part of the batch, after its loss."""

    def after(self) -> dict[str, float]:
        """Columns for the step's metrics."""
        return {}

    def state(self) -> dict[str, float]:
        """What a checkpoint must hold."""
        return {}


class MismatchedKL(Nothing):
    """KTO's z_0, measured before the first part of a batch (arXiv 2402.01306, section 4.1)."""

    def __init__(self, policy, reference, data: TrainingData):
        self.policy, self.reference, self.data = policy, reference, data

    def before(self, rows: Tensor) -> dict:
        """z_0 of the batch: one number for all its rows."""
        examples = [self.data.examples[i][0] for i in rows.tolist()]
        pad, limit = pad_id(self.data.tokenizer), self.data.limit
        self.kl = mismatched_kl(self.policy, self.reference, examples, pad, limit)
        return {"kl": self.kl}

    def after(self) -> dict[str, float]:
        """z_0 as it was."""
        return {"kl": float(self.kl)}


class MovingDelta(Nothing):
    """BCO's delta, a moving average: a batch is judged by those before it.

    arXiv 2404.04656, eq. 7.
    """

    def __init__(self, delta: float | None):
        self.delta = delta

    def before(self, rows: Tensor) -> dict:
        """delta as the batches before left it."""
        self.rewards, self.liked = [], []
        return {"delta": self.delta or 0.0}

    def see(self, metrics: dict[str, Tensor], batch: Batch) -> None:
        """Keep the rewards of liked and disliked responses."""
        if "reward" in metrics:
            sides = [(metrics["reward"], batch.labels.cpu())]
        else:
            up = torch.ones(len(batch.rows), dtype=torch.bool, device="cpu")
            sides = [(metrics["chosen_reward"], up), (metrics["rejected_reward"], ~up)]
        for rewards, liked in sides:
            self.rewards.append(rewards.cpu())
            self.liked.append(liked)

    def after(self) -> dict[str, float]:
        """delta, moved by this batch."""
        rewards = torch.cat(self.rewards).double()
        self.delta = float(class_mean_delta(rewards, torch.cat(self.liked), self.delta))
        return {"delta": self.delta}

    def state(self) -> dict[str, float]:
        """delta decides what comes."""
        return {"delta": self.delta}


def whole_batch_of(loss: Loss, policy, reference, data: TrainingData, state: dict) -> Nothing:
    """The one that this loss needs; `state` is what a checkpoint holds."""
    if "kl" in loss.inputs:
        return MismatchedKL(policy, reference.model, data)
    return MovingDelta(state.get("delta")) if "delta" in loss.inputs else Nothing()


def mismatched_kl(
    policy: nn.Module,
    reference: nn.Module,
    examples: list[Example],
    pad: int,
    limit: int | None,
) -> Tensor:
    """z_0: every prompt with the next row's response, scored by both models without gradients.

    A mixture that is longer than `limit` tokens loses the beginning of its prompt.
    """
    following = examples[1:] + examples[:1]
    mixed = [
        Example(a.ids[: a.prompt_length] + b.ids[b.prompt_length :], a.prompt_length)
        for a, b in zip(examples, following, strict=True)
    ]
    if limit:
        mixed = [fit([example], limit)[0] for example in mixed]
    ours, theirs = (score_shared(m, mixed, pad) for m in (policy, reference))
    return kto_kl(ours - theirs).to(device_of(policy))
