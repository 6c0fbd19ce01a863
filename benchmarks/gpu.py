"""The same on one GPU: shapes of 124M parameters with random weights, in bf16, without network.

    python benchmarks/gpu.py --card-peak 989e12   # the dense bf16 peak of the card's data sheet
    python benchmarks/gpu.py --rehearse           # on a CPU, two layers: does it run?

It goes on where it was stopped: each call measures what the record lacks, in parts of a process
each, for at most `--minutes` (9). TRL is compared with where it is installed, and Liger's kernels
where those are (`pip install --no-index --no-deps --find-links FOLDER trl liger-kernel`): they have
kernels for Llama's layers and none for GPT-2's.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch

from benchmarks import stats
from benchmarks.flops import Work, matmul_peak, step_flops
from benchmarks.sides import LIGER, build
from benchmarks.texts import Shape, rows_of
from dpo_from_scratch.lab.records import made_by

HERE, SHAPE = Path(__file__).parent, Shape((128, 128), (128, 128))
STEPS, WARM = 10, 3


def sides_here(model: str) -> list[str]:
    """What can be compared: TRL at its fastest where it is installed, and with Liger."""
    found = ["fast"] + (["TRL, fastest"] if find_spec("trl") else [])
    has_liger = find_spec("trl") and find_spec("liger_kernel") and model.startswith("Llama")
    return found + (list(LIGER) if has_liger else [])


def parts(rehearse: bool) -> list[dict]:
    """Paired steps at each size, then the memory of each side."""
    models = (
        ("GPT-2, two layers", "Llama, two layers") if rehearse else ("GPT-2 124M", "Llama 124M")
    )
    shared = {"precision": "bf16", "device": "cpu" if rehearse else "cuda"}
    cases = [
        {"model": model, "pairs": pairs, "sides": sides_here(model), **shared}
        for model in models for pairs in ((2,) if rehearse else (8, 32, 128))
    ]  # fmt: skip
    alone = [case | {"sides": [side]} for case in cases for side in case["sides"]]
    return [{"kind": "times", **c} for c in cases] + [{"kind": "memory", **c} for c in alone]


def measured(part: dict, folder: str) -> dict:
    """Steps of the sides in turns; for memory, of one side alone."""
    device, pairs = part["device"], part["pairs"]
    count = STEPS if part["kind"] == "times" else 2
    shape = SHAPE if device == "cuda" else SHAPE.shorter(0.1)
    rows = rows_of(shape, WARM + count + 1, pairs)
    sides = {
        name: build(name, part["model"], rows, pairs, part["precision"], folder, device)
        for name in part["sides"]
    }
    peak = matmul_peak(torch.bfloat16, device, 2.0)
    seconds, lost = ({name: [] for name in sides} for _ in range(2))
    for step in range(WARM + count):
        first = step % len(sides)
        for name in [*sides, *sides][first : first + len(sides)]:
            begun = now(device)
            lost[name].append(sides[name].step())
            seconds[name].append(now(device) - begun)
    found = {"peak_flops": peak, "losses": lost, "seconds": seconds}
    found["loss_difference"] = stats.losses_agree(lost, part["precision"])
    if device == "cuda":
        found["memory"] = torch.cuda.max_memory_allocated()
    return found | (rates(sides["fast"], seconds, peak) if "fast" in sides else {})


def rates(ours, seconds: dict, peak: float) -> dict:
    """Of the steps after the warm ones, per side: tokens a second, MFU, times as long as ours."""
    steps = range(WARM, len(seconds["fast"]))
    texts = [ours.texts(i) for i in steps]
    tokens = sum(len(text.ids) for of_step in texts for text in of_step)
    flops = sum(step_flops(ours.model, Work.of(of_step)) for of_step in texts)
    found = {}
    for name, times in seconds.items():
        spent = times[WARM:]
        found[name] = {"tokens_a_second": tokens / sum(spent), "mfu": flops / sum(spent) / peak}
        found[name]["flops_a_second"] = flops / sum(spent)
        if name != "fast":
            found[name]["times_as_long"] = stats.ratio(spent, seconds["fast"][WARM:])
    return {"sides": found}


def now(device: str) -> float:
    """Seconds, once the GPU has done what it was told."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def blank(card_peak: float) -> dict:
    """A record of nothing yet."""
    return {"title": "A step of DPO on a GPU, side by side with TRL", "state": "wants a GPU",
            "card_peak": card_peak, "parts": {}}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--card-peak", type=float, default=0.0, help="dense bf16 peak, FLOP/s")
    parser.add_argument("--minutes", type=float, default=9.0, help="how long this call may take")
    parser.add_argument("--rehearse", action="store_true", help="on a CPU, with two layers")
    parser.add_argument("--out", type=Path, help="the record (benchmarks/results/gpu.json)")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    name = "runs/gpu_rehearsal.json" if asked.rehearse else "results/gpu.json"
    out = asked.out or HERE / name
    if asked.part:
        result = measured(json.loads(asked.part), str(out.parent / "trl"))
        out.write_text(json.dumps(result), encoding="utf-8")
        sys.stdout.flush()
        os._exit(0)  # TRL's loop waits in its thread
    if not asked.rehearse and not torch.cuda.is_available():
        sys.exit("this wants a GPU; --rehearse tries the script on a CPU")
    out.parent.mkdir(parents=True, exist_ok=True)
    go_on(out, asked)


def go_on(out: Path, asked: argparse.Namespace) -> None:
    """Measure what the record lacks, while there is time."""
    record = json.loads(out.read_text(encoding="utf-8")) if out.is_file() else blank(0.0)
    record["card_peak"] = asked.card_peak or record["card_peak"]
    record |= made_by()
    if torch.cuda.is_available():
        record["gpu"] = torch.cuda.get_device_name()
    ends, plan = time.monotonic() + 60 * asked.minutes, parts(asked.rehearse)
    for part in plan:
        key, left = json.dumps(part), ends - time.monotonic()
        if key in record["parts"] or left < 30:
            continue
        print(key, flush=True)
        result = out.with_suffix(".partial")
        command = [sys.executable, __file__, "--part", key, "--out", str(result)]
        try:
            subprocess.run(command, timeout=left, check=True)
            record["parts"][key] = json.loads(result.read_text(encoding="utf-8"))
        except subprocess.CalledProcessError as error:
            record["parts"][key] = {"failed": str(error.returncode)}  # too large for this card, say
        except subprocess.TimeoutExpired:
            pass  # the next call begins with it
        done = len(record["parts"]) == len(plan)
        record["state"] = "measured" if done else "partly measured"
        out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        result.unlink(missing_ok=True)
    print(told(record))


def told(record: dict) -> str:
    """The record in lines: tokens a second, MFU over both peaks, memory."""
    lines = [f"{record['title']}: {record['state']}"]
    for key, result in record["parts"].items():
        part = json.loads(key)
        title = f"{part['model']}, {part['pairs']} pairs"
        if "failed" in result:
            lines.append(f"{title}: {', '.join(part['sides'])} failed")
        if part["kind"] == "memory" and "memory" in result:
            lines.append(f"{title}: {part['sides'][0]} takes {result['memory'] / 2**20:,.0f} MiB")
        for name, side in result.get("sides", {}).items() if part["kind"] == "times" else ():
            line = (
                f"{title}: {name}, {side['tokens_a_second']:,.0f} tokens/s, MFU {side['mfu']:.0%}"
            )
            if record["card_peak"]:
                share = side["flops_a_second"] / record["card_peak"]
                line += f" of what was measured, {share:.0%} of the card's"
            if "times_as_long" in side:
                found = side["times_as_long"]
                line += (
                    f", {found['ratio']:.2f} ({found['low']:.2f} to {found['high']:.2f}) times ours"
                )
            lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    main()
