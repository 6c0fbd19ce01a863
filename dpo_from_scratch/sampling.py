"""Batched sampling from a language model with a key-value cache."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from .models import context_length, device_of, pad_id, positions
from .tokens import Example, prompt_ids


@dataclass(frozen=True)
class Sample:
    """A sampled response: its prompt, its text, and its tokens, EOS included if `finished`."""

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

    Temperature 0 is greedy. `max_new_tokens` defaults to what the model's context leaves, at most
    256. Same seed, same batch size: same texts. ValueError for a negative temperature or a prompt
    that fills the context.
    """
    if temperature < 0 or (max_new_tokens is not None and max_new_tokens < 1):
        given = f"{temperature}, {max_new_tokens}"
        raise ValueError(f"temperature must be 0 or more, max_new_tokens 1 or more, not {given}")
    ids = [prompt_ids(tokenizer, p) for p in prompts]
    new = min(max_new_tokens or 256, _room(model, ids))
    generator = torch.Generator(device_of(model)).manual_seed(seed)
    was_training, starts, out = model.training, range(0, len(ids), batch_size), []
    model.eval()
    for start in tqdm(starts, desc="sampling", disable=not progress, leave=False):
        part = slice(start, start + batch_size)
        tokens = _continue(model, tokenizer, ids[part], new, temperature, generator)
        for prompt, begin, row in zip(prompts[part], ids[part], tokens.tolist(), strict=True):
            finished = tokenizer.eos_token_id in row
            response = row[: row.index(tokenizer.eos_token_id) + 1] if finished else row
            text = tokenizer.decode(response, skip_special_tokens=True)
            out.append(Sample(prompt, text, Example(tuple(begin + response), len(begin)), finished))
    model.train(was_training)
    return out


def _room(model: nn.Module, prompts: list[list[int]]) -> int:
    """Tokens that the context leaves beside the longest prompt; ValueError if it leaves none."""
    context = context_length(model) or 10**9
    longest = max((len(p) for p in prompts), default=0)
    if longest >= context:
        raise ValueError(f"a prompt of {longest} tokens fills the model's context of {context}")
    return context - longest


def _continue(
    model: nn.Module,
    tokenizer,
    prompts: list[list[int]],
    new: int,
    temperature: float,
    generator: torch.Generator,
) -> Tensor:
    """Tokens (B, up to `new`) after prompts that are padded on the left, to end in one column."""
    eos, pad, device = tokenizer.eos_token_id, pad_id(tokenizer), device_of(model)
    width = max(map(len, prompts))
    ids = torch.tensor([[pad] * (width - len(p)) + p for p in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)
    done = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    cache, out, position = None, [], positions(mask)
    while len(out) < new and not done.all():
        result = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=position,
            past_key_values=cache,
            use_cache=True,
        )
        cache = result.past_key_values
        token = next_token(result.logits[:, -1], temperature, generator)
        out.append(token)
        done = done | (token == eos)
        ids, position = token.unsqueeze(-1), position[:, -1:] + 1
        mask = torch.cat([mask, torch.ones_like(ids)], dim=-1)
    return torch.stack(out, dim=-1)


def next_token(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """Draw a token (B,) from softmax(logits / temperature), (B, V); at 0 the largest."""
    if temperature == 0:
        return logits.argmax(-1)
    probs = (logits.float() / temperature).softmax(-1)
    return torch.multinomial(probs, 1, generator=generator).squeeze(-1)
