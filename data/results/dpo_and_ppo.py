"""Chapter 08: DPO, PPO and DPO followed by PPO at the best settings of their grids, three seeds. An hour on one core."""

import time
from dataclasses import asdict
from functools import cache

import numpy as np

from dpo_from_scratch import rlhf, world
from dpo_from_scratch.data import data_path, read_rows
from dpo_from_scratch.evaluation import best_of_n, evaluate_reviews, win_rate
from dpo_from_scratch.models import frozen_copy, load_model, pad_id
from dpo_from_scratch.records import load_record, run_study
from dpo_from_scratch.sampling import sample
from dpo_from_scratch.tokens import encode_rows
from dpo_from_scratch.training import PRESETS, TrainConfig, train

BETAS = (0.35, 0.6, 1.0)
TEMPERATURES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
ROWS, TESTS = (read_rows(data_path(f"reviews_pairs_{split}.jsonl"))[0] for split in ("train", "test"))
ASKED = [world.prompts("test")[i % 12] for i in range(1008)]


@cache
def best(method: str) -> dict:
    """The settings of the tuning grid with the largest objective on validation prompts; for the reward model the lowest loss."""
    points = [p for p in load_record("ppo_tuning")["points"] if p["point"]["method"] == method]
    key = (lambda p: p["result"]["loss"]) if method == "reward model" else (lambda p: -p["result"]["objective"])
    return {k: v for k, v in min(points, key=key)["point"].items() if k != "method"}


@cache
def judge(seed: int):
    model, tokenizer = load_model("tiny")
    start = time.perf_counter()
    config = TrainConfig(**PRESETS["tiny"] | best("reward model") | {"seed": seed})
    return rlhf.train_reward_model(model, tokenizer, ROWS, config)[0], time.perf_counter() - start


@cache
def dpo(beta: float, seed: int, tuned: bool = True):
    policy, tokenizer = load_model("tiny")
    start, settings = time.perf_counter(), best("DPO") if tuned else {}
    train(policy, tokenizer, ROWS, TrainConfig(**PRESETS["tiny"] | settings | {"beta": beta, "seed": seed}), progress=False)
    return policy, time.perf_counter() - start


def ppo(policy, beta: float, seed: int) -> float:
    reference, tokenizer = load_model("tiny")
    scorer, settings = judge(seed)[0], best("PPO")
    start = time.perf_counter()
    config = rlhf.PPOConfig(kl_coef=beta, iterations=10_240 // settings["samples"], seed=seed, **settings)
    rlhf.ppo(policy, frozen_copy(reference), lambda drawn: rlhf.score_texts(scorer, [s.example for s in drawn], pad_id(tokenizer)),
             tokenizer, world.prompts("train"), config, progress=False)  # fmt: skip
    return time.perf_counter() - start


def grammar_rewards() -> np.ndarray:
    """What the policies are compared with: the grammar's own replies to the same prompts."""
    return np.array([world.reward(p, world.REVIEWS.sample(p, 1, seed=i)[0]) for i, p in enumerate(ASKED)])


def win_rates(policy, tokenizer) -> dict[str, float]:
    others = grammar_rewards()
    out = {}
    for t in TEMPERATURES:
        drawn = sample(policy, tokenizer, ASKED, temperature=t, seed=7, max_new_tokens=40)
        out[str(t)] = win_rate([world.reward(s.prompt, s.text) for s in drawn], others)
    return out


def best_of(seed: int, tokenizer, reference, n: int = 16) -> dict:
    """Best of 16 by the reward model: its true reward, and win rates."""
    asked, others, rates = ASKED[:504], grammar_rewards()[:504], {}
    for t in (0.5, 0.75, 1.0):
        drawn = sample(reference, tokenizer, [p for p in asked for _ in range(n)], temperature=t, seed=8, max_new_tokens=40)
        true = np.array([world.reward(s.prompt, s.text) for s in drawn])
        scores = rlhf.score_texts(judge(seed)[0], [s.example for s in drawn], pad_id(tokenizer)).numpy()
        kept = true[best_of_n(scores, n)]
        rates[str(t)] = win_rate(kept, others)
        if t == 1.0:
            reward = float(kept.mean())
    return {"win_rates": rates, "true_reward": reward}


def run(point: dict) -> dict:
    method, seed = point["method"], point["seed"]
    reference, tokenizer = load_model("tiny")
    if method == "reward model":
        examples = [e for pair in encode_rows(tokenizer, TESTS)[0] for e in pair]
        model, seconds = judge(seed)
        scores = rlhf.score_texts(model, examples, pad_id(tokenizer)).reshape(-1, 2).double().numpy()
        true = np.array([world.reward(r["prompt"], r["chosen"]) - world.reward(r["prompt"], r["rejected"]) for r in TESTS])
        gap = scores[:, 0] - scores[:, 1]
        return {"true_order": float(np.mean(gap * true > 0)), "labels": float(np.mean(gap > 0)), "seconds": seconds}
    if method == "SFT":
        return {"win_rates": win_rates(reference, tokenizer)}
    if method == "best of 16":
        return best_of(seed, tokenizer, reference)
    beta = point["beta"]
    if method in ("DPO", "DPO, preset"):
        policy, seconds = dpo(beta, seed, method == "DPO")
    else:
        policy = frozen_copy(dpo(beta, seed)[0]).requires_grad_(True) if method == "DPO then PPO" else load_model("tiny")[0]
        seconds = ppo(policy, beta, seed)
    found = asdict(evaluate_reviews(policy, frozen_copy(reference), tokenizer, TESTS, seed=seed))
    texts = [s.text for s in sample(policy, tokenizer, world.prompts("test")[:3], seed=100)]
    rates = {"win_rates": win_rates(policy, tokenizer)} if beta == 0.6 else {}
    return found | {"seconds": seconds, "texts": texts} | rates


if __name__ == "__main__":
    points = []
    for s in range(3):
        points += [{"method": m, "seed": s} for m in ("reward model", "SFT", "best of 16")]
        points += [{"method": m, "beta": b, "seed": s} for b in BETAS for m in ("DPO", "PPO")]
        points += [{"method": "DPO then PPO", "beta": 0.6, "seed": s}]
    points += [{"method": "DPO, preset", "beta": 0.6, "seed": s} for s in range(3)]  # the grid's winner was not steady over seeds
    print(run_study(__file__, "DPO, PPO and DPO followed by PPO", points, run))
