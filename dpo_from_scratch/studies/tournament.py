"""Chapter 18: every loss on five problems, one budget of steps and of tuning; four to five hours.

A loss gets six trials on each problem: three strengths by two values of its own option, or of the
learning rate where it has none. They are judged on prompts that nothing else uses. Then five seeds
at the best of them. Last, fifteen new seeds for DPO and the four best of the problem NAMED, which
was written down before the first run: only these enter the test. One problem after the other.

Left out: dno and soft_dpo, which are DPO where a row has no probability; sft; and what needs a
judge or samples while it trains (iterated DPO, DNO with samples, PPO), which chapters 08, 15 and 17
count in judge's calls.
"""

import random
from functools import cache

import numpy as np

from .. import world
from ..data import split_pairs
from ..lab.evaluation import FARTHEST
from ..lab.studies import VALIDATION, Study, Trained, train_tiny
from ..losses import LOSSES
from ..models import frozen_copy, load_model
from ..rounds import in_rounds
from ..training import PRESETS, TrainConfig

PAIRS, FEW, STEPS, BATCH, PARTS = 1024, 96, 128, 32, 3
NAMED, BEST, SEEDS, NEW = "clean", 4, range(5), range(100, 115)
PROMPTS = [prompt for prompt in world.prompts("train") if prompt not in VALIDATION]
GLOOMY = world.World(world.GLOOMY)
PROBLEMS = {  # pairs, who labels, who writes
    "clean": (PAIRS, world.bradley_terry, world.REVIEWS),
    "wrong labels": (PAIRS, world.flipped(0.2), world.REVIEWS),
    "few pairs": (FEW, world.bradley_terry, world.REVIEWS),
    "another author": (PAIRS, world.bradley_terry, GLOOMY),
    "likes length": (PAIRS, world.length_biased(), world.REVIEWS),
}
LIKE_DPO, RATES = (0.2, 0.6, 1.8), (5e-4, 1e-3)
SMALL = (1.25e-4, 2.5e-4)  # without a reference larger rates wreck a policy
GRIDS = {  # strengths; the option beside them, and its values
    **dict.fromkeys(("dpo", "hinge", "exo", "nca", "apo_zero"), (LIKE_DPO, "rate", RATES)),
    **dict.fromkeys(("apo_down", "bco_pair", "aot", "kto", "bco"), (LIKE_DPO, "rate", RATES)),
    "sdpo": ((0.6, 1.8, 5.4), "rate", RATES),
    "ipo": ((0.05, 0.15, 0.45), "rate", RATES),
    "sppo": ((0.1, 0.3, 0.9), "rate", RATES),
    "chi_po": ((0.0125, 0.05, 0.2), "rate", RATES),
    "length_normalized_dpo": ((4.0, 12.0, 36.0), "rate", RATES),
    "cdpo": (LIKE_DPO, "label_smoothing", (0.1, 0.2)),
    "robust_dpo": (LIKE_DPO, "label_smoothing", (0.1, 0.2)),
    "r_dpo": (LIKE_DPO, "alpha", (0.05, 0.15)),
    "f_dpo": (LIKE_DPO, "divergence", ("js", "forward_kl")),
    "dpop": (LIKE_DPO, "penalty", (5.0, 50.0)),
    "discopop": (LIKE_DPO, "tau", (0.05, 0.2)),
    "simpo": ((6.0, 12.0, 24.0), "gamma", (0.0, 1.0)),
    "orpo": ((1.0, 4.0, 16.0), "rate", SMALL),
    "cpo": ((0.3, 0.6, 1.2), "rate", SMALL),
}
METHODS = tuple(name for name in [*LOSSES, "sdpo"] if name in GRIDS)
NO_BETA = {"ipo": "tau", "orpo": "weight"}  # what their strength is called

study = Study(
    __file__,
    "The tournament",
    tolerances=dict.fromkeys(("true_reward", "kl", "objective", "below", "length"), 0.2),
)


def trials(method: str) -> list[dict]:
    """The six settings of a method."""
    strengths, name, values = GRIDS[method]
    return [{"strength": s, name: value} for s in strengths for value in values]


def settings(method: str, trial: dict) -> dict:
    """What `TrainConfig` calls a trial."""
    loss, options = "dpo" if method == "sdpo" else method, dict(trial)
    strength = options.pop("strength")
    rate = options.pop("rate", SMALL[1] if method == "simpo" else RATES[0])
    found = {"loss": loss, "learning_rate": rate, "steps": STEPS}
    found |= {} if loss in NO_BETA else {"beta": strength}
    options |= {NO_BETA[loss]: strength} if loss in NO_BETA else {}
    return found | {"loss_options": ",".join(f"{k}={v}" for k, v in options.items())}


@cache
def pairs(problem: str, seed: int) -> tuple[dict, ...]:
    """The pairs of a problem, on prompts that are neither for choosing settings nor for judging."""
    n, labeller, author = PROBLEMS[problem]
    rows = world.make_pairs(2 * n, labeller, author, seed=11_000 + seed)
    return tuple([row for row in rows if row["prompt"] in PROMPTS][:n])


def trained(problem: str, method: str, trial: dict, seed: int) -> Trained:
    """A run of a method. All see as many responses a step."""
    rows, how = list(pairs(problem, seed)), settings(method, trial) | {"seed": seed}
    if method == "sdpo":
        return in_parts(rows, how)
    if LOSSES[how["loss"]].needs == "labels":
        return train_tiny(split_pairs(rows), batch_size=2 * BATCH, **how)
    return train_tiny(rows, batch_size=BATCH, **how)


def in_parts(rows: list[dict], how: dict) -> Trained:
    """sDPO: parts drawn at random, the reference moves up after each."""
    policy, tokenizer = load_model("tiny")
    reference, size = frozen_copy(policy), -(-len(rows) // PARTS)
    random.Random(how["seed"]).shuffle(rows)
    config = TrainConfig(**PRESETS["tiny"] | how | {"steps": STEPS // PARTS * PARTS})
    part = lambda r: rows[r * size : (r + 1) * size]
    history = in_rounds(policy, tokenizer, PARTS, part, config, True, progress=False)
    return Trained(policy, reference, tokenizer, history)


def worth(found: Trained, prompts: list[str], seed: int) -> dict:
    """True reward, KL, reward less 0.6 KL, and how far below the exact frontier at its own KL."""
    figures = found.quality(prompts, seed=seed)
    best = world.REVIEWS.optimum_at_kl(float(np.clip(figures["kl"], 0.01, FARTHEST))).mean_reward
    return figures | {"below": best - figures["true_reward"]}


def tune(problem: str, method: str, trial: int) -> dict:
    """One trial of a method on a problem, judged on the prompts that are held out for it."""
    return worth(trained(problem, method, trials(method)[trial], 99), VALIDATION, 99)


@cache
def best_trial(problem: str, method: str) -> int:
    """The trial with the largest true reward less 0.6 KL."""
    return study.record().best("trial", problem=problem, method=method)


def run(problem: str, method: str, seed: int) -> dict:
    """A run at the method's best trial, judged on the test prompts."""
    trial = best_trial(problem, method)
    found = trained(problem, method, trials(method)[trial], seed)
    return {"trial": trial} | worth(found, world.prompts("test"), seed)


for problem in PROBLEMS:  # so that a record that is half made has whole problems
    here = {"problem": problem}
    study.points([here | {"method": m, "trial": i} for m in METHODS for i in range(6)])(tune)
    study.points([here | {"method": m, "seed": s} for s in SEEDS for m in METHODS])(run)


@cache
def finalists() -> tuple[str, ...]:
    """DPO, and the methods that were best on the problem NAMED over the first seeds."""
    record = study.record()
    mean = lambda m: float(np.mean(record.values("objective", problem=NAMED, method=m, trial=None)))
    others = sorted((m for m in METHODS if m != "dpo"), key=mean, reverse=True)
    return ("dpo", *others[:BEST])


@study.points([{"rank": rank, "new_seed": seed} for seed in NEW for rank in range(BEST + 1)])
def confirm(rank: int, new_seed: int) -> dict:
    """A finalist (0: DPO) on the problem NAMED, with a seed that chose nothing."""
    method = finalists()[rank]
    return {"method": method} | run(NAMED, method, new_seed)


if __name__ == "__main__":
    study.main()
