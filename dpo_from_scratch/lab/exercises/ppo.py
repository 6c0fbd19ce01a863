"""Exercises 08.3 and 08.4: PPO without its KL term, and advantages without a value model."""

import torch

from ... import world
from . import values
from .answers import Numbers
from .slips import ratio
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


MOST, LEAST = 6.0, -30.0  # beyond what a mean true reward of 240 texts can be


def judge_run(first: float, last: float, before: float, after: float) -> Verdict:
    """Whether the score has run ahead of the true reward, as it does without the KL."""
    start = world.REVIEWS.policy(world.prompts()[0]).mean_reward
    near = lambda a, b: abs(a - b) < 0.006
    if near(first, start) and near(before, start) and near(last, after):
        return wrong("first and last score: those are the true rewards again.")
    if not near(before, start) and any(near(v, start) for v in (first, last, after)):
        return wrong("that order isn't (first score, last score, true before, true after).")
    if last > 2.5 or first > 2.5:
        return wrong("the learned score of a text doesn't go so high: is it the KL, or the thanks?")
    if last < first:
        return wrong("the score falls in yours: are the rows exchanged, or the sign?")
    if abs(first) < 1e-9:
        return wrong("`first score`: 0 is what the first row has for a KL; its `score` is asked.")
    if last - first < 0.7:
        return wrong("the score has hardly risen: is `kl_coef` 0, with eight iterations at 3e-3?")
    if abs(before - start) > 0.35:
        return wrong("`true before`: that isn't the reference's true reward.")
    if near(after, last):
        return wrong("`true after` equals the last score: is it that again? Ask `world.reward`.")
    if after > MOST:
        return wrong("`true after`: no mean reward of texts goes so high: is it the KL, or a sum?")
    if LEAST > after > 240 * LEAST and LEAST < after / 240 < start:
        return wrong("`true after`: no mean reward of texts is so low: is it a sum over them?")
    if before == after and after != round(after, 2):
        return wrong("`true after` is `true before` again: has your policy sampled?")
    if after > start + 0.5:
        told = "is `kl_coef` 0, the rate 3e-3, and are there eight iterations of four epochs?"
        return wrong(f"the true reward has risen as well, and in this run it doesn't: {told}")
    if after < -10 or first < -1.5:
        return unknown(f"a true reward of {after:.3g} after a score of {first:.3g} is odd.")
    return right("What PPO was told to raise has risen; what you meant has not.")


# ---------------------------------------------------------------- 08.4: no value model
def two_rows(function, first: dict, second: dict) -> list:
    """Mistakes in the first of two answers, in the second, and the two exchanged."""
    of = lambda low, high: lambda *given: function(*given, low, high)
    return [
        *((why, of(slip, "")) for slip, why in first.items()),
        *((why, of("", slip)) for slip, why in second.items()),
        ("the two answers are exchanged.", lambda *given: function(*given).flip(0)),
    ]


def row_by_row(function, first: dict, second: dict, names: tuple[str, str]):
    """A trait: each of two answers is looked at by itself, so that mistakes in both are found."""

    def named(row: int, gave: list, cases: list) -> str:
        """The mistake in this row, or ""."""
        for slip, why in ((first, second)[row]).items():
            tried = [function(*c.values(), *((slip, ""), ("", slip))[row])[row] for c in cases]
            if all(values.same(g, t, 2e-3, 1e-4) for g, t in zip(gave, tried, strict=True)):
                return why
        rights = [function(*c.values())[row] for c in cases]
        found = [ratio(g, a) for g, a in zip(gave, rights, strict=True)]
        if None not in found and max(found) - min(found) < 2e-3 * abs(found[0]):
            return f"{names[row]}: yours is {found[0]:.3g} times the right value."
        return ""

    def trait(ask, cases) -> str:
        gave, told = [values.numbers(ask(case)) for case in cases], []
        for row in (0, 1):
            mine = [g[row] for g in gave]
            rights = [function(*c.values())[row] for c in cases]
            if not all(values.same(g, a, 2e-3, 1e-4) for g, a in zip(mine, rights, strict=True)):
                told.append(named(row, mine, cases))
        if all(told):
            return told[0] if len(told) == 1 else "two things. First: {} Second: {}".format(*told)
        rest = " (The other of the two isn't right either.)"
        return max(told) + rest if any(told) else ""

    return trait


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
        "columns": r - (r.sum(0) - r) / max(len(r) - 1, 1),
        "own stays": r - r.sum(1, keepdim=True) / (k - 1),
        "batch over all": r - (r.sum() - r) / r.numel(),
        "least": r - least,
        "first": r - r[:, :1],
        "previous": r - r.roll(1, 1),
        "next": r - r.roll(-1, 1),
        "as it is": r,
        "quotient": r / others,
        "mean less own": r - (mean - r / (k - 1)),
        "mean less r": r - (mean - r) / (k - 1),
        "precedence": r - r.sum(1, keepdim=True) - r / (k - 1),
        "square": (r - others) ** 2,
        "size": (r - others).abs(),
        "shares": r.softmax(1),
        "ranks": r.argsort(1).argsort(1).to(r.dtype),
        "grpo": (r - mean) / spread,
        "by others": (r - others) / apart,
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
        "from best": (r - r.amax(1, keepdim=True)) / spread,
        "by range": (r - mean) / (r.amax(1, keepdim=True) - least),
        "absolute": (r - mean) / (r - mean).abs().mean(1, keepdim=True),
        "sizes": (r - mean) / (r - mean).abs().sum(1, keepdim=True),
        "one more": (r - mean) / (spread + 1),
        "a tenth more": (r - mean) / (spread + 0.1),
        "a hundredth more": (r - mean) / (spread + 0.01),
        "sign": (r - mean).sign(),
        "others, K": (r - others) / r.std(1, keepdim=True, correction=0),
        "others, others": (r - others) / apart,
        "length": (r - mean) / (r - mean).norm(dim=1, keepdim=True),
        "length of r": r / r.norm(dim=1, keepdim=True),
        "batch mean": (r - r.mean()) / spread,
        "variance, K": (r - mean) / r.var(1, keepdim=True, correction=0),
        "batch, K": (r - r.mean()) / r.std(correction=0),
        "prompts, K": (r - r.mean(0)) / r.std(0, correction=0),
        "loo": r - others,
        "as it is": r,
        "ranks": r.argsort(1).argsort(1).to(r.dtype),
        "by K": (r - mean) / spread / k,
        "precedence": r - mean / spread,
        "precedence, other": r / spread - mean,
        "taken off": r - mean - spread,
        "quotient": r / mean,
        "size": ((r - mean) / spread).abs(),
        "cut": ((r - mean) / spread).clamp(-1, 1),
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
    "columns": "RLOO: the others are those of another prompt; a group is a row.",
    "own stays": "RLOO: the text itself is still in the sum that is divided by K - 1.",
    "batch over all": "RLOO: the others are those of the same prompt, K - 1, not of the batch.",
    "least": "RLOO: the lowest is taken off; it is the mean of the others.",
    "first": "RLOO: the group's first is taken off; it is the mean of the others.",
    "previous": "RLOO: one other text is taken off; it is the mean of all others.",
    "next": "RLOO: one other text is taken off; it is the mean of all others.",
    "as it is": "RLOO: nothing is taken off.",
    "quotient": "RLOO: that divides by the others' mean; it is taken off.",
    "mean less own": "RLOO: the mean of all K less a part of the text isn't the others' mean.",
    "mean less r": "RLOO: the text is taken off the mean of all K; it goes off their sum.",
    "precedence": "RLOO: a bracket is missing: sum less own, both over K - 1.",
    "square": "RLOO: that is the square.",
    "size": "RLOO: the sign is lost.",
    "shares": "RLOO: that is a softmax; asked is the reward less the others' mean.",
    "ranks": "RLOO: those are ranks; asked is the reward less the others' mean.",
    "grpo": "RLOO: that is GRPO's again.",
    "by others": "RLOO: nothing is divided by a spread.",
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
    "from best": "GRPO: the best is taken off; it is the mean of all K.",
    "by range": "GRPO: that divides by highest less lowest; it is the standard deviation.",
    "absolute": "GRPO: that divides by the mean distance; it is the standard deviation.",
    "sizes": "GRPO: that divides by a sum of distances; it is the standard deviation.",
    "one more": "GRPO: 1 is added to the spread; a guard against 0 must be far smaller.",
    "a tenth more": "GRPO: 0.1 is added to the spread; a guard against 0 must be far smaller.",
    "a hundredth more": "GRPO: 0.01 is added to the spread; a guard must be far smaller.",
    "sign": "GRPO: only the sign is left; the spread divides.",
    "others, K": "GRPO: mean and spread are of all K, and the spread is the one over K - 1.",
    "others, others": "GRPO: mean and spread are of all K, the text itself too.",
    "length": "GRPO: the root of a sum of squares divides; a spread has K - 1 below it.",
    "length of r": "GRPO: the mean is left out, and a length divides; asked is the spread.",
    "batch mean": "GRPO: the mean is the group's, not the batch's.",
    "variance, K": "GRPO: that divides by the variance, the one over K.",
    "batch, K": "GRPO: mean and spread are the group's, not the batch's.",
    "prompts, K": "GRPO: mean and spread run over prompts; a group is a row.",
    "loo": "GRPO: that is RLOO's again.",
    "as it is": "GRPO: those are the rewards as they came.",
    "ranks": "GRPO: those are ranks; asked are mean and spread.",
    "by K": "GRPO: it is divided by K, too.",
    "precedence": "GRPO: a bracket is missing: the reward is divided by the spread, too.",
    "precedence, other": "GRPO: a bracket is missing: the mean is divided by the spread, too.",
    "taken off": "GRPO: the spread is taken off; it divides.",
    "quotient": "GRPO: that divides by the mean.",
    "size": "GRPO: the sign is lost.",
    "cut": "GRPO: it is cut at -1 and 1.",
}


def groups(seed: int, prompts: int, k: int) -> dict:
    """A case: rewards of k texts for each prompt."""
    rng = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=rng, dtype=torch.float64)
    return {"rewards": 2 * draw(prompts, 1) + (1 + draw(prompts, 1) ** 2) * draw(prompts, k)}
