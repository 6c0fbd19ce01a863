"""Weak scaling: two processes that share a batch against two that know nothing of each other.

`python -m benchmarks.processes [MODEL] [ROUNDS]` has both sides make the same steps on the same
cores, in turn: two connected processes a batch of twice the pairs, two unconnected ones a batch
each, at the same time. A side's figure is its best round, a round's the median of its steps. The
ratio is 1 where being connected costs nothing; below it stands where the rest goes.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.distributed as dist

from dpo_from_scratch import world
from dpo_from_scratch.models import load_model
from dpo_from_scratch.processes.group import Processes, here, join, leave
from dpo_from_scratch.training import TrainConfig, train

PAIRS, STEPS, FIRST = 4, 15, 5  # a process and step; steps in all, and those that only warm up
ROUNDS = 5


def timed(of, name: str, seconds: dict):
    """A function that adds the time of its calls to `seconds`."""

    def call(*given, **named):
        begun = time.perf_counter()
        found = of(*given, **named)
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - begun
        return found

    return call


def worker(model: str, out: Path) -> None:
    """One process: seconds of each step after the first ones, and of what is sent in them."""
    rank = int(os.environ["CORE"] if "CORE" in os.environ else os.environ["LOCAL_RANK"])
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[rank % len(cores)]})
    torch.set_num_threads(1)
    size, sent = join().size, {}
    if size > 1:
        Processes.gather = timed(Processes.gather, "rows gathered", sent)
    policy, tokenizer = load_model(model)
    settings = {"steps": STEPS, "batch_size": PAIRS * size, "learning_rate": 1e-5, "warmup": 0}
    times = []
    train(
        policy,
        tokenizer,
        world.make_pairs(PAIRS * size * STEPS, seed=0),
        TrainConfig(**settings),
        on_step=lambda step, row: times.append(time.perf_counter()),
        progress=False,
    )
    steps = [b - a for a, b in zip(times[FIRST:-1], times[FIRST + 1 :], strict=True)]
    found = {"step": statistics.median(steps), "sent": {k: v / STEPS for k, v in sent.items()}}
    if size > 1:
        found["sent"]["gradients alone"] = alone(policy)
    if here().first:
        out.with_name(f"{out.name}-{rank}").write_text(json.dumps(found))
    leave()


def alone(policy: torch.nn.Module) -> float:
    """Seconds to add up as many numbers as there are gradients; DDP hides a part of it."""
    numbers = torch.zeros(sum(p.numel() for p in policy.parameters()))
    found = []
    for _ in range(5):
        dist.barrier()
        begun = time.perf_counter()
        dist.all_reduce(numbers)
        found.append(time.perf_counter() - begun)
    return min(found)


def measured(model: str, connected: bool, place: Path) -> list[dict]:
    """A round of one side."""
    me = ["-m", "benchmarks.processes", "--worker", model, str(place)]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    if connected:
        subprocess.run([*torchrun, "--nproc-per-node", "2", *me], check=True)
    else:
        cores = [os.environ | {"CORE": str(core)} for core in (0, 1)]
        both = [subprocess.Popen([sys.executable, *me], env=env) for env in cores]
        assert [process.wait() for process in both] == [0, 0]
    return [json.loads(path.read_text()) for path in place.parent.glob(f"{place.name}-*")]


def main(model: str = "tiny", rounds: int = ROUNDS) -> None:
    """Print both sides' best rounds, their ratio, and what was sent in the connected one's."""
    steps: dict[bool, list[float]] = {True: [], False: []}
    sent: dict = {}
    with tempfile.TemporaryDirectory() as name:
        for number in range(rounds):
            for connected in (True, False) if number % 2 else (False, True):
                found = measured(model, connected, Path(name) / f"{number}-{connected}")
                steps[connected].append(max(side["step"] for side in found))
                if connected and steps[connected][-1] == min(steps[connected]):
                    sent = found[0]["sent"]
    best = {connected: min(times) for connected, times in steps.items()}
    print(f"{model}, {PAIRS} pairs a process and step, best of {rounds} rounds")
    print(f"connected {best[True] * 1e3:.1f} ms a step, unconnected {best[False] * 1e3:.1f} ms")
    print(f"ratio {best[False] / best[True]:.3f}")
    print(", ".join(f"{name} {seconds * 1e3:.2f} ms a step" for name, seconds in sent.items()))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2], Path(sys.argv[3]))
    else:
        main(*sys.argv[1:2], *map(int, sys.argv[2:3]))
