"""06.0: a reader's training step, compared with the right one and with each known mistake.

The losses that it returns tell which loss it is; the moves of the weights, which step.
"""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn

from . import attempts, values
from .ch06_loss import LOSS_SLIPS, pair_losses
from .loops import batch_of, carefully, flat, moved
from .verdicts import Verdict, misformed, right, unknown, wrong

CLIP = 1.0
WHOLE = {  # the loss of the batch
    "sum": "the loss is the sum over the pairs; asked is the mean.",
    "half": "the loss is divided by the number of texts, or halved; it is a mean over pairs.",
    "twice": "the loss is twice the mean of the pairs' losses.",
    "a token": "the losses are divided by the number of scored tokens; it is a mean over pairs.",
    "first pair": "only the first pair is in the loss; it is a mean over all.",
    "last pair": "only the last pair is in the loss; it is a mean over all.",
    "32": "the sum is divided by 32, whatever the number of pairs.",
    "one less": "the sum is divided by N - 1; a mean over N pairs divides by N.",
}
TOLD = {  # the step is right
    "after": "the loss is that after the step; asked is the one that the gradient came from.",
    "margin": "what is returned is the mean margin; asked is the loss.",
    "told sum": "the step takes the mean; what is returned is the sum over the pairs.",
    "told half": "the step is right; what is returned is half the loss.",
    "told minus": "the step is right; what is returned is minus the loss.",
    "told order": "what is returned is the share of pairs in the right order; asked is the loss.",
    "told chance": "what is returned is the mean probability of the labels; asked is the loss.",
    "told length": "what is returned is the length of the gradient; asked is the loss.",
    "told first": "what is returned is the first pair's loss; asked is the mean.",
    "told last": "what is returned is the last pair's loss; asked is the mean.",
    "told rate": "what is returned is the loss times the rate; asked is the loss.",
}
STEPS = {  # what is done with the gradient
    "sum inside": "`backward` starts at the sum over the pairs; asked is the mean.",
    "back twice": "the gradient is there twice: is `backward` called twice?",
    "beta outside": "the gradient has β once more.",
    "back half": "the gradient is halved.",
    "not clipped": "the gradient isn't clipped before the step.",
    "clip 10": "the gradient is clipped at 10; asked: 1.",
    "by value": "each weight's gradient is clipped; asked is the length of the whole gradient.",
    "by tensor": "each weight tensor's gradient is clipped by itself; asked is the length of all.",
    "by largest": "the largest entry is clipped, not the length: that is another norm.",
    "by sizes": "the sum of all sizes is clipped, not the length: that is another norm.",
    "to length": "the gradient gets length 1 always; clipping leaves a shorter one alone.",
    "rate kept": "`rate` isn't used: the optimizer keeps its own learning rate.",
    "rate late": "`rate` is set after the step, so it comes one step too late.",
    "rate times": "`rate` multiplies the optimizer's learning rate; it takes its place.",
    "rate twice": "`rate` goes in twice.",
    "stepped twice": "each step is twice as long: two steps, or one with twice the rate.",
    "piles up": "gradients pile up: an earlier batch's are still there in the next step.",
    "uphill": "the step goes uphill: the gradient has the wrong sign.",
    "own optimizer": "the step isn't made by the optimizer that was handed over.",
}
STEP_SLIPS = LOSS_SLIPS | WHOLE | TOLD | STEPS
STEP_SLIPS["no beta"] = "`beta` isn't used: it is as if it were 1."
LIMITS = {"clip 10": 10 * CLIP, "not clipped": float("inf")}
NORMS = {"by largest": float("inf"), "by sizes": 1.0}


def dpo_step(policy, optimizer, batch, ref_chosen, ref_rejected, rate, beta, slip: str = ""):
    """Train on one batch: move the weights, return the loss as a number."""
    slips = slip.split(" + ")
    loss = next((s for s in slips if s in LOSS_SLIPS), "")
    ask = lambda: pair_losses(policy, batch, (ref_chosen, ref_rejected), beta, loss)
    each, margin = ask()
    value = whole(each, batch, slips)
    if "own optimizer" in slips:
        optimizer = torch.optim.AdamW(policy.parameters(), lr=rate, weight_decay=0.0)
        optimizer.zero_grad()
    factors = {"uphill": -1, "sum inside": len(each), "back twice": 2, "beta outside": beta}
    factors["back half"] = 0.5
    for s in slips:
        value = factors.get(s, 1) * value
    value.backward()
    told = whole(each, batch, slips)
    length = _clip(list(policy.parameters()), slips)
    _step(optimizer, rate, slips)
    other = {
        "after": lambda: whole(ask()[0], batch, slips), "margin": margin.mean,
        "told sum": each.sum, "told half": lambda: told / 2, "told minus": lambda: -told,
        "told order": (margin > 0).double().mean, "told chance": margin.sigmoid().mean,
        "told length": lambda: length, "told first": lambda: each[0], "told last": lambda: each[-1],
        "told rate": lambda: told * rate,
    }  # fmt: skip
    return next((other[s]() for s in slips if s in other), told).item()


def whole(each: Tensor, batch: dict, slips: list[str]) -> Tensor:
    """One number from the losses of the pairs."""
    n = len(each)
    other = {
        "sum": each.sum(), "half": each.mean() / 2, "twice": 2 * each.mean(),
        "a token": each.sum() / batch["response_mask"].sum(), "first pair": each[0],
        "last pair": each[-1], "one less": each.sum() / (n - 1),
        "32": each.sum() / 32,
    }  # fmt: skip
    return next((other[s] for s in slips if s in other), each.mean())


def _step(optimizer, rate: float, slips: list[str]) -> None:
    group = optimizer.param_groups[0]
    before = group["lr"]
    kept = "rate kept" in slips or "rate late" in slips
    now = before if kept else before * rate if "rate times" in slips else rate
    group["lr"] = now * (rate if "rate twice" in slips else 1)
    for _ in range(2 if "stepped twice" in slips else 1):
        optimizer.step()
    group["lr"] = rate if "rate late" in slips else now
    if "piles up" not in slips:
        optimizer.zero_grad()


def _clip(parameters: list, slips: list[str]) -> Tensor:
    """Clip the gradient in some way; its length before."""
    length = nn.utils.get_total_norm([p.grad for p in parameters])
    if "by value" in slips:
        nn.utils.clip_grad_value_(parameters, CLIP)
    elif "by tensor" in slips:
        for p in parameters:
            nn.utils.clip_grad_norm_([p], CLIP)
    else:
        limit = next((LIMITS[s] for s in slips if s in LIMITS), CLIP)
        norm = next((NORMS[s] for s in slips if s in NORMS), 2.0)
        nn.utils.clip_grad_norm_(parameters, limit, norm)
    if "to length" in slips and length < CLIP:
        for p in parameters:
            p.grad /= length
    return length


# ---------------------------------------------------------------- an attempt
class Counted(torch.optim.SGD):
    """Plain gradient descent, so that a move is the gradient times the rate; counts its steps."""

    steps = 0

    def step(self, closure=None):
        """One step more."""
        self.steps += 1
        return super().step(closure)


RATES = (0.02, 0.03, 0.05)
ASKED = ((12, 4, 2.0), (4, 3, 0.4), (7, 5, 0.015))  # the first pair, their number, beta


def walk(step: Callable) -> dict[str, object]:
    """What three steps do, each from the same weights: the losses, and the moves of weights.

    The first two gradients are longer than 1, the last is shorter.
    """
    policy = moved()
    start = [p.detach().clone() for p in policy.parameters()]
    optimizer, told, moves = Counted(policy.parameters(), lr=0.07), [], []
    for (first, size, beta), rate in zip(ASKED, RATES, strict=True):
        with torch.no_grad():
            for p, value in zip(policy.parameters(), start, strict=True):
                p.copy_(value)
        before = flat(policy)
        batch = {k: v.clone() for k, v in batch_of(first, first + size)[0].items()}
        kept = [k.clone() for k in batch_of(first, first + size)[1:]]
        told.append(step(policy, optimizer, batch, *kept, rate, beta))
        moves.append(flat(policy) - before)
    empty = all(p.grad is None or not p.grad.any() for p in policy.parameters())
    return {"losses": told, "moves": moves, "empty": empty, "steps": optimizer.steps}


@cache
def walked(slip: str) -> dict[str, object]:
    """The same for the book's step, with a mistake or without."""
    return walk(lambda *given: dpo_step(*given, slip=slip))


def near_losses(a, b) -> bool:
    """Whether the losses are those."""
    return values.same(a, b, 1e-4, 1e-5)


def near_moves(a, b, by: float = 2e-3) -> bool:
    """Whether all weights made the same moves, up to a part of their length."""
    return all(float((x - y).norm()) <= by * float(y.norm()) for x, y in zip(a, b, strict=True))


def judge_step(attempt) -> Verdict:
    """A step is right if it gives the losses and moves the weights as the book's."""
    if not callable(attempt):
        return misformed(f"a function is asked, not {values.show(attempt)}.")
    names = ["policy", "optimizer", "batch", "ref_chosen", "ref_rejected", "rate", "beta"]
    if trouble := attempts.misfit(attempt, dict.fromkeys(names)):
        return misformed(trouble)
    known = walked("")  # first, since it loads the model, and that takes time
    out = carefully(attempt, lambda: walk(attempt))
    if out.trouble:
        return misformed(out.trouble)
    found = out.value
    if not any(m.any() for m in found["moves"]):
        why = "no gradient is there when the optimizer steps" if found["empty"] else (
            "the gradient is there, and the optimizer makes no step with it"
        )  # fmt: skip
        return wrong(f"no weight moves: {why}.")
    if None in found["losses"]:
        return misformed("it returns nothing: end with `return`, and the loss.")
    told = values.numbers(found["losses"])
    if told is None or told.size != 3:
        return misformed("asked is one number, the mean loss of the batch.")
    if near_losses(told, known["losses"]) and near_moves(found["moves"], known["moves"], 1e-2):
        return _as_asked(found)
    return _cause(told, found["moves"])


def _as_asked(found: dict) -> Verdict:
    """The losses and the moves are right."""
    if not found["steps"]:
        return wrong("the weights move rightly, but not by the optimizer that was handed over.")
    if not found["empty"]:
        return wrong("a gradient is left over when the step is done.")
    return right(
        "Four numbers a pair are all that a step needs: two scores, and two that were kept."
    )


def _cause(told, moves: list[Tensor]) -> Verdict:
    """Which loss it is by what is returned, and which step by how the weights move."""
    losses = [s for s in ("", *LOSS_SLIPS, *WHOLE, *TOLD)
              if near_losses(told, walked(s)["losses"])]  # fmt: skip
    ways = [(s, "") for s in losses] + [(s, t) for s in losses for t in STEPS]
    for loss, step in ways:
        if near_moves(moves, walked(" + ".join(filter(None, (loss, step))))["moves"]):
            whys = [STEP_SLIPS[s] for s in (loss, step) if s]
            return wrong(whys[0] if len(whys) == 1 else two(*whys))
    for loss in losses:
        if why := length(moves, loss):
            return wrong(two(STEP_SLIPS[loss], why) if loss else why)
    for slip, why in (LOSS_SLIPS | WHOLE | STEPS).items():
        if near_moves(moves, walked(slip)["moves"], 3e-4):
            return wrong(f"by how the weights move: {why}")
    if losses and losses[0]:
        return wrong(f"by the loss that is returned: {STEP_SLIPS[losses[0]]}")
    if losses:
        return unknown("the losses are right, the steps after them aren't.")
    if near_moves(moves, walked("")["moves"]):
        return unknown(f"the weights move rightly, and the loss is given as {values.show(told)}.")
    return unknown(f"the first loss is {told[0]:.4g}, which isn't it.")


def two(first: str, second: str) -> str:
    """Two mistakes in one sentence."""
    return f"two things. First: {first} Second: {second}"


def length(moves: list[Tensor], loss: str) -> str:
    """What is wrong with the length of steps that go the right way; "" if they don't."""
    asked = walked(loss)["moves"]
    factors = [float(m @ a / (a @ a)) for m, a in zip(moves, asked, strict=True)]
    if not near_moves(moves, [f * a for f, a in zip(factors, asked, strict=True)]):
        return ""
    sizes = [float(m.norm()) / rate for m, rate in zip(moves, RATES, strict=True)]
    free = walked(" + ".join(filter(None, (loss, "not clipped"))))["moves"]
    whole = [float(m.norm()) / rate for m, rate in zip(free, RATES, strict=True)]
    cut = [min(sizes[0], length) for length in whole]
    if values.same(sizes, cut, 0.005) and sizes[0] < 0.99 * whole[0]:
        return f"a long gradient is cut to a length of {sizes[0]:.3g}; asked: 1."
    if min(factors) < 0:
        return STEPS["uphill"]
    if max(factors) - min(factors) < 0.01 * max(factors):
        return f"each step goes the right way, and is {factors[0]:.3g} times as long as asked."
    return "each step goes the right way, and is too long or too short: look at clipping and rate."
