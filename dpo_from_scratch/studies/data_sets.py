"""Chapter 16: sDPO over three data sets that differ in the gap of their pairs, not in label errors.

Every label names the better reply; three seeds. Twenty minutes on one core. Another share of wrong
labels, the same in each set, is one more line in FLIPPED.
"""

import random
from functools import cache

import numpy as np

from .. import world
from ..lab.evaluation import implicit_and_true, order_accuracy
from ..lab.studies import VALIDATION, Study, Trained, train_tiny
from ..models import Scorer, frozen_copy, load_model, pad_id
from ..rounds import in_rounds
from ..scoring import score_examples
from ..tokens import encode_rows
from ..training import PRESETS, TrainConfig

LABELS, STEPS = 4096, 126
SETS = ("large gaps", "middle gaps", "small gaps")
FLIPPED = {"exact": 0.0}  # share of the labels of each set that is wrong
RATES = (5e-4, 1e-3, 2e-3)
BETAS = (0.4, 0.6, 1.0)  # of DPO; sDPO gets three times as much for each of its steps
ARMS = ("DPO", "sDPO, large gaps first", "sDPO, small gaps first", "sDPO, sets mixed")
SAME = "DPO, sDPO's rate"  # the rate that suits sets mixed, so that KLs meet

study = Study(
    __file__,
    "Data sets in order",
    tolerances={"true_reward": 0.2, "kl": 0.2, "objective": 0.2},  # where there is one seed
)


def gap(row: dict) -> float:
    """True reward of the chosen response less that of the rejected one."""
    return world.reward(row["prompt"], row["chosen"]) - world.reward(row["prompt"], row["rejected"])


def by_gap(rows: list[dict]) -> list[list[dict]]:
    """Three sets of one size (the last one may lack two rows), large gaps first."""
    rows = sorted(rows, key=gap, reverse=True)
    size = -(-len(rows) // len(SETS))
    return [rows[i * size : (i + 1) * size] for i in range(len(SETS))]


def with_flips(rows: list[dict], share: float, seed: int) -> list[dict]:
    """The rows, chosen and rejected exchanged in this share of them."""
    wrong = set(random.Random(seed).sample(range(len(rows)), round(share * len(rows))))
    swap = lambda row: row | {"chosen": row["rejected"], "rejected": row["chosen"]}
    return [swap(row) if i in wrong else row for i, row in enumerate(rows)]


@cache
def data_sets(labels: str, seed: int, tuning: bool = False) -> dict[str, list[dict]]:
    """The three sets by name: pairs of the grammar without ties, labelled by the true order."""
    rows = world.make_pairs(LABELS + LABELS // 4, world.true_order, seed=6000 + seed)
    rows = [row for row in rows if gap(row)][:LABELS]
    rows = [row for row in rows if not tuning or row["prompt"] not in VALIDATION]
    sets = [with_flips(part, FLIPPED[labels], seed) for part in by_gap(rows)]
    return dict(zip(SETS, sets, strict=True))


def share_in_order(scores: np.ndarray) -> float:
    """Share of pairs (N, 2) whose chosen response scores higher."""
    return float((scores[:, 0] > scores[:, 1]).mean())


@cache
def accuracies(labels: str, seed: int, tuning: bool = False) -> dict[str, dict[str, float]]:
    """By set: the share of its labels with which a guide's reward agrees, and others beside it.

    The guide is a DPO run of 64 steps on all of them; DPO does not get its labour.
    """
    sets = data_sets(labels, seed, tuning)
    guide = train_tiny([row for rows in sets.values() for row in rows], steps=64, seed=seed)
    return {name: _agreement(guide, rows) for name, rows in sets.items()}


def _agreement(guide: Trained, rows: list[dict]) -> dict[str, float]:
    rho, true = implicit_and_true(guide.policy, guide.reference, guide.tokenizer, rows)
    examples, _ = encode_rows(guide.tokenizer, rows)
    flat, pad = [e for pair in examples for e in pair], pad_id(guide.tokenizer)
    first = score_examples(Scorer(guide.reference), flat, pad).reshape(-1, 2).numpy()
    return {
        "guide": share_in_order(rho),  # sDPO's order: the first model's reward accuracy
        "first_model": share_in_order(first),  # by its log-probabilities alone
        "right": share_in_order(true),
        "gap": float(np.abs(true[:, 0] - true[:, 1]).mean()),
    }


def in_order(arm: str, labels: str, seed: int, tuning: bool = False) -> list[list[dict]]:
    """The parts of an arm: sets by the guide's accuracy, or all rows shuffled, in one or three."""
    sets, found = data_sets(labels, seed, tuning), accuracies(labels, seed, tuning)
    easy_first = [sets[n] for n in sorted(sets, key=lambda n: -found[n]["guide"])]
    if arm == "sDPO, large gaps first":
        return easy_first
    if arm == "sDPO, small gaps first":
        return easy_first[::-1]
    rows = [row for part in easy_first for row in part]
    random.Random(seed).shuffle(rows)
    parts = 1 if arm in ("DPO", SAME) else len(SETS)
    return [rows[i::parts] for i in range(parts)]


def trained(
    arm: str, labels: str, beta: float, rate: float, seed: int, tuning: bool = False
) -> Trained:
    """A run of an arm; the reference is the model that everything began with."""
    policy, tokenizer = load_model("tiny")
    reference, parts = frozen_copy(policy), in_order(arm, labels, seed, tuning)
    settings = {"beta": len(parts) * beta, "learning_rate": rate, "steps": STEPS, "seed": seed}
    config = TrainConfig(**PRESETS["tiny"] | settings)
    part = lambda r: parts[r]
    history = in_rounds(policy, tokenizer, len(parts), part, config, True, progress=False)
    return Trained(policy, reference, tokenizer, history)


def accuracy(labels: str, seed: int) -> dict:
    """What the guide, and the first model alone, make of each set."""
    return accuracies(labels, seed)


def tune(labels: str, arm: str, learning_rate: float) -> dict:
    """True reward less 0.6 KL on prompts held out for this."""
    found = trained(arm, labels, 0.6, learning_rate, 99, tuning=True)
    return found.quality(VALIDATION, seed=99)


def run(labels: str, arm: str, beta: float, seed: int) -> dict:
    """What a policy is worth, and how many unseen pairs its implicit reward puts in order."""
    tuned = "sDPO, sets mixed" if arm == SAME else arm
    rate = study.record().best("learning_rate", labels=labels, arm=tuned)
    found = trained(arm, labels, beta, rate, seed)
    worth = found.quality(world.prompts("test"), seed=seed)
    tests = world.make_pairs(512, world.true_order, split="test", seed=78)
    scores = implicit_and_true(found.policy, found.reference, found.tokenizer, tests)
    return worth | {"order": order_accuracy(*scores), "learning_rate": rate}


for name in FLIPPED:
    of_labels = {"labels": name}
    study.points([of_labels | {"seed": seed} for seed in range(3)])(accuracy)
    study.points([of_labels | {"arm": a, "learning_rate": r} for a in ARMS for r in RATES])(tune)
    every = [(seed, arm, beta) for seed in range(3) for arm in (*ARMS, SAME) for beta in BETAS]
    study.points([of_labels | {"arm": a, "beta": b, "seed": s} for s, a, b in every])(run)


if __name__ == "__main__":
    study.main()
