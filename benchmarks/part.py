"""One part of a benchmark in a process of its own: `python -m benchmarks.part '{"kind": ...}' OUT`.

A fresh process for each, so that one's memory and settings are not another's.
"""

import json
import os
import resource
import sys
import tempfile
import time
import warnings
from dataclasses import asdict
from pathlib import Path

import torch

from dpo_from_scratch.fast import exact_products
from dpo_from_scratch.models import load_model
from dpo_from_scratch.tokens import encode_rows

from . import stats
from .flops import Work, executed_flops, matmul_peak, step_flops
from .sides import MAX_LENGTH, SIDES, Ours, build
from .texts import SHAPES, Shape, rows_of

DTYPES = {"no": torch.float32, "bf16": torch.bfloat16}


def shape_of(part: dict) -> Shape | None:
    """The lengths of a part's texts; None: the review world's own."""
    if part["shape"] not in SHAPES:
        return None
    return SHAPES[part["shape"]].shorter(part.get("shorter", 1.0))


def fitting(part: dict) -> dict:
    """The part with lengths so much shorter that it fits into `allowed` seconds.

    `rate` is how many operations a second the sides are expected to reach. Of a round of all sides
    there are as many as paired steps, one that warms up, and two that setting up costs.
    """
    if "allowed" not in part or part["shape"] not in SHAPES:
        return part
    model, tokenizer = load_model(part["model"])
    for percent in range(100, 5, -5):
        tried = part | {"shorter": percent / 100}
        rows = rows_of(shape_of(tried), 1, part["pairs"])
        examples, _ = encode_rows(tokenizer, rows, MAX_LENGTH)
        flops = executed_flops(model, [e for pair in examples for e in pair])
        if (part["steps"] + 3) * flops / part["rate"] <= part["allowed"]:
            break
    return tried


def paired(part: dict, folder: Path) -> dict:
    """Steps of all sides in turns, on the same batches; the first of each only warms up.

    Who begins changes from step to step. Seconds are on the wall; `cpu_seconds` are those that
    this process was computing, which other processes disturb less.
    """
    part = fitting(part)
    steps, pairs = part["steps"] + 1, part["pairs"]
    rows = rows_of(shape_of(part), steps + 1, pairs)  # one more: TRL is held before its last step
    sides = {
        name: build(name, part["model"], rows, pairs, part["precision"], folder) for name in SIDES
    }
    same_tokens(sides)
    dtype, fast = DTYPES[part["precision"]], sides["fast"]
    peaks, loads = [matmul_peak(dtype)], [load()]
    seconds, cpu, lost = ({name: [] for name in sides} for _ in range(3))
    for step in range(steps):
        first = step % len(sides)
        for name in [*sides, *sides][first : first + len(sides)]:
            begun, busy = time.perf_counter(), time.process_time()
            lost[name].append(sides[name].step())
            seconds[name].append(time.perf_counter() - begun)
            cpu[name].append(time.process_time() - busy)
        print(f"  step {step}: " + told(seconds), file=sys.stderr, flush=True)
    peaks.append(matmul_peak(dtype))
    executed = sum(executed_flops(fast.model, fast.texts(i)) for i in range(steps))
    found = {
        "shorter": part.get("shorter", 1.0),
        "words": asdict(shape_of(part)) if shape_of(part) else None,
        "peak_flops": max(peaks),
        "load_average": [loads[0], load()],
        "loss_difference": stats.losses_agree(lost, part["precision"]),
        "rate": executed / sum(sum(taken) for taken in seconds.values()),
    }
    return found | figures(fast, seconds, cpu, max(peaks)) | {"losses": lost}


def same_tokens(sides: dict) -> None:
    """ValueError unless all sides read the same tokens."""
    ours = [tuple(example.ids for example in pair) for pair in sides["fast"].examples]
    for name, side in sides.items():
        if name != "fast" and side.examples != ours:
            raise ValueError(f"{name} tokenises the rows in another way")


def told(seconds: dict[str, list[float]]) -> str:
    """The last seconds of each side, in words."""
    return ", ".join(f"{name} {found[-1]:.3g} s" for name, found in seconds.items())


def figures(ours: Ours, seconds: dict, cpu: dict, peak: float) -> dict:
    """Of the steps after the first: ratios, tokens a second, and the share of the peak.

    Tokens are counted as the pairs stand in the file, a prompt with each of its responses, and
    operations as the mathematics needs them: both are the same for all sides.
    """
    steps = range(1, len(seconds["fast"]))
    flops = sum(step_flops(ours.model, Work.of(ours.texts(i))) for i in steps)
    tokens = sum(len(text.ids) for i in steps for text in ours.texts(i))
    found = {"tokens_a_step": tokens / len(steps), "flops_a_step": flops / len(steps), "sides": {}}
    for name, times in seconds.items():
        side = {"seconds": times[1:], "cpu_seconds": cpu[name][1:]}
        side["tokens_a_second"] = tokens / sum(times[1:])
        side["mfu"] = flops / sum(times[1:]) / peak
        if name != "fast":
            side["times_as_long"] = stats.ratio(times[1:], seconds["fast"][1:])
            side["times_the_cpu"] = stats.ratio(cpu[name][1:], cpu["fast"][1:])
        found["sides"][name] = side
    return found


def memory(part: dict, folder: Path) -> dict:
    """The most memory of this process, for one side: a step on short rows, then a step of the part.

    The first makes the optimizer's moments, so that the second meets them, as all later ones do.
    """
    few = None if shape_of(part) is None else SHAPES["short"].shorter(0.1)
    rows = rows_of(few, 1, part["pairs"])
    rows += rows_of(shape_of(part), 2, part["pairs"])
    before = most_memory()
    side = build(part["side"], part["model"], rows, part["pairs"], part["precision"], folder)
    found = {"before": before, "shorter": part.get("shorter", 1.0)}
    found["losses"] = [side.step(), side.step()]
    return found | {"peak": most_memory()}


def most_memory() -> int:
    """The largest resident size of this process so far, bytes (VmHWM, where there is /proc)."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def load() -> list[float]:
    """The machine's load average: processes that want a core, of the last 1, 5, 15 minutes."""
    return [round(x, 2) for x in os.getloadavg()] if hasattr(os, "getloadavg") else []


def main(part: dict) -> dict:
    """The figures of a part, with the matmul flag set for whatever runs in it."""
    from .trials import compiled, profile, trials

    kinds = {"paired": paired, "memory": memory, "trials": trials, "profile": profile}
    kinds["compiled"] = compiled
    warnings.filterwarnings("ignore")
    begun = time.perf_counter()
    large = part["model"] != "tiny"  # its rows are short: a kernel for each new length costs more
    with tempfile.TemporaryDirectory() as folder, exact_products(wanted=large) as flag:
        found = {"matmul_precision": flag} | kinds[part["kind"]](part, Path(folder))
    return found | {"took_seconds": time.perf_counter() - begun}


if __name__ == "__main__":
    result = main(json.loads(sys.argv[1]))
    Path(sys.argv[2]).write_text(json.dumps(result), encoding="utf-8")
    sys.stdout.flush()
    os._exit(0)  # the thread that holds TRL's loop would wait for a step that never comes
