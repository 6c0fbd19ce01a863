"""Files of rows in normal form, with a report: the one reader of training, commands and doctor."""

import os
import sys
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from .columns import KEYS, has_kind, kind_by_keys, richer
from .recipes import hidden_kind, meant, misfit
from .report import NAMES, DataError, Report
from .rows import check_row, used
from .sources import lines_of, raw_rows
from .stored import MANY, store_rows

HEAD = 50  # rows that decide the kind of a file


def read_rows(
    path: str | os.PathLike, kind: str | None = "pairs", skip_bad: bool = False
) -> tuple[Sequence[dict], Report]:
    """Rows of one kind (of KEYS) in normal form, and a report.

    A row that can't be used raises DataError with file, line and reason; `skip_bad=True` counts it
    in the report instead. A file of MANY rows or more is not held in memory: its rows are kept in
    the cache folder, read one at a time as they are asked for, and shared by all who read it.
    """
    report = Report(str(path))
    numbered = (row for _, row in numbered_rows(path, kind, report, skip_bad))
    rows: Sequence[dict] = list(islice(numbered, MANY))
    if len(rows) == MANY:
        found = store_rows(path, [str(kind), str(skip_bad)], chain(rows, numbered), report)
        if found is not None:
            rows = found
        else:  # nowhere to write: all of them in memory
            report = Report(str(path))
            rows = [row for _, row in numbered_rows(path, kind, report, skip_bad)]
    report.rows = len(rows)
    if not rows:
        raise DataError(f"{path}: holds no usable row of {', '.join(KEYS[report.kind])}")
    return rows, report


def numbered_rows(
    path: str | os.PathLike, kind: str | None, report: Report, skip_bad: bool = False
) -> Iterator[tuple[int, dict]]:
    """(number, row in normal form) of each row that can be used; bad rows as in `read_rows`."""
    for number, row, reason in scan(path, kind, report):
        if row is not None:
            yield number, row
        elif skip_bad:
            report.error(number, reason)
        else:
            raise DataError(
                f"{path}, {report.unit} {number}: {reason} "
                "(skip_bad, --skip-bad, leaves such rows out)"
            )


def scan(
    path: str | os.PathLike, kind: str | None, report: Report
) -> Iterator[tuple[int, dict | None, str]]:
    """Each row as (number, row in normal form, "") or (number, None, reason), one at a time.

    Blank lines are passed over; what is odd about a row that is used goes into the report. With
    kind None the columns decide, as in `kind_of`, and a row of a richer kind is not used. DataError
    if the file can't be read, or its columns make no rows of this kind.
    """
    if kind not in (None, *KEYS):
        raise DataError(f"kind is one of {', '.join(KEYS)}, not {kind!r}")
    rows = raw_rows(path, report)
    head = list(islice(rows, HEAD))
    asked, kind = kind, kind or _kind(head)
    report.kind = kind
    _refuse_other_columns(path, head, asked, kind)
    for number, raw in _bar(path, chain(head, rows)):
        if isinstance(raw, DataError):
            yield number, None, str(raw)
            continue
        notes: list[str] = []
        try:
            if asked is None and richer(own := kind_by_keys(raw), kind):
                raise DataError(f"a row of {own} among {kind} (it has {_names(raw)})")
            row = check_row(raw, kind, notes.append)
        except DataError as error:
            yield number, None, str(error)
            continue
        for reason in notes:
            report.warning(number, reason)
        if len(report.not_used) < NAMES:
            read = used(kind, tuple(raw))
            if len(read) < len(raw):
                report.not_used |= dict.fromkeys(k[:40] for k in raw if k not in read)
        yield number, row, ""


def _bar(path, rows: Iterator) -> Iterator:
    """The rows, with a bar in a terminal where reading takes seconds."""
    from tqdm.auto import tqdm

    if not sys.stderr.isatty():
        return rows
    told = {"desc": f"reading {Path(path).name}", "unit": " rows", "leave": False, "delay": 2}
    return iter(tqdm(rows, total=lines_of(path), **told))


def kind_of(path: str | os.PathLike) -> str:
    """The kind of a file's rows, by the keys of the first of them; "pairs" if these make none.

    Keys decide, not what can be used: a bad pair is a pair.
    """
    return _kind(list(islice(raw_rows(path, Report()), HEAD)))


def _kind(head: list[tuple]) -> str:
    found = {kind_by_keys(raw) for _, raw in head if isinstance(raw, dict)}
    return next((kind for kind in KEYS if kind in found), "pairs")


def _refuse_other_columns(path, head: list[tuple], asked: str | None, kind: str) -> None:
    """DataError if no row of the head has what this kind needs, or it's more under other names."""
    rows = [raw for _, raw in head if isinstance(raw, dict)]
    columns = list(dict.fromkeys(str(key) for raw in rows for key in raw))
    hidden = hidden_kind(columns, kind) if asked is None else None
    if hidden:
        told = f"{misfit(path, columns, hidden)} (or say that prompts are meant: --kind prompts)"
        raise DataError(f"{path}: {told}")
    if columns and not any(has_kind(raw, kind) for raw in rows):
        unknown = asked is None and kind_by_keys(columns) is None
        wanted = meant(columns) if unknown else None
        raise DataError(f"{path}: {misfit(path, columns, wanted or kind)}")


def _names(row: dict) -> str:
    return ", ".join(str(key)[:40] for key in list(row)[:12])
