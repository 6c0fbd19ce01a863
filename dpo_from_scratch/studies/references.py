"""Chapter 05: DPO from references of four qualities, and dividing SFT by a batch's tokens.

Three seeds. Half an hour on one core.
"""

from dataclasses import asdict
from functools import cache

import numpy as np
import torch
from torch import nn

from .. import world
from ..data import data_path, read_rows
from ..lab.evaluation import evaluate_reviews, gap_to_grammar
from ..lab.studies import Study
from ..models import Scorer, frozen_copy, load_model, pad_id
from ..sampling import sample
from ..tokens import Example, collate, encode_rows
from ..training import PRESETS, TrainConfig, learning_rate, train
from ..world.tiny import new_tiny_model, review_tokenizer

SHIPPED = 12_000  # steps of the shipped model
QUALITIES = (100, 400, 1600, SHIPPED)
STEPS, SIZE = 600, 64  # of SFT in batches of like length
DIVISORS = ("a constant", "tokens of the batch")

study = Study(
    __file__,
    "References of four qualities",
    # of the shipped model before DPO: no seed changes them, rounding may
    tolerances={"gap": 1e-5, "gap_se": 1e-5, "optimum": 1e-6},
)


@study.points([{"divide_by": how, "seed": seed} for seed in range(3) for how in DIVISORS])
def length_after_sft(divide_by: str, seed: int) -> dict:
    """How long are texts after SFT in batches of like length?

    The loss of a batch is divided by a constant, or by the batch's own number of tokens.
    """
    tokenizer = review_tokenizer()
    model = new_tiny_model(tokenizer, seed=seed)
    texts = world.make_texts(STEPS * SIZE, split="train", seed=200 + seed)
    examples = sorted((e for (e,) in encode_rows(tokenizer, texts)[0]), key=lambda e: len(e.ids))
    sft_by_length(model, examples, divide_by, pad_id(tokenizer), seed)
    asked = [prompt for prompt in world.prompts("test") for _ in range(168)]
    drawn = sample(model.eval(), tokenizer, asked, seed=seed, stream="batch")
    gap, gap_se = gap_to_grammar(model, tokenizer)
    length = float(np.mean([s.example.response_length for s in drawn]))
    return {"length": length, "gap": gap, "gap_se": gap_se}


def sft_by_length(
    model: nn.Module, examples: list[Example], divide_by: str, pad: int, seed: int
) -> None:
    """One pass over examples that are sorted by length; the batches come in a drawn order."""
    order = np.random.default_rng(seed).permutation(STEPS)
    config = TrainConfig(**PRESETS["tiny-sft"] | {"steps": STEPS, "warmup": 60})
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.0)
    tokens = float(np.mean([e.response_length for e in examples])) * SIZE
    for step, i in enumerate(order):
        part = examples[i * SIZE : (i + 1) * SIZE]
        optimizer.param_groups[0]["lr"] = learning_rate(step, config)
        own = divide_by == "tokens of the batch"
        divisor = sum(e.response_length for e in part) if own else tokens
        loss = -Scorer(model)(**collate(part, pad)).sum() / divisor
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()


@cache
def reference(steps: int, seed: int) -> tuple[nn.Module, object]:
    """A model trained for `steps` on fresh texts of the grammar, and its tokenizer.

    With 12,000 steps it is the shipped one.
    """
    if steps == SHIPPED:
        return load_model("tiny")
    tokenizer = review_tokenizer()
    model = new_tiny_model(tokenizer, seed=seed)
    settings = {"steps": steps, "warmup": steps // 10, "seed": seed}
    config = TrainConfig(**PRESETS["tiny-sft"] | settings)
    texts = world.make_texts(steps * config.batch_size, split="train", seed=100 + seed)
    train(model, tokenizer, texts, config, progress=False)
    return model, tokenizer


@study.points([{"steps": steps, "seed": seed} for seed in range(3) for steps in QUALITIES])
def dpo_from(steps: int, seed: int) -> dict:
    """All measures of a reference, and of the policy that DPO makes of it."""
    start, tokenizer = reference(steps, seed)
    policy, frozen = frozen_copy(start).requires_grad_(True), frozen_copy(start)
    rows, _ = read_rows(data_path("reviews_pairs_train.jsonl"))
    tests, _ = read_rows(data_path("reviews_pairs_test.jsonl"))
    train(policy, tokenizer, rows, TrainConfig(**PRESETS["tiny"] | {"seed": seed}), progress=False)
    gap, gap_se = gap_to_grammar(start, tokenizer)
    before = evaluate_reviews(frozen, frozen, tokenizer, tests, seed=seed)
    after = evaluate_reviews(policy, frozen, tokenizer, tests, seed=seed)
    return {"gap": gap, "gap_se": gap_se, "before": asdict(before), "after": asdict(after)}


if __name__ == "__main__":
    study.main()
