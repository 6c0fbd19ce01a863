"""What a run is said to need beside what it takes: `make memory-check`, some minutes and 6 GB.

Each case is a fresh process on one thread: two steps on four pairs, with a folder or without. The
largest resident size (VmHWM) less that before training is compared with the table of
`training/memory.py`, less the weights. More than 15 % off fails, where 200 MB or more are needed.
"""

import gc
import json
import os
import subprocess
import sys
import tempfile
import warnings
from itertools import product
from pathlib import Path

WAYS = [{"plain": plain, "lora_rank": rank} for plain, rank in product((True, False), (0, 8))]
CASES = [{"model": "smollm2", "rows": rows} | way for rows in ("short", "long") for way in WAYS]
CASES += [{"model": "gpt2", "rows": "long", "plain": plain} for plain in (True, False)]
CASES += [
    {"model": "smollm2", "rows": "long", "plain": False, "precision": "bf16"},
    {"model": "smollm2", "rows": "long", "plain": False, "accumulation": 2},
    {"model": "smollm2", "rows": "long", "plain": False, "accumulation": 4},
    {"model": "smollm2", "rows": "long", "plain": False, "accumulation": 2, "lora_rank": 8},
    {"model": "smollm2", "rows": "long", "plain": True, "accumulation": 2},
    {"model": "smollm2", "rows": "short", "plain": False, "folder": True, "save_every": 1},
    {"model": "smollm2", "rows": "short", "plain": False, "live_reference": True},
    {"model": "smollm2", "rows": "short", "plain": False, "folder": True},
]
WORDS = {"short": (20, 30), "long": (100, 90)}  # of a prompt, of the longest response


def rows_of(kind: str) -> list[dict]:
    """Four pairs whose responses have from half to all of the words."""
    asked, most = WORDS[kind]
    words = lambda word, i: f" {word}" * (most - i * most // 8)
    return [
        {"prompt": " the" * asked + f" {i}", "chosen": words("film", i), "rejected": words("no", 3)}
        for i in range(4)
    ]


def resident(name: str) -> int:
    """VmRSS or VmHWM of this process, bytes."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def model_of(name: str):
    """SmolLM2, or GPT-2's shape with random weights; every weight read once."""
    from transformers import GPT2Config, GPT2LMHeadModel

    from dpo_from_scratch.models import gpt2_tokenizer, load_model

    model, tokenizer = load_model(name) if name == "smollm2" else (None, gpt2_tokenizer())
    if model is None:
        ids = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), 50256)
        model = GPT2LMHeadModel(GPT2Config(**ids)).eval()
    sum(float(p.detach().sum()) for p in model.parameters())
    return model, tokenizer


def measure(case: dict) -> dict:
    """Bytes that the run takes beyond what was there before it, and what the table says."""
    from dpo_from_scratch.training import TrainConfig, train
    from dpo_from_scratch.training.batches import prepare
    from dpo_from_scratch.training.memory import memory_needed

    warnings.filterwarnings("ignore")
    settings = dict(case)
    name, rows = settings.pop("model"), rows_of(settings.pop("rows"))
    folder = settings.pop("folder", False)
    config = TrainConfig(steps=2, batch_size=4, warmup=0, **settings)
    model, tokenizer = model_of(name)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # VmHWM begins again here
    before = resident("VmHWM")
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "run" if folder else None
        train(model, tokenizer, rows, config, out, progress=False, force=True)
    taken = resident("VmHWM") - before  # and then the table, whose making leaves room behind
    model, tokenizer = model_of(name)
    told = memory_needed(model, prepare(tokenizer, rows, config, model), config, saves=folder)
    weights = told.at_worst["weights"]
    return {"taken": taken, "told": told.total - weights, "weights": weights, "table": str(told)}


def main() -> int:
    """All cases, one after the other, a line each; 1 if one is more than 15 % off."""
    wrong = 0
    for case in CASES if len(sys.argv) < 2 else [json.loads(sys.argv[1])]:
        command = [sys.executable, "-m", "benchmarks.memory", "one", json.dumps(case)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        if done.returncode:
            print(case, done.stderr[-2000:])
            return 1
        found = json.loads(done.stdout.splitlines()[-1])
        off = found["told"] / found["taken"] - 1
        wrong += abs(off) > 0.15 and found["taken"] > 200e6
        taken, told = (f"{found[key] / 1e6:,.0f} MB" for key in ("taken", "told"))
        print(f"{_name(case)}: took {taken}, told {told} ({off:+.0%})", flush=True)
        if os.environ.get("TABLES"):
            print(found["table"], flush=True)
    return int(wrong > 0)


def _name(case: dict) -> str:
    return ", ".join(f"{key} {value}" for key, value in case.items())


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        print(json.dumps(measure(json.loads(sys.argv[2]))))
    else:
        sys.exit(main())
