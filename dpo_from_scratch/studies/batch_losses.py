"""Chapter 11: two losses that look at the whole batch, five seeds.

Dr. DPO (arXiv 2407.07880) weighs the pairs of a batch by their loss; β-DPO (2407.08639) moves β
with the batch's mean gap and leaves unusual pairs out. Rows, steps and learning rate are those of
DPO in `wrong_labels`, to whose record the figures are compared. Ten minutes on one core.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from ..lab.studies import Study, Trained, train_tiny
from ..losses import LOSSES, Loss, dpo
from .wrong_labels import STEPS, best_rate, flipped_pairs

BETA = 0.6
KEPT, LEFT_OUT = 0.9, 0.2  # β-DPO: of its moving averages in each step; of a batch's pairs
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


def beta_dpo(alpha: float, used: list[float], seed: int) -> Callable:
    """DPO whose β is β₀ (1 + α (G - G₀)), over four fifths of the batch.

    A pair's gap is the difference of its two log-ratios, without β. G₀ and S are moving averages of
    the gaps' mean and deviation in a batch. Pairs are drawn with weights exp(-(gap - G₀)² / 2S²),
    so that unusual ones stay out more often; G is the mean gap of those drawn. The loss of the
    others is zero, so the batch's mean is that of the drawn. As in the authors' code,
    github.com/junkangwu/beta-DPO; every β is appended to `used`.
    """
    moving = torch.zeros(2)
    generator = torch.Generator().manual_seed(seed)

    def loss(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, *, beta=BETA):
        gap = (chosen_logps - ref_chosen_logps - rejected_logps + ref_rejected_logps).detach()
        moving.mul_(KEPT).add_((1 - KEPT) * torch.stack([gap.mean(), gap.std()]))
        log_weights = -0.5 * ((gap - moving[0]) / moving[1].clamp(min=1e-8)) ** 2
        luck = -torch.empty(len(gap)).exponential_(generator=generator).log()
        drawn = (log_weights + luck).topk(int(len(gap) * (1 - LEFT_OUT))).indices
        used.append(max(1e-3, beta * (1 + alpha * (gap[drawn].mean() - moving[0]).item())))
        four = chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps
        counts = torch.zeros_like(gap).index_fill(0, drawn, len(gap) / len(drawn))
        return counts * dpo(*four, beta=used[-1])

    return loss


@contextmanager
def entered(name: str, loss: Callable) -> Iterator[None]:
    """The loss stands in the registry inside, so that the trainer knows it, and not after."""
    LOSSES[name] = Loss(loss, "", "", "", "pairs")
    try:
        yield
    finally:
        del LOSSES[name]


def trained(loss: str, option: float, flips: float, seed: int) -> tuple[Trained, list[float]]:
    """A run like DPO's in `wrong_labels`, with this loss; and the β of each of β-DPO's steps."""
    used: list[float] = []
    made = dr_dpo(option) if loss == "dr_dpo" else beta_dpo(option, used, seed)
    how = {"beta": BETA, "learning_rate": best_rate("dpo"), "steps": STEPS, "seed": seed}
    with entered(loss, made):
        return train_tiny(flipped_pairs(flips, seed), loss=loss, **how), used


@study.points(
    [
        {"loss": loss, "option": option, "flips": flips, "seed": seed}
        for seed in SEEDS
        for loss, option, shares in ARMS
        for flips in shares
    ]
)
def run(loss: str, option: float, flips: float, seed: int) -> dict:
    """All measures of a run; of β-DPO, the mean of its β and their deviation, too."""
    found, used = trained(loss, option, flips, seed)
    moved = {"beta_mean": float(np.mean(used)), "beta_std": float(np.std(used))} if used else {}
    return found.last("loss", "accuracy", "margin") | found.evaluation(seed) | moved


if __name__ == "__main__":
    study.main()
