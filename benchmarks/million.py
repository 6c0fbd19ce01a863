"""Anonymous memory of a run of a million rows beside one of ten thousand: `make million`.

A process each: the file is read, all of its rows are tokenised, and the tiny model is trained for
four steps. The largest RssAnon, looked at every 20 ms, may grow by 60 MB.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

MOST = 60e6  # bytes


def anonymous() -> int:
    """Memory of this process that no file stands behind, bytes."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


class Watch(threading.Thread):
    """The largest RssAnon so far."""

    def __init__(self):
        super().__init__(daemon=True)
        self.most = 0

    def run(self) -> None:
        """Look until the process ends."""
        while True:
            self.most = max(self.most, anonymous())
            time.sleep(0.02)


def write(path: Path, rows: int) -> None:
    """So many different pairs of the review world, from 500 of them."""
    from dpo_from_scratch import world

    pairs = [json.dumps(row)[:-1] for row in world.make_pairs(500, seed=0)]
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f'{pairs[i % 500]}, "number": {i}}}\n' for i in range(rows))


def measure(path: str) -> dict:
    """The largest RssAnon, and that before the file is read."""
    from dpo_from_scratch.data import read_rows
    from dpo_from_scratch.models import load_model
    from dpo_from_scratch.training import TrainConfig, train

    settings = {"loss": "simpo", "steps": 4, "batch_size": 8, "score_all": True}
    model, tokenizer = load_model("tiny")
    few = [row | {"number": 0} for row in read_rows(path)[0][:64]]
    train(model, tokenizer, few, TrainConfig(**settings), progress=False)  # what is loaded once
    before, watch = anonymous(), Watch()
    watch.start()
    begun = time.perf_counter()
    rows, _ = read_rows(path)
    history = train(model, tokenizer, rows, TrainConfig(**settings), progress=False)
    told = {"rows": len(rows), "seconds": time.perf_counter() - begun, "loss": history[-1]["loss"]}
    return told | {"before": before, "most": watch.most}


def main(sizes: list[int]) -> int:
    """A line for each size; 1 if the last takes 60 MB more than the first."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for rows in sizes:
            path = Path(folder) / f"{rows}.jsonl"
            write(path, rows)
            command = [sys.executable, "-m", "benchmarks.million", "one", str(path)]
            env = os.environ | {"DPO_CACHE": folder}
            done = subprocess.run(
                command, env=env, capture_output=True, encoding="utf-8", check=True
            )
            found.append(json.loads(done.stdout.splitlines()[-1]))
            told = {k: f"{v / 1e6:.0f} MB" for k, v in found[-1].items() if k in ("before", "most")}
            print(f"{rows} rows: {told}, {found[-1]['seconds']:.0f} s", flush=True)
    grown = found[-1]["most"] - found[0]["most"]
    print(f"grown by {grown / 1e6:.0f} MB")
    return int(grown > MOST)


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        print(json.dumps(measure(sys.argv[2])))
    else:
        sys.exit(main([int(n) for n in sys.argv[1:]] or [10**4, 10**6]))
