"""Chapter 07: what keeps DPO under its optimum, in the mini world, where all is enumerated. Half an hour on one core."""

from dataclasses import asdict, dataclass
from functools import cache

import numpy as np
from torch import nn

from dpo_from_scratch import exact, world
from dpo_from_scratch.models import Scorer, frozen_copy, load_model, new_tiny_model, pad_id
from dpo_from_scratch.records import run_study
from dpo_from_scratch.sampling import sample
from dpo_from_scratch.tokens import encode
from dpo_from_scratch.training import PRESETS, TrainConfig, score_examples, train

BETA = 0.6
PROMPTS = world.prompts("test")[::3]
SETTINGS = {
    "base": {},
    "four times the pairs": {"pairs": 8192},
    "four times the steps": {"steps": 1024},
    "four times the parameters": {"size": (3, 160)},
    "pairs sampled by the policy": {"rounds": 8},
    "pairs and steps": {"pairs": 8192, "steps": 1024},
    "all four": {"pairs": 8192, "steps": 1024, "size": (3, 160), "rounds": 8},
}


@cache
def reference(size: tuple[int, int]):
    """A model of the mini world's texts; each size has its own, and is measured against that one's own optimum."""
    model, tokenizer = load_model("tiny")
    steps = 800
    if size != (2, 96):
        model, steps = new_tiny_model(tokenizer, *size), 2400
    config = TrainConfig(**PRESETS["tiny-sft"] | {"steps": steps, "warmup": steps // 20, "learning_rate": 2e-3})
    train(model, tokenizer, world.make_texts(steps * config.batch_size, world.MINI, "train", seed=1), config, progress=False)
    return frozen_copy(model), tokenizer


@dataclass(frozen=True)
class MiniEvaluation:
    """A policy of the mini world, by enumeration: no sampling error. Means over prompts; both models renormalised to the list."""

    true_reward: float
    kl: float  # to the reference, nats per reply
    optimum: float  # true reward of the reference's own pi* whose KL is `kl`
    missed: float  # beta log Z - J = beta KL(policy || pi*), in units of reward: arXiv 2305.18290, appendix A.1
    reachable: float  # beta log Z - J(reference): what the whole way from the reference to pi* is worth
    outside: float  # probability that the policy gives to texts that are not in the list


def evaluate_mini(policy: nn.Module, reference: nn.Module, tokenizer, beta: float, prompts: list[str]) -> MiniEvaluation:
    """Score every reply of the mini world to each prompt, and compare the policy with the Gibbs optimum of *this* reference."""
    rows = []
    for prompt in prompts:
        replies = world.MINI.replies(prompt)
        examples, rewards = encode(tokenizer, prompt, *replies), world.rewards(prompt, replies)
        logps = [score_examples(Scorer(m), examples, pad_id(tokenizer)).double().numpy() for m in (policy, reference)]
        inside = float(np.exp(logps[0]).sum())
        logp, log_ref = (x - np.logaddexp.reduce(x) for x in logps)
        kl, best = exact.kl(logp, log_ref), exact.gibbs(log_ref, rewards, beta)
        curve = [exact.gibbs(log_ref, rewards, b) for b in np.geomspace(50, 0.03, 60)]
        optimum = float(np.interp(kl, [g.kl for g in curve], [g.mean_reward for g in curve]))
        missed = beta * best.log_Z - exact.objective(logp, log_ref, rewards, beta)
        reachable = beta * best.log_Z - float(np.exp(log_ref) @ rewards)
        rows.append((float(np.exp(logp) @ rewards), kl, optimum, missed, reachable, 1 - inside))
    return MiniEvaluation(*(float(x) for x in np.mean(rows, axis=0)))


def fresh_pairs(policy, tokenizer, n: int, seed: int) -> list[dict]:
    """n labelled pairs of the policy's own samples."""
    rng = np.random.default_rng(seed)
    asked = [world.prompts("train")[i] for i in rng.integers(60, size=2 * n)]
    drawn = sample(policy, tokenizer, [p for p in asked for _ in range(2)], seed=seed)
    rows = []
    for a, b in zip(drawn[::2], drawn[1::2], strict=True):
        if a.text != b.text and len(rows) < n:
            first = rng.random() < world.bradley_terry(a.prompt, a.text, b.text)
            rows.append({"prompt": a.prompt, "chosen": (a if first else b).text, "rejected": (b if first else a).text})
    return rows


def run(point: dict) -> dict:
    setting = {"pairs": 2048, "steps": 256, "size": (2, 96), "rounds": 1} | SETTINGS[point["setting"]]
    frozen, tokenizer = reference(setting["size"])
    policy, rounds, seed = frozen_copy(frozen).requires_grad_(True), setting["rounds"], point["seed"]
    rate = PRESETS["tiny"]["learning_rate"]
    for r in range(rounds):
        n, steps = setting["pairs"] // rounds, setting["steps"] // rounds
        rows = (
            fresh_pairs(policy, tokenizer, n, 1000 * seed + r)
            if rounds > 1
            else world.make_pairs(n, world=world.MINI, seed=500 + seed)
        )
        falling = rate * (1 - r / rounds)  # the same decay as in one run, in stairs
        config = TrainConfig(**PRESETS["tiny"] | {"beta": BETA, "steps": steps, "seed": seed, "learning_rate": falling})
        config.decay, config.warmup = ("linear", 10) if rounds == 1 else ("constant", 2)
        train(policy, tokenizer, rows, config, reference=frozen, progress=False)
    return asdict(evaluate_mini(policy, frozen, tokenizer, BETA, PROMPTS))


if __name__ == "__main__":
    points = [{"setting": name, "seed": seed} for seed in range(3) for name in SETTINGS]
    print(run_study(__file__, "Parts of the gap to the optimum, mini world", points, run))
