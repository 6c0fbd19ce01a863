"""Figures of paired steps: how many times as long one side takes as another, with an interval."""

import math
from collections.abc import Sequence

from dpo_from_scratch.lab.evaluation import mean_and_half_width


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> dict[str, float]:
    """Geometric mean of the ratios of paired steps, with its 95 % interval.

    A t-interval of the logarithms: a ratio of 2 and one of 1/2 cancel.
    """
    logs = [math.log(a / b) for a, b in zip(theirs, ours, strict=True)]
    mean, half = mean_and_half_width(logs)
    low, high = mean - half, mean + half
    return {"ratio": math.exp(mean), "low": math.exp(low), "high": math.exp(high)}


def losses_agree(losses: dict[str, list[float]], precision: str, steps: int = 3) -> float:
    """The largest difference between the sides' first losses.

    ValueError if it is more than rounding explains: 1e-4 in float32, 5e-2 in bf16.
    """
    firsts = list(zip(*(found[:steps] for found in losses.values()), strict=True))
    worst = max(max(step) - min(step) for step in firsts)
    most = {"no": 1e-4, "bf16": 5e-2}[precision]
    if not all(map(math.isfinite, sum(firsts, ()))) or worst > most:
        raise ValueError(f"the sides do not compute the same: {losses}")
    return worst
