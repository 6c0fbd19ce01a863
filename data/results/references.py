"""Chapter 05: DPO from references of four qualities, and what dividing by a batch's tokens does to SFT. Half an hour on a core."""

from dataclasses import asdict
from functools import cache

import numpy as np
import torch

from dpo_from_scratch import world
from dpo_from_scratch.data import data_path, read_rows
from dpo_from_scratch.evaluation import evaluate_reviews, gap_to_grammar
from dpo_from_scratch.models import Scorer, frozen_copy, load_model, new_tiny_model, pad_id, review_tokenizer
from dpo_from_scratch.records import run_study
from dpo_from_scratch.sampling import sample
from dpo_from_scratch.tokens import collate, encode_rows
from dpo_from_scratch.training import PRESETS, TrainConfig, learning_rate, train


@cache
def reference(steps: int, seed: int):
    """A model trained for `steps` on fresh texts of the grammar; 12,000: the shipped one."""
    if steps == 12_000:
        return load_model("tiny")
    tokenizer = review_tokenizer()
    model = new_tiny_model(tokenizer, seed=seed)
    config = TrainConfig(**PRESETS["tiny-sft"] | {"steps": steps, "warmup": steps // 10, "seed": seed})
    train(model, tokenizer, world.make_texts(steps * config.batch_size, split="train", seed=100 + seed), config, progress=False)
    return model, tokenizer


def dpo_from(point: dict) -> dict:
    start, tokenizer = reference(point["steps"], point["seed"])
    policy, frozen = frozen_copy(start).requires_grad_(True), frozen_copy(start)
    rows, tests = (read_rows(data_path(f"reviews_pairs_{split}.jsonl"))[0] for split in ("train", "test"))
    train(policy, tokenizer, rows, TrainConfig(**PRESETS["tiny"] | {"seed": point["seed"]}), progress=False)
    gap, gap_se = gap_to_grammar(start, tokenizer)
    before = evaluate_reviews(frozen, frozen, tokenizer, tests, seed=point["seed"])
    after = evaluate_reviews(policy, frozen, tokenizer, tests, seed=point["seed"])
    return {"gap": gap, "gap_se": gap_se, "before": asdict(before), "after": asdict(after)}


def length_after_sft(point: dict) -> dict:
    """SFT in batches of like length, each divided by a constant or by its own number of tokens: how long are its texts?"""
    tokenizer, steps, size = review_tokenizer(), 600, 64
    model = new_tiny_model(tokenizer, seed=point["seed"])
    examples = [e for (e,) in encode_rows(tokenizer, world.make_texts(steps * size, split="train", seed=200 + point["seed"]))[0]]
    examples.sort(key=lambda e: len(e.ids))
    order = np.random.default_rng(point["seed"]).permutation(steps)
    config = TrainConfig(**PRESETS["tiny-sft"] | {"steps": steps, "warmup": 60})
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.0)
    tokens = float(np.mean([e.response_length for e in examples])) * size
    for step, i in enumerate(order):
        part = examples[i * size : (i + 1) * size]
        optimizer.param_groups[0]["lr"] = learning_rate(step, config)
        divisor = sum(e.response_length for e in part) if point["divide_by"] == "tokens of the batch" else tokens
        loss = -Scorer(model)(**collate(part, pad_id(tokenizer))).sum() / divisor
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
    drawn = sample(model.eval(), tokenizer, [p for p in world.prompts("test") for _ in range(168)], seed=point["seed"])
    gap, gap_se = gap_to_grammar(model, tokenizer)
    return {"length": float(np.mean([s.example.response_length for s in drawn])), "gap": gap, "gap_se": gap_se}


if __name__ == "__main__":
    points = [{"divide_by": d, "seed": s} for s in range(3) for d in ("a constant", "tokens of the batch")]
    points += [{"steps": n, "seed": s} for s in range(3) for n in (100, 400, 1600, 12_000)]
    print(
        run_study(__file__, "References of four qualities", points, lambda p: dpo_from(p) if "steps" in p else length_after_sft(p))
    )
