"""Losses on single responses, each with a thumb up or down, and what stands in place of Z."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from .checks import not_negative, positive, same_shape, some
from .registry import labels


@labels("weight (1 - sigmoid(+-beta (rho - z_0)))", "Kahneman-Tversky Optimization", "2402.01306")
def kto(
    logps: Tensor,
    ref_logps: Tensor,
    desirable: Tensor,
    kl: Tensor,
    *,
    beta: float = 0.1,
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
) -> Tensor:
    """weight * (1 - sigmoid(+-beta (rho - kl))): Kahneman-Tversky optimization.

    arXiv 2402.01306, eq. 7: + for a desirable response, - for an undesirable one; `kl` is z_0 of
    the paper, see `kto_kl`: a detached number, no beta. Its eq. 8 says how far the weights may
    differ: desirable_weight n_D over undesirable_weight n_U, n the responses of a class, from 1 to
    4/3. Both as TRL 0.24 cites them; versions of the paper may differ.
    """
    _labels(logps, ref_logps, desirable)
    positive(beta=beta)
    not_negative(desirable_weight=desirable_weight, undesirable_weight=undesirable_weight)
    kl = torch.as_tensor(kl, dtype=logps.dtype, device=logps.device)
    if kl.requires_grad or kl.dim() or some(kl < 0):
        raise ValueError("kl must be one detached number, not negative: kto_kl makes it")
    sign = torch.where(desirable, 1.0, -1.0)
    weight = torch.where(desirable, desirable_weight, undesirable_weight)
    return weight * torch.sigmoid(-sign * beta * (logps - ref_logps - kl))


def kto_kl(mismatched_log_ratios: Tensor) -> Tensor:
    """z_0 = max(0, mean rho(x_i, y_j)) over mismatched pairs (B,), detached.

    arXiv 2402.01306, section 4.1. The paper's authors take the pairs of one microbatch (HALOs; TRL
    since pull request 2153). Our trainer hands those of the whole batch, so that cutting it for
    memory changes nothing.
    """
    same_shape(mismatched_log_ratios)
    if len(mismatched_log_ratios) < 2:
        why = "a prompt is scored with another row's response"
        raise ValueError(f"KTO needs batches of two rows or more: {why}")
    return mismatched_log_ratios.detach().mean().clamp(min=0)


@labels("-log sigmoid(+-(r - delta))", "Binary Classifier Optimization", "2404.04656")
def bco(
    logps: Tensor, ref_logps: Tensor, desirable: Tensor, delta: Tensor | float, *, beta: float = 0.1
) -> Tensor:
    """-log sigmoid(+-(r - delta)): binary classifier optimization, arXiv 2404.04656.

    delta comes from `class_mean_delta`.
    """
    _labels(logps, ref_logps, desirable)
    positive(beta=beta)
    reward = beta * (logps - ref_logps)
    return -logsigmoid(torch.where(desirable, reward - delta, delta - reward))


def class_mean_delta(
    rewards: Tensor, desirable: Tensor, before: Tensor | float | None = None, momentum: float = 0.9
) -> Tensor:
    """delta = (mean reward of desirable + mean of undesirable responses) / 2, detached.

    arXiv 2404.04656, eq. 7. With `before`, an exponential moving average of it. A class's size does
    not count, as it is a mean of means; TRL takes that over all rows. A batch of one class only
    leaves `before` as it is (0 at the beginning).
    """
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum must be at least 0 and below 1, not {momentum}")
    rewards = rewards.detach()
    if desirable.all() or not desirable.any():
        before = 0.0 if before is None else before
        return torch.as_tensor(before, dtype=rewards.dtype, device=rewards.device)
    now = (rewards[desirable].mean() + rewards[~desirable].mean()) / 2
    return now if before is None else momentum * before + (1 - momentum) * now


def underlying_distribution_weights(
    features: Tensor, desirable: Tensor, low: float = 0.5, high: float = 10.0
) -> Tensor:
    """Weights (B,) for labels whose classes have different prompts.

    1 for desirable rows, p / (1 - p) for the others. p is a logistic classifier's probability that
    a prompt with these features (B, F) is one of the desirable ones, classes counting alike (arXiv
    2404.04656, first version). Clipped to [low, high], as in TRL.
    """
    if desirable.all() or not desirable.any():
        raise ValueError("weights need rows of both classes")
    x = torch.cat([features, torch.ones_like(features[:, :1])], dim=1).double()
    y, w = desirable.double(), torch.zeros_like(x[0])
    balance = torch.where(desirable, 0.5 / desirable.sum(), 0.5 / (~desirable).sum()).double()
    ridge = 1e-3 * torch.eye(x.shape[1], dtype=torch.double, device=x.device)
    for _ in range(50):  # Newton's method
        p = torch.sigmoid(x @ w)
        curvature = x.T @ ((balance * p * (1 - p)).unsqueeze(1) * x) + ridge
        w = w + torch.linalg.solve(curvature, x.T @ (balance * (y - p)) - ridge @ w)
    odds = torch.exp((x @ w).clamp(-50, 50))
    return torch.where(desirable, 1.0, odds.clamp(low, high).float())


def _labels(logps: Tensor, ref_logps: Tensor, desirable: Tensor) -> None:
    same_shape(logps, ref_logps, desirable)
    if desirable.dtype != torch.bool:
        raise ValueError(f"desirable must be a bool tensor, not {desirable.dtype}")
