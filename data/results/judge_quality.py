"""Chapter 19: Zephyr's recipe in the review world, with judges of known quality; five seeds. 45 minutes on one core."""

import sys
from functools import cache
from pathlib import Path

import numpy as np

from dpo_from_scratch import rlhf, world
from dpo_from_scratch.evaluation import log_ratios, quality
from dpo_from_scratch.models import frozen_copy, load_model, pad_id
from dpo_from_scratch.records import load_record, run_study
from dpo_from_scratch.sampling import sample
from dpo_from_scratch.tokens import encode_rows
from dpo_from_scratch.training import PRESETS, TrainConfig, train

sys.path.append(str(Path(__file__).parents[1]))
from ai_feedback import binarise, scored

GROUPS, STEPS, TEACHER, RATES = 2048, 128, 3.0, (5e-4, 1e-3)
JUDGES = ("exact", "noise 2", "noise 6", "length", "reward model 256", "reward model 2048")
BETAS = (0.3, 1.2, 4.8)
PER_WORD = 0.6  # what the judge that likes length adds for each word; one adjective is worth 1 or so


def config(seed: int, **other) -> TrainConfig:
    return TrainConfig(**PRESETS["tiny"] | {"steps": STEPS, "seed": seed} | other)


@cache
def start(seed: int):
    """dSFT: the tiny model, fine-tuned on 2,048 replies of a teacher, the grammar's exact optimum at beta 3."""
    model, tokenizer = load_model("tiny")
    rng, asked = np.random.default_rng([7, seed]), world.prompts("train")
    texts = [{"prompt": p, "completion": world.REVIEWS.sample(p, 1, rng, TEACHER)[0]} for p in asked * (GROUPS // len(asked))]
    train(model, tokenizer, texts, config(seed, loss="sft", learning_rate=5e-4), progress=False)
    return frozen_copy(model), tokenizer


@cache
def responses(seed: int) -> list[dict]:
    """Groups of four: the teacher, the model after dSFT at two temperatures, the model before it."""
    (after, tokenizer), (before, _) = start(seed), load_model("tiny")
    rng, asked = np.random.default_rng([8, seed]), world.prompts("train")
    prompts = [asked[i] for i in rng.integers(len(asked), size=GROUPS)]
    drawn = [
        sample(m, tokenizer, prompts, temperature=t, seed=seed + k)
        for k, (m, t) in enumerate(((after, 1.0), (after, 0.7), (before, 1.0)))
    ]
    teacher = [world.REVIEWS.sample(p, 1, rng, TEACHER)[0] for p in prompts]
    texts = [[own, *(s.text for s in row)] for own, *row in zip(teacher, *drawn, strict=True)]
    return [
        {"prompt": p, "responses": list(dict.fromkeys(t for t in row if t.strip()))} for p, row in zip(prompts, texts, strict=True)
    ]


def judge_of(name: str, seed: int):
    """judge(prompt, texts) -> scores."""
    if name.startswith("reward model"):
        return reward_model(int(name.split()[-1]), seed)
    rng = np.random.default_rng([9, seed])
    noise = float(name.split()[1]) if name.startswith("noise") else 0.0
    per_word = PER_WORD if name == "length" else 0.0
    return lambda prompt, texts: [
        world.reward(prompt, t) + per_word * len(t.split()) + noise * rng.standard_normal() for t in texts
    ]


@cache
def reward_model(pairs: int, seed: int):
    """A small reward model, fitted to Bradley-Terry labels of `pairs` pairs (52 steps for 256, 192 for 2,048)."""
    model, tokenizer = load_model("tiny")
    rows = world.make_pairs(pairs, seed=6000 + seed)
    head, _ = rlhf.train_reward_model(model, tokenizer, rows, config(seed, steps=32 + pairs * 5 // 64, learning_rate=1e-3))

    def judge(prompt, texts):
        examples = [e for (e,) in encode_rows(tokenizer, [{"prompt": prompt, "completion": t} for t in texts])[0]]
        return rlhf.score_texts(head, examples, pad_id(tokenizer)).tolist()

    return judge


@cache
def groups(name: str, seed: int) -> list[dict]:
    return scored(responses(seed), judge_of(name, seed))


def agreement(name: str, seed: int) -> float:
    """How often the judge puts two responses of a group in their true order; ties left out."""
    right = []
    for g in groups(name, seed):
        true = [world.reward(g["prompt"], t) for t in g["responses"]]
        right += [np.sign(true[i] - true[j]) == np.sign(g["scores"][i] - g["scores"][j])
                  for i in range(len(true)) for j in range(i) if true[i] != true[j]]  # fmt: skip
    return float(np.mean(right))


def measured(policy, tokenizer, seed: int, split: str = "test") -> dict:
    """True reward and KL to the model that the book ships, KL to the model after dSFT, words a reply."""
    asked, (before, _), (after, _) = world.prompts(split), load_model("tiny"), start(seed)
    found = quality(policy, before, tokenizer, asked, seed=seed)
    drawn = sample(policy, tokenizer, [asked[i % len(asked)] for i in range(504)], seed=seed)
    found["kl_to_start"] = float(log_ratios(policy, after, [s.example for s in drawn], pad_id(tokenizer)).mean())
    return found | {"words": float(np.mean([len(s.text.split()) for s in drawn]))}


@cache
def best_rate(rule: str) -> float:
    found = [p for p in load_record("judge_quality")["points"] if p["point"].get("rule") == rule and "learning_rate" in p["point"]]
    return max(found, key=lambda p: p["result"]["value"])["point"]["learning_rate"]


def run(point: dict) -> dict:
    seed = point["seed"]
    (model, tokenizer), judge = start(seed), point["judge"]
    if judge == "none":
        return measured(model, tokenizer, seed)
    if point.get("skip"):  # the model before dSFT learns from the same pairs
        model, tokenizer = load_model("tiny")
    policy = frozen_copy(model).requires_grad_(True)
    rows, rate = binarise(groups(judge, seed), point["rule"], seed), point.get("learning_rate") or best_rate(point["rule"])
    history = train(policy, tokenizer, rows, config(seed, beta=point["beta"], learning_rate=rate), progress=False)
    found = measured(policy, tokenizer, seed, "train" if "learning_rate" in point else "test")
    found |= {"value": found["true_reward"] - point["beta"] * found["kl_to_start"], "agreement": agreement(judge, seed)}
    gaps = [world.reward(r["prompt"], r["chosen"]) - world.reward(r["prompt"], r["rejected"]) for r in rows]
    texts = [len(r["chosen"].split()) - len(r["rejected"].split()) for r in rows]
    return found | {"pairs": len(rows), "right": float(np.mean(np.array(gaps) > 0)), "gap": float(np.mean(gaps)),
                    "longer": float(np.mean(texts)), "accuracy": history[-1]["accuracy"]}  # fmt: skip


if __name__ == "__main__":
    rules = ("random", "worst")
    points = [{"judge": "exact", "rule": r, "beta": 1.2, "learning_rate": rate, "seed": 99} for r in rules for rate in RATES]
    for s in range(5):
        points.append({"judge": "none", "seed": s})
        points += [{"judge": "exact", "rule": "random", "beta": b, "seed": s, "skip": True} for b in BETAS]
        points += [{"judge": j, "rule": r, "beta": b, "seed": s} for j in JUDGES for r in rules for b in BETAS]
    print(run_study(__file__, "How good must the judge be?", points, run))
