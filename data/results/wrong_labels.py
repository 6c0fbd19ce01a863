"""Chapter 11: DPO, cDPO and robust DPO on labels of which some are turned round, five seeds. About an hour on one core."""

from dataclasses import asdict
from functools import cache

import numpy as np

from dpo_from_scratch import world
from dpo_from_scratch.data import data_path, read_rows
from dpo_from_scratch.evaluation import evaluate_reviews, quality
from dpo_from_scratch.models import frozen_copy, load_model
from dpo_from_scratch.records import load_record, run_study
from dpo_from_scratch.training import PRESETS, TrainConfig, train

PAIRS, STEPS, BETAS, RATES = 1024, 128, (0.1, 0.25, 0.6, 1.5), (2.5e-4, 5e-4, 1e-3)
CASES = [  # true share of turned labels, loss, share that the loss is told
    (0.0, "dpo", 0.0),
    *[(flips, loss, told) for flips in (0.2, 0.4) for loss, told in
      (("dpo", 0.0), ("cdpo", 0.2), ("robust_dpo", 0.2), ("cdpo", 0.4), ("robust_dpo", 0.4))],
]  # fmt: skip
VALIDATION = world.prompts("train")[::5]  # for choosing learning rates; nobody trains on these then


def trained(loss: str, told: float, beta: float, rate: float, seed: int, rows: list[dict]):
    policy, tokenizer = load_model("tiny")
    reference = frozen_copy(policy)
    settings = {"loss": loss, "beta": beta, "learning_rate": rate, "steps": STEPS, "seed": seed}
    settings["loss_options"] = f"label_smoothing={told}" if told else ""
    history = train(policy, tokenizer, rows, TrainConfig(**PRESETS["tiny"] | settings), progress=False)
    return policy, reference, tokenizer, history


def flipped_pairs(flips: float, seed: int) -> list[dict]:
    """The same texts for every share of flips: each label is drawn once, then turned round or not."""
    rows, rng = world.make_pairs(PAIRS, seed=2000 + seed), np.random.default_rng(seed)
    turned = rng.random(PAIRS) < flips
    return [r | {"chosen": r["rejected"], "rejected": r["chosen"]} if t else r for r, t in zip(rows, turned, strict=True)]


def tune(point: dict) -> dict:
    """True reward less 0.6 KL on prompts held out for this, 20 % of the labels turned."""
    rows = [r for r in flipped_pairs(0.2, 99) if r["prompt"] not in VALIDATION]
    told = 0.0 if point["loss"] == "dpo" else 0.2
    policy, reference, tokenizer, _ = trained(point["loss"], told, 0.6, point["learning_rate"], 99, rows)
    return quality(policy, reference, tokenizer, VALIDATION, seed=99)


@cache
def best_rate(loss: str) -> float:
    found = [p for p in load_record("wrong_labels")["points"] if p["point"].get("loss") == loss and "flips" not in p["point"]]
    return max(found, key=lambda p: p["result"]["objective"])["point"]["learning_rate"]


def run(point: dict) -> dict:
    if "flips" not in point:
        return tune(point)
    rows, tests = flipped_pairs(point["flips"], point["seed"]), read_rows(data_path("reviews_pairs_test.jsonl"))[0]
    loss, seed = point["loss"], point["seed"]
    policy, reference, tokenizer, history = trained(loss, point["told"], point["beta"], best_rate(loss), seed, rows)
    last = {f"{key}_batch": float(np.mean([row[key] for row in history[-32:]])) for key in ("loss", "accuracy", "margin")}
    return last | asdict(evaluate_reviews(policy, reference, tokenizer, tests, samples=1008, seed=seed))


if __name__ == "__main__":
    points = [{"loss": loss, "learning_rate": rate} for loss in ("dpo", "cdpo", "robust_dpo") for rate in RATES]
    points += [{"flips": flips, "loss": loss, "told": told, "beta": beta, "seed": seed}
               for seed in range(5) for flips, loss, told in CASES for beta in BETAS]  # fmt: skip
    print(run_study(__file__, "Labels that are turned round", points, run))
