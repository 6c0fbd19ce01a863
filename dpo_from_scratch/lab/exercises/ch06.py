"""Chapter 06: the training step, a loop of one's own, a pair's weight, parts, a moving reference.

`doctor.check` is the judge of a whole loop.
"""

import copy
import math

import numpy as np
import torch
from torch import nn

from ... import doctor, losses
from ...models import Scorer
from . import attempts, drift, loops, values
from .answers import Numbers, Own
from .ch06_parts import PARTS
from .ch06_step import dpo_step, judge_step
from .verdicts import UNTRIED, Verdict, misformed, right, unknown, wrong

BETA, LN2 = 0.6, math.log(2)
NAMED = ("score", "loss", "step")
STRICT = ("prompt_scored",)  # which cancels in DPO's loss, and is a note there


# ---------------------------------------------------------------- 06.1: a loop of one's own
def own_loop(model: nn.Module, slip: str = "") -> dict:
    """The functions of a DPO loop, with the policy that they train."""
    policy = copy.deepcopy(model).eval()
    optimizer = torch.optim.AdamW(policy.parameters(), lr=5e-4, weight_decay=0.0)

    def score(model, batch):
        return Scorer(model)(**batch).chunk(2)

    def loss(*logps):
        return losses.dpo(*logps, beta=BETA)

    def step(pairs):
        batch = loops.gather(pairs)
        with torch.no_grad():
            kept = score(model, batch)
        value = loss(*score(policy, batch), *kept).mean()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value.item()

    return {"policy": policy, "score": score, "loss": loss, "step": step}


def judge_loop(attempt) -> Verdict:
    """First the form, then what the doctor finds, then beta, and whether eight steps get on."""
    asked = "a function of (model) that returns the dictionary policy, score, loss, step"
    if not callable(attempt) or attempts.misfit(attempt, {"model": 0}):
        return misformed(f"{asked} is asked.")
    reference = copy.deepcopy(loops.small())
    out = loops.carefully(attempt, lambda: attempt(reference))
    parts = out.value
    if out.trouble or not isinstance(parts, dict):
        return misformed(out.trouble or f"{asked} is asked; yours returns {values.show(parts)}.")
    if missing := [n for n in ("policy", *NAMED) if n not in parts]:
        return misformed(f"the dictionary has no {', '.join(missing)}.")
    empty = [name for name in NAMED if attempts.blank(parts[name]) or parts[name] is None]
    if len(empty) == 3:
        return Verdict("untried", UNTRIED)
    if "score" in empty:
        return misformed("`score` is still empty, and the others need it.")
    said = _examined(attempt, parts, reference, empty)
    if said or not empty:
        return said or right(
            "The doctor finds nothing wrong in it: this is a DPO trainer, and it is yours."
        )
    return misformed(f"so far nothing is wrong; still empty: {', '.join(empty)}.")


def _examined(attempt, parts: dict, reference: nn.Module, empty: list[str]) -> Verdict | None:
    """What the doctor says, then what the exercise asks beside it."""
    given = {name: parts[name] for name in NAMED if name not in empty}
    ask = lambda: doctor.check(
        collate=loops.gather, policy=parts["policy"], reference=reference,
        pairs=loops.rows(4), steps=3, tokenizer=loops.tiny()[1], **given,
    )  # fmt: skip
    out = loops.carefully(attempt, ask)
    if out.trouble:
        return misformed(out.trouble.rstrip(".") + ".")
    if problems := [f for f in out.value if f.level == "problem" or f.code in STRICT]:
        return wrong(" ".join(f"the doctor finds `{f.code}`: {f.seen}." for f in problems[:2]))
    if "loss" in given and (said := _beta(parts["loss"])):
        return said
    if "step" not in given:
        return None
    out = loops.carefully(attempt, lambda: drift.trained(attempt))
    return misformed(out.trouble) if out.trouble else drift.speed(*out.value)


def _beta(loss) -> Verdict | None:
    """Whether the loss is DPO's with the beta that was asked for."""
    four = torch.tensor([[-3.0, -9.0], [-4.5, -6.0], [-3.5, -8.0], [-4.0, -6.5]])
    told = values.numbers(loss(*four))
    gives = lambda other: (
        told is not None
        and any(values.same(told, v) for v in (other, other.mean()) if np.size(told) == v.numel())
    )
    if gives(losses.dpo(*four, beta=BETA)):
        return None
    for beta in np.linspace(0.01, 5, 500).round(3):
        if gives(losses.dpo(*four, beta=float(beta))):
            return wrong(f"your loss is DPO's with a β of {beta:g}; asked: {BETA}.")
    margin = BETA * (four[0] - four[1] - four[2] + four[3])
    known = {
        "`loss` leaves the reference out.": losses.dpo(*four[:2], *four[:2] * 0, beta=BETA),
        "`loss` gives the sum over the pairs; asked is a loss for each.": losses.dpo(
            *four, beta=BETA
        ).sum(),
        "`loss` has no log-sigmoid: that is minus the margin.": -margin,
        "that is a hinge loss; asked is DPO's.": losses.hinge(*four, beta=BETA),
        "that is a square, as IPO's; asked is DPO's.": (margin - 1) ** 2,
    }
    for why, other in known.items():
        if gives(other):
            return wrong(why)
    return unknown(f"`loss` isn't DPO's with β = {BETA}, though it falls as the chosen text gains.")


# ---------------------------------------------------------------- 06.2: the weight of a pair
MARGINS = {"at the start": 0.0, "right by 4": 4.0, "wrong by 4": -4.0}


def _sigma(m: float) -> float:
    return 1 / (1 + math.exp(-m))


def _share() -> float:
    """What makes the three of σ sum to one."""
    return 1 / sum(_sigma(-m) for m in MARGINS.values())


def weights(of=lambda m: BETA * _sigma(-m)) -> dict[str, float]:
    """The weight in the gradient at each margin, or another number."""
    return {name: of(m) for name, m in MARGINS.items()}


WEIGHT_SLIPS = [
    (lambda m: _sigma(-m), "β is left out."),
    (lambda m: BETA * _sigma(m), "σ gets the margin itself: look which reward comes first in it."),
    (lambda m: _sigma(m), "σ gets the margin itself, and β is left out."),
    (lambda m: BETA * _sigma(-BETA * m), "the margin is in units of reward: β is in it already."),
    (lambda m: BETA * BETA * _sigma(-m), "β goes in twice."),
    (lambda m: math.log1p(math.exp(-m)), "that is the loss; asked is the weight of its gradient."),
    (
        lambda m: BETA * math.log1p(math.exp(-m)),
        "that is β times the loss; asked is the weight of its gradient.",
    ),
    (lambda m: BETA * _sigma(m) * _sigma(-m), "that is β times the slope of σ; asked is σ."),
    (lambda m: _sigma(m) * _sigma(-m), "that is the slope of σ; asked is β times σ."),
    (lambda m: BETA * math.exp(-m), "that is β times an exponential: σ has a 1 + in it."),
    (lambda m: 1 - BETA * _sigma(m), "one minus β times a probability; β stands before all of it."),
    (lambda m: 1 - BETA * _sigma(-m), "that is one minus the weight."),
    (lambda m: round(BETA * _sigma(-m), 2), "rounded to two decimals; three digits are asked."),
    (lambda m: -BETA * m, "σ is left out."),
    (lambda m: BETA * m, "σ is left out."),
    (lambda m: _sigma(-m) / BETA, "divided by β; the weight is β times σ."),
    (
        lambda m: BETA * _sigma(-m / BETA),
        "either the margin is divided by β inside σ, or σ is rounded: it is never quite 0 or 1.",
    ),
    (lambda m: _sigma(-m / BETA), "the margin is divided by β, and β in front is left out."),
    (lambda m: _sigma(-BETA * m), "β multiplies the margin inside σ; it belongs in front."),
    (lambda m: BETA * _sigma(BETA * m), "σ gets the margin itself, and β goes in there once more."),
    (lambda m: math.log1p(math.exp(-BETA * m)), "that is a loss; asked is the gradient's weight."),
    (lambda m: math.exp(-m), "that is an exponential: σ has a 1 + in it, and β stands in front."),
    (lambda m: BETA * _sigma(-m) ** 2, "σ goes in twice."),
    (lambda m: -_sigma(-m), "a weight is positive, and β is left out."),
    (lambda m: 0.1 * _sigma(-m), "that is for a β of 0.1; asked: 0.6."),
    (lambda m: 0.5 * _sigma(-m), "that is for a β of 0.5; asked: 0.6."),
    (lambda m: BETA * _sigma(-m) / 2, "that is half the weight."),
    (lambda m: 2 * BETA * _sigma(-m), "that is twice the weight: it is the same for both texts."),
    (lambda m: 2 * _sigma(-m), "that is the weight over that at the start; asked is itself."),
    (lambda m: BETA * math.tanh(-m), "tanh stands in place of σ."),
    (lambda m: math.log(BETA * _sigma(-m)), "that is the logarithm of the weight."),
    (lambda m: BETA if m <= 0 else 0.0, "that is a hinge's weight, all or nothing; σ is smooth."),
    (lambda m: BETA if m < 0 else 0.0, "all or nothing, as if σ were a step; it is smooth."),
    (lambda m: BETA * m * _sigma(-m), "the margin is multiplied on; the weight is β times σ."),
    (lambda m: BETA - m, "the margin is taken off β; σ is left out."),
    (
        lambda m: _sigma(-m) * _share(),
        "that is each one's share of all three; asked is the weight.",
    ),
    (lambda m: -BETA * _sigma(-m), "a weight is positive; the gradient's minus isn't in it."),
]


def weight_wrongs(answer: dict) -> list:
    """Known mistakes, in all three numbers, then in one."""
    names = tuple(answer)
    told = [(names, list(weights(f).values()), why) for f, why in WEIGHT_SLIPS]
    told += [(names[1:], list(weights(f).values())[1:], why) for f, why in WEIGHT_SLIPS]
    return [
        (
            names,
            (BETA / 2, 0.0, BETA),
            "either the margin is divided by β inside σ, or σ is rounded:"
            " it is never quite 0 or 1.",
        ),
        *told,
        (names[0], 0.0, "at the start both rewards are 0, but σ(0) isn't."),
        (names[0], BETA, "σ(0) isn't 1."),
        (names[0], 0.5, "at the start: β is left out."),
        (
            names[0],
            LN2,
            "at the start: is that log 2, the loss? Asked is the weight of its gradient.",
        ),
        (names[1], 0.01, "`right by 4`: rounded to one digit; three are asked."),
        (names[2], 4 * BETA, "`wrong by 4`: that is β times the margin, without σ."),
        (names, (BETA / 2,) * 3, "that is the weight at the start, for all three."),
        (names[1:], (0.0, BETA), "σ(4) isn't quite 1, and σ(−4) isn't quite 0."),
        (names[1], 0.0, "`right by 4`: little is left, but more than nothing."),
        (names[2], BETA, "`wrong by 4`: that is nearly all of β; σ(4) isn't quite 1."),
        (names[1], BETA * _sigma(4), "`right by 4`: look which reward comes first in σ."),
        (names[2], BETA * _sigma(-4), "`wrong by 4`: look which reward comes first in σ."),
        (names[2], -BETA * _sigma(-4), "a pair that is wrong has a large weight, not a minus."),
    ]


EXERCISES = {
    "06.0": Own(judge_step, own=dpo_step),
    "06.1": Own(judge_loop, own=own_loop),
    "06.2": Numbers(
        weights(),
        weight_wrongs,
        "Late in training the pull comes from pairs that are wrong or undecided.",
        rtol=0.01,
        atol=3e-4,
    ),
    "06.3": PARTS,
    "06.4": drift.Moving(),
}
