"""Chapter 22: logs of broken and of healthy runs, at four logging steps, and what the doctor says.

Half an hour on one core; it needs `make trl`. The doctor's reasoning was mended on seeds from 1000
to 1499, at other rates and betas; no threshold was set on these. TRL's logs are written with
`logging_steps` as named; the others log every step and are averaged as TRL would.

The healthy runs have been made twice. Of the first 60 healthy logs (seeds from 3900) three raised
an alarm, all of one run, with LoRA at 7e-3: "the steps are too large, possibly", for a loss that
rose from 0.69 to 0.89 and came back. That is a note now; no finding on a broken run depends on it.
"""

import json
import random
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from .. import doctor, world
from ..data import data_path, read_rows, write_rows
from ..doctor import hooks
from ..lab.plots import setup_notebook
from ..lab.studies import Study
from ..models import frozen_copy, load_model
from ..training import PRESETS, TrainConfig, train

STEPS, BATCH, EVERY = 100, 16, (1, 5, 10, 25)
PLAIN, TRL = "plain_loop.py", "trl_script.py"
BUGS = json.loads((data_path("gallery") / "logs.json").read_text(encoding="utf-8"))
FACTORS = {"learning rate 20 times too high": 20.0, "learning rate far too low": 1e-3}
CODES = dict(zip(FACTORS, ("step_too_large", "rate_too_low"), strict=True))
for bugs in (*hooks.BUGS.values(), *BUGS.values()):
    CODES |= {bug: entry["code"] for bug, entry in bugs.items()}
OF_LOOP = (
    *FACTORS,
    *BUGS[PLAIN],
    "prompt not masked",
    "end of text not scored",
    "end of text doubled",
    "labels not shifted",
    "response truncated",
    "dropout on",
    "reference is the policy",
    "reference moves",
    "beta is zero",
    "log-softmax in bf16",
    "chosen and rejected swapped",
)
TWICE = (*BUGS[PLAIN], "dropout on", *FACTORS)  # what no counter shows, with another seed
OF_OURS = (*FACTORS, "reference is the base model")
OF_TRL = (*FACTORS, *BUGS[TRL])
NO_COUNTERS = ("chosen and rejected swapped", "response truncated", "prompt not masked")
ONCE = dict.fromkeys(NO_COUNTERS, (10,)) | {"reference moves": (1, 10)}  # TRL's logs carry no more
EVALUATED = ("dropout on", "reference is the base model")
RATES, LORA_RATES, BETAS = (3.5e-4, 4.5e-4, 7e-4), (3e-3, 5e-3, 7e-3), (0.25, 0.7)

study = Study(__file__, "The doctor on logs")


# ---------------------------------------------------------------- what a log carries: the rules
def carries(code: str, rows: list[dict]) -> bool:
    """Does a log, as it was averaged, carry this bug's signature? Written before any was read."""
    first, value = rows[0], lambda key, row: float(row.get(key, np.nan))
    middle = (value("chosen_reward", first) + value("rejected_reward", first)) / 2
    margins = np.array([value("margin", row) for row in rows])
    losses = np.array([value("loss", row) for row in rows])
    chosen = np.array([value("chosen_reward", row) for row in rows])
    offset = abs(middle) > 0.1 and abs(middle) > 1.5 * abs(margins[0]) and losses[0] > 0.713
    eos, flat = value("eos", first), np.abs(margins).max() < 1e-6
    back = (chosen.max() - chosen[0]) / abs(middle) if middle else 0.0
    grew = margins[-3:].mean() - margins[0] > 0.3
    evaluated = any("eval_rewards/chosen" in row for row in rows)
    small = max(abs(middle), abs(margins[0])) < 0.3
    times = losses[0] / np.logaddexp(0, -margins[0])
    return {
        "not_finite": not np.isfinite([losses, margins]).all(),
        "step_too_large": losses[1:].max() > 1.0 and chosen.min() < -1.0,
        "rate_too_low": 1e-6 < np.abs(margins).max() < 0.02,
        "reference_differs": offset and (evaluated or back > 0.6),
        "dropout": offset and middle < 0 and (evaluated or (back < 0.3 and grew)),
        "reference_is_policy": flat,
        "no_gradient": flat and max(value("grad_norm", row) for row in rows) < 1e-8,
        "reference_moves": (np.abs(margins[2:]) < 1e-6).sum() >= 2 and not flat,
        "padding_rows": small and times > 1.3,
        "accumulation": small and not 1 / 1.3 < times < 1.3,
        "precision": abs(middle) < 1e-6 and 5e-4 < abs(losses[0] - np.log(2)) < 0.01,
        "eos_missing": eos < 0.01,
        "truncated": 0.01 < eos < 0.999,
        "eos_doubled": eos > 1.001,
        "prompt_scored": value("scored", first) > 0.94,
        "not_shifted": value("chosen_logp", first) / value("chosen_length", first) < -7,
    }.get(code, False)


# ---------------------------------------------------------------- logs
def rows_of(seed: int) -> list[dict]:
    """The pairs of one run."""
    rows, _ = read_rows(data_path("reviews_pairs_train.jsonl"))
    return random.Random(seed).sample(rows, STEPS * BATCH)


@cache
def after_sft(seed: int):
    """The tiny model after supervised fine-tuning on another author's texts; and its tokenizer."""
    model, tokenizer = load_model("tiny")
    pairs = world.make_pairs(512, world=world.World(world.GLOOMY), seed=seed)
    texts = [{"prompt": r["prompt"], "completion": r["chosen"]} for r in pairs]
    settings = {"steps": 16, "warmup": 2, "batch_size": 32, "learning_rate": 1e-3, "seed": seed}
    train(model, tokenizer, texts, TrainConfig(**PRESETS["tiny-sft"] | settings), progress=False)
    return model, tokenizer


def start(bug: str | None, seed: int):
    """Policy, tokenizer, and the base model: the policy's beginning unless that is the bug."""
    base, tokenizer = load_model("tiny")
    if CODES.get(bug) != "reference_differs":
        return base, tokenizer, base
    return frozen_copy(after_sft(seed)[0]).requires_grad_(True), tokenizer, frozen_copy(base)


def trl_log(bug, rate, beta, every, seed, folder, lora=False, evaluated=False) -> None:
    """Train with data/gallery/trl_script.py; its trainer_state.json is in the folder."""
    from peft import LoraConfig

    patches = [
        ["max_steps=128", f"max_steps={STEPS}"],
        ["per_device_train_batch_size=32", f"per_device_train_batch_size={BATCH}"],
        ["logging_steps=1,", f"logging_steps={every},"],
        ["learning_rate=5e-4", f"learning_rate={rate * FACTORS.get(bug, 1.0)}"],
        *BUGS[TRL].get(bug, {}).get("patch", []),
    ]
    if bug != "beta is zero":
        patches.append(["beta=0.6", f"beta={beta}"])
    if lora:
        patches.append(["args=config(out, seed)", "peft_config=ADAPTER, args=config(out, seed)"])
    if evaluated:
        more = "train_dataset=load(rows, tokenizer), eval_dataset=load(rows[:64], tokenizer)"
        patches.append(["train_dataset=load(rows, tokenizer)", more])
        patches.append(["report_to=[]", 'eval_strategy="steps", eval_steps=25, report_to=[]'])
    names = hooks.load_script(TRL, None, patches)
    policy, tokenizer, names["BASE"] = start(bug, seed)
    options = {"target_modules": "all-linear", "fan_in_fan_out": True, "task_type": "CAUSAL_LM"}
    names["ADAPTER"] = LoraConfig(r=8, lora_alpha=16, **options)
    names["train"](policy, tokenizer, rows_of(seed), str(folder), seed)


def loop_log(bug, rate, beta, seed, folder) -> None:
    """Train with the gallery's plain loop; its metrics.jsonl is in the folder."""
    entry = BUGS[PLAIN].get(bug) or hooks.BUGS[PLAIN].get(bug) or {"patch": []}
    names = hooks.load_script(PLAIN, None, entry["patch"])
    policy, tokenizer, names["BASE"] = start(bug, seed)
    names["BATCH"], names["LEARNING_RATE"] = BATCH, rate * FACTORS.get(bug, 1.0)
    names["BETA"] = 0.0 if bug == "beta is zero" else beta
    history = names["train"](policy, tokenizer, rows_of(seed), STEPS, seed)[2]
    write_rows(folder / "metrics.jsonl", history)


def our_log(bug, rate, beta, seed, folder, lora=False) -> None:
    """Train with this package; the run is in the folder."""
    policy, tokenizer, base = start(bug, seed)
    settings = {"steps": STEPS, "batch_size": BATCH, "seed": seed, "beta": beta}
    settings |= {"learning_rate": rate * FACTORS.get(bug, 1.0), "lora_rank": 8 if lora else 0}
    config = TrainConfig(**PRESETS["tiny"] | settings)
    other = base if CODES.get(bug) == "reference_differs" else None
    train(policy, tokenizer, rows_of(seed), config, folder, other, progress=False)


def averaged(rows: list[dict], every: int) -> list[dict]:
    """Rows of every step as a log of every so many: means, but for what is of the last step."""
    out = []
    for i in range(0, len(rows) - every + 1, every):
        part = rows[i : i + every]
        last = {k: part[-1][k] for k in ("step", "grad_norm", "learning_rate") if k in part[-1]}
        out.append({k: float(np.mean([row[k] for row in part])) for k in part[0]} | last)
    return out


# ---------------------------------------------------------------- what is said of a log
def judged(code: str | None, rows: list[dict], path: Path) -> dict:
    """Whether a log carries the bug, what the doctor says first, and whether that is right."""
    found = doctor.diagnose(path)
    first = found.problems[0] if found.problems else None
    unsure = first is None or first.sure == "possible"
    right = first is not None and first.code == code and not unsure
    verdict = "right" if right else "can't tell" if unsure else "wrong"
    told = {"carries": bool(code and carries(code, rows)), "verdict": verdict}
    told |= {"unjudged": len(found.could_not), "findings": [f.plain() for f in found.findings]}
    return told if code else told | {"verdict": "alarm" if first else "quiet"}


def of_trl(bug, rate, beta, every, seed, **how) -> dict:
    """One log of TRL's."""
    with tempfile.TemporaryDirectory() as folder:
        trl_log(bug, rate, beta, every, seed, Path(folder), **how)
        path = Path(folder) / "trainer_state.json"
        names = doctor.curves.TRL_NAMES
        history = json.loads(path.read_text(encoding="utf-8"))["log_history"]
        rows = [{names.get(k, k): v for k, v in row.items()} for row in history]
        training = [row for row in rows if "loss" in row]
        evals = [row for row in rows if "eval_loss" in row]
        training[0] |= {k: v for row in evals[:1] for k, v in row.items() if "eval_" in k}
        return {str(every): judged(CODES[bug] if bug else None, training, path)}


def of_steps(bug, folder: Path) -> dict:
    """The log of every step in a folder, at each logging step."""
    file, out = folder / "metrics.jsonl", {}
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for every in EVERY:
        kept = averaged(rows, every)
        write_rows(file, kept)
        out[str(every)] = judged(CODES[bug] if bug else None, kept, file)
    return out


def points(trainer: str, bugs, first: int, **more) -> list[dict]:
    """A point for each bug, with rate and beta that go round."""
    settings = [{"rate": RATES[i % 3], "beta": BETAS[i % 2]} for i in range(len(bugs))]
    return [
        {"trainer": trainer, "bug": bug, "seed": first + i} | settings[i] | more
        for i, bug in enumerate(bugs)
    ]


@study.points(
    [
        p
        for i, k in enumerate(EVERY)
        for p in points("TRL", OF_TRL, 3000 + 100 * i, every=k)
        if k in ONCE.get(p["bug"], EVERY)
    ]
)
@study.points(
    [p for k in EVERY[1:] for p in points("TRL", EVALUATED, 3500 + k, every=k, evaluated=True)]
)
def broken_trl(trainer, bug, rate, beta, every, seed, evaluated=False) -> dict:
    """A bug in TRL's trainer, which may evaluate on the way; an adapter takes a larger rate."""
    rate = rate * 10 if bug == "adapter on an adapter" else rate
    return of_trl(bug, rate, beta, every, seed, evaluated=evaluated)


@study.points(points("plain loop", OF_LOOP, 3600) + points("plain loop", TWICE, 3701))
def broken_loop(trainer, bug, rate, beta, seed) -> dict:
    """A bug in the plain loop, at each logging step."""
    with tempfile.TemporaryDirectory() as folder:
        loop_log(bug, rate, beta, seed, Path(folder))
        return of_steps(bug, Path(folder))


@study.points(points("ours", OF_OURS, 3800))
def broken_ours(trainer, bug, rate, beta, seed) -> dict:
    """A mistake in the settings of this package, at each logging step."""
    with tempfile.TemporaryDirectory() as folder:
        our_log(bug, rate, beta, seed, Path(folder))
        return of_steps(bug, Path(folder))


HEALTHY = [
    {"rate": rates[i], "beta": beta, "lora": rates is LORA_RATES, "seed": 4900 + 10 * i + j}
    for i in range(3)
    for j, (beta, rates) in enumerate((b, r) for b in BETAS for r in (RATES, LORA_RATES))
]


@study.points(
    [{"healthy": "TRL", "every": EVERY[(i + i // 4) % 4]} | p for i, p in enumerate(HEALTHY)]
)
def healthy_trl(healthy, every, rate, beta, lora, seed) -> dict:
    """A healthy log of TRL's."""
    return of_trl(None, rate, beta, every, seed, lora=lora)


@study.points([{"healthy": "ours"} | p for p in HEALTHY])
def healthy_ours(healthy, rate, beta, lora, seed) -> dict:
    """A healthy run of this package, at each logging step."""
    with tempfile.TemporaryDirectory() as folder:
        our_log(None, rate, beta, seed, Path(folder), lora)
        return of_steps(None, Path(folder))


def main() -> None:
    """The command line; the libraries' progress bars are off."""
    import datasets  # which comes with TRL

    setup_notebook()
    datasets.disable_progress_bars()
    study.main()


if __name__ == "__main__":
    main()
