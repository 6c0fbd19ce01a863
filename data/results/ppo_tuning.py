"""Chapter 08: tuning grids of reward model, PPO and DPO, one seed, on twelve prompts held out for it. Forty minutes on a core."""

from dataclasses import asdict
from functools import cache

import numpy as np

from dpo_from_scratch import rlhf, world
from dpo_from_scratch.data import data_path, read_rows
from dpo_from_scratch.evaluation import log_ratios
from dpo_from_scratch.models import frozen_copy, load_model, pad_id
from dpo_from_scratch.records import run_study
from dpo_from_scratch.sampling import sample
from dpo_from_scratch.tokens import encode_rows
from dpo_from_scratch.training import PRESETS, TrainConfig, train

BETA = 0.6
VALIDATION = world.prompts("train")[::5]  # nobody trains on these here; the test prompts are for the results
TRAINING = [p for p in world.prompts("train") if p not in VALIDATION]
REWARD_MODEL = {"learning_rate": 2e-3, "steps": 1024}


def pairs(prompts) -> list[dict]:
    return [row for row in read_rows(data_path("reviews_pairs_train.jsonl"))[0] if row["prompt"] in set(prompts)]


def quality(policy, reference, tokenizer, seed: int) -> dict:
    """True reward, KL, and what RLHF maximises, with the true reward, on the validation prompts."""
    drawn = sample(policy, tokenizer, [VALIDATION[i % len(VALIDATION)] for i in range(1008)], seed=seed)
    reward = float(np.mean([world.reward(s.prompt, s.text) for s in drawn]))
    kl = float(log_ratios(policy, reference, [s.example for s in drawn], pad_id(tokenizer)).mean())
    return {"true_reward": reward, "kl": kl, "objective": reward - BETA * kl}


@cache
def judge(learning_rate: float, steps: int):
    model, tokenizer = load_model("tiny")
    config = TrainConfig(**PRESETS["tiny"] | {"learning_rate": learning_rate, "steps": steps})
    return rlhf.train_reward_model(model, tokenizer, pairs(TRAINING), config)[0]


def tune_reward_model(settings: dict) -> dict:
    _, tokenizer = load_model("tiny")
    rows = pairs(VALIDATION)
    examples = [e for pair in encode_rows(tokenizer, rows)[0] for e in pair]
    scores = rlhf.score_texts(judge(**settings), examples, pad_id(tokenizer)).reshape(-1, 2).double()
    true = np.array([world.reward(r["prompt"], r["chosen"]) - world.reward(r["prompt"], r["rejected"]) for r in rows])
    gap = scores[:, 0] - scores[:, 1]
    return {"loss": float(rlhf.reward_loss(*scores.T).mean()), "accuracy": float((gap > 0).double().mean()),
            "true_order": float(np.mean(gap.numpy() * true > 0)), "spread": float(scores.std())}  # fmt: skip


def tune_ppo(settings: dict) -> dict:
    policy, tokenizer = load_model("tiny")
    reference, scorer = frozen_copy(policy), judge(**REWARD_MODEL)
    config = rlhf.PPOConfig(kl_coef=BETA, iterations=10_240 // settings["samples"], **settings)
    history = rlhf.ppo(
        policy, reference, lambda drawn: rlhf.score_texts(scorer, [s.example for s in drawn], pad_id(tokenizer)),
        tokenizer, TRAINING, config, progress=False,
    )  # fmt: skip
    return quality(policy, reference, tokenizer, 1) | {"score": history[-1]["score"], "clipped": history[-1]["clipped"]}


def tune_dpo(settings: dict) -> dict:
    policy, tokenizer = load_model("tiny")
    reference = frozen_copy(policy)
    config = TrainConfig(**PRESETS["tiny"] | {"beta": BETA} | settings)
    history = train(policy, tokenizer, pairs(TRAINING), config, progress=False)
    return quality(policy, reference, tokenizer, 1) | {"loss": float(np.mean([row["loss"] for row in history[-32:]]))}


RUN = {"reward model": tune_reward_model, "PPO": tune_ppo, "DPO": tune_dpo}

if __name__ == "__main__":
    points = [{"method": "reward model", "learning_rate": r, "steps": s} for r in (1e-3, 2e-3) for s in (256, 1024)]
    points += [{"method": "DPO", "learning_rate": r, "steps": s} for r in (2.5e-4, 5e-4, 1e-3) for s in (256, 1024)]
    points += [{"method": "PPO", "learning_rate": r, "epochs": e, "samples": s}
               for r in (2.5e-4, 5e-4, 1e-3) for e in (2, 4) for s in (128, 256)]  # fmt: skip
    defaults = asdict(rlhf.PPOConfig())
    assert all(key in defaults for point in points if point["method"] == "PPO" for key in point if key != "method")
    print(
        run_study(
            __file__, "Tuning grids at beta 0.6", points, lambda p: RUN[p["method"]]({k: v for k, v in p.items() if k != "method"})
        )
    )
