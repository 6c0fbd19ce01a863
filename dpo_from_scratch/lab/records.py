"""Records of studies that take longer than a minute: made once, kept under data/results/.

A record holds a study's points (settings, seeds) with their figures, and who made them: commit,
date, CPU, threads, versions. Chapters plot records; `compare` says whether a point that is made
again comes out the same.
"""

import json
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from numbers import Number
from pathlib import Path

import numpy as np
import torch
import transformers

from .. import __version__
from ..data import DataError, data_path
from .evaluation import mean_and_half_width


class Record:
    """Points and their results, as chapters read them."""

    def __init__(self, content: dict):
        self.content, self.points = content, content["points"]

    @classmethod
    def load(cls, name: str) -> "Record":
        """A shipped record, such as "wrong_labels"."""
        return cls(read_record(data_path(f"results/{name}.json")).content)

    def __str__(self) -> str:
        return f"{self.content['title']} | made by: {self.content['command']}"

    def select(self, **where) -> list[dict]:
        """Points that hold all of this, in the record's order; None: a key that is not there."""
        holds = lambda point: all(point.get(key) == value for key, value in where.items())
        return [p for p in self.points if holds(p["point"])]

    def values(self, key: str, **where) -> list:
        """One figure of each of these points: of each seed, if all else is named."""
        return [p["result"][key] for p in self.select(**where)]

    def table(self, by: str, keys: Sequence[str], **where) -> dict:
        """Value of `by` -> figure -> (mean, half-width) over the seeds, in the record's order.

        Of the points that hold `where`, which must tell all but `by` and the seed. ValueError for
        fewer than two seeds.
        """
        there = [p["point"][by] for p in self.select(**where) if by in p["point"]]
        figure = lambda key, value: mean_and_half_width(self.values(key, **where, **{by: value}))
        return {value: {key: figure(key, value) for key in keys} for value in dict.fromkeys(there)}

    def at(self, **point) -> dict:
        """The result of exactly this point. KeyError if there is none."""
        for p in self.points:
            if p["point"] == point:
                return p["result"]
        raise KeyError(f"{self.content['study']} has no point {point}")

    def best(self, setting: str, by: str = "objective", **where):
        """The value of a tuned setting with the largest figure `by`.

        Among the points that hold `where` and this setting, and nothing else: name a tuning seed.
        """
        tuned = [p for p in self.select(**where) if p["point"].keys() == {setting, *where}]
        if not tuned:
            raise KeyError(f"{self.content['study']} has no points that tune {setting} at {where}")
        return max(tuned, key=lambda p: p["result"][by])["point"][setting]


def read_record(path: Path) -> Record:
    """The record in a file; DataError if it is none, or half of one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        whole = all({"point", "result"} <= p.keys() for p in content["points"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        whole, why = False, f" ({' '.join(str(error).split())})"
    else:
        why = ""
    if not whole:
        mend = "put back the one that git has, delete it to make all points anew, or name --out"
        raise DataError(f"{path} is no whole record of a study{why}: {mend}")
    return Record(content)


def benchmark(name: str) -> dict:
    """A benchmark's record, such as "cpu": the checkout's or, in a wheel, the shipped one.

    Its keys are those that `benchmarks/` writes: "parts", "cpu", "versions" and others. DataError
    if there is none, or half of one.
    """
    here = Path(str(files("dpo_from_scratch")))
    folders = here / "shipped" / "benchmarks", here.parent / "benchmarks" / "results"
    path = next((p for f in folders if (p := f / f"{name}.json").exists()), None)
    if path is None:
        raise DataError(f"no benchmark is recorded as {name!r}: there is no {name}.json")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        whole = all({"part", "result"} <= entry.keys() for entry in content["parts"].values())
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise DataError(f"{path} is no whole record of a benchmark: put back the one that git has")
    return content


# ---------------------------------------------------------------- comparing a point made again
@dataclass(frozen=True)
class Difference:
    """One figure of a point, as recorded and as made again."""

    key: str
    told: object
    found: object
    tolerance: float | None  # None: not known, so only equal figures will do

    @property
    def verdict(self) -> str:
        """ "equal", "within" or "different"."""
        if self.told == self.found:
            return "equal"
        if not isinstance(self.told, Number) or not isinstance(self.found, Number):
            return "different"
        near = self.tolerance is not None and abs(self.told - self.found) <= self.tolerance
        return "within" if near else "different"

    def __str__(self) -> str:
        known = "unknown" if self.tolerance is None else f"{self.tolerance:.3g}"
        return (
            f"{self.key}: {self.told!r} recorded, {self.found!r} now, tolerance {known}: "
            f"{self.verdict}"
        )


def figures(result, name: str = "") -> dict[str, object]:
    """The comparable figures of a result: numbers by dotted key; lists by length and last value.

    Texts and clock times ("seconds") are left out.
    """
    if isinstance(result, str) or result is None or name.split(".")[-1] == "seconds":
        return {}
    if isinstance(result, dict):
        parts = [figures(v, f"{name}.{k}" if name else str(k)) for k, v in result.items()]
        return {key: value for part in parts for key, value in part.items()}
    if isinstance(result, list):
        last = figures(result[-1], f"{name}[-1]") if result else {}
        return {f"{name} (length)": len(result)} | last
    return {name: result}


def seeds_spread(record: Record, point: dict) -> dict[str, float]:
    """Three standard deviations of each figure over the seeds of this point, if it has three."""
    rest = {key: value for key, value in point.items() if key != "seed"}
    same = [
        figures(p["result"])
        for p in record.points
        if {k: v for k, v in p["point"].items() if k != "seed"} == rest
    ]
    if "seed" not in point or len(same) < 3:
        return {}
    keys = set.intersection(*(set(s) for s in same))
    return {key: 3 * float(np.std([s[key] for s in same], ddof=1)) for key in keys}


def compare(record: Record, point: dict, found: dict, told: dict[str, float]) -> list[Difference]:
    """Each figure of a point beside the one made again, with its tolerance.

    That is three standard deviations over the point's seeds, or what the study tells by a figure's
    key (or a part of it: "win_rates" for win_rates.1.0), whichever is larger.
    """
    recorded, now = figures(record.at(**point)), figures(json.loads(json.dumps(found)))
    spread, out = seeds_spread(record, point), []
    for key in sorted(recorded.keys() | now.keys()):
        plain = key.removesuffix(" (length)").replace("[-1]", "")
        known = [spread[key]] if key in spread else []
        known += [tolerance for name, tolerance in told.items() if f".{name}." in f".{plain}."]
        tolerance = max(known, default=None)
        out.append(Difference(key, recorded.get(key), now.get(key), tolerance))
    return out


def verdict(differences: list[Difference]) -> str:
    """The worst of them."""
    found = {d.verdict for d in differences}
    return next(v for v in ("different", "within", "equal") if v in found or v == "equal")


# ---------------------------------------------------------------- who made it
def made_by() -> dict:
    """Commit (or version, where there is no checkout), date, CPU, threads and versions."""
    return {
        "commit": _commit() or f"version {__version__}",
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": _cpu(),
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Versions of what computes."""
    found = {"python": platform.python_version(), "torch": torch.__version__}
    return found | {"transformers": transformers.__version__, "numpy": np.__version__}


def _commit() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, check=True).stdout.decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        named = next(line for line in lines if line.startswith("model name"))
        name = named.split(":", 1)[1].strip()
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"
