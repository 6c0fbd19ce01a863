"""Preference losses: pure functions of log-probabilities, (B,) in and (B,) out, unreduced, differentiable.

Notation: ell_w, ell_l are the policy's log-probabilities of the chosen and the rejected response, rho = ell - ell_ref the
log-ratio (no beta), Delta = rho_w - rho_l, and beta * rho the implicit reward.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor
from torch.nn.functional import logsigmoid


def _same_shape(*tensors: Tensor) -> None:
    if any(t.dim() != 1 or t.shape != tensors[0].shape for t in tensors):
        raise ValueError(f"log-probabilities must share one shape (B,), got {[tuple(t.shape) for t in tensors]}")


def dpo(
    chosen_logps: Tensor, rejected_logps: Tensor, ref_chosen_logps: Tensor, ref_rejected_logps: Tensor, *, beta: float = 0.1
) -> Tensor:
    """-log sigmoid(beta * Delta): arXiv 2305.18290, eq. 7.

    Four log-probabilities of shape (B,), nats per response; returns (B,). ln 2 where policy and reference agree.
    ValueError for shapes that differ or beta <= 0 (beta = 0 has no gradient).
    """
    _same_shape(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps)
    if not beta > 0:
        raise ValueError(f"beta must be positive, not {beta}")
    chosen_log_ratio = chosen_logps - ref_chosen_logps
    rejected_log_ratio = rejected_logps - ref_rejected_logps
    return -logsigmoid(beta * (chosen_log_ratio - rejected_log_ratio))


def nll(logps: Tensor) -> Tensor:
    """-log pi(y|x), shape (B,): supervised fine-tuning, in nats per response (a sum over tokens, not a mean)."""
    _same_shape(logps)
    return -logps


@dataclass(frozen=True)
class Loss:
    """A row of the registry: what a loss is called, where it comes from, and what a trainer must hand it."""

    fn: Callable[..., Tensor]
    title: str
    paper: str  # arXiv id
    equation: str
    needs: str  # "pairs", "labels" or "texts"
    defaults: dict = field(default_factory=dict)
    inputs: tuple[str, ...] = ("reference",)


LOSSES: dict[str, Loss] = {
    "dpo": Loss(dpo, "Direct Preference Optimization", "2305.18290", "-log sigmoid(beta * Delta)", "pairs", {"beta": 0.1}),
    "sft": Loss(nll, "Supervised fine-tuning", "2203.02155", "-log pi(y|x)", "texts", inputs=()),
}
