"""Chapter 16: sDPO in three steps, its parts in three orders, against DPO at beta / 3; five seeds.

And DPO with sDPO's stairs of the learning rate, at its best rate (four seeds) and at half of it
(five). An hour on one core.
"""

import random
from functools import cache

from .. import world
from ..lab.evaluation import implicit_and_true, order_accuracy
from ..lab.studies import VALIDATION, Study, Trained, train_tiny
from ..models import frozen_copy, load_model
from ..rounds import easy_to_hard, in_rounds
from ..training import PRESETS, TrainConfig

LABELS, STEPS, PARTS = 4096, 126, 3
RATES = (2.5e-4, 5e-4, 1e-3, 2e-3)
BETAS = (0.2, 0.4, 0.6, 1.0, 1.8)  # of DPO; sDPO gets three times as much for each of its steps
ARMS = ("DPO", "sDPO, easy first", "sDPO, hard first", "sDPO, no order")
STAIRS = "DPO, the same stairs"  # parts and rates of "sDPO, no order", but a reference that stands

study = Study(
    __file__,
    "Step by step",
    tolerances={"true_reward": 0.2, "kl": 0.2, "objective": 0.2},  # where there is one seed
)


@cache
def ordered(seed: int, tuning: bool) -> tuple[dict, ...]:
    """Pairs of the grammar, easy ones first: a DPO run of 64 steps on all of them is asked.

    DPO does not get its labour.
    """
    rows = world.make_pairs(LABELS, seed=6000 + seed)
    rows = [row for row in rows if not tuning or row["prompt"] not in VALIDATION]
    guide = train_tiny(rows, steps=64, seed=seed)
    return tuple(easy_to_hard(guide.policy, guide.reference, guide.tokenizer, rows))


def trained(arm: str, beta: float, rate: float, seed: int, tuning: bool = False) -> Trained:
    """A run of an arm; the reference is the model that everything began with."""
    policy, tokenizer = load_model("tiny")
    reference, rows = frozen_copy(policy), list(ordered(seed, tuning))
    if arm in ("DPO", "sDPO, no order", STAIRS):
        random.Random(seed).shuffle(rows)
    if arm == "sDPO, hard first":
        rows.reverse()
    parts = 1 if arm == "DPO" else PARTS
    moving = arm != STAIRS
    beta = parts * beta if moving else beta
    settings = {"beta": beta, "learning_rate": rate, "steps": STEPS, "seed": seed}
    config, size = TrainConfig(**PRESETS["tiny"] | settings), -(-len(rows) // parts)
    part = lambda r: rows[r * size : (r + 1) * size]
    history = in_rounds(policy, tokenizer, parts, part, config, moving, progress=False)
    return Trained(policy, reference, tokenizer, history)


@study.points([{"arm": arm, "learning_rate": rate} for arm in ARMS for rate in RATES])
def tune(arm: str, learning_rate: float) -> dict:
    """True reward less 0.6 KL on prompts held out for this."""
    found = trained(arm, 0.6, learning_rate, 99, tuning=True)
    return found.quality(VALIDATION, seed=99)


@cache
def best_rate(arm: str) -> float:
    """The learning rate that the tuning chose for an arm."""
    return study.record().best("learning_rate", arm=arm)


@study.points(
    [
        {"arm": arm, "beta": beta, "seed": seed}
        for seed in range(5)
        for arm in ARMS
        for beta in BETAS
    ]
    + [
        {"arm": arm, "beta": beta, "seed": seed, "learning_rate": 5e-4}  # a gentler rate for both
        for seed in range(5)
        for arm in ("DPO", "sDPO, no order")
        for beta in BETAS
    ]
    + [
        {"arm": STAIRS, "beta": beta, "seed": seed}  # at the rate of "sDPO, no order"
        for seed in range(4)
        for beta in (0.6, 0.4, 1.0, 1.8)
    ]
    + [
        {"arm": STAIRS, "beta": beta, "seed": seed, "learning_rate": 5e-4}
        for seed in range(5)
        for beta in BETAS
    ]
)
def run(arm: str, beta: float, seed: int, learning_rate: float | None = None) -> dict:
    """What a policy is worth, and how many unseen pairs its implicit reward puts in order.

    The learning rate is the arm's best unless one is given.
    """
    rate = learning_rate or best_rate("sDPO, no order" if arm == STAIRS else arm)
    found = trained(arm, beta, rate, seed)
    worth = found.quality(world.prompts("test"), seed=seed)
    tests = world.make_pairs(512, world.true_order, split="test", seed=78)
    scores = implicit_and_true(found.policy, found.reference, found.tokenizer, tests)
    return worth | {"order": order_accuracy(*scores)}


if __name__ == "__main__":
    study.main()
