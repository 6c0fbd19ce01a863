"""Chapter 19: Zephyr's recipe on SmolLM2-135M, three seeds.

A rubric is the judge; pairs are the best response against a random one or the worst. An hour on two
cores. Needs SmolLM2 (`make smollm2`). Responses and runs lie in runs/zephyr, so a point that was
killed goes on too.
"""

import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from ..feedback import HELD_OUT, PROMPTS, ROUNDS, STEPS, pipeline, rubric, sentiment, settings
from ..lab.studies import Study
from ..models import Scorer, frozen_copy, load_model, pad_id
from ..sampling import Sample, sample
from ..scoring import score_examples

RULES, SEEDS = ("random", "worst"), range(3)

study = Study(__file__, "Zephyr in miniature")


@dataclass(frozen=True)
class Setup:
    """How large the study is, and where it runs."""

    runs: Path = Path("runs/zephyr")
    device: str = "cpu"
    prompts: tuple[str, ...] = tuple(PROMPTS)
    rounds: int = ROUNDS  # groups of responses to each prompt
    steps: int = STEPS  # of DPO
    samples: int = 128  # that are measured


FULL = Setup()


def loaded(setup: Setup) -> tuple[nn.Module, object]:
    """SmolLM2 where the study runs, and its tokenizer."""
    model, tokenizer = load_model("smollm2")
    return model.to(setup.device), tokenizer


def measured(policy: nn.Module, reference: nn.Module, tokenizer, seed: int, setup: Setup) -> dict:
    """The judge's score, and what the judge did not look at: means over held-out prompts.

    likely: mean log-probability of a token under the untouched model, nats; the rest: `of_texts`.
    """
    asked = [HELD_OUT[i % len(HELD_OUT)] for i in range(setup.samples)]
    chats = [[{"role": "user", "content": p}] for p in asked]
    drawn = sample(
        policy, tokenizer, chats, max_new_tokens=64, batch_size=64, seed=seed, stream="batch"
    )
    examples = [s.example for s in drawn]
    logps, likely = (
        score_examples(Scorer(m), examples, pad_id(tokenizer)).double().numpy()
        for m in (policy, reference)
    )
    return of_texts(asked, drawn) | {
        "kl": float((logps - likely).mean()),
        "likely": float(np.mean(likely / [e.response_length for e in examples])),
        "texts": [s.text for s in drawn[: len(HELD_OUT)]],
    }


def of_texts(asked: list[str], drawn: list[Sample]) -> dict[str, float]:
    """What can be read off the texts alone.

    one_sentence: the share that obeys the prompt; subject: the share that names what is reviewed
    (the film, the hotel; the judge looks for the aspect alone); openings: different first four
    words; first_twelve: sentiment of the first twelve words.
    """
    texts = [s.text for s in drawn]
    ends = [s.finished and sum(s.text.count(c) for c in ".!?") == 1 for s in drawn]
    subjects = [p.split(" of the ")[1].split("'s")[0] for p in asked]
    words = [re.findall(r"[a-z]+", t.lower()) for t in texts]
    named = [subject in row for subject, row in zip(subjects, words, strict=True)]
    first = lambda text, n: " ".join(text.split()[:n])
    return {
        "judge": float(np.mean([rubric(p, [t])[0] for p, t in zip(asked, texts, strict=True)])),
        "sentiment": float(np.mean([sentiment(t) for t in texts])),
        "one_sentence": float(np.mean(ends)),
        "words": float(np.mean([len(t.split()) for t in texts])),
        "openings": len({first(t, 4) for t in texts}) / len(texts),
        "subject": float(np.mean(named)),
        "finished": float(np.mean([s.finished for s in drawn])),
        "first_twelve": float(np.mean([sentiment(first(t, 12)) for t in texts])),
    }


@study.points([{"rule": "before", "seed": seed} for seed in SEEDS])
def untouched(rule: str, seed: int, setup: Setup = FULL) -> dict:
    """The model as it was published."""
    begun = time.monotonic()
    model, tokenizer = loaded(setup)
    found = measured(model, frozen_copy(model), tokenizer, seed, setup)
    return found | {"seconds": time.monotonic() - begun}


@study.points([{"rule": rule, "seed": seed} for seed in SEEDS for rule in RULES])
def run(rule: str, seed: int, setup: Setup = FULL) -> dict:
    """The model after the recipe."""
    begun = time.monotonic()
    model, tokenizer = loaded(setup)
    reference = frozen_copy(model)
    folder = setup.runs / f"{seed}-{rule}"
    others = sorted(setup.runs.glob(f"{seed}-*/responses.jsonl"))
    if others and not folder.exists():  # the same responses for both rules
        folder.mkdir(parents=True)
        shutil.copy(others[0], folder)
    config = settings(setup.steps, seed)
    asked = list(setup.prompts)
    pairs, history = pipeline(
        folder, model, tokenizer, asked, rubric, rule, setup.rounds, config, stream="batch"
    )
    accuracy = float(np.mean([row["accuracy"] for row in history[-5:]]))
    found = measured(model, reference, tokenizer, seed, setup)
    return (
        {"pairs": len(pairs), "accuracy": accuracy} | found | {"seconds": time.monotonic() - begun}
    )


if __name__ == "__main__":
    study.main()
