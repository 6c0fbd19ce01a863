"""What is in a preference file: counts, lengths, duplicates, contradictions, tokens lost.

Reads line by line.
"""

import json
from array import array
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from pathlib import Path

import numpy as np

from ..data import KEYS, DataError, Report, scan
from .findings import Finding

# one response over three times as long as the other, and 20 words or more longer
LENGTH_RATIO, LENGTH_WORDS = 3, 20


@dataclass
class FileCheck:
    """The findings: errors and warnings by line; lengths of texts by key, in words or tokens."""

    kind: str
    report: Report
    unit: str = "words"
    lengths: dict[str, array] = field(default_factory=dict)
    tokens_lost: int = 0

    def __str__(self) -> str:
        out = [str(self.report)]
        for key, values in self.lengths.items():
            ordered = sorted(values)
            if ordered:
                middle, most = ordered[len(ordered) // 2], ordered[int(0.95 * (len(ordered) - 1))]
                told = f"mean {sum(ordered) / len(ordered):.1f}, median {middle}"
                told = f"{told}, 95 % below {most}, longest {ordered[-1]}"
                out.append(f"  {key:10s} {self.unit}: {told}")
        rows = self.report.rows
        if self.kind == "pairs" and rows:
            chosen, rejected = self.lengths["chosen"], self.lengths["rejected"]
            longer = sum(a > b for a, b in zip(chosen, rejected, strict=True)) / rows
            gap = f"{(sum(chosen) / rows) - (sum(rejected) / rows):+.1f} {self.unit} on average"
            out.append(f"  chosen minus rejected: {gap}; the chosen is longer in {longer:.0%}")
        if self.unit == "tokens":
            out.append(f"  prompt tokens lost to truncation: {self.tokens_lost}")
        return "\n".join(out)


def guess_kind(path: str | Path) -> str:
    """The kind that most of the first 50 lines can be read as; "pairs" if none can."""
    usable = {
        kind: sum(row is not None for _, row, _ in islice(scan(path, kind, Report()), 50))
        for kind in KEYS
    }
    return max(usable, key=usable.get)  # labels stand before texts, whose keys they hold too


def check_file(
    path: str | Path, kind: str | None = None, tokenizer=None, max_length: int | None = None
) -> FileCheck:
    """Read a whole file and report on it.

    With a tokenizer, lengths are tokens and truncation to `max_length` is counted. DataError if the
    file can't be read; bad rows are findings, not exceptions.
    """
    kind = kind or guess_kind(path)
    report = Report(str(path))
    found = FileCheck(kind, report, "tokens" if tokenizer else "words")
    texts = [key for key in KEYS[kind] if key != "label"]
    found.lengths = {key: array("L") for key in texts}
    seen: dict[int, int] = {}  # hash of what a row is about -> which way round it was
    for number, row, reason in scan(path, kind, report):
        if row is None:
            report.error(number, reason)
            continue
        try:
            lengths = (
                _token_lengths(found, row, texts, number, tokenizer, max_length)
                if tokenizer
                else _word_lengths(row, texts)
            )
        except DataError as error:
            report.error(number, str(error))
            continue
        report.rows += 1
        for key, length in lengths.items():
            found.lengths[key].append(length)
        _compare(row, kind, lengths, seen, report, number)
    return found


def _compare(
    row: dict, kind: str, lengths: dict, seen: dict[int, int], report: Report, number: int
) -> None:
    sides = [json.dumps(row[key], sort_keys=True) for key in KEYS[kind] if key != "label"]
    if kind == "pairs":
        turned, about = int(sides[1] > sides[2]), [sides[0], *sorted(sides[1:])]
    else:
        turned, about = int(row.get("label", False)), sides
    key = int.from_bytes(blake2b("\0".join(about).encode(), digest_size=8).digest(), "big")
    before = seen.get(key)
    seen.setdefault(key, turned)
    if before == turned:
        report.warning(number, "duplicate of an earlier row")
    elif before is not None:
        report.warning(number, "contradicts an earlier row (the same texts, the other way round)")
    if kind == "pairs":
        a, b = sorted((lengths["chosen"], lengths["rejected"]))
        if b > LENGTH_RATIO * a and b - a >= LENGTH_WORDS:
            report.warning(number, "one response is over three times as long as the other")


def _word_lengths(row: dict, texts: list[str]) -> dict[str, int]:
    whole = {
        k: row[k] if isinstance(row[k], str) else " ".join(m["content"] for m in row[k])
        for k in texts
    }
    return {k: len(text.split()) for k, text in whole.items()}


def _token_lengths(
    found: FileCheck, row: dict, texts: list[str], number: int, tokenizer, max_length
) -> dict[str, int]:
    from ..tokens import encode, fit, prompt_ids

    if texts == ["prompt"]:
        return {"prompt": len(prompt_ids(tokenizer, row["prompt"]))}
    whole = encode(tokenizer, row["prompt"], *(row[key] for key in texts[1:]))
    lost = whole[0].prompt_length - fit(whole, max_length)[0].prompt_length if max_length else 0
    if lost:
        found.tokens_lost += lost
        found.report.warning(
            number, f"the prompt is cut at its beginning to fit into {max_length} tokens"
        )
    return {"prompt": whole[0].prompt_length} | {
        key: e.response_length for key, e in zip(texts[1:], whole, strict=True)
    }


def check_data(path: str | Path) -> list[Finding]:
    """The findings of `check_file`, read as causes of what a run on this file will show."""
    report = (checked := check_file(path)).report
    found = []
    if report.left_out:
        found.append(
            Finding(
                "bad_rows",
                f"{report.left_out.total()} rows can't be used ({next(iter(report.left_out))})",
            )
        )
    for words, code in (("contradicts", "contradictions"), ("duplicate", "duplicates")):
        n = sum(count for reason, count in report.warnings.items() if words in reason)
        if n:
            found.append(Finding(code, f"{n} of {report.rows} rows: {words}", level="note"))
    if checked.kind == "pairs" and report.rows >= 50:
        longer = np.array(checked.lengths["chosen"]) > np.array(checked.lengths["rejected"])
        if longer.mean() > 0.6:
            found.append(
                Finding(
                    "length_bias",
                    f"the chosen response is longer in {longer.mean():.0%}",
                    "certain",
                    "note",
                )
            )
    return found
