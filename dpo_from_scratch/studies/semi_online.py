"""Chapter 15: how often must the sampler follow the policy, and who may judge; three seeds.

The labels are bought once, on pairs of the first model. A judge fitted to them labels what the
policy writes from then on: a bag of words, which is simpler than the policy, or a reward model of
the policy's own size. "nobody" trains on the bought pairs alone; the "labeller" sells fresh labels
for ever. The sampler is brought up to the policy every `sync` steps, as in arXiv 2506.21495; at 128
it never is. Forty minutes on one core.
"""

from collections import Counter
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from scipy.optimize import minimize
from torch import nn

from .. import losses, world
from ..lab.evaluation import order_accuracy
from ..lab.studies import VALIDATION, Study, Trained, train_tiny
from ..models import Scorer, frozen_copy, load_model, pad_id
from ..rlhf.reward_model import score_texts, train_reward_model
from ..sampling import sample
from ..tokens import collate, encode_rows
from ..training import PRESETS, TrainConfig, learning_rate

LABELS, STEPS, BATCH = 1024, 128, 32
BETAS = (0.3, 0.6, 1.2)
RATES = (2.5e-4, 5e-4, 1e-3)
SYNCS = {  # a judge's; in steps
    "nobody": (STEPS,),
    "bag of words": (1, 4, 16, 64, STEPS),
    "reward model": (1, 16, STEPS),
    "labeller": (1, 16, STEPS),
}
Score = Callable[[list[dict]], np.ndarray]  # pairs -> a score for each of both texts, (N, 2)

study = Study(
    __file__,
    "How often the sampler follows the policy, and who judges",
    tolerances={"true_reward": 0.2, "kl": 0.2, "objective": 0.2},  # where there is one seed
)


def truth(rows: list[dict]) -> np.ndarray:
    """True rewards of both texts of each row, (N, 2)."""
    sides = ("chosen", "rejected")
    return np.array([[world.reward(row["prompt"], row[s]) for s in sides] for row in rows])


def written(policy: nn.Module, tokenizer, n: int, asked: list[str], seed: int) -> list[dict]:
    """n pairs of two different samples of the policy, in no order yet."""
    rng, rows = np.random.default_rng(seed), []
    while len(rows) < n:
        some = [asked[i] for i in rng.integers(len(asked), size=n - len(rows))]
        twice = [prompt for prompt in some for _ in range(2)]
        drawn = sample(policy, tokenizer, twice, seed=int(rng.integers(2**31)), stream="batch")
        for a, b in zip(drawn[::2], drawn[1::2], strict=True):
            if a.text != b.text and a.finished and b.finished and a.text.strip() and b.text.strip():
                rows.append({"prompt": a.prompt, "chosen": a.text, "rejected": b.text})
    return rows


def labelled(rows: list[dict], score: Score, seed: int) -> list[dict]:
    """The rows with their texts in an order drawn from Bradley-Terry on the judge's scores."""
    scores, rng = score(rows), np.random.default_rng(seed)
    first = rng.random(len(rows)) < 1 / (1 + np.exp(scores[:, 1] - scores[:, 0]))
    turned = [row | {"chosen": row["rejected"], "rejected": row["chosen"]} for row in rows]
    return [a if keep else b for a, b, keep in zip(rows, turned, first, strict=True)]


@cache
def bought(tuning: bool, seed: int) -> list[dict]:
    """The labels that there are: on pairs of the first model, drawn once."""
    policy, tokenizer = load_model("tiny")
    rows = written(policy, tokenizer, LABELS, prompts(tuning), 8000 + seed)
    return labelled(rows, truth, seed)


def prompts(tuning: bool) -> list[str]:
    """What may be asked; settings are chosen on prompts that are held out for it."""
    return [p for p in world.prompts("train") if not tuning or p not in VALIDATION]


def bag_of_words(rows: list[dict], ridge: float = 1.0) -> Score:
    """Bradley-Terry with one weight a word, fitted to the rows."""
    words = sorted({w for row in rows for s in ("chosen", "rejected") for w in row[s].split()})
    count = lambda text: [Counter(text.split())[word] for word in words]
    counts = lambda rows: np.array([[count(r["chosen"]), count(r["rejected"])] for r in rows])
    x = counts(rows)[:, 0] - counts(rows)[:, 1]

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        m = x @ w
        value = np.logaddexp(0, -m).sum() + ridge * w @ w / 2
        return value, ridge * w - x.T @ (1 / (1 + np.exp(m)))

    w = minimize(loss, np.zeros(len(words)), jac=True, method="L-BFGS-B").x
    return lambda rows: counts(rows) @ w


def reward_model(rows: list[dict], seed: int) -> Score:
    """The policy's own architecture with a number for a head, fitted to the rows."""
    model, tokenizer = load_model("tiny")
    config = TrainConfig(**PRESETS["tiny"] | {"steps": STEPS, "seed": seed})
    head, _ = train_reward_model(model, tokenizer, rows, config)

    def score(rows: list[dict]) -> np.ndarray:
        pairs, _ = encode_rows(tokenizer, rows)
        flat = [example for pair in pairs for example in pair]
        return score_texts(head, flat, pad_id(tokenizer)).double().numpy().reshape(-1, 2)

    return score


def judge_of(name: str, rows: list[dict], seed: int) -> Score:
    """The judge of this name, fitted to the labels that there are."""
    fitted = {"bag of words": bag_of_words, "reward model": lambda rows: reward_model(rows, seed)}
    return fitted[name](rows) if name in fitted else truth


def trained(score: Score, sync: int, asked: list[str], config: TrainConfig) -> Trained:
    """DPO on what the policy itself wrote at the last sync, in the judge's order."""
    policy, tokenizer = load_model("tiny")
    reference, pad = frozen_copy(policy), pad_id(tokenizer)
    optimizer = torch.optim.AdamW(policy.parameters(), weight_decay=config.weight_decay)
    for step in range(config.steps):
        if step % sync == 0:
            seed = 1_000_003 * config.seed + step
            rows = labelled(written(policy, tokenizer, BATCH * sync, asked, seed), score, seed)
            pairs, _ = encode_rows(tokenizer, rows)
        start = step % sync * BATCH
        sides = zip(*pairs[start : start + BATCH], strict=True)
        batch = collate([example for side in sides for example in side], pad)
        with torch.no_grad():
            ref_chosen, ref_rejected = Scorer(reference)(**batch).chunk(2)
        chosen, rejected = Scorer(policy)(**batch).chunk(2)
        losses.dpo(chosen, rejected, ref_chosen, ref_rejected, beta=config.beta).mean().backward()
        nn.utils.clip_grad_norm_(policy.parameters(), config.max_grad_norm)
        optimizer.param_groups[0]["lr"] = learning_rate(step, config)
        optimizer.step()
        optimizer.zero_grad()
    return Trained(policy, reference, tokenizer, [])


def made(judge: str, sync: int, beta: float, rate: float, seed: int, tuning: bool) -> dict:
    """A run, what its policy is worth, and how often its judge is right at its beginning and end.

    On pairs of the first model and of the last policy: share of true orders.
    """
    rows, asked = bought(tuning, seed), VALIDATION if tuning else world.prompts("test")
    settings = {"beta": beta, "learning_rate": rate, "steps": STEPS, "seed": seed}
    if judge == "nobody":
        found = train_tiny(rows, **settings)
        return found.quality(asked, seed=seed)
    score = judge_of(judge, rows, seed)
    found = trained(score, sync, prompts(tuning), TrainConfig(**PRESETS["tiny"] | settings))
    result = found.quality(asked, seed=seed)
    for when, model in {"first": found.reference, "last": found.policy}.items():
        pairs = written(model, found.tokenizer, 512, asked, 9000 + seed)
        result[f"judge_{when}"] = order_accuracy(score(pairs), truth(pairs))
    return result


@study.points([{"judge": judge, "learning_rate": rate} for judge in SYNCS for rate in RATES])
def tune(judge: str, learning_rate: float) -> dict:
    """True reward less 0.6 KL on prompts held out for this, at beta 0.6 and a sync in between."""
    sync = STEPS if judge == "nobody" else 16
    return made(judge, sync, 0.6, learning_rate, 99, True)


@cache
def best_rate(judge: str) -> float:
    """The learning rate that the tuning chose for a judge."""
    return study.record().best("learning_rate", judge=judge)


@study.points(
    [
        {"judge": judge, "sync": sync, "beta": beta, "seed": seed}
        for seed in range(3)
        for judge, syncs in SYNCS.items()
        for sync in syncs
        for beta in BETAS
    ]
)
def run(judge: str, sync: int, beta: float, seed: int) -> dict:
    """A run at its judge's best learning rate."""
    return made(judge, sync, beta, best_rate(judge), seed, False)


if __name__ == "__main__":
    study.main()
