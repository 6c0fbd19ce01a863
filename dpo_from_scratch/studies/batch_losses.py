"""Chapter 11: two losses that look at the whole batch, five seeds.

Dr. DPO (arXiv 2407.07880) weighs the pairs of a batch by their loss; β-DPO (2407.08639) moves β
with the batch's mean margin. Rows, steps and learning rate are those of DPO in `wrong_labels`, to
whose record the figures are compared. A quarter of an hour on one core.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from ..lab.studies import Study, Trained, train_tiny
from ..losses import LOSSES, Loss, dpo
from .wrong_labels import STEPS, best_rate, flipped_pairs

BETA, KEPT = 0.6, 0.9  # of the mean margin's moving average, in each step
SEEDS = range(5)
ARMS = (  # loss, its option, shares of flipped labels
    ("dr_dpo", 0.2, (0.2, 0.4)),
    ("dr_dpo", 1.0, (0.2, 0.4)),
    ("beta_dpo", 0.6, (0.0, 0.2)),
)

study = Study(
    __file__,
    "Losses that look at their whole batch",
    tolerances={"true_reward": 0.15, "kl": 0.15, "objective": 0.15},
)


def dr_dpo(temper: float) -> Callable:
    """-β' log mean exp(-l / β') of DPO's losses l, for each pair of the batch; β' is `temper`."""

    def loss(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, *, beta=BETA):
        four = chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps
        each = dpo(*four, beta=beta)
        mean = torch.logsumexp(-each / temper, 0) - np.log(len(each))
        return (-temper * mean).expand(len(each))

    return loss


def beta_dpo(alpha: float) -> Callable:
    """DPO whose β is β₀ (1 + α (M - M₀)): M the batch's mean margin at β₀, M₀ its moving average.

    The paper also draws the pairs of a batch by their margin; that is not done here.
    """
    before = [0.0]

    def loss(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, *, beta=BETA):
        apart = (chosen_logps - ref_chosen_logps) - (rejected_logps - ref_rejected_logps)
        mean = beta * apart.mean().item()
        before[0] = KEPT * before[0] + (1 - KEPT) * mean
        moved = max(1e-3, beta * (1 + alpha * (mean - before[0])))
        four = chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps
        return dpo(*four, beta=moved)

    return loss


@contextmanager
def entered(name: str, loss: Callable) -> Iterator[None]:
    """The loss stands in the registry inside, so that the trainer knows it, and not after."""
    LOSSES[name] = Loss(loss, "", "", "", "pairs")
    try:
        yield
    finally:
        del LOSSES[name]


def trained(loss: str, option: float, flips: float, seed: int) -> Trained:
    """A run like DPO's in `wrong_labels`, with this loss."""
    made = {"dr_dpo": dr_dpo, "beta_dpo": beta_dpo}[loss](option)
    rows, rate = flipped_pairs(flips, seed), best_rate("dpo")
    with entered(loss, made):
        return train_tiny(rows, loss=loss, beta=BETA, learning_rate=rate, steps=STEPS, seed=seed)


@study.points(
    [
        {"loss": loss, "option": option, "flips": flips, "seed": seed}
        for seed in SEEDS
        for loss, option, shares in ARMS
        for flips in shares
    ]
)
def run(loss: str, option: float, flips: float, seed: int) -> dict:
    """All measures of a run."""
    found = trained(loss, option, flips, seed)
    return found.last("loss", "accuracy", "margin") | found.evaluation(seed)


if __name__ == "__main__":
    study.main()
