"""Chapter 13: KTO and BCO from thumbs, balanced or not, and DPO on pairs, five seeds. About an hour on one core."""

from dataclasses import asdict
from functools import cache

import numpy as np

from dpo_from_scratch import world
from dpo_from_scratch.data import data_path, read_rows, split_pairs
from dpo_from_scratch.evaluation import evaluate_reviews, quality
from dpo_from_scratch.models import frozen_copy, load_model
from dpo_from_scratch.records import load_record, run_study
from dpo_from_scratch.training import PRESETS, TrainConfig, train

LABELS, BETAS, RATES = 4096, (0.2, 0.6, 1.8), (2.5e-4, 5e-4, 1e-3)
SHARES = (0.9, 0.99, 0.1)  # of thumbs up
VALIDATION = world.prompts("train")[::5]


def labelled(source: str, share: float, seed: int) -> list[dict]:
    """4,096 thumbs; or 2,048 pairs, whole or split into 4,096 thumbs. `repeat` repeats the rarer thumb until both are as many."""
    if source.startswith("pairs"):
        rows = world.make_pairs(LABELS // 2, seed=4000 + seed)
        return split_pairs(rows) if source == "pairs, split" else rows
    rows = world.make_thumbs(LABELS, share, seed=4000 + seed)
    if source == "thumbs, repeated":
        rare = [r for r in rows if r["label"] == (share < 0.5)]
        rows = rows + [rare[i % len(rare)] for i in range(LABELS - 2 * len(rare))]
    return rows


def trained(loss: str, beta: float, rate: float, rows: list[dict], seed: int, weights: tuple[float, float] = (1.0, 1.0)):
    policy, tokenizer = load_model("tiny")
    reference = frozen_copy(policy)
    batch = 32 if loss == "dpo" else 64  # responses a step are the same, and so are the epochs
    settings = {"loss": loss, "beta": beta, "learning_rate": rate, "steps": LABELS // 64 * 2, "batch_size": batch, "seed": seed}
    if weights != (1.0, 1.0):
        settings["loss_options"] = f"desirable_weight={weights[0]},undesirable_weight={weights[1]}"
    history = train(policy, tokenizer, rows, TrainConfig(**PRESETS["tiny"] | settings), progress=False)
    return policy, reference, tokenizer, history


def tune(point: dict) -> dict:
    """True reward less 0.6 KL on prompts held out for this; balanced thumbs, or pairs for DPO."""
    rows = labelled("pairs" if point["loss"] == "dpo" else "thumbs", 0.5, 99)
    rows = [r for r in rows if r["prompt"] not in VALIDATION]
    policy, reference, tokenizer, _ = trained(point["loss"], 0.6, point["learning_rate"], rows, 99)
    return quality(policy, reference, tokenizer, VALIDATION, seed=99)


@cache
def best_rate(loss: str) -> float:
    found = [p for p in load_record("no_pairs")["points"] if p["point"]["loss"] == loss and "seed" not in p["point"]]
    return max(found, key=lambda p: p["result"]["objective"])["point"]["learning_rate"]


def run(point: dict) -> dict:
    if "seed" not in point:
        return tune(point)
    loss, seed, share = point["loss"], point["seed"], point["share"]
    rows, tests = labelled(point["source"], share, seed), read_rows(data_path("reviews_pairs_test.jsonl"))[0]
    weights = (1.0, 1.0)
    if point.get("weighted"):  # lambda n the same for both thumbs, the larger weight 1: arXiv 2402.01306, eq. 8
        weights = ((1 - share) / share, 1.0) if share > 0.5 else (1.0, share / (1 - share))
    policy, reference, tokenizer, history = trained(loss, point["beta"], best_rate(loss), rows, seed, weights)
    keys = [key for key in ("kl", "delta", "reward", "accuracy") if key in history[-1]]
    tail = {key: float(np.mean([row[key] for row in history[-32:]])) for key in keys}
    return {f"{key}_batch": value for key, value in tail.items()} | asdict(
        evaluate_reviews(policy, reference, tokenizer, tests, samples=1008, seed=seed)
    )


if __name__ == "__main__":
    points = [{"loss": loss, "learning_rate": rate} for loss in ("dpo", "kto", "bco") for rate in RATES]
    for s in range(5):
        cases = [("dpo", "pairs"), ("kto", "pairs, split"), ("bco", "pairs, split"), ("kto", "thumbs"), ("bco", "thumbs")]
        points += [{"loss": loss, "source": source, "share": 0.5, "beta": b, "seed": s} for loss, source in cases for b in BETAS]
        for share in SHARES:
            same = {"share": share, "beta": 0.6, "seed": s}
            points += [{"loss": loss, "source": "thumbs"} | same for loss in ("kto", "bco")]
            points += [{"loss": "kto", "source": "thumbs", "weighted": True} | same]
            points += [{"loss": loss, "source": "thumbs, repeated"} | same for loss in ("kto", "bco")]
    print(run_study(__file__, "Thumbs instead of pairs", points, run))
