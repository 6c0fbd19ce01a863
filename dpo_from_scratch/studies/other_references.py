"""Chapter 05: DPO of a hasty model, held to itself or to another one; three seeds.

The model to be trained has had 400 steps of SFT. Its loss is given the log-probabilities of itself,
of the shipped model (other texts of the same grammar, 12,000 steps), of the shipped model after SFT
on another author's texts (a control), or of the shipped model after DPO. Claim: a stronger
reference can help, but only if it is like the model (arXiv 2407.13709). Twenty minutes on one core.
"""

from dataclasses import asdict
from functools import cache

from torch import nn

from .. import world
from ..data import data_path, read_rows
from ..lab.evaluation import evaluate_reviews
from ..lab.studies import Study, train_tiny
from ..models import frozen_copy, load_model
from ..training import PRESETS, TrainConfig, train
from .references import reference

HASTY, SEEDS = 400, range(3)
HELD_TO = ("itself", "shipped", "another author's", "shipped after DPO")

study = Study(
    __file__,
    "Held to another model",
    tolerances={"true_reward": 0.2, "kl": 0.3, "grammatical": 0.08},
)


@cache
def model_for(name: str) -> nn.Module | None:
    """The model whose log-probabilities the loss is given; None: that which is trained."""
    if name == "itself":
        return None
    if name == "shipped after DPO":
        rows, _ = read_rows(data_path("reviews_pairs_train.jsonl"))
        return frozen_copy(train_tiny(rows, seed=99).policy)
    model, tokenizer = load_model("tiny")
    if name == "another author's":
        settings = {"steps": 256, "warmup": 25, "seed": 99}
        config = TrainConfig(**PRESETS["tiny-sft"] | settings)
        author = world.World(world.GLOOMY)
        n = config.steps * config.batch_size
        texts = world.make_texts(n, split="train", world=author, seed=99)
        train(model, tokenizer, texts, config, progress=False)
    return frozen_copy(model)


@study.points([{"held_to": name, "seed": seed} for seed in SEEDS for name in HELD_TO])
def run(held_to: str, seed: int) -> dict:
    """All measures of the policy, its KL counted from the model that it began as.

    `apart`: the KL of that model to the one that the loss is given.
    """
    start, tokenizer = reference(HASTY, seed)
    policy, began = frozen_copy(start).requires_grad_(True), frozen_copy(start)
    rows, _ = read_rows(data_path("reviews_pairs_train.jsonl"))
    tests, _ = read_rows(data_path("reviews_pairs_test.jsonl"))
    other, config = model_for(held_to) or began, TrainConfig(**PRESETS["tiny"] | {"seed": seed})
    before = evaluate_reviews(began, other, tokenizer, tests, seed=seed)
    train(policy, tokenizer, rows, config, reference=other, progress=False)
    after = evaluate_reviews(policy, began, tokenizer, tests, seed=seed)
    return {"apart": before.kl, "before": asdict(before), "after": asdict(after)}


if __name__ == "__main__":
    study.main()
