"""What is in a preference file: counts, lengths, duplicates, contradictions, tokens lost.

It reads row by row, and keeps some twenty bytes of each.
"""

import json
from array import array
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import numpy as np

from ..data import KEYS, DataError, Report, kind_of, scan
from ..tokens import Example, encode, fit, prompt_ids, unknown_tokens
from .findings import Finding

# one response over three times as long as the other, and 20 words or more longer
LENGTH_RATIO, LENGTH_WORDS = 3, 20
PART = 1 << 16  # rows compared at once
AGAIN = "duplicate of an earlier row"
TURNED = "contradicts an earlier row (the same texts, the other way round)"
STRANGE = "over a tenth of its tokens are unknown to this tokenizer"
UNKNOWN = 0.1  # share of a row's tokens that may be unknown without a word


WARNED = (  # words of a warning -> its finding; whether it's a problem where most rows are so
    ("contradicts an", "contradictions", False),
    ("duplicate of", "duplicates", False),
    ("begins with the prompt", "prompt_repeated", True),
    ("no white space", "no_space", False),
    ("lower score", "scores_disagree", True),
    ("equal scores", "scores_disagree", True),
    ("tokens are unknown", "unknown_tokens", True),
)


@dataclass
class FileCheck:
    """The findings: errors and warnings by line; lengths of texts by key, in words or tokens."""

    kind: str
    report: Report
    unit: str = "words"
    lengths: dict[str, array] = field(default_factory=dict)
    tokens_lost: int = 0
    unknown: array = field(default_factory=lambda: array("Q", [0, 0]))  # tokens: unknown, all
    example: str = ""  # of a row whose tokens are unknown

    def __str__(self) -> str:
        out = [str(self.report)]
        for key, values in self.lengths.items():
            if len(values):
                n = np.frombuffer(values, values.typecode)
                middle, most = np.percentile(n, (50, 95))
                told = f"mean {n.mean():.1f}, median {middle:.4g}, 95th percentile {most:.4g}"
                out.append(f"  {key:10s} {self.unit}: {told}, longest {n.max()}")
        if self.kind == "pairs" and self.report.rows:
            chosen, rejected = (np.array(self.lengths[k]) for k in ("chosen", "rejected"))
            gap = f"{chosen.mean() - rejected.mean():+.1f} {self.unit} on average"
            longer = f"the chosen is longer in {(chosen > rejected).mean():.0%}"
            out.append(f"  chosen minus rejected: {gap}; {longer}")
        if self.unit == "tokens":
            out.append(f"  prompt tokens lost to truncation: {self.tokens_lost}")
        return "\n".join(out)


class Seen:
    """What each row is about, eight bytes a row: a hash, and in its last bit which way round."""

    def __init__(self):
        self.hashes, self.lines = array("Q"), array("I")

    def add(self, row: dict, kind: str, number: int) -> None:
        """Remember a row."""
        sides = [_text_of(row[key]) for key in KEYS[kind] if key != "label"]
        turned, about = int(row.get("label", False)), sides
        if kind == "pairs":
            turned, about = int(sides[1] > sides[2]), [sides[0], *sorted(sides[1:])]
        digest = blake2b("\0".join(about).encode(), digest_size=8).digest()
        self.hashes.append(int.from_bytes(digest, "big") & ~1 | turned)
        self.lines.append(number)

    def tell(self, report: Report) -> None:
        """Duplicates of an earlier row, and rows that turn one round, as warnings."""
        if not self.hashes:
            return
        hashes = np.frombuffer(self.hashes, np.uint64)
        ordered = hashes | np.uint64(1)  # without the way round
        ordered.sort()
        twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
        del ordered  # only what stands twice is looked at row by row
        first: dict[int, int] = {}
        for start in range(0, len(hashes) if len(twice) else 0, PART):
            part = hashes[start : start + PART]
            near = twice[np.searchsorted(twice, part | np.uint64(1)).clip(max=len(twice) - 1)]
            for at in np.flatnonzero(near == part | np.uint64(1)).tolist():
                code, line = int(part[at]), self.lines[start + at]
                before = first.get(code | 1)
                first.setdefault(code | 1, code)
                if before is not None:
                    report.warning(line, AGAIN if before == code else TURNED)


def check_file(
    path: str | Path, kind: str | None = None, tokenizer=None, max_length: int | None = None
) -> FileCheck:
    """Read a whole file and report on it.

    With a tokenizer, lengths are tokens and truncation to `max_length` is counted. DataError if the
    file can't be read; bad rows are findings, not exceptions.
    """
    asked, kind = kind, kind or kind_of(path)
    report = Report(str(path))
    found = FileCheck(kind, report, "tokens" if tokenizer else "words")
    texts = [key for key in KEYS[kind] if key != "label"]
    found.lengths = {key: array("I") for key in texts}
    seen = Seen()
    for number, row, reason in scan(path, asked, report):
        if row is None:
            report.error(number, reason)
            continue
        try:
            if tokenizer:
                lengths = _token_lengths(found, row, texts, number, tokenizer, max_length)
            else:
                lengths = _word_lengths(row, texts)
        except DataError as error:
            report.error(number, str(error))
            continue
        report.rows += 1
        for key, length in lengths.items():
            found.lengths[key].append(length)
        if kind == "pairs":
            _compare_lengths(lengths, report, number)
        seen.add(row, kind, number)
    seen.tell(report)
    return found


def _compare_lengths(lengths: dict[str, int], report: Report, number: int) -> None:
    a, b = sorted((lengths["chosen"], lengths["rejected"]))
    if b > LENGTH_RATIO * a and b - a >= LENGTH_WORDS:
        report.warning(number, "one response is over three times as long as the other")


def _text_of(value: str | list[dict]) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _word_lengths(row: dict, texts: list[str]) -> dict[str, int]:
    whole = {
        k: row[k] if isinstance(row[k], str) else " ".join(m["content"] for m in row[k])
        for k in texts
    }
    return {k: len(text.split()) for k, text in whole.items()}


def _token_lengths(
    found: FileCheck, row: dict, texts: list[str], number: int, tokenizer, max_length
) -> dict[str, int]:
    if texts == ["prompt"]:
        ids = prompt_ids(tokenizer, row["prompt"])
        _count_unknown(found, [Example(tuple(ids), len(ids))], number, tokenizer)
        return {"prompt": len(ids)}
    whole = encode(tokenizer, row["prompt"], *(row[key] for key in texts[1:]))
    if len(whole) == 2 and whole[0].ids == whole[1].ids:
        raise DataError("chosen and rejected are the same tokens")
    lost = whole[0].prompt_length - fit(whole, max_length)[0].prompt_length if max_length else 0
    if lost:
        found.tokens_lost += lost
        found.report.warning(
            number, f"the prompt is cut at its beginning to fit into {max_length} tokens"
        )
    _count_unknown(found, whole, number, tokenizer)
    return {"prompt": whole[0].prompt_length} | {
        key: e.response_length for key, e in zip(texts[1:], whole, strict=True)
    }


def _count_unknown(found: FileCheck, whole: list, number: int, tokenizer) -> None:
    many, total = unknown_tokens(tokenizer, whole)
    found.unknown[0] += many
    found.unknown[1] += total
    if many > UNKNOWN * total:
        found.report.warning(number, STRANGE)
        found.example = found.example or f"{found.report.unit} {number}: {many} of {total}"


def check_data(path: str | Path) -> list[Finding]:
    """The findings of `check_file`, read as causes of what a run on this file will show."""
    return findings_of(check_file(path))


def findings_of(checked: FileCheck) -> list[Finding]:
    """What a file's check means for a run."""
    report, found = checked.report, []
    if report.left_out:
        reason, n = report.left_out.most_common(1)[0]
        told = f"{report.left_out.total()} rows can't be used: {reason} ({report.where(reason, n)})"
        found.append(Finding("bad_rows", told))
    elif not report.rows:
        found.append(Finding("no_rows", f"{report.path} holds no rows"))
    found += _warned(checked)
    if checked.kind == "pairs" and report.rows >= 50:
        longer = np.array(checked.lengths["chosen"]) > np.array(checked.lengths["rejected"])
        if longer.mean() > 0.6:
            told = f"the chosen response is longer in {longer.mean():.0%}"
            found.append(Finding("length_bias", told, "certain", "note"))
    return found


def _warned(checked: FileCheck) -> list[Finding]:
    """Warnings of the report that mean something for a run; a problem where most rows have one."""
    report, found = checked.report, []
    told = [
        (code, serious, reason, n)
        for words, code, serious in WARNED
        for reason, n in report.warnings.items()
        if words in reason
    ]
    for code, serious, reason, n in told:
        most = 2 * sum(m for other, *_, m in told if other == code) > report.rows
        seen = f"{n} of {report.rows} rows: {reason} ({report.where(reason, n)})"
        if code == "unknown_tokens":
            seen += f"; {checked.example} tokens unknown"
        found.append(Finding(code, seen, level="problem" if serious and most else "note"))
    return found
