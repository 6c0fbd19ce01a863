"""Preference records: read, check, convert.

Files are JSON Lines (optionally .gz), in the keys that TRL and the `datasets` library use: pairs
`prompt, chosen, rejected` (+ `probability` that chosen is preferred), labels `prompt, completion,
label`, texts `prompt, completion`. A text is a string or a list of {"role", "content"} messages.
HH-RLHF transcripts (`chosen`, `rejected` only; arXiv 2204.05862) are split at the last assistant
turn.
"""

import gzip
import json
import os
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

KEYS = {
    "pairs": ("prompt", "chosen", "rejected"),
    "labels": ("prompt", "completion", "label"),
    "texts": ("prompt", "completion"),
    "prompts": ("prompt",),
}
ROLES = ("system", "user", "assistant", "tool")
HH_TURN = "\n\nAssistant:"


class DataError(ValueError):
    """A row, file or example that can't be used; the message says where, what, and what to do."""


def data_path(name: str = "") -> Path:
    """Path of a shipped file: beside the package in a checkout, inside it in a wheel."""
    here = Path(str(files("dpo_from_scratch")))
    for folder in (here / "shipped", here.parent / "data"):
        if (folder / "README.md").exists() and (folder / name).exists():
            return folder / name
    raise DataError(
        f"the book ships no {name!r} (looked in {here / 'shipped'} and {here.parent / 'data'})"
    )


# ---------------------------------------------------------------- rows
@dataclass
class Report:
    """What reading a file found.

    `rows` used, `left_out` and `warnings` reason -> rows, and the first `lines` of each.
    """

    path: str = ""
    rows: int = 0
    left_out: Counter = field(default_factory=Counter)
    warnings: Counter = field(default_factory=Counter)
    lines: dict[str, list[int]] = field(default_factory=dict)

    def error(self, line: int, reason: str) -> None:
        self._add(self.left_out, line, reason)

    def warning(self, line: int, reason: str) -> None:
        self._add(self.warnings, line, reason)

    def _add(self, counts: Counter, line: int, reason: str) -> None:
        counts[reason] += 1
        first = self.lines.setdefault(reason, [])
        if len(first) < 8:
            first.append(line)

    def __str__(self) -> str:
        out = [f"{self.path}: {self.rows} rows used, {self.left_out.total()} left out"]
        for word, counts in (("left out", self.left_out), ("warning", self.warnings)):
            for reason, n in counts.most_common():
                more = ", ..." if n > len(self.lines[reason]) else ""
                out.append(
                    f"  {word} {n}: {reason} (line {', '.join(map(str, self.lines[reason]))}{more})"
                )
        return "\n".join(out)


def read_rows(
    path: str | os.PathLike, kind: str = "pairs", skip_bad: bool = False
) -> tuple[list[dict], Report]:
    """Rows of one kind (of KEYS) in normal form, and a report.

    A row that can't be used raises DataError with file, line and reason; `skip_bad=True` counts it
    in the report instead.
    """
    rows, report = [], Report(str(path))
    for number, row, reason in scan(path, kind, report):
        if row is not None:
            rows.append(row)
        elif skip_bad:
            report.error(number, reason)
        else:
            raise DataError(
                f"{path}, line {number}: {reason} (skip_bad, --skip-bad, leaves such rows out)"
            )
    report.rows = len(rows)
    if not rows:
        raise DataError(f"{path}: holds no usable row of {', '.join(KEYS[kind])}")
    return rows, report


def scan(
    path: str | os.PathLike, kind: str, report: Report
) -> Iterator[tuple[int, dict | None, str | None]]:
    """Each line as (number, row in normal form, None) or (number, None, reason), one at a time.

    Blank lines are passed over. DataError if the file can't be read at all, or not to its end.
    """
    path = Path(path)
    if kind not in KEYS:
        raise DataError(f"kind is one of {', '.join(KEYS)}, not {kind!r}")
    if not path.is_file():
        raise DataError(
            f"{path}: {'is a folder' if path.is_dir() else 'no such file'}; give a JSON Lines file"
        )
    number = 0
    try:
        with open(path, "rb") as probe:
            start = probe.read(4)
        if start == b"PAR1" or start[:2] in (b"PK", b"\xff\xfe", b"\xfe\xff"):
            found = {b"PA": "a Parquet file", b"PK": "a zip archive"}.get(start[:2], "UTF-16 text")
            raise DataError(
                f"{path}, line 1: this is {found}; write it as JSON Lines in UTF-8 first"
            )
        with gzip.open(path) if start[:2] == b"\x1f\x8b" else open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if number == 1 and line.startswith(b"\xef\xbb\xbf"):
                    report.warning(1, "starts with a byte order mark (BOM), which is passed over")
                    line = line[3:]
                if line.strip():
                    try:
                        row = check_row(_parse(line), kind)
                    except DataError as error:
                        yield number, None, str(error)
                    else:
                        yield number, row, None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}, line {number + 1}: can't be read to its end ({error})") from None


def _parse(line: bytes) -> dict:
    if b"\0" in line:
        raise DataError("holds NUL bytes")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 (byte {error.start + 1} of the line)") from None
    try:
        row = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_no_constants)
    except DataError:
        raise
    except (ValueError, RecursionError):  # also numbers of thousands of digits
        kinds = {"[": "a JSON array over several lines?", "{": "broken JSON"}
        hint = kinds.get(text.strip()[:1], "a CSV file?" if "," in text else "plain text?")
        raise DataError(f"not JSON ({hint} Each line must hold one JSON object)") from None
    if not isinstance(row, dict):
        raise DataError(f"a JSON {type(row).__name__}, not an object with keys")
    return row


def _unique_keys(pairs: list[tuple]) -> dict:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise DataError("a key stands twice in one object")
    return row


def _no_constants(name: str):
    raise DataError(f"{name} is not a JSON number")


def check_row(row: dict, kind: str = "pairs") -> dict:
    """The row in normal form; DataError with the reason if it can't be used."""
    if kind == "pairs" and "prompt" not in row and "chosen" in row and "rejected" in row:
        row = {**row, **_split_transcripts(row["chosen"], row["rejected"])}
    missing = [key for key in KEYS[kind] if row.get(key) is None]
    if missing:
        raise DataError(
            f"no {', '.join(repr(k) for k in missing)}; {kind} need {', '.join(KEYS[kind])}"
        )
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
        if any("\ud800" <= c <= "\udfff" for c in value):
            raise DataError(f"{key} holds half a character (a lone surrogate)")
        return value
    if not isinstance(value, list) or not value:
        found = "an empty list" if value == [] else type(value).__name__
        raise DataError(f"{key} must be a string or a list of messages, not {found}")
    for message in value:
        if (
            not isinstance(message, dict)
            or not isinstance(message.get("content"), str)
            or "role" not in message
        ):
            raise DataError(f'{key} holds something that is not a {{"role", "content"}} message')
        if message["role"] not in ROLES:
            raise DataError(
                f"{key} has the unknown role {message['role']!r} (known: {', '.join(ROLES)})"
            )
        _check_text(message["content"], key)
    return value


def _check_response(value, key: str):
    """A response: text, or messages whose last is the assistant's.

    Earlier ones repeat the prompt and are dropped.
    """
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


def split_pairs(rows: list[dict]) -> list[dict]:
    """Pairs as labels: the chosen response liked, the rejected one not.

    Both share a prompt, as true thumbs need not.
    """
    return [
        {"prompt": row["prompt"], "completion": row[side], "label": side == "chosen"}
        for row in rows
        for side in ("chosen", "rejected")
    ]


def write_rows(path: str | os.PathLike, rows: list[dict]) -> None:
    """Write rows as JSON Lines, UTF-8."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
