"""More wrong attempts at chapter 05's exercises, with their messages."""

import math

import numpy as np
import torch

from dpo_from_scratch import world
from dpo_from_scratch.models import Scorer


# ---------------------------------------------------------------- 05.0
def told(logits, ids):
    return logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]


def nll(logits, ids, mask):
    return -(told(logits, ids) * mask[:, 1:]).sum(1)


LOSS = [
    (lambda lo, i, m: nll(lo, i, m) / math.log(2), "base 2"),
    (lambda lo, i, m: nll(lo, i, m).exp(), "e to the right value"),
    (lambda lo, i, m: (nll(lo, i, m) / m.sum(1)).exp(), "perplexity"),
    (lambda lo, i, m: nll(lo, i, m) * m.sum(1), "the text's number of tokens"),
    (lambda lo, i, m: nll(lo, i, m) / m.sum(1) ** 2, "twice by its own tokens"),
    (lambda lo, i, m: nll(lo, i, m).cumsum(0), "added up along"),
    (lambda lo, i, m: -(told(lo, i) * m[:, 1:]).amin(1), "only the hardest token"),
    (lambda lo, i, m: -told(lo, i).sum(1) / i.shape[1], "the width of the batch"),
    (lambda lo, i, m: -(1 - told(lo, i).exp()).log().mul(m[:, 1:]).sum(1), "one minus"),
    (lambda lo, i, m: ((1 - told(lo, i).exp()) * m[:, 1:]).sum(1), "shortfalls"),
    (lambda lo, i, m: -(told(lo, i) * m[:, 1:]).mean(), "one number"),
    (lambda lo, i, m: nll(lo / 2, i, m), "halved"),
    (
        lambda lo, i, m: m.sum(1) * math.log(lo.shape[-1]) + 0 * lo.sum((1, 2)),
        "a uniform",
    ),
    (lambda lo, i, m: -torch.stack([told(lo, i)[k][m[k, 1:]][-1] for k in range(len(i))]), "last"),
]

# ---------------------------------------------------------------- 05.1
GRAMMAR = world.REVIEWS.policy(world.prompts()[0])
H, L = GRAMMAR.entropy, GRAMMAR.mean_length
PP, MORE, NATS = math.exp(H / L), 100 * (math.exp(0.1) - 1), 0.1 * L
PERPLEXITY = [
    ((math.exp(H), MORE, NATS), "a whole reply"),
    ((PP, MORE, math.exp(0.1) * L), "a factor of perplexity"),
    ((PP, MORE, 100 * NATS), "per cent"),
    ((PP, MORE, NATS / math.log(2)), "in bits"),
    ((PP, 100 * 0.1 / PP, NATS), "the nats are divided by the perplexity"),
    ((PP, MORE / 100 * PP, NATS), "the difference of the two perplexities"),
    ((PP, math.exp(H / L + 0.1), NATS), "the new perplexity itself"),
    ((PP, 100 * (1 - math.exp(-0.1)), NATS), "below the model's"),
    ((PP, 100 * (math.exp(0.01) - 1), 0.01 * L), "0.01 nats"),
    ((H, MORE, NATS), "the entropy of a reply"),
    ((L, MORE, NATS), "mean length"),
    ((PP, MORE, L), "the mean length itself"),
    ((PP, MORE, PP * 0.1 * L), "the perplexity is multiplied"),
    ((PP, MORE, H + NATS), "the floor and what comes on top"),
    ((L / H, MORE, NATS), "turned over"),
]


# ---------------------------------------------------------------- 05.2
def rows_of(lengths, size):
    return np.array(lengths[: len(lengths) // size * size], float).reshape(-1, size)


def weighted(rows, w):
    w = np.broadcast_to(w, rows.shape)
    return (w * rows).sum() / w.sum()


sums = lambda rows: rows.sum(1, keepdims=True)
by_batch = lambda y, n: weighted(rows_of(y, n), 1 / sums(rows_of(y, n)))
MIXED = [
    (lambda y, n: np.median(rows_of(y, n).mean(1)), "the median of the batches"),
    (lambda y, n: np.exp(np.log(rows_of(y, n)).mean()), "the geometric mean"),
    (lambda y, n: np.exp(np.log(rows_of(y, n).mean(1)).mean()), "the batches' means"),
    (lambda y, n: sums(rows_of(y, n)).mean() / (n - 1), "one text less"),
    (lambda y, n: rows_of(y, n)[0].mean(), "the first batch's mean alone"),
    (lambda y, n: rows_of(y, n)[-1].mean(), "last whole batch's"),
    (lambda y, n: n * by_batch(y, n), "times `size`"),
    (lambda y, n: by_batch(y, n) / n, "times 1 / `size`"),
    (lambda y, n: rows_of(y, n).mean() - by_batch(y, n), "below the plain mean"),
    (lambda y, n: by_batch(y, n) / np.mean(y), "divided by the plain mean"),
    (lambda y, n: weighted(rows_of(y, n), 1 / rows_of(y, n).min(1, keepdims=True)), "shortest"),
    (lambda y, n: weighted(rows_of(y, n), 1 / rows_of(y, n)[:, :1]), "first text"),
    (lambda y, n: weighted(rows_of(y, n), 1 / rows_of(y, n).std(1, keepdims=True)), "spread"),
    (lambda y, n: weighted(rows_of(y, n), np.exp(-rows_of(y, n))), "e to minus its length"),
]


# ---------------------------------------------------------------- 05.3
def scored(model, batch, mask):
    mask = mask.clone()
    mask[:, 0] = False
    with torch.no_grad():
        return -Scorer(model)(**batch | {"response_mask": mask}).sum().item()


response = lambda b: b["response_mask"]
prompt = lambda b: b["attention_mask"].bool() & ~b["response_mask"]
scorable = lambda b: int(prompt(b)[:, 1:].sum())
every = lambda b: b["attention_mask"].bool()
pair = lambda f: lambda m, b: f(scored(m, b, response(b)), scored(m, b, prompt(b)), m, b)
PROMPT = [
    (pair(lambda x, y, m, b: (x / math.log(2), y / math.log(2))), "in bits"),
    (pair(lambda x, y, m, b: (x, -y)), "only the second"),
    (pair(lambda x, y, m, b: (-x, y)), "only the first"),
    (pair(lambda x, y, m, b: (x / len(response(b)), y)), "the first number is a mean"),
    (pair(lambda x, y, m, b: (x + y, x)), "first stands the whole"),
    (pair(lambda x, y, m, b: (x + y, y)), "everything"),
    (pair(lambda x, y, m, b: (y, x + y)), "first stands the prompt"),
    (pair(lambda x, y, m, b: (x, x - y)), "subtracted from the response's"),
    (pair(lambda x, y, m, b: (x, x)), "both numbers are the resp"),
    (pair(lambda x, y, m, b: (y, y)), "both numbers are the prompt"),
    (pair(lambda x, y, m, b: (math.exp(-x), math.exp(-y))), "those are probabilities"),
    (
        pair(lambda x, y, m, b: (x, y / scorable(b))),
        "a mean over tokens",
    ),
    (pair(lambda x, y, m, b: (x, y / len(prompt(b)))), "the second number is a mean"),
    (
        pair(lambda x, y, m, b: (int(response(b).sum()), scorable(b))),
        "numbers of tokens",
    ),
    (pair(lambda x, y, m, b: (x, 100 * y / (x + y))), "a share in per cent"),
]


def shift_wrong(logits, ids, mask):
    logps = logits[:, 1:].log_softmax(-1).gather(-1, ids[:, :-1, None])[..., 0]
    return -(logps * mask[:, 1:]).sum(-1)


def the_prompt(logits, ids, mask):
    logps = logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
    return -(logps * (mask.long().cumsum(-1) == 0)[:, 1:]).sum(-1)


def logits_masked(logits, ids, mask):
    kept = (logits[:, :-1] * mask[:, 1:, None]).log_softmax(-1)
    return -kept.gather(-1, ids[:, 1:, None])[..., 0].sum(-1)


def over_places(logits, ids, mask):
    logps = logits[:, :-1].log_softmax(1).gather(-1, ids[:, 1:, None])[..., 0]
    return -(logps * mask[:, 1:]).sum(-1)


LOSS += [
    (shift_wrong, "the shift goes the wrong way"),
    (the_prompt, "the response is not"),
    (logits_masked, "the mask is applied to the logits"),
    (over_places, "over the places"),
]


def masks_from(batch, skip):
    late = torch.arange(batch["input_ids"].shape[1]) >= skip
    return [batch["response_mask"].bool(), prompt(batch) & late]


def not_shifted(skip):
    def both(model, batch):
        with torch.no_grad():
            logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        nll = -logits.log_softmax(-1).gather(-1, batch["input_ids"][..., None])[..., 0]
        return tuple(nll[mask].sum().item() for mask in masks_from(batch, skip))

    return both


def masks_not_shifted(skip):
    def both(model, batch):
        with torch.no_grad():
            logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        logps = logits[:, :-1].log_softmax(-1)
        nll = -logps.gather(-1, batch["input_ids"][:, 1:, None])[..., 0]
        return tuple(nll[mask[:, :-1]].sum().item() for mask in masks_from(batch, skip))

    return both


def one_more_skipped(model, batch):
    return tuple(scored(model, batch, mask) for mask in masks_from(batch, 2))


PROMPT += [
    *((not_shifted(skip), "the logits are not shifted") for skip in (0, 1)),
    *((masks_not_shifted(skip), "the masks are not") for skip in (0, 1)),
    (one_more_skipped, "the prompt's second token is missing"),
]
WRONG = {"05.0": LOSS, "05.1": PERPLEXITY, "05.2": MIXED, "05.3": PROMPT}
