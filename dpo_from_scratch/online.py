"""Rounds around `training.train` that change the data or the reference: iterated and online DPO, sDPO, DNO.

A judge is a labeller as those of `world`, (prompt, first, second) -> probability that the first response is preferred. Every
comparison is one drawn label, never the probability itself, so that methods can be compared at equal numbers of labels.
"""

import json
import runpy
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from torch import nn

from . import world
from .data import DataError, read_rows, write_rows
from .evaluation import log_ratios
from .models import frozen_copy, load_model, pad_id
from .runs import RunFolder
from .sampling import sample
from .tokens import encode_rows
from .training import TrainConfig, train
from .world import Labeller


def judged_pairs(policy: nn.Module, tokenizer, prompts: list, judge: Labeller, seed: int = 0) -> list[dict]:
    """Two samples of the policy for each prompt, and a label drawn from the judge; two equal samples leave no row."""
    return winning_pairs(policy, tokenizer, prompts, judge, 2, 1.0, seed)


def winning_pairs(policy: nn.Module, tokenizer, prompts: list, judge: Labeller, k: int = 5, margin: float = 0.5,
                  seed: int = 0) -> list[dict]:  # fmt: skip
    """DNO's pairs (arXiv 2404.03715, algorithm 2): of k samples for each prompt, those whose win rates differ by `margin` or more.

    Each sample is compared once with each other one: k (k - 1) / 2 labels a prompt. Empty samples are not compared.
    """
    rng, rows = np.random.default_rng(seed), []
    drawn = sample(policy, tokenizer, [p for p in prompts for _ in range(k)], seed=seed)
    for i in range(0, len(drawn), k):
        prompt, texts = drawn[i].prompt, list(dict.fromkeys(s.text for s in drawn[i : i + k] if s.text.strip()))
        rates = win_rates(prompt, texts, judge, rng)
        for a, b in combinations(range(len(texts)), 2):
            good, bad = (a, b) if rates[a] > rates[b] else (b, a)
            if rates[good] - rates[bad] >= margin:
                rows.append({"prompt": prompt, "chosen": texts[good], "rejected": texts[bad]})
    return rows


def win_rates(prompt, texts: list[str], judge: Labeller, rng: np.random.Generator) -> np.ndarray:
    """Share of the other K - 1 responses that each one wins against, (K,): DNO's estimate of its expected win rate."""
    wins = np.zeros((len(texts), len(texts)))
    for i, j in combinations(range(len(texts)), 2):
        wins[i, j] = rng.random() < judge(prompt, texts[i], texts[j])
        wins[j, i] = 1 - wins[i, j]
    return wins.sum(1) / max(len(texts) - 1, 1)


def easy_to_hard(model: nn.Module, reference: nn.Module, tokenizer, rows: list[dict]) -> list[dict]:
    """The rows in order, those first whose label the model's implicit reward against the reference agrees with most clearly.

    arXiv 2403.19270 orders whole data sets by the reward accuracy of a model; this orders rows by the same model's margin.
    """
    examples, _ = encode_rows(tokenizer, rows)
    rho = log_ratios(model, reference, [e for pair in examples for e in pair], pad_id(tokenizer)).reshape(-1, 2)
    return [rows[i] for i in np.argsort(rho[:, 1] - rho[:, 0], kind="stable")]


def plan(method: str, model: nn.Module, tokenizer, rows: list[dict], judge: Labeller, rounds: int, config: TrainConfig,
         k: int = 2, margin: float = 1.0) -> Callable[[int], list[dict]]:  # fmt: skip
    """The rows of each round for `in_rounds`. "sdpo": parts of the rows, easy pairs first, told by a run of half the steps. Else
    samples of the model as it is by then, on prompts drawn from the rows, with one label for every row of a training step.
    """
    if method == "sdpo":
        guide, reference = frozen_copy(model).requires_grad_(True), frozen_copy(model)
        train(guide, tokenizer, rows, replace(config, steps=max(config.steps // 2, 1)), progress=False)
        ordered, size = easy_to_hard(guide, reference, tokenizer, rows), -(-len(rows) // max(rounds, 1))
        return lambda r: ordered[r * size : (r + 1) * size]

    def sampled(r: int) -> list[dict]:
        rng, labels = np.random.default_rng([config.seed, r]), config.steps // rounds * config.batch_size
        asked = [rows[i]["prompt"] for i in rng.integers(len(rows), size=max(2 * labels // (k * (k - 1)), 1))]
        return winning_pairs(model, tokenizer, asked, judge, k, margin, seed=int(rng.integers(2**31)))

    return sampled


def load_judge(name: str) -> Labeller:
    """ "reviews" (Bradley-Terry labels of the true reward), "panel" (preferences in circles), or FILE.py:FUNCTION of your own."""
    if name in (known := {"reviews": world.bradley_terry, "panel": world.panel}):
        return known[name]
    file, _, function = name.rpartition(":")
    try:
        return runpy.run_path(file)[function]
    except (OSError, KeyError, ImportError) as error:
        raise DataError(f"{name!r} is no judge: give {', '.join(known)} or FILE.py:FUNCTION ({error})") from None


def in_rounds(
    model: nn.Module, tokenizer, rounds: int, rows_of: Callable[[int], list[dict]], config: TrainConfig,
    moving_reference: bool = False, run_folder: str | Path | None = None, resume: bool = False, progress: bool = True,
) -> list[dict]:  # fmt: skip
    """Train `model` in place, `config.steps // rounds` steps a round, on the rows that `rows_of(round)` gives when it begins.

    The reference is the model as it was at first, or with `moving_reference` as it is when the round begins. The learning rate
    falls in stairs. Iterated DPO (arXiv 2312.11456): rows_of samples the policy; online DPO (arXiv 2402.04792): the same with
    many rounds; sDPO (arXiv 2403.19270): rows_of gives parts of a data set, moving reference; DNO (arXiv 2404.03715): rows_of
    gives `winning_pairs`, moving reference. Returns the metrics, one row a step. `run_folder` gets a run for each round, with
    its pairs; with `resume`, rounds that are done are not done again. DataError if a round has no rows.
    """
    if not 1 <= rounds <= config.steps:
        raise ValueError(f"rounds must be at least 1 and at most the number of steps, {config.steps}, not {rounds}")
    if run_folder:
        if not resume and (Path(run_folder) / "config.json").exists():
            raise DataError(f"{run_folder} holds a run: go on with --resume, or name another folder with --out")
        RunFolder(run_folder, asdict(config) | {"rounds": rounds, "moving_reference": moving_reference}, resume)
    reference, history, length = frozen_copy(model), [], config.steps // rounds
    for r in range(rounds):
        reference = frozen_copy(model) if moving_reference else reference
        folder = Path(run_folder) / f"round-{r + 1}" if run_folder else None
        begun = bool(resume and folder and (folder / "pairs.jsonl").exists() and (folder / "config.json").exists())
        rows = read_rows(folder / "pairs.jsonl")[0] if begun else rows_of(r)
        if not rows:
            raise DataError(f"round {r + 1} has no pairs: give more prompts, or a smaller margin")
        if folder and not begun:
            folder.mkdir(parents=True, exist_ok=True)
            write_rows(folder / "pairs.jsonl", rows)
        settings = config  # one round is an ordinary run
        if rounds > 1:
            rate, warmup = config.learning_rate * (1 - r / rounds), min(config.warmup, length // 4)
            settings = replace(config, steps=length, learning_rate=rate, decay="constant", warmup=warmup)
        if begun and (folder / "model").exists():
            model.load_state_dict(load_model(folder / "model")[0].state_dict())
            done = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        else:
            done = train(model, tokenizer, rows, settings, folder, reference, resume=begun, progress=progress)
        history += [row | {"step": r * length + row["step"], "round": r + 1, "rows": len(rows)} for row in done]
        if run_folder:
            write_rows(Path(run_folder) / "metrics.jsonl", history)
    return history
