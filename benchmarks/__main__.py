"""All parts of the benchmark, one process after the other, within the minutes that it may take.

`python -m benchmarks` goes on where it was stopped; `--quick` is a look at it in five minutes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

from dpo_from_scratch.fast import exact_products
from dpo_from_scratch.lab.records import made_by

from . import report
from .flops import matmul_peak
from .part import DTYPES, load
from .sides import SIDES
from .texts import SHAPES

HERE = Path(__file__).parent
TINY = (1, 4, 8, 32)


def parts(precisions: dict[str, tuple[str, ...]], quick: bool) -> list[dict]:
    """What is measured, in this order: times, then memory, then where they come from."""
    of = lambda model, shape, pairs, precision: {
        "model": model, "shape": shape, "pairs": pairs, "precision": precision
    }  # fmt: skip
    shapes, sizes = (["short"], [1, 32]) if quick else (SHAPES, TINY)
    cases = [of("smollm2", shape, 4, p) for shape in shapes for p in precisions["smollm2"]]
    cases += [of("tiny", "reviews", pairs, p) for p in precisions["tiny"] for pairs in sizes]
    steps = lambda case: 7 if case["model"] == "smollm2" or quick else 21
    out = [{"kind": "paired", "steps": steps(case), **case} for case in cases]
    out += [
        {"kind": "memory", "side": s, **c} for c in cases[: 1 if quick else None] for s in SIDES
    ]
    if quick:
        return out
    tiny = of("tiny", "reviews", 8, "no")
    cases = [(20, tiny), *((2, of("smollm2", "short", 4, p)) for p in precisions["smollm2"])]
    out += [{"kind": "profile", "steps": n, **case} for n, case in cases]
    out += [{"kind": "trials", "steps": n + 1, **case} for n, case in cases]
    return [*out, {"kind": "compiled", "steps": 7, **tiny}]


def key_of(part: dict) -> str:
    """A part's name in the record."""
    return ", ".join(f"{k} {v}" for k, v in part.items())


def precisions_of(peaks: dict[str, float]) -> tuple[dict[str, tuple[str, ...]], str]:
    """The precisions to measure each model in, and why one is left out."""
    both = ("no", "bf16")
    if peaks["bf16"] > peaks["no"]:
        return {"tiny": both, "smollm2": both}, ""
    why = (
        "bf16 is left out: this processor has no instructions for it, or PyTorch does not use them "
        f"(products reach {peaks['bf16'] / 1e9:.3g} GFLOP/s in bf16, {peaks['no'] / 1e9:.3g} in "
        "float32)"
    )
    return {"tiny": ("no",), "smollm2": ("no",)}, why


def limits(part: dict, record: dict, left: float, waiting: int, peak: float) -> dict:
    """The part with the seconds that it may take and the speed to expect, where it can be shorter.

    The speed is that of the short pairs in the same precision, once they are measured; before, a
    third of the peak. `waiting` parts of the kind share what is left, less a third for the rest.
    """
    if part["kind"] != "paired" or part["model"] != "smollm2":
        return {}
    known = [
        found["result"]["rate"]
        for found in record["parts"].values()
        if found["part"]["kind"] == "paired" and found["part"]["model"] == "smollm2"
        and found["part"]["precision"] == part["precision"]
    ]  # fmt: skip
    return {"allowed": 0.66 * left / max(waiting, 1), "rate": known[-1] if known else peak / 3}


def shortened(part: dict, record: dict) -> dict:
    """How much shorter the paired steps of this shape had to be: memory is measured at the same."""
    asked = {k: part[k] for k in ("model", "shape", "pairs", "precision")}
    for found in record["parts"].values():
        same = {k: found["part"][k] for k in asked} == asked
        if same and found["part"]["kind"] == "paired":
            return {"shorter": found["result"]["shorter"]}
    return {}


def run(part: dict, limit: float) -> dict:
    """A part's result, from a process of its own. RuntimeError if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        command = [sys.executable, "-m", "benchmarks.part", json.dumps(part), str(out)]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, timeout=limit, check=False)
        if done.returncode or not out.is_file():
            raise RuntimeError(f"this part failed: {key_of(part)}")
        return json.loads(out.read_text(encoding="utf-8"))


def begin(path: Path, again: str | None, only: str = "") -> dict:
    """The record to go on with, less parts whose name holds `again` and `only`; or a new one."""
    if path.is_file() and again != "":
        record = json.loads(path.read_text(encoding="utf-8"))
        here, there = torch.get_num_threads(), record["threads"]
        if here != there:
            raise SystemExit(
                f"{path} was made with {there} threads, and here are {here}: "
                f"set OMP_NUM_THREADS={there}, or give --out"
            )
        if made_by()["cpu"] != record["cpu"]:
            raise SystemExit(
                f"{path} was made on another processor, {record['cpu']}: give --out FILE for a "
                "record of this one, or --again without a text to replace it"
            )
        anew = lambda key: again is not None and again in key and only in key
        kept = {k: v for k, v in record["parts"].items() if not anew(k)}
        return record | {"parts": kept}
    with exact_products():
        peaks = {precision: matmul_peak(dtype) for precision, dtype in DTYPES.items()}
    packages = ("trl", "transformers", "accelerate", "datasets")
    who = made_by()
    who["versions"] |= {name: version(name) for name in packages}
    left_out = precisions_of(peaks)[1]
    return {"title": "A step of DPO, side by side with TRL", **who, "peaks": peaks,
            "left_out": [left_out] if left_out else [], "parts": {}}  # fmt: skip


def in_order(found: dict, asked: list[dict]) -> dict:
    """The parts as they are planned, also those that were measured anew."""
    planned = [key_of(part) for part in asked]
    return {key: found[key] for key in [*planned, *(found.keys() - set(planned))] if key in found}


def measure(record: dict, path: Path, quick: bool, minutes: float, only: str = "") -> None:
    """Every part whose name holds `only`, and that the record lacks, while there is time."""
    ends = time.monotonic() + 60 * minutes
    asked = parts(precisions_of(record["peaks"])[0], quick)
    todo = [p for p in asked if only in key_of(p) and key_of(p) not in record["parts"]]
    for number, part in enumerate(todo):
        left = ends - time.monotonic()
        if left < 20:
            print(f"the time is over; {len(todo) - number} parts are left: call it again")
            return
        rest = [p for p in todo[number:] if p["kind"] == "paired" and p["model"] == "smollm2"]
        more = limits(part, record, left, len(rest), record["peaks"][part["precision"]])
        more |= shortened(part, record) if part["kind"] == "memory" else {}
        if part["shape"] == "short" and not quick:
            more.pop("allowed", None)  # these are what they are
        print(f"{number + 1}/{len(todo)} {key_of(part)} | load {load()}", flush=True)
        try:
            result = run(part | more, 300 if part["kind"] == "compiled" else left + 300)
        except subprocess.TimeoutExpired:
            if part["kind"] != "compiled":
                raise
            result = {"failed": "not compiled after five minutes"}
        when = {"when": datetime.now(UTC).isoformat(timespec="minutes")}
        when["commit"] = made_by()["commit"]
        record["parts"][key_of(part)] = {"part": part, **when, "result": result}
        record["parts"] = in_order(record["parts"], asked)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="five minutes, kept in benchmarks/runs"
    )
    parser.add_argument("--minutes", type=float, help="how long it may take (60; 5 with --quick)")
    anew = "measure anew: all, or the parts whose name holds the text"
    parser.add_argument("--again", nargs="?", const="", metavar="TEXT", help=anew)
    parser.add_argument("--only", default="", metavar="TEXT", help="the parts whose name holds it")
    parser.add_argument("--out", type=Path, help="the record (benchmarks/results/cpu.json)")
    parser.add_argument("--readme", action="store_true", help="only put the table into the README")
    asked = parser.parse_args()
    out = asked.out or HERE / ("runs/quick.json" if asked.quick else "results/cpu.json")
    if asked.readme:
        report.into_readme(HERE.parent / "README.md", json.loads(out.read_text(encoding="utf-8")))
        return
    torch.manual_seed(0)
    record = begin(out, asked.again, asked.only)
    for sentence in record["left_out"]:
        print(sentence)
    measure(record, out, asked.quick, asked.minutes or (5 if asked.quick else 60), asked.only)
    print(report.told(record))


if __name__ == "__main__":
    main()
