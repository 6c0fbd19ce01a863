"""Logits of the next token of several texts, a token at a time, for the texts that go on.

Both ways are generators: they give logits (B, V), are sent the tokens (B,) that were drawn from
them and the numbers of the texts that go on, and give the logits of those.
"""

from collections.abc import Generator

import torch
from torch import Tensor, nn

from .models import device_of, positions, read, takes

Logits = Generator[Tensor, tuple[Tensor, list[int]], None]


def next_logits(model: nn.Module, texts: list[list[int]], pad: int, share: bool = True) -> Logits:
    """The logits after B texts of token ids, with the model's cache where it has one that serves.

    With `share` equal texts are read once, and texts that end can leave; without it all must stay.
    """
    if takes(model, "past_key_values"):
        return _with_cache(model, texts, pad, share)
    return _without_cache(model, texts, pad)


def _with_cache(model: nn.Module, texts: list[list[int]], pad: int, share: bool) -> Logits:
    """Keys and values of what was read are kept. Texts are padded on the left to end together."""
    distinct = list(dict.fromkeys(map(tuple, texts))) if share else [tuple(t) for t in texts]
    device, width = device_of(model), max(map(len, distinct))
    ids = torch.tensor([[pad] * (width - len(t)) + list(t) for t in distinct], device=device)
    mask = torch.tensor([[0] * (width - len(t)) + [1] * len(t) for t in distinct], device=device)
    last = {"logits_to_keep": 1} if share and takes(model, "logits_to_keep") else {}
    position = positions(mask)
    result = read(model, ids, mask, position, use_cache=True, **last)
    cache, logits = getattr(result, "past_key_values", None), result.logits[:, -1]
    if share and cache is not None:
        number = {text: i for i, text in enumerate(distinct)}
        copies = [number[tuple(text)] for text in texts]
        try:
            logits, mask, position = _rows(cache, copies, logits, mask, position)
        except (AttributeError, IndexError, NotImplementedError, TypeError):
            cache = None  # it is of another kind, whose rows can't be picked
    if cache is None:
        yield from _without_cache(model, texts, pad)
    while True:
        tokens, stay = yield logits
        if len(stay) < len(tokens):
            tokens, mask, position = _rows(cache, stay, tokens, mask, position)
        ids, position = tokens.unsqueeze(-1), position[:, -1:] + 1
        mask = torch.cat([mask, torch.ones_like(ids)], dim=-1)
        result = read(model, ids, mask, position, past_key_values=cache, use_cache=True)
        cache, logits = result.past_key_values, result.logits[:, -1]


def _rows(cache, rows: list[int], *tensors: Tensor) -> list[Tensor]:
    """These rows of the tensors and, in place, of the cache: fewer than there are, or copies.

    `reorder_cache` is what every cache of transformers has for beams.
    """
    index = torch.tensor(rows, device=tensors[0].device)
    cache.reorder_cache(index)
    return [tensor[index] for tensor in tensors]


def _without_cache(model: nn.Module, texts: list[list[int]], pad: int) -> Logits:
    """For a model with another memory than keys and values, such as Mamba or RWKV.

    It reads the whole text for every token, padded on the right, which no model looks at.
    """
    device = device_of(model)
    while True:
        width, last = max(map(len, texts)), torch.tensor([len(t) - 1 for t in texts], device=device)
        ids = torch.tensor([[*t, *[pad] * (width - len(t))] for t in texts], device=device)
        mask = (torch.arange(width, device=device) <= last[:, None]).long()
        result = read(model, ids, mask, positions(mask), use_cache=False)
        tokens, stay = yield result.logits[torch.arange(len(texts), device=device), last]
        drawn = tokens.tolist()
        texts = [[*texts[i], drawn[i]] for i in stay]
