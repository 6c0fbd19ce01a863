"""Where rows come from: JSON Lines, JSON arrays, Parquet and `datasets` folders, one at a time."""

import codecs
import gzip
import io
import json
import os
import zlib
from collections.abc import Iterator
from importlib.resources import files
from itertools import count
from pathlib import Path

from .report import DataError, Report
from .tables import parquet, saved, saved_dataset

LONGEST = 64 << 20  # bytes of a line, or characters of an array's row: more is no row of text
PIECE = 1 << 20  # characters of an array that are read at once
OTHERS = {  # first bytes -> what such a file is
    b"PK": "a zip archive",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"ARROW1": "an Arrow file",
    b"\xff\xff\xff\xff": "an Arrow file of a `datasets` folder",
}


def data_path(name: str = "") -> Path:
    """Path of a shipped file: beside the package in a checkout, inside it in a wheel."""
    here = Path(str(files("dpo_from_scratch")))
    for folder in (here / "shipped", here.parent / "data"):
        if (folder / "README.md").exists() and (folder / name).exists():
            return folder / name
    raise DataError(
        f"the book ships no {name!r} (looked in {here / 'shipped'} and {here.parent / 'data'})"
    )


def write_rows(path: str | os.PathLike, rows) -> None:
    """Write rows, dicts, as JSON Lines, UTF-8."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def records(path: str | os.PathLike) -> Iterator[dict]:
    """Each row of a file as it stands there, unchecked; DataError at the first that is none.

    To rename columns, or to make pairs of what holds none.
    """
    report = Report(str(path))
    for number, row in raw_rows(path, report):
        if isinstance(row, DataError):
            raise DataError(f"{path}, {report.unit} {number}: {row}")
        yield row


def raw_rows(path: str | os.PathLike, report: Report) -> Iterator[tuple[int, dict | DataError]]:
    """Each row as (number, dict), or as (number, the reason that it is none); blanks are passed.

    The report gets to know whether lines or rows are counted. DataError if the file can't be read
    at all, or not to its end.
    """
    path = Path(path)
    if saved_dataset(path):
        report.unit = "row"
        return saved(path)
    if not path.is_file():
        found = "no such file"
        if path.is_dir():
            found = "is a folder that `save_to_disk` did not write"
        elif path.exists():
            found = "is no regular file, and is read more than once: write it to a file first"
        raise DataError(f"{path}: {found}; give a JSON Lines or Parquet file")
    with open(path, "rb") as file:
        start = file.read(8)
    if start.startswith(b"PAR1"):
        report.unit = "row"
        return parquet(path)
    for magic, what in OTHERS.items():
        if start.startswith(magic):
            raise DataError(
                f"{path}, line 1: this is {what}; write it as JSON Lines in UTF-8 first"
            )
    if starts_an_array(path):
        report.unit = "row"
        return _array(path)
    return _lines(path, report)


def holds_rows(path: str | os.PathLike) -> bool:
    """Whether it is for this reader, and not a run's folder or its log."""
    path = Path(path)
    if path.is_dir():
        return saved_dataset(path)
    if path.suffix == ".json" and path.is_file():
        return path.name != "trainer_state.json" and starts_an_array(path)
    return path.suffix != ".json" and path.name != "metrics.jsonl"


def lines_of(path: str | os.PathLike) -> int | None:
    """How many lines a file of plain JSON Lines has; None where only reading all would tell."""
    if Path(path).suffix != ".jsonl" or not Path(path).is_file():
        return None
    with open(path, "rb") as file:
        return sum(piece.count(b"\n") for piece in iter(lambda: file.read(PIECE), b"")) or None


def starts_an_array(path: str | os.PathLike) -> bool:
    """Whether a file begins as a JSON array does."""
    try:
        with _opened(Path(path)) as file:
            return file.read(4096).removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}, line 1: can't be read to its end ({error})") from None


def _opened(path: Path) -> io.BufferedReader:
    file = open(path, "rb")  # noqa: SIM115 (who asked closes it)
    return io.BufferedReader(gzip.open(file)) if file.peek(2)[:2] == b"\x1f\x8b" else file


# ---------------------------------------------------------------- JSON
class _Decoder:
    """JSON objects without keys that stand twice, and without NaN and Infinity."""

    def __init__(self):
        self.faults: list[str] = []
        json_decoder = json.JSONDecoder(
            object_pairs_hook=self._object, parse_constant=self._constant
        )
        self.raw_decode, self.decode = json_decoder.raw_decode, json_decoder.decode

    def _object(self, pairs: list[tuple]) -> dict:
        row = dict(pairs)
        if len(row) < len(pairs):
            self.faults.append("a key stands twice in one object")
        return row

    def _constant(self, name: str) -> None:
        self.faults.append(f"{name} is not a JSON number")

    def checked(self, row) -> dict | DataError:
        """What was decoded, or what is wrong with it."""
        if self.faults:
            return DataError(self.faults[0])
        if not isinstance(row, dict):
            return DataError(f"a JSON {type(row).__name__}, not an object with keys")
        return row


def _lines(path: Path, report: Report) -> Iterator[tuple[int, dict | DataError]]:
    decoder, number = _Decoder(), 0
    try:
        with _opened(path) as file:
            for number in count(1):
                line = file.readline(LONGEST + 1)
                if not line:
                    return
                if len(line) > LONGEST:
                    told = f"is longer than {LONGEST >> 20} MB, which is no row of text"
                    raise DataError(f"{path}, line {number}: {told}; write one object on each line")
                if number == 1 and line.startswith(codecs.BOM_UTF8):
                    report.warning(1, "starts with a byte order mark (BOM), which is passed over")
                    line = line[3:]
                if line.strip():
                    yield number, _parse(line, decoder)
    except (OSError, EOFError, zlib.error) as error:
        told = f"can't be read to its end ({error})"
        raise DataError(f"{path}, line {max(number, 1)}: {told}") from None


def _parse(line: bytes, decoder: _Decoder) -> dict | DataError:
    if b"\0" in line:
        return DataError("holds NUL bytes")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        return DataError(f"not UTF-8 (byte {error.start + 1} of the line)")
    decoder.faults.clear()
    try:
        return decoder.checked(decoder.decode(text))
    except (ValueError, RecursionError):  # also numbers of thousands of digits
        kinds = {"{": "broken JSON, or an object over several lines?", "[": "broken JSON"}
        hint = kinds.get(text.strip()[:1], "a CSV file?" if "," in text else "plain text?")
        return DataError(f"not JSON ({hint} Each line must hold one JSON object)")


def _array(path: Path) -> Iterator[tuple[int, dict | DataError]]:
    number = 0
    try:
        with io.TextIOWrapper(_opened(path), "utf-8-sig", newline="") as file:
            array = _Array(file)
            array.take("[")
            while array.peek() != "]":
                if number:
                    array.take(",")
                number += 1
                yield number, array.row()
            array.take("]")
            array.take("")
    except (ValueError, OSError, EOFError, zlib.error, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        at = f"{path}, row {max(number, 1)}"
        raise DataError(f"{at}: not a JSON array of rows from here on ({error})") from None


class _Array:
    """A JSON array in a text file, of which a piece at a time is in memory."""

    def __init__(self, file: io.TextIOWrapper):
        self.file, self.text, self.at, self.decoder = file, "", 0, _Decoder()

    def peek(self) -> str:
        """The next sign that is not blank; "" at the end."""
        while True:
            while self.at < len(self.text) and self.text[self.at].isspace():
                self.at += 1
            if self.at < len(self.text) or not self._more():
                return self.text[self.at : self.at + 1]

    def take(self, sign: str) -> None:
        """Pass over the next sign; ValueError if it is another one."""
        found = self.peek()
        if found != sign:
            wanted = repr(sign) if sign else "nothing"
            raise ValueError(f"{wanted} should follow, not {found!r}")
        self.at += len(sign)

    def row(self) -> dict | DataError:
        """The next row, however long, up to LONGEST."""
        self.peek()
        while True:
            self.decoder.faults.clear()
            try:
                found, end = self.decoder.raw_decode(self.text, self.at)
                if end < len(self.text) or not self._more():
                    self.at = end
                    return self.decoder.checked(found)
            except json.JSONDecodeError as error:
                # a string without end, or an error at the very end: the row may go on behind it
                open_end = error.msg.startswith("Unterminated")
                if len(self.text) - self.at > LONGEST:
                    raise ValueError(f"a row is longer than {LONGEST >> 20} MB") from None
                if not (open_end or error.pos >= len(self.text) - 16) or not self._more():
                    raise ValueError(error.msg) from None

    def _more(self) -> bool:
        rest = self.text[self.at :]
        piece = self.file.read(max(PIECE, len(rest)))  # twice as much each time: a long row
        self.text, self.at = rest + piece, 0
        return bool(piece)
