"""Chapter 06: a healthy run, one with twenty times the learning rate, and one on swapped pairs; three seeds each. Five minutes."""

from dataclasses import asdict

from dpo_from_scratch.data import data_path, read_rows
from dpo_from_scratch.evaluation import evaluate_reviews
from dpo_from_scratch.models import frozen_copy, load_model
from dpo_from_scratch.records import run_study
from dpo_from_scratch.training import PRESETS, TrainConfig, train

SETTINGS = {"healthy": {}, "high": {"learning_rate": 20 * PRESETS["tiny"]["learning_rate"]}, "swapped": {}}


def run(point: dict) -> dict:
    model, tokenizer = load_model("tiny")
    reference = frozen_copy(model)
    rows, tests = (read_rows(data_path(f"reviews_pairs_{split}.jsonl"))[0] for split in ("train", "test"))
    rows = rows[:2048]
    if point["run"] == "swapped":
        rows = [r | {"chosen": r["rejected"], "rejected": r["chosen"]} for r in rows]
    config = TrainConfig(**PRESETS["tiny"] | {"steps": 64, "seed": point["seed"]} | SETTINGS[point["run"]])
    history = train(model, tokenizer, rows, config, progress=False)
    last = {f"{key}_batch": sum(row[key] for row in history[-16:]) / 16 for key in ("loss", "accuracy", "margin")}
    return last | asdict(evaluate_reviews(model, reference, tokenizer, tests[:200], samples=1008, seed=point["seed"]))


if __name__ == "__main__":
    points = [{"run": name, "seed": seed} for name in SETTINGS for seed in range(3)]
    print(run_study(__file__, "A healthy run and two that are not", points, run))
