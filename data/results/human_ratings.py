"""Chapter 20: SmolLM2-135M and people's ratings: DPO with hard and soft labels, a reward model; three seeds. An hour on two cores.

Needs SmolLM2 and the ratings (`make smollm2 ratings`). All runs start from one model: SmolLM2 after SFT on 512 of the rated
sentences, made once and kept in runs/human_ratings. Hard labels, soft labels and the reward model of a seed see the same pairs.
"""

import json
import re
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np

from dpo_from_scratch import rlhf
from dpo_from_scratch.evaluation import log_ratios
from dpo_from_scratch.models import Scorer, cache_folder, frozen_copy, load_model, pad_id
from dpo_from_scratch.ratings import BLOCK, PROMPT, TEST_EVERY
from dpo_from_scratch.records import load_record, run_study
from dpo_from_scratch.sampling import sample
from dpo_from_scratch.tokens import encode_rows
from dpo_from_scratch.training import PRESETS, TrainConfig, score_examples, train

sys.path.append(str(Path(__file__).parents[1]))
from ai_feedback import sentiment

WORDS, PAIRS, STEPS, SAMPLES = 15, 256, 32, 96
RATES = {"hard": (5e-4, 1e-3), "reward model": (5e-5, 1e-4)}
RUNS = Path("runs/human_ratings")
COARSE = re.compile(r"fuck|shit|masturbat|nudis")  # samples with such words are measured, and not kept


@cache
def everything() -> list[dict]:
    """All rated sentences, {"text", "ratings", "block"}."""
    with open(cache_folder() / "human_ratings" / "sentences.jsonl", encoding="utf-8") as file:
        return [json.loads(line) | {"block": number // BLOCK} for number, line in enumerate(file)]


@cache
def sentences(split: str) -> list[dict]:
    """Those of 3 to 15 words; every tenth block is "test", the one after it "tune", the others "train"."""
    own = {"test": (0,), "tune": (1,)}.get(split, range(2, TEST_EVERY))
    return [s for s in everything() if s["block"] % TEST_EVERY in own and 3 <= len(s["text"].split()) <= WORDS]


def beats(a: list[int], b: list[int]) -> float:
    """P(rating of A > rating of B) for a person of A's and a person of B's block; a tie counts one half."""
    return float((np.sign(np.subtract.outer(a, b)).mean() + 1) / 2)


def make_pairs(number: int, seed: int) -> list[dict]:
    """Pairs of training sentences of different blocks, no sentence twice, with `probability`; ties are left out."""
    pool, rows = sentences("train"), []
    order = np.random.default_rng([20, seed]).permutation(len(pool))
    for i, j in zip(order[::2], order[1::2], strict=False):
        p = beats(pool[i]["ratings"], pool[j]["ratings"])
        if pool[i]["block"] != pool[j]["block"] and p != 0.5:
            chosen, rejected = (pool[i], pool[j]) if p > 0.5 else (pool[j], pool[i])
            rows.append({"prompt": PROMPT, "chosen": " " + chosen["text"], "rejected": " " + rejected["text"],
                         "probability": max(p, 1 - p)})  # fmt: skip
    return rows[:number]


def config(seed: int, **other) -> TrainConfig:
    return TrainConfig(**PRESETS["smollm2"] | {"steps": STEPS, "accumulation": 1, "seed": seed, "save_every": 10} | other)


@cache
def start():
    """SmolLM2 after SFT on 512 sentences, praise and blame alike: the reference of every run."""
    model, tokenizer = load_model("smollm2")
    if not (RUNS / "sft" / "model").exists():
        texts = [{"prompt": PROMPT, "completion": row[side]} for row in make_pairs(PAIRS, 50) for side in ("chosen", "rejected")]
        begun = (RUNS / "sft" / "config.json").exists()
        train(model, tokenizer, texts, config(50, loss="sft", batch_size=16), RUNS / "sft", resume=begun, progress=False)
    return frozen_copy(load_model(str(RUNS / "sft" / "model"))[0]), tokenizer


def examples(tokenizer, split: str) -> list:
    return [e for (e,) in encode_rows(tokenizer, [{"prompt": PROMPT, "completion": " " + s["text"]} for s in sentences(split)])[0]]


@cache
def reference_scores(split: str) -> np.ndarray:
    """log pi_ref(y|x) of the sentences of a split, (N,), nats."""
    reference, tokenizer = start()
    return score_examples(Scorer(reference), examples(tokenizer, split), pad_id(tokenizer)).double().numpy()


def accuracy(scores: np.ndarray, split: str) -> float:
    """Share of pairs of different blocks that the scores put in the raters' order."""
    rated = sentences(split)
    right = [(scores[i] - scores[j]) * (beats(rated[i]["ratings"], rated[j]["ratings"]) - 0.5)
             for i in range(len(rated)) for j in range(i) if rated[i]["block"] != rated[j]["block"]]  # fmt: skip
    return float(((1 + np.sign(right)) / 2)[np.array(right) != 0].mean())


def six_words(text: str) -> set[tuple]:
    words = text.lower().split()
    return {tuple(words[i : i + 6]) for i in range(len(words) - 5)}


def measured(policy, reference, tokenizer, seed: int) -> dict:
    """Samples: VADER, words, KL to the reference in nats, texts; those that repeat six words of a rated sentence are left out."""
    drawn = sample(policy, tokenizer, [PROMPT] * SAMPLES, max_new_tokens=40, seed=seed)
    texts = [" ".join(s.text.split()) for s in drawn]
    known = set().union(*(six_words(s["text"]) for s in everything()))
    return {
        "sentiment": float(np.mean([sentiment(t) for t in texts])), "words": float(np.mean([len(t.split()) for t in texts])),
        "kl": float(log_ratios(policy, reference, [s.example for s in drawn], pad_id(tokenizer)).mean()),
        "finished": float(np.mean([s.finished for s in drawn])), "distinct": len(set(texts)) / SAMPLES,
        "copied": float(np.mean([bool(six_words(t) & known) for t in texts])),
        "texts": [t for t in texts if not six_words(t) & known and not COARSE.search(t.lower())],
    }  # fmt: skip


@cache
def best_rate(arm: str) -> float:
    found = [p for p in load_record("human_ratings")["points"] if p["point"]["arm"] == arm and "learning_rate" in p["point"]]
    return max(found, key=lambda p: p["result"]["accuracy"])["point"]["learning_rate"]


def slice_of_a_run(seed: int) -> dict:
    """Four steps of DPO from the untouched model, short enough to be repeated in the chapter."""
    model, tokenizer = load_model("smollm2")
    history = train(model, tokenizer, make_pairs(16, seed), config(seed, steps=4, batch_size=4, learning_rate=1e-3), progress=False)
    return {key: [row[key] for row in history] for key in ("loss", "margin", "accuracy")}


def run(point: dict) -> dict:
    begun, (arm, seed) = time.monotonic(), (point["arm"], point["seed"])
    if arm == "slice":
        return slice_of_a_run(seed)
    tune, (reference, tokenizer) = "learning_rate" in point, start()
    if arm == "before":
        return measured(reference, reference, tokenizer, seed)
    policy, split = frozen_copy(reference).requires_grad_(True), "tune" if tune else "test"
    rate = point.get("learning_rate") or best_rate("reward model" if arm == "reward model" else "hard")
    rows, asked, found = make_pairs(PAIRS, seed), examples(tokenizer, split), {}
    if arm == "reward model":
        head, history = rlhf.train_reward_model(policy, tokenizer, rows, config(seed, learning_rate=rate))
        scores = rlhf.score_texts(head, asked, pad_id(tokenizer)).double().numpy()
    else:
        loss = {"hard": "dpo", "soft": "dno"}[arm]
        history = train(policy, tokenizer, rows, config(seed, loss=loss, learning_rate=rate), progress=False)
        scores = score_examples(Scorer(policy), asked, pad_id(tokenizer)).double().numpy() - reference_scores(split)
        found = {} if tune else measured(policy, reference, tokenizer, seed)
    found |= {"train_accuracy": float(np.mean([row["accuracy"] for row in history[-10:]])), "accuracy": accuracy(scores, split)}
    return found | {"scores": [round(float(s), 4) for s in scores], "seconds": time.monotonic() - begun}


if __name__ == "__main__":
    points = [{"arm": "slice", "seed": 0}]
    points += [{"arm": arm, "learning_rate": rate, "seed": 99} for arm, rates in RATES.items() for rate in rates]
    points += [{"arm": arm, "seed": seed} for seed in range(3) for arm in ("before", "hard", "soft", "reward model")]
    print(run_study(__file__, "Real people's ratings", points, run))
