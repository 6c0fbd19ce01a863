"""Attempts at chapter 05's exercises."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from dpo_from_scratch import world
from dpo_from_scratch.models import Scorer

from . import ch05b


# ---------------------------------------------------------------- 05.0
def by_cross_entropy(logits, input_ids, response_mask):
    labels = input_ids.masked_fill(~response_mask, -100)[:, 1:]
    flat = F.cross_entropy(
        logits[:, :-1].flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="none"
    )
    return flat.view(labels.shape).sum(1)


def row_by_row(logits, input_ids, response_mask):
    losses = []
    for row, ids, mask in zip(logits, input_ids, response_mask, strict=True):
        total = 0
        for t in range(1, len(ids)):
            if mask[t]:
                total = total - torch.log_softmax(row[t - 1], 0)[ids[t]]
        losses.append(total)
    return torch.stack(losses)


def with_logsumexp(logits, input_ids, response_mask):
    picked = logits.gather(-1, input_ids.roll(-1, 1)[..., None]).squeeze(-1)
    nll = (logits.logsumexp(-1) - picked)[:, :-1]
    return torch.where(response_mask[:, 1:], nll, torch.zeros_like(nll)).sum(1)


def picked(logits, ids):
    return torch.gather(logits.log_softmax(-1), -1, ids.unsqueeze(-1)).squeeze(-1)


def nll(logits, ids, mask):
    return -(picked(logits[:, :-1], ids[:, 1:]) * mask[:, 1:])


def without_the_end(logits, ids, mask):
    last = mask.int().argmax(1) + mask.sum(1) - 1
    mask = mask.clone()
    mask[torch.arange(len(mask)), last] = False
    return nll(logits, ids, mask).sum(1)


def with_the_prompt(logits, ids, mask):
    end = mask.int().argmax(1) + mask.sum(1)
    return nll(logits, ids, torch.arange(mask.shape[1]) < end[:, None]).sum(1)


in_numpy = lambda lo, i, m: nll(lo, i, m).sum(1).numpy()
KEY_WRONG = [
    (lambda lo, i, m: -(picked(lo, i) * m).sum(1), "the logits are not shifted"),
    (lambda lo, i, m: -(picked(lo[:, 1:], i[:, :-1]) * m[:, :-1]).sum(1), "the wrong way"),
    (lambda lo, i, m: -picked(lo[:, :-1], i[:, 1:]).sum(1), "every token is scored"),
    (with_the_prompt, "the prompt is scored, too"),
    (without_the_end, "end of text, is not scored"),
    (lambda lo, i, m: nll(lo, i, m).sum(1) / m.sum(1), "divided by its own tokens"),
    (lambda lo, i, m: nll(lo, i, m).mean(1), "the width of the batch"),
    (lambda lo, i, m: -nll(lo, i, m).sum(1), "the sign is turned"),
    (lambda lo, i, m: nll(lo, i, m).sum(1).mean(), "the mean over the texts"),
    (lambda lo, i, m: nll(lo, i, m).sum(), "the texts are added up"),
    (lambda lo, i, m: nll(lo, i, m).sum() / m.sum(), "the mean over the tokens of the batch"),
    (nll, "one number a token"),
    (lambda lo, i, m: -(picked(lo[:, :-1], i[:, 1:]) * m[:, :-1]).sum(1), "the mask is not"),
    (lambda lo, i, m: nll(lo, i, ~m).sum(1), "the mask is turned round"),
    (lambda lo, i, m: -(lo[:, :-1].gather(-1, i[:, 1:, None])[..., 0] * m[:, 1:]).sum(1), "raw"),
    (lambda lo, i, m: -(picked(lo[:, :-1], i[:, 1:]).exp() * m[:, 1:]).sum(1), "their logarithm"),
    (lambda lo, i, m: (-nll(lo, i, m).sum(1)).exp(), "-log"),
    (lambda lo, i, m: nll(lo * m[..., None], i, m | True).sum(1), "the mask is applied to the log"),
    (lambda lo, i, m: -nll(lo, i, m).sum(1) / m.sum(1), "First: each text is divided"),
    (lambda lo, i, m: nll(lo.detach(), i, m).sum(1), "no gradient gets back to `logits`"),
    (in_numpy, "no gradient gets back to `logits`"),
    (lambda lo, i, m: nll(lo, i, m).sum(1) / len(lo), "the number of texts already"),
    (lambda lo, i, m: -(lo[:, :-1].log_softmax(-1).max(-1)[0] * m[:, 1:]).sum(1), "likeliest"),
]  # fmt: skip

# ---------------------------------------------------------------- 05.1
GRAMMAR = world.REVIEWS.policy(world.prompts()[0])
H, L = GRAMMAR.entropy, GRAMMAR.mean_length
PP, MORE, NATS = math.exp(H / L), 100 * (math.exp(0.1) - 1), 0.1 * L
PERPLEXITY_WRONG = [
    ((H / L, MORE, NATS), "perplexity is e to them"),
    ((2 ** (H / L), MORE, NATS), "the base is 2"),
    ((math.exp(-H / L), MORE, NATS), "one over the perplexity"),
    ((math.exp(H / L + 0.1), MORE, NATS), "asked is the grammar's"),
    ((PP, math.exp(0.1), NATS), "that is a factor; asked is by how many"),
    ((PP, math.exp(0.1) - 1, NATS), "that is a share"),
    ((PP, 10.0, NATS), "the nats in per cent"),
    ((PP, PP * (math.exp(0.1) - 1), NATS), "the difference of the two perplexities; asked"),
    ((PP, 100 * math.exp(0.1), NATS), "the new in per cent of the old"),
    ((PP, MORE, 0.1), "for a whole reply"),
    ((PP, MORE, math.exp(NATS)), "a factor of probability"),
    ((PP, MORE, 2.0), "that is for 20 tokens"),
    ((PP, MORE, 0.1 * H), "multiplied by the entropy"),
    ((PP, MORE, H), "that is the entropy of a reply"),
    ((H / L, 100 * (math.exp(0.1) - 1), 0.1), "First"),
    ((PP, 100 * 0.1 / (H / L), NATS), "the loss grows"),
]


# ---------------------------------------------------------------- 05.2
def by_loop(lengths, size):
    top = bottom = 0.0
    for i in range(0, len(lengths) - size + 1, size):
        batch = lengths[i : i + size]
        for n in batch:
            top += n / sum(batch)
            bottom += 1 / sum(batch)
    return top / bottom


def by_harmonic_mean(lengths, size):
    rows = np.array(lengths[: len(lengths) // size * size]).reshape(-1, size)
    return 1 / (1 / rows.mean(1)).mean()


def in_torch(lengths, size):
    rows = torch.as_tensor(lengths).float()
    rows = rows[: len(rows) // size * size].view(-1, size)
    w = (1 / rows.sum(1, keepdim=True)).expand_as(rows)
    return (w * rows).sum() / w.sum()


def rows_of(lengths, size):
    return np.array(lengths[: len(lengths) // size * size], float).reshape(-1, size)


def weighted(rows, w):
    w = np.broadcast_to(w, rows.shape)
    return (w * rows).sum() / w.sum()


def with_the_rest(lengths, size):
    batches = [lengths[i : i + size] for i in range(0, len(lengths), size)]
    return len(lengths) / sum(len(b) / b.sum() for b in batches)


def rest_kept(lengths, size):
    batches = [lengths[i : i + size] for i in range(0, len(lengths), size)]
    w = np.concatenate([np.full(len(b), 1 / b.sum()) for b in batches])
    return (w * lengths).sum() / w.sum()


def shuffles(lengths, size):
    return by_loop(np.random.default_rng().permutation(lengths), size)


sums = lambda rows: rows.sum(1, keepdims=True)
MIXED_WRONG = [
    (lambda y, n: rows_of(y, n).mean(), "that is the plain mean"),
    (lambda y, n: np.mean(y), "the plain mean, the rest included"),
    (lambda y, n: weighted(rows_of(y, n), 1 / rows_of(y, n)), "by its own tokens"),
    (lambda y, n: 1 / (1 / np.array(y)).mean(), "harmonic mean"),
    (lambda y, n: weighted(rows_of(y, n), sums(rows_of(y, n))), "it is one over them"),
    (lambda y, n: by_loop(sorted(y), n), "sorted first"),
    (lambda y, n: weighted(rows_of(y, n), 1 / rows_of(y, n).max(1, keepdims=True)), "longest"),
    (lambda y, n: weighted(rows_of(y, n).reshape(n, -1).T,
                           1 / sums(rows_of(y, n).reshape(n, -1).T)), "cut into columns"),
    (lambda y, n: weighted(rows_of(y, n).reshape(n, -1),
                           1 / sums(rows_of(y, n).reshape(n, -1))), "there are `size` batches"),
    (rest_kept, "the last, shorter batch is kept"),
    (lambda y, n: (rows_of(y, n) / sums(rows_of(y, n))).sum(), "isn't divided by the sum of w"),
    (lambda y, n: weighted(rows_of(y, n), rows_of(y, n) / sums(rows_of(y, n))), "counted twice"),
    (shuffles, "does it shuffle"),
    (lambda y, n: sums(rows_of(y, n)).mean(), "of a batch; asked is that of a text"),
    (lambda y, n: weighted(rows_of(y, n), 1 / sums(rows_of(y, n)) ** 2), "are squared"),
    (lambda y, n: np.median(rows_of(y, n)), "the median"),
]  # fmt: skip


# ---------------------------------------------------------------- 05.3
def two_masks(model, batch):
    prompt = batch["attention_mask"].bool() & ~batch["response_mask"]
    prompt[:, 0] = False
    with torch.no_grad():
        return tuple(
            -Scorer(model)(**{**batch, "response_mask": mask}).sum().item()
            for mask in (batch["response_mask"], prompt)
        )


def subtracted(model, batch):
    every = batch["attention_mask"].bool()
    every[:, 0] = False
    response = -Scorer(model)(**batch).sum()
    together = -Scorer(model)(**batch | {"response_mask": every}).sum()
    return [response.item(), (together - response).item()]


def by_cross_entropy_sum(model, batch):
    logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    token = F.cross_entropy(
        logits[:, :-1].transpose(1, 2), batch["input_ids"][:, 1:], reduction="none"
    ).detach()
    response = batch["response_mask"][:, 1:]
    prompt = batch["attention_mask"][:, 1:].bool() & ~response
    return torch.stack([token[response].sum(), token[prompt].sum()])


def scored(model, batch, mask, over=lambda nll, mask: nll.sum().item()):
    mask = mask.clone()
    mask[:, 0] = False
    with torch.no_grad():
        return over(-Scorer(model)(**batch | {"response_mask": mask}), mask)


response_of = lambda b: b["response_mask"]
prompt_of = lambda b: b["attention_mask"].bool() & ~b["response_mask"]
every_of = lambda b: b["attention_mask"].bool()


def pair(first=response_of, second=prompt_of, **keywords):
    return lambda m, b: (scored(m, b, first(b), **keywords), scored(m, b, second(b), **keywords))


def in_place(model, batch):
    found = two_masks(model, batch)
    batch["response_mask"][:] = prompt_of(batch)
    return found


PROMPT_WRONG = [
    (pair(second=every_of), "holds the response as well"),
    (pair(second=lambda b: ~b["response_mask"]), "padding is scored with the prompt"),
    (pair(second=lambda b: every_of(b) | True), "prompt, response and padding"),
    (pair(first=every_of), "the first number holds everything"),
    (pair(over=lambda nll, mask: nll.mean().item()), "a mean over texts"),
    (pair(over=lambda nll, mask: (nll.sum() / mask.sum()).item()), "a mean over tokens"),
    (pair(over=lambda nll, mask: (nll / mask.sum(1)).mean().item()), "by its own tokens"),
    (pair(over=lambda nll, mask: -nll.sum().item()), "the sign is turned"),
    (pair(over=lambda nll, mask: nll), "one number a text"),
    (pair(prompt_of, response_of), "changed places"),
    (lambda m, b: Scorer(m)(**b | {"response_mask": every_of(b)}), "the first token of a row"),
    (lambda m, b: -Scorer(m)(**b).sum().item(), "one number"),
    (in_place, "changes its argument `batch`"),
    (pair(second=every_of, over=lambda nll, mask: -nll.sum().item()), "First"),
]

RIGHT = {
    "05.0": [by_cross_entropy, row_by_row, with_logsumexp,
             lambda lo, i, m: nll(lo.float(), i, m).sum(1)],
    "05.1": [(PP, MORE, NATS), (2.85, 10.5, 2.09),
             {"perplexity": PP, "per_cent_more": MORE, "nats_a_reply": NATS}],
    "05.2": [by_loop, by_harmonic_mean, in_torch],
    "05.3": [two_masks, subtracted, by_cross_entropy_sum],
}  # fmt: skip
WRONG = {
    "05.0": KEY_WRONG,
    "05.1": PERPLEXITY_WRONG,
    "05.2": MIXED_WRONG,
    "05.3": PROMPT_WRONG,
}
for number, more in ch05b.WRONG.items():
    WRONG[number] = [*WRONG[number], *more]
