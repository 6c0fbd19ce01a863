"""Chapter 17: a panel that goes in circles; offline and iterated DPO, and DNO.

With and without an anchor, five seeds; and the round that held-out prompts choose. An hour and a
quarter on one core.
"""

from functools import cache

import numpy as np
from torch import nn

from .. import exact, world
from ..lab.studies import VALIDATION, Study
from ..models import frozen_copy, load_model, pad_id
from ..rounds import in_rounds, winning_pairs
from ..sampling import Sample, sample
from ..scoring import log_ratios
from ..training import PRESETS, TrainConfig

LABELS, STEPS, ROUNDS, REPLIES = 4096, 128, 8, 504
ASKED = [prompt for prompt in world.prompts("train") if prompt not in VALIDATION]
BETAS = (0.3, 1.0, 3.0)
WIDER = (8.0, 24.0)  # for a reference that moves: eight rounds go up to eight times as far
RATES = (5e-4, 1e-3)
PRESSED = {"beta": 0.3, "rate": 1e-3}  # the least β of the grid, at the higher rate
OPENINGS = (*world.TYPES, "malformed")
EXAMPLES = ("the plot was good .", "the plot was dull .", "it was my second time .", "plot the .")
ARMS = {  # rounds, samples for each prompt, does the reference move
    "DPO": {"rounds": 1, "k": 2, "moving": False},
    "iterated DPO": {"rounds": ROUNDS, "k": 2, "moving": False},
    "iterated DPO, moving reference": {"rounds": ROUNDS, "k": 2, "moving": True},
    "DNO": {"rounds": ROUNDS, "k": 5, "moving": True},
    "DNO, fixed reference": {"rounds": ROUNDS, "k": 5, "moving": False},
}
CHOOSING = ("DNO", "iterated DPO, moving reference")  # those that run away where they are pressed

study = Study(
    __file__,
    "Preferences that go in circles",
    tolerances={  # where there is one seed
        "last": 0.06,
        "average": 0.06,
        "rounds": 0.06,
        "held_out": 0.06,
        "test": 0.06,
        "on_test": 0.06,
        "chosen": ROUNDS,  # of two rounds that are near, either may be the lower
        "openings": 0.02,  # its last number, the malformed share: three standard errors of 504
        "pairs": 60,  # about the largest spread over seeds
    },
)


def game() -> np.ndarray:
    """P[i, j]: how often the panel prefers the i-th way to open a reply to the j-th, (4, 4)."""
    prompt = "film : how was the plot ?"
    return np.array([[world.panel(prompt, a, b) for b in EXAMPLES] for a in EXAMPLES])


def openings(drawn: list[Sample]) -> np.ndarray:
    """Shares of the four ways in which samples open, (4,)."""
    kinds = [world.opening(s.prompt, s.text) for s in drawn]
    return np.array([np.mean([kind == opening for kind in kinds]) for opening in OPENINGS])


def look(policy: nn.Module, tokenizer, watched: list[list[str]], seed: int) -> np.ndarray:
    """Openings of 504 replies to each set of prompts, (sets, 4); each set has draws of its own."""
    asked = [[prompts[i % len(prompts)] for i in range(REPLIES)] for prompts in watched]
    drawn = [
        sample(policy, tokenizer, prompts, seed=seed + 1000 * i, stream="batch")
        for i, prompts in enumerate(asked)
    ]
    return np.array([openings(samples) for samples in drawn])


def trained(
    arm: str, beta: float, rate: float, asked: list[str], watched: list[list[str]], seed: int
) -> tuple[nn.Module, nn.Module, object, np.ndarray, list[int]]:
    """(policy, the model that everything began with, tokenizer, openings, pairs used).

    Openings after each round, (sets, rounds, 4), and the pairs of each. Training asks the prompts
    `asked`, the openings are of replies to each set of `watched`.
    """
    how, (policy, tokenizer) = ARMS[arm], load_model("tiny")
    reference, rng, seen, used = frozen_copy(policy), np.random.default_rng(seed), [], []
    k, rounds, margin = how["k"], how["rounds"], 1.0 if how["k"] == 2 else 0.5
    size = LABELS // rounds // (k * (k - 1) // 2)  # prompts a round
    settings = {"beta": beta, "learning_rate": rate, "steps": STEPS, "seed": seed}
    config = TrainConfig(**PRESETS["tiny"] | settings)

    def rows_of(r: int) -> list[dict]:
        if r:
            seen.append(look(policy, tokenizer, watched, seed + r - 1))
        some = [asked[i] for i in rng.integers(len(asked), size=size)]
        rows = winning_pairs(
            policy, tokenizer, some, world.panel, k, margin, 100 * seed + r, stream="batch"
        )
        used.append(len(rows))
        return rows

    in_rounds(policy, tokenizer, rounds, rows_of, config, how["moving"], progress=False)
    seen.append(look(policy, tokenizer, watched, seed + rounds - 1))
    return policy, reference, tokenizer, np.array(seen).swapaxes(0, 1), used


def measure(seen: np.ndarray) -> dict:
    """Exploitability of the last policy, of the average over all rounds, and of each round's."""
    each = [exact.exploitability(p, game()) for p in seen]
    average = exact.exploitability(seen.mean(0), game())
    return {"last": each[-1], "average": average, "rounds": each, "openings": seen.tolist()}


@study.points(
    [
        {"arm": arm, "beta": beta, "learning_rate": rate}
        for arm, how in ARMS.items()
        for beta in (*BETAS, *(WIDER if how["moving"] else ()))
        for rate in RATES
    ]
)
def tune(arm: str, beta: float, learning_rate: float) -> dict:
    """How a run ends on prompts held out for this."""
    *_, (seen,), used = trained(arm, beta, learning_rate, ASKED, [VALIDATION], 99)
    return measure(seen) | {"pairs": used}


@cache
def best(arm: str) -> dict:
    """The beta and the learning rate whose last policy is least exploitable."""
    tuned = study.record().select(arm=arm, seed=None)
    point = min(tuned, key=lambda p: p["result"]["last"])["point"]
    return {"beta": point["beta"], "rate": point["learning_rate"]}


@study.points(
    [{"arm": arm, "seed": seed} for seed in range(5) for arm in ARMS]
    + [{"arm": arm, "pressed": True, "seed": seed} for seed in range(5) for arm in ARMS]
)
def run(arm: str, seed: int, pressed: bool = False) -> dict:
    """How a run ends at the arm's best setting, or where it is pressed hardest."""
    chosen, asked = PRESSED if pressed else best(arm), world.prompts("test")
    policy, reference, tokenizer, (seen,), used = trained(
        arm, **chosen, asked=world.prompts("train"), watched=[asked], seed=seed
    )
    drawn = sample(
        policy, tokenizer, [asked[i % len(asked)] for i in range(1008)], seed=seed, stream="batch"
    )
    rho = log_ratios(policy, reference, [s.example for s in drawn], pad_id(tokenizer))
    ended = measure(np.vstack([seen[:-1], openings(drawn)]))
    return ended | {"kl": float(rho.mean()), "pairs": used} | chosen


@study.points(
    [{"arm": arm, "held_out": True, "seed": seed} for arm in CHOOSING for seed in range(5)]
    + [
        {"arm": arm, "held_out": True, "pressed": True, "seed": seed}
        for arm in CHOOSING
        for seed in range(5)
    ]
)
def choose(arm: str, held_out: bool, seed: int, pressed: bool = False) -> dict:
    """The round that held-out prompts choose, and what test prompts say of it; 0: the first model.

    Told before the first run: a choice is worth something if the last round's exploitability on
    test prompts less that of the round chosen after training has a 95 % interval above zero, and
    training is, if the first model's less that of the same round has one.
    """
    setting, watched = PRESSED if pressed else best(arm), [VALIDATION, world.prompts("test")]
    _, first, tokenizer, seen, used = trained(
        arm, **setting, asked=ASKED, watched=watched, seed=seed
    )
    begun = look(first, tokenizer, watched, seed + ROUNDS)
    seen = np.concatenate([begun[:, None], seen], axis=1)  # (2, rounds + 1, 4)
    chooses, test = ([exact.exploitability(p, game()) for p in shares] for shares in seen)
    rounds = {"of_all": int(np.argmin(chooses)), "trained": 1 + int(np.argmin(chooses[1:]))}
    scores = {name: test[r] for name, r in rounds.items()} | {"first": test[0], "last": test[-1]}
    result = {"held_out": chooses, "test": test, "chosen": rounds, "on_test": scores}
    return result | {"openings": seen.tolist(), "pairs": used} | setting


if __name__ == "__main__":
    study.main()
