"""Chapter 15: DPO and chi-squared PO on pairs of the grammar and of another author; five seeds.

arXiv 2407.13399 says that a chi-squared penalty beside the KL keeps a policy from going too far
where the pairs cover its optimum badly. Half an hour on one core.
"""

from functools import cache

import numpy as np

from .. import world
from ..lab.studies import VALIDATION, Study, Trained, train_tiny
from ..models import pad_id
from ..sampling import sample
from ..scoring import log_ratios

PAIRS, STEPS = 1024, 128
RATES = (2.5e-4, 5e-4, 1e-3)
BETAS = {  # the third of each has its exact optimum at 2.8 nats
    "dpo": (0.1, 0.25, 0.6, 1.5),
    "chi_po": (0.004, 0.015, 0.05, 0.2),
}
# chi-squared PO's best beta was the last of its grid, here the smallest and there the largest
BEYOND = {"the grammar": 0.001, "another author": 0.8}
BELOW = {"another author": RATES[0] / 2}  # the rate below its grid at which it was better there
AUTHORS = {"the grammar": world.REVIEWS, "another author": world.World(world.GLOOMY)}

PROMPTS = world.prompts("test")

study = Study(
    __file__,
    "A chi-squared penalty beside the KL",
    tolerances={"true_reward": 0.15, "kl": 0.15, "objective": 0.15},  # where there is one seed
)


def trained(author: str, loss: str, beta: float, rate: float, seed: int, tuning: bool) -> Trained:
    """A run on one author's pairs."""
    rows = world.make_pairs(PAIRS, world=AUTHORS[author], seed=9000 + seed)
    rows = [row for row in rows if not tuning or row["prompt"] not in VALIDATION]
    return train_tiny(rows, loss=loss, beta=beta, learning_rate=rate, steps=STEPS, seed=seed)


@study.points(
    [
        {"author": author, "loss": loss, "learning_rate": rate}
        for author in AUTHORS
        for loss in BETAS
        for rate in RATES
    ]
)
def tune(author: str, loss: str, learning_rate: float) -> dict:
    """True reward less 0.6 KL on prompts held out for this, at the loss's third beta."""
    found = trained(author, loss, BETAS[loss][2], learning_rate, 99, True)
    return found.quality(VALIDATION, seed=99)


@study.points([{"author": author, "loss": "chi_po", "beyond": RATES[0] / 2} for author in AUTHORS])
def tune_beyond(author: str, loss: str, beyond: float) -> dict:
    """The same at half the smallest rate of the grid; `best_rate` does not look at it."""
    return tune(author, loss, beyond)


@cache
def best_rate(author: str, loss: str) -> float:
    """The learning rate that the tuning chose."""
    return study.record().best("learning_rate", author=author, loss=loss)


@study.points(
    [
        {"author": author, "loss": loss, "beta": beta, "seed": seed}
        for seed in range(5)
        for author in AUTHORS
        for loss, betas in BETAS.items()
        for beta in betas
    ]
    + [
        {"author": author, "loss": "chi_po", "beta": beta, "seed": seed}
        for author, beta in BEYOND.items()
        for seed in range(5)
    ]
    + [
        {"author": author, "loss": "dpo", "beta": beta, "seed": seed, "learning_rate": RATES[0]}
        for seed in range(5)
        for author in AUTHORS
        for beta in BETAS["dpo"][:3]  # at the fourth it would hardly leave the reference
    ]
    + [
        {"author": author, "loss": "chi_po", "beta": beta, "seed": seed, "learning_rate": rate}
        for author, rate in BELOW.items()
        for seed in range(5)
        for beta in BETAS["chi_po"]
    ]
)
def run(author: str, loss: str, beta: float, seed: int, learning_rate: float | None = None) -> dict:
    """True reward, KL, and log(1 + chi-squared): the log of the mean ratio over 1,008 samples.

    The learning rate is the loss's best unless one is given: DPO also at that of chi-squared PO,
    which itself also has half of it.
    Few samples decide the last one: it is a hint, no measurement, where it is above 5.
    """
    rate = learning_rate or best_rate(author, loss)
    found = trained(author, loss, beta, rate, seed, False)
    asked = [PROMPTS[i % len(PROMPTS)] for i in range(1008)]
    drawn = sample(found.policy, found.tokenizer, asked, seed=seed, stream="batch")
    texts = [s.example for s in drawn]
    rho = log_ratios(found.policy, found.reference, texts, pad_id(found.tokenizer))
    fine = [world.REVIEWS.is_grammatical(s.prompt, s.text) for s in drawn]
    return {
        "true_reward": float(np.mean([world.reward(s.prompt, s.text) for s in drawn])),
        "kl": float(rho.mean()),
        "log_chi": float(np.logaddexp.reduce(rho) - np.log(len(rho))),
        "farthest": float(rho.max()),
        "grammatical": float(np.mean(fine)),
    }


if __name__ == "__main__":
    study.main()
