"""Preference losses: pure functions of log-probabilities, (B,) in and (B,) out, unreduced, differentiable.

Notation: ell_w, ell_l are the policy's log-probabilities of the chosen and the rejected response (sums over tokens, nats),
rho = ell - ell_ref the log-ratio (no beta), Delta = rho_w - rho_l, r = beta * rho the implicit reward, m = beta * Delta the
margin, |y| a response's tokens, end-of-text included. All raise ValueError for shapes that differ and options out of range.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, relu, softplus

T = Tensor  # of shape (B,)
LARGEST_EXPONENT = 80.0  # e^80 is 5e34: float32 ends at 3e38, so products and sums of a few stay finite


def _same_shape(*tensors: Tensor) -> None:
    if any(t.dim() != 1 or t.shape != tensors[0].shape for t in tensors):
        raise ValueError(f"log-probabilities must share one shape (B,), got {[tuple(t.shape) for t in tensors]}")


def _positive(**options: float) -> None:
    for name, value in options.items():
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be positive, not {value}")


def _not_negative(**options: float) -> None:
    for name, value in options.items():
        if not (value >= 0 and math.isfinite(value)):
            raise ValueError(f"{name} must not be negative, not {value}")


def _smoothing(label_smoothing: float) -> None:
    if not 0 <= label_smoothing < 0.5:
        raise ValueError(f"label_smoothing must be at least 0 and below 0.5, not {label_smoothing}")


def _log_ratios(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps) -> tuple[Tensor, Tensor]:
    _same_shape(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps)
    return chosen_logps - ref_chosen_logps, rejected_logps - ref_rejected_logps


def _per_token(logps: Tensor, lengths: Tensor | None) -> Tensor:
    if lengths is None:
        raise ValueError("chosen_lengths and rejected_lengths are needed: the tokens of each response, end-of-text included")
    _same_shape(logps, lengths)
    if (lengths < 1).any():
        raise ValueError("a response has at least one token: lengths must be 1 or more")
    return logps / lengths


# ---------------------------------------------------------------- pairs: functions of the margin alone
def dpo(chosen_logps: T, rejected_logps: T, ref_chosen_logps: T, ref_rejected_logps: T, *, beta: float = 0.1) -> T:
    """-log sigmoid(m): Direct Preference Optimization, arXiv 2305.18290, eq. 7. ln 2 where policy and reference agree."""
    _positive(beta=beta)
    chosen_log_ratio, rejected_log_ratio = _log_ratios(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps)
    return -logsigmoid(beta * (chosen_log_ratio - rejected_log_ratio))


def _both_ways(
    chosen_logps: Tensor, rejected_logps: Tensor, ref_chosen_logps: Tensor, ref_rejected_logps: Tensor, *, beta: float
) -> tuple[Tensor, Tensor]:
    """DPO's loss of the pair as it is labelled and of the pair turned round: -log sigmoid(m) and -log sigmoid(-m)."""
    there = dpo(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, beta=beta)
    return there, dpo(rejected_logps, chosen_logps, ref_rejected_logps, ref_chosen_logps, beta=beta)


def cdpo(chosen_logps: T, rejected_logps: T, ref_chosen_logps: T, ref_rejected_logps: T, *,
         beta: float = 0.1, label_smoothing: float = 0.1) -> T:  # fmt: skip
    """-(1 - eps) log sigmoid(m) - eps log sigmoid(-m): conservative DPO, Mitchell 2023 (ericmitchell.ai/cdpo.pdf), eq. 3.

    eps, the label_smoothing, is the share of labels believed to be wrong. Least at m = logit(1 - eps), where it is the entropy of
    eps. TRL from 0.29 ignores label_smoothing with its loss "sigmoid"; this follows the note and eric-mitchell's code.
    """
    _smoothing(label_smoothing)
    there, back = _both_ways(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, beta=beta)
    return (1 - label_smoothing) * there + label_smoothing * back


def robust_dpo(chosen_logps: T, rejected_logps: T, ref_chosen_logps: T, ref_rejected_logps: T, *,
               beta: float = 0.1, label_smoothing: float = 0.1) -> T:  # fmt: skip
    """[-(1 - eps) log sigmoid(m) + eps log sigmoid(-m)] / (1 - 2 eps): provably robust DPO, arXiv 2403.00409.

    If every label was turned round with probability eps, its mean over the flips is DPO's loss on the clean labels. It falls
    for ever as m grows, and may be negative.
    """
    _smoothing(label_smoothing)
    there, back = _both_ways(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, beta=beta)
    return ((1 - label_smoothing) * there - label_smoothing * back) / (1 - 2 * label_smoothing)


def exo(chosen_logps: T, rejected_logps: T, ref_chosen_logps: T, ref_rejected_logps: T, *,
        beta: float = 0.1, label_smoothing: float = 1e-3) -> T:  # fmt: skip
    """KL((sigmoid(m), sigmoid(-m)) || (1 - eps, eps)): efficient exact optimization on pairs, arXiv 2402.00856, eq. 16.

    The reverse KL of what cDPO minimises, so eps = 0 would be infinite: 0 < eps < 0.5.
    """
    if not 0 < label_smoothing < 0.5:
        raise ValueError(f"label_smoothing must be above 0 and below 0.5, not {label_smoothing}")
    there, back = _both_ways(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, beta=beta)
    log_target, log_other = math.log1p(-label_smoothing), math.log(label_smoothing)
    return torch.exp(-there) * (-there - log_target) + torch.exp(-back) * (-back - log_other)


def dno(chosen_logps: T, rejected_logps: T, ref_chosen_logps: T, ref_rejected_logps: T, *,
        beta: float = 0.1, win_probability: T | float = 1.0) -> T:  # fmt: skip
    """-p log sigmoid(m) - (1 - p) log sigmoid(-m): direct Nash optimization, arXiv 2404.03715, one pair of its eq. 12.

    p is the label that the chosen response gets, (B,) or a number: in the paper sigmoid of the difference of the two responses' win
    rates against the policy of the round before, which is also the reference; 1 is its practical variant, and DPO. beta is its eta.
    """
    p = torch.as_tensor(win_probability, dtype=chosen_logps.dtype, device=chosen_logps.device)
    if ((p < 0) | (p > 1)).any() or (p.dim() and p.shape != chosen_logps.shape):
        raise ValueError("win_probability must lie between 0 and 1, one number or (B,)")
    there, back = _both_ways(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, beta=beta)
    return p * there + (1 - p) * back


def ipo(chosen_logps: T, rejected_logps: T, ref_chosen_logps: T, ref_rejected_logps: T, *,
        tau: float = 0.1, chosen_lengths: T | None = None, rejected_lengths: T | None = None) -> T:  # fmt: skip
    """(h - 1 / (2 tau))^2 with h = Delta: identity preference optimization, arXiv 2310.12036, eq. 17.

    Without lengths h is the difference of sums, as in the paper and eric-mitchell's code; with both lengths it is the difference of
    means per token, as in TRL and HALOs. The two need different tau: for length L, tau_mean = L tau_sum.
    """
    _positive(tau=tau)
    chosen_log_ratio, rejected_log_ratio = _log_ratios(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps)
    if chosen_lengths is not None or rejected_lengths is not None:
        chosen_log_ratio = _per_token(chosen_log_ratio, chosen_lengths)
        rejected_log_ratio = _per_token(rejected_log_ratio, rejected_lengths)
    return (chosen_log_ratio - rejected_log_ratio - 1 / (2 * tau)) ** 2


def hinge(chosen_logps: T, rejected_logps: T, ref_chosen_logps: T, ref_rejected_logps: T, *, beta: float = 0.1) -> T:
    """max(0, 1 - m): the hinge of RSO, arXiv 2309.06657, eq. 12. (SLiC-HF, arXiv 2305.10425, has no reference.)"""
    _positive(beta=beta)
    chosen_log_ratio, rejected_log_ratio = _log_ratios(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps)
    return relu(1 - beta * (chosen_log_ratio - rejected_log_ratio))


def discopop(chosen_logps: T, rejected_logps: T, ref_chosen_logps: T, ref_rejected_logps: T, *,
             beta: float = 0.05, tau: float = 0.05) -> T:  # fmt: skip
    """(1 - s) log(1 + e^-m) + s e^-m with s = sigmoid(m / tau): DiscoPOP's log-ratio modulated loss, arXiv 2406.08414, eq. 5.

    Not convex; for tau below 0.102 it pushes the margin down at the reference. 0 < tau < 1.
    """
    _positive(beta=beta, tau=tau)
    if tau >= 1:
        raise ValueError(f"tau must be below 1, not {tau}: the exponential would win over its weight")
    chosen_log_ratio, rejected_log_ratio = _log_ratios(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps)
    m = beta * (chosen_log_ratio - rejected_log_ratio)
    return torch.sigmoid(-m / tau) * softplus(-m) + torch.exp(logsigmoid(m / tau) - m)  # s e^-m, in a form that can't overflow


def aot(chosen_logps: T, rejected_logps: T, ref_chosen_logps: T, ref_rejected_logps: T, *, beta: float = 0.01) -> T:
    """-log sigmoid(beta (sort(ell_w - ell_l) - sort(ref_w - ref_l))): paired AOT, arXiv 2406.05882.

    Sorting couples the batch: row i is the i-th smallest of each, not pair i. With one pair it is DPO.
    """
    _positive(beta=beta)
    _same_shape(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps)
    policy, reference = (chosen_logps - rejected_logps).sort().values, (ref_chosen_logps - ref_rejected_logps).sort().values
    return -logsigmoid(beta * (policy - reference))


# ---------------------------------------------------------------- pairs: what a response's own log-ratio or length does
def nca(chosen_logps: T, rejected_logps: T, ref_chosen_logps: T, ref_rejected_logps: T, *, beta: float = 0.01) -> T:
    """-log sigmoid(r_w) - 1/2 log sigmoid(-r_w) - 1/2 log sigmoid(-r_l): noise contrastive alignment, arXiv 2402.05369."""
    _positive(beta=beta)
    chosen_log_ratio, rejected_log_ratio = _log_ratios(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps)
    chosen, rejected = beta * chosen_log_ratio, beta * rejected_log_ratio
    return -logsigmoid(chosen) - 0.5 * logsigmoid(-chosen) - 0.5 * logsigmoid(-rejected)


def apo_zero(chosen_logps: T, rejected_logps: T, ref_chosen_logps: T, ref_rejected_logps: T, *, beta: float = 0.1) -> T:
    """1 - sigmoid(r_w) + sigmoid(r_l): anchored PO, chosen better than the model, arXiv 2408.06266, eq. 7."""
    _positive(beta=beta)
    chosen_log_ratio, rejected_log_ratio = _log_ratios(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps)
    return torch.sigmoid(-beta * chosen_log_ratio) + torch.sigmoid(beta * rejected_log_ratio)


def apo_down(chosen_logps: T, rejected_logps: T, ref_chosen_logps: T, ref_rejected_logps: T, *, beta: float = 0.1) -> T:
    """sigmoid(r_w) + 1 - sigmoid(r_w - r_l): anchored PO, chosen worse than the model, arXiv 2408.06266, eq. 8."""
    _positive(beta=beta)
    chosen_log_ratio, rejected_log_ratio = _log_ratios(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps)
    return torch.sigmoid(beta * chosen_log_ratio) + torch.sigmoid(-beta * (chosen_log_ratio - rejected_log_ratio))


def sppo(chosen_logps: T, rejected_logps: T, ref_chosen_logps: T, ref_rejected_logps: T, *, beta: float = 1e-3) -> T:
    """(rho_w - 1 / (2 beta))^2 + (rho_l + 1 / (2 beta))^2: SPPO, arXiv 2405.00675, eq. 4.7, hard labels.

    beta is 1 / eta. The sum of the two squares, as in TRL; the official code takes their mean, half of it.
    """
    _positive(beta=beta)
    chosen_log_ratio, rejected_log_ratio = _log_ratios(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps)
    return (chosen_log_ratio - 1 / (2 * beta)) ** 2 + (rejected_log_ratio + 1 / (2 * beta)) ** 2


def bco_pair(chosen_logps: T, rejected_logps: T, ref_chosen_logps: T, ref_rejected_logps: T, *,
             beta: float = 0.1, delta: T | float = 0.0) -> T:  # fmt: skip
    """-log sigmoid(r_w - delta) - log sigmoid(-(r_l - delta)): BCO on pairs, arXiv 2404.04656, theorem 3.

    delta is a reward; `class_mean_delta` gives the paper's. For every delta this is at least DPO's loss. TRL from 0.29 drops it.
    """
    if torch.as_tensor(delta).dim():
        raise ValueError("delta must be one number")
    _positive(beta=beta)
    chosen_log_ratio, rejected_log_ratio = _log_ratios(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps)
    return -logsigmoid(beta * chosen_log_ratio - delta) - logsigmoid(delta - beta * rejected_log_ratio)


def dpop(chosen_logps: T, rejected_logps: T, ref_chosen_logps: T, ref_rejected_logps: T, *,
         beta: float = 0.3, penalty: float = 50.0) -> T:  # fmt: skip
    """-log sigmoid(beta [Delta - penalty max(0, ref_w - ell_w)]): DPO-positive, arXiv 2402.13228, eq. 3.

    The penalty for a chosen response that became less likely stands inside beta and inside the sigmoid; many ports have it outside.
    """
    _positive(beta=beta)
    _not_negative(penalty=penalty)
    chosen_log_ratio, rejected_log_ratio = _log_ratios(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps)
    return -logsigmoid(beta * (chosen_log_ratio - rejected_log_ratio - penalty * relu(-chosen_log_ratio)))


def r_dpo(chosen_logps: T, rejected_logps: T, ref_chosen_logps: T, ref_rejected_logps: T, *, beta: float = 0.1, alpha: float = 0.01,
          chosen_lengths: T | None = None, rejected_lengths: T | None = None) -> T:  # fmt: skip
    """-log sigmoid(m + alpha (|y_w| - |y_l|)): DPO for the reward r - alpha |y|, arXiv 2403.19159.

    A chosen response that is longer has that much credit already, so the policy need not learn it from its words.
    """
    _positive(beta=beta)
    chosen_log_ratio, rejected_log_ratio = _log_ratios(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps)
    _per_token(chosen_logps, chosen_lengths), _per_token(rejected_logps, rejected_lengths)  # both are there and fit
    return -logsigmoid(beta * (chosen_log_ratio - rejected_log_ratio) + alpha * (chosen_lengths - rejected_lengths))


def length_normalized_dpo(chosen_logps: T, rejected_logps: T, ref_chosen_logps: T, ref_rejected_logps: T, *,
                          beta: float = 5.0, chosen_lengths: T | None = None, rejected_lengths: T | None = None) -> T:  # fmt: skip
    """-log sigmoid(beta (rho_w / |y_w| - rho_l / |y_l|)): length-normalised DPO, arXiv 2411.15124.

    Log-ratios are means per token, so beta must be larger by about the length of a response.
    """
    _positive(beta=beta)
    chosen_log_ratio, rejected_log_ratio = _log_ratios(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps)
    difference = _per_token(chosen_log_ratio, chosen_lengths) - _per_token(rejected_log_ratio, rejected_lengths)
    return -logsigmoid(beta * difference)


def f_dpo(chosen_logps: T, rejected_logps: T, ref_chosen_logps: T, ref_rejected_logps: T, *,
          beta: float = 0.1, divergence: str = "reverse_kl", alpha: float = 0.5) -> T:  # fmt: skip
    """-log sigmoid(beta f'(e^rho_w) - beta f'(e^rho_l)): DPO for other divergences than the reverse KL, arXiv 2309.16240.

    f'(u): "reverse_kl" log u (DPO); "forward_kl" -1/u; "js" log(2u / (1 + u)); "alpha" (1 - u^-alpha) / alpha. alpha is the paper's
    (towards 0: reverse KL; 1: forward KL; TRL 1.16 takes 1 - alpha). Exponents are cut at 80, before float32 overflows.
    """
    _positive(beta=beta, alpha=alpha)
    slope = {
        "reverse_kl": lambda rho: rho,
        "forward_kl": lambda rho: -_exp(-rho),
        "js": lambda rho: math.log(2) + logsigmoid(rho),
        "alpha": lambda rho: (1 - _exp(-alpha * rho)) / alpha,
    }.get(divergence)
    if slope is None:
        raise ValueError(f'divergence is "reverse_kl", "forward_kl", "js" or "alpha", not {divergence!r}')
    chosen_log_ratio, rejected_log_ratio = _log_ratios(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps)
    return -logsigmoid(beta * slope(chosen_log_ratio) - beta * slope(rejected_log_ratio))


def _exp(x: Tensor) -> Tensor:
    return x.clamp(max=LARGEST_EXPONENT).exp()


# ---------------------------------------------------------------- pairs without a reference
def simpo(chosen_logps: T, rejected_logps: T, chosen_lengths: T, rejected_lengths: T, *,
          beta: float = 2.0, gamma: float = 1.0) -> T:  # fmt: skip
    """-log sigmoid(beta (ell_w / |y_w| - ell_l / |y_l|) - gamma): SimPO, arXiv 2405.14734. gamma is a reward."""
    _positive(beta=beta)
    difference = _per_token(chosen_logps, chosen_lengths) - _per_token(rejected_logps, rejected_lengths)
    return -logsigmoid(beta * difference - gamma)


def orpo(chosen_logps: T, rejected_logps: T, chosen_lengths: T, rejected_lengths: T, *, weight: float = 0.1) -> T:
    """-ell_w / |y_w| - weight log sigmoid(log odds_w - log odds_l): ORPO, arXiv 2403.07691, eqs. 4, 6, 7.

    odds = P / (1 - P) with P = e^(ell / |y|), the geometric mean of a token's probability. NLL on the response only; the official
    code also scores the prompt.
    """
    _not_negative(weight=weight)
    means = _per_token(chosen_logps, chosen_lengths), _per_token(rejected_logps, rejected_lengths)
    chosen_odds, rejected_odds = (mean - _log_of_the_rest(mean) for mean in means)
    return -means[0] - weight * logsigmoid(chosen_odds - rejected_odds)


def _log_of_the_rest(log_p: Tensor) -> Tensor:
    """log(1 - p) from log p, exact near p = 1 and near p = 0; p is cut just below 1, where the odds would be infinite."""
    log_p = log_p.clamp(max=-1e-6)
    near_one = log_p > -math.log(2)
    safe = torch.where(near_one, log_p, -1.0)  # the branch that is not taken must not make a NaN gradient
    other = torch.where(near_one, -1.0, log_p)
    return torch.where(near_one, torch.log(-torch.expm1(safe)), torch.log1p(-torch.exp(other)))


def cpo(chosen_logps: Tensor, rejected_logps: Tensor, *, beta: float = 0.1, nll_weight: float = 0.0) -> Tensor:
    """-log sigmoid(beta (ell_w - ell_l)) - nll_weight ell_w: contrastive preference optimization, arXiv 2401.08417, eq. 3.

    DPO whose reference gives every response the same probability. The paper's loss has nll_weight 1; the default is its preference
    term alone. The NLL is a sum over tokens, as in the paper; TRL takes a mean.
    """
    _same_shape(chosen_logps, rejected_logps)
    _positive(beta=beta)
    _not_negative(nll_weight=nll_weight)
    return -logsigmoid(beta * (chosen_logps - rejected_logps)) - nll_weight * chosen_logps


# ---------------------------------------------------------------- labels: one response and a thumb
def kto(logps: T, ref_logps: T, desirable: T, kl: T, *,
        beta: float = 0.1, desirable_weight: float = 1.0, undesirable_weight: float = 1.0) -> T:  # fmt: skip
    """weight * (1 - sigmoid(+-beta (rho - kl))): Kahneman-Tversky optimization, arXiv 2402.01306, eqs. 7 and 8.

    + for a desirable response, - for an undesirable one; `kl` is z_0 of the paper, see `kto_kl`: a detached number, no beta.
    """
    _labels(logps, ref_logps, desirable)
    _positive(beta=beta)
    kl = torch.as_tensor(kl, dtype=logps.dtype, device=logps.device)
    if kl.requires_grad or kl.dim() or kl < 0:
        raise ValueError("kl must be one detached number, not negative: kto_kl makes it")
    sign = torch.where(desirable, 1.0, -1.0)
    weight = torch.where(desirable, desirable_weight, undesirable_weight)
    return weight * torch.sigmoid(-sign * beta * (logps - ref_logps - kl))


def kto_kl(mismatched_log_ratios: Tensor) -> Tensor:
    """z_0 = max(0, mean rho(x_i, y_j)) over mismatched pairs (B,) of the global batch, detached: arXiv 2402.01306, section 4.1."""
    _same_shape(mismatched_log_ratios)
    if len(mismatched_log_ratios) < 2:
        raise ValueError("KTO needs batches of two rows or more: a prompt is scored with another row's response")
    return mismatched_log_ratios.detach().mean().clamp(min=0)


def bco(logps: Tensor, ref_logps: Tensor, desirable: Tensor, delta: Tensor | float, *, beta: float = 0.1) -> Tensor:
    """-log sigmoid(+-(r - delta)): binary classifier optimization, arXiv 2404.04656; delta from `class_mean_delta`."""
    _labels(logps, ref_logps, desirable)
    _positive(beta=beta)
    reward = beta * (logps - ref_logps)
    return -logsigmoid(torch.where(desirable, reward - delta, delta - reward))


def class_mean_delta(rewards: Tensor, desirable: Tensor, before: Tensor | float | None = None, momentum: float = 0.9) -> Tensor:
    """delta = (mean reward of desirable + mean of undesirable responses) / 2, detached: arXiv 2404.04656, eq. 7.

    With `before`, an exponential moving average of it. A class's size does not count, as it is a mean of means; TRL takes that
    over all rows. A batch of one class only leaves `before` as it is (0 at the beginning).
    """
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum must be at least 0 and below 1, not {momentum}")
    rewards = rewards.detach()
    if desirable.all() or not desirable.any():
        return torch.as_tensor(0.0 if before is None else before, dtype=rewards.dtype)
    now = (rewards[desirable].mean() + rewards[~desirable].mean()) / 2
    return now if before is None else momentum * before + (1 - momentum) * now


def underlying_distribution_weights(features: Tensor, desirable: Tensor, low: float = 0.5, high: float = 10.0) -> Tensor:
    """Weights (B,) for labels whose classes have different prompts: 1 for desirable rows, p / (1 - p) for the others.

    p is a logistic classifier's probability that a prompt with these features (B, F) is one of the desirable ones, classes
    counting alike (arXiv 2404.04656, first version). Clipped to [low, high], as in TRL.
    """
    if desirable.all() or not desirable.any():
        raise ValueError("weights need rows of both classes")
    x = torch.cat([features, torch.ones(len(features), 1)], dim=1).double()
    y, w = desirable.double(), torch.zeros(x.shape[1], dtype=torch.double)
    balance = torch.where(desirable, 0.5 / desirable.sum(), 0.5 / (~desirable).sum()).double()
    ridge = 1e-3 * torch.eye(x.shape[1], dtype=torch.double)
    for _ in range(50):  # Newton's method
        p = torch.sigmoid(x @ w)
        curvature = x.T @ ((balance * p * (1 - p)).unsqueeze(1) * x) + ridge
        w = w + torch.linalg.solve(curvature, x.T @ (balance * (y - p)) - ridge @ w)
    odds = torch.exp((x @ w).clamp(-50, 50))
    return torch.where(desirable, 1.0, odds.clamp(low, high).float())


def _labels(logps: Tensor, ref_logps: Tensor, desirable: Tensor) -> None:
    _same_shape(logps, ref_logps, desirable)
    if desirable.dtype != torch.bool:
        raise ValueError(f"desirable must be a bool tensor, not {desirable.dtype}")


# ---------------------------------------------------------------- texts
def nll(logps: Tensor) -> Tensor:
    """-log pi(y|x), shape (B,): supervised fine-tuning, in nats per response (a sum over tokens, not a mean)."""
    _same_shape(logps)
    return -logps


# ---------------------------------------------------------------- the registry
@dataclass(frozen=True)
class Loss:
    """A row of the registry: what a loss is called, where it comes from, and what a trainer must hand it."""

    fn: Callable[..., Tensor]
    title: str
    paper: str  # arXiv id, or the address of a note
    equation: str
    needs: str  # "pairs", "labels" or "texts"
    defaults: dict = field(default_factory=dict)
    inputs: tuple[str, ...] = ("reference",)  # of: reference, lengths, kl, delta, win_probability


_DPO, _PAIRS = "2305.18290", "pairs"
LOSSES: dict[str, Loss] = {
    "dpo": Loss(dpo, "Direct Preference Optimization", _DPO, "-log sigmoid(m)", _PAIRS, {"beta": 0.1}),
    "cdpo": Loss(cdpo, "Conservative DPO", "ericmitchell.ai/cdpo.pdf", "-(1-eps) log sigmoid(m) - eps log sigmoid(-m)", _PAIRS,
                 {"beta": 0.1, "label_smoothing": 0.1}),
    "robust_dpo": Loss(robust_dpo, "Provably robust DPO", "2403.00409",
                       "[-(1-eps) log sigmoid(m) + eps log sigmoid(-m)] / (1-2eps)", _PAIRS, {"beta": 0.1, "label_smoothing": 0.1}),
    "ipo": Loss(ipo, "Identity Preference Optimization", "2310.12036", "(Delta - 1/(2 tau))^2", _PAIRS, {"tau": 0.1}),
    "hinge": Loss(hinge, "Hinge (RSO)", "2309.06657", "max(0, 1 - m)", _PAIRS, {"beta": 0.1}),
    "exo": Loss(exo, "Efficient Exact Optimization", "2402.00856", "KL((sigmoid(m), sigmoid(-m)) || (1-eps, eps))", _PAIRS,
                {"beta": 0.1, "label_smoothing": 1e-3}),
    "nca": Loss(nca, "Noise Contrastive Alignment", "2402.05369",
                "-log sigmoid(r_w) - 1/2 log sigmoid(-r_w) - 1/2 log sigmoid(-r_l)",
                _PAIRS, {"beta": 0.01}),
    "apo_zero": Loss(apo_zero, "Anchored PO, zero", "2408.06266", "1 - sigmoid(r_w) + sigmoid(r_l)", _PAIRS, {"beta": 0.1}),
    "apo_down": Loss(apo_down, "Anchored PO, down", "2408.06266", "sigmoid(r_w) + 1 - sigmoid(r_w - r_l)", _PAIRS, {"beta": 0.1}),
    "sppo": Loss(sppo, "Self-Play Preference Optimization", "2405.00675", "(rho_w - 1/(2 beta))^2 + (rho_l + 1/(2 beta))^2", _PAIRS,
                 {"beta": 1e-3}),
    "bco_pair": Loss(bco_pair, "Binary Classifier Optimization, pairs", "2404.04656",
                     "-log sigmoid(r_w - delta) - log sigmoid(delta - r_l)", _PAIRS, {"beta": 0.1}, ("reference", "delta")),
    "dno": Loss(dno, "Direct Nash Optimization", "2404.03715", "-p log sigmoid(m) - (1-p) log sigmoid(-m)", _PAIRS, {"beta": 0.1},
                ("reference", "win_probability")),
    "dpop": Loss(dpop, "DPO-Positive", "2402.13228", "-log sigmoid(beta (Delta - penalty max(0, -rho_w)))", _PAIRS,
                 {"beta": 0.3, "penalty": 50.0}),
    "r_dpo": Loss(r_dpo, "Length-regularised DPO", "2403.19159", "-log sigmoid(m + alpha (|y_w| - |y_l|))", _PAIRS,
                  {"beta": 0.1, "alpha": 0.01}, ("reference", "lengths")),
    "length_normalized_dpo": Loss(length_normalized_dpo, "Length-normalised DPO", "2411.15124",
                                  "-log sigmoid(beta (rho_w/|y_w| - rho_l/|y_l|))", _PAIRS, {"beta": 5.0},
                                  ("reference", "lengths")),
    "f_dpo": Loss(f_dpo, "f-DPO", "2309.16240", "-log sigmoid(beta f'(e^rho_w) - beta f'(e^rho_l))", _PAIRS,
                  {"beta": 0.1, "divergence": "reverse_kl", "alpha": 0.5}),
    "discopop": Loss(discopop, "DiscoPOP", "2406.08414", "(1-s) log(1 + e^-m) + s e^-m, s = sigmoid(m/tau)", _PAIRS,
                     {"beta": 0.05, "tau": 0.05}),
    "aot": Loss(aot, "Alignment via Optimal Transport", "2406.05882", "-log sigmoid(beta (sort(ell_w-ell_l) - sort(ref_w-ref_l)))",
                _PAIRS, {"beta": 0.01}),
    "simpo": Loss(simpo, "SimPO", "2405.14734", "-log sigmoid(beta (ell_w/|y_w| - ell_l/|y_l|) - gamma)", _PAIRS,
                  {"beta": 2.0, "gamma": 1.0}, ("lengths",)),
    "orpo": Loss(orpo, "ORPO", "2403.07691", "-ell_w/|y_w| - weight log sigmoid(log odds_w - log odds_l)", _PAIRS, {"weight": 0.1},
                 ("lengths",)),
    "cpo": Loss(cpo, "Contrastive Preference Optimization", "2401.08417", "-log sigmoid(beta (ell_w - ell_l)) - nll_weight ell_w",
                _PAIRS, {"beta": 0.1, "nll_weight": 0.0}, ()),
    "kto": Loss(kto, "Kahneman-Tversky Optimization", "2402.01306", "weight (1 - sigmoid(+-beta (rho - z_0)))", "labels",
                {"beta": 0.1, "desirable_weight": 1.0, "undesirable_weight": 1.0}, ("reference", "kl")),
    "bco": Loss(bco, "Binary Classifier Optimization", "2404.04656", "-log sigmoid(+-(r - delta))", "labels", {"beta": 0.1},
                ("reference", "delta")),
    "sft": Loss(nll, "Supervised fine-tuning", "2203.02155", "-log pi(y|x)", "texts", inputs=()),
}  # fmt: skip
