"""Chapter 08: DPO, PPO and DPO followed by PPO at the best settings of their grids, three seeds.

An hour on one core.
"""

import time
from dataclasses import asdict
from functools import cache

import numpy as np
from torch import nn

from .. import rlhf, world
from ..data import data_path, read_rows
from ..lab.evaluation import best_of_n, evaluate_reviews, win_rate
from ..lab.records import Record
from ..lab.studies import Study
from ..models import frozen_copy, load_model, pad_id
from ..sampling import Sample, sample
from ..training import PRESETS, TrainConfig, train
from .ppo_tuning import TEXTS, pair_scores, true_gaps

BETAS, SEEDS = (0.35, 0.6, 1.0), range(3)
TEMPERATURES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
ASKED = [world.prompts("test")[i % 12] for i in range(1008)]

study = Study(
    __file__,
    "DPO, PPO and DPO followed by PPO",
    tolerances={"win_rates": 0.06},  # SFT draws the same texts for every seed
)


@cache
def rows(split: str) -> list[dict]:
    """The shipped pairs."""
    return read_rows(data_path(f"reviews_pairs_{split}.jsonl"))[0]


@cache
def best(method: str) -> dict:
    """The settings of the tuning grid with the largest objective on validation prompts.

    For the reward model, those with the lowest loss.
    """
    points = Record.load("ppo_tuning").select(method=method)
    if method == "reward model":
        found = min(points, key=lambda p: p["result"]["loss"])
    else:
        found = max(points, key=lambda p: p["result"]["objective"])
    return {key: setting for key, setting in found["point"].items() if key != "method"}


@cache
def judge(seed: int) -> tuple[rlhf.Head, float]:
    """A reward model, and the seconds that it took."""
    model, tokenizer = load_model("tiny")
    start = time.perf_counter()
    config = TrainConfig(**PRESETS["tiny"] | best("reward model") | {"seed": seed})
    model, _ = rlhf.train_reward_model(model, tokenizer, rows("train"), config)
    return model, time.perf_counter() - start


@cache
def dpo(beta: float, seed: int, tuned: bool = True) -> tuple[nn.Module, float]:
    """A policy after DPO, with the preset or the tuned settings, and the seconds that it took."""
    policy, tokenizer = load_model("tiny")
    start, settings = time.perf_counter(), best("DPO") if tuned else {}
    config = TrainConfig(**PRESETS["tiny"] | settings | {"beta": beta, "seed": seed})
    train(policy, tokenizer, rows("train"), config, progress=False)
    return policy, time.perf_counter() - start


def ppo(policy: nn.Module, beta: float, seed: int) -> float:
    """Train a policy with PPO against the seed's reward model; returns the seconds that it took."""
    reference, tokenizer = load_model("tiny")
    scorer, settings = judge(seed)[0], best("PPO")
    score = lambda drawn: rlhf.score_texts(scorer, [s.example for s in drawn], pad_id(tokenizer))
    start, iterations = time.perf_counter(), TEXTS // settings["samples"]
    config = rlhf.PPOConfig(kl_coef=beta, iterations=iterations, seed=seed, **settings)
    asked = world.prompts("train")
    rlhf.ppo(policy, frozen_copy(reference), score, tokenizer, asked, config, progress=False)
    return time.perf_counter() - start


# ---------------------------------------------------------------- measures
def true_rewards(drawn: list[Sample]) -> np.ndarray:
    """True rewards of samples, (N,)."""
    return np.array([world.reward(s.prompt, s.text) for s in drawn])


def grammar_rewards() -> np.ndarray:
    """What the policies are compared with: the grammar's own replies to the same prompts."""
    own = [world.REVIEWS.sample(p, 1, seed=i)[0] for i, p in enumerate(ASKED)]
    return np.array([world.reward(p, text) for p, text in zip(ASKED, own, strict=True)])


def win_rates(policy: nn.Module, tokenizer) -> dict[str, float]:
    """Share of replies that beat the grammar's, by temperature."""
    others, out = grammar_rewards(), {}
    for t in TEMPERATURES:
        drawn = sample(
            policy, tokenizer, ASKED, temperature=t, seed=7, max_new_tokens=40, stream="batch"
        )
        out[str(t)] = win_rate(true_rewards(drawn), others)
    return out


def measured(policy: nn.Module, beta: float, seed: int, seconds: float) -> dict:
    """All measures, three texts, and win rates at beta 0.6."""
    reference, tokenizer = load_model("tiny")
    frozen, tests = frozen_copy(reference), rows("test")
    found = asdict(evaluate_reviews(policy, frozen, tokenizer, tests, seed=seed))
    texts = [
        s.text
        for s in sample(policy, tokenizer, world.prompts("test")[:3], seed=100, stream="batch")
    ]
    rates = {"win_rates": win_rates(policy, tokenizer)} if beta == 0.6 else {}
    return found | {"seconds": seconds, "texts": texts} | rates


# ---------------------------------------------------------------- points
@study.points([{"method": "reward model", "seed": seed} for seed in SEEDS])
def reward_model(method: str, seed: int) -> dict:
    """The reward model's order on the test pairs."""
    model, seconds = judge(seed)
    scores = pair_scores(model, load_model("tiny")[1], rows("test")).numpy()
    gap = scores[:, 0] - scores[:, 1]
    return {
        "true_order": float(np.mean(gap * true_gaps(rows("test")) > 0)),
        "labels": float(np.mean(gap > 0)),
        "seconds": seconds,
    }


@study.points([{"method": "SFT", "seed": seed} for seed in SEEDS])
def untouched(method: str, seed: int) -> dict:
    """Win rates of the model that all policies start from."""
    return {"win_rates": win_rates(*load_model("tiny"))}


@study.points([{"method": "best of 16", "seed": seed} for seed in SEEDS])
def best_of(method: str, seed: int, n: int = 16) -> dict:
    """Best of 16 by the reward model: its true reward, and win rates."""
    reference, tokenizer = load_model("tiny")
    scorer, rates = judge(seed)[0], {}
    asked, others = ASKED[:504], grammar_rewards()[:504]
    repeated = [p for p in asked for _ in range(n)]
    for t in (0.5, 0.75, 1.0):
        drawn = sample(
            reference, tokenizer, repeated, temperature=t, seed=8, max_new_tokens=40, stream="batch"
        )
        true, examples = true_rewards(drawn), [s.example for s in drawn]
        scores = rlhf.score_texts(scorer, examples, pad_id(tokenizer)).numpy()
        kept = true[best_of_n(scores, n)]
        rates[str(t)] = win_rate(kept, others)
    return {"win_rates": rates, "true_reward": float(kept.mean())}  # the reward at temperature 1


@study.points(
    [{"method": "DPO", "beta": beta, "seed": seed} for seed in SEEDS for beta in BETAS]
    # the grid's winner was not steady over seeds
    + [{"method": "DPO, preset", "beta": 0.6, "seed": seed} for seed in SEEDS]
)
def with_dpo(method: str, beta: float, seed: int) -> dict:
    """All measures of a policy after DPO."""
    policy, seconds = dpo(beta, seed, method == "DPO")
    return measured(policy, beta, seed, seconds)


@study.points(
    [{"method": "PPO", "beta": beta, "seed": seed} for seed in SEEDS for beta in BETAS]
    + [{"method": "DPO then PPO", "beta": 0.6, "seed": seed} for seed in SEEDS]
)
def with_ppo(method: str, beta: float, seed: int) -> dict:
    """All measures of a policy after PPO, from the reference or from DPO's policy."""
    if method == "PPO":
        policy = load_model("tiny")[0]
    else:
        policy = frozen_copy(dpo(beta, seed)[0]).requires_grad_(True)
    return measured(policy, beta, seed, ppo(policy, beta, seed))


if __name__ == "__main__":
    study.main()
