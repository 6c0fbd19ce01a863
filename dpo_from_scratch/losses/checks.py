"""What every loss asks of its arguments; each mistake is a ValueError in one sentence."""

import math

from torch import Tensor


def same_shape(*tensors: Tensor) -> None:
    """All of one shape (B,)."""
    if any(t.dim() != 1 or t.shape != tensors[0].shape for t in tensors):
        shapes = [tuple(t.shape) for t in tensors]
        raise ValueError(f"log-probabilities must share one shape (B,), got {shapes}")


def positive(**options: float) -> None:
    """Above 0, and finite."""
    for name, value in options.items():
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be positive, not {value}")


def not_negative(**options: float) -> None:
    """0 or more, and finite."""
    for name, value in options.items():
        if not (value >= 0 and math.isfinite(value)):
            raise ValueError(f"{name} must not be negative, not {value}")


def smoothing(label_smoothing: float) -> None:
    """A share of wrong labels that leaves the others in the majority."""
    if not 0 <= label_smoothing < 0.5:
        raise ValueError(f"label_smoothing must be at least 0 and below 0.5, not {label_smoothing}")


def some(condition: Tensor) -> bool:
    """Whether a condition holds anywhere; on torch's meta device, which holds no numbers, no."""
    return not condition.is_meta and bool(condition.any())


def log_ratios(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
) -> tuple[Tensor, Tensor]:
    """rho_w and rho_l, each (B,): policy less reference."""
    same_shape(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps)
    return chosen_logps - ref_chosen_logps, rejected_logps - ref_rejected_logps


def per_token(logps: Tensor, lengths: Tensor | None) -> Tensor:
    """Means over the tokens of each response, (B,)."""
    if lengths is None:
        what = "the tokens of each response, end-of-text included"
        raise ValueError(f"chosen_lengths and rejected_lengths are needed: {what}")
    same_shape(logps, lengths)
    if some(lengths < 1):
        raise ValueError("a response has at least one token: lengths must be 1 or more")
    return logps / lengths
