"""Chapter 07: the gap to the exact optimum against model size and number of pairs, three seeds.

The grid, stated before the first run: five sizes by four numbers of pairs. A pair is read once, so
that no label is learned by heart, and the number of pairs is the number of steps times 32; what a
pair more is worth and what a step more is worth are one thing here. Beta is 0.6.

References: GPT-2's shape, trained on texts of the grammar until the moving average of the weights
is 0.5 nats a reply from it (KL(grammar || model) on 1,200 fixed texts, every 50 steps); the
distance in the record is measured again, on other texts. All sizes have the same texts.

Learning rates go as 1 / width (arXiv 2203.03466) and as 1 / sqrt(pairs), so that the long runs have
smaller ones; the factor before it is tuned for each size with 2,048 pairs on prompts held out for
it. The policies are trained by the fast path. Estimated from single steps, before the first run:
four and a half hours of one core, a third of it for the largest size, so nothing was cut. Added
when most was there: the longest runs of 0.03M and 1M at the factor that tuning passed over.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache, partial

import numpy as np
import torch
from torch import nn

from .. import world
from ..fast import FastScorer
from ..lab.evaluation import FARTHEST, standard_error
from ..lab.power_laws import PowerLaw, fit_power_law, pooled_errors
from ..lab.records import Record
from ..lab.studies import VALIDATION, Study
from ..models import Scorer, device_of, frozen_copy, pad_id
from ..sampling import sample
from ..scoring import log_ratios, score_examples
from ..tokens import Example, collate, encode_rows
from ..training import PRESETS, TrainConfig, train
from ..world.tiny import new_tiny_model, review_tokenizer

SIZES = {"0.03M": (2, 32), "0.1M": (2, 64), "0.35M": (3, 96), "1M": (4, 144), "4M": (5, 256)}
SHAPES = SIZES | {"GPT-2": (12, 768)}  # layers, width; the last one is in gpu/scaling.py
PAIRS, SEEDS, FACTORS = (512, 2048, 8192, 32768), range(3), (0.5, 1.0, 2.0)
TUNED_WITH, TUNING_SEED, BATCH, BETA = 2048, 99, 32, 0.6
TEXT_BATCH, AVERAGE = 64, 0.99  # how slowly the moving average moves


@dataclass(frozen=True)
class Setup:
    """How large the study is."""

    target: float = 0.5  # nats a reply
    most: int = 20_000  # steps to get there
    every: int = 50  # steps between checks
    texts: int = 64_000  # of a seed
    checked: int = 1200  # texts for a check
    measured: int = 4800  # texts for the distance in the record
    samples: int = 2016
    pairs: int | None = None  # at most; None: as many as a point says


FULL = Setup()
OPTIMUM = BETA * world.REVIEWS.policy(world.prompts()[0], BETA).log_Z  # of reward - 0.6 KL

study = Study(
    __file__,
    "The gap to the exact optimum against size and pairs",
    tolerances=dict.fromkeys(
        ("true_reward", "kl", "objective", "below", "gap", "distance", "steps"), 0.2
    ),
)


# ---------------------------------------------------------------- references
@lru_cache(len(SEEDS) + 1)
def texts_of(seed: int, texts: int) -> list[Example]:
    """The texts of a seed, tokenised, the same for every size."""
    rows = world.make_texts(texts, split="train", seed=13_000 + seed)
    return [example for (example,) in encode_rows(review_tokenizer(), rows)[0]]


@cache
def held_out(samples: int, seed: int) -> tuple[list[Example], np.ndarray]:
    """Texts of the grammar for the test prompts, and their exact log-probabilities."""
    rows = world.make_texts(samples, split="test", seed=seed)
    exact = [world.REVIEWS.log_probs(r["prompt"], [r["completion"]])[0] for r in rows]
    return [e for (e,) in encode_rows(review_tokenizer(), rows)[0]], np.array(exact)


def distance(model: nn.Module, samples: int, seed: int = 7) -> tuple[float, float]:
    """KL(grammar || model), nats a reply, and its standard error."""
    examples, exact = held_out(samples, seed)
    scores = score_examples(Scorer(model), examples, pad_id(review_tokenizer()))
    gaps = exact - scores.double().numpy()
    return float(gaps.mean()), standard_error(gaps)


def rate(base: float, size: str) -> float:
    """A learning rate that suits the shipped model's width, for another width."""
    return base * 96 / SHAPES[size][1]


def device() -> str:
    """Where the study runs."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@lru_cache(len(SEEDS) + 1)
def reference(size: str, seed: int, setup: Setup) -> tuple[nn.Module, dict]:
    """The moving average of the weights at the first check below the target, and its way there."""
    tokenizer, texts, begun = review_tokenizer(), texts_of(seed, setup.texts), time.process_time()
    model = new_tiny_model(tokenizer, *SHAPES[size], seed).to(device())
    average, scorer = frozen_copy(model), FastScorer(model)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.0)
    for step in range(setup.most):
        look = step and step % setup.every == 0
        if look and distance(average, setup.checked)[0] < setup.target:
            break
        at = step * TEXT_BATCH % setup.texts
        part = collate(texts[at : at + TEXT_BATCH], pad_id(tokenizer), device=device_of(model))
        optimizer.param_groups[0]["lr"] = rate(3e-3, size) * min(1.0, (step + 1) / 100)
        optimizer.zero_grad()
        (-scorer(**part).mean()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        follow(average, model)
    far, error = distance(average, setup.measured, seed=8)
    how = {"parameters": model.num_parameters(), "steps": step, "distance": far}
    how |= {"distance_se": error, "own_optimum": own_optimum(average, setup.checked)}
    return average, how | {"seconds": time.process_time() - begun}


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module) -> None:
    """Move the average a hundredth of the way to the model."""
    for a, m in zip(average.parameters(), model.parameters(), strict=True):
        a.lerp_(m, 1 - AVERAGE)


def own_optimum(model: nn.Module, samples: int) -> float:
    """beta E log Z of this model: the most that reward - beta KL to *it* can be.

    By importance sampling from the grammar's optimum: log Z = log Z_0 + log E[model / grammar].
    Texts that the grammar can't write are left out: true Z is a little larger.
    """
    asked, tokenizer, per_prompt = world.prompts("test"), review_tokenizer(), []
    for prompt in asked:
        texts = world.REVIEWS.sample(prompt, samples // len(asked), seed=9, beta=BETA)
        rows = [{"prompt": prompt, "completion": text} for text in texts]
        examples = [e for (e,) in encode_rows(tokenizer, rows)[0]]
        scores = score_examples(Scorer(model), examples, pad_id(tokenizer)).double().numpy()
        log_weights = scores - world.REVIEWS.log_probs(prompt, texts)
        per_prompt.append(np.logaddexp.reduce(log_weights) - np.log(len(texts)))
    return OPTIMUM + BETA * float(np.mean(per_prompt))


# ---------------------------------------------------------------- policies
def trained(size: str, pairs: int, factor: float, seed: int, setup: Setup) -> nn.Module:
    """DPO from the size's reference, every pair read once."""
    rows = world.make_pairs(min(pairs, setup.pairs or pairs), seed=14_000 + seed)
    if seed == TUNING_SEED:
        rows = [row for row in rows if row["prompt"] not in VALIDATION]
    steps = len(rows) // BATCH
    base = factor * PRESETS["tiny"]["learning_rate"] * (8192 / pairs) ** 0.5
    config = TrainConfig(
        **PRESETS["tiny"]
        | {"beta": BETA, "batch_size": BATCH, "seed": seed, "plain": False, "precision": "auto"}
        | {"steps": steps, "warmup": max(1, steps // 10), "learning_rate": rate(base, size)}
    )
    policy = frozen_copy(reference(size, seed, setup)[0]).requires_grad_(True)
    train(policy, review_tokenizer(), rows, config, progress=False)
    return policy


def measure(
    policy: nn.Module, theirs: nn.Module, prompts: list[str], seed: int, samples: int
) -> dict:
    """What the policy is worth on samples.

    `gap`: how far reward - 0.6 KL is below its exact optimum. `below`: how far the reward is below
    the exact frontier at the policy's own KL. Both are the grammar's, the KL is to the reference.
    Near the optimum reward - 0.6 log-ratio is nearly the same for every text: its error is small.
    """
    tokenizer = review_tokenizer()
    asked = [prompts[i % len(prompts)] for i in range(samples)]
    drawn = sample(policy, tokenizer, asked, seed=seed, stream="batch")
    true = np.array([world.reward(s.prompt, s.text) for s in drawn])
    rho = log_ratios(policy, theirs, [s.example for s in drawn], pad_id(tokenizer))
    worth, kl = true - BETA * rho, float(rho.mean())
    best = world.REVIEWS.optimum_at_kl(min(max(kl, 0.0), FARTHEST)).mean_reward
    return {
        "true_reward": float(true.mean()),
        "kl": kl,
        "objective": float(worth.mean()),
        "objective_se": standard_error(worth),
        "gap": OPTIMUM - float(worth.mean()),
        "below": best - float(true.mean()),
        "grammatical": float(
            np.mean([world.REVIEWS.is_grammatical(s.prompt, s.text) for s in drawn])
        ),
    }


def start(size: str, seed: int, before: str, setup: Setup) -> dict:
    """A reference: its distance to the grammar, its own optimum, what it is worth untrained."""
    model, how = reference(size, seed, setup)
    return how | measure(model, model, world.prompts("test"), seed, setup.samples)


def tune(size: str, factor: float, setup: Setup) -> dict:
    """A factor before the learning rate, judged on prompts that are held out for it."""
    policy = trained(size, TUNED_WITH, factor, TUNING_SEED, setup)
    theirs, _ = reference(size, TUNING_SEED, setup)
    return measure(policy, theirs, VALIDATION, TUNING_SEED, setup.samples)


def run(
    size: str, pairs: int, seed: int, setup: Setup, tuned: Study, instead: float | None = None
) -> dict:
    """A policy, at the factor that was best for its size, or at another one instead."""
    begun, (theirs, _) = time.process_time(), reference(size, seed, setup)
    factor = instead or tuned.record().best("factor", size=size)
    policy = trained(size, pairs, factor, seed, setup)
    found = measure(policy, theirs, world.prompts("test"), seed, setup.samples)
    return found | {"seconds": time.process_time() - begun}


def grid(study: Study, sizes: Iterable[str], setup: Setup) -> None:
    """Give a study the points of these sizes, one size after the other, all seeds of a cell."""
    for size in sizes:
        points = [{"size": size, "before": "DPO", "seed": seed} for seed in SEEDS]
        study.points(points)(partial(start, setup=setup))
        points = [{"size": size, "factor": factor} for factor in FACTORS]
        study.points(points)(partial(tune, setup=setup))
        points = [{"size": size, "pairs": pairs, "seed": s} for pairs in PAIRS for s in SEEDS]
        study.points(points)(partial(run, setup=setup, tuned=study))


grid(study, SIZES, FULL)
# two sizes with the most pairs turned back, at a factor that tuning took by a hundredth
study.points(
    [
        {"size": size, "pairs": PAIRS[-1], "seed": s, "instead": FACTORS[0]}
        for size in ("0.03M", "1M")
        for s in SEEDS
    ]
)(partial(run, setup=FULL, tuned=study))


# ---------------------------------------------------------------- what the record says
@dataclass(frozen=True)
class Cells:
    """The cells of the grid whose seeds are all there: C cells of S seeds."""

    sizes: np.ndarray  # (C,) parameters
    pairs: np.ndarray  # (C,)
    figures: np.ndarray  # (C, S)
    names: list[str]  # of the sizes, (C,)
    by_size: bool  # whether there are sizes enough, three, for a law of size

    def law(self) -> PowerLaw:
        """A power law in pairs, and in size where there are sizes enough."""
        return fit_power_law(self.x, self.means, self.errors)

    @property
    def x(self) -> np.ndarray:
        """(C, 2): pairs, parameters; (C, 1) without a law of size."""
        return np.stack([self.pairs, self.sizes], 1)[:, : 1 + self.by_size]

    @property
    def means(self) -> np.ndarray:
        return self.figures.mean(1)

    @property
    def errors(self) -> np.ndarray:
        """Standard errors of the means, from the variance that all cells have in common."""
        return pooled_errors(self.figures)

    def where(self, keep) -> "Cells":
        """Some of the cells: keep (C,) bool."""
        keep = np.asarray(keep)
        names = [n for n, k in zip(self.names, keep, strict=True) if k]
        return Cells(self.sizes[keep], self.pairs[keep], self.figures[keep], names, self.by_size)


def cells(record: Record, figure: str = "gap") -> Cells:
    """A figure of every cell that has all its seeds."""
    found = []
    for size in SIZES:
        for pairs in PAIRS:
            values = record.values(figure, size=size, pairs=pairs, instead=None)
            if len(values) == len(SEEDS):
                parameters = record.values("parameters", size=size, before="DPO")[0]
                found.append((parameters, pairs, values, size))
    *columns, names = [list(column) for column in zip(*found, strict=True)]
    return Cells(*(np.array(c, float) for c in columns), names, len(set(names)) >= 3)


if __name__ == "__main__":
    study.main()
