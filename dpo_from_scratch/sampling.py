"""Batched sampling from a language model with a key-value cache."""

from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from .data import DataError
from .models import device_of, length_limit, pad_id, positions, read, takes
from .tokens import Example, prompt_ids
from .turns import stops


@dataclass(frozen=True)
class Sample:
    """A sampled response: its prompt, its text, and its tokens, the end included.

    `finished` if it ended by itself; the end is then its last token.
    """

    prompt: str | list
    text: str
    example: Example
    finished: bool


@torch.no_grad()
def sample(
    model: nn.Module,
    tokenizer,
    prompts: list,
    *,
    temperature: float = 1.0,
    max_new_tokens: int | None = None,
    batch_size: int = 256,
    seed: int = 0,
    progress: bool = False,
) -> list[Sample]:
    """One response for each prompt, in their order; repeat a prompt to get more.

    A response ends at the tokenizer's end of text, at every id of the model's generation
    configuration, and, where a prompt of the call is messages, at the end of a turn as the chat
    template writes it. Temperature 0 is greedy. `max_new_tokens` defaults to what the model's
    context leaves, at most 256. Same seed, same batch size: same texts. ValueError for a negative
    temperature or a prompt that fills the context; DataError for logits that are not finite.
    """
    if temperature < 0 or (max_new_tokens is not None and max_new_tokens < 1):
        given = f"{temperature}, {max_new_tokens}"
        raise ValueError(f"temperature must be 0 or more, max_new_tokens 1 or more, not {given}")
    ids = [prompt_ids(tokenizer, p) for p in prompts]
    new = min(max_new_tokens or 256, _room(model, ids))
    generator = torch.Generator(device_of(model)).manual_seed(seed)
    endings, pad = stops(model, tokenizer, prompts), pad_id(tokenizer)
    was_training, starts, out = model.training, range(0, len(ids), batch_size), []
    model.eval()
    try:
        for start in tqdm(starts, desc="sampling", disable=not progress, leave=False):
            part = slice(start, start + batch_size)
            drawn = _continue(model, ids[part], pad, endings, new, temperature, generator)
            for prompt, begin, row in zip(prompts[part], ids[part], drawn.tolist(), strict=True):
                out.append(_sample_of(tokenizer, prompt, begin, row, endings))
    finally:
        model.train(was_training)
    return out


def _sample_of(tokenizer, prompt, begin: list[int], row: list[int], endings: list) -> Sample:
    """A row of drawn tokens, up to the first end in it."""
    found = [
        (at + len(end), len(end))
        for end in endings
        for at in range(len(row) - len(end) + 1)
        if tuple(row[at : at + len(end)]) == end
    ]
    stop, length = min(found, default=(len(row), 0))
    text = tokenizer.decode(row[: stop - length], skip_special_tokens=True)
    example = Example(tuple(begin + row[:stop]), len(begin))
    return Sample(prompt, text, example, bool(found))


def _room(model: nn.Module, prompts: list[list[int]]) -> int:
    """Tokens that the context leaves beside the longest prompt; ValueError if it leaves none."""
    context = length_limit(model) or 10**9
    longest = max((len(p) for p in prompts), default=0)
    if longest >= context:
        raise ValueError(f"a prompt of {longest} tokens fills the model's context of {context}")
    return context - longest


def _continue(
    model: nn.Module,
    prompts: list[list[int]],
    pad: int,
    endings: list[tuple[int, ...]],
    new: int,
    temperature: float,
    generator: torch.Generator,
) -> Tensor:
    """Tokens (B, up to `new`) after prompts that are padded on the left, to end in one column."""
    way = _cached if takes(model, "past_key_values") else _uncached
    drawing = way(model, prompts, pad)
    done = torch.zeros(len(prompts), dtype=torch.bool, device=device_of(model))
    out, token = [], None
    while len(out) < new and not done.all():
        logits = drawing.send(token)
        if not logits.max(-1).values.isfinite().all():
            raise DataError("the model gives logits that are nan or inf: its weights are damaged")
        token = next_token(logits, temperature, generator)
        out.append(token)
        for end in endings:
            if len(end) <= len(out):
                last = zip(out[-len(end) :], end, strict=True)
                done = done | torch.stack([t == i for t, i in last]).all(0)
    return torch.stack(out, dim=-1)


def _cached(
    model: nn.Module, prompts: list[list[int]], pad: int
) -> Generator[Tensor, Tensor, None]:
    """Logits (B, V) of the next token; takes the tokens (B,) that were drawn from them.

    Prompts are padded on the left, to end in one column.
    """
    device, width = device_of(model), max(map(len, prompts))
    ids = torch.tensor([[pad] * (width - len(p)) + p for p in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)
    cache, position = None, positions(mask)
    while True:
        result = read(model, ids, mask, position, past_key_values=cache, use_cache=True)
        cache = result.past_key_values
        if cache is None:
            yield from _uncached(model, prompts, pad)
        token = yield result.logits[:, -1]
        ids, position = token.unsqueeze(-1), position[:, -1:] + 1
        mask = torch.cat([mask, torch.ones_like(ids)], dim=-1)


def _uncached(
    model: nn.Module, prompts: list[list[int]], pad: int
) -> Generator[Tensor, Tensor, None]:
    """The same for a model with another memory than keys and values, such as Mamba or RWKV.

    It reads the whole text for every token, padded on the right, which no model looks at.
    """
    device, rows = device_of(model), [list(p) for p in prompts]
    while True:
        width, last = max(map(len, rows)), torch.tensor([len(r) - 1 for r in rows], device=device)
        ids = torch.tensor([r + [pad] * (width - len(r)) for r in rows], device=device)
        mask = (torch.arange(width, device=device) <= last[:, None]).long()
        result = read(model, ids, mask, positions(mask), use_cache=False)
        token = yield result.logits[torch.arange(len(rows), device=device), last]
        rows = [[*r, t] for r, t in zip(rows, token.tolist(), strict=True)]


def next_token(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """Draw a token (B,) from softmax(logits / temperature), (B, V); at 0 the largest."""
    if temperature == 0:
        return logits.argmax(-1)
    probs = (logits.float() / temperature).softmax(-1)
    return torch.multinomial(probs, 1, generator=generator).squeeze(-1)
