"""What a chapter's cells print: tables with aligned columns, and verdicts on its claims."""

import textwrap
from collections.abc import Iterable, Mapping
from numbers import Integral, Number

PAGE = 88  # columns that the website shows without breaking a line
WIDTH = 62  # of a claim; a longer one is broken
BY = ("record", "your run", "exact")


def cell(value, decimals: int = 2) -> str:
    """One cell: a text, an integer, a number, a mean with half-width, or None for an empty one."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        mean, half = value
        return f"{_number(mean, decimals)} ± {half:.{decimals}f}"
    if isinstance(value, Number) and not isinstance(value, Integral):
        return _number(value, decimals)
    return str(value).replace("-", "−", 1) if isinstance(value, Number) else str(value)


def _number(value, decimals: int) -> str:
    """With a real minus sign, and no minus before a zero."""
    text = f"{value:.{decimals}f}"
    return text.replace("-", "−" if float(text) else "")


def show_table(columns: Mapping[str, Iterable], decimals: int | Mapping[str, int] = 2) -> None:
    """Print columns of one length, a name above each; texts stand left, numbers right.

    Names are broken into lines where the table would not fit a page.

    A cell is a text, a number, a pair (mean, half-width), printed as "2.41 ± 0.08", or None.
    decimals: of all columns, or by name (2 where none is told). ValueError if columns differ in
    length.
    """
    columns = {name: list(values) for name, values in columns.items()}
    if len({len(values) for values in columns.values()}) > 1:
        raise ValueError(f"columns differ in length: { {n: len(v) for n, v in columns.items()} }")
    places = lambda name: decimals if isinstance(decimals, int) else decimals.get(name, 2)
    told = {n: [cell(value, places(n)) for value in values] for n, values in columns.items()}
    widths = [max(map(len, [name, *cells])) for name, cells in told.items()]
    tight = sum(widths) + 2 * len(widths) - 2 > PAGE
    heads = [_head(name, cells, tight) for name, cells in told.items()]
    tall = max(map(len, heads), default=0)
    drawn = []
    for head, (name, cells) in zip(heads, told.items(), strict=True):
        lines = [""] * (tall - len(head)) + head + cells
        width = max(map(len, lines), default=0)
        left = any(isinstance(value, str) for value in columns[name])
        drawn.append([t.ljust(width) if left else t.rjust(width) for t in lines])
    for row in zip(*drawn, strict=True):
        print("  ".join(row).rstrip())


def _head(name: str, cells: list[str], tight: bool) -> list[str]:
    """A column's name in one line, or in several no wider than its cells or its longest word."""
    if not tight:
        return [name]
    widest = max(map(len, [*cells, *name.split()]), default=1)
    return textwrap.wrap(name, widest, break_long_words=False) or [""]


def verdict(claim: str, holds: bool, by: str = "record", must: bool = True) -> None:
    """Print a claim, what it was measured by and "holds"; AssertionError if it must and doesn't.

    by: "record" (stored points, the same on every machine), "your run" (trained in this notebook)
    or "exact" (computed without training or samples). must=False: "not seen here" is a result.
    """
    if by not in BY:
        raise ValueError(f"by is one of {', '.join(BY)}, not {by!r}")
    assert holds or not must, claim
    *above, last = textwrap.wrap(claim, WIDTH, subsequent_indent="  ")
    for line in above:
        print(line)
    print(f"{last:{WIDTH}s}  {by:8s}  {'holds' if holds else 'not seen here'}")
