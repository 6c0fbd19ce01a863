"""Losses on pairs that look at the margin alone: the difference of the two log-ratios."""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, relu, softplus

from .checks import log_ratios, per_token, positive, same_shape, smoothing, some
from .registry import pairs


@pairs("-log sigmoid(m)", "Direct Preference Optimization", "2305.18290")
def dpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
) -> Tensor:
    """-log sigmoid(m): Direct Preference Optimization, arXiv 2305.18290, eq. 7.

    ln 2 where policy and reference agree.
    """
    positive(beta=beta)
    chosen_log_ratio, rejected_log_ratio = log_ratios(
        chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps
    )
    return -logsigmoid(beta * (chosen_log_ratio - rejected_log_ratio))


def _both_ways(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float,
) -> tuple[Tensor, Tensor]:
    """DPO's loss of the pair as labelled, -log sigmoid(m), and flipped, -log sigmoid(-m)."""
    there = dpo(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, beta=beta)
    return there, dpo(rejected_logps, chosen_logps, ref_rejected_logps, ref_chosen_logps, beta=beta)


@pairs(
    "-(1-eps) log sigmoid(m) - eps log sigmoid(-m)", "Conservative DPO", "ericmitchell.ai/cdpo.pdf"
)
def cdpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.1,
) -> Tensor:
    """-(1 - eps) log sigmoid(m) - eps log sigmoid(-m): conservative DPO.

    Mitchell 2023 (ericmitchell.ai/cdpo.pdf), eq. 3. eps, the label_smoothing, is the share of
    labels believed to be wrong. Least at m = logit(1 - eps), where it is the entropy of eps. TRL
    from 0.29 ignores label_smoothing with its loss "sigmoid"; this follows the note and
    eric-mitchell's code.
    """
    smoothing(label_smoothing)
    there, back = _both_ways(
        chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, beta=beta
    )
    return (1 - label_smoothing) * there + label_smoothing * back


@pairs(
    "[-(1-eps) log sigmoid(m) + eps log sigmoid(-m)] / (1-2eps)",
    "Provably robust DPO",
    "2403.00409",
)
def robust_dpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.1,
) -> Tensor:
    """[-(1 - eps) log sigmoid(m) + eps log sigmoid(-m)] / (1 - 2 eps): provably robust DPO.

    arXiv 2403.00409. If every label was flipped with probability eps, its mean over the flips
    is DPO's loss on the clean labels. It falls for ever as m grows, and may be negative.
    """
    smoothing(label_smoothing)
    there, back = _both_ways(
        chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, beta=beta
    )
    return ((1 - label_smoothing) * there - label_smoothing * back) / (1 - 2 * label_smoothing)


@pairs(
    "KL((sigmoid(m), sigmoid(-m)) || (1-eps, eps))", "Efficient Exact Optimization", "2402.00856"
)
def exo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
    label_smoothing: float = 1e-3,
) -> Tensor:
    """KL((sigmoid(m), sigmoid(-m)) || (1 - eps, eps)): efficient exact optimization on pairs.

    arXiv 2402.00856, eq. 16. The reverse KL of what cDPO minimises, so eps = 0 would be infinite: 0
    < eps < 0.5.
    """
    if not 0 < label_smoothing < 0.5:
        raise ValueError(f"label_smoothing must be above 0 and below 0.5, not {label_smoothing}")
    there, back = _both_ways(
        chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, beta=beta
    )
    log_target, log_other = math.log1p(-label_smoothing), math.log(label_smoothing)
    return torch.exp(-there) * (-there - log_target) + torch.exp(-back) * (-back - log_other)


@pairs("-p log sigmoid(m) - (1-p) log sigmoid(-m)", "Direct Nash Optimization", "2404.03715")
def dno(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
    win_probability: Tensor | float = 1.0,
) -> Tensor:
    """-p log sigmoid(m) - (1 - p) log sigmoid(-m): direct Nash optimization, or soft labels.

    arXiv 2404.03715, one pair of its eq. 12. p is the label that the chosen response gets, (B,) or
    a number: in the paper sigmoid of the difference of the two responses' win rates against the
    policy of the round before, which is also the reference; 1 is its practical variant, and DPO.
    beta is its eta. The registry has it a second time, as "soft_dpo", for labels that no game made:
    p is then the share of people who chose the chosen response, and the loss is cDPO's
    (ericmitchell.ai/cdpo.pdf) with eps = 1 - p, each pair its own.
    """
    p = torch.as_tensor(win_probability, dtype=chosen_logps.dtype, device=chosen_logps.device)
    if some((p < 0) | (p > 1)) or (p.dim() and p.shape != chosen_logps.shape):
        raise ValueError("win_probability must lie between 0 and 1, one number or (B,)")
    there, back = _both_ways(
        chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, beta=beta
    )
    return p * there + (1 - p) * back


_SOFT_LABELS = "DPO with soft labels", "ericmitchell.ai/cdpo.pdf", "soft_dpo"
pairs("-p log sigmoid(m) - (1-p) log sigmoid(-m)", *_SOFT_LABELS)(dno)


@pairs("(Delta - 1/(2 tau))^2", "Identity Preference Optimization", "2310.12036")
def ipo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    tau: float = 0.1,
    chosen_lengths: Tensor | None = None,
    rejected_lengths: Tensor | None = None,
) -> Tensor:
    """(h - 1 / (2 tau))^2, h = Delta: identity preference optimization, arXiv 2310.12036, eq. 17.

    Without lengths h is the difference of sums, as in the paper and eric-mitchell's code; with both
    lengths it is the difference of means per token, as in TRL and HALOs. The two need different
    tau: for length L, tau_mean = L tau_sum.
    """
    positive(tau=tau)
    chosen_log_ratio, rejected_log_ratio = log_ratios(
        chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps
    )
    if chosen_lengths is not None or rejected_lengths is not None:
        chosen_log_ratio = per_token(chosen_log_ratio, chosen_lengths)
        rejected_log_ratio = per_token(rejected_log_ratio, rejected_lengths)
    return (chosen_log_ratio - rejected_log_ratio - 1 / (2 * tau)) ** 2


@pairs("max(0, 1 - m)", "Hinge (RSO)", "2309.06657")
def hinge(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
) -> Tensor:
    """max(0, 1 - m): the hinge of RSO, arXiv 2309.06657, eq. 12.

    SLiC-HF, arXiv 2305.10425, has no reference.
    """
    positive(beta=beta)
    chosen_log_ratio, rejected_log_ratio = log_ratios(
        chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps
    )
    return relu(1 - beta * (chosen_log_ratio - rejected_log_ratio))


@pairs("(1-s) log(1 + e^-m) + s e^-m, s = sigmoid(m/tau)", "DiscoPOP", "2406.08414")
def discopop(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.05,
    tau: float = 0.05,
) -> Tensor:
    """(1 - s) log(1 + e^-m) + s e^-m with s = sigmoid(m / tau): DiscoPOP.

    The log-ratio modulated loss of arXiv 2406.08414, eq. 5. Not convex; for tau below 0.102 it
    pushes the margin down at the reference. 0 < tau < 1.
    """
    positive(beta=beta, tau=tau)
    if tau >= 1:
        raise ValueError(
            f"tau must be below 1, not {tau}: the exponential would win over its weight"
        )
    chosen_log_ratio, rejected_log_ratio = log_ratios(
        chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps
    )
    m = beta * (chosen_log_ratio - rejected_log_ratio)
    return torch.sigmoid(-m / tau) * softplus(-m) + torch.exp(
        logsigmoid(m / tau) - m
    )  # s e^-m, in a form that can't overflow


@pairs(
    "-log sigmoid(beta (sort(ell_w-ell_l) - sort(ref_w-ref_l)))",
    "Alignment via Optimal Transport",
    "2406.05882",
)
def aot(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.01,
) -> Tensor:
    """-log sigmoid(beta (sort(ell_w - ell_l) - sort(ref_w - ref_l))): paired AOT, arXiv 2406.05882.

    Sorting couples the batch: row i is the i-th smallest of each, not pair i. With one pair it is
    DPO.
    """
    positive(beta=beta)
    same_shape(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps)
    policy, reference = (
        (chosen_logps - rejected_logps).sort().values,
        (ref_chosen_logps - ref_rejected_logps).sort().values,
    )
    return -logsigmoid(beta * (policy - reference))
