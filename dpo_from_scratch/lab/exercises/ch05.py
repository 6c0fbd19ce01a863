"""Chapter 05's exercises: the loss of SFT, perplexity, mixed batches, the prompt in the loss."""

import math
from functools import cache

import numpy as np
import torch

from .ch05_functions import KEY, MIXED
from .functions import Function
from .worked import Lazy, worked


# ---------------------------------------------------------------- 05.1, perplexity
@cache
def _grammar() -> tuple[float, float, float]:
    """Entropy and mean length of the grammar, and the harmonic mean of its lengths, roughly."""
    from ... import world

    grammar = world.REVIEWS.policy(world.prompts()[0])
    drawn = world.REVIEWS.sample(world.prompts()[0], 2000, seed=9)
    harmonic = 1 / np.mean([1 / (len(text.split()) + 1) for text in drawn])
    return grammar.entropy, grammar.mean_length, float(harmonic)


def perplexity(*, grammar="right", more="per cent", reply="length"):
    """The grammar's perplexity, and what a tenth of a nat a token does."""
    H, length, harmonic = _grammar()
    floor, gap = H / length, 0.1
    return {
        "perplexity": {
            "right": math.exp(floor), "nats": floor, "base 2": 2**floor, "turned": math.exp(-floor),
            "base 10": 10**floor, "harmonic": math.exp(H / harmonic), "bits": floor / math.log(2),
            "with gap": math.exp(floor + gap), "no eos": math.exp(H / (length - 1)),
            "words": 135.0, "entropy": H, "e to bits": math.exp(floor / math.log(2)),
        }[grammar],
        "per_cent_more": {
            "per cent": 100 * math.expm1(gap), "factor": math.exp(gap), "share": math.expm1(gap),
            "of the old": 100 * math.exp(gap), "apart": math.exp(floor) * math.expm1(gap),
            "linear": 100 * gap, "fall": 100 * -math.expm1(-gap), "loss": 100 * gap / floor,
            "base 2": 100 * (2**gap - 1), "new": math.exp(floor + gap), "apart %":
            100 * math.exp(floor) * math.expm1(gap), "base 10": 100 * (10**gap - 1),
        }[more],
        "nats_a_reply": {
            "length": gap * length, "token": gap, "factor": math.exp(gap * length),
            "entropy": gap * H, "harmonic": gap * harmonic, "twenty": 2.0, "whole": H,
            "over": gap / length, "likelier": math.exp(-gap * length), "no eos": gap * (length - 1),
            "total": H + gap * length, "perplexity": math.expm1(gap) * length,
        }[reply],
    }  # fmt: skip


PERPLEXITY = worked(
    perplexity,
    [
        ("those are the nats a token; perplexity is e to them.", {"grammar": "nats"}),
        ("the base is 2; nats go with e.", {"grammar": "base 2"}),
        ("the base is 10; nats go with e.", {"grammar": "base 10"}),
        ("that is one over the perplexity, the mean probability of a token.",
         {"grammar": "turned"}),
        ("those are bits a token; perplexity is a power.", {"grammar": "bits"}),
        ("e is raised to bits; bits go with 2, nats with e.", {"grammar": "e to bits"}),
        ("that is the entropy of a reply; perplexity is asked by the token.",
         {"grammar": "entropy"}),
        ("the entropy is divided by the harmonic mean of the lengths; asked is by the usual one.",
         {"grammar": "harmonic"}),
        ("that is the model's perplexity, above the floor; asked is the grammar's.",
         {"grammar": "with gap"}),
        ("the end of text is a token as well: the mean length counts it.", {"grammar": "no eos"}),
        ("that is a uniform guess among all tokens.", {"grammar": "words"}),
        ("that is a factor; asked is by how many per cent it is more.", {"more": "factor"}),
        ("that is a share; asked are per cent.", {"more": "share"}),
        ("that is the new in per cent of the old; asked is how many per cent come on top.",
         {"more": "of the old"}),
        ("that is the difference of the two perplexities; asked is in per cent of the first.",
         {"more": "apart"}),
        ("that is the difference of the two perplexities, times a hundred; divide it by the first.",
         {"more": "apart %"}),
        ("that is the nats in per cent: e to a tenth is a little more than one and a tenth.",
         {"more": "linear"}),
        ("that is how far the grammar's is below the model's, the wrong base of the per cent.",
         {"more": "fall"}),
        ("that is by how many per cent the loss grows; asked is the perplexity.",
         {"more": "loss"}),
        ("the base is 2; nats go with e.", {"more": "base 2"}),
        ("the base is 10; nats go with e.", {"more": "base 10"}),
        ("that is the new perplexity itself; asked is how many per cent it is more.",
         {"more": "new"}),
        ("those are the nats a token; asked is for a whole reply.", {"reply": "token"}),
        ("that is a factor of probability; asked are nats.", {"reply": "factor"}),
        ("that is a factor of probability; asked are nats.", {"reply": "likelier"}),
        ("the gap is multiplied by the entropy of a reply; it counts once for each token.",
         {"reply": "entropy"}),
        ("that is for the harmonic mean of the lengths; asked is the usual one.",
         {"reply": "harmonic"}),
        ("that is for 20 tokens; the mean length is a little more.", {"reply": "twenty"}),
        ("that is the entropy of a reply, the floor; asked is what comes on top.",
         {"reply": "whole"}),
        ("that is the floor and what comes on top of it; asked is the latter.",
         {"reply": "total"}),
        ("the gap is divided by the length; it comes once for each token.", {"reply": "over"}),
        ("the end of text is a token as well: the mean length counts it.", {"reply": "no eos"}),
        ("the growth of the perplexity is multiplied by the length; nats are asked, and they add.",
         {"reply": "perplexity"}),
    ],
    shows="A tenth of a nat a token looks small in perplexity, and is two nats a reply: rather look"
    " at nats, which add up.",
    rtol=0.004,
)  # fmt: skip


# ---------------------------------------------------------------- 05.3, the prompt in the loss
def both(model, batch, *, prompt="prompt", response="response", over="sum", sign=1, end="pair"):
    """Loss on the responses and on the prompts of a batch, two sums in nats."""
    from ...logprobs import token_logps

    response_mask, there = batch["response_mask"], batch["attention_mask"].bool()
    with torch.no_grad():
        logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        nll = -sign * token_logps(logits, batch["input_ids"])
    before = torch.cat([response_mask[:, 1:], 0 * response_mask[:, :1]], 1).bool()
    marks = {
        "prompt": there & ~response_mask, "all": there, "padding": ~response_mask,
        "everything": there | True, "response": response_mask,
        "longer": (there & ~response_mask) | (response_mask & ~(before & response_mask)),
        "to the last": response_mask & before, "shorter": there & ~response_mask & ~before,
        "first": response_mask & ~torch.cat([0 * before[:, :1], response_mask[:, :-1]], 1).bool(),
    }  # fmt: skip
    masks = [marks[name][:, 1:].double() for name in (response, prompt)]
    rows = [(nll * mask).sum(1) for mask in masks]
    found = {
        "sum": lambda row, mask: row.sum(), "texts": lambda row, mask: row.mean(),
        "tokens": lambda row, mask: row.sum() / mask.sum(), "rows": lambda row, mask: row,
        "own": lambda row, mask: (row / mask.sum(1)).mean(),
        "all": lambda row, mask: row.sum() / sum(masks).sum(),
        "places": lambda row, mask: row.sum() / mask.numel(),
    }[over]  # fmt: skip
    first, second = (found(row, mask) for row, mask in zip(rows, masks, strict=True))
    pair = {"pair": (first, second), "share": (first / (first + second), second / (first + second)),
            "quotient": (first, second / first), "turned": (second, first),
            "difference": (first, second - first)}[end]  # fmt: skip
    return tuple(value.tolist() for value in pair)


def _as(**keywords):
    return lambda *case: both(*case, **keywords)


def _models() -> list[dict]:
    """A small GPT-2 with random weights, large ones, and three batches of reviews."""
    from ... import world
    from ...tokens import collate, encode_rows
    from ...world.tiny import new_tiny_model, review_tokenizer

    tokenizer, cases = review_tokenizer(), []
    with torch.random.fork_rng():
        model = new_tiny_model(tokenizer, layers=1, width=16, seed=1).eval()
    with torch.no_grad():
        model.transformer.wte.weight.mul_(40)  # so that tokens differ in what they cost
    texts = world.make_texts(12, split="train", seed=5)
    examples = [example for (example,) in encode_rows(tokenizer, texts)[0]]
    for part in (examples[:4], examples[4:7], examples[7:]):
        cases.append({"model": model, "batch": collate(part, tokenizer.pad_token_id)})
    return cases


PROMPT = Function(
    both,
    Lazy(_models),
    switches={
        "prompt": ("all", "the second number holds the response as well: prompt and response"
                   " together."),
        "over": ("tokens", "that is a mean over tokens; asked are sums over the batch."),
        "sign": (-1, "the sign is turned: those are log-probabilities; the loss is minus them."),
        "end": ("turned", "the two have changed places: first the responses, then the prompts."),
    },
    wrongs=[
        ("padding is scored with the prompt.", _as(prompt="padding")),
        ("the second number holds everything: prompt, response and padding.",
         _as(prompt="everything")),
        ("the first token of the response is counted with the prompt, too.", _as(prompt="longer")),
        ("the last token of the prompt is missing.", _as(prompt="shorter")),
        ("the first number holds everything, prompt and response.", _as(response="all")),
        ("the response's last token, end of text, is missing.", _as(response="to the last")),
        ("that is a mean over texts; asked are sums over the batch.", _as(over="texts")),
        ("that is one number a text; asked is their sum.", _as(over="rows")),
        ("each text is divided by its own tokens; asked are sums.", _as(over="own")),
        ("both are divided by all tokens; asked are sums.", _as(over="all")),
        ("that is a mean over all places, padding included; asked are sums.", _as(over="places")),
        ("those are shares of the whole; asked are nats.", _as(end="share")),
        ("the second is divided by the first; asked are nats.", _as(end="quotient")),
        ("the response is subtracted once too often.", _as(end="difference")),
    ],
    shows="A model that never learned to ask pays much for the prompt, so scored prompts would take"
    " much of every gradient.",
    rtol=1e-3,
    common=False,
)  # fmt: skip

EXERCISES = {"05.0": KEY, "05.1": PERPLEXITY, "05.2": MIXED, "05.3": PROMPT}
