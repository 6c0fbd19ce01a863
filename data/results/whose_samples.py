"""Chapter 15: pairs by another author, by the reference, by the policy itself; equal labels, five seeds. An hour on one core."""

from functools import cache

import numpy as np

from dpo_from_scratch import world
from dpo_from_scratch.data import data_path, read_rows
from dpo_from_scratch.evaluation import implicit_and_true, order_accuracy, quality
from dpo_from_scratch.models import frozen_copy, load_model
from dpo_from_scratch.online import in_rounds, judged_pairs
from dpo_from_scratch.records import load_record, run_study
from dpo_from_scratch.training import PRESETS, TrainConfig, train

LABELS, STEPS, RATES = 2048, 128, (2.5e-4, 5e-4, 1e-3, 2e-3)
GLOOMY = world.World(world.GLOOMY)
BETAS = (0.3, 0.6, 1.2)
ARMS = {  # rounds of own samples; what differs
    "another author": {"rounds": 0},
    "another author, SFT first": {"rounds": 0, "sft": True},
    "the reference": {"rounds": 1},
    "iterated": {"rounds": 4},
    "iterated, moving reference": {"rounds": 4, "moving": True, "betas": (1.2, 2.4, 4.8)},
    "online": {"rounds": 16},
    "another author, then own": {"rounds": 4, "first": LABELS // 2},
}
VALIDATION = world.prompts("train")[::5]  # for choosing learning rates; nobody trains on these then


@cache
def others_pairs(n: int, seed: int) -> list[dict]:
    return world.make_pairs(n, world=GLOOMY, seed=5000 + seed)


def own_pairs(policy, tokenizer, n: int, asked: list[str], seed: int) -> list[dict]:
    """n labels on the policy's own samples."""
    rng, rows = np.random.default_rng(seed), []
    while len(rows) < n:  # two equal samples leave no pair
        missing = n - len(rows)
        some = [asked[i] for i in rng.integers(len(asked), size=missing)]
        rows += judged_pairs(policy, tokenizer, some, world.bradley_terry, seed=int(rng.integers(2**31)))
    return rows


def trained(arm: str, beta: float, rate: float, asked: list[str], seed: int):
    """(policy, the model that everything began with, tokenizer); `asked` are the prompts that training may use."""
    how, (policy, tokenizer) = ARMS[arm], load_model("tiny")
    reference, rounds = frozen_copy(policy), how["rounds"]
    config = TrainConfig(**PRESETS["tiny"] | {"beta": beta, "learning_rate": rate, "steps": STEPS, "seed": seed})
    own = lambda r: own_pairs(policy, tokenizer, LABELS // rounds, asked, 100 * seed + r)  # noqa: E731
    if not rounds:
        rows = [r for r in others_pairs(LABELS, seed) if r["prompt"] in asked]
        if how.get("sft"):  # arXiv 2305.18290, section 4: where the data are another model's, first bring the reference to them
            texts = [{"prompt": r["prompt"], "completion": r["chosen"]} for r in rows]
            train(policy, tokenizer, texts, TrainConfig(**vars(config) | {"loss": "sft", "learning_rate": 5e-4}), progress=False)
        in_rounds(policy, tokenizer, 1, lambda r: rows, config, progress=False)
    elif how.get("first"):  # half of the labels are the other author's, and one round of half of the steps learns from them
        rows = [r for r in others_pairs(how["first"], seed) if r["prompt"] in asked]
        own = lambda r: rows if r < 2 else own_pairs(policy, tokenizer, LABELS // 4, asked, 100 * seed + r)  # noqa: E731
        in_rounds(policy, tokenizer, rounds, own, config, progress=False)
    else:
        in_rounds(policy, tokenizer, rounds, own, config, how.get("moving", False), progress=False)
    return policy, reference, tokenizer


@cache
def best_rate(arm: str) -> float:
    found = [p for p in load_record("whose_samples")["points"] if p["point"]["arm"] == arm and "seed" not in p["point"]]
    return max(found, key=lambda p: p["result"]["objective"])["point"]["learning_rate"]


def run(point: dict) -> dict:
    arm = point["arm"]
    if "seed" not in point:
        asked = [p for p in world.prompts("train") if p not in VALIDATION]
        policy, reference, tokenizer = trained(arm, ARMS[arm].get("betas", BETAS)[1], point["learning_rate"], asked, 99)
        return quality(policy, reference, tokenizer, VALIDATION, seed=99)
    policy, reference, tokenizer = trained(arm, point["beta"], best_rate(arm), world.prompts("train"), point["seed"])
    found = quality(policy, reference, tokenizer, world.prompts("test"), seed=point["seed"])
    tests = {"another author": world.make_pairs(512, world.exact, GLOOMY, "test", 77),
             "the grammar": read_rows(data_path("reviews_pairs_test.jsonl"))[0][:512]}  # fmt: skip
    own = judged_pairs(policy, tokenizer, world.prompts("test") * 40, world.exact, seed=7)
    for name, rows in (tests | {"itself": own}).items():  # on whose pairs does the implicit reward know the true order?
        found[f"order, {name}"] = order_accuracy(*implicit_and_true(policy, reference, tokenizer, rows))
    return found


if __name__ == "__main__":
    points = [{"arm": arm, "learning_rate": rate} for arm in ARMS for rate in RATES]
    points += [{"arm": arm, "beta": b, "seed": s} for s in range(5) for arm, how in ARMS.items() for b in how.get("betas", BETAS)]
    print(run_study(__file__, "Whose samples", points, run))
