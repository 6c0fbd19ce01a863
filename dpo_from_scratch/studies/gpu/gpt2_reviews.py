"""GPT-2's 124M parameters, from random weights, on the review world, five seeds.

SFT, then DPO, against the exact frontier. On one GPU; estimated, not measured: 90 minutes on an
H200, 8 GB. `--dry-run` makes two steps of everything on whatever there is, and keeps nothing. The
vocabulary keeps GPT-2's 50,257 rows, though the world has fewer words, so that size and time are
those of GPT-2.
"""

from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path

import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from ... import world
from ...data import data_path, read_rows
from ...lab.evaluation import evaluate_reviews, gap_to_grammar
from ...lab.studies import Study
from ...models import frozen_copy
from ...training import TrainConfig, train
from ...world.tiny import review_tokenizer

RATES, BETAS = (5e-6, 2e-5), (0.3, 0.6, 1.2)
SFT = {"loss": "sft", "learning_rate": 3e-4, "warmup": 200, "decay": "cosine"}
DPO = {"warmup": 10}
POINTS = [
    {"seed": seed, "beta": beta, "learning_rate": rate}
    for seed in range(5)
    for beta in BETAS
    for rate in RATES
]


@dataclass(frozen=True)
class Setup:
    """How large the study is."""

    sft_steps: int = 4000
    sft_batch: int = 64
    texts: int = 64 * 4000
    dpo_steps: int = 256
    dpo_batch: int = 32
    pairs: int | None = None  # None: all
    samples: int = 2016


FULL = Setup()
DRY = Setup(sft_steps=2, sft_batch=2, texts=16, dpo_steps=2, dpo_batch=2, pairs=8, samples=8)


def device() -> str:
    """Where the study runs."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def settings(seed: int, **other) -> TrainConfig:
    """In bfloat16 on a GPU."""
    precision = "bf16" if device() == "cuda" else "no"
    return TrainConfig(**{"precision": precision, "seed": seed} | other)


def new_gpt2(tokenizer, seed: int) -> GPT2LMHeadModel:
    """GPT-2's smallest shape, 124M random weights, without dropout."""
    torch.manual_seed(seed)
    config = GPT2Config(
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return GPT2LMHeadModel(config)


@cache
def start(seed: int, setup: Setup) -> tuple[nn.Module, object, tuple[float, float]]:
    """The model after SFT on the grammar's replies.

    With its tokenizer, and its distance to the grammar in nats per token.
    """
    tokenizer = review_tokenizer()
    model = new_gpt2(tokenizer, seed).to(device())
    texts = world.make_texts(setup.texts, seed=seed)
    config = settings(seed, **SFT, steps=setup.sft_steps, batch_size=setup.sft_batch)
    train(model, tokenizer, texts, config, progress=False)
    gap = gap_to_grammar(model, tokenizer, samples=max(setup.samples // 2, 4))
    return frozen_copy(model), tokenizer, gap


def run(seed: int, beta: float, learning_rate: float, setup: Setup) -> dict:
    """DPO from the seed's model, all measures."""
    reference, tokenizer, (gap, error) = start(seed, setup)
    rows = read_rows(data_path("reviews_pairs_train.jsonl"))[0][: setup.pairs]
    tests = read_rows(data_path("reviews_pairs_test.jsonl"))[0][: setup.samples]
    policy = frozen_copy(reference).requires_grad_(True)
    size = {"steps": setup.dpo_steps, "batch_size": setup.dpo_batch}
    config = settings(seed, **DPO, **size, beta=beta, learning_rate=learning_rate)
    history = train(policy, tokenizer, rows, config, progress=False)
    found = asdict(evaluate_reviews(policy, reference, tokenizer, tests, setup.samples, seed))
    memory = torch.cuda.max_memory_allocated() / 2**30 if device() == "cuda" else 0.0
    last = {"accuracy_last": history[-1]["accuracy"], "gigabytes": memory}
    return found | {"gap": gap, "gap_se": error} | last


def made(points: list[dict], setup: Setup) -> Study:
    """The study at this size."""
    study = Study(__file__, "GPT-2 124M on the review world")
    study.points(points)(partial(run, setup=setup))
    return study


study = made(POINTS, FULL)


@study.dry_run
def small(folder: Path) -> Study:
    """The first point, two steps of each training."""
    return made(POINTS[:1], DRY)


if __name__ == "__main__":
    study.main()
