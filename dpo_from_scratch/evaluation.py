"""What a policy is worth: true reward, KL to the reference, preference accuracy, and intervals for all of them."""

import math
from dataclasses import dataclass

import numpy as np
from torch import nn

from . import world
from .models import Scorer, pad_id
from .sampling import sample
from .tokens import Example, encode_rows
from .training import PRESETS, score_examples

FARTHEST = world.REVIEWS.policy(world.prompts()[0], 0.01).kl  # nats per reply; beyond it the optimum hardly rises
T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)  # Student's t, 1 to 9 degrees of freedom


def mean_and_half_width(values) -> tuple[float, float]:
    """Mean of 2 to 10 seeds and half the width of its 95 % t-interval. ValueError for fewer or more."""
    values = np.asarray(values, float)
    if not 2 <= len(values) <= 10:
        raise ValueError(f"an interval needs two values or more, and the table ends at ten; got {len(values)}")
    return float(values.mean()), float(T_975[len(values) - 2] * values.std(ddof=1) / math.sqrt(len(values)))


def standard_error(values) -> float:
    """Standard error of the mean of N independent values."""
    values = np.asarray(values, float)
    return float(values.std(ddof=1) / math.sqrt(len(values)))


def log_ratios(policy: nn.Module, reference: nn.Module, examples: list[Example], pad: int) -> np.ndarray:
    """rho = log pi(y|x) - log pi_ref(y|x), shape (N,), nats, no beta."""
    scores = [score_examples(Scorer(m), examples, pad).double().numpy() for m in (policy, reference)]
    return scores[0] - scores[1]


def quality(policy: nn.Module, reference: nn.Module, tokenizer, prompts: list[str], samples: int = 1008, seed: int = 0) -> dict:
    """Mean true_reward and kl of samples on these prompts, and their objective at the beta of the book's runs, reward - 0.6 KL."""
    drawn = sample(policy, tokenizer, [prompts[i % len(prompts)] for i in range(samples)], seed=seed)
    true = float(np.mean([world.reward(s.prompt, s.text) for s in drawn]))
    kl = float(log_ratios(policy, reference, [s.example for s in drawn], pad_id(tokenizer)).mean())
    return {"true_reward": true, "kl": kl, "objective": true - PRESETS["tiny"]["beta"] * kl}


@dataclass(frozen=True)
class Evaluation:
    """A policy of the review world, measured. Standard errors are over samples of one model, not over seeds."""

    accuracy: float  # share of held-out pairs that the implicit reward puts in their true order
    correlation: float  # Pearson, implicit with true reward, over the held-out responses
    true_reward: float  # mean over samples
    true_reward_se: float
    kl: float  # to the reference, nats per reply: mean of log pi - log pi_ref over samples of pi
    kl_se: float
    optimum: float  # true reward of the grammar's exact optimum at this KL to the grammar: close, not exact, for the reference
    grammatical: float  # share of samples that the grammar can write
    length: float  # tokens per reply, EOS included


def evaluate_reviews(
    policy: nn.Module, reference: nn.Module, tokenizer, pairs: list[dict], samples: int = 2016, seed: int = 0
) -> Evaluation:
    """Measure a policy on held-out prompts: `samples` sampled replies, and `pairs` (test rows of the review world)."""
    pad, asked = pad_id(tokenizer), world.prompts("test")
    drawn = sample(policy, tokenizer, [asked[i % len(asked)] for i in range(samples)], seed=seed)
    true = np.array([world.reward(s.prompt, s.text) for s in drawn])
    kl = log_ratios(policy, reference, [s.example for s in drawn], pad)
    implicit, pair_rewards = implicit_and_true(policy, reference, tokenizer, pairs)
    right, correlation = order_accuracy(implicit, pair_rewards), 0.0
    if implicit.std() > 0:
        correlation = float(np.corrcoef(implicit.ravel(), pair_rewards.ravel())[0, 1])
    return Evaluation(
        accuracy=right,
        correlation=correlation,
        true_reward=float(true.mean()),
        true_reward_se=standard_error(true),
        kl=float(kl.mean()),
        kl_se=standard_error(kl),
        optimum=world.REVIEWS.optimum_at_kl(min(max(float(kl.mean()), 0.0), FARTHEST)).mean_reward,
        grammatical=float(np.mean([world.REVIEWS.is_grammatical(s.prompt, s.text) for s in drawn])),
        length=float(np.mean([s.example.response_length for s in drawn])),
    )


def implicit_and_true(policy: nn.Module, reference: nn.Module, tokenizer, pairs: list[dict]) -> tuple[np.ndarray, np.ndarray]:
    """Log-ratios and true rewards of the two responses of N pairs, both (N, 2). Multiply by beta for implicit rewards."""
    examples, _ = encode_rows(tokenizer, pairs)
    rho = log_ratios(policy, reference, [e for pair in examples for e in pair], pad_id(tokenizer)).reshape(-1, 2)
    true = np.array([[world.reward(r["prompt"], r["chosen"]), world.reward(r["prompt"], r["rejected"])] for r in pairs])
    return rho, true


def order_accuracy(implicit: np.ndarray, true: np.ndarray) -> float:
    """Share of pairs, both arrays (N, 2), that are in the same order; true ties are left out, implicit ties count half."""
    gap, truth = implicit[:, 0] - implicit[:, 1], true[:, 0] - true[:, 1]
    agree = np.sign(gap) * np.sign(truth)
    return float(((1 + agree) / 2)[truth != 0].mean())


def best_of_n(scores: np.ndarray, n: int) -> np.ndarray:
    """Which of each n samples in a row has the highest score: indices into `scores` (N,), shape (N // n,)."""
    groups = np.asarray(scores)[: len(scores) // n * n].reshape(-1, n)
    return groups.argmax(1) + n * np.arange(len(groups))


def best_of_n_kl(n: int) -> float:
    """log n - (n - 1) / n, nats: the most that best-of-n is away from what it samples (arXiv 2401.01879, theorem 3.1)."""
    return math.log(n) - (n - 1) / n


def win_rate(rewards, others) -> float:
    """Share of paired replies in which the first has the higher reward; a tie counts half."""
    return float(((1 + np.sign(np.asarray(rewards) - np.asarray(others))) / 2).mean())


def gap_to_grammar(model: nn.Module, tokenizer, split: str = "test", samples: int = 1200, seed: int = 7) -> tuple[float, float]:
    """KL(grammar || model) in nats per token and its standard error, from exact samples of the grammar."""
    rows = world.make_texts(samples, split=split, seed=seed)
    exact = np.array([world.REVIEWS.log_probs(r["prompt"], [r["completion"]])[0] for r in rows])
    examples = [e for (e,) in encode_rows(tokenizer, rows)[0]]
    gaps = exact - score_examples(Scorer(model), examples, pad_id(tokenizer)).double().numpy()
    tokens = float(np.mean([e.response_length for e in examples]))
    return float(gaps.mean() / tokens), standard_error(gaps) / tokens
