"""Losses that have no reference: SimPO, ORPO and CPO on pairs, and supervised fine-tuning."""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from .checks import not_negative, per_token, positive, same_shape
from .registry import pairs, texts


@pairs("-log sigmoid(beta (ell_w/|y_w| - ell_l/|y_l|) - gamma)", "SimPO", "2405.14734")
def simpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    chosen_lengths: Tensor,
    rejected_lengths: Tensor,
    *,
    beta: float = 2.0,
    gamma: float = 1.0,
) -> Tensor:
    """-log sigmoid(beta (ell_w / |y_w| - ell_l / |y_l|) - gamma): SimPO, arXiv 2405.14734.

    gamma is a reward.
    """
    positive(beta=beta)
    difference = per_token(chosen_logps, chosen_lengths) - per_token(
        rejected_logps, rejected_lengths
    )
    return -logsigmoid(beta * difference - gamma)


@pairs("-ell_w/|y_w| - weight log sigmoid(log odds_w - log odds_l)", "ORPO", "2403.07691")
def orpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    chosen_lengths: Tensor,
    rejected_lengths: Tensor,
    *,
    weight: float = 0.1,
) -> Tensor:
    """-ell_w / |y_w| - weight log sigmoid(log odds_w - log odds_l): ORPO.

    arXiv 2403.07691, eqs. 4, 6, 7. odds = P / (1 - P) with P = e^(ell / |y|), the geometric mean of
    a token's probability. NLL on the response only; the official code also scores the prompt.
    """
    not_negative(weight=weight)
    means = per_token(chosen_logps, chosen_lengths), per_token(rejected_logps, rejected_lengths)
    chosen_odds, rejected_odds = (mean - _log_of_the_rest(mean) for mean in means)
    return -means[0] - weight * logsigmoid(chosen_odds - rejected_odds)


def _log_of_the_rest(log_p: Tensor) -> Tensor:
    """log(1 - p) from log p, exact near p = 1 and near p = 0.

    p is cut just below 1, where the odds would be infinite.
    """
    log_p = log_p.clamp(max=-1e-6)
    near_one = log_p > -math.log(2)
    safe = torch.where(
        near_one, log_p, -1.0
    )  # the branch that is not taken must not make a NaN gradient
    other = torch.where(near_one, -1.0, log_p)
    return torch.where(near_one, torch.log(-torch.expm1(safe)), torch.log1p(-torch.exp(other)))


@pairs(
    "-log sigmoid(beta (ell_w - ell_l)) - nll_weight ell_w",
    "Contrastive Preference Optimization",
    "2401.08417",
)
def cpo(
    chosen_logps: Tensor, rejected_logps: Tensor, *, beta: float = 0.1, nll_weight: float = 0.0
) -> Tensor:
    """-log sigmoid(beta (ell_w - ell_l)) - nll_weight ell_w: CPO.

    Contrastive preference optimization, arXiv 2401.08417, eq. 3. DPO whose reference gives every
    response the same probability. The paper's loss has nll_weight 1; the default is its preference
    term alone. The NLL is a sum over tokens, as in the paper; TRL takes a mean.
    """
    same_shape(chosen_logps, rejected_logps)
    positive(beta=beta)
    not_negative(nll_weight=nll_weight)
    return -logsigmoid(beta * (chosen_logps - rejected_logps)) - nll_weight * chosen_logps


@texts("-log pi(y|x)", "Supervised fine-tuning", "2203.02155", name="sft")
def nll(logps: Tensor) -> Tensor:
    """-log pi(y|x), (B,): supervised fine-tuning, nats per response (a sum, not a mean)."""
    same_shape(logps)
    return -logps
