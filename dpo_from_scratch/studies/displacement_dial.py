"""Chapter 09's dial: learning rate and beta against displacement, three seeds, short runs.

Pairs that differ in one adjective, three betas, three learning rates. Ten minutes on one core.
"""

from functools import cache

from torch import nn

from .. import world
from ..doctor import hooks
from ..lab.evaluation import quality
from ..lab.studies import Study
from ..models import frozen_copy, load_model, pad_id
from ..tokens import encode_rows
from .displacement import unseen_scores
from .reading_curves import pairs_of

STEPS, BATCH, LOOKS = 64, 16, (16, 32, 64)
PAIRS, SAMPLED = 64, 126  # unseen pairs, and samples at a look
BETAS, RATES = (0.2, 0.6, 2.0), (1.25e-4, 5e-4, 1e-3)
KIND = "one adjective differs"

study = Study(
    __file__,
    "Displacement at three betas and three learning rates",
    # shares that are near 0 or 1 at all seeds
    tolerances={"chosen_fell": 0.06, "ordered": 0.04, "ranked": 0.04},
)


@cache
def rows_of(seed: int) -> tuple[list[dict], list[dict]]:
    """Pairs to train on, and others."""
    return pairs_of(KIND, 5000 + seed, STEPS * BATCH), pairs_of(KIND, 6000 + seed, PAIRS)


@study.points(
    [
        {"learning_rate": rate, "beta": beta, "seed": seed}
        for rate in RATES
        for beta in BETAS
        for seed in range(3)
    ]
)
def dial(learning_rate: float, beta: float, seed: int) -> dict:
    """Log-ratios of unseen pairs, KL and true reward after the last step and on the way."""
    rows, held_out = rows_of(seed)
    given = {
        "BATCH = 32": f"BATCH = {BATCH}",
        "BETA = 0.6": f"BETA = {beta}",
        "LEARNING_RATE = 5e-4": f"LEARNING_RATE = {learning_rate}",
    }
    script = hooks.load_script("plain_loop.py", None, list(given.items()))
    policy, tokenizer = load_model("tiny")
    reference, told = frozen_copy(policy), []
    examples, pad = encode_rows(tokenizer, held_out)[0], pad_id(tokenizer)

    def look(step: int, policy: nn.Module) -> None:
        if step in LOOKS:
            found = unseen_scores(policy, reference, examples, pad)
            asked = world.prompts("test")
            found |= quality(policy, reference, tokenizer, asked, SAMPLED, seed)
            told.append({key: round(value, 4) for key, value in found.items()})

    script["train"](policy, tokenizer, rows, STEPS, seed, look)
    return told[-1] | {"steps": list(LOOKS), "told": told}


if __name__ == "__main__":
    study.main()
