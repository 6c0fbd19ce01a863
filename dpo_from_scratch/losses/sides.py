"""Losses on pairs that look at each response by itself: its own log-ratio, or its length."""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, relu

from .checks import log_ratios, not_negative, per_token, positive
from .registry import pairs

LARGEST_EXPONENT = 80.0  # e^80 is 5e34: float32 ends at 3e38, so products of a few stay finite


@pairs(
    "-log sigmoid(r_w) - 1/2 log sigmoid(-r_w) - 1/2 log sigmoid(-r_l)",
    "Noise Contrastive Alignment",
    "2402.05369",
)
def nca(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.01,
) -> Tensor:
    """-log sigmoid(r_w) - 1/2 log sigmoid(-r_w) - 1/2 log sigmoid(-r_l): NCA.

    Noise contrastive alignment, arXiv 2402.05369.
    """
    positive(beta=beta)
    chosen_log_ratio, rejected_log_ratio = log_ratios(
        chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps
    )
    chosen, rejected = beta * chosen_log_ratio, beta * rejected_log_ratio
    return -logsigmoid(chosen) - 0.5 * logsigmoid(-chosen) - 0.5 * logsigmoid(-rejected)


@pairs("1 - sigmoid(r_w) + sigmoid(r_l)", "Anchored PO, zero", "2408.06266")
def apo_zero(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
) -> Tensor:
    """1 - sigmoid(r_w) + sigmoid(r_l): anchored PO, where chosen is better than the model.

    arXiv 2408.06266, eq. 7.
    """
    positive(beta=beta)
    chosen_log_ratio, rejected_log_ratio = log_ratios(
        chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps
    )
    return torch.sigmoid(-beta * chosen_log_ratio) + torch.sigmoid(beta * rejected_log_ratio)


@pairs("sigmoid(r_w) + 1 - sigmoid(r_w - r_l)", "Anchored PO, down", "2408.06266")
def apo_down(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
) -> Tensor:
    """sigmoid(r_w) + 1 - sigmoid(r_w - r_l): anchored PO, where chosen is worse than the model.

    arXiv 2408.06266, eq. 8.
    """
    positive(beta=beta)
    chosen_log_ratio, rejected_log_ratio = log_ratios(
        chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps
    )
    return torch.sigmoid(beta * chosen_log_ratio) + torch.sigmoid(
        -beta * (chosen_log_ratio - rejected_log_ratio)
    )


@pairs(
    "(rho_w - 1/(2 beta))^2 + (rho_l + 1/(2 beta))^2",
    "Self-Play Preference Optimization",
    "2405.00675",
)
def sppo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 1e-3,
) -> Tensor:
    """(rho_w - 1 / (2 beta))^2 + (rho_l + 1 / (2 beta))^2: SPPO with hard labels.

    arXiv 2405.00675, eq. 4.7. beta is 1 / eta. The sum of the two squares, as in TRL; the official
    code takes their mean, half of it.
    """
    positive(beta=beta)
    chosen_log_ratio, rejected_log_ratio = log_ratios(
        chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps
    )
    return (chosen_log_ratio - 1 / (2 * beta)) ** 2 + (rejected_log_ratio + 1 / (2 * beta)) ** 2


@pairs(
    "-log sigmoid(r_w - delta) - log sigmoid(delta - r_l)",
    "Binary Classifier Optimization, pairs",
    "2404.04656",
)
def bco_pair(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
    delta: Tensor | float = 0.0,
) -> Tensor:
    """-log sigmoid(r_w - delta) - log sigmoid(-(r_l - delta)): BCO on pairs.

    arXiv 2404.04656, theorem 3. delta is a reward; `class_mean_delta` gives the paper's. For every
    delta this is at least DPO's loss. TRL from 0.29 drops it.
    """
    if isinstance(delta, torch.Tensor) and delta.dim():
        raise ValueError("delta must be one number")
    positive(beta=beta)
    chosen_log_ratio, rejected_log_ratio = log_ratios(
        chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps
    )
    return -logsigmoid(beta * chosen_log_ratio - delta) - logsigmoid(
        delta - beta * rejected_log_ratio
    )


@pairs("-log sigmoid(beta (Delta - penalty max(0, -rho_w)))", "DPO-Positive", "2402.13228")
def dpop(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.3,
    penalty: float = 50.0,
) -> Tensor:
    """-log sigmoid(beta [Delta - penalty max(0, ref_w - ell_w)]): DPO-positive.

    arXiv 2402.13228, eq. 3. The penalty for a chosen response that became less likely stands inside
    beta and inside the sigmoid; many ports have it outside.
    """
    positive(beta=beta)
    not_negative(penalty=penalty)
    chosen_log_ratio, rejected_log_ratio = log_ratios(
        chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps
    )
    return -logsigmoid(
        beta * (chosen_log_ratio - rejected_log_ratio - penalty * relu(-chosen_log_ratio))
    )


@pairs("-log sigmoid(m + alpha (|y_w| - |y_l|))", "Length-regularised DPO", "2403.19159")
def r_dpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
    alpha: float = 0.01,
    chosen_lengths: Tensor,
    rejected_lengths: Tensor,
) -> Tensor:
    """-log sigmoid(m + alpha (|y_w| - |y_l|)): DPO for the reward r - alpha |y|, arXiv 2403.19159.

    A chosen response that is longer has that much credit already, so the policy need not learn it
    from its words.
    """
    positive(beta=beta)
    chosen_log_ratio, rejected_log_ratio = log_ratios(
        chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps
    )
    (
        per_token(chosen_logps, chosen_lengths),
        per_token(rejected_logps, rejected_lengths),
    )  # both are there and fit
    return -logsigmoid(
        beta * (chosen_log_ratio - rejected_log_ratio) + alpha * (chosen_lengths - rejected_lengths)
    )


@pairs("-log sigmoid(beta (rho_w/|y_w| - rho_l/|y_l|))", "Length-normalised DPO", "2411.15124")
def length_normalized_dpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 5.0,
    chosen_lengths: Tensor,
    rejected_lengths: Tensor,
) -> Tensor:
    """-log sigmoid(beta (rho_w / |y_w| - rho_l / |y_l|)): length-normalised DPO, arXiv 2411.15124.

    Log-ratios are means per token, so beta must be larger by about the length of a response.
    """
    positive(beta=beta)
    chosen_log_ratio, rejected_log_ratio = log_ratios(
        chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps
    )
    difference = per_token(chosen_log_ratio, chosen_lengths) - per_token(
        rejected_log_ratio, rejected_lengths
    )
    return -logsigmoid(beta * difference)


@pairs("-log sigmoid(beta f'(e^rho_w) - beta f'(e^rho_l))", "f-DPO", "2309.16240")
def f_dpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
    divergence: str = "reverse_kl",
    alpha: float = 0.5,
) -> Tensor:
    """-log sigmoid(beta f'(e^rho_w) - beta f'(e^rho_l)): DPO for other divergences.

    arXiv 2309.16240. The reverse KL is DPO's. f'(u): "reverse_kl" log u (DPO); "forward_kl" -1/u;
    "js" log(2u / (1 + u)); "alpha" (1 - u^-alpha) / alpha. alpha is the paper's (towards 0: reverse
    KL; 1: forward KL; TRL 1.16 takes 1 - alpha). Exponents are cut at 80, before float32 overflows.
    """
    positive(beta=beta, alpha=alpha)
    slope = {
        "reverse_kl": lambda rho: rho,
        "forward_kl": lambda rho: -_exp(-rho),
        "js": lambda rho: math.log(2) + logsigmoid(rho),
        "alpha": lambda rho: (1 - _exp(-alpha * rho)) / alpha,
    }.get(divergence)
    if slope is None:
        raise ValueError(
            f'divergence is "reverse_kl", "forward_kl", "js" or "alpha", not {divergence!r}'
        )
    chosen_log_ratio, rejected_log_ratio = log_ratios(
        chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps
    )
    return -logsigmoid(beta * slope(chosen_log_ratio) - beta * slope(rejected_log_ratio))


@pairs(
    "-log sigmoid(beta (phi(rho_w) - phi(rho_l))), phi(rho) = rho + e^rho",
    "Chi-squared Preference Optimization",
    "2407.13399",
)
def chi_po(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
) -> Tensor:
    """-log sigmoid(beta (phi(rho_w) - phi(rho_l))), phi(rho) = rho + e^rho: chi-squared PO.

    arXiv 2407.13399. DPO's log u of the ratio u = e^rho becomes u + log u, the derivative of
    u log u + u^2 / 2: the policy pays for the chi-squared divergence besides the KL. At the
    reference it pushes twice as hard as DPO, and far above it a log-ratio costs e^rho. The paper
    also clips the difference at +-2 R, R the largest reward, which its proof needs. It is left out,
    as in oxRL: R is unknown, and a pair ranked so wrongly that it lies beyond would have no
    gradient. Exponents are cut at 80, before float32 overflows (oxRL: at 20).
    """
    positive(beta=beta)
    chosen_log_ratio, rejected_log_ratio = log_ratios(
        chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps
    )
    chosen = chosen_log_ratio + _exp(chosen_log_ratio)
    return -logsigmoid(beta * (chosen - rejected_log_ratio - _exp(rejected_log_ratio)))


def _exp(x: Tensor) -> Tensor:
    return x.clamp(max=LARGEST_EXPONENT).exp()
