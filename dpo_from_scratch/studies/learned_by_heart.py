"""Chapter 11: few pairs, many epochs, a fifth of the labels flipped: which method stops?

DPO and cDPO, three seeds, rates chosen with another. Ten minutes on one core.
"""

from functools import cache

import numpy as np

from .. import world
from ..lab.studies import VALIDATION, Study
from ..models import load_model
from ..training import PRESETS, TrainConfig, train
from .too_sure import few_pairs, watch

FLIPPED, STEPS = 0.2, 256  # of 96 training pairs 19 are flipped; 85 epochs
LOOKS = (8, 16, 32, 64, 256)  # steps after which the policy is measured
TUNING_LOOKS = (16, 32, 64)
LOSSES = ("dpo", "cdpo")  # the second is told FLIPPED
BETA, TUNING_BETA = 0.3, 1.0
RATES = (2.5e-4, 5e-4, 1e-3)
PARTS = ("right", "wrong", "held_out")

study = Study(
    __file__,
    "Few pairs, many epochs, a fifth of the labels flipped",
    tolerances={  # for the tuning's one seed: what another CPU's rounding may do to a run
        "true_reward": 0.2,
        "kl": 0.2,
        "grammatical": 0.03,
        **dict.fromkeys((f"{part}_delta" for part in PARTS), 0.05),
        **dict.fromkeys((f"{part}_least" for part in PARTS), 0.1),
        **dict.fromkeys((f"{part}_most" for part in PARTS), 0.1),
        **dict.fromkeys((f"{part}_right" for part in PARTS), 0.06),
        **dict.fromkeys((f"{part}_dpo_loss" for part in PARTS), 0.02),
    },
)


def flipped(rows: list[dict], seed: int) -> tuple[list[dict], np.ndarray]:
    """Rows of which a share FLIPPED has its two responses swapped, and which rows those are."""
    wrong = np.random.default_rng(seed).permutation(len(rows)) < round(FLIPPED * len(rows))
    swap = lambda row: row | {"chosen": row["rejected"], "rejected": row["chosen"]}
    return [swap(row) if w else row for row, w in zip(rows, wrong, strict=True)], wrong


def looks_at(
    parts: dict[str, list[dict]],
    prompts: list[str],
    loss: str,
    beta: float,
    rate: float,
    seed: int,
    steps: tuple[int, ...],
) -> dict:
    """Train on the right and the wrong labels; measure after each of these steps.

    `right` of a part is the share of its pairs in the order of their label: of the wrong ones,
    the share that the policy has learned by heart. Held-out labels are the true order.
    """
    policy, tokenizer = load_model("tiny")
    sets = {name: parts[name] for name in PARTS}
    look, looks = watch(policy, tokenizer, sets, prompts, beta, seed, steps)
    options = "" if loss == "dpo" else f"label_smoothing={FLIPPED}"
    settings = {"loss": loss, "beta": beta, "loss_options": options, "steps": STEPS}
    config = TrainConfig(**PRESETS["tiny"] | settings | {"learning_rate": rate, "seed": seed})
    train(policy, tokenizer, parts["train"], config, on_step=look, progress=False)
    return {"looks": looks}


def parts_of(seed: int, leave_out: list[str]) -> dict[str, list[dict]]:
    """Training rows whose prompts are not left out, all, right and wrong; and held-out ones."""
    clean, held_out = few_pairs(seed)
    rows, wrong = flipped(clean, seed)
    kept = [(row, w) for row, w in zip(rows, wrong, strict=True) if row["prompt"] not in leave_out]
    return {
        "train": [row for row, _ in kept],
        "right": [row for row, w in kept if not w],
        "wrong": [row for row, w in kept if w],
        "held_out": held_out,
    }


@study.points(
    [
        {"loss": loss, "beta": TUNING_BETA, "seed": 99, "learning_rate": rate}
        for loss in LOSSES
        for rate in RATES
    ]
)
def tune(loss: str, beta: float, seed: int, learning_rate: float) -> dict:
    """A run that is measured on prompts held out for this, which it does not train on."""
    parts = parts_of(seed, VALIDATION)
    return looks_at(parts, VALIDATION, loss, beta, learning_rate, seed, TUNING_LOOKS)


@cache
def best_rate(loss: str) -> float:
    """The rate whose best look has the largest true reward less 0.6 KL."""
    worth = lambda look: look["true_reward"] - 0.6 * look["kl"]
    best_look = lambda point: max(worth(look) for look in point["result"]["looks"])
    tuned = study.record().select(loss=loss, seed=99)
    return max(tuned, key=best_look)["point"]["learning_rate"]


@study.points([{"loss": loss, "beta": BETA, "seed": seed} for seed in range(3) for loss in LOSSES])
def run(loss: str, beta: float, seed: int) -> dict:
    """A run at its loss's best learning rate."""
    parts, rate = parts_of(seed, []), best_rate(loss)
    return looks_at(parts, world.prompts("test"), loss, beta, rate, seed, LOOKS)


if __name__ == "__main__":
    study.main()
