"""From rows to tensors: tokenise a prompt and a response, mark what is scored, pad."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .data import DataError, Report
from .turns import after, end_of_text, end_of_turn, has_ended, ids_of, is_rendered, render

IGNORES_TEMPLATE = "plain strings, so the model's chat template is not used (messages would use it)"


@dataclass(frozen=True)
class Example:
    """One tokenised text: `prompt_length` ids of the prompt, then the response with its end."""

    ids: tuple[int, ...]
    prompt_length: int

    @property
    def response_length(self) -> int:
        return len(self.ids) - self.prompt_length


def prompt_ids(tokenizer, prompt) -> list[int]:
    """Token ids of a prompt, with BOS, once, where the tokenizer uses one, and never empty."""
    if not isinstance(prompt, str):
        return ids_of(tokenizer, render(tokenizer, prompt, add_generation_prompt=True))
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    begun = bos is not None and prompt.startswith(tokenizer.bos_token)  # rendered beforehand
    ids = ids_of(tokenizer, prompt, special=not begun)
    if ids and ids[-1] == eos != bos:
        ids.pop()  # some tokenizers end every text; a prompt goes on
    return ids or [bos if bos is not None else end_of_text(tokenizer)[0]]


def _response_ids(tokenizer, text: str) -> list[int]:
    """A response that is text: its end is appended, but for one that it has already."""
    ids = ids_of(tokenizer, text)
    if has_ended(tokenizer, ids):
        return ids
    if text[-1:].isspace():  # templates write a newline after the end of a turn
        shorter = ids_of(tokenizer, text.rstrip())
        if has_ended(tokenizer, shorter):
            return shorter
    return [*ids, *end_of_text(tokenizer)]


def _turn_ids(tokenizer, prompt: list[dict], response: list[dict], begin: str) -> list[int]:
    """A response that is messages, as the template writes it after `begin`, up to its end."""
    whole = render(tokenizer, prompt + response)
    if not whole.startswith(begin):
        raise DataError(
            "this chat template changes the prompt when a response follows; "
            "give plain strings instead"
        )
    text, written = whole[len(begin) :], after(tokenizer, prompt)
    if written and text.endswith(written):
        # the newline after the end of a turn is not part of the response
        text = text[: len(text) - len(written)] + written.rstrip()
    ids = ids_of(tokenizer, text)
    if written.strip() and text.endswith(written.rstrip()):
        return ids
    return ids if has_ended(tokenizer, ids) else [*ids, *end_of_turn(tokenizer, prompt)]


def _messages(text: str | list[dict], role: str) -> list[dict]:
    return [{"role": role, "content": text}] if isinstance(text, str) else text


def encode(tokenizer, prompt, *responses) -> list[Example]:
    """Tokenise a prompt and its responses apart, as generation does, and join them.

    A response ends once: messages where the chat template ends a turn, strings with the end of
    text. If one of the texts is messages, all are: a prompt that is a string becomes the user's, a
    response the assistant's.
    """
    if all(isinstance(text, str) for text in (prompt, *responses)):
        start = prompt_ids(tokenizer, prompt)
        texts = [_response_ids(tokenizer, r) for r in responses]
    else:
        prompt = _messages(prompt, "user")
        begin = render(tokenizer, prompt, add_generation_prompt=True)
        start = ids_of(tokenizer, begin)
        turns = [_messages(r, "assistant") for r in responses]
        texts = [_turn_ids(tokenizer, prompt, turn, begin) for turn in turns]
    return [Example(tuple(start + ids), len(start)) for ids in texts]


def fit(examples: list[Example], max_length: int) -> list[Example]:
    """The examples of one row within `max_length` tokens: the prompt loses its beginning.

    The same tokens go for all of them. DataError if a response leaves no room for a prompt: a
    response is never cut.
    """
    longest = max(e.response_length for e in examples)
    cut = max(examples[0].prompt_length + longest - max_length, 0)
    if cut >= examples[0].prompt_length:
        raise DataError(
            f"the response has {longest} tokens, which leaves no room for a prompt in {max_length}"
        )
    return [Example(e.ids[cut:], e.prompt_length - cut) for e in examples]


def encode_rows(
    tokenizer, rows: list[dict], max_length: int | None = None, skip_bad: bool = False
) -> tuple[list[tuple], Report]:
    """Examples of each row, and a report of what did not fit.

    (chosen, rejected) for pairs, (completion,) otherwise. A prompt that is too long loses its
    beginning (a warning); a response that is too long, or a pair whose sides are the same tokens,
    raises DataError, or with `skip_bad` leaves the row out. The report counts rows, not lines.
    """
    report = Report("tokens")
    numbered = enumerate(rows, start=1)
    out = [found for _, found in encode_each(tokenizer, numbered, report, max_length, skip_bad)]
    report.rows = len(out)
    return out, report


def encode_each(
    tokenizer,
    rows: Iterable[tuple[int, dict]],
    report: Report,
    max_length: int | None = None,
    skip_bad: bool = False,
    place: str = "row",
) -> Iterator[tuple[int, tuple[Example, ...]]]:
    """(number, examples) of each numbered row that can be used, one at a time, as `encode_rows`.

    `place` is what the numbers count: rows, or the lines of a file.
    """
    noted, strange, counts = False, [], [0, 0]
    for i, row in rows:
        try:
            whole, fitted = _encode_row(tokenizer, row, max_length)
        except DataError as error:
            if not skip_bad:
                told = f"{place} {i}: {error} (skip_bad, --skip-bad, leaves such rows out)"
                raise DataError(told) from None
            report.error(i, str(error))
            continue
        if fitted[0].prompt_length < whole[0].prompt_length:
            report.warning(i, f"the prompt is cut at its beginning to fit into {max_length} tokens")
        if not noted and _ignores_template(tokenizer, row):
            report.warning(i, IGNORES_TEMPLATE)
            noted = True
        unknown, total = unknown_tokens(tokenizer, whole)
        if unknown > 0.1 * total:
            strange.append(i)
            counts = [counts[0] + unknown, counts[1] + total]
        yield i, fitted
    for i in strange:
        report.warning(i, f"{counts[0]} of {counts[1]} tokens unknown to this tokenizer")


def _encode_row(tokenizer, row: dict, max_length: int | None) -> tuple[list, tuple[Example, ...]]:
    """The examples of a row, as they are and within `max_length`."""
    keys = ("chosen", "rejected") if "chosen" in row else ("completion",)
    whole = encode(tokenizer, row["prompt"], *(row[key] for key in keys))
    if len(whole) == 2 and whole[0].ids == whole[1].ids:
        raise DataError("chosen and rejected are the same tokens")
    return whole, tuple(fit(whole, max_length) if max_length else whole)


def _ignores_template(tokenizer, row: dict) -> bool:
    """Whether a row is plain strings, though the tokenizer has a chat template."""
    if not tokenizer.chat_template:
        return False
    texts = [row[key] for key in ("prompt", "chosen", "rejected", "completion") if key in row]
    plain = all(isinstance(text, str) for text in texts)
    return plain and not any(is_rendered(tokenizer, text) for text in texts)


def unknown_tokens(tokenizer, examples: Sequence[Example]) -> tuple[int, int]:
    """How many tokens of a row's examples the tokenizer does not know, and how many there are.

    The prompt counts once. None are unknown to a tokenizer that goes down to bytes.
    """
    start = examples[0].ids[: examples[0].prompt_length]
    parts = [start, *(e.ids[e.prompt_length :] for e in examples)]
    total, unknown = sum(map(len, parts)), tokenizer.unk_token_id
    if unknown is None or unknown in (tokenizer.eos_token_id, tokenizer.bos_token_id):
        return 0, total
    return sum(part.count(unknown) for part in parts), total


def collate(
    examples: list[Example], pad_id: int, side: str = "right", device: torch.device | str = "cpu"
) -> dict[str, Tensor]:
    """A batch of B examples, padded to one width T on one side, on a device.

    input_ids (B, T) int64, attention_mask (B, T) int64, response_mask (B, T) bool.
    """
    width = max(len(e.ids) for e in examples)
    shape = (len(examples), width)
    batch = {
        "input_ids": torch.full(shape, pad_id, dtype=torch.long, device="cpu"),
        "attention_mask": torch.zeros(shape, dtype=torch.long, device="cpu"),
        "response_mask": torch.zeros(shape, dtype=torch.bool, device="cpu"),
    }
    for i, e in enumerate(examples):
        offset = width - len(e.ids) if side == "left" else 0
        end = offset + len(e.ids)
        batch["input_ids"][i, offset:end] = torch.tensor(e.ids, device="cpu")
        batch["attention_mask"][i, offset:end] = 1
        batch["response_mask"][i, offset + e.prompt_length : end] = True
    return {key: tensor.to(device) for key, tensor in batch.items()}
