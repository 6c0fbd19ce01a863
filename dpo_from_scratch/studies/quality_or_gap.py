"""Chapter 15: what pairs teach, by the reward of the chosen text and by the gap; five seeds.

arXiv 2508.18312 says the first decides, 2507.06187 that a gap teaches between weak texts too. Here
both are set, and all labels are right. Forty minutes on one core.
"""

from functools import cache

import numpy as np

from .. import world
from ..lab.studies import Study, train_tiny

PAIRS, STEPS, POOL, NEAR = 1024, 128, 40_000, 0.25
QUALITIES = (-1.0, 0.5, 2.0, 3.0)  # true reward of the chosen texts, each within NEAR
GAPS = (0.5, 1.5, 3.0)
BETAS = (0.2, 0.6, 1.8)

study = Study(__file__, "Quality of the chosen text, or the gap")


@cache
def pool(seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """prompt -> (true rewards, texts) of the grammar's samples, without repetitions."""
    found: dict[str, dict[str, float]] = {}
    for row in world.make_texts(POOL, split="train", seed=7000 + seed):
        reward = world.reward(row["prompt"], row["completion"])
        found.setdefault(row["prompt"], {})[row["completion"]] = reward
    return {
        prompt: (np.array(list(texts.values())), np.array(list(texts)))
        for prompt, texts in sorted(found.items())
    }


def pairs(quality: float, gap: float, seed: int) -> list[dict]:
    """Pairs whose chosen text has this true reward, and the rejected one `gap` less."""
    rng, texts, rows = np.random.default_rng(seed), pool(seed), []
    prompts = list(texts)
    while len(rows) < PAIRS:
        prompt = prompts[rng.integers(len(prompts))]
        rewards, words = texts[prompt]
        near = [np.flatnonzero(abs(rewards - at) <= NEAR) for at in (quality, quality - gap)]
        if all(map(len, near)):
            chosen, rejected = (rng.choice(places) for places in near)
            if rewards[chosen] > rewards[rejected]:
                sides = {"chosen": str(words[chosen]), "rejected": str(words[rejected])}
                rows.append({"prompt": prompt} | sides)
    return rows


def told(rows: list[dict]) -> dict[str, float]:
    """What the rows are like: mean true reward of the chosen, mean gap, distinct chosen texts."""
    chosen, rejected = (
        np.array([world.reward(row["prompt"], row[side]) for row in rows])
        for side in ("chosen", "rejected")
    )
    distinct = len({(row["prompt"], row["chosen"]) for row in rows})
    return {
        "chosen_found": float(chosen.mean()),
        "gap_found": float((chosen - rejected).mean()),
        "distinct": distinct,
    }


@study.points(
    [
        {"quality": quality, "gap": gap, "beta": beta, "seed": seed}
        for seed in range(5)
        for beta in BETAS
        for quality in QUALITIES
        for gap in GAPS
    ]
)
def run(quality: float, gap: float, beta: float, seed: int) -> dict:
    """DPO on such pairs, at the review world's learning rate: what the policy is worth."""
    rows = pairs(quality, gap, seed)
    found = train_tiny(rows, beta=beta, steps=STEPS, seed=seed)
    return told(rows) | found.quality(world.prompts("test"), seed=seed)


@study.points(
    [
        {"loss": "sft", "quality": quality, "seed": seed}
        for seed in range(5)
        for quality in QUALITIES
    ]
)
def imitate(loss: str, quality: float, seed: int) -> dict:
    """Fine-tuning on the chosen texts alone, as many steps."""
    rows = [
        {"prompt": row["prompt"], "completion": row["chosen"]} for row in pairs(quality, 1.5, seed)
    ]
    found = train_tiny(rows, loss=loss, steps=STEPS, seed=seed)
    return found.quality(world.prompts("test"), seed=seed)


if __name__ == "__main__":
    study.main()
