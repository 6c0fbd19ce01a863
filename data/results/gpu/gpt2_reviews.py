"""GPT-2's 124M parameters, from random weights, on the review world: SFT, then DPO, against the exact frontier; five seeds.

python data/results/gpu/gpt2_reviews.py              # one GPU; estimated, not measured: 90 minutes on an H200, 8 GB
python data/results/gpu/gpt2_reviews.py --dry-run    # two steps of everything on whatever there is, nothing is kept

The vocabulary keeps GPT-2's 50,257 rows, though the world has fewer words, so that size and time are those of GPT-2.
"""

import sys
import tempfile
from dataclasses import asdict
from functools import cache
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from dpo_from_scratch import world
from dpo_from_scratch.data import data_path, read_rows
from dpo_from_scratch.evaluation import evaluate_reviews, gap_to_grammar
from dpo_from_scratch.models import frozen_copy, review_tokenizer
from dpo_from_scratch.records import run_study
from dpo_from_scratch.training import TrainConfig, train

DRY = "--dry-run" in sys.argv
GPU = torch.cuda.is_available()
RATES, BETAS, SAMPLES = (5e-6, 2e-5), (0.3, 0.6, 1.2), 8 if DRY else 2016
SFT = {"loss": "sft", "learning_rate": 3e-4, "steps": 2 if DRY else 4000, "batch_size": 2 if DRY else 64, "warmup": 200,
       "decay": "cosine", "precision": "bf16" if GPU else "no"}  # fmt: skip
DPO = {"steps": 2 if DRY else 256, "batch_size": 2 if DRY else 32, "warmup": 10, "precision": SFT["precision"]}


def new_gpt2(tokenizer, seed: int) -> GPT2LMHeadModel:
    """GPT-2's smallest shape, 124M random weights, without dropout."""
    torch.manual_seed(seed)
    ends = dict.fromkeys(("bos_token_id", "eos_token_id"), tokenizer.eos_token_id)
    config = GPT2Config(resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, pad_token_id=tokenizer.pad_token_id, **ends)
    return GPT2LMHeadModel(config)


@cache
def start(seed: int):
    """The model after SFT on the grammar's replies, and its distance to the grammar in nats per token."""
    tokenizer = review_tokenizer()
    model = new_gpt2(tokenizer, seed).to("cuda" if GPU else "cpu")
    texts = world.make_texts(16 if DRY else 64 * 4000, seed=seed)
    train(model, tokenizer, texts, TrainConfig(**SFT | {"seed": seed}), progress=False)
    return frozen_copy(model), tokenizer, gap_to_grammar(model, tokenizer, samples=max(SAMPLES // 2, 4))


def run(point: dict) -> dict:
    seed = point["seed"]
    reference, tokenizer, (gap, error) = start(seed)
    rows = read_rows(data_path("reviews_pairs_train.jsonl"))[0][: 8 if DRY else None]
    tests = read_rows(data_path("reviews_pairs_test.jsonl"))[0][:SAMPLES]
    policy = frozen_copy(reference).requires_grad_(True)
    config = TrainConfig(**DPO | {"beta": point["beta"], "learning_rate": point["learning_rate"], "seed": seed})
    history = train(policy, tokenizer, rows, config, progress=False)
    found = asdict(evaluate_reviews(policy, reference, tokenizer, tests, SAMPLES, seed))
    memory = torch.cuda.max_memory_allocated() / 2**30 if GPU else 0.0
    return found | {"gap": gap, "gap_se": error, "accuracy_last": history[-1]["accuracy"], "gigabytes": memory}


if __name__ == "__main__":
    seeds = range(1 if DRY else 5)
    points = [{"seed": s, "beta": b, "learning_rate": r} for s in seeds for b in BETAS for r in RATES][: 1 if DRY else None]
    title = "GPT-2 124M on the review world"
    if DRY:
        with tempfile.TemporaryDirectory() as folder:
            print(run_study(__file__, title, points, run, folder).read_text())
    else:
        print(run_study(__file__, title, points, run, Path(__file__).parent))
