"""Sampling from a language model: which token is drawn, and where a response ends.

The logits come from next_logits.py. A draw belongs to a seed, a row and a position, whatever else
is in the batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from .data import DataError
from .models import device_of, length_limit, pad_id
from .next_logits import next_logits
from .tokens import Example, prompt_ids
from .turns import is_rendered, stops

STREAMS = ("row", "batch")


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
    rows: Sequence[int] | None = None,
    stream: str = "row",
) -> list[Sample]:
    """One response for each prompt, in their order; repeat a prompt to get more.

    A response ends at the tokenizer's end of text, at every id of the model's generation
    configuration, and, where its prompt is messages, at the end of a turn as the chat template
    writes it; or after `max_new_tokens`, by default what the model's context leaves behind its
    prompt, at most 256. Temperature 0 is greedy.

    Token t of row i is drawn with uniform numbers u(seed, i, t) that nothing else decides: other
    batches, or the rows alone, give the same texts. `rows` are the numbers of the rows, by default
    0, 1, ... Batches of another shape change logits in the last digits, and thereby, with SmolLM2
    in float32, fewer than one draw in 40,000; bf16 promises nothing.

    `stream="batch"` draws as it was done before rows had draws of their own, from one generator for
    the whole call: the same texts for the same seed, prompts and batch size, and for no others.

    ValueError for a negative temperature, a prompt that fills the context, an unknown stream, or
    not one number for each row; DataError for logits that are not finite.
    """
    rows, by_row = range(len(prompts)) if rows is None else rows, stream == "row"
    _check(temperature, max_new_tokens, stream, len(prompts), rows)
    texts = _begun(model, tokenizer, prompts, max_new_tokens or 256, seed, rows, by_row)
    batches = _alike(texts, batch_size) if by_row else _in_order(texts, batch_size)
    draw = _from_rows(temperature) if by_row else _from_one(temperature, device_of(model), seed)
    was_training, pad = model.training, pad_id(tokenizer)
    model.eval()
    try:
        for batch in tqdm(batches, desc="sampling", disable=not progress, leave=False):
            _write(model, batch, pad, draw, leave=by_row)
    finally:
        model.train(was_training)
    return [text.sample(tokenizer, p) for text, p in zip(texts, prompts, strict=True)]


def stream_of(record: dict | None) -> str:
    """The stream of a run, by what it recorded when it began; None: it begins now.

    A run that recorded none was begun before there was one for each row.
    """
    return "row" if record is None else record.get("stream", "batch")


def _check(temperature: float, new: int | None, stream: str, n: int, rows: Sequence) -> None:
    if temperature < 0 or (new is not None and new < 1):
        given = f"{temperature}, {new}"
        raise ValueError(f"temperature must be 0 or more, max_new_tokens 1 or more, not {given}")
    if stream not in STREAMS:
        raise ValueError(f"stream is one of {', '.join(STREAMS)}, not {stream!r}")
    if len(rows) != n:
        raise ValueError(f"rows must be {n} numbers, one for each prompt, not {len(rows)}")


# ---------------------------------------------------------------- what is written
@dataclass
class _Text:
    """A response that is being written."""

    prompt: list[int]
    ends: list[tuple[int, ...]]
    most: int  # tokens
    key: tuple[int, int]  # seed, number of the row
    drawn: list[int] = field(default_factory=list)
    end: int = 0  # tokens of the end, once it has come

    @property
    def done(self) -> bool:
        return bool(self.end) or len(self.drawn) >= self.most

    @cached_property
    def bits(self) -> np.random.Philox:
        """Random bits that seed and row decide; Philox counts, so nobody else moves it on."""
        return np.random.Philox(key=np.array([int(k) % 2**64 for k in self.key], dtype=np.uint64))

    def add(self, token: int) -> None:
        self.drawn.append(token)
        found = [len(end) for end in self.ends if tuple(self.drawn[-len(end) :]) == end]
        self.end = min(found, default=0)

    def sample(self, tokenizer, prompt: str | list) -> Sample:
        written = self.drawn[: len(self.drawn) - self.end]
        text = tokenizer.decode(written, skip_special_tokens=True)
        example = Example((*self.prompt, *self.drawn), len(self.prompt))
        return Sample(prompt, text, example, self.end > 0)


def _begun(
    model: nn.Module,
    tokenizer,
    prompts: list,
    new: int,
    seed: int,
    rows: Sequence[int],
    by_row: bool,
) -> list[_Text]:
    """The texts before the first draw; ValueError where the context leaves no room.

    Where draws are not `by_row`, the whole call has one length and the same ends.
    """
    ids = [prompt_ids(tokenizer, p) for p in prompts]
    context, longest = length_limit(model) or 10**9, max(map(len, ids), default=0)
    if longest >= context:
        raise ValueError(f"a prompt of {longest} tokens fills the model's context of {context}")
    talks = [by_row and (not isinstance(p, str) or is_rendered(tokenizer, p)) for p in prompts]
    kinds = {t: [p for p, of in zip(prompts, talks, strict=True) if of == t] for t in set(talks)}
    ends = {t: stops(model, tokenizer, of) for t, of in kinds.items()}
    room = [min(new, context - (len(i) if by_row else longest)) for i in ids]
    parts = zip(ids, talks, room, rows, strict=True)
    return [_Text(i, ends[t], most, (seed, n)) for i, t, most, n in parts]


def _alike(texts: list[_Text], size: int) -> list[list[_Text]]:
    """Batches of prompts of like length, so that little is padded; equal ones are side by side."""
    out: list[list[_Text]] = []
    for text in sorted(texts, key=lambda text: (len(text.prompt), text.prompt)):
        full = not out or len(out[-1]) >= size
        if full or len(text.prompt) > 2 * len(out[-1][0].prompt) + 32:
            out.append([])
        out[-1].append(text)
    return out


def _in_order(texts: list[_Text], size: int) -> list[list[_Text]]:
    return [texts[start : start + size] for start in range(0, len(texts), size)]


# ---------------------------------------------------------------- writing
Draw = Callable[[Tensor, list[_Text]], Tensor]  # logits (B, V), B texts -> tokens (B,)


def _write(model: nn.Module, live: list[_Text], pad: int, draw: Draw, leave: bool) -> None:
    """Draw tokens until all texts are done; those that are done `leave` the batch at once.

    DataError for logits that are not finite.
    """
    context = length_limit(model) or 10**9
    while live:
        read = [text.prompt + text.drawn for text in live]
        logits, sent = next_logits(model, read, pad, share=leave), None
        for _ in range(context - max(map(len, read))):  # with its padding a row fills it earlier
            tokens = draw(logits.send(sent), live)
            for text, token in zip(live, tokens.tolist(), strict=True):
                if token < 0:
                    raise DataError(
                        "the model gives logits that are nan or inf: its weights are damaged"
                    )
                if not text.done:
                    text.add(token)
            stay = [i for i, text in enumerate(live) if not text.done]
            if not stay:
                return
            stay = stay if leave else list(range(len(live)))
            live, sent = [live[i] for i in stay], (tokens, stay)


def _from_rows(temperature: float) -> Draw:
    """Each text draws with its own numbers."""

    def draw(logits: Tensor, texts: list[_Text]) -> Tensor:
        if temperature == 0:
            largest, token = logits.max(-1)
            return token.where(largest.isfinite(), -1)
        bits = np.stack([text.bits.random_raw(folds(logits.shape[-1])) for text in texts])
        uniform = (bits >> np.uint64(11)) * 2.0**-53  # in [0, 1), with 53 bits
        return next_token(softmax(logits, temperature), uniform)

    return draw


def _from_one(temperature: float, device: torch.device, seed: int) -> Draw:
    """All texts draw from one generator, and those that are done still do."""
    generator = torch.Generator(device).manual_seed(seed)

    def draw(logits: Tensor, texts: list[_Text]) -> Tensor:
        if not logits.max(-1).values.isfinite().all():
            return torch.full((len(texts),), -1, device=device)
        if temperature == 0:
            return logits.argmax(-1)
        odds = softmax(logits, temperature)
        return torch.multinomial(odds, 1, generator=generator).squeeze(-1)

    return draw


def softmax(logits: Tensor, temperature: float) -> Tensor:
    """softmax(logits / temperature), (B, V), in float32 or wider."""
    wide = logits if logits.dtype == torch.float64 else logits.float()
    return (wide / temperature).softmax(-1)


def folds(vocabulary: int) -> int:
    """How often a row of odds is folded in half until one sum is left."""
    return (vocabulary - 1).bit_length()


def next_token(odds: Tensor, uniform: np.ndarray) -> Tensor:
    """Tokens (B,) drawn from odds (B, V) with numbers (B, `folds(V)`) in [0, 1).

    The odds are folded in half, and halves added, until one sum is left. Then every fold is opened,
    and one of its two halves kept, each with its share. Rounding moves a share by some 1e-7, so
    hardly ever a draw. It moves the bounds between V cumulative odds as much, and there every rare
    token is that near to its bounds. In float64; -1 where the odds are not finite.
    """
    device = odds.device
    odds = odds.cpu() if device.type == "mps" else odds  # Apple's GPUs have no float64
    sums = [odds]
    while (n := sums[-1].shape[-1]) > 1:
        half = sums[-1][:, : (n + 1) // 2].to(torch.float64, copy=True)
        half[:, : n // 2] += sums[-1][:, (n + 1) // 2 :]
        sums.append(half)
    token = torch.zeros(len(odds), 1, dtype=torch.long, device=odds.device)
    for u, folded, opened in zip(uniform.T, sums[:0:-1], sums[-2::-1], strict=True):
        share = torch.from_numpy(u.copy()).to(odds.device)[:, None] * folded.gather(1, token)
        token += (share >= opened.gather(1, token)) * folded.shape[-1]
    return token.where(sums[-1].isfinite(), -1).squeeze(-1).to(device)
