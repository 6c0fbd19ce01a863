"""Exercises 08.3 and 08.4: PPO without its KL term, and advantages without a value model."""

import torch

from ... import world
from .answers import Numbers
from .verdicts import Exercise, Verdict, misformed, right, unknown, wrong


# ---------------------------------------------------------------- 08.3: without the KL term
class NoKL(Exercise):
    """(first score, last score, true reward before, after) of the reader's own run."""

    own = (0.26, 1.59, -0.20, -0.43)

    def tried(self, attempt) -> Verdict:
        """Relations that hold on every machine; the figures themselves don't."""
        names = ("first score", "last score", "true before", "true after")
        told = Numbers(dict.fromkeys(names, 1.0)).read(attempt)
        return misformed(told) if isinstance(told, str) else judge_run(*told.values())


def judge_run(first: float, last: float, before: float, after: float) -> Verdict:
    """Whether the score has run ahead of the true reward, as it does without the KL."""
    start = world.REVIEWS.policy(world.prompts()[0]).mean_reward
    near = lambda a, b: abs(a - b) < 0.006
    if not near(before, start) and any(near(v, start) for v in (first, last, after)):
        return wrong("that order isn't (first score, last score, true before, true after).")
    if last > 2.5 or first > 2.5:
        return wrong("the learned score of a text doesn't go so high: is it the KL, or the thanks?")
    if last < first:
        return wrong("the score falls in yours: are the rows exchanged, or the sign?")
    if last - first < 0.7:
        return wrong("the score has hardly risen: is `kl_coef` 0, with eight iterations at 3e-3?")
    if abs(before - start) > 0.35:
        return wrong("`true before`: that isn't the reference's true reward.")
    if near(after, last):
        return wrong("`true after`: that is the score again; ask `world.reward`.")
    if after > start + 0.5:
        told = "is `kl_coef` 0, the rate 3e-3, and are there eight iterations of four epochs?"
        return wrong(f"the true reward has risen as well, so this run hasn't gone far: {told}")
    if after < -10 or first < -1.5:
        return unknown(f"a true reward of {after:.3g} after a score of {first:.3g} is odd.")
    return right("What PPO was told to raise has risen; what you meant has not.")


# ---------------------------------------------------------------- 08.4: no value model
def two_rows(function, first: dict, second: dict) -> list:
    """Mistakes in the first of two answers, in the second, in both."""
    of = lambda low, high: lambda *given: function(*given, low, high)
    both = "two things. First: {} Second: {}"
    return [
        *((why, of(slip, "")) for slip, why in first.items()),
        *((why, of("", slip)) for slip, why in second.items()),
        ("the two answers are exchanged.", lambda *given: function(*given).flip(0)),
        *((both.format(a, b), of(s, t)) for s, a in first.items() for t, b in second.items()),
    ]


def group_advantages(rewards, low: str = "", high: str = ""):
    """(2, P, K): RLOO's and GRPO's advantages of K texts for each of P prompts."""
    r = torch.as_tensor(rewards, dtype=torch.float64)
    k, mean, spread = r.shape[1], r.mean(1, keepdim=True), r.std(1, keepdim=True)
    others, least = (r.sum(1, keepdim=True) - r) / (k - 1), r.amin(1, keepdim=True)
    best = torch.stack([r[:, [j for j in range(k) if j != i]].amax(1) for i in range(k)], 1)
    apart = torch.stack([r[:, [j for j in range(k) if j != i]].std(1) for i in range(k)], 1)
    loo = {
        "all": r - mean,
        "by K": r - (r.sum(1, keepdim=True) - r) / k,
        "sum": r - others * (k - 1),
        "batch": r - (r.sum() - r) / (r.numel() - 1),
        "batch mean": r - r.mean(),
        "best": r - best,
        "divided": (r - others) / spread,
        "turned": others - r,
        "no own": others,
        "prompts": r - r.mean(0, keepdim=True),
        "times K": (r - mean) * k,
        "shrunk": (r - mean) * (k - 1) / k,
        "median": r - r.median(1, keepdim=True).values,
        "sign of best": r - r.amax(1, keepdim=True),
    }
    grpo = {
        "not divided": r - mean,
        "variance": (r - mean) / spread**2,
        "K": (r - mean) / r.std(1, keepdim=True, correction=0),
        "others": (r - others) / spread,
        "others' spread": (r - mean) / apart,
        "whole batch": (r - r.mean()) / r.std(),
        "batch spread": (r - mean) / r.std(),
        "not centred": r / spread,
        "by prompts": (r - r.mean(0)) / r.std(0),
        "by mean": (r - mean) / mean,
        "opposite": (mean - r) / spread,
        "times": (r - mean) * spread,
        "root K": (r - mean) / spread * k**0.5,
        "range": (r - least) / (r.amax(1, keepdim=True) - least),
        "median": (r - r.median(1, keepdim=True).values) / spread,
        "shares": r.softmax(1),
    }
    return torch.stack([loo.get(low, r - others), grpo.get(high, (r - mean) / spread)])


RLOO_SLIPS = {
    "all": "RLOO: the text itself is in its mean; the mean is of the other K - 1.",
    "by K": "RLOO: the others' sum is divided by K; they are K - 1.",
    "sum": "RLOO: the others' sum is taken off; it is their mean.",
    "batch": "RLOO: the others are those of the same prompt, not of the batch.",
    "batch mean": "RLOO: the mean is over the whole batch; it is over the prompt's other texts.",
    "best": "RLOO: the best of the others is taken off; it is their mean.",
    "divided": "RLOO: nothing is divided by a spread.",
    "turned": "RLOO: the sign is turned.",
    "no own": "RLOO: that is what is taken off; the text's own reward is left out.",
    "prompts": "RLOO: the mean runs over prompts; a group is a row.",
    "times K": "RLOO: a factor is off: the text's own part is 1, the others' -1 / (K - 1) each.",
    "shrunk": "RLOO: a factor is off: the text's own part is 1, the others' -1 / (K - 1) each.",
    "median": "RLOO: that is a median; asked is the mean of the others.",
    "sign of best": "RLOO: the best is taken off; it is the mean of the others.",
}
GRPO_SLIPS = {
    "not divided": "GRPO: the standard deviation is left out.",
    "variance": "GRPO: that divides by the variance.",
    "K": "GRPO: the spread divides by K; asked is the one over K - 1.",
    "others": "GRPO: the mean is of all K, the text itself too.",
    "others' spread": "GRPO: the spread is of all K, the text itself too.",
    "whole batch": "GRPO: mean and spread are the group's, not the batch's.",
    "batch spread": "GRPO: the spread is the group's, not the batch's.",
    "not centred": "GRPO: the mean is left out.",
    "by prompts": "GRPO: mean and spread run over prompts; a group is a row.",
    "by mean": "GRPO: that divides by the mean.",
    "opposite": "GRPO: the sign is turned.",
    "times": "GRPO: the spread multiplies; it divides.",
    "root K": "GRPO: that divides by the mean's standard error.",
    "range": "GRPO: that scales from lowest to highest; asked are mean and spread.",
    "median": "GRPO: that is a median; asked is the mean of all K.",
    "shares": "GRPO: that is a softmax; asked are mean and spread.",
}


def groups(seed: int, prompts: int, k: int) -> dict:
    """A case: rewards of k texts for each prompt."""
    rng = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=rng, dtype=torch.float64)
    return {"rewards": 2 * draw(prompts, 1) + (1 + draw(prompts, 1) ** 2) * draw(prompts, k)}
