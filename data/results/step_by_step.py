"""Chapter 16: sDPO in three steps, its parts in three orders, against DPO at beta / 3; five seeds. Forty minutes on one core."""

import random
from functools import cache

from dpo_from_scratch import world
from dpo_from_scratch.evaluation import implicit_and_true, order_accuracy, quality
from dpo_from_scratch.models import frozen_copy, load_model
from dpo_from_scratch.online import easy_to_hard, in_rounds
from dpo_from_scratch.records import load_record, run_study
from dpo_from_scratch.training import PRESETS, TrainConfig, train

LABELS, STEPS, PARTS, RATES = 4096, 126, 3, (2.5e-4, 5e-4, 1e-3, 2e-3)
BETAS = (0.2, 0.4, 0.6, 1.0, 1.8)  # of DPO; sDPO gets three times as much for each of its three steps
ARMS = ("DPO", "sDPO, easy first", "sDPO, hard first", "sDPO, no order")
VALIDATION = world.prompts("train")[::5]  # for choosing learning rates; nobody trains on these then


@cache
def ordered(seed: int, tuning: bool) -> tuple[dict, ...]:
    """Pairs of the grammar, easy ones first: a DPO run of 64 steps on all of them is asked. DPO does not get its labour."""
    rows = [r for r in world.make_pairs(LABELS, seed=6000 + seed) if not tuning or r["prompt"] not in VALIDATION]
    model, tokenizer = load_model("tiny")
    reference = frozen_copy(model)
    train(model, tokenizer, rows, TrainConfig(**PRESETS["tiny"] | {"steps": 64, "seed": seed}), progress=False)
    return tuple(easy_to_hard(model, reference, tokenizer, rows))


def trained(arm: str, beta: float, rate: float, seed: int, tuning: bool = False):
    """(policy, the model that everything began with, tokenizer)."""
    policy, tokenizer = load_model("tiny")
    reference, rows = frozen_copy(policy), list(ordered(seed, tuning))
    if arm in ("DPO", "sDPO, no order"):
        random.Random(seed).shuffle(rows)
    if arm == "sDPO, hard first":
        rows.reverse()
    settings = {"beta": beta if arm == "DPO" else PARTS * beta, "learning_rate": rate}
    config = TrainConfig(**PRESETS["tiny"] | settings | {"steps": STEPS, "seed": seed})
    parts = 1 if arm == "DPO" else PARTS
    size = -(-len(rows) // parts)
    in_rounds(policy, tokenizer, parts, lambda r: rows[r * size : (r + 1) * size], config, True, progress=False)
    return policy, reference, tokenizer


@cache
def best_rate(arm: str) -> float:
    found = [p for p in load_record("step_by_step")["points"] if p["point"]["arm"] == arm and "seed" not in p["point"]]
    return max(found, key=lambda p: p["result"]["objective"])["point"]["learning_rate"]


def run(point: dict) -> dict:
    arm = point["arm"]
    if "seed" not in point:
        policy, reference, tokenizer = trained(arm, 0.6, point["learning_rate"], 99, tuning=True)
        return quality(policy, reference, tokenizer, VALIDATION, seed=99)
    rate = point.get("learning_rate") or best_rate(arm)
    policy, reference, tokenizer = trained(arm, point["beta"], rate, point["seed"])
    found = quality(policy, reference, tokenizer, world.prompts("test"), seed=point["seed"])
    tests = world.make_pairs(512, world.exact, split="test", seed=78)
    found["order"] = order_accuracy(*implicit_and_true(policy, reference, tokenizer, tests))
    return found


if __name__ == "__main__":
    points = [{"arm": arm, "learning_rate": rate} for arm in ARMS for rate in RATES]
    points += [{"arm": arm, "beta": beta, "seed": seed} for seed in range(5) for arm in ARMS for beta in BETAS]
    lower = [{"arm": arm, "beta": beta, "seed": seed, "learning_rate": 5e-4}  # a gentler rate for both
             for seed in range(5) for arm in ("DPO", "sDPO, no order") for beta in BETAS]  # fmt: skip
    print(run_study(__file__, "Step by step", points + lower, run))
