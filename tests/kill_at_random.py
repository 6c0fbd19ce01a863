"""Kill commands at random moments, let them go on, and compare with a run that was left alone.

`python tests/kill_at_random.py 100 [SEED]` kills 100 times and prints a JSON line for each; the
exit status says whether all went well. A kill is SIGKILL or SIGTERM after a random time, or SIGKILL
at a random event in the run's folder (a file opened, renamed, deleted). Every run is forked from
this process, so that only one import is paid for.
"""

import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from tqdm import tqdm

from dpo_from_scratch import feedback, rounds, world
from dpo_from_scratch.lab.studies import Study
from dpo_from_scratch.models import load_model
from dpo_from_scratch.training import TrainConfig, train
from dpo_from_scratch.training.folders import recorded

EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}
SETTINGS = {"beta": 0.6, "learning_rate": 1e-3, "steps": 6, "batch_size": 4, "warmup": 2}


def training(**options):
    """A command that trains the tiny model."""

    def command(folder: Path) -> None:
        model, tokenizer = load_model("tiny")
        config = TrainConfig(**SETTINGS | {"save_every": 2} | options)
        rows = world.make_pairs(12, seed=2)
        goes_on = recorded(folder) is not None
        train(model, tokenizer, rows, config, folder, resume=goes_on, progress=False)

    return command


def in_rounds(folder: Path) -> None:
    """`dpo iterate`: two rounds of samples, pairs and training."""
    model, tokenizer = load_model("tiny")
    config = TrainConfig(**SETTINGS | {"save_every": 2})
    rows = [{"prompt": p} for p in world.prompts("train")[:8]]
    rows_of = rounds.plan("iterated", model, tokenizer, rows, world.bradley_terry, 2, config)
    goes_on = recorded(folder) is not None
    rounds.in_rounds(model, tokenizer, 2, rows_of, config, True, folder, goes_on, progress=False)


def in_stages(folder: Path) -> None:
    """`dpo feedback`: responses, scores, pairs, training."""
    model, tokenizer = load_model("tiny")
    config = TrainConfig(**SETTINGS | {"save_every": 2})
    asked = world.prompts("train")[:6]
    given = (asked, world.rewards, "worst", 2, config, "rewards")
    feedback.pipeline(folder, model, tokenizer, *given)


def study(folder: Path) -> None:
    """A record that grows by a point at a time."""
    made = Study("studies/lengths.py", "Lengths of answers")
    made.path = folder / RECORD

    @made.points([{"seed": seed} for seed in range(12)])
    def length(seed):
        return {"words": sum(len(row["chosen"].split()) for row in world.make_pairs(40, seed=seed))}

    made.make()


RECORD = "lengths.json"
COMMANDS = {  # name -> what begins or goes on in a folder
    "dpo": training(),
    "kto": training(loss="kto"),
    "bco": training(loss="bco"),
    "lora": training(lora_rank=4, learning_rate=1e-2),
    "accumulation": training(accumulation=4),
    "live reference": training(live_reference=True),
    "iterate": in_rounds,
    "feedback": in_stages,
    "study": study,
}


def in_a_fork(command, folder: Path, kill_event: int = 0, kill_after: tuple | None = None) -> dict:
    """How a forked process that runs the command ends: status (negative: a signal) and time."""
    begun = time.monotonic()
    pid = os.fork()
    if pid == 0:
        log = os.open(folder.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1), os.dup2(log, 2)
        count = [0]

        def hook(event, arguments):
            if event in EVENTS and any(str(folder) in str(a) for a in arguments[:2]):
                count[0] += 1
                if count[0] == kill_event:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        status = 0
        try:
            command(folder)
        except KeyboardInterrupt as error:
            status = 128 + getattr(error, "signal", signal.SIGINT)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            status = 1
        folder.with_suffix(".events").write_text(str(count[0]))
        os._exit(status)
    if kill_after:
        time.sleep(kill_after[0])
        os.kill(pid, kill_after[1])
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return {"status": status, "seconds": time.monotonic() - begun}


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a run, by its path; of a record its points, for it tells who made them when."""
    files = [p for p in folder.rglob("*") if p.is_file()]
    found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}
    if RECORD in found:
        found[RECORD] = json.dumps(json.loads(found[RECORD])["points"]).encode()
    return found


def killed(command, folder: Path, whole: dict, rng: random.Random) -> dict:
    """One kill, and the run that goes on afterwards, which may be killed once more."""
    out = {"kills": []}
    for _ in range(rng.choice((1, 1, 2))):
        seconds = (rng.uniform(0, 1.05 * whole["seconds"]), rng.choice((9, 9, 15)))
        event = rng.randint(1, whole["events"])
        how = {"kill_event": event} if rng.random() < 0.5 else {"kill_after": seconds}
        out["kills"].append(how | {"status": in_a_fork(command, folder, **how)["status"]})
    out["end"] = in_a_fork(command, folder)["status"]
    found = content(folder)
    out["other"] = sorted(
        name
        for name in found.keys() | whole["content"]
        if found.get(name) != whole["content"].get(name)
    )
    if out["end"]:
        out["said"] = folder.with_suffix(".log").read_text()[-300:]
    return out


def killings(runs: list[dict]) -> int:
    """How many processes were killed; some end before their time comes."""
    return sum(kill["status"] != 0 for run in runs for kill in run["kills"])


def main(kills: int, seed: int = 0, names: list[str] | None = None) -> list[dict]:
    """The runs of so many kills, in turn over the commands, each at least once.

    What went wrong is in them.
    """
    torch.set_num_threads(1)
    tqdm.set_lock(threading.RLock())  # its own one is of all forks, and a killed one would keep it
    rng, runs, wholes = random.Random(seed), [], {}
    names = names or list(COMMANDS)
    with tempfile.TemporaryDirectory() as place:
        for name in ("dpo", "lora"):  # in this process: what it imports, forks need not
            warm = Path(place) / "warm" / name
            COMMANDS[name](warm)
        while killings(runs) < kills or len(runs) < len(names):
            name = names[len(runs) % len(names)]
            if name not in wholes:
                folder = Path(place) / name.replace(" ", "-") / "run"
                folder.parent.mkdir()
                alone = in_a_fork(COMMANDS[name], folder)
                events = int(folder.with_suffix(".events").read_text())
                wholes[name] = alone | {"events": events, "content": content(folder)}
            folder = Path(place) / f"{len(runs)}" / "run"
            folder.parent.mkdir()
            found = killed(COMMANDS[name], folder, wholes[name], rng)
            runs.append({"command": name, "well": not found["end"] and not found["other"]} | found)
            print(json.dumps(runs[-1]), flush=True)
    return runs


if __name__ == "__main__":
    done = main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print(f"{killings(done)} kills,", end=" ")
    print(f"{sum(not run['well'] for run in done)} of {len(done)} runs ended otherwise")
    sys.exit(any(not run["well"] for run in done))
