"""Kill training with SIGKILL at given points, let it go on, and compare with a run left alone.

`python tests/kill_driver.py FOLDER VARIANT SEED` prints one JSON line per kill. A process is forked
for each run, before torch has computed anything, so that only one import is paid for.
"""

import json
import os
import random
import signal
import sys
from pathlib import Path

import torch

from dpo_from_scratch import world
from dpo_from_scratch.models import Scorer, load_model
from dpo_from_scratch.training import TrainConfig, runs, train

VARIANTS = {
    "plain": {},
    "accumulation": {"accumulation": 4},
    "lora": {"lora_rank": 4, "learning_rate": 1e-2},
    "live reference": {"live_reference": True},
}
STEPS, SAVE_EVERY = 10, 3


def in_a_fork(work) -> int:
    """Run `work` in a forked process; returns its exit status, negative for a signal."""
    pid = os.fork()
    if pid == 0:
        torch.set_num_threads(1)
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run(folder: Path, options: dict, resume: bool = False) -> None:
    model, tokenizer = load_model("tiny")
    config = TrainConfig(
        **{
            "beta": 0.6,
            "learning_rate": 1e-3,
            "steps": STEPS,
            "batch_size": 8,
            "warmup": 2,
            "save_every": SAVE_EVERY,
        }
        | options
    )
    train(
        model,
        tokenizer,
        world.make_pairs(20, seed=2),
        config,
        folder,
        resume=resume,
        progress=False,
    )


def die_at(what: str, number: int) -> None:
    """SIGKILL at the number-th policy forward, or halfway through the number-th checkpoint."""
    count = [0]

    def forward(self, *args, _old=Scorer.forward, **kwargs):
        count[0] += torch.is_grad_enabled()
        if count[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return _old(self, *args, **kwargs)

    def save(tensors, path, *args, _old=runs.save_file, **kwargs):
        if "scores" not in tensors:
            count[0] += 1
        _old(tensors, path, *args, **kwargs)
        if count[0] == number:
            os.truncate(path, os.path.getsize(path) // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    if what == "save":
        runs.save_file = save
    else:
        Scorer.forward = forward


def main() -> None:
    folder, variant, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    options, rng = VARIANTS[variant], random.Random(seed)
    parts = options.get("accumulation", 1)
    kills = [("forward", rng.randrange(2, STEPS * parts)) for _ in range(3)]
    kills += [
        ("save", rng.randrange(1, 4)),
        ("forward", parts * rng.randrange(4, STEPS) + 1 + parts // 2),
    ]  # the last: between parts
    assert in_a_fork(lambda: run(folder / "whole", options)) == 0
    for i, (what, number) in enumerate(kills):
        target = folder / f"killed-{i}"
        first = in_a_fork(lambda w=what, n=number, t=target: (die_at(w, n), run(t, options)))
        second = in_a_fork(
            lambda t=target: run(t, options, resume=bool((t / "metrics.jsonl").exists()))
        )
        same = {
            name: (target / name).is_file()
            and (target / name).read_bytes() == (folder / "whole" / name).read_bytes()
            for name in ("model/model.safetensors", "metrics.jsonl")
        }
        print(
            json.dumps({"kill": [what, number], "first": first, "second": second, **same}),
            flush=True,
        )


if __name__ == "__main__":
    main()
