"""Parquet files and the folders that `save_to_disk` of the `datasets` library writes."""

from collections.abc import Iterator
from pathlib import Path

from .report import DataError

INSTALL = "`pip install datasets`, or write the rows as JSON Lines"


def saved_dataset(path: Path) -> bool:
    """Whether a folder is one that `save_to_disk` wrote."""
    return any((path / name).is_file() for name in ("dataset_info.json", "dataset_dict.json"))


def parquet(path: Path) -> Iterator[tuple[int, dict]]:
    """Each row of a Parquet file as (number, dict); DataError if it can't be read to its end."""
    try:
        import pyarrow  # noqa: F401
        from pyarrow.parquet import ParquetFile
    except ImportError:
        told = f"this is a Parquet file, which needs pyarrow: {INSTALL}"
        raise DataError(f"{path}, line 1: {told}") from None
    number = 0
    try:
        with ParquetFile(path) as file:
            for batch in file.iter_batches(256):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except Exception as error:  # damaged bytes make pyarrow raise many kinds
        words = " ".join(str(error).split())[:200]
        told = f"this is a Parquet file that can't be read to its end ({words})"
        raise DataError(f"{path}, line {number + 1}: {told}") from None


def saved(path: Path) -> Iterator[tuple[int, dict]]:
    """Each row of a `datasets` folder as (number, dict): of its train split where it has several.

    DataError if the library is missing, or which split is meant can't be told.
    """
    try:
        from datasets import DatasetDict, load_from_disk
    except ImportError:
        told = f"this is a folder of the `datasets` library, which is missing: {INSTALL}"
        raise DataError(f"{path}: {told}") from None
    try:
        found = load_from_disk(str(path))
    except Exception as error:  # whatever a damaged folder makes the library raise
        told = f"this `datasets` folder can't be read ({type(error).__name__}: {error})"
        raise DataError(f"{path}: {told}") from None
    if isinstance(found, DatasetDict):
        name = next(iter(found)) if len(found) == 1 else "train"
        if name not in found:
            splits = ", ".join(f"{path}/{split}" for split in found)
            raise DataError(f"{path}: holds several splits; give one of them: {splits}")
        found = found[name]
    yield from enumerate(found, start=1)
