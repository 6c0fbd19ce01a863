"""Attempts at chapter 06: right ones in some styles, wrong ones with their message."""

import copy
import math

import numpy as np
import torch
from torch.nn.functional import logsigmoid

from dpo_from_scratch import losses
from dpo_from_scratch.lab.exercises import ch06_step, loops
from dpo_from_scratch.models import Scorer

from . import ch06b


# ---------------------------------------------------------------- 06.0
def by_hand(policy, optimizer, batch, ref_chosen, ref_rejected, rate, beta):
    n = len(ref_chosen)
    logits = policy(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    told = logits[:, :-1].log_softmax(-1).gather(2, batch["input_ids"][:, 1:, None])[..., 0]
    scores = (told * batch["response_mask"][:, 1:]).sum(1)
    total = 0.0
    for i in range(n):
        rho = scores[i] - ref_chosen[i], scores[n + i] - ref_rejected[i]
        total = total - logsigmoid(beta * (rho[0] - rho[1])) / n
    total.backward()
    norm = sum(p.grad.pow(2).sum() for p in policy.parameters() if p.grad is not None).sqrt()
    for p in policy.parameters():
        p.grad *= min(1.0, 1.0 / norm)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad()
    return total.detach()


def left_over(policy, optimizer, batch, ref_chosen, ref_rejected, rate, beta):
    optimizer.zero_grad()
    logps = Scorer(policy)(**batch)
    loss = losses.dpo(*logps.chunk(2), ref_chosen, ref_rejected, beta=beta).mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
    optimizer.param_groups[0]["lr"] = rate
    optimizer.step()
    return loss.item()


def step(
    before=lambda *a: None,
    loss=lambda logps, kept, beta: losses.dpo(*logps.chunk(2), *kept, beta=beta).mean(),
    between=lambda policy: torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0),
    last=lambda optimizer: (optimizer.step(), optimizer.zero_grad()),
    gives=lambda value: value.item(),
):
    def dpo_step(policy, optimizer, batch, ref_chosen, ref_rejected, rate, beta):
        before(policy)
        value = loss(Scorer(policy)(**batch), (ref_chosen, ref_rejected), beta)
        value.backward()
        between(policy)
        optimizer.param_groups[0]["lr"] = rate
        last(optimizer)
        return gives(value)

    return dpo_step


def slip(name):
    return lambda *given: ch06_step.dpo_step(*given, slip=name)


def no_backward(policy, optimizer, batch, ref_chosen, ref_rejected, rate, beta):
    logps = Scorer(policy)(**batch)
    value = losses.dpo(*logps.chunk(2), ref_chosen, ref_rejected, beta=beta).mean()
    optimizer.step()
    return value.item()


def no_gradient(policy, optimizer, batch, ref_chosen, ref_rejected, rate, beta):
    with torch.no_grad():
        logps = Scorer(policy)(**batch)
    losses.dpo(*logps.chunk(2), ref_chosen, ref_rejected, beta=beta).mean().backward()


def three_left(policy, optimizer, batch, ref_chosen, ref_rejected, rate, beta):
    value = losses.dpo(*Scorer(policy)(**batch).chunk(2), ref_chosen, ref_rejected, beta=beta)
    value.backward()


def default_beta(logps, kept, beta):
    return losses.dpo(*logps.chunk(2), *kept).mean()


STEPS = [
    (left_over, "a gradient is left over"),
    (no_backward, "no gradient is there when the optimizer steps"),
    (no_gradient, "raises RuntimeError"),
    (three_left, "grad can be implicitly created only for scalar outputs"),
    (step(last=lambda o: None), "the optimizer makes no step with it"),
    (step(between=lambda policy: policy.zero_grad()), "no gradient is there"),
    (step(gives=lambda value: None), "it returns nothing"),
    (step(gives=lambda value: (value, 1)), "asked is one number"),
    (step(last=lambda o: o.step()), "gradients pile up"),
    (step(between=lambda policy: None), "isn't clipped"),
    (step(loss=default_beta), "the loss's default"),
    (lambda policy, batch: 0, "is called with 7 arguments"),
    (0.69, "a function is asked"),
    *((slip(name), why) for name, why in ch06_step.STEP_SLIPS.items()),
]


# ---------------------------------------------------------------- 06.1
def loop(
    rate=5e-4,
    score=None,
    loss=None,
    before=lambda policy: None,
    keep=lambda score, policy, model, batch: score(model, batch),
    start=lambda model: copy.deepcopy(model).eval(),
    after=lambda optimizer: optimizer.zero_grad(),
    weights=lambda policy: policy.parameters(),
):
    def parts(model):
        policy = start(model)
        optimizer = torch.optim.AdamW(weights(policy), lr=rate, weight_decay=0.0)
        own_score, own_loss = score or summed(), loss or plain(0.6)

        def step(pairs):
            batch = loops.gather(pairs)
            with torch.no_grad():
                kept = keep(own_score, policy, model, batch)
            value = own_loss(*own_score(policy, batch), *kept).mean()
            value.backward()
            optimizer.step()
            after(optimizer)
            return value.item()

        return {"policy": policy, "score": own_score, "loss": own_loss, "step": step}

    return parts


def plain(beta):
    return lambda a, b, c, d: -logsigmoid(beta * ((a - b) - (c - d)))


def summed(shift=1, masked=True, mean=False, turned=False, all_tokens=False):
    def score(model, batch):
        ids, mask = batch["input_ids"], batch["response_mask"]
        logits = model(ids, attention_mask=batch["attention_mask"]).logits.log_softmax(-1)
        if shift:
            told = logits[:, :-1].gather(2, ids[:, 1:, None])[..., 0]
            mask = batch["attention_mask"][:, 1:] if all_tokens else mask[:, 1:]
        else:
            told = logits.gather(2, ids[..., None])[..., 0]
        told = (told * mask).sum(1) / (mask.sum(1) if mean else 1)
        return told.chunk(2)[::-1] if turned else told.chunk(2)

    return score


def detached(model, batch):
    chosen, rejected = summed()(model, batch)
    return chosen, rejected.detach()


def blank(model):
    def score(model, batch): ...

    def loss(chosen, rejected, ref_chosen, ref_rejected): ...

    def step(pairs): ...

    return {"policy": model, "score": score, "loss": loss, "step": step}


def forgetful(model):
    parts = loop()(model)

    def step(pairs):
        optimizer = torch.optim.AdamW(parts["policy"].parameters(), lr=5e-4)
        batch = loops.gather(pairs)
        with torch.no_grad():
            kept = parts["score"](model, batch)
        optimizer.zero_grad()
        value = parts["loss"](*parts["score"](parts["policy"], batch), *kept).mean()
        value.backward()
        optimizer.step()
        return value.item()

    return parts | {"step": step}


def half(model):
    def step(pairs): ...

    return loop()(model) | {"step": step}


LOOPS = [
    (loop(score=summed(mean=True)), "`mean`"),
    (loop(score=summed(shift=0)), "`not_shifted`"),
    (loop(score=summed(all_tokens=True)), "`prompt_scored`"),
    (loop(score=detached), "`side_detached`"),
    (loop(loss=lambda a, b, c, d: plain(0.6)(b, a, d, c)), "`wrong_direction`"),
    (loop(loss=lambda a, b, c, d: -logsigmoid(0.6 * (a - b))), "`loss` leaves the reference out"),
    (loop(loss=lambda a, b, c, d: plain(0.6)(a, b, d, c)), "`reference_exchanged`"),
    (loop(keep=lambda score, policy, model, batch: score(policy, batch)), "`reference_is_policy`"),
    (loop(start=lambda model: model.eval()), "`reference_is_policy`"),
    (loop(after=lambda optimizer: None), "`gradients_pile_up`"),
    (loop(weights=lambda p: p.transformer.h.parameters()), "`not_in_optimizer`"),
    (loop(rate=1e-2), "learning rate too high?"),
    (loop(rate=1e-6), "rate too low?"),
    (loop(loss=plain(0.1)), "DPO's with a β of 0.1"),
    (loop(loss=lambda a, b, c, d: torch.relu(1 - 0.6 * (a - b - c + d))), "that is a hinge loss"),
    (forgetful, "made anew in each step"),
    (half, "still empty: step"),
    (lambda model: {"policy": model}, "the dictionary has no score, loss, step"),
    (lambda model: 1 / 0, "raises ZeroDivisionError"),
]


# ---------------------------------------------------------------- 06.2
def weight(margin, beta=0.6):
    return beta / (1 + math.exp(margin))


def three(of):
    return tuple(of(m) for m in (0.0, 4.0, -4.0))


WEIGHTS = [
    (three(lambda m: weight(m, 1)), "β is left out"),
    (three(lambda m: weight(-m)), "σ gets the margin itself"),
    (three(lambda m: weight(-m, 1)), "and β is left out"),
    (three(lambda m: weight(0.6 * m)), "β is in it already"),
    (three(lambda m: 0.6 * weight(m)), "β goes in twice"),
    (three(lambda m: math.log1p(math.exp(-m))), "that is the loss"),
    (three(lambda m: 0.6 * math.log1p(math.exp(-m))), "β times the loss"),
    (three(lambda m: weight(m, 1) * weight(-m)), "the slope of σ"),
    (three(lambda m: -weight(m)), "a weight is positive"),
    ((0.6, weight(4), weight(-4)), "σ(0) isn't 1"),
    ((0.0, weight(4), weight(-4)), "but σ(0) isn't"),
    ((0.3, weight(-4), weight(4)), "σ gets the margin itself"),
    ((weight(4), 0.3, weight(-4)), "not in the order"),
    (three(lambda m: 100 * weight(m)), "per cent"),
    ((0.3, 0.011), "3 in all; you gave 2"),
]


# ---------------------------------------------------------------- 06.3
def in_parts(share=lambda n, total, k: n / total, beta=0.6, empty=False, kept=lambda a, b: (a, b)):
    def attempt(policy, parts):
        total = sum(len(chosen) for _, chosen, _ in parts)
        for batch, chosen, rejected in parts:
            if empty:
                policy.zero_grad()
            logps = Scorer(policy)(**batch).chunk(2)
            each = losses.dpo(*logps, *kept(chosen, rejected), beta=beta)
            (each.mean() * share(len(chosen), total, len(parts))).backward()
        return torch.cat([p.grad.flatten() for p in policy.parameters()])

    return attempt


def at_once(policy, parts):
    every = []
    for batch, *kept in parts:
        every.append(losses.dpo(*Scorer(policy)(**batch).chunk(2), *kept, beta=0.6))
    grads = torch.autograd.grad(torch.cat(every).mean(), list(policy.parameters()))
    return np.concatenate([g.numpy().ravel() for g in grads])


PARTS = [
    (in_parts(lambda n, total, k: 1 / k), "a small part holds fewer pairs"),
    (in_parts(lambda n, total, k: 1), "the parts' means are added up"),
    (in_parts(lambda n, total, k: n), "nothing is divided"),
    (in_parts(lambda n, total, k: n / 2 / total), "number of texts"),
    (in_parts(lambda n, total, k: n / 32), "divided by 32"),
    (in_parts(lambda n, total, k: n / total / k), "by the number of parts"),
    (in_parts(lambda n, total, k: 1 / total), "by the size of the part"),
    (in_parts(lambda n, total, k: 1 / k, empty=True), "only the last part is there"),
    (in_parts(empty=True), "something empties the gradients"),
    (in_parts(beta=0.1), "β is 0.1"),
    (in_parts(beta=1.0), "β is left out"),
    (in_parts(kept=lambda a, b: (b, a)), "its two scores are exchanged"),
    (in_parts(kept=lambda a, b: (0 * a, 0 * b)), "the reference is left out"),
    (lambda policy, parts: -in_parts()(policy, parts), "the sign is turned"),
    (lambda policy, parts: in_parts()(policy, parts).norm(), "numbers of shape"),
    (lambda policy, parts: in_parts()(policy, parts) and None, "raises RuntimeError"),
]


# ---------------------------------------------------------------- 06.4
LN2 = math.log(2)
MOVING = [
    ((0.6727, 0.651), "the kept scores are still in the loss"),
    ((0.6931, 0.0), "cancels"),
    ((0.6931, 0.00252), "the largest move"),
    ((0.6931, 0.00114), "the mean move"),
    ((0.6931, 277.0), "the sum of all moves"),
    ((0.6931, 0.434), "the length squared"),
    ((0.6931, 1.317), "AdamW's own rate"),
    ((0.6931, 0.1638), "warmed up"),
    ((0.658, 0.69315), "not in the order"),
    (0.6931, "2 in all; you gave 1"),
]

RIGHT = {
    "06.0": [by_hand, step(), step(gives=lambda value: value), slip("")],
    "06.1": [loop(), loop(score=lambda m, batch: Scorer(m)(**batch).chunk(2))],
    "06.2": [(0.3, 0.0108, 0.5892), [0.3, 0.011, 0.59], np.array(three(weight))],
    "06.3": [in_parts(), at_once, lambda policy, parts: in_parts()(policy, parts).tolist()],
    "06.4": [(0.6931, 0.66), (LN2, 0.64), {"loss": 0.693, "moved": 0.7}],
}
WRONG = {"06.0": STEPS, "06.1": LOOPS, "06.2": WEIGHTS, "06.3": PARTS, "06.4": MOVING}
for number, more in ch06b.WRONG.items():
    WRONG[number] = [*WRONG[number], *more]
