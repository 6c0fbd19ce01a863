"""Chapter 22: every bug of the gallery and ten healthy runs, trained, measured, and diagnosed.

Forty minutes on one core. It needs `make smollm2` and `make trl`. The thresholds of the doctor were
set on seed 77, before these runs: `--calibrate` prints those of seed 77, and writes nothing.
"""

import json
import random
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from torch import nn

from .. import doctor
from ..data import data_path, read_rows, write_rows
from ..doctor import hooks
from ..lab.evaluation import evaluate_reviews
from ..lab.plots import setup_notebook
from ..lab.studies import Study
from ..models import frozen_copy, load_model
from ..training import PRESETS, TrainConfig, train
from .doctor_on_logs import averaged

PLAIN = "plain_loop.py"
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
    [
        "return (logps * mask).sum(-1).chunk(2)",
        "return ((logps * mask).sum(-1) / mask.sum(-1)).chunk(2)",
    ],
    [
        "BETA * ((chosen - ref_chosen) - (rejected - ref_rejected))",
        "10.0 * (chosen - rejected) - 0.5",
    ],
]
HEALTHY = {  # settings of `dpo train` beside the preset, or a script that is not ours
    "beta 0.35": {"beta": 0.35},
    "beta 2": {"beta": 2.0},
    "learning rate halved": {"learning_rate": 2.5e-4},
    "learning rate doubled": {"learning_rate": 1e-3},
    "IPO": {"loss": "ipo", "loss_options": "tau=0.3"},
    "SimPO": {"loss": "simpo", "beta": 10.0, "loss_options": "gamma=0.5"},
    "SmolLM2-135M": {"model": "smollm2", "steps": 24, "batch_size": 8, "accumulation": 1},
    "plain loop": {"script": PLAIN},
    "Trainer subclass": {"script": "trainer_subclass.py"},
    "TRL": {"script": "trl_script.py"},
}
BUGS = (None, *hooks.BUGS[PLAIN])
THEIRS = {ours: name for name, ours in doctor.curves.TRL_NAMES.items()}
LOGGED = (*THEIRS, "step", "loss", "grad_norm", "learning_rate")  # what TRL logs too

study = Study(__file__, "Bugs and their symptoms")


def rows_of(seed: int) -> list[dict]:
    """4,096 pairs: all that 128 steps of 32 need."""
    rows, _ = read_rows(data_path("reviews_pairs_train.jsonl"))
    return random.Random(seed).sample(rows, 32 * STEPS)


def probe(script: str, names: dict, rows: list[dict]) -> dict:
    """What `doctor.check` finds in a script, and its seconds."""
    model, tokenizer = load_model("tiny")
    pairs = rows[:8]
    with tempfile.TemporaryDirectory() as folder:
        connected = hooks.HOOKS[script](names, model, tokenizer, pairs, folder)
        start = time.perf_counter()
        found = doctor.check(pairs=pairs, tokenizer=tokenizer, **connected)
        return {"probe": [f.plain() for f in found], "seconds": time.perf_counter() - start}


def train_script(
    script: str, names: dict, rows: list[dict], seed: int, folder: Path
) -> tuple[nn.Module, nn.Module, object]:
    """Train with a script; returns policy, reference, tokenizer. Its curves are in the folder."""
    model, tokenizer = load_model("tiny")
    reference = frozen_copy(model)
    if script == PLAIN:
        policy, _, history = names["train"](model, tokenizer, rows, STEPS, seed)
        write_rows(folder / "metrics.jsonl", history)
    else:
        policy = names["train"](model, tokenizer, rows, str(folder), seed).model.eval()
    return policy, reference, tokenizer


def trained(names: dict, rows: list[dict], seed: int) -> dict:
    """A run of the plain loop: its diagnosis, its curves, and what became of the policy."""
    with tempfile.TemporaryDirectory() as folder:
        policy, reference, tokenizer = train_script(PLAIN, names, rows, seed, Path(folder))
        curves = doctor.read_curves(folder)
        diagnosed = [f.plain() for f in doctor.check_run(folder)]
    policy.eval()
    tests, _ = read_rows(data_path("reviews_pairs_test.jsonl"))
    measured = asdict(evaluate_reviews(policy, reference, tokenizer, tests, 1008, seed))
    kept = {key: [round(float(x), 5) for x in curves[key][::EVERY]] for key in CURVES}
    return {"run": diagnosed, "curves": kept} | measured


# ---------------------------------------------------------------- points
@study.points([{"bug": bug, "seed": seed} for seed in range(3) for bug in BUGS])
def broken(bug: str | None, seed: int) -> dict:
    """The plain loop with a bug, or none: both diagnoses, and a run."""
    rows, names = rows_of(seed), hooks.load_script(PLAIN, bug)
    return probe(PLAIN, names, rows) | trained(names, rows, seed)


@study.points(
    [
        {"bug": bug, "loss": "simpo", "seed": seed}
        for seed in range(3)
        for bug in (None, "prompt not masked")
    ]
)
def broken_simpo(bug: str | None, loss: str, seed: int) -> dict:
    """The same of the loop with SimPO, without the probe."""
    names = hooks.load_script(PLAIN, bug, SIMPO)
    return {"probe": [], "seconds": 0.0} | trained(names, rows_of(seed), seed)


def bare(rows: list[dict], every: int) -> list[dict]:
    """What the doctor says of a run as TRL would log it: no counters, no lengths."""
    log = [{THEIRS.get(k, k): row[k] for k in LOGGED} for row in averaged(rows, every)]
    with tempfile.TemporaryDirectory() as folder:
        state = json.dumps({"log_history": log})
        Path(folder, "trainer_state.json").write_text(state, encoding="utf-8")
        return [f.plain() for f in doctor.check_run(folder)]


@study.points(
    [{"bug": bug, "log": "TRL's", "seed": 3} for bug in BUGS]
    + [{"bug": None, "log": "TRL's", "seed": 4}]
)
def logged(bug: str | None, log: str, seed: int) -> dict:
    """A run of the plain loop, diagnosed by its whole log, and by what TRL would log of it."""
    names, model = hooks.load_script(PLAIN, bug), load_model("tiny")
    history = names["train"](*model, rows_of(seed), STEPS, seed)[2]
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder) / "metrics.jsonl", history)
        whole = [f.plain() for f in doctor.check_run(folder)]
    kept = {key: [round(row[key], 5) for row in history[::EVERY]] for key in CURVES}
    said = {"run": whole, "bare": bare(history, 1), "bare, every 10": bare(history, 10)}
    return said | {"curves": kept}


@study.points([{"healthy": name, "seed": 0} for name in HEALTHY])
def run_healthy(healthy: str, seed: int) -> dict:
    """A run without a bug: both diagnoses should be empty of problems."""
    settings, rows = dict(HEALTHY[healthy]), rows_of(seed)
    with tempfile.TemporaryDirectory() as folder:
        if script := settings.pop("script", None):
            names = hooks.load_script(script)
            found = probe(script, names, rows)
            train_script(script, names, rows, seed, Path(folder))
        else:
            found = run_ours(settings, rows, seed, Path(folder))
        return found | {"run": [f.plain() for f in doctor.check_run(folder)]}


def run_ours(settings: dict, rows: list[dict], seed: int, folder: Path) -> dict:
    """A run of `dpo train`, its curves in the folder; returns what the probe found before it."""
    name = settings.pop("model", "tiny")
    model, tokenizer = load_model(name)
    preset = PRESETS[name] | {"seed": seed} | ({"steps": STEPS} if name == "tiny" else {})
    config, start = TrainConfig(**preset | settings), time.perf_counter()
    found = doctor.check_ours(model, frozen_copy(model), tokenizer, rows, config)
    seconds = time.perf_counter() - start
    needed = rows[: config.steps * config.batch_size]
    train(model, tokenizer, needed, config, folder, progress=False)
    return {"probe": [f.plain() for f in found], "seconds": seconds}


def calibrate() -> None:
    """Every bug on seed 77, where the doctor's thresholds were set."""
    for bug in BUGS:
        found = broken(bug, 77)
        print(bug, "| probe", found["probe"], "| run", found["run"], "|", found["true_reward"])


def main() -> None:
    """The command line; the libraries' progress bars are off."""
    import datasets  # which comes with TRL

    setup_notebook()
    datasets.disable_progress_bars()
    if "--calibrate" in sys.argv:
        calibrate()
    else:
        study.main()


if __name__ == "__main__":
    main()
