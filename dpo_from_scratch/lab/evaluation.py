"""What a policy is worth: true reward, KL to the reference, preference accuracy, intervals."""

import math
from dataclasses import dataclass

import numpy as np
from torch import nn

from .. import world
from ..models import Scorer, pad_id
from ..processes.samples import sample_shared
from ..processes.scores import log_ratios_shared, score_shared
from ..tokens import encode_rows
from ..training import REVIEW_BETAS

# nats per reply; beyond it the optimum hardly rises
FARTHEST = world.REVIEWS.policy(world.prompts()[0], 0.01).kl


def mean_and_half_width(values) -> tuple[float, float]:
    """Mean of two or more seeds and half the width of its 95 % t-interval.

    ValueError for fewer, or if one of them is not a number.
    """
    from scipy.stats import t

    values = np.asarray(values, float)
    if len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(f"an interval needs two numbers or more, got {values}")
    width = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return float(values.mean()), float(width)


@dataclass(frozen=True)
class AtEqualKL:
    """A figure of each seed at one KL, (S,); nan where a seed's curve does not reach it."""

    values: np.ndarray

    @property
    def reached(self) -> int:
        """How many seeds reach the KL."""
        return int(np.isfinite(self.values).sum())

    def interval(self) -> tuple[float, float]:
        """Mean and half-width over all seeds; ValueError unless all of them reach the KL."""
        return mean_and_half_width(self.values)

    def __sub__(self, other: "AtEqualKL") -> "AtEqualKL":
        return AtEqualKL(self.values - other.values)

    def __str__(self) -> str:
        if self.reached < len(self.values):
            return f"reached by {self.reached} of {len(self.values)}"
        return "{:.2f} ± {:.2f}".format(*self.interval())


def at_equal_kl(kls, figures, kl) -> AtEqualKL:
    """A figure, such as true reward, of each seed's curve where its KL is `kl`.

    kls and figures (S, P): S seeds, P points of each curve; kl: one number, or one a seed. Between
    two points the figure is taken as linear in the root of the KL, which a frontier nearly is. On
    the exact one it lies low by at most 0.02 where the KL grows threefold
    from point to point up to 1.5, or twofold up to 3; by 0.08 at threefold, farther out.
    """
    kls, figures, out = np.asarray(kls, float), np.asarray(figures, float), []
    for x, y, at in zip(kls, figures, np.broadcast_to(kl, len(kls)), strict=True):
        order = np.argsort(x)
        x, y = np.sqrt(np.maximum(x[order], 0.0)), y[order]
        out.append(np.interp(math.sqrt(at), x, y, left=np.nan, right=np.nan))
    return AtEqualKL(np.array(out))


def optimal_log_ratios(rows: list[dict], beta: float) -> np.ndarray:
    """log pi*(y|x)/pi_0(y|x) = r(x, y)/beta - log Z(x) of each pair's two responses, (N, 2), nats.

    Chosen first; pi_0 is the grammar, pi* its exact optimum at this beta (arXiv 2305.18290, eq. 4).
    For responses that the grammar can write: to others both give probability zero.
    """
    log_z = {p: world.REVIEWS.policy(p, beta).log_Z for p in {row["prompt"] for row in rows}}
    rewards = [[world.reward(r["prompt"], r[s]) for s in ("chosen", "rejected")] for r in rows]
    return np.array(rewards) / beta - np.array([[log_z[row["prompt"]]] for row in rows])


def standard_error(values) -> float:
    """Standard error of the mean of N independent values."""
    values = np.asarray(values, float)
    return float(values.std(ddof=1) / math.sqrt(len(values)))


def quality(
    policy: nn.Module,
    reference: nn.Module,
    tokenizer,
    prompts: list[str],
    samples: int = 1008,
    seed: int = 0,
    stream: str = "batch",
) -> dict:
    """Mean true_reward and kl of samples on these prompts, and the objective, reward - 0.6 KL.

    `stream` as `sample` has it; the records were made with this one.
    """
    asked = [prompts[i % len(prompts)] for i in range(samples)]
    drawn = sample_shared(policy, tokenizer, asked, seed=seed, stream=stream)
    true = float(np.mean([world.reward(s.prompt, s.text) for s in drawn]))
    rows = [(s.example,) for s in drawn]
    kl = float(log_ratios_shared(policy, reference, rows, pad_id(tokenizer)).mean())
    return {"true_reward": true, "kl": kl, "objective": true - REVIEW_BETAS["dpo"] * kl}


@dataclass(frozen=True)
class Evaluation:
    """A policy of the review world, measured.

    Standard errors are over samples of one model, not over seeds.
    """

    accuracy: float  # share of held-out pairs that the implicit reward puts in their true order
    correlation: float  # Pearson, implicit with true reward, over the held-out responses
    true_reward: float  # mean over samples
    true_reward_se: float
    kl: float  # to the reference, nats per reply: mean of log pi - log pi_ref over samples of pi
    kl_se: float
    # true reward of the grammar's exact optimum at this KL to the grammar: close, not exact, for
    # the reference
    optimum: float
    grammatical: float  # share of samples that the grammar can write
    length: float  # tokens per reply, EOS included


def evaluate_reviews(
    policy: nn.Module,
    reference: nn.Module,
    tokenizer,
    pairs: list[dict],
    samples: int = 2016,
    seed: int = 0,
    stream: str = "batch",
) -> Evaluation:
    """Measure a policy on held-out prompts.

    On `samples` sampled replies, and `pairs`, test rows of the review world. `stream` as `sample`
    has it; the records were made with this one.
    """
    pad, asked = pad_id(tokenizer), world.prompts("test")
    asked = [asked[i % len(asked)] for i in range(samples)]
    drawn = sample_shared(policy, tokenizer, asked, seed=seed, stream=stream)
    true = np.array([world.reward(s.prompt, s.text) for s in drawn])
    kl = log_ratios_shared(policy, reference, [(s.example,) for s in drawn], pad)[:, 0]
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


def implicit_and_true(
    policy: nn.Module, reference: nn.Module, tokenizer, pairs: list[dict]
) -> tuple[np.ndarray, np.ndarray]:
    """Log-ratios and true rewards of the two responses of N pairs, both (N, 2).

    Multiply by beta for implicit rewards.
    """
    examples, _ = encode_rows(tokenizer, pairs)
    rho = log_ratios_shared(policy, reference, examples, pad_id(tokenizer))
    true = np.array(
        [
            [world.reward(r["prompt"], r["chosen"]), world.reward(r["prompt"], r["rejected"])]
            for r in pairs
        ]
    )
    return rho, true


def order_accuracy(implicit: np.ndarray, true: np.ndarray) -> float:
    """Share of pairs, both arrays (N, 2), that are in the same order.

    True ties are left out, implicit ties count half.
    """
    gap, truth = implicit[:, 0] - implicit[:, 1], true[:, 0] - true[:, 1]
    agree = np.sign(gap) * np.sign(truth)
    return float(((1 + agree) / 2)[truth != 0].mean())


def best_of_n(scores: np.ndarray, n: int) -> np.ndarray:
    """Which of each n samples has the highest score: indices into `scores` (N,), (N // n,)."""
    groups = np.asarray(scores)[: len(scores) // n * n].reshape(-1, n)
    return groups.argmax(1) + n * np.arange(len(groups))


def best_of_n_kl(n: int) -> float:
    """log n - (n - 1) / n, nats: the most that best-of-n is away from what it samples.

    arXiv 2401.01879, theorem 3.1.
    """
    return math.log(n) - (n - 1) / n


def win_rate(rewards, others) -> float:
    """Share of paired replies in which the first has the higher reward; a tie counts half."""
    return float(((1 + np.sign(np.asarray(rewards) - np.asarray(others))) / 2).mean())


def gap_to_grammar(
    model: nn.Module, tokenizer, split: str = "test", samples: int = 1200, seed: int = 7
) -> tuple[float, float]:
    """KL(grammar || model), nats per token, and its standard error, from exact samples."""
    rows = world.make_texts(samples, split=split, seed=seed)
    exact = np.array([world.REVIEWS.log_probs(r["prompt"], [r["completion"]])[0] for r in rows])
    examples = [e for (e,) in encode_rows(tokenizer, rows)[0]]
    gaps = exact - score_shared(Scorer(model), examples, pad_id(tokenizer)).double().numpy()
    tokens = float(np.mean([e.response_length for e in examples]))
    return float(gaps.mean() / tokens), standard_error(gaps) / tokens
