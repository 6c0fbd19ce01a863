"""Many rows on the disk instead of in memory: flat files, made once, mapped by whoever needs them.

They lie in the cache folder and not beside a run: runs of the same rows share them, and a run
without a folder has them too. What made them is in their name, a hash, so other rows have another
place. They are the package's own, since what is kept are rows and tokens as its one reader made
them, and numpy maps them; the `datasets` library, which would map them too, gives every row every
column, and those would be other rows.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from .report import DataError, Report
from .rows import split_pairs

MANY = 8192  # rows: fewer stay in memory
HEADER = "header.json"
VERSION = 1  # of the files, and of what reading makes of a row


class Flat:
    """Numbers of one type after another in a file, written as they come."""

    def __init__(self, path: Path, dtype):
        self.file, self.dtype = open(path, "wb"), dtype  # noqa: SIM115 (closed below)

    def add(self, numbers) -> None:
        """One more number, or several, or bytes."""
        import numpy as np  # the command line's help needs none

        as_bytes = isinstance(numbers, bytes)
        self.file.write(numbers if as_bytes else np.asarray(numbers, self.dtype).tobytes())

    def close(self) -> None:
        """Whatever is still to be written."""
        self.file.close()


def mapped(path: Path, dtype):
    """The numbers of such a file, which are read from the disk as they are asked for."""
    import numpy as np

    return np.memmap(path, dtype, "r") if path.stat().st_size else np.empty(0, dtype)


def stored(key: list[str], make: Callable[[Path], dict]) -> tuple[Path, dict] | None:
    """The folder of what `key` says, and the notes that `make(folder)` returned with its files.

    What is there and whole is taken. Else it is made beside its place and renamed, by one process;
    another one waits. None, and a sentence, where nothing can be written or locked.
    """
    from ..smollm2 import cache_folder
    from ..training.locks import Lock

    place = cache_folder() / "rows" / sha256(json.dumps([VERSION, *key]).encode()).hexdigest()[:24]
    told, why = False, ""
    while True:
        if (notes := whole(place)) is not None:
            return place, notes
        if why:
            say(f"{place} can't be written ({why}): all rows stay in memory")
            return None
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            lock = Lock(place, place.with_suffix(".lock"))
        except DataError:
            if not told:
                say(f"another process is writing {place}: waiting for it")
            told = True
            time.sleep(0.2)
            continue
        except OSError as error:
            why = error.strerror or str(error)
            continue
        try:
            if whole(place) is None:  # it may have come while we asked for the lock
                _made(place, make)
        except (OSError, TypeError) as error:
            why = getattr(error, "strerror", None) or str(error)
        finally:
            lock.release()


def _made(place: Path, make: Callable[[Path], dict]) -> None:
    if place.exists():
        say(f"{place} is damaged, and is made again")
    partial = place.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)  # what a killed process has left
    try:
        partial.mkdir()
        notes = make(partial)
        sizes = {path.name: path.stat().st_size for path in partial.iterdir()}
        text = json.dumps({"sizes": sizes, "notes": notes})
        (partial / HEADER).write_text(text, encoding="utf-8")
        shutil.rmtree(place, ignore_errors=True)
        partial.rename(place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def whole(place: Path) -> dict | None:
    """The notes of what stands there, if all its files are as long as they were."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        header = json.loads((place / HEADER).read_text(encoding="utf-8"))
        sizes = {path.name: path.stat().st_size for path in place.iterdir() if path.name != HEADER}
        if sizes == header["sizes"]:
            return header["notes"]
    return None


def say(sentence: str) -> None:
    """Print it, past a bar."""
    from tqdm.auto import tqdm

    tqdm.write(sentence)


@contextmanager
def files(**kinds):
    """Several such files for writing, by path and type: closed whatever happens."""
    opened = {name: Flat(*kind) for name, kind in kinds.items()}
    try:
        yield opened
    finally:
        for file in opened.values():
            file.close()


# ---------------------------------------------------------------- rows
class StoredRows(Sequence):
    """Rows as dicts, each read from the disk when it is asked for; `key` tells them from others."""

    def __init__(self, folder: Path, key: str):
        self.key = key
        self.text, self.ends = mapped(folder / "text", "uint8"), mapped(folder / "ends", "int64")

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, at):
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        at = range(len(self))[at]  # from the end, where it is negative; IndexError
        start = int(self.ends[at - 1]) if at else 0
        return json.loads(self.text[start : int(self.ends[at])].tobytes())

    def __iter__(self) -> Iterator[dict]:
        return (self[i] for i in range(len(self)))


class SplitRows(Sequence):
    """`split_pairs` of stored pairs, as they are asked for."""

    def __init__(self, pairs: StoredRows):
        self.pairs, self.key = pairs, f"{pairs.key} split"

    def __len__(self) -> int:
        return 2 * len(self.pairs)

    def __getitem__(self, at):
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        at = range(len(self))[at]
        return split_pairs([self.pairs[at // 2]])[at % 2]


def store_rows(path, how: list[str], rows: Iterator[dict], report: Report) -> StoredRows | None:
    """These rows on the disk, and in `report` what reading them found; None where that can't be.

    Of a file and a way of reading it that were stored before, nothing is read again.
    """
    key = [content(Path(path)), *how]

    def make(folder: Path) -> dict:
        end = 0
        kinds = {"text": (folder / "text", "uint8"), "ends": (folder / "ends", "int64")}
        with files(**kinds) as out:
            for row in rows:
                line = json.dumps(row).encode()
                end += len(line)
                out["text"].add(line)
                out["ends"].add(end)
        return noted(report)

    found = stored(["rows", *key], make)
    if found is None:
        return None
    folder, notes = found
    remember(report, notes)
    return StoredRows(folder, "".join(key))


def content(path: Path) -> str:
    """A hash of a file's bytes, or of those of a folder's files."""
    digest = sha256()
    for part in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        with open(part, "rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
        digest.update(part.name.encode() if path.is_dir() else b"")
    return digest.hexdigest()


def noted(report: Report) -> dict:
    """A report as JSON holds it."""
    names = ("left_out", "warnings", "lines", "kind", "unit", "not_used")
    return {name: getattr(report, name) for name in names}


def remember(report: Report, notes: dict) -> None:
    """The report takes what was noted."""
    for name in ("left_out", "warnings"):
        getattr(report, name).clear()
        getattr(report, name).update(notes[name])
    report.lines, report.not_used = notes["lines"], notes["not_used"]
    report.kind, report.unit = notes["kind"], notes["unit"]
