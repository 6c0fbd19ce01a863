"""Chapter 14: does DPO make texts longer? Eight methods, three labellers, five seeds.

More than an hour on one core.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from .. import losses, world
from ..lab.studies import VALIDATION, Study
from ..logprobs import token_logps
from ..models import frozen_copy, load_model, pad_id
from ..sampling import sample
from ..scoring import log_ratios
from ..training import PRESETS, TrainConfig, learning_rate, pick_rows, train
from ..training.batches import prepare

PAIRS, STEPS, PER_WORD = 1024, 128, 0.15
LABELS = ("likes length", "honest", "half and half")
LOOKS = (16, 32, 64, 128)  # steps after which a policy is measured
TRIALS = {  # learning rate; beta, or ORPO's weight of the odds ratio; the method's own option
    "dpo": [(5e-4, 0.3, ""), (5e-4, 0.6, ""), (1e-3, 0.6, "")],
    "length_normalized_dpo": [(5e-4, 6.0, ""), (5e-4, 12.0, ""), (1e-3, 12.0, "")],
    "r_dpo": [(5e-4, 0.6, f"alpha={alpha}") for alpha in (0.05, 0.1, 0.15)],
    "simpo": [(2.5e-4, 6.0, "gamma=0"), (2.5e-4, 6.0, "gamma=1"), (1.25e-4, 12.0, "gamma=0")],
    "orpo": [(2.5e-4, 2.0, ""), (2.5e-4, 8.0, ""), (5e-4, 2.0, "")],
    "cpo": [(1.25e-4, 0.6, "nll_weight=0"), *((2.5e-4, 0.6, f"nll_weight={w}") for w in (0, 0.1))],
    "sampo": [(5e-4, 0.3, ""), (5e-4, 0.6, ""), (1e-3, 0.6, "")],
    "ld_dpo": [(5e-4, 0.6, f"alpha={alpha}") for alpha in (0.0, 0.3, 0.6)],
}
LONG, LONG_LOOKS = 384, (32, 128, 384)  # longer runs: what holds a policy that has no reference

study = Study(
    __file__,
    "Length, and what corrects it",
    tolerances={  # where there is one seed
        "true_reward": 0.2,
        "kl": 0.2,
        "length": 0.8,
        "grammatical": 0.03,
        "finished": 0.01,
    },
)


# ---------------------------------------------------------------- the pairs
def labelled(labels: str, seed: int) -> list[dict]:
    """The same texts for all labellers, and the same luck; "coin" is one who tosses a coin."""
    judges = {"honest": world.bradley_terry, "likes length": world.length_biased(PER_WORD)}
    judges["coin"] = lambda prompt, a, b: 0.5
    make = lambda name: world.make_pairs(PAIRS, judges[name], seed=4000 + seed)
    if labels in judges:
        return make(labels)
    other = np.random.default_rng(seed).random(PAIRS) < 0.5
    pairs = zip(make("honest"), make("likes length"), other, strict=True)
    return [b if turn else a for a, b, turn in pairs]


# ---------------------------------------------------------------- tokens that count by weight
def sampled_tokens(mask: Tensor, generator: torch.Generator) -> Tensor:
    """SamPO's weights, (2B, T): 1 for as many tokens of each response as the shorter one has.

    The mask (2B, T) marks the tokens of the chosen responses, then those of the rejected.
    """
    shorter = mask.sum(1).view(2, -1).min(0).values.repeat(2)
    order = torch.rand(mask.shape, generator=generator).masked_fill(~mask, 2.0)
    return (order.argsort(1).argsort(1) < shorter[:, None]).float()


def discounted_tokens(mask: Tensor, alpha: float) -> Tensor:
    """LD-DPO's weights, (2B, T): `alpha` for tokens beyond the length of the shorter response."""
    shorter = mask.sum(1).view(2, -1).min(0).values.repeat(2)
    within = mask.cumsum(1) <= shorter[:, None]
    return torch.where(within, 1.0, alpha) * mask


def weighted_logps(model: nn.Module, tokens: dict[str, Tensor], weights: Tensor) -> Tensor:
    """Sums of weight times log-probability over the tokens of each response, (2B,)."""
    ids = tokens["input_ids"]
    logits = model(input_ids=ids, attention_mask=tokens["attention_mask"]).logits
    return (token_logps(logits, ids) * weights[:, 1:]).sum(1)


def train_weighted(
    policy: nn.Module,
    tokenizer,
    rows: list[dict],
    config: TrainConfig,
    weights_of: Callable,
    on_step: Callable,
) -> None:
    """DPO on weighted sums, with the rows, schedule and optimizer of `training.train`.

    `weights_of(response_mask, generator)` gives the tokens' weights; `on_step(step, metrics)` is
    called after every step.
    """
    data, reference = prepare(tokenizer, rows, config, policy), frozen_copy(policy)
    generator = torch.Generator().manual_seed(config.seed)
    optimizer = torch.optim.AdamW(policy.parameters(), weight_decay=config.weight_decay)
    for step in range(config.steps):
        batch = data.batch(pick_rows(step, len(data), config), "cpu")
        weights = weights_of(batch.tokens["response_mask"], generator)
        logps = weighted_logps(policy, batch.tokens, weights)
        with torch.no_grad():
            ref_logps = weighted_logps(reference, batch.tokens, weights)
        loss = losses.dpo(*logps.chunk(2), *ref_logps.chunk(2), beta=config.beta).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(policy.parameters(), config.max_grad_norm)
        optimizer.param_groups[0]["lr"] = learning_rate(step, config)
        optimizer.step()
        optimizer.zero_grad()
        on_step(step + 1, {"loss": loss.item()})


# ---------------------------------------------------------------- the runs
def looks_at(
    rows: list[dict],
    method: str,
    trial: tuple[float, float, str],
    seed: int,
    steps: int,
    looks: tuple[int, ...],
    prompts: list[str],
) -> dict:
    """Train on the rows, and measure the policy after some of the steps."""
    policy, tokenizer = load_model("tiny")
    reference, (rate, strength, options), found = frozen_copy(policy), trial, []

    def look(step: int, row: dict) -> None:
        if step in looks:
            now = measured(policy, reference, tokenizer, prompts, 1000 * seed + step)
            found.append({"step": step} | now)

    settings = {"learning_rate": rate, "steps": steps, "seed": seed}
    weights = {
        "sampo": sampled_tokens,
        "ld_dpo": lambda mask, _: discounted_tokens(mask, float(options.partition("=")[2])),
    }
    if method in weights:
        config = TrainConfig(**PRESETS["tiny"] | settings | {"beta": strength})
        train_weighted(policy, tokenizer, rows, config, weights[method], look)
        return {"looks": found}
    named = {"loss_options": f"weight={strength}"} if method == "orpo" else {"beta": strength}
    settings |= {"loss": method, "loss_options": options} | named
    config = TrainConfig(**PRESETS["tiny"] | settings)
    train(policy, tokenizer, rows, config, on_step=look, progress=False)
    return {"looks": found}


def measured(
    policy: nn.Module, reference: nn.Module, tokenizer, prompts: list[str], seed: int
) -> dict[str, float]:
    """Of 504 samples: true reward, KL, length (tokens, end included), what the grammar can write.

    `finished` is the share that ends by itself.
    """
    drawn = sample(
        policy,
        tokenizer,
        [prompts[i % len(prompts)] for i in range(504)],
        seed=seed,
        stream="batch",
    )
    rho = log_ratios(policy, reference, [s.example for s in drawn], pad_id(tokenizer))
    written = [world.REVIEWS.is_grammatical(s.prompt, s.text) for s in drawn]
    return {
        "true_reward": float(np.mean([world.reward(s.prompt, s.text) for s in drawn])),
        "kl": float(rho.mean()),
        "length": float(np.mean([s.example.response_length for s in drawn])),
        "grammatical": float(np.mean(written)),
        "finished": float(np.mean([s.finished for s in drawn])),
    }


@study.points(
    [
        {"method": method, "learning_rate": rate, "strength": strength, "options": options}
        for method, trials in TRIALS.items()
        for rate, strength, options in trials
    ]
)
def tune(method: str, learning_rate: float, strength: float, options: str) -> dict:
    """A run of half the length on the labels of one who likes length, one seed.

    Measured on prompts held out for this.
    """
    rows = [row for row in labelled("likes length", 99) if row["prompt"] not in VALIDATION]
    trial = (learning_rate, strength, options)
    return looks_at(rows, method, trial, 99, STEPS // 2, LOOKS[:3], VALIDATION)


@cache
def best_trial(method: str) -> tuple[float, float, str]:
    """The trial whose best look has the largest true reward less 0.6 KL."""
    worth = lambda look: look["true_reward"] - 0.6 * look["kl"]
    tuned = [p for p in study.record().select(method=method) if "options" in p["point"]]
    best = max(tuned, key=lambda p: max(map(worth, p["result"]["looks"])))["point"]
    return best["learning_rate"], best["strength"], best["options"]


def runs(seeds: range) -> list[dict]:
    """The points of some seeds."""
    return [
        {"labels": labels, "method": method, "seed": seed}
        for seed in seeds
        for labels in LABELS
        for method in TRIALS
    ]


def run(labels: str, method: str, seed: int) -> dict:
    """A run at its method's best trial."""
    rows, trial = labelled(labels, seed), best_trial(method)
    return looks_at(rows, method, trial, seed, STEPS, LOOKS, world.prompts("test"))


study.points(runs(range(3)))(run)


@study.points(
    [
        {"method": method, "steps": LONG, "seed": seed}
        for seed in range(3)
        for method in ("dpo", "simpo", "orpo", "cpo")
    ]
)
def run_long(method: str, steps: int, seed: int) -> dict:
    """A longer run on honest labels."""
    rows, trial = labelled("honest", seed), best_trial(method)
    return looks_at(rows, method, trial, seed, steps, LONG_LOOKS, world.prompts("test"))


@study.points(
    [{"method": "cpo", "nll_weight": 0, "steps": LONG, "seed": seed} for seed in range(3)]
)
def run_long_without_nll(method: str, nll_weight: float, steps: int, seed: int) -> dict:
    """The same with another weight of the NLL, which is all that differs."""
    rows, (rate, beta, _) = labelled("honest", seed), best_trial(method)
    trial = (rate, beta, f"nll_weight={nll_weight}")
    return looks_at(rows, method, trial, seed, steps, LONG_LOOKS, world.prompts("test"))


study.points([{"labels": "coin", "method": "dpo", "seed": seed} for seed in range(5)])(run)
study.points(runs(range(3, 5)))(run)


@study.points(
    [
        {"labels": "likes length", "method": method, "beta": beta, "seed": seed}
        for seed in range(3)
        for method in ("dpo", "r_dpo")
        for beta in (0.2, 1.8)
    ]
)
def run_beta(labels: str, method: str, beta: float, seed: int) -> dict:
    """The best trial with another beta: is a path over steps the path over beta?"""
    rows, (rate, _, options) = labelled(labels, seed), best_trial(method)
    trial = (rate, beta, options)
    return looks_at(rows, method, trial, seed, STEPS, LOOKS, world.prompts("test"))


if __name__ == "__main__":
    study.main()
