"""From rows to tensors: tokenise a prompt and a response, mark what is scored, pad."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .data import DataError, Report


@dataclass(frozen=True)
class Example:
    """One tokenised text: `prompt_length` ids of the prompt, then the response with EOS."""

    ids: tuple[int, ...]
    prompt_length: int

    @property
    def response_length(self) -> int:
        return len(self.ids) - self.prompt_length


def prompt_ids(tokenizer, prompt) -> list[int]:
    """Token ids of a prompt, with BOS where the tokenizer uses one, and never empty."""
    if isinstance(prompt, str):
        ids = list(tokenizer(prompt)["input_ids"])
        if ids and ids[-1] == tokenizer.eos_token_id != tokenizer.bos_token_id:
            ids.pop()  # some tokenizers end every text; a prompt goes on
        start = (
            tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        )
        return ids or [start]
    if not tokenizer.chat_template:
        raise DataError(
            "these rows hold messages, but the tokenizer has no chat template; "
            "use a chat model or plain strings"
        )
    return list(
        tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=False)
    )


def _response_ids(tokenizer, prompt, response) -> list[int]:
    eos = tokenizer.eos_token_id
    if isinstance(response, str):
        ids = list(tokenizer(response, add_special_tokens=False)["input_ids"])
        return ids if ids and ids[-1] == eos else [*ids, eos]
    start = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False)
    whole = tokenizer.apply_chat_template(prompt + response, tokenize=False)
    if not whole.startswith(start):
        raise DataError(
            "this chat template changes the prompt when a response follows; "
            "give plain strings instead"
        )
    ids = list(tokenizer(whole[len(start) :], add_special_tokens=False)["input_ids"])
    # templates write a newline after the end of a turn; it is not part of the response
    if eos in ids:
        ids = ids[: len(ids) - ids[::-1].index(eos)]
    return ids if ids[-1] == eos else [*ids, eos]


def encode(tokenizer, prompt, *responses) -> list[Example]:
    """Tokenise a prompt and its responses apart, as generation does, and join them.

    EOS ends a response, once.
    """
    if isinstance(responses[0], list) and isinstance(prompt, str):
        prompt = [{"role": "user", "content": prompt}]
    start = prompt_ids(tokenizer, prompt)
    return [
        Example(tuple(start + _response_ids(tokenizer, prompt, r)), len(start)) for r in responses
    ]


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
    beginning (a warning); a response that is too long raises DataError, or with `skip_bad` leaves
    the row out. The report counts rows, not lines.
    """
    out, report = [], Report("tokens")
    for i, row in enumerate(rows, start=1):
        keys = ("chosen", "rejected") if "chosen" in row else ("completion",)
        try:
            whole = encode(tokenizer, row["prompt"], *(row[key] for key in keys))
            fitted = fit(whole, max_length) if max_length else whole
        except DataError as error:
            if not skip_bad:
                raise DataError(
                    f"row {i}: {error} (skip_bad, --skip-bad, leaves such rows out)"
                ) from None
            report.error(i, str(error))
            continue
        if fitted[0].prompt_length < whole[0].prompt_length:
            report.warning(i, f"the prompt is cut at its beginning to fit into {max_length} tokens")
        out.append(tuple(fitted))
    report.rows = len(out)
    return out, report


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
