"""Chapter 15: pairs by another author, by the reference, by the policy itself; equal labels.

Five seeds. Eighty minutes on one core.
"""

from dataclasses import replace
from functools import cache

import numpy as np
from torch import nn

from .. import world
from ..data import data_path, read_rows
from ..lab.evaluation import implicit_and_true, order_accuracy
from ..lab.studies import VALIDATION, Study, Trained
from ..models import frozen_copy, load_model
from ..rounds import in_rounds, judged_pairs
from ..training import PRESETS, TrainConfig, train

LABELS, STEPS = 2048, 128
RATES = (2.5e-4, 5e-4, 1e-3, 2e-3)
BETAS = (0.3, 0.6, 1.2)
ARMS = {  # rounds of own samples; what differs
    "another author": {"rounds": 0},
    "another author, SFT first": {"rounds": 0, "sft": True},
    "the reference": {"rounds": 1},
    "iterated": {"rounds": 4},
    "iterated, moving reference": {"rounds": 4, "moving": True, "betas": (1.2, 2.4, 4.8)},
    "online": {"rounds": 16},
    "another author, then own": {"rounds": 4, "first": LABELS // 2},
    # controls of "iterated", with the same rounds, restarts and stairs: only the sampler differs,
    # or the sampler and the learning rate that suits it
    "the reference, same rate": {"rounds": 4, "fixed": True, "rate_of": "iterated"},
    "the reference, in rounds": {"rounds": 4, "fixed": True},
}
GLOOMY = world.World(world.GLOOMY)

study = Study(
    __file__,
    "Whose samples",
    tolerances={"true_reward": 0.2, "kl": 0.2, "objective": 0.2},  # where there is one seed
)


@cache
def others_pairs(n: int, seed: int) -> list[dict]:
    """n pairs that another author wrote."""
    return world.make_pairs(n, world=GLOOMY, seed=5000 + seed)


def own_pairs(policy: nn.Module, tokenizer, n: int, asked: list[str], seed: int) -> list[dict]:
    """n labels on the policy's own samples."""
    rng, rows = np.random.default_rng(seed), []
    while len(rows) < n:  # two equal samples leave no pair
        some = [asked[i] for i in rng.integers(len(asked), size=n - len(rows))]
        draw = int(rng.integers(2**31))
        rows += judged_pairs(
            policy, tokenizer, some, world.bradley_terry, seed=draw, stream="batch"
        )
    return rows


def trained(arm: str, beta: float, rate: float, asked: list[str], seed: int) -> Trained:
    """A run of an arm on prompts that it may use.

    The reference is the model that everything began with.
    """
    how, (policy, tokenizer) = ARMS[arm], load_model("tiny")
    reference, rounds, first = frozen_copy(policy), how["rounds"], how.get("first", 0)
    settings = {"beta": beta, "learning_rate": rate, "steps": STEPS, "seed": seed}
    config, theirs = TrainConfig(**PRESETS["tiny"] | settings), []
    if first or not rounds:
        theirs = [row for row in others_pairs(first or LABELS, seed) if row["prompt"] in asked]
    if how.get("sft"):
        # arXiv 2305.18290, section 4: where the data are another model's, first bring the
        # reference to them
        texts = [{"prompt": row["prompt"], "completion": row["chosen"]} for row in theirs]
        sft = replace(config, loss="sft", learning_rate=5e-4)
        train(policy, tokenizer, texts, sft, progress=False)

    def rows_of(r: int) -> list[dict]:
        if not rounds or (first and r < 2):  # half of the labels and of the steps are theirs
            return theirs
        sampler = reference if how.get("fixed") else policy
        return own_pairs(sampler, tokenizer, LABELS // rounds, asked, 100 * seed + r)

    moving, parts = how.get("moving", False), max(rounds, 1)
    history = in_rounds(policy, tokenizer, parts, rows_of, config, moving, progress=False)
    return Trained(policy, reference, tokenizer, history)


TUNED = [arm for arm, how in ARMS.items() if "rate_of" not in how]


@study.points([{"arm": arm, "learning_rate": rate} for arm in TUNED for rate in RATES])
def tune(arm: str, learning_rate: float) -> dict:
    """True reward less 0.6 KL on prompts held out for this, at the arm's middle beta."""
    asked = [prompt for prompt in world.prompts("train") if prompt not in VALIDATION]
    beta = ARMS[arm].get("betas", BETAS)[1]
    return trained(arm, beta, learning_rate, asked, 99).quality(VALIDATION, seed=99)


@cache
def best_rate(arm: str) -> float:
    """The learning rate that the tuning chose for an arm, or for the one that it controls."""
    return study.record().best("learning_rate", arm=ARMS[arm].get("rate_of", arm))


SETTINGS = [
    {"arm": arm, "beta": beta, "seed": seed}
    for seed in range(5)
    for arm, how in ARMS.items()
    for beta in how.get("betas", BETAS)
]


@study.points(sorted(SETTINGS, key=lambda point: point["arm"] == "the reference, in rounds"))
def run(arm: str, beta: float, seed: int) -> dict:
    """What a policy is worth, and on whose pairs its implicit reward knows the true order."""
    found = trained(arm, beta, best_rate(arm), world.prompts("train"), seed)
    result = found.quality(world.prompts("test"), seed=seed)
    asked, judge = world.prompts("test") * 40, world.true_order
    pairs = {
        "another author": world.make_pairs(512, judge, GLOOMY, "test", 77),
        "the grammar": read_rows(data_path("reviews_pairs_test.jsonl"))[0][:512],
        "itself": judged_pairs(found.policy, found.tokenizer, asked, judge, seed=7, stream="batch"),
    }
    for name, rows in pairs.items():
        scores = implicit_and_true(found.policy, found.reference, found.tokenizer, rows)
        result[f"order, {name}"] = order_accuracy(*scores)
    return result


if __name__ == "__main__":
    study.main()
