"""Chapter 20: SmolLM2-135M and people's ratings, three seeds.

DPO with hard and soft labels, and a reward model. An hour on two cores. Needs SmolLM2 and the
ratings (`make smollm2 ratings`). All runs start from one model: SmolLM2 after SFT on 512 of the
rated sentences, made once and kept in runs/human_ratings. Hard labels, soft labels and the reward
model of a seed see the same pairs.
"""

import json
import re
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from torch import nn

from .. import rlhf
from ..feedback import sentiment
from ..lab.ratings import BLOCK, PROMPT, TEST_EVERY
from ..lab.studies import Study
from ..models import Scorer, cache_folder, frozen_copy, load_model, pad_id
from ..sampling import sample
from ..scoring import log_ratios, score_examples
from ..tokens import Example, encode_rows
from ..training import PRESETS, TrainConfig, train

WORDS, PAIRS = 15, 256
RATES = {"hard": (5e-4, 1e-3), "reward model": (5e-5, 1e-4)}
LOSSES = {"hard": "dpo", "soft": "soft_dpo"}  # for the two kinds of labels
ARMS, SEEDS = (*LOSSES, "reward model"), range(3)
# samples with such words are measured, and not kept
COARSE = re.compile(r"fuck|shit|masturbat|nudis")

study = Study(
    __file__,
    "Real people's ratings",
    tolerances={
        "loss": 0.01,  # of the slice
        "margin": 0.02,
        # of the tuning: three standard deviations over the seeds at the chosen rates
        "accuracy": 0.04,
        "train_accuracy": 0.15,
        "scores": 5.0,
    },
)


@dataclass(frozen=True)
class Setup:
    """How large the study is, where it runs, and whose record tells the learning rates."""

    runs: Path = Path("runs/human_ratings")
    device: str = "cpu"
    pairs: int = PAIRS
    steps: int = 32
    samples: int = 96  # that are measured
    most: int | None = None  # sentences of each split; None: all
    tuned: Study = study


FULL = Setup()


# ---------------------------------------------------------------- what people said
@cache
def everything() -> list[dict]:
    """All rated sentences, {"text", "ratings", "block"}."""
    with open(cache_folder() / "human_ratings" / "sentences.jsonl", encoding="utf-8") as file:
        return [json.loads(line) | {"block": number // BLOCK} for number, line in enumerate(file)]


@cache
def sentences(split: str, setup: Setup = FULL) -> list[dict]:
    """Those of 3 to 15 words.

    Every tenth block is "test", the one after it "tune", the others "train".
    """
    own = {"test": (0,), "tune": (1,)}.get(split, range(2, TEST_EVERY))
    fits = lambda s: s["block"] % TEST_EVERY in own and 3 <= len(s["text"].split()) <= WORDS
    return [s for s in everything() if fits(s)][: setup.most]


def beats(a: list[int], b: list[int]) -> float:
    """P(rating of A > rating of B) for a person of A's and one of B's block; a tie counts half."""
    return float((np.sign(np.subtract.outer(a, b)).mean() + 1) / 2)


def make_pairs(number: int, seed: int, setup: Setup = FULL) -> list[dict]:
    """Pairs of training sentences of different blocks, with `probability`.

    No sentence comes twice; ties are left out.
    """
    pool, rows = sentences("train", setup), []
    order = np.random.default_rng([20, seed]).permutation(len(pool))
    for i, j in zip(order[::2], order[1::2], strict=False):
        p = beats(pool[i]["ratings"], pool[j]["ratings"])
        if pool[i]["block"] != pool[j]["block"] and p != 0.5:
            better, worse = (pool[i], pool[j]) if p > 0.5 else (pool[j], pool[i])
            texts = {"chosen": " " + better["text"], "rejected": " " + worse["text"]}
            rows.append({"prompt": PROMPT} | texts | {"probability": max(p, 1 - p)})
    return rows[:number]


def accuracy(scores: np.ndarray, split: str, setup: Setup = FULL) -> float:
    """Share of pairs of different blocks that the scores put in the raters' order."""
    rated = sentences(split, setup)
    right = [
        (scores[i] - scores[j]) * (beats(rated[i]["ratings"], rated[j]["ratings"]) - 0.5)
        for i in range(len(rated))
        for j in range(i)
        if rated[i]["block"] != rated[j]["block"]
    ]
    return float(((1 + np.sign(right)) / 2)[np.array(right) != 0].mean())


# ---------------------------------------------------------------- the reference
def config(seed: int, **other) -> TrainConfig:
    """The preset of SmolLM2 without accumulation."""
    own = {"accumulation": 1, "seed": seed, "save_every": 10, "score_all": True}
    return TrainConfig(**PRESETS["smollm2"] | own | other)


@cache
def start(setup: Setup = FULL) -> tuple[nn.Module, object]:
    """SmolLM2 after SFT on 512 sentences, praise and blame alike: the reference of every run."""
    model, tokenizer = load_model("smollm2")
    folder = setup.runs / "sft"
    if not (folder / "model").exists():
        rows = make_pairs(setup.pairs, 50, setup)
        texts = [
            {"prompt": PROMPT, "completion": row[side]}
            for row in rows
            for side in ("chosen", "rejected")
        ]
        settings = config(50, loss="sft", batch_size=16, steps=setup.steps)
        begun = (folder / "config.json").exists()
        model = model.to(setup.device)
        train(model, tokenizer, texts, settings, folder, resume=begun, progress=False)
    return frozen_copy(load_model(str(folder / "model"))[0].to(setup.device)), tokenizer


def examples(tokenizer, split: str, setup: Setup = FULL) -> list[Example]:
    """The sentences of a split as responses to the prompt."""
    texts = [" " + s["text"] for s in sentences(split, setup)]
    rows = [{"prompt": PROMPT, "completion": text} for text in texts]
    return [e for (e,) in encode_rows(tokenizer, rows)[0]]


@cache
def reference_scores(split: str, setup: Setup = FULL) -> np.ndarray:
    """log pi_ref(y|x) of the sentences of a split, (N,), nats."""
    reference, tokenizer = start(setup)
    asked = examples(tokenizer, split, setup)
    return score_examples(Scorer(reference), asked, pad_id(tokenizer)).double().numpy()


# ---------------------------------------------------------------- measures
def six_words(text: str) -> set[tuple]:
    """Every six words in a row, in small letters."""
    words = text.lower().split()
    return {tuple(words[i : i + 6]) for i in range(len(words) - 5)}


def measured(policy: nn.Module, reference: nn.Module, tokenizer, seed: int, setup: Setup) -> dict:
    """Samples: VADER, words, KL to the reference in nats, texts.

    Texts that repeat six words of a rated sentence are left out.
    """
    asked = [PROMPT] * setup.samples
    drawn = sample(policy, tokenizer, asked, max_new_tokens=40, seed=seed, stream="batch")
    texts = [" ".join(s.text.split()) for s in drawn]
    known = set().union(*(six_words(s["text"]) for s in everything()))
    rho = log_ratios(policy, reference, [s.example for s in drawn], pad_id(tokenizer))
    own = [t for t in texts if not six_words(t) & known]
    return {
        "sentiment": float(np.mean([sentiment(t) for t in texts])),
        "words": float(np.mean([len(t.split()) for t in texts])),
        "kl": float(rho.mean()),
        "finished": float(np.mean([s.finished for s in drawn])),
        "distinct": len(set(texts)) / setup.samples,
        "copied": float(np.mean([bool(six_words(t) & known) for t in texts])),
        "texts": [t for t in own if not COARSE.search(t.lower())],
    }


# ---------------------------------------------------------------- points
@study.points([{"arm": "slice", "seed": 0}])
def slice_of_a_run(seed: int, arm: str = "slice") -> dict:
    """Four steps of DPO from the untouched model, short enough to be repeated in the chapter."""
    model, tokenizer = load_model("smollm2")
    settings = config(seed, steps=4, batch_size=4, learning_rate=1e-3)
    history = train(model, tokenizer, make_pairs(16, seed), settings, progress=False)
    return {key: [row[key] for row in history] for key in ("loss", "margin", "accuracy")}


def fitted(arm: str, rate: float, seed: int, split: str, setup: Setup) -> tuple[nn.Module, dict]:
    """A run of an arm: its policy, and how its scores order the sentences of a split."""
    begun, (reference, tokenizer) = time.monotonic(), start(setup)
    policy, pad = frozen_copy(reference).requires_grad_(True), pad_id(tokenizer)
    rows, asked = make_pairs(setup.pairs, seed, setup), examples(tokenizer, split, setup)
    loss = LOSSES.get(arm, "dpo")  # which a reward model takes no notice of
    settings = config(seed, loss=loss, steps=setup.steps, learning_rate=rate)
    if arm == "reward model":
        head, history = rlhf.train_reward_model(policy, tokenizer, rows, settings)
        scores = rlhf.score_texts(head, asked, pad).cpu().double().numpy()
    else:
        history = train(policy, tokenizer, rows, settings, progress=False)
        scores = score_examples(Scorer(policy), asked, pad).double().numpy()
        scores = scores - reference_scores(split, setup)
    return policy, {
        "train_accuracy": float(np.mean([row["accuracy"] for row in history[-10:]])),
        "accuracy": accuracy(scores, split, setup),
        "scores": [round(float(s), 4) for s in scores],
        "seconds": time.monotonic() - begun,
    }


@study.points(
    [
        {"arm": arm, "learning_rate": rate, "seed": 99}
        for arm, rates in RATES.items()
        for rate in rates
    ]
)
def tune(arm: str, learning_rate: float, seed: int, setup: Setup = FULL) -> dict:
    """A learning rate, measured on blocks held out for it."""
    return fitted(arm, learning_rate, seed, "tune", setup)[1]


@cache
def best_rate(arm: str, setup: Setup) -> float:
    """The learning rate that the tuning chose; soft labels take that of hard ones."""
    arm = "hard" if arm == "soft" else arm
    return setup.tuned.record().best("learning_rate", by="accuracy", arm=arm, seed=99)


@study.points([{"arm": "before", "seed": seed} for seed in SEEDS])
def untouched(arm: str, seed: int, setup: Setup = FULL) -> dict:
    """The reference itself."""
    reference, tokenizer = start(setup)
    return measured(reference, reference, tokenizer, seed, setup)


@study.points([{"arm": arm, "seed": seed} for seed in SEEDS for arm in ARMS])
def run(arm: str, seed: int, setup: Setup = FULL) -> dict:
    """An arm at its best rate: order of the test sentences; of a policy, its samples too."""
    begun = time.monotonic()
    policy, found = fitted(arm, best_rate(arm, setup), seed, "test", setup)
    if arm != "reward model":
        found |= measured(policy, *start(setup), seed, setup)
    return found | {"seconds": time.monotonic() - begun}


if __name__ == "__main__":
    study.main()
