"""Exercise 18.3's second number: the lead that is seen if runs break, and others."""

import math
from functools import cache

import numpy as np
from scipy.stats import ttest_1samp

from ..comparisons import smallest_seen
from .ch18_others import CHANCE, DEVIATION, LEVEL, LOSS, LUCK, SEEDS

LEADS = np.linspace(0.05, 1.0, 39)


@cache
def found_at(level=LEVEL) -> np.ndarray:
    """The share of cases in which a paired t-test finds each of the leads, if runs break."""
    rng, shape = np.random.default_rng(0), (2, 6000, SEEDS)
    runs = rng.normal(0, LUCK, shape) - LOSS * (rng.random(shape) < CHANCE)
    d = runs[0] - runs[1]
    return np.array([np.mean(ttest_1samp(d + lead, 0, axis=1).pvalue < level) for lead in LEADS])


def lead_seen(power=0.8, level=LEVEL) -> float:
    """The lead that a paired t-test finds with this power, if runs break."""
    return float(np.interp(power, found_at(level), LEADS))


def wrong_leads() -> list[tuple[float, str]]:
    """Each with what it is."""
    return [
        (smallest_seen(math.sqrt(2) * LUCK, SEEDS, LEVEL), "that is without broken runs."),
        (lead_seen(level=0.05), "that is found at 0.05; asked is 0.05/4."),
        (lead_seen(power=0.5), "that is found in half of the cases; asked is four of five."),
        (smallest_seen(DEVIATION, 5, LEVEL), "that is for five seeds; asked is fifteen."),
        (smallest_seen(DEVIATION / math.sqrt(2), SEEDS, LEVEL), "that is with one run's deviation; "
         "a difference has the luck of two."),
        (lead_seen(power=0.9), "that is found in nine of ten; asked is four of five."),
        (lead_seen(level=0.05 / 23), "that is found at 0.05/23; asked is 0.05/4."),
        (CHANCE * LOSS, "that is the mean loss of a run; asked is a lead."),
    ]  # fmt: skip


def of_the_lead(lead: float) -> str:
    """How often this lead is found, and what gives such a one: all that do, or none."""
    if lead <= 0:
        return "it is above 0."
    how_often = float(np.interp(lead, LEADS, found_at()))
    fact = f"a t-test of fifteen pairs finds yours in about {how_often:.0%} of the cases."
    told = [
        why.split(";")[0].rstrip(".") for value, why in wrong_leads() if abs(lead - value) <= 0.015
    ]
    if not told and 0.42 < lead < 0.45:
        told = ["that is what sign flips find"]
    either = "either " * (len(told) > 1)
    return f"{fact} (Perhaps {either}{', or '.join(told)}?)" if told else fact
