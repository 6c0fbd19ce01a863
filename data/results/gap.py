"""Chapter 07: what keeps DPO under its optimum, in the mini world, where all is enumerated. Half an hour on one core."""

from dataclasses import asdict
from functools import cache

import numpy as np

from dpo_from_scratch import world
from dpo_from_scratch.evaluation import evaluate_mini
from dpo_from_scratch.models import frozen_copy, load_model, new_tiny_model
from dpo_from_scratch.records import run_study
from dpo_from_scratch.sampling import sample
from dpo_from_scratch.training import PRESETS, TrainConfig, train

BETA = 0.6
PROMPTS = world.prompts("test")[::3]
SETTINGS = {
    "base": {},
    "four times the pairs": {"pairs": 8192},
    "four times the steps": {"steps": 1024},
    "four times the parameters": {"size": (3, 160)},
    "pairs sampled by the policy": {"rounds": 8},
    "pairs and steps": {"pairs": 8192, "steps": 1024},
    "all four": {"pairs": 8192, "steps": 1024, "size": (3, 160), "rounds": 8},
}


@cache
def reference(size: tuple[int, int]):
    """A model of the mini world's texts; each size has its own, and is measured against that one's own optimum."""
    model, tokenizer = load_model("tiny")
    steps = 800
    if size != (2, 96):
        model, steps = new_tiny_model(tokenizer, *size), 2400
    config = TrainConfig(**PRESETS["tiny-sft"] | {"steps": steps, "warmup": steps // 20, "learning_rate": 2e-3})
    train(model, tokenizer, world.make_texts(steps * config.batch_size, world.MINI, "train", seed=1), config, progress=False)
    return frozen_copy(model), tokenizer


def fresh_pairs(policy, tokenizer, n: int, seed: int) -> list[dict]:
    """n labelled pairs of the policy's own samples."""
    rng = np.random.default_rng(seed)
    asked = [world.prompts("train")[i] for i in rng.integers(60, size=2 * n)]
    drawn = sample(policy, tokenizer, [p for p in asked for _ in range(2)], seed=seed)
    rows = []
    for a, b in zip(drawn[::2], drawn[1::2], strict=True):
        if a.text != b.text and len(rows) < n:
            first = rng.random() < world.bradley_terry(a.prompt, a.text, b.text)
            rows.append({"prompt": a.prompt, "chosen": (a if first else b).text, "rejected": (b if first else a).text})
    return rows


def run(point: dict) -> dict:
    setting = {"pairs": 2048, "steps": 256, "size": (2, 96), "rounds": 1} | SETTINGS[point["setting"]]
    frozen, tokenizer = reference(setting["size"])
    policy, rounds, seed = frozen_copy(frozen).requires_grad_(True), setting["rounds"], point["seed"]
    rate = PRESETS["tiny"]["learning_rate"]
    for r in range(rounds):
        n, steps = setting["pairs"] // rounds, setting["steps"] // rounds
        rows = (
            fresh_pairs(policy, tokenizer, n, 1000 * seed + r)
            if rounds > 1
            else world.make_pairs(n, world=world.MINI, seed=500 + seed)
        )
        falling = rate * (1 - r / rounds)  # the same decay as in one run, in stairs
        config = TrainConfig(**PRESETS["tiny"] | {"beta": BETA, "steps": steps, "seed": seed, "learning_rate": falling})
        config.decay, config.warmup = ("linear", 10) if rounds == 1 else ("constant", 2)
        train(policy, tokenizer, rows, config, reference=frozen, progress=False)
    return asdict(evaluate_mini(policy, frozen, tokenizer, BETA, PROMPTS))


if __name__ == "__main__":
    points = [{"setting": name, "seed": seed} for seed in range(3) for name in SETTINGS]
    print(run_study(__file__, "Parts of the gap to the optimum, mini world", points, run))
