"""The parts of PPO: pure functions of tensors (B, T-1), one entry for each token."""

import torch
from torch import Tensor


def token_rewards(
    logps: Tensor, ref_logps: Tensor, scores: Tensor, mask: Tensor, kl_coef: float
) -> Tensor:
    """R_t = -kl_coef (log pi(y_t) - log pi_ref(y_t)), (B, T-1), plus the score at the last token.

    arXiv 1909.08593, eq. 2. Their sum over a row is score - kl_coef rho, so its mean is the
    objective of arXiv 2305.18290, eq. 3; no gradient goes through it.
    """
    rewards = -kl_coef * (logps - ref_logps) * mask
    last = (mask * torch.arange(mask.shape[1], device=mask.device)).argmax(-1)
    return rewards.scatter_add(1, last.unsqueeze(-1), scores.unsqueeze(-1))


def advantages_and_returns(
    rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation, both (B, T-1): arXiv 1506.02438, eq. 16.

    delta_t = R_t + gamma V_{t+1} - V_t, A_t = delta_t + gamma lam A_{t+1}, returns = A + V; after
    the last token V and A are 0.
    """
    values, nothing = values * mask, torch.zeros_like(rewards[:, 0])
    advantages, following = torch.zeros_like(rewards), nothing
    for t in reversed(range(rewards.shape[1])):
        next_value = values[:, t + 1] if t + 1 < rewards.shape[1] else nothing
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        following = (delta + gamma * lam * following) * mask[:, t]
        advantages[:, t] = following
    return advantages, (advantages + values) * mask


def whiten(x: Tensor, mask: Tensor) -> Tensor:
    """x with mean 0 and variance 1 over the marked entries; the mean is not added back."""
    mean = masked_mean(x, mask)
    return (x - mean) * torch.rsqrt(masked_mean((x - mean) ** 2, mask) + 1e-8) * mask


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over the marked entries of the whole batch."""
    return (x * mask).sum() / mask.sum()


def policy_loss(
    logps: Tensor, old_logps: Tensor, advantages: Tensor, mask: Tensor, clip: float
) -> Tensor:
    """masked mean of max(-A ratio, -A clip(ratio, 1 - clip, 1 + clip)): arXiv 1707.06347, eq. 7."""
    ratio = ((logps - old_logps) * mask).exp()
    near = ratio.clamp(1 - clip, 1 + clip)
    return masked_mean(torch.maximum(-advantages * ratio, -advantages * near), mask)


def value_loss(
    values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, clip: float
) -> Tensor:
    """1/2 masked mean of max((V - G)^2, (clip(V, V_old +- clip) - G)^2)."""
    near = old_values + (values - old_values).clamp(-clip, clip)
    return 0.5 * masked_mean(torch.maximum((values - returns) ** 2, (near - returns) ** 2), mask)
