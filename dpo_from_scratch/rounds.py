"""Rounds around `training.train` that change the data or the reference.

Iterated and online DPO, sDPO, DNO. A judge is (prompt, first, second) -> probability that the first
response is better. Every comparison is one drawn label, never the probability itself, so that
methods can be compared at equal numbers of labels.
"""

import json
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
from torch import nn
from tqdm.auto import tqdm

from .data import DataError
from .judges import Labeller, as_chats, checked_probability, cut_off
from .models import frozen_copy, pad_id
from .processes.group import here
from .processes.run import open_run
from .processes.samples import sample_shared
from .processes.scores import log_ratios_shared
from .sampling import Sample
from .tokens import encode_rows
from .training import TrainConfig, train
from .training.fingerprints import fingerprint
from .training.folders import clear, recorded, refuse_links
from .training.runs import write_text
from .training.settings import as_begun
from .training.stages import NOTES, stage, trained


def judged_pairs(
    policy: nn.Module,
    tokenizer,
    prompts: list,
    judge: Labeller,
    seed: int = 0,
    max_new_tokens: int | None = None,
    stream: str = "row",
) -> list[dict]:
    """Two samples of the policy for each prompt, in the order that a label of the judge gives.

    Two equal samples leave no row, nor does one that was cut off. `stream` as `sample` has it.
    """
    how = (2, 1.0, seed, max_new_tokens)
    return winning_pairs(policy, tokenizer, prompts, judge, *how, stream=stream)


def winning_pairs(
    policy: nn.Module,
    tokenizer,
    prompts: list,
    judge: Labeller,
    k: int = 5,
    margin: float = 0.5,
    seed: int = 0,
    max_new_tokens: int | None = None,
    progress: bool = False,
    stream: str = "row",
) -> list[dict]:
    """DNO's pairs: of k samples for each prompt, those whose win rates differ by `margin` or more.

    arXiv 2404.03715, algorithm 2. Each sample is compared once with each other one: k (k - 1) / 2
    labels a prompt. Empty samples are not compared, nor are those that were cut off after
    `max_new_tokens` (None: what the context leaves, at most 256): training would put an end behind
    them that the policy never wrote. A warning says how many; DataError where they leave no pair.
    `stream` as `sample` has it.
    """
    if k < 2 or not margin > 0:
        raise DataError(f"k must be 2 or more and margin positive, not {k} and {margin}")
    asked = [p for p in prompts for _ in range(k)]
    progress = progress and sys.stderr.isatty()  # no bar in a log
    how = {"max_new_tokens": max_new_tokens, "seed": seed, "stream": stream}
    drawn = sample_shared(policy, tokenizer, asked, progress=progress, **how)
    of_prompts = [drawn[i : i + k] for i in range(0, len(drawn), k)]
    rows = here().from_first(lambda: _compared(of_prompts, judge, margin, seed, progress))
    cut = sum(not s.finished for s in drawn)
    if not rows and 2 * cut > len(drawn):
        raise DataError(cut_off(cut, len(drawn)))
    if cut and here().first:
        warnings.warn(cut_off(cut, len(drawn)), stacklevel=2)
    return [row if isinstance(row["prompt"], str) else as_chats([row])[0] for row in rows]


def _compared(
    drawn: list[list[Sample]], judge: Labeller, margin: float, seed: int, progress: bool
) -> list[dict]:
    """Of the samples of each prompt the pairs whose win rates differ by `margin` or more."""
    rng, rows = np.random.default_rng(seed), []
    for samples in tqdm(drawn, desc="judging", disable=not progress, leave=False):
        prompt = samples[0].prompt
        whole = [s.text for s in samples if s.finished and s.text.strip()]
        texts = list(dict.fromkeys(whole))
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
        wins[i, j] = rng.random() < checked_probability(judge, prompt, texts[i], texts[j])
        wins[j, i] = 1 - wins[i, j]
    return wins.sum(1) / max(len(texts) - 1, 1)


def easy_to_hard(model: nn.Module, reference: nn.Module, tokenizer, rows: list[dict]) -> list[dict]:
    """The rows in order: first those whose label the model's implicit reward agrees with most.

    arXiv 2403.19270 orders whole data sets by the reward accuracy of a model; this orders rows by
    the same model's margin.
    """
    examples, _ = encode_rows(tokenizer, rows)
    rho = log_ratios_shared(model, reference, examples, pad_id(tokenizer))
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
    max_new_tokens: int | None = None,
    progress: bool = False,
    stream: str = "row",
) -> Callable[[int], list[dict]]:
    """The rows of each round for `in_rounds`.

    "sdpo": parts of the rows, easy pairs first, told by a run of half the steps. Else samples of
    the model as it is by then, on prompts drawn from the rows, with one label for every row of a
    training step. A run that goes on samples by the `stream` that it began with
    (`sampling.stream_of`). DataError for more parts than rows.
    """
    if method == "sdpo":
        size = -(-len(rows) // max(rounds, 1))
        if size * (rounds - 1) >= len(rows):
            raise DataError(f"{len(rows)} pairs make no {rounds} parts: give fewer rounds")
        guide, reference = frozen_copy(model).requires_grad_(True), frozen_copy(model)
        half = replace(config, steps=max(config.steps // 2, 1))

        @cache
        def ordered() -> list[dict]:  # only if a round asks: one that is done does not
            train(guide, tokenizer, rows, half, progress=progress, force=True)
            return easy_to_hard(guide, reference, tokenizer, rows)

        return lambda r: ordered()[r * size : (r + 1) * size]

    def sampled(r: int) -> list[dict]:
        rng = np.random.default_rng([config.seed, r])
        labels = config.steps // rounds * config.batch_size
        drawn = rng.integers(len(rows), size=max(2 * labels // (k * (k - 1)), 1))
        asked = [rows[i]["prompt"] for i in drawn]
        seed = int(rng.integers(2**31))
        how = (k, margin, seed, max_new_tokens, progress, stream)
        return winning_pairs(model, tokenizer, asked, judge, *how)

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
    decided_by: dict | None = None,
    overwrite: bool = False,
) -> list[dict]:
    """Train `model` in place, `config.steps // rounds` steps a round, on the rows of each round.

    `rows_of(round)` gives them when the round begins. The reference is the model as it was at
    first, or with `moving_reference` as it is when the round begins. The learning rate falls in
    stairs. Iterated DPO (arXiv 2312.11456): rows_of samples the policy; online DPO (arXiv
    2402.04792): the same with many rounds; sDPO (arXiv 2403.19270): rows_of gives parts of a data
    set, moving reference; DNO (arXiv 2404.03715): rows_of gives `winning_pairs`, moving reference.
    Returns the metrics, one row a step. `run_folder` gets a run for each round, with its pairs;
    with `resume`, rounds that are done are not done again. `decided_by` is what else decides the
    rounds, such as the judge and the data: a run does not go on with another one. `overwrite`
    begins anew where the folder holds a run. DataError if a round has no rows.
    """
    if not 1 <= rounds <= config.steps:
        most = f"at most the number of steps, {config.steps}"
        raise ValueError(f"rounds must be at least 1 and {most}, not {rounds}")
    if resume and run_folder:
        config = as_begun(config, recorded(Path(run_folder)))
    work = (model, tokenizer, rounds, rows_of, config, moving_reference, progress)
    if not run_folder:
        return _do(*work, folder=None)
    folder, decided = Path(run_folder), (config, rounds, moving_reference, decided_by)
    settings, begun = decides(model, *decided)
    if recorded(folder) is None and (folder / "round-1").exists():
        told = "round-1, and no readable config.json of the run that made it: move it away"
        raise DataError(f"{folder} holds {told}, or name another folder with --out")
    refuse_links(folder, [f"round-{r + 1}" for r in range(rounds)])
    last = f"round-{rounds}/model"
    with open_run(folder, settings, lambda: begun, resume, overwrite, last):
        if not resume:
            here().from_first(lambda: _clear_rounds(folder))
        return _do(*work, folder=folder)


def decides(
    model: nn.Module,
    config: TrainConfig,
    rounds: int,
    moving_reference: bool,
    decided_by: dict | None = None,
) -> tuple[dict, dict]:
    """(settings, hashes of what it begins with): all that decides a run in rounds, in words."""
    settings = config.resolved() | {"rounds": rounds, "moving_reference": moving_reference}
    return settings | (decided_by or {}), {"starting model": fingerprint(model.parameters())}


def _do(
    model: nn.Module,
    tokenizer,
    rounds: int,
    rows_of: Callable[[int], list[dict]],
    config: TrainConfig,
    moving_reference: bool,
    progress: bool,
    folder: Path | None,
) -> list[dict]:
    """All rounds, one after the other; those that the folder holds are read."""
    reference, history, length = frozen_copy(model), [], config.steps // rounds
    for r in range(rounds):
        reference = frozen_copy(model) if moving_reference else reference
        run = folder / f"round-{r + 1}" if folder else None
        rows = _rows_of_round(r, rows_of, run, model)
        settings = _settings_of_round(config, r, rounds)
        done = trained(run, model, tokenizer, rows, settings, reference, progress)
        told = {"round": r + 1, "rows": len(rows)}
        history += [row | {"step": r * length + row["step"]} | told for row in done]
        if folder and here().first:
            text = "".join(json.dumps(row) + "\n" for row in history)
            write_text(folder / "metrics.jsonl", text)
    return history


def _clear_rounds(folder: Path) -> None:
    """Delete the rounds that an earlier run left in the folder, and nothing else."""
    for run in sorted(folder.glob("round-*"), reverse=True):
        if recorded(run) or (run / NOTES).exists():
            for name in ("pairs.jsonl", NOTES):
                (run / name).unlink(missing_ok=True)
            clear(run)
            with suppress(OSError):
                run.rmdir()  # unless something else is in it


def _rows_of_round(
    r: int, rows_of: Callable[[int], list[dict]], folder: Path | None, model: nn.Module
) -> list[dict]:
    """The rows of a round; with a folder they are kept there, and read if an earlier run made them.

    The policy that they were made with must be the one that is here now.
    """

    def make() -> list[dict]:
        rows = rows_of(r)
        if not rows:
            raise DataError(f"round {r + 1} has no pairs: give more prompts, or a smaller margin")
        return rows

    if not folder:
        return make()
    begins_with = {"policy of the round before": fingerprint(model.parameters())}
    return stage(folder / "pairs.jsonl", make, begins_with)


def _settings_of_round(config: TrainConfig, r: int, rounds: int) -> TrainConfig:
    """A stair of the learning rate; one round is an ordinary run."""
    if rounds == 1:
        return config
    length, rate = config.steps // rounds, config.learning_rate * (1 - r / rounds)
    warmup = min(config.warmup, length // 4)
    return replace(config, steps=length, learning_rate=rate, decay="constant", warmup=warmup)
