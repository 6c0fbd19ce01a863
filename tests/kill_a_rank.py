"""Kill or stop one of two processes at random moments; the other must say so and end, and the run
must go on with the same number of processes to the same weights, bit by bit.

`python tests/kill_a_rank.py 20 [SEED]` does it 20 times and prints a JSON line for each; the exit
status says whether all went well. A fault is SIGKILL or SIGSTOP of rank 0 or 1, after a random
time, at a random call of what sends rows or gathers a checkpoint, or as a checkpoint is written.
Every fourth run goes on in one process, too, whose weights may differ by rounding. What is killed
runs under torchrun, as in `torchrun --nproc-per-node 2 -m dpo_from_scratch train`.
"""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from safetensors.torch import load_file

from dpo_from_scratch import world
from dpo_from_scratch.cli import main as dpo
from dpo_from_scratch.data import write_rows
from dpo_from_scratch.processes import shard
from dpo_from_scratch.processes.group import Processes
from dpo_from_scratch.training import checkpoints, runs

KINDS = {  # name -> options of `dpo train`
    "dpo": ["--loss", "dpo"],
    "dpo, sliced": ["--loss", "dpo", "--shard"],
    "kto, LoRA": ["--loss", "kto", "--lora-rank", "4"],
    "bco, sliced": ["--loss", "bco", "--shard"],
}
COMMON = "--model tiny --steps 8 --batch-size 7 --warmup 2 --learning-rate 1e-3 --save-every 2"
EVENTS = {"a gather of rows": 30, "a gather of weights": 150, "the writing of a checkpoint": 3}
MOST = 30.0  # seconds until the others have ended


def command(kind: str, folder: Path, *more: str) -> list[str]:
    """What follows `dpo`."""
    rest = ["--data", str(folder.parent / "pairs.jsonl"), "--out", str(folder), *more]
    return ["train", *COMMON.split(), *KINDS[kind], *rest]


def strike(number: int, event: str, count: int) -> None:
    """From now on this process gets the signal at the `count`-th such event."""
    seen = [0]

    def counted(call):
        def wrapped(*given, **named):
            seen[0] += 1
            if seen[0] == count:
                os.kill(os.getpid(), number)
            return call(*given, **named)

        return wrapped

    if event == "a gather of rows":
        Processes.gather = counted(Processes.gather)
    elif event == "a gather of weights":
        shard.whole = checkpoints.whole = counted(shard.whole)
    elif event == "the writing of a checkpoint":
        runs.write_state = counted(runs.write_state)


def worker() -> int:
    """One rank: `dpo`, which leaves its number, and what happens to it."""
    given = json.loads(os.environ["FAULT"])
    if int(os.environ["RANK"]) == given["rank"] and given["event"]:
        strike(given["signal"], given["event"], given["count"])
    Path(given["pids"], os.environ["RANK"]).write_text(str(os.getpid()))
    torch.set_num_threads(1)
    return dpo(json.loads(os.environ["COMMAND"]))


def alive(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def struck(folder: Path, given: dict, arguments: list[str]) -> dict:
    """A run under torchrun with a fault: what was said, and how long the other process lived on."""
    place = Path(given["pids"])
    place.mkdir()
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    more = {"FAULT": json.dumps(given), "COMMAND": json.dumps(arguments), "DPO_PATIENCE": "8"}
    log = folder.with_suffix(".log")
    with open(log, "w") as file:
        launch = subprocess.Popen(
            [*torchrun, "--standalone", __file__],
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | more,
        )
    while len(list(place.iterdir())) < 2 or not all(p.read_text() for p in place.iterdir()):
        time.sleep(0.05)
    pids = {int(p.name): int(p.read_text()) for p in place.iterdir()}
    victim, other = pids[given["rank"]], pids[1 - given["rank"]]
    if not given["event"]:
        while not (folder / "config.json").exists() and alive(other):
            time.sleep(0.05)
        time.sleep(given["seconds"])
        if alive(victim):
            os.kill(victim, given["signal"])
    begun = None
    while alive(other) and (begun is None or time.monotonic() - begun < 2 * MOST):
        begun = begun or (time.monotonic() if halted(victim) else None)
        time.sleep(0.05)
    seconds = time.monotonic() - begun if begun else 0.0
    over = (folder / "model").exists()  # all had done their work: there is nothing to say
    for pid in (victim, other):
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
    launch.wait(timeout=60)
    text = log.read_text().replace("\r", "\n")
    said = [line for line in text.splitlines() if "no longer answer" in line]
    begun = begun is not None
    return {"struck": begun, "over": over, "seconds": round(seconds, 1), "said": said}


def halted(pid: int) -> bool:
    """Whether a process is dead or stopped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZTX"
    except OSError:
        return True


def together(number: int, arguments: list[str], log: Path) -> list[int]:
    """The command in so many forks of this process, to its end; their statuses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pids = []
    for rank in range(number):
        pids.append(os.fork())
        if pids[-1] == 0:
            out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(out, 1), os.dup2(out, 2)
            where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
            if number > 1:
                os.environ |= where | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
                os.environ |= {"WORLD_SIZE": str(number), "LOCAL_WORLD_SIZE": str(number)}
            os._exit(dpo(arguments))
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def weights(folder: Path) -> dict:
    """Of a finished run."""
    return load_file(folder / "model" / "model.safetensors")


def off(a: dict, b: dict) -> float:
    """How far two models are apart, relative to the first."""
    flat = [torch.cat([found[name].flatten() for name in a]).double() for found in (a, b)]
    return float((flat[0] - flat[1]).norm() / flat[0].norm())


def trial(number: int, place: Path, whole: dict, rng: random.Random) -> dict:
    """One fault, and the run that goes on."""
    kind = list(KINDS)[number % len(KINDS)]
    event = rng.choice(["", *EVENTS])
    given = {"rank": 0 if event.startswith("the writing") else rng.randint(0, 1)}
    given |= {"signal": int(rng.choice((signal.SIGKILL, signal.SIGSTOP))), "event": event}
    given |= {"count": rng.randint(1, EVENTS.get(event, 1)), "seconds": rng.uniform(0, 6)}
    folder, log = place / f"{number}", place / f"{number}.resumed.log"
    given["pids"] = str(place / f"{number}.pids")
    out = {"kind": kind} | given | struck(folder, given, command(kind, folder))
    named = f"rank {given['rank']} of 2 processes no longer answers"
    out["well"] = out["seconds"] < MOST and (
        not out["struck"]
        or (out["over"] and not out["said"])
        or (len(out["said"]) == 1 and named in out["said"][0] and "--resume" in out["said"][0])
    )
    if not (folder / "config.json").exists():
        return out | {"note": "before anything was written"}
    if number % 4 == 3:
        other = place / f"{number}.alone"
        shutil.copytree(folder, other)
        together(1, command(kind, other, "--resume"), log)
        out["off in one process"] = off(whole[kind], weights(other))
        out["well"] &= out["off in one process"] < 1e-4
    statuses = together(2, command(kind, folder, "--resume"), log)
    out["equal"] = statuses == [0, 0] and same(whole[kind], weights(folder))
    if not out["equal"]:
        out["resumed"] = {"statuses": statuses, "said": log.read_text()[-1500:]}
    return out | {"well": out["well"] and out["equal"]}


def same(a: dict, b: dict) -> bool:
    """Bit by bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def main(faults: int, seed: int = 0) -> int:
    """1 where one of them did not end well."""
    torch.set_num_threads(1)
    rng, bad = random.Random(seed), 0
    with tempfile.TemporaryDirectory() as name:
        place, whole = Path(name), {}
        write_rows(place / "pairs.jsonl", world.make_pairs(20, seed=2))
        for kind in KINDS:
            folder = place / kind.replace(", ", "-")
            statuses = together(2, command(kind, folder), place / "whole.log")
            assert statuses == [0, 0], (place / "whole.log").read_text()[-2000:]
            whole[kind] = weights(folder)
        for number in range(faults):
            found = trial(number, place, whole, rng)
            bad += not found["well"]
            print(json.dumps(found), flush=True)
    print(f"{faults} faults, {bad} ended otherwise")
    return int(bad > 0)


if __name__ == "__main__":
    if "FAULT" in os.environ:
        sys.exit(worker())
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
