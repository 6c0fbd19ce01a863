"""A training step that a reader wrote, tried on a very small model and a few pairs.

It is compared with what the right step and each known mistake do there.
"""

import copy
import math
from collections.abc import Callable
from functools import cache
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from ...data import DataError, data_path, read_rows
from ...models import Scorer, load_model, pad_id
from ...tokens import collate, encode_rows
from . import attempts, values
from .verdicts import Verdict, misformed, right, unknown, wrong

CLIP = 1.0
SIZE = {"n_positions": 64, "n_embd": 16, "n_layer": 1, "n_head": 2}
SIZE |= dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)


# ---------------------------------------------------------------- the chapter's model and pairs
@cache
def tiny() -> tuple[nn.Module, object]:
    """The model and its tokenizer; nobody trains this one."""
    return load_model("tiny")


@cache
def small() -> nn.Module:
    """A model of 6,496 untrained weights that reads the same tokens: a step takes milliseconds."""
    from transformers import GPT2Config, GPT2LMHeadModel  # slow to import

    vocabulary = len(tiny()[1])
    with torch.random.fork_rng():
        torch.manual_seed(6)
        config = GPT2Config(vocab_size=vocabulary, bos_token_id=1, eos_token_id=1, **SIZE)
        model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for p in model.parameters():
            p *= 5 if p.ndim > 1 else 1
    return model


def moved(by: float = 0.03) -> nn.Module:
    """The small model, with some noise on its weights: no longer the reference."""
    policy, noise = copy.deepcopy(small()), torch.Generator().manual_seed(6)
    with torch.no_grad():
        for p in policy.parameters():
            p += by * torch.randn(p.shape, generator=noise)
    return policy


@cache
def rows(n: int) -> list[dict]:
    """The first n pairs of the chapter's file."""
    return read_rows(data_path("reviews_pairs_train.jsonl"))[0][:n]


def gather(pairs: list[dict]) -> dict[str, Tensor]:
    """A batch: the chosen texts, then the rejected ones."""
    tokenizer = tiny()[1]
    chosen, rejected = zip(*encode_rows(tokenizer, pairs)[0], strict=True)
    return collate([*chosen, *rejected], pad_id(tokenizer))


@cache
def batch_of(start: int, stop: int) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """(batch, ref_chosen, ref_rejected) of some pairs; the small model is the reference."""
    batch = gather(rows(64)[start:stop])
    with torch.no_grad():
        return batch, *Scorer(small())(**batch).chunk(2)


def flat(model: nn.Module) -> Tensor:
    """All weights in one vector."""
    return torch.cat([p.detach().flatten() for p in model.parameters()])


# ---------------------------------------------------------------- 06.0: one step
STEP_SLIPS = {
    "beta twice": "β goes in twice.",
    "no beta": "`beta` isn't used.",
    "default beta": "`beta` isn't handed to the loss, which then takes its default.",
    "beta on policy": "β multiplies the policy's scores alone; it multiplies log-ratios.",
    "no reference": "the reference is left out of the loss.",
    "reference of chosen": "the reference's score of the rejected texts is left out.",
    "sides": "chosen and rejected are exchanged: the chosen texts come first in the batch.",
    "interleaved": "the batch is cut wrongly: it holds all chosen texts first, then all rejected.",
    "reference sides": "the reference is added, or its two scores are exchanged.",
    "mean of tokens": "the scores are means over the tokens; they are sums.",
    "rejected detached": "no gradient flows through the rejected texts' scores.",
    "chosen detached": "no gradient flows through the chosen texts' scores.",
    "no log": "the sigmoid lacks its logarithm.",
    "hinge": "that is a hinge loss; asked is DPO's, with a log-sigmoid.",
    "sum": "the loss is the sum over the pairs; asked is the mean.",
    "loss of mean": "the loss of the mean margin is taken; asked is the mean of the pairs' losses.",
    "half": "the loss is divided by the number of texts; it is a mean over pairs.",
    "sum inside": "`backward` starts at the sum over the pairs; asked is the mean.",
    "back twice": "the gradient is there twice: is `backward` called twice?",
    "beta outside": "the gradient has β once more.",
    "not clipped": "the gradient isn't clipped before the step.",
    "clip 10": "the gradient is clipped at 10; asked: 1.",
    "by value": "each weight's gradient is clipped; asked is the length of the whole gradient.",
    "to length": "the gradient gets length 1 always; clipping leaves a shorter one alone.",
    "rate kept": "`rate` isn't used: the optimizer keeps its own learning rate.",
    "rate late": "`rate` is set after the step, so it comes one step too late.",
    "rate times": "`rate` multiplies the optimizer's learning rate; it takes its place.",
    "stepped twice": "the optimizer steps twice.",
    "piles up": "gradients pile up: an earlier batch's are still there in the next step.",
    "uphill": "the step goes uphill: the loss has the wrong sign.",
    "own optimizer": "the step isn't made by the optimizer that was handed over.",
    "after": "the loss is that after the step; asked is the one that the gradient came from.",
    "margin": "what is returned is the mean margin; asked is the loss.",
}
TWO = ("not clipped", "rate kept", "piles up", "sum", "no reference", "default beta", "no beta")


def dpo_step(policy, optimizer, batch, ref_chosen, ref_rejected, rate, beta, slip: str = ""):
    """Train on one batch: move the weights, return the loss as a number."""
    slips = slip.split(" + ")
    ask = lambda: _loss(policy, batch, ref_chosen, ref_rejected, beta, slips)
    value, margin = ask()
    factors = {"uphill": -1, "sum inside": len(ref_chosen), "back twice": 2, "beta outside": beta}
    if "own optimizer" in slips:
        optimizer = torch.optim.AdamW(policy.parameters(), lr=rate, weight_decay=0.0)
        optimizer.zero_grad()
    (math.prod(factors.get(s, 1) for s in slips) * value).backward()
    _clip(list(policy.parameters()), slips)
    before = optimizer.param_groups[0]["lr"]
    kept = "rate kept" in slips or "rate late" in slips
    now = before if kept else before * rate if "rate times" in slips else rate
    optimizer.param_groups[0]["lr"] = now
    for _ in range(2 if "stepped twice" in slips else 1):
        optimizer.step()
    optimizer.param_groups[0]["lr"] = rate if "rate late" in slips else now
    if "piles up" not in slips:
        optimizer.zero_grad()
    value = ask()[0] if "after" in slips else value
    return (margin if "margin" in slips else value).item()


def _loss(policy, batch, ref_chosen, ref_rejected, beta, slips) -> tuple[Tensor, Tensor]:
    """(the batch's loss, its mean margin)."""
    logps = Scorer(policy)(**batch)
    if "mean of tokens" in slips:
        logps = logps / batch["response_mask"].sum(1)
    chosen, rejected = (logps[::2], logps[1::2]) if "interleaved" in slips else logps.chunk(2)
    chosen = chosen.detach() if "chosen detached" in slips else chosen
    rejected = rejected.detach() if "rejected detached" in slips else rejected
    kept = ref_chosen - ref_rejected
    kept = -kept if "reference sides" in slips else kept
    kept = 0 * kept if "no reference" in slips else kept
    kept = ref_chosen if "reference of chosen" in slips else kept
    scale = beta * beta if "beta twice" in slips else 1.0 if "no beta" in slips else beta
    scale = 0.1 if "default beta" in slips else scale
    rho = chosen - rejected - kept
    margin = scale * (-rho if "sides" in slips else rho)
    margin = beta * (chosen - rejected) - kept if "beta on policy" in slips else margin
    over = margin.mean() if "loss of mean" in slips else margin
    each = (1 - over).clamp(min=0) if "hinge" in slips else -logsigmoid(over)
    each = -torch.sigmoid(over) if "no log" in slips else each
    mean = each.mean() / (2 if "half" in slips else 1)
    return each.sum() if "sum" in slips else mean, margin.mean()


def _clip(parameters: list, slips) -> None:
    if "by value" in slips:
        nn.utils.clip_grad_value_(parameters, CLIP)
    elif "not clipped" not in slips:
        length = nn.utils.clip_grad_norm_(parameters, 10 * CLIP if "clip 10" in slips else CLIP)
        if "to length" in slips and length < CLIP:
            for p in parameters:
                p.grad /= length


def walk(step: Callable) -> dict[str, object]:
    """What three steps from a model near its reference do: the losses, and the moves of weights.

    Plain gradient descent, so that a move is the gradient times the rate; the last gradient is
    shorter than 1.
    """
    policy = moved()
    optimizer, told, moves = torch.optim.SGD(policy.parameters(), lr=0.07), [], []
    for start, size, rate, beta in ((12, 4, 0.02, 2.0), (4, 3, 0.03, 0.4), (7, 5, 0.05, 0.015)):
        before = flat(policy)
        batch = {k: v.clone() for k, v in batch_of(start, start + size)[0].items()}
        kept = [k.clone() for k in batch_of(start, start + size)[1:]]
        told.append(step(policy, optimizer, batch, *kept, rate, beta))
        moves.append(flat(policy) - before)
    empty = all(p.grad is None or not p.grad.any() for p in policy.parameters())
    return {"losses": told, "moves": moves, "empty": empty}


@cache
def walked(slip: str) -> dict[str, object]:
    """The same for the book's step, with a mistake or without."""
    return walk(lambda *given: dpo_step(*given, slip=slip))


def carefully(attempt: Callable, work: Callable) -> attempts.Outcome:
    """`work()`, which calls the attempt on things that it may change."""

    def tried(_):
        try:
            return (work(),)
        except DataError as error:
            return str(error)
        except Exception as error:
            return attempts.raised(attempt, error)

    out = attempts.call(tried, {"nothing": 0.0}, attempts.Clock())
    if isinstance(out.value, str):
        return attempts.Outcome(trouble=out.value)
    return out if out.trouble else attempts.Outcome(out.value[0])


def near_losses(a, b) -> bool:
    """Whether the losses are those."""
    return values.same(a, b, 1e-4, 1e-5)


def near_moves(a, b) -> bool:
    """Whether all weights made the same moves, up to a hundredth of their length."""
    return all(float((x - y).norm()) <= 1e-2 * float(y.norm()) for x, y in zip(a, b, strict=True))


def judge_step(attempt) -> Verdict:
    """A step is right if it gives the losses and moves the weights as the book's."""
    if not callable(attempt):
        return misformed(f"a function is asked, not {values.show(attempt)}.")
    names = ["policy", "optimizer", "batch", "ref_chosen", "ref_rejected", "rate", "beta"]
    if trouble := attempts.misfit(attempt, dict.fromkeys(names)):
        return misformed(trouble)
    out = carefully(attempt, lambda: walk(attempt))
    if out.trouble:
        return misformed(out.trouble)
    found, known = out.value, walked("")
    still = [not m.any() for m in found["moves"]]
    if all(still):
        why = "no gradient is there when the optimizer steps" if found["empty"] else (
            "the gradient is there, and the optimizer makes no step with it"
        )  # fmt: skip
        return wrong(f"no weight moves: {why}.")
    if None in found["losses"]:
        return misformed("it returns nothing: end with `return`, and the loss.")
    told = values.numbers(found["losses"])
    if told is None or told.size != 3:
        return misformed("asked is one number, the mean loss of the batch.")
    same = near_losses(told, known["losses"]), near_moves(found["moves"], known["moves"])
    if all(same) and not found["empty"]:
        return wrong("a gradient is left over when the step is done.")
    if all(same):
        return right(
            "Four numbers a pair are all that a step needs: two scores, and two that were kept."
        )
    two = {
        f"{a} + {b}": f"two things. First: {STEP_SLIPS[a]} Second: {STEP_SLIPS[b]}"
        for a, b in combinations(TWO, 2)
    }
    for slip, why in (STEP_SLIPS | two).items():
        other = walked(slip)
        if near_moves(found["moves"], other["moves"]) and near_losses(told, other["losses"]):
            return wrong(why)
    if same[1]:
        return unknown(f"the weights move rightly, and the loss is given as {values.show(told)}.")
    if near_losses(told[:1], known["losses"][:1]):
        return unknown("the first loss is right, the step after it isn't.")
    return unknown(f"the first loss is {told[0]:.4g}, which isn't it.")
