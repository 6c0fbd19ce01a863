"""labels.js, what is labelled: chapter 02's pairs as its page asks them, and the class's thirty."""

import numpy as np

from dpo_from_scratch import world
from dpo_from_scratch.data import data_path, read_rows
from dpo_from_scratch.lab import classroom
from dpo_from_scratch.lab.widgets import LabellingPage

ROWS = read_rows(data_path("reviews_labels.jsonl"))[0]
PROMPTS = list(dict.fromkeys(row["prompt"] for row in ROWS))


def replies(prompt: str) -> list[str]:
    """The replies to one question, in the order of chapter 02."""
    return sorted(
        {row[s] for row in ROWS if row["prompt"] == prompt for s in ("chosen", "rejected")}
    )


def question(prompt: str, texts: list[str]) -> dict:
    """Replies to a question, their true rewards, and how often the grammar writes each."""
    log_probs = np.asarray(world.REVIEWS.log_probs(prompt, texts))
    log_probs = log_probs - np.logaddexp.reduce(log_probs)
    return {
        "prompt": prompt,
        "words": world.pretty(prompt),
        "texts": texts,
        "pretty": [world.pretty(text) for text in texts],
        "rewards": [round(x, 6) for x in world.rewards(prompt, texts).tolist()],
        "logProbs": [round(x, 9) for x in log_probs.tolist()],
    }


def questions() -> list[dict]:
    """Chapter 02's two."""
    return [question(prompt, replies(prompt)) for prompt in PROMPTS]


def of_the_class() -> dict:
    """The workshop's questions and pairs, in the order and on the sides of its printed sheet."""
    rows = classroom.pairs()
    prompts = list(dict.fromkeys(row["prompt"] for row in rows))
    texts: dict[str, list[str]] = {prompt: [] for prompt in prompts}
    for row in rows:
        here = texts[row["prompt"]]
        here += [row[side] for side in "ab" if row[side] not in here]
    asked = [
        {
            "question": prompts.index(row["prompt"]),
            "sides": [texts[row["prompt"]].index(row[side]) for side in "ab"],
            "pair": number,
        }
        for number, row in enumerate(rows, start=1)
    ]
    found = [question(prompt, texts[prompt]) for prompt in prompts]
    return {"sheet": classroom.key(), "questions": found, "asked": asked}


def pairs() -> list[dict]:
    """The pairs in the chapter's order: question, replies on the left and right, shipped choice."""
    page = LabellingPage(ROWS)
    found = []
    for place in page.order:
        row, sides = ROWS[place], page.sides[place]
        texts = replies(row["prompt"])
        both = [texts.index(row[side]) for side in sides]
        number = PROMPTS.index(row["prompt"])
        found.append({"question": number, "sides": both, "shipped": sides.index("chosen")})
    return found
