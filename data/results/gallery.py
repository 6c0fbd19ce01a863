"""Chapter 09: every bug of the gallery and ten healthy runs, trained, measured, and diagnosed. Half an hour on one core.

It needs `make smollm2` and `make trl`. The thresholds in doctor.py and probing.py were set on seed 77, before these runs.
"""

import random
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import datasets

from dpo_from_scratch import doctor
from dpo_from_scratch.data import data_path, read_rows, write_rows
from dpo_from_scratch.evaluation import evaluate_reviews
from dpo_from_scratch.models import frozen_copy, load_model
from dpo_from_scratch.plots import setup_notebook
from dpo_from_scratch.records import run_study
from dpo_from_scratch.training import PRESETS, TrainConfig, train

sys.path.insert(0, str(data_path("gallery")))
import hooks

STEPS, EVERY = 128, 4  # curves are kept at every fourth step
CURVES = (
    "loss",
    "accuracy",
    "margin",
    "chosen_reward",
    "rejected_reward",
    "chosen_logp",
    "rejected_logp",
    "grad_norm",
    "eos",
    "scored",
)
SIMPO = [  # the plain loop with SimPO (arXiv 2405.14734): means, no reference
    ["return (logps * mask).sum(-1).chunk(2)", "return ((logps * mask).sum(-1) / mask.sum(-1)).chunk(2)"],
    ["BETA * ((chosen - ref_chosen) - (rejected - ref_rejected))", "10.0 * (chosen - rejected) - 0.5"],
]
HEALTHY = {  # settings of `dpo train` beside the preset, or a script that is not ours
    "beta 0.35": {"beta": 0.35},
    "beta 2": {"beta": 2.0},
    "learning rate halved": {"learning_rate": 2.5e-4},
    "learning rate doubled": {"learning_rate": 1e-3},
    "IPO": {"loss": "ipo", "loss_options": "tau=0.3"},
    "SimPO": {"loss": "simpo", "beta": 10.0, "loss_options": "gamma=0.5"},
    "SmolLM2-135M": {"model": "smollm2", "steps": 24, "batch_size": 8, "accumulation": 1},
    "plain loop": {"script": "plain_loop.py"},
    "Trainer subclass": {"script": "trainer_subclass.py"},
    "TRL": {"script": "trl_script.py"},
}


def rows_of(seed: int) -> list[dict]:
    """4,096 pairs: all that 128 steps of 32 need."""
    rows, _ = read_rows(data_path("reviews_pairs_train.jsonl"))
    return random.Random(seed).sample(rows, 32 * STEPS)


def probe(script: str, patched: dict, rows: list[dict]) -> tuple[list[str], float]:
    """What `doctor.check` finds in a script, and its seconds."""
    model, tokenizer = load_model("tiny")
    pairs = rows[:8]
    with tempfile.TemporaryDirectory() as folder:
        connected = hooks.HOOKS[script](patched, model, tokenizer, pairs, folder)
        start = time.perf_counter()
        found = doctor.check(pairs=pairs, tokenizer=tokenizer, **connected)
    return [str(f) for f in found], time.perf_counter() - start


def run_script(script: str, patched: dict, rows: list[dict], seed: int, folder: Path):
    """Train with a script; returns (policy, reference, tokenizer), and leaves its curves in the folder."""
    model, tokenizer = load_model("tiny")
    reference = frozen_copy(model)
    if script == "plain_loop.py":
        policy, _, history = patched["train"](model, tokenizer, rows, STEPS, seed)
        write_rows(folder / "metrics.jsonl", history)
    else:
        policy = patched["train"](model, tokenizer, rows, str(folder), seed).model.eval()
    return policy, reference, tokenizer


def broken(point: dict) -> dict:
    """A run of the plain loop with a bug (or none), its curves, what became of the policy, and both diagnoses."""
    rows, script, bug = rows_of(point["seed"]), "plain_loop.py", point["bug"]
    patched = hooks.load_script(script, bug)
    if point.get("loss") == "simpo":
        patched = hooks.load_script(script, bug, SIMPO)
    found, seconds = ([], 0.0) if "loss" in point else probe(script, patched, rows)
    with tempfile.TemporaryDirectory() as folder:
        policy, reference, tokenizer = run_script(script, patched, rows, point["seed"], Path(folder))
        curves = doctor.read_curves(folder)
        diagnosed = [str(f) for f in doctor.check_run(folder)]
    policy.eval()
    tests, _ = read_rows(data_path("reviews_pairs_test.jsonl"))
    measured = asdict(evaluate_reviews(policy, reference, tokenizer, tests, samples=1008, seed=point["seed"]))
    kept = {key: [round(float(x), 5) for x in curves[key][::EVERY]] for key in CURVES}
    return {"probe": found, "seconds": seconds, "run": diagnosed, "curves": kept} | measured


def healthy(point: dict) -> dict:
    """A run without a bug: both diagnoses should be empty of problems."""
    settings, rows, seed = dict(HEALTHY[point["healthy"]]), rows_of(point["seed"]), point["seed"]
    with tempfile.TemporaryDirectory() as folder:
        if script := settings.pop("script", None):
            patched = hooks.load_script(script)
            found, seconds = probe(script, patched, rows)
            run_script(script, patched, rows, seed, Path(folder))
        else:
            name = settings.pop("model", "tiny")
            model, tokenizer = load_model(name)
            preset = PRESETS[name] | {"seed": seed} | ({"steps": STEPS} if name == "tiny" else {})
            config, start = TrainConfig(**preset | settings), time.perf_counter()
            found = [str(f) for f in doctor.check_ours(model, frozen_copy(model), tokenizer, rows, config)]
            seconds = time.perf_counter() - start
            train(model, tokenizer, rows[: config.steps * config.batch_size], config, Path(folder), progress=False)
        return {"probe": found, "seconds": seconds, "run": [str(f) for f in doctor.check_run(folder)]}


if __name__ == "__main__":
    setup_notebook()
    datasets.disable_progress_bars()
    points = [{"bug": bug, "seed": seed} for seed in range(3) for bug in (None, *hooks.BUGS["plain_loop.py"])]
    points += [{"bug": bug, "loss": "simpo", "seed": seed} for seed in range(3) for bug in (None, "prompt not masked")]
    points += [{"healthy": name, "seed": 0} for name in HEALTHY]
    if "--calibrate" in sys.argv:  # seed 77, nothing is written
        for point in points[:15]:
            result = broken(point | {"seed": 77})
            print(point["bug"], "| probe", result["probe"], "| run", result["run"], "|", result["true_reward"], flush=True)
    else:
        print(run_study(__file__, "Bugs and their symptoms", points, lambda p: healthy(p) if "healthy" in p else broken(p)))
