"""Chapter 19: Zephyr's recipe on SmolLM2-135M: a rubric as judge, best against random or worst; three seeds. An hour on two cores.

Needs SmolLM2 (`make smollm2`). The responses and runs lie in runs/zephyr, so a killed point goes on too.
"""

import re
import shutil
import sys
import time
from pathlib import Path

import numpy as np

from dpo_from_scratch.models import Scorer, frozen_copy, load_model, pad_id
from dpo_from_scratch.records import run_study
from dpo_from_scratch.sampling import sample
from dpo_from_scratch.training import score_examples

sys.path.append(str(Path(__file__).parents[1]))
from ai_feedback import HELD_OUT, PROMPTS, ROUNDS, STEPS, pipeline, rubric, sentiment, settings

SAMPLES, RULES = 128, ("random", "worst")
RUNS = Path("runs/zephyr")


def measured(policy, reference, tokenizer, seed: int) -> dict:
    """The judge's score, and what the judge did not look at; each a mean over samples on the held-out prompts.

    likely: mean log-probability of a token under the untouched model, nats; one_sentence: the share that obeys the prompt;
    subject: the share that names what is reviewed (the film, the hotel; the judge looks for the aspect alone).
    """
    asked = [HELD_OUT[i % len(HELD_OUT)] for i in range(SAMPLES)]
    chats = [[{"role": "user", "content": p}] for p in asked]
    drawn = sample(policy, tokenizer, chats, max_new_tokens=64, batch_size=64, seed=seed)
    examples, texts = [s.example for s in drawn], [s.text for s in drawn]
    logps, likely = (score_examples(Scorer(m), examples, pad_id(tokenizer)).double().numpy() for m in (policy, reference))
    scores = [rubric(p, [t])[0] for p, t in zip(asked, texts, strict=True)]
    ends = [s.finished and sum(s.text.count(c) for c in ".!?") == 1 for s in drawn]
    return {
        "judge": float(np.mean(scores)), "sentiment": float(np.mean([sentiment(t) for t in texts])),
        "kl": float((logps - likely).mean()),
        "likely": float(np.mean(likely / [e.response_length for e in examples])),
        "one_sentence": float(np.mean(ends)), "words": float(np.mean([len(t.split()) for t in texts])),
        "openings": len({" ".join(t.split()[:4]) for t in texts}) / SAMPLES,
        "subject": float(np.mean([p.split(" of the ")[1].split("'s")[0] in re.findall(r"[a-z]+", t.lower())
                                  for p, t in zip(asked, texts, strict=True)])),
        "finished": float(np.mean([s.finished for s in drawn])),
        "first_twelve": float(np.mean([sentiment(" ".join(t.split()[:12])) for t in texts])), "texts": texts[: len(HELD_OUT)],
    }  # fmt: skip


def run(point: dict) -> dict:
    begun, seed = time.monotonic(), point["seed"]
    model, tokenizer = load_model("smollm2")
    reference = frozen_copy(model)
    if point["rule"] == "before":
        return measured(model, reference, tokenizer, seed) | {"seconds": time.monotonic() - begun}
    folder = RUNS / f"{seed}-{point['rule']}"
    others = sorted(RUNS.glob(f"{seed}-*/responses.jsonl"))
    if others and not folder.exists():  # the same responses for both rules
        folder.mkdir(parents=True)
        shutil.copy(others[0], folder)
    pairs, history = pipeline(folder, model, tokenizer, PROMPTS, rubric, point["rule"], ROUNDS, settings(STEPS, seed))
    found = {"pairs": len(pairs), "accuracy": float(np.mean([row["accuracy"] for row in history[-5:]]))}
    return found | measured(model, reference, tokenizer, seed) | {"seconds": time.monotonic() - begun}


if __name__ == "__main__":
    points = [{"rule": rule, "seed": seed} for seed in range(3) for rule in ("before", *RULES)]
    print(run_study(__file__, "Zephyr in miniature", points, run))
