"""Chapter 17: a panel that goes in circles; offline and iterated DPO, DNO, with and without an anchor. An hour on one core."""

from functools import cache

import numpy as np

from dpo_from_scratch import exact, world
from dpo_from_scratch.evaluation import log_ratios
from dpo_from_scratch.models import frozen_copy, load_model, pad_id
from dpo_from_scratch.online import in_rounds, winning_pairs
from dpo_from_scratch.records import load_record, run_study
from dpo_from_scratch.sampling import sample
from dpo_from_scratch.training import PRESETS, TrainConfig

LABELS, STEPS, ROUNDS, BETAS, RATES = 4096, 128, 8, (0.3, 1.0, 3.0), (5e-4, 1e-3)
OPENINGS = (*world.TYPES, "malformed")
EXAMPLES = ("the plot was good .", "the plot was dull .", "it was my second time .", "plot the .")
ARMS = {  # rounds, samples for each prompt, does the reference move
    "DPO": {"rounds": 1, "k": 2, "moving": False},
    "iterated DPO": {"rounds": ROUNDS, "k": 2, "moving": False},
    "iterated DPO, moving reference": {"rounds": ROUNDS, "k": 2, "moving": True},
    "DNO": {"rounds": ROUNDS, "k": 5, "moving": True},
    "DNO, fixed reference": {"rounds": ROUNDS, "k": 5, "moving": False},
}
WIDER = (8.0, 24.0)  # more betas for a reference that moves
PRESSED = {"beta": 0.3, "rate": 1e-3}  # the corner of the grid where a policy goes farthest
VALIDATION = world.prompts("train")[::5]  # for choosing beta and learning rate; nobody trains on these then


def game() -> np.ndarray:
    """P[i, j]: how often the panel prefers a reply that opens in the i-th way to one that opens in the j-th, (4, 4)."""
    return np.array([[world.panel("film : how was the plot ?", a, b) for b in EXAMPLES] for a in EXAMPLES])


def openings(drawn: list) -> np.ndarray:
    """Shares of the four ways in which samples open, (4,)."""
    return np.array([np.mean([world.opening(s.prompt, s.text) == kind for s in drawn]) for kind in OPENINGS])


def trained(arm: str, beta: float, rate: float, asked: list[str], watched: list[str], seed: int):
    """(policy, the model that everything began with, tokenizer, openings after each round, (rounds, 4), pairs used)."""
    how, (policy, tokenizer) = ARMS[arm], load_model("tiny")
    reference, rng, seen, used = frozen_copy(policy), np.random.default_rng(seed), [], []
    labels_a_prompt = how["k"] * (how["k"] - 1) // 2
    config = TrainConfig(**PRESETS["tiny"] | {"beta": beta, "learning_rate": rate, "steps": STEPS, "seed": seed})

    def look() -> None:
        seen.append(openings(sample(policy, tokenizer, [watched[i % len(watched)] for i in range(504)], seed=seed + len(seen))))

    def rows_of(r: int) -> list[dict]:
        if r:
            look()
        some = [asked[i] for i in rng.integers(len(asked), size=LABELS // how["rounds"] // labels_a_prompt)]
        rows = winning_pairs(policy, tokenizer, some, world.panel, how["k"], 1.0 if how["k"] == 2 else 0.5, 100 * seed + r)
        used.append(len(rows))
        return rows

    in_rounds(policy, tokenizer, how["rounds"], rows_of, config, how["moving"], progress=False)
    look()
    return policy, reference, tokenizer, np.array(seen), used


def measure(seen: np.ndarray) -> dict:
    """Exploitability of the last policy, of the average over all rounds, and of each round's policy."""
    each = [exact.exploitability(p, game()) for p in seen]
    return {"last": each[-1], "average": exact.exploitability(seen.mean(0), game()), "rounds": each, "openings": seen.tolist()}


@cache
def best(arm: str) -> dict:
    """The beta and the learning rate whose last policy is least exploitable, on prompts held out for this."""
    found = [p for p in load_record("circles")["points"] if p["point"]["arm"] == arm and "seed" not in p["point"]]
    point = min(found, key=lambda p: p["result"]["last"])["point"]
    return {"beta": point["beta"], "rate": point["learning_rate"]}


def run(point: dict) -> dict:
    arm = point["arm"]
    if "seed" not in point:
        asked = [p for p in world.prompts("train") if p not in VALIDATION]
        *_, seen, used = trained(arm, point["beta"], point["learning_rate"], asked, VALIDATION, 99)
        return measure(seen) | {"pairs": used}
    chosen, seed = PRESSED if point.get("pressed") else best(arm), point["seed"]
    policy, reference, tokenizer, seen, used = trained(arm, **chosen, asked=world.prompts("train"),
                                                       watched=world.prompts("test"), seed=seed)  # fmt: skip
    drawn = sample(policy, tokenizer, [world.prompts("test")[i % 12] for i in range(1008)], seed=seed)
    kl = float(log_ratios(policy, reference, [s.example for s in drawn], pad_id(tokenizer)).mean())
    return measure(np.vstack([seen[:-1], openings(drawn)])) | {"kl": kl, "pairs": used} | chosen


if __name__ == "__main__":
    points = [{"arm": arm, "beta": beta, "learning_rate": rate} for arm in ARMS for beta in BETAS for rate in RATES]
    points += [{"arm": arm, "beta": beta, "learning_rate": rate}  # eight rounds that move go up to eight times as far
               for arm, how in ARMS.items() if how["moving"] for beta in WIDER for rate in RATES]  # fmt: skip
    points += [{"arm": arm, "seed": seed} for seed in range(5) for arm in ARMS]
    points += [{"arm": arm, "pressed": True, "seed": seed} for seed in range(5) for arm in ARMS]
    print(run_study(__file__, "Preferences that go in circles", points, run))
