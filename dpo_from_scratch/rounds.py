"""Rounds around `training.train` that change the data or the reference.

Iterated and online DPO, sDPO, DNO. A judge is (prompt, first, second) -> probability that the first
response is better. Every comparison is one drawn label, never the probability itself, so that
methods can be compared at equal numbers of labels.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
from torch import nn

from .data import DataError, read_rows, write_rows
from .judges import Labeller
from .models import frozen_copy, load_model, pad_id
from .sampling import sample
from .scoring import pair_log_ratios
from .tokens import encode_rows
from .training import TrainConfig, train
from .training.runs import RunFolder


def judged_pairs(
    policy: nn.Module, tokenizer, prompts: list, judge: Labeller, seed: int = 0
) -> list[dict]:
    """Two samples of the policy for each prompt, in the order that a label of the judge gives.

    Two equal samples leave no row.
    """
    return winning_pairs(policy, tokenizer, prompts, judge, 2, 1.0, seed)


def winning_pairs(
    policy: nn.Module,
    tokenizer,
    prompts: list,
    judge: Labeller,
    k: int = 5,
    margin: float = 0.5,
    seed: int = 0,
) -> list[dict]:
    """DNO's pairs: of k samples for each prompt, those whose win rates differ by `margin` or more.

    arXiv 2404.03715, algorithm 2. Each sample is compared once with each other one: k (k - 1) / 2
    labels a prompt. Empty samples are not compared.
    """
    rng, rows = np.random.default_rng(seed), []
    drawn = sample(policy, tokenizer, [p for p in prompts for _ in range(k)], seed=seed)
    for i in range(0, len(drawn), k):
        prompt = drawn[i].prompt
        texts = list(dict.fromkeys(s.text for s in drawn[i : i + k] if s.text.strip()))
        rates = win_rates(prompt, texts, judge, rng)
        for a, b in combinations(range(len(texts)), 2):
            good, bad = (a, b) if rates[a] > rates[b] else (b, a)
            if rates[good] - rates[bad] >= margin:
                rows.append({"prompt": prompt, "chosen": texts[good], "rejected": texts[bad]})
    return rows


def win_rates(prompt, texts: list[str], judge: Labeller, rng: np.random.Generator) -> np.ndarray:
    """Share of the other K - 1 responses that each one wins against, (K,).

    DNO's estimate of an expected win rate.
    """
    wins = np.zeros((len(texts), len(texts)))
    for i, j in combinations(range(len(texts)), 2):
        wins[i, j] = rng.random() < judge(prompt, texts[i], texts[j])
        wins[j, i] = 1 - wins[i, j]
    return wins.sum(1) / max(len(texts) - 1, 1)


def easy_to_hard(model: nn.Module, reference: nn.Module, tokenizer, rows: list[dict]) -> list[dict]:
    """The rows in order: first those whose label the model's implicit reward agrees with most.

    arXiv 2403.19270 orders whole data sets by the reward accuracy of a model; this orders rows by
    the same model's margin.
    """
    examples, _ = encode_rows(tokenizer, rows)
    rho = pair_log_ratios(model, reference, examples, pad_id(tokenizer))
    return [rows[i] for i in np.argsort(rho[:, 1] - rho[:, 0], kind="stable")]


def plan(
    method: str,
    model: nn.Module,
    tokenizer,
    rows: list[dict],
    judge: Labeller,
    rounds: int,
    config: TrainConfig,
    k: int = 2,
    margin: float = 1.0,
) -> Callable[[int], list[dict]]:
    """The rows of each round for `in_rounds`.

    "sdpo": parts of the rows, easy pairs first, told by a run of half the steps. Else samples of
    the model as it is by then, on prompts drawn from the rows, with one label for every row of a
    training step.
    """
    if method == "sdpo":
        guide, reference = frozen_copy(model).requires_grad_(True), frozen_copy(model)
        half = replace(config, steps=max(config.steps // 2, 1))
        train(guide, tokenizer, rows, half, progress=False)
        ordered = easy_to_hard(guide, reference, tokenizer, rows)
        size = -(-len(rows) // max(rounds, 1))
        return lambda r: ordered[r * size : (r + 1) * size]

    def sampled(r: int) -> list[dict]:
        rng = np.random.default_rng([config.seed, r])
        labels = config.steps // rounds * config.batch_size
        drawn = rng.integers(len(rows), size=max(2 * labels // (k * (k - 1)), 1))
        asked = [rows[i]["prompt"] for i in drawn]
        seed = int(rng.integers(2**31))
        return winning_pairs(model, tokenizer, asked, judge, k, margin, seed=seed)

    return sampled


def in_rounds(
    model: nn.Module,
    tokenizer,
    rounds: int,
    rows_of: Callable[[int], list[dict]],
    config: TrainConfig,
    moving_reference: bool = False,
    run_folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
) -> list[dict]:
    """Train `model` in place, `config.steps // rounds` steps a round, on the rows of each round.

    `rows_of(round)` gives them when the round begins. The reference is the model as it was at
    first, or with `moving_reference` as it is when the round begins. The learning rate falls in
    stairs. Iterated DPO (arXiv 2312.11456): rows_of samples the policy; online DPO (arXiv
    2402.04792): the same with many rounds; sDPO (arXiv 2403.19270): rows_of gives parts of a data
    set, moving reference; DNO (arXiv 2404.03715): rows_of gives `winning_pairs`, moving reference.
    Returns the metrics, one row a step. `run_folder` gets a run for each round, with its pairs;
    with `resume`, rounds that are done are not done again. DataError if a round has no rows.
    """
    if not 1 <= rounds <= config.steps:
        most = f"at most the number of steps, {config.steps}"
        raise ValueError(f"rounds must be at least 1 and {most}, not {rounds}")
    if run_folder:
        _claim(Path(run_folder), config, rounds, moving_reference, resume)
    reference, history, length = frozen_copy(model), [], config.steps // rounds
    for r in range(rounds):
        reference = frozen_copy(model) if moving_reference else reference
        folder = Path(run_folder) / f"round-{r + 1}" if run_folder else None
        rows, begun = _rows_of_round(r, rows_of, folder, resume)
        if begun and (folder / "model").exists():
            done = _finished_round(model, folder)
        else:
            settings = _settings_of_round(config, r, rounds)
            done = train(
                model,
                tokenizer,
                rows,
                settings,
                folder,
                reference,
                resume=begun,
                progress=progress,
            )
        told = {"round": r + 1, "rows": len(rows)}
        history += [row | {"step": r * length + row["step"]} | told for row in done]
        if run_folder:
            write_rows(Path(run_folder) / "metrics.jsonl", history)
    return history


def _claim(folder: Path, config: TrainConfig, rounds: int, moving: bool, resume: bool) -> None:
    """The folder of all rounds: new, or with `resume` one of a run with the same settings."""
    if not resume and (folder / "config.json").exists():
        choice = "go on with --resume, or name another folder with --out"
        raise DataError(f"{folder} holds a run: {choice}")
    settings = config.resolved() | {"rounds": rounds, "moving_reference": moving}
    RunFolder(folder, settings, resume)


def _rows_of_round(
    r: int, rows_of: Callable[[int], list[dict]], folder: Path | None, resume: bool
) -> tuple[list[dict], bool]:
    """The rows of a round, and whether an earlier run has begun it; they are kept in its folder."""
    pairs = folder / "pairs.jsonl" if folder else None
    begun = bool(resume and folder and pairs.exists() and (folder / "config.json").exists())
    rows = read_rows(pairs)[0] if begun else rows_of(r)
    if not rows:
        raise DataError(f"round {r + 1} has no pairs: give more prompts, or a smaller margin")
    if folder and not begun:
        folder.mkdir(parents=True, exist_ok=True)
        write_rows(pairs, rows)
    return rows, begun


def _settings_of_round(config: TrainConfig, r: int, rounds: int) -> TrainConfig:
    """A stair of the learning rate; one round is an ordinary run."""
    if rounds == 1:
        return config
    length, rate = config.steps // rounds, config.learning_rate * (1 - r / rounds)
    warmup = min(config.warmup, length // 4)
    return replace(config, steps=length, learning_rate=rate, decay="constant", warmup=warmup)


def _finished_round(model: nn.Module, folder: Path) -> list[dict]:
    """The model takes the weights of a round that is done; returns its metrics."""
    model.load_state_dict(load_model(folder / "model")[0].state_dict())
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
