"""Chapter 12: few pairs, many epochs, labels without noise: DPO, cDPO and IPO, eight seeds.

An hour and a half on one core.
"""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import product

import numpy as np
from torch import Tensor, nn

from .. import world
from ..lab.studies import VALIDATION, Study
from ..models import Scorer, frozen_copy, load_model, pad_id
from ..sampling import sample
from ..scoring import log_ratios, score_pairs
from ..tokens import encode_rows
from ..training import PRESETS, TrainConfig, train

TRAIN, HELD_OUT, STEPS = 96, 32, 256  # 128 labels in all; 85 epochs
LOOKS = (4, 8, 16, 32, 64, 128, 256)  # steps after which the policy is measured
LOSSES = ("dpo", "cdpo", "ipo")
STRENGTHS = (0.1, 0.3, 1.0)  # beta, and tau of IPO
MORE = (("dpo", 3.0), ("dpo", 10.0), ("cdpo", 3.0), ("ipo", 0.03))  # beyond each loss's best
BETWEEN = (("dpo", 2.0), ("ipo", 0.2))  # a finer grid about the best of both, added later
RATES = (2.5e-4, 5e-4, 1e-3)
SMOOTHING = 0.1

study = Study(
    __file__,
    "Few pairs, many epochs",
    tolerances={  # for the tuning's one seed: what another CPU's rounding may do to a run
        "true_reward": 0.15,
        "kl": 0.15,
        "grammatical": 0.02,
        **dict.fromkeys(("train_delta", "held_out_delta"), 0.02),
        **dict.fromkeys(("train_least", "held_out_least"), 0.05),
        **dict.fromkeys(("train_most", "held_out_most"), 0.05),
        **dict.fromkeys(("train_right", "held_out_right"), 0.04),
        **dict.fromkeys(("train_dpo_loss", "held_out_dpo_loss"), 0.005),
    },
)


def few_pairs(seed: int) -> tuple[list[dict], list[dict]]:
    """Pairs whose label is the true order; some train, some decide when to stop."""
    rows = world.make_pairs(TRAIN + HELD_OUT, world.true_order, seed=3000 + seed)
    return rows[:TRAIN], rows[TRAIN:]


def looks_at(
    rows: list[dict],
    held_out: list[dict],
    prompts: list[str],
    loss: str,
    strength: float,
    rate: float,
    seed: int,
) -> dict:
    """Train on the rows, and measure the policy after each of the LOOKS."""
    policy, tokenizer = load_model("tiny")
    sets = {"train": rows, "held_out": held_out}
    look, looks = watch(policy, tokenizer, sets, prompts, strength, seed, LOOKS)
    options = {"dpo": "", "cdpo": f"label_smoothing={SMOOTHING}", "ipo": f"tau={strength}"}[loss]
    settings = {"loss": loss, "beta": strength, "loss_options": options, "steps": STEPS}
    config = TrainConfig(**PRESETS["tiny"] | settings | {"learning_rate": rate, "seed": seed})
    train(policy, tokenizer, rows, config, on_step=look, progress=False)
    return {"looks": looks}


def watch(
    policy: nn.Module,
    tokenizer,
    sets: dict[str, list[dict]],
    prompts: list[str],
    strength: float,
    seed: int,
    steps: tuple[int, ...],
) -> tuple[Callable[[int, dict], None], list[dict]]:
    """(what `train` is to call, what it found): each set's pairs and own samples at these steps."""
    reference, pad, looks = frozen_copy(policy), pad_id(tokenizer), []
    pairs = {name: encode_rows(tokenizer, part)[0] for name, part in sets.items()}
    before = {name: score_pairs(Scorer(reference), part, pad) for name, part in pairs.items()}

    def look(step: int, row: dict) -> None:
        if step not in steps:
            return
        found = {"step": step}
        for name, part in pairs.items():
            rho = score_pairs(Scorer(policy), part, pad) - before[name]
            found |= {f"{name}_{key}": x for key, x in of_pairs(rho, strength).items()}
        looks.append(found | of_samples(policy, reference, tokenizer, prompts, 1000 * seed + step))

    return look, looks


def of_pairs(rho: Tensor, strength: float) -> dict[str, float]:
    """Log-ratio differences of pairs, from log-ratios (N, 2), and DPO's loss on them."""
    rho = rho.double()
    delta = rho[:, 0] - rho[:, 1]
    return {
        "delta": float(delta.mean()),
        "least": float(delta.min()),
        "most": float(delta.max()),
        "right": float((delta > 0).double().mean()),
        "dpo_loss": float(np.logaddexp(0, -strength * delta.numpy()).mean()),
    }


def of_samples(
    policy: nn.Module, reference: nn.Module, tokenizer, prompts: list[str], seed: int
) -> dict[str, float]:
    """True reward, KL and the share that the grammar can write, of 1,008 samples."""
    asked = [prompts[i % len(prompts)] for i in range(1008)]
    drawn = sample(policy, tokenizer, asked, seed=seed, stream="batch")
    rho = log_ratios(policy, reference, [s.example for s in drawn], pad_id(tokenizer))
    written = [world.REVIEWS.is_grammatical(s.prompt, s.text) for s in drawn]
    return {
        "true_reward": float(np.mean([world.reward(s.prompt, s.text) for s in drawn])),
        "kl": float(rho.mean()),
        "grammatical": float(np.mean(written)),
    }


@study.points(
    [
        {"loss": loss, "strength": 0.3, "seed": 99, "learning_rate": rate}
        for loss in LOSSES
        for rate in RATES
    ]
)
def tune(loss: str, strength: float, seed: int, learning_rate: float) -> dict:
    """A run that is measured on prompts held out for this, which it does not train on."""
    rows, held_out = few_pairs(seed)
    rows = [row for row in rows if row["prompt"] not in VALIDATION]
    return looks_at(rows, held_out, VALIDATION, loss, strength, learning_rate, seed)


@cache
def best_rate(loss: str) -> float:
    """The rate whose best look has the largest true reward less 0.6 KL."""
    worth = lambda look: look["true_reward"] - 0.6 * look["kl"]
    best_look = lambda point: max(worth(look) for look in point["result"]["looks"])
    tuned = study.record().select(loss=loss, seed=99)
    return max(tuned, key=best_look)["point"]["learning_rate"]


def at_all_seeds(settings: Sequence[tuple[str, float]]) -> list[dict]:
    """Points of these losses and strengths, seed by seed."""
    return [
        {"loss": loss, "strength": strength, "seed": seed}
        for seed in range(8)
        for loss, strength in settings
    ]


@study.points([point | {"between": True} for point in at_all_seeds(BETWEEN)])
@study.points(at_all_seeds(MORE))
@study.points(at_all_seeds([*product(LOSSES, STRENGTHS)]))
def run(loss: str, strength: float, seed: int, between: bool = False) -> dict:
    """A run at its loss's best learning rate; `between` keeps it out of the first grid."""
    rows, held_out = few_pairs(seed)
    return looks_at(rows, held_out, world.prompts("test"), loss, strength, best_rate(loss), seed)


if __name__ == "__main__":
    study.main()
