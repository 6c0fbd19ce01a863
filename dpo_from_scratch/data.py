"""Preference records: read, check, convert; then tokenise, mask and pad.

Files are JSON Lines (optionally .gz), in the keys that TRL and the `datasets` library use:
pairs `prompt, chosen, rejected` (+ `probability` that chosen is preferred), labels `prompt, completion, label`,
texts `prompt, completion`. A text is a string or a list of {"role", "content"} messages.
HH-RLHF transcripts (`chosen`, `rejected` only; arXiv 2204.05862) are split at the last assistant turn.
"""

import gzip
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor

KEYS = {"pairs": ("prompt", "chosen", "rejected"), "labels": ("prompt", "completion", "label"), "texts": ("prompt", "completion")}
ROLES = ("system", "user", "assistant", "tool")
HH_TURN = "\n\nAssistant:"


class DataError(ValueError):
    """A row, file or example that can't be used; the message says where, what, and what to do."""


def data_path(name: str = "") -> Path:
    """Path of a file that the book ships: beside the package in a checkout, inside it when installed from a wheel."""
    here = Path(str(files("dpo_from_scratch")))
    for folder in (here / "shipped", here.parent / "data"):
        if (folder / "README.md").exists() and (folder / name).exists():
            return folder / name
    raise DataError(f"the book ships no {name!r} (looked in {here / 'shipped'} and {here.parent / 'data'})")


# ---------------------------------------------------------------- rows


@dataclass
class Report:
    """What reading a file found: `rows` used, and `problems`: reason -> how many rows were left out, with first lines."""

    path: str = ""
    rows: int = 0
    problems: Counter = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)  # the first few, as "line N: reason"

    def add(self, line: int, reason: str) -> None:
        self.problems[reason] += 1
        if len(self.examples) < 20:
            self.examples.append(f"line {line}: {reason}")

    def __str__(self) -> str:
        left_out = "".join(f"\n  left out {n}: {reason}" for reason, n in self.problems.most_common())
        return f"{self.path}: {self.rows} rows used, {sum(self.problems.values())} left out{left_out}"


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
        yield from enumerate(file, start=1)


def read_rows(path: str | os.PathLike, kind: str = "pairs", skip_bad: bool = False) -> tuple[list[dict], Report]:
    """Rows of one kind ("pairs", "labels", "texts") in normal form, and a report.

    A row that can't be used raises DataError with file, line and reason; `skip_bad=True` counts it in the report instead.
    """
    path, rows, report = Path(path), [], Report(str(path))
    if kind not in KEYS:
        raise DataError(f"kind is one of {', '.join(KEYS)}, not {kind!r}")
    if not path.is_file():
        raise DataError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}; give a JSON Lines file")
    try:
        for number, line in _lines(path):
            if line.strip():
                try:
                    rows.append(check_row(_parse(line), kind))
                except DataError as error:
                    if not skip_bad:
                        raise DataError(f"{path}, line {number}: {error} (skip_bad, --skip-bad, leaves such rows out)") from None
                    report.add(number, str(error))
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: can't be read to its end ({error})") from None
    report.rows = len(rows)
    if not rows:
        raise DataError(f"{path}: holds no usable row of {', '.join(KEYS[kind])}")
    return rows, report


def _parse(line: bytes) -> dict:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise DataError("not UTF-8") from None
    except (json.JSONDecodeError, RecursionError):
        raise DataError("not JSON (each line must hold one JSON object)") from None
    if not isinstance(row, dict):
        raise DataError(f"a JSON {type(row).__name__}, not an object with keys")
    return row


def check_row(row: dict, kind: str = "pairs") -> dict:
    """The row in normal form; DataError with the reason if it can't be used."""
    if kind == "pairs" and "prompt" not in row and "chosen" in row and "rejected" in row:
        row = {**row, **_split_transcripts(row["chosen"], row["rejected"])}
    missing = [key for key in KEYS[kind] if row.get(key) is None]
    if missing:
        raise DataError(f"no {', '.join(repr(k) for k in missing)}; {kind} need {', '.join(KEYS[kind])}")
    out = {"prompt": _check_text(row["prompt"], "prompt")}
    for key in KEYS[kind][1:]:
        if key == "label":
            if not isinstance(row["label"], bool):
                raise DataError(f"label must be true or false, not {row['label']!r}")
            out["label"] = row["label"]
        else:
            out[key] = _check_response(row[key], key)
    if kind == "pairs" and out["chosen"] == out["rejected"]:
        raise DataError("chosen and rejected are the same")
    if kind == "pairs" and row.get("probability") is not None:
        p = row["probability"]
        if isinstance(p, bool) or not isinstance(p, int | float) or not 0 <= p <= 1:
            raise DataError(f"probability must be a number from 0 to 1, not {p!r}")
        out["probability"] = float(p)
    return out


def _check_text(value, key: str):
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value:
        raise DataError(f"{key} must be a string or a list of messages, not {type(value).__name__}")
    for message in value:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str) or "role" not in message:
            raise DataError(f'{key} holds something that is not a {{"role", "content"}} message')
        if message["role"] not in ROLES:
            raise DataError(f"{key} has the unknown role {message['role']!r} (known: {', '.join(ROLES)})")
    return value


def _check_response(value, key: str):
    """A response: text, or messages whose last is the assistant's (earlier ones repeat the prompt and are dropped)."""
    value = _check_text(value, key)
    if isinstance(value, list):
        if value[-1]["role"] != "assistant":
            raise DataError(f"{key} does not end with an assistant's turn")
        value = value[-1:]
    if not (value if isinstance(value, str) else value[0]["content"]).strip():
        raise DataError(f"{key} is empty")
    return value


def _split_transcripts(chosen, rejected) -> dict:
    """Prompt and responses of two transcripts that differ in their last assistant turn only."""
    if isinstance(chosen, list) and isinstance(rejected, list) and chosen and rejected:
        prompt, other, responses = chosen[:-1], rejected[:-1], (chosen[-1:], rejected[-1:])
    elif isinstance(chosen, str) and isinstance(rejected, str):
        if HH_TURN not in chosen or HH_TURN not in rejected:
            raise DataError("no 'prompt', and no assistant turn to split at")
        (prompt, _, a), (other, _, b) = chosen.rpartition(HH_TURN), rejected.rpartition(HH_TURN)
        prompt, other, responses = prompt + HH_TURN, other + HH_TURN, (a, b)
    else:
        raise DataError("chosen and rejected must both be strings or both be lists of messages")
    if prompt != other:
        raise DataError("chosen and rejected answer different prompts")
    return {"prompt": prompt, "chosen": responses[0], "rejected": responses[1]}


def write_rows(path: str | os.PathLike, rows: list[dict]) -> None:
    """Write rows as JSON Lines, UTF-8."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


# ---------------------------------------------------------------- tokens


@dataclass(frozen=True)
class Example:
    """One tokenised text: `ids`, of which the first `prompt_length` are the prompt and the rest the response with EOS."""

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
        start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        return ids or [start]
    if not tokenizer.chat_template:
        raise DataError("these rows hold messages, but the tokenizer has no chat template; use a chat model or plain strings")
    return list(tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=False))


def _response_ids(tokenizer, prompt, response) -> list[int]:
    eos = tokenizer.eos_token_id
    if isinstance(response, str):
        ids = list(tokenizer(response, add_special_tokens=False)["input_ids"])
        return ids if ids and ids[-1] == eos else [*ids, eos]
    start = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False)
    whole = tokenizer.apply_chat_template(prompt + response, tokenize=False)
    if not whole.startswith(start):
        raise DataError("this chat template changes the prompt when a response follows; give plain strings instead")
    ids = list(tokenizer(whole[len(start) :], add_special_tokens=False)["input_ids"])
    if eos in ids:  # templates write a newline after the end of a turn; it is not part of the response
        ids = ids[: len(ids) - ids[::-1].index(eos)]
    return ids if ids[-1] == eos else [*ids, eos]


def encode(tokenizer, prompt, response, max_length: int | None = None) -> Example:
    """Tokenise a prompt and a response apart, as generation does, and join them; EOS ends the response, once.

    Over `max_length` tokens, the prompt loses its beginning. DataError if the response alone does not fit: it is
    never cut unseen.
    """
    if isinstance(response, list) and isinstance(prompt, str):
        prompt = [{"role": "user", "content": prompt}]
    start, end = prompt_ids(tokenizer, prompt), _response_ids(tokenizer, prompt, response)
    if max_length is not None and len(start) + len(end) > max_length:
        room = max_length - len(end)
        if room < 1:
            raise DataError(f"the response has {len(end)} tokens, which leaves no room for a prompt in {max_length}")
        start = start[-room:]
    return Example(tuple(start + end), len(start))


def encode_rows(tokenizer, rows: list[dict], max_length: int | None = None, skip_bad: bool = False) -> tuple[list[tuple], Report]:
    """Examples of each row: (chosen, rejected) for pairs, (completion,) otherwise; rows too long as `encode` says."""
    out, report = [], Report("tokens")
    for i, row in enumerate(rows):
        keys = ("chosen", "rejected") if "chosen" in row else ("completion",)
        try:
            out.append(tuple(encode(tokenizer, row["prompt"], row[key], max_length) for key in keys))
        except DataError as error:
            if not skip_bad:
                raise DataError(f"row {i + 1}: {error} (skip_bad, --skip-bad, leaves such rows out)") from None
            report.add(i + 1, str(error))
    report.rows = len(out)
    return out, report


def collate(examples: list[Example], pad_id: int, side: str = "right") -> dict[str, Tensor]:
    """input_ids (B, T) int64, attention_mask (B, T) int64 and response_mask (B, T) bool of B examples, padded on one side."""
    width = max(len(e.ids) for e in examples)
    batch = {
        "input_ids": torch.full((len(examples), width), pad_id, dtype=torch.long),
        "attention_mask": torch.zeros(len(examples), width, dtype=torch.long),
        "response_mask": torch.zeros(len(examples), width, dtype=torch.bool),
    }
    for i, e in enumerate(examples):
        offset = width - len(e.ids) if side == "left" else 0
        batch["input_ids"][i, offset : offset + len(e.ids)] = torch.tensor(e.ids)
        batch["attention_mask"][i, offset : offset + len(e.ids)] = 1
        batch["response_mask"][i, offset + e.prompt_length : offset + len(e.ids)] = True
    return batch
