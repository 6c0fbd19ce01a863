"""A study: points, the function that makes each, and a record that grows until all are there.

    study = Study(__file__, "Labels that are flipped")

    @study.points([{"loss": loss, "learning_rate": rate} for loss in LOSSES for rate in RATES])
    def tune(loss, learning_rate): ...      # gets a point as keywords, returns its figures

    if __name__ == "__main__":
        study.main()

`python -m dpo_from_scratch.studies.NAME` makes the points that the record lacks, so a study that
was cut short goes on. `--check K` makes K recorded points again and compares; `--out FILE` writes
elsewhere. From a wheel the record goes to ./results/NAME.json, and `--check` takes the shipped one
where that is missing.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import transformers
from torch import nn
from tqdm import tqdm

from .. import world
from ..data import DataError, data_path, read_rows
from ..models import frozen_copy, load_model
from ..training import PRESETS, TrainConfig, train
from ..training.folders import write_text
from ..training.locks import Lock
from .evaluation import evaluate_reviews, quality
from .records import Difference, Record, compare, made_by, read_record, verdict

VALIDATION = world.prompts("train")[::5]  # for choosing settings; nobody trains on these then


class Study:
    """The points of one record, who makes them, and how far a figure may differ when made again.

    `tolerances` are by figure; the spread over a point's seeds counts too (records.compare).
    """

    def __init__(self, file: str, title: str, tolerances: dict[str, float] | None = None):
        parts = Path(file).with_suffix("").parts
        last = max(i for i, part in enumerate(parts) if part == "studies")
        self.name = ".".join(parts[last + 1 :])
        self.title, self.tolerances = title, tolerances or {}
        self.makers: list[tuple[list[dict], Callable[..., dict]]] = []
        self.small: Callable[[Path], Study] | None = None
        self.path = place(self.name)

    @property
    def command(self) -> str:
        """What makes the record."""
        return f"python -m dpo_from_scratch.studies.{self.name}"

    def points(self, points: list[dict]) -> Callable:
        """These points are made by the decorated function."""

        def add(make: Callable[..., dict]) -> Callable[..., dict]:
            self.makers.append((points, make))
            return make

        return add

    def dry_run(self, make: Callable[[Path], "Study"]) -> Callable[[Path], "Study"]:
        """The decorated function gives a small form of the study, for `--dry-run`.

        It gets a folder that is deleted afterwards.
        """
        self.small = make
        return make

    def run(self, point: dict) -> dict:
        """The figures of one point. KeyError if it is none of the study's."""
        for points, make in self.makers:
            if point in points:
                return make(**point)
        raise KeyError(f"{self.name} has no point {point}")

    def record(self) -> Record:
        """The record as it stands, or the shipped one where a wheel has none of its own yet.

        DataError if damaged.
        """
        ours, here = shipped(self.name), self.path.exists() or self.path != place(self.name)
        return read_record(ours) if ours.exists() and not here else self.begun()

    def begun(self) -> Record:
        """What has been made here, by this study's own path; an empty record before that."""
        if self.path.exists():
            return read_record(self.path)
        head = {"study": self.name, "title": self.title, "command": self.command}
        return Record(head | {"made": [], "points": []})

    def make(self) -> Path:
        """Make the points that the record lacks, each written as soon as it is there.

        DataError if another process does so, or if the record is damaged.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = Lock(self.path, self.path.with_suffix(".lock"))
        try:
            return self._make_missing()
        finally:
            lock.release()

    def _make_missing(self) -> Path:
        record = self.begun()
        before = len(record.points)
        done = [p["point"] for p in record.points]
        missing = [p for points, _ in self.makers for p in points if p not in done]
        earlier = record.content.get("made", [])
        for point in tqdm(missing, desc=self.name):
            record.points.append({"point": point, "result": self.run(point)})
            now = {"points": len(record.points) - before} | made_by()
            content = record.content | {"title": self.title, "command": self.command}
            content = content | {"made": [*earlier, now], "points": record.points}
            write_text(self.path, json.dumps(content, indent=1) + "\n")
        return self.path

    def some_points(self, k: int) -> list[dict]:
        """K recorded points, spread over the study's functions; one of each if K is 0."""
        recorded = [p["point"] for p in self.record().points]
        lists = [[p for p in points if p in recorded] for points, _ in self.makers]
        lists = [points for points in lists if points]
        if not lists:
            return []
        k = k or len(lists)
        share = [k // len(lists) + (i < k % len(lists)) for i in range(len(lists))]
        out = []
        for points, n in zip(lists, share, strict=True):
            at = np.linspace(0, len(points) - 1, min(n, len(points))).round().astype(int)
            out += [points[i] for i in at]
        return out

    def check(self, point: dict) -> list[Difference]:
        """A recorded point made again, figure by figure."""
        return compare(self.record(), point, self.run(point), self.tolerances)

    def main(self, arguments: list[str] | None = None) -> None:
        """The command line of a study.

        Exit status 1 if a checked point came out different, 2 for a record that can't be used.
        """
        parser = argparse.ArgumentParser(self.command, description=self.title)
        again = "make K recorded points again; 0: one of each function"
        parser.add_argument("--check", type=int, metavar="K", help=again)
        parser.add_argument("--out", type=Path, help=f"the record (default: {self.path})")
        if self.small:
            small = "a small form of all points, nothing is kept"
            parser.add_argument("--dry-run", action="store_true", help=small)
        options = parser.parse_args(arguments)
        self.path = options.out or self.path
        transformers.utils.logging.disable_progress_bar()
        try:
            self._do(options)
        except DataError as error:
            print(f"{self.name}: {error}", file=sys.stderr)
            sys.exit(2)

    def _do(self, options: argparse.Namespace) -> None:
        if self.small and options.dry_run:
            print(self.tried())
        elif options.check is None:
            print(self.make())
        else:
            self.path = self.path if self.path.exists() or options.out else shipped(self.name)
            points = self.some_points(options.check)
            sys.exit(self.report(points) if points else f"{self.path} holds no points")

    def tried(self) -> str:
        """The record of the small form, as it would be written."""
        with tempfile.TemporaryDirectory() as folder:
            study = self.small(Path(folder))
            study.path = Path(folder) / "record.json"
            return study.make().read_text(encoding="utf-8")

    def report(self, points: list[dict]) -> int:
        """Check these points and print what came of it; 1 if one came out different."""
        found = set()
        for point in points:
            differences = self.check(point)
            found.add(verdict(differences))
            print(f"{self.name} {point}: {verdict(differences)}", flush=True)
            for difference in differences:
                if difference.verdict != "equal":
                    print(f"    {difference}")
        return int("different" in found)


def place(name: str) -> Path:
    """Where a study's record is: beside the others in a checkout, in ./results from a wheel."""
    ours = data_path("results")
    in_wheel = ours.parent.name == "shipped"
    return Path("results", shipped(name).relative_to(ours)) if in_wheel else shipped(name)


def shipped(name: str) -> Path:
    """Where the book ships a study's record."""
    return data_path("results") / (name.replace(".", "/") + ".json")


# ---------------------------------------------------------------- what most studies do
@dataclass(frozen=True)
class Trained:
    """A policy of the review world after a run, what it began as, and the run's metrics."""

    policy: nn.Module
    reference: nn.Module
    tokenizer: object
    history: list[dict]

    def last(self, *keys: str, steps: int = 32) -> dict[str, float]:
        """Means over the last steps: loss -> loss_batch."""
        tail = self.history[-steps:]
        return {f"{key}_batch": float(np.mean([row[key] for row in tail])) for key in keys}

    def quality(self, prompts: list[str], seed: int) -> dict[str, float]:
        """True reward, KL and objective on these prompts."""
        return quality(self.policy, self.reference, self.tokenizer, prompts, seed=seed)

    def evaluation(self, seed: int, samples: int = 1008) -> dict[str, float]:
        """All measures, on the shipped test pairs."""
        tests, _ = read_rows(data_path("reviews_pairs_test.jsonl"))
        return asdict(
            evaluate_reviews(self.policy, self.reference, self.tokenizer, tests, samples, seed)
        )


def train_tiny(rows: list[dict], **settings) -> Trained:
    """The shipped model, trained with the preset `tiny` and these settings."""
    policy, tokenizer = load_model("tiny")
    reference = frozen_copy(policy)
    config = TrainConfig(**PRESETS["tiny"] | settings)
    history = train(policy, tokenizer, rows, config, progress=False)
    return Trained(policy, reference, tokenizer, history)
