"""05.3: what prompts would cost if they were in the loss."""

import math
from functools import lru_cache

import torch

from ...logprobs import token_logps
from .functions import Function
from .worked import Lazy


@lru_cache(8)  # a search asks the same model for the same batch many times
def _logps(model, ids, attention_mask):
    with torch.no_grad():
        return token_logps(model(ids, attention_mask=attention_mask).logits, ids)


def both(model, batch, *, prompt="prompt", response="response", over="sum", sign=1, end="pair"):
    """Loss on the responses and on the prompts of a batch, two sums in nats."""
    response_mask, there = batch["response_mask"], batch["attention_mask"].bool()
    nll = -sign * _logps(model, batch["input_ids"], batch["attention_mask"])
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
    many = [masks[0].sum(), masks[1].sum()]
    n, bits = len(nll), math.log(2)
    pair = {"pair": (first, second), "minus second": (first, -second), "bits": (
                first / bits, second / bits), "minus first": (-first, second),
            "first per text": (first / n, second), "second per text": (first, second / n),
            "first per token": (first / many[0], second), "second per token": (
                first, second / many[1]), "whole first": (first + second, first),
            "whole last": (second, first + second), "whole": (first + second, second),
            "less": (first, first - second), "first twice": (first, first),
            "second twice": (second, second), "chances": ((-first).exp(), (-second).exp()),
            "tokens": tuple(many), "part": (first, second / (first + second)),
            "per cent": (first, 100 * second / (first + second)),
            "over first": (first, second / first * 100), "half": (first / 2, second / 2),
            "other shares": (many[0] / sum(many), many[1] / sum(many)),
            "perplexities": ((first / many[0]).exp(), (second / many[1]).exp()),
            "share": (first / (first + second), second / (first + second)),
            "quotient": (first, second / first), "turned": (second, first),
            "difference": (first, second - first)}[end]  # fmt: skip
    return tuple(value.tolist() for value in pair)


@lru_cache(8)
def _unshifted_logps(model, ids, attention_mask):
    with torch.no_grad():
        logps = model(ids, attention_mask=attention_mask).logits.log_softmax(-1)
    return logps.gather(-1, ids[..., None]).squeeze(-1)


def _misplaced(model, batch, *, skip: int, logits: bool):
    """The logits not shifted, or the masks not; the prompt counted from place `skip` on."""
    args = model, batch["input_ids"], batch["attention_mask"]
    nll = -_unshifted_logps(*args) if logits else -_logps(*args)
    response, there = batch["response_mask"].bool(), batch["attention_mask"].bool()
    late = torch.arange(there.shape[1]) >= skip
    masks = [mask[:, : nll.shape[1]] for mask in (response, there & ~response & late)]
    return tuple((nll * mask).sum().item() for mask in masks)


def _one_skipped(model, batch):
    """The prompt from its third token on; the second is the first that can be scored."""
    first, second = both(model, batch)
    args = model, batch["input_ids"], batch["attention_mask"]
    return first, second + _logps(*args)[:, 0].sum().item()


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


ENDS = {
    "bits": "those are in bits, a logarithm to base 2; ours are natural.",
    "minus second": "only the second number has its sign turned: both are losses.",
    "minus first": "only the first number has its sign turned: both are losses.",
    "first per text": "the first number is a mean over texts; asked are sums.",
    "second per text": "the second number is a mean over texts; asked are sums.",
    "first per token": "the first number is a mean over tokens; asked are sums.",
    "second per token": "the second number is a mean over tokens; asked are sums.",
    "whole first": "first stands the whole, then the response: asked are response and prompt.",
    "whole last": "first stands the prompt, then the whole: asked are response and prompt.",
    "whole": "the first number holds everything, prompt and response.",
    "less": "the prompt's loss is subtracted from the response's; asked is itself.",
    "first twice": "both numbers are the response's; the second is asked for the prompt.",
    "second twice": "both numbers are the prompt's; the first is asked for the response.",
    "chances": "those are probabilities; the loss is minus their logarithm.",
    "tokens": "those are numbers of tokens; asked are their nats.",
    "part": "the second number is the prompt's share; asked are nats.",
    "per cent": "the second number is a share in per cent; asked are nats.",
    "over first": "the second is given in per cent of the first; asked are nats.",
    "half": "both are halved.",
    "other shares": "those are shares of the tokens; asked are their nats.",
    "perplexities": "those are perplexities; asked are sums in nats.",
}


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
        *(("the logits are not shifted: position t predicts token t + 1.",
           lambda *c, skip=skip: _misplaced(*c, skip=skip, logits=True)) for skip in (0, 1)),
        *(("the tokens are shifted and the masks are not: each mask lies a place off.",
           lambda *c, skip=skip: _misplaced(*c, skip=skip, logits=False)) for skip in (0, 1)),
        ("the prompt's second token is missing: it is the first that has one before it.",
         _one_skipped),
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
        *((why, _as(end=end)) for end, why in ENDS.items()),
        ("the response is subtracted once too often.", _as(end="difference")),
    ],
    shows="A model that never learned to ask pays much for the prompt, so scored prompts would take"
    " much of every gradient.",
    rtol=1e-3,
    common=False,
)  # fmt: skip
