"""Files of rows in normal form, with a report: the one reader of training, commands and doctor."""

import os
from collections.abc import Iterator
from itertools import chain, islice

from .columns import KEYS, has_kind, kind_by_keys, misfit
from .report import NAMES, DataError, Report
from .rows import USED, check_row
from .sources import raw_rows

HEAD = 50  # rows that decide the kind of a file


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
                f"{path}, {report.unit} {number}: {reason} "
                "(skip_bad, --skip-bad, leaves such rows out)"
            )
    report.rows = len(rows)
    if not rows:
        raise DataError(f"{path}: holds no usable row of {', '.join(KEYS[kind])}")
    return rows, report


def scan(
    path: str | os.PathLike, kind: str, report: Report
) -> Iterator[tuple[int, dict | None, str | None]]:
    """Each row as (number, row in normal form, None) or (number, None, reason), one at a time.

    Blank lines are passed over; what is odd about a row that is used goes into the report.
    DataError if the file can't be read, or its columns make no rows of this kind.
    """
    if kind not in KEYS:
        raise DataError(f"kind is one of {', '.join(KEYS)}, not {kind!r}")
    report.kind = kind
    rows = raw_rows(path, report)
    head = list(islice(rows, HEAD))
    columns = _columns(head)
    if columns and not any(has_kind(raw, kind) for _, raw in head if isinstance(raw, dict)):
        raise DataError(f"{path}: {misfit(columns, kind)}")
    for number, raw in chain(head, rows):
        if isinstance(raw, DataError):
            yield number, None, str(raw)
            continue
        notes: list[str] = []
        try:
            row = check_row(raw, kind, notes.append)
        except DataError as error:
            yield number, None, str(error)
            continue
        for reason in notes:
            report.warning(number, reason)
        if len(report.not_used) < NAMES:
            report.not_used |= dict.fromkeys(k for k in raw if k not in USED[kind])
        yield number, row, None


def kind_of(path: str | os.PathLike) -> str:
    """The kind of a file's rows, by the keys of the first of them; "pairs" if these make none.

    Keys decide, not what can be used: a bad pair is a pair.
    """
    head = [raw for _, raw in islice(raw_rows(path, Report()), HEAD) if isinstance(raw, dict)]
    found = {kind_by_keys(raw) for raw in head}
    return next((kind for kind in KEYS if kind in found), "pairs")


def _columns(head: list[tuple]) -> list[str]:
    return list(dict.fromkeys(key for _, raw in head if isinstance(raw, dict) for key in raw))
