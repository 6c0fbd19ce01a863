"""Chapter 12's dial: how sure the labels are, and beta, against the size of the margins.

The pairs, steps and rate of `too_sure`'s DPO, whose labels are the case of certainty 1; three
seeds. Twelve minutes on one core.
"""

from torch import nn

from .. import world
from ..lab.studies import Study
from ..models import Scorer, frozen_copy, load_model, pad_id
from ..scoring import score_pairs
from ..tokens import encode_rows
from ..training import PRESETS, TrainConfig, train
from .too_sure import LOOKS, STEPS, few_pairs, of_samples

CERTAINTIES = (0.75, 0.9, 0.99)  # of choosing the better response; 1 is in too_sure
BETAS, RATE, SEEDS = (0.1, 0.3, 1.0, 3.0), 1e-3, 3

study = Study(__file__, "The labels' certainty and beta")


@study.points(
    [
        {"certainty": certainty, "beta": beta, "seed": seed}
        for seed in range(SEEDS)
        for certainty in CERTAINTIES
        for beta in BETAS
    ]
)
def run(certainty: float, beta: float, seed: int) -> dict:
    """Mean delta of the training pairs at the LOOKS; true reward and KL of samples at the end."""
    rows = [row | {"probability": certainty} for row in few_pairs(seed)[0]]
    policy, tokenizer = load_model("tiny")
    reference, pad, told = frozen_copy(policy), pad_id(tokenizer), []
    pairs = encode_rows(tokenizer, rows)[0]
    before = score_pairs(Scorer(reference), pairs, pad)

    def look(step: int, row: dict) -> None:
        if step in LOOKS:
            rho = (score_pairs(Scorer(policy), pairs, pad) - before).double()
            told.append(float((rho[:, 0] - rho[:, 1]).mean()))

    settings = {"loss": "dno", "beta": beta, "steps": STEPS, "learning_rate": RATE, "seed": seed}
    config = TrainConfig(**PRESETS["tiny"] | settings)
    train(policy, tokenizer, rows, config, on_step=look, progress=False)
    return at_the_end(policy, reference, tokenizer, seed) | {"train_delta": told}


def at_the_end(policy: nn.Module, reference: nn.Module, tokenizer, seed: int) -> dict[str, float]:
    """True reward and KL of samples on the test prompts, with `too_sure`'s seeds."""
    return of_samples(policy, reference, tokenizer, world.prompts("test"), 1000 * seed + STEPS)


if __name__ == "__main__":
    study.main()
