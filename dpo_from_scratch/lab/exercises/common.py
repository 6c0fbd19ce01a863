"""Slips that any number, any argument and any result can suffer, and how each is said."""

import math
from collections.abc import Callable

import numpy as np
import torch

from . import values

OF_A_NUMBER: tuple[tuple[Callable[[float], float], str], ...] = (
    (lambda v: -v, "the size is right, and the sign is turned round."),
    (lambda v: 100 * v, "that is in per cent; a share is asked."),
    (lambda v: v / 100, "that is a hundredth: is it in per cent?"),
    (lambda v: 1 / v, "that is one over the right number."),
    (
        lambda v: 1 - v if 0 < v < 1 else math.nan,
        "that is one minus the right number: the other side's share.",
    ),
    (lambda v: v / math.log(2), "that is in bits: a logarithm to base 2; ours are natural."),
    (lambda v: v / math.log(10), "that has a logarithm to base 10; ours are natural."),
    (lambda v: 2 * v, "that is twice the right number."),
    (lambda v: v / 2, "that is half the right number."),
    (
        lambda v: math.exp(v) if v < 300 else math.inf,
        "that is e to the right number: one `exp` too many, or a `log` is missing.",
    ),
    (lambda v: math.log(v) if v > 0 else math.nan, "that is the logarithm of the right number."),
    (lambda v: v * v, "that is the square of the right number."),
    (lambda v: math.sqrt(v) if v > 0 else math.nan, "that is the root of the right number."),
    (lambda v: 10 * v, "that is ten times the right number."),
    (lambda v: v / 10, "that is a tenth of the right number."),
    (lambda v: v + 1, "that is one more than the right number."),
    (lambda v: v - 1, "that is one less than the right number."),
)
# slips that are likely before any number is seen; the others need more than two digits to be named
PLAIN = {why for change, why in OF_A_NUMBER if change(3.0) in (-3.0, 6.0, 1.5)}


def like(value, changed: np.ndarray):
    """Numbers in the type of an argument: tensor, array or float."""
    if isinstance(value, torch.Tensor):
        return torch.as_tensor(np.ascontiguousarray(changed)).to(value.dtype)
    if isinstance(value, np.ndarray):
        return changed.astype(value.dtype)
    return changed.tolist() if changed.ndim else float(changed)


def _through(change: Callable[[np.ndarray], np.ndarray]) -> Callable:
    return lambda value: like(value, np.asarray(change(values.numbers(value))))


def _needs_axis(change: Callable[[np.ndarray], np.ndarray]) -> Callable:
    def safe(v: np.ndarray) -> np.ndarray:
        if not v.ndim or v.shape[-1] < 2:
            raise ValueError("a single number has no order")
        return change(v)

    return safe


OF_AN_ARGUMENT: tuple[tuple[Callable, str], ...] = (
    (_through(lambda v: -v), "`{}` goes in with the wrong sign."),
    (_through(lambda v: 0 * v), "`{}` is left out."),
    (_through(lambda v: 0 * v + 1), "`{}` is left out (as if it were 1)."),
    (_through(lambda v: v * v), "`{}` goes in twice (squared)."),
    (_through(lambda v: 1 / v), "1 / `{0}` stands in place of `{0}`."),
    (_through(lambda v: 2 * v), "`{}` goes in doubled."),
    (_through(lambda v: v / 2), "`{}` goes in halved."),
    (_through(np.exp), "e to the `{0}` stands in place of `{0}`."),
    (_through(np.log), "the logarithm of `{0}` stands in place of `{0}`."),
    (_through(_needs_axis(lambda v: np.flip(v, -1))), "`{}` is read backwards."),
    (_through(_needs_axis(lambda v: np.roll(v, 1, -1))), "`{}` is shifted by one place."),
    (_through(_needs_axis(lambda v: np.roll(v, -1, -1))), "`{}` is shifted by one place."),
    (_through(_needs_axis(lambda v: np.cumsum(v, -1))), "`{}` is added up along the way."),
    (_through(_needs_axis(lambda v: v - v.mean(-1, keepdims=True))), "`{}` loses its mean."),
)  # fmt: skip
OF_A_RESULT: tuple[tuple[Callable[[np.ndarray], np.ndarray], str], ...] = (
    (lambda v: -v, "the sign is turned."),
    (lambda v: np.exp(v), "yours is e to the right value: a `log` is missing."),
    (lambda v: np.log(v), "yours is the logarithm of the right value."),
    (lambda v: np.exp(-v), "yours is e to minus the right value: a `-log` is missing."),
    (lambda v: -np.log(v), "yours is minus the logarithm of the right value."),
    (lambda v: 1 - v, "yours is one minus the right value: the other side."),
    (lambda v: 1 / v, "yours is one over the right value."),
    (lambda v: v * v, "yours is the square of the right value."),
    (lambda v: np.sqrt(v), "yours is the root of the right value."),
    (lambda v: abs(v), "yours has lost its sign."),
    (lambda v: np.maximum(v, 0), "negative values have become 0."),
    (_needs_axis(lambda v: np.flip(v, -1)), "the right values, in the opposite order."),
    (_needs_axis(lambda v: np.roll(v, 1, -1)), "the right values, one place too late."),
    (_needs_axis(lambda v: np.roll(v, -1, -1)), "the right values, one place too early."),
    (_needs_axis(lambda v: np.cumsum(v, -1)), "yours is added up along the way."),
    (_needs_axis(lambda v: v / v.sum(-1, keepdims=True)), "yours is divided by its sum."),
    (_needs_axis(lambda v: v - v.mean(-1, keepdims=True)), "yours has its mean taken off."),
    (_needs_axis(lambda v: 0 * v + v.mean(-1, keepdims=True)), "all places hold the mean."),
)  # fmt: skip
