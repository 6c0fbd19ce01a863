"""Chapter 07: what keeps DPO under its optimum, in the mini world, where all is enumerated.

Three seeds. Half an hour on one core.
"""

from dataclasses import asdict, dataclass
from functools import cache

import numpy as np
from torch import nn

from .. import exact, world
from ..lab.studies import Study
from ..models import Scorer, frozen_copy, load_model, pad_id
from ..sampling import sample
from ..scoring import score_examples
from ..tokens import encode
from ..training import PRESETS, TrainConfig, train
from ..world.tiny import new_tiny_model

BETA = 0.6
PROMPTS = world.prompts("test")[::3]
SHIPPED = (2, 96)  # layers and width of the shipped model
BASE = {"pairs": 2048, "steps": 256, "size": SHIPPED, "rounds": 1}
SETTINGS = {
    "base": {},
    "four times the pairs": {"pairs": 8192},
    "four times the steps": {"steps": 1024},
    "four times the parameters": {"size": (3, 160)},
    "pairs sampled by the policy": {"rounds": 8},
    "pairs and steps": {"pairs": 8192, "steps": 1024},
    "all four": {"pairs": 8192, "steps": 1024, "size": (3, 160), "rounds": 8},
}

study = Study(
    __file__,
    "Parts of the gap to the optimum, mini world",
    tolerances={"reachable": 0.03},  # of the reference, which is trained too: the same for all
)


@cache
def reference(size: tuple[int, int]) -> tuple[nn.Module, object]:
    """A model of the mini world's texts, and its tokenizer.

    Each size has its own, and is measured against that one's own optimum.
    """
    model, tokenizer = load_model("tiny")
    steps = 800
    if size != SHIPPED:
        model, steps = new_tiny_model(tokenizer, *size), 2400
    settings = {"steps": steps, "warmup": steps // 20, "learning_rate": 2e-3}
    config = TrainConfig(**PRESETS["tiny-sft"] | settings)
    texts = world.make_texts(steps * config.batch_size, world.MINI, "train", seed=1)
    train(model, tokenizer, texts, config, progress=False)
    return frozen_copy(model), tokenizer


@dataclass(frozen=True)
class MiniEvaluation:
    """A policy of the mini world, by enumeration: no sampling error.

    Means over prompts; both models are renormalised to the list.
    """

    true_reward: float
    kl: float  # to the reference, nats per reply
    optimum: float  # true reward of the reference's own pi* whose KL is `kl`
    # beta log Z - J = beta KL(policy || pi*), in units of reward: arXiv 2305.18290, appendix A.1
    missed: float
    # beta log Z - J(reference): what the whole way from the reference to pi* is worth
    reachable: float
    outside: float  # probability that the policy gives to texts that are not in the list


def evaluate_mini(
    policy: nn.Module, reference: nn.Module, tokenizer, beta: float, prompts: list[str]
) -> MiniEvaluation:
    """Score every reply of the mini world to each prompt.

    The policy is compared with the Gibbs optimum of *this* reference.
    """
    rows = []
    for prompt in prompts:
        replies = world.MINI.replies(prompt)
        examples, rewards = encode(tokenizer, prompt, *replies), world.rewards(prompt, replies)
        logps = [
            score_examples(Scorer(model), examples, pad_id(tokenizer)).double().numpy()
            for model in (policy, reference)
        ]
        inside = float(np.exp(logps[0]).sum())
        logp, log_ref = (x - np.logaddexp.reduce(x) for x in logps)
        kl, best = exact.kl(logp, log_ref), exact.gibbs(log_ref, rewards, beta)
        curve = [exact.gibbs(log_ref, rewards, b) for b in np.geomspace(50, 0.03, 60)]
        optimum = float(np.interp(kl, [g.kl for g in curve], [g.mean_reward for g in curve]))
        missed = beta * best.log_Z - exact.objective(logp, log_ref, rewards, beta)
        reachable = beta * best.log_Z - float(np.exp(log_ref) @ rewards)
        true = float(np.exp(logp) @ rewards)
        rows.append((true, kl, optimum, missed, reachable, 1 - inside))
    return MiniEvaluation(*(float(x) for x in np.mean(rows, axis=0)))


def fresh_pairs(policy: nn.Module, tokenizer, n: int, seed: int) -> list[dict]:
    """n labelled pairs of the policy's own samples."""
    rng = np.random.default_rng(seed)
    asked = [world.prompts("train")[i] for i in rng.integers(60, size=2 * n)]
    drawn = sample(
        policy, tokenizer, [p for p in asked for _ in range(2)], seed=seed, stream="batch"
    )
    rows = []
    for a, b in zip(drawn[::2], drawn[1::2], strict=True):
        if a.text != b.text and len(rows) < n:
            first = rng.random() < world.bradley_terry(a.prompt, a.text, b.text)
            good, bad = (a, b) if first else (b, a)
            rows.append({"prompt": a.prompt, "chosen": good.text, "rejected": bad.text})
    return rows


@study.points([{"setting": name, "seed": seed} for seed in range(3) for name in SETTINGS])
def run(setting: str, seed: int) -> dict:
    """The enumerated measures of a policy, trained in one run or in rounds."""
    how = BASE | SETTINGS[setting]
    frozen, tokenizer = reference(how["size"])
    policy, rounds = frozen_copy(frozen).requires_grad_(True), how["rounds"]
    n, steps = how["pairs"] // rounds, how["steps"] // rounds
    schedule = {"decay": "constant", "warmup": 2} if rounds > 1 else {}  # else the preset's
    for r in range(rounds):
        if rounds > 1:
            rows = fresh_pairs(policy, tokenizer, n, 1000 * seed + r)
        else:
            rows = world.make_pairs(n, world=world.MINI, seed=500 + seed)
        # the same decay as in one run, in stairs
        falling = PRESETS["tiny"]["learning_rate"] * (1 - r / rounds)
        settings = {"beta": BETA, "steps": steps, "seed": seed, "learning_rate": falling}
        config = TrainConfig(**PRESETS["tiny"] | settings | schedule)
        train(policy, tokenizer, rows, config, reference=frozen, progress=False)
    return asdict(evaluate_mini(policy, frozen, tokenizer, BETA, PROMPTS))


if __name__ == "__main__":
    study.main()
