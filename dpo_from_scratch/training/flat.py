"""Tokenised rows in flat files: ids of all texts, where each text ends, how long its prompt is."""

from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np

from ..data import Report
from ..data.stored import MANY, files, mapped, noted, remember, stored
from ..tokens import Example
from ..turns import render

KINDS = {"ids": np.int32, "ends": np.int64, "prompts": np.int32, "rows": np.int64}


class StoredExamples(Mapping):
    """Row number -> its examples, in the order of the rows, read from the disk as asked for."""

    def __init__(self, folder: Path):
        found = {name: mapped(folder / name, kind) for name, kind in KINDS.items()}
        self.ids, self.ends, self.prompts, self.rows = found.values()
        self.texts = len(self.ends) // len(self.rows)  # of a row

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[int]:
        return map(int, self.rows)

    def __getitem__(self, row: int) -> tuple[Example, ...]:
        at = int(np.searchsorted(self.rows, row))
        if at == len(self.rows) or self.rows[at] != row:
            raise KeyError(row)
        return tuple(self._text(at * self.texts + i) for i in range(self.texts))

    def _text(self, at: int) -> Example:
        start, end = int(self.ends[at - 1]) if at else 0, int(self.ends[at])
        return Example(tuple(self.ids[start:end].tolist()), int(self.prompts[at]))


def examples_of(
    picked,
    encode: Callable[[Report], Iterator[tuple[int, tuple[Example, ...]]]],
    report: Report,
    rows,
    tokenizer,
    limit: int | None,
) -> Mapping[int, tuple[Example, ...]]:
    """The examples of the picked rows: in memory, or from MANY on in files that are made once.

    `encode(report)` gives them in order. Files are found again by rows, tokenizer, chat template
    (and what it writes today), limit, and which rows were picked.
    """
    in_memory = lambda: dict(zip(picked, (found for _, found in encode(report)), strict=True))
    if len(picked) < MANY or not getattr(tokenizer, "is_fast", False):
        return in_memory()

    def make(folder: Path) -> dict:
        end = 0
        with files(**{name: (folder / name, kind) for name, kind in KINDS.items()}) as out:
            for row, (_, texts) in zip(picked, encode(report), strict=True):
                out["rows"].add(row)
                for text in texts:
                    end += len(text.ids)
                    out["ids"].add(text.ids)
                    out["ends"].add(end)
                    out["prompts"].add(text.prompt_length)
        return noted(report)

    numbers = sha256(np.fromiter(picked, np.int64, len(picked)).tobytes()).hexdigest()
    found = stored(["tokens", key_of(rows), key_of_tokenizer(tokenizer), str(limit), numbers], make)
    if found is None:
        remember(report, noted(Report(report.path, unit=report.unit)))
        return in_memory()
    remember(report, found[1])
    return StoredExamples(found[0])


def key_of(rows) -> str:
    """What tells these rows from others: what they were stored under, or a hash of all of them."""
    if hasattr(rows, "key"):
        return rows.key
    digest = sha256()
    for row in rows:
        digest.update(repr(row).encode("utf-8", errors="replace"))
    return digest.hexdigest()


def key_of_tokenizer(tokenizer) -> str:
    """A hash of all that decides a text's ids; a template may write the date, so it is asked."""
    turns = [{"role": "user", "content": "?"}]
    template = tokenizer.chat_template
    parts = [tokenizer.backend_tokenizer.to_str(), str(tokenizer.special_tokens_map), str(template)]
    parts += [render(tokenizer, turns, add_generation_prompt=True)] if template else []
    return sha256("\n".join(parts).encode("utf-8", errors="replace")).hexdigest()
