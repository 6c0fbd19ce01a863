"""Chapter 00: DPO with the preset on the shipped pairs, five seeds. About five minutes on two cores."""

from dataclasses import asdict

from dpo_from_scratch.data import data_path, read_rows
from dpo_from_scratch.evaluation import evaluate_reviews
from dpo_from_scratch.models import frozen_copy, load_model
from dpo_from_scratch.records import run_study
from dpo_from_scratch.training import PRESETS, TrainConfig, train


def run(point: dict) -> dict:
    model, tokenizer = load_model("tiny")
    reference = frozen_copy(model)
    rows, _ = read_rows(data_path("reviews_pairs_train.jsonl"))
    tests, _ = read_rows(data_path("reviews_pairs_test.jsonl"))
    train(model, tokenizer, rows, TrainConfig(**PRESETS["tiny"], seed=point["seed"]), progress=False)
    before = evaluate_reviews(reference, reference, tokenizer, tests, seed=point["seed"])
    after = evaluate_reviews(model, reference, tokenizer, tests, seed=point["seed"])
    return {"before": asdict(before), "after": asdict(after)}


if __name__ == "__main__":
    print(run_study(__file__, "DPO with the preset on the shipped pairs", [{"seed": s} for s in range(5)], run))
