"""labels.js, chapter 02's twenty pairs in the order and on the sides of its own labelling page."""

import numpy as np

from dpo_from_scratch import world
from dpo_from_scratch.data import data_path, read_rows
from dpo_from_scratch.lab.widgets import LabellingPage

ROWS = read_rows(data_path("reviews_labels.jsonl"))[0]
PROMPTS = list(dict.fromkeys(row["prompt"] for row in ROWS))


def replies(prompt: str) -> list[str]:
    """The replies to one question, in the order of chapter 02."""
    return sorted(
        {row[s] for row in ROWS if row["prompt"] == prompt for s in ("chosen", "rejected")}
    )


def questions() -> list[dict]:
    """Each question: its replies, their true rewards, and how often the grammar writes each."""
    found = []
    for prompt in PROMPTS:
        texts = replies(prompt)
        log_probs = np.asarray(world.REVIEWS.log_probs(prompt, texts))
        found.append(
            {
                "prompt": prompt,
                "words": world.pretty(prompt),
                "texts": texts,
                "pretty": [world.pretty(text) for text in texts],
                "rewards": [round(x, 6) for x in world.rewards(prompt, texts).tolist()],
                "logProbs": [
                    round(x, 9) for x in (log_probs - np.logaddexp.reduce(log_probs)).tolist()
                ],
            }
        )
    return found


def pairs() -> list[dict]:
    """The pairs in the chapter's order: question, replies on the left and right, shipped choice."""
    page = LabellingPage(ROWS)
    found = []
    for number in page.order:
        row, sides = ROWS[number], page.sides[number]
        texts = replies(row["prompt"])
        both = [texts.index(row[side]) for side in sides]
        question = PROMPTS.index(row["prompt"])
        found.append({"question": question, "sides": both, "shipped": sides.index("chosen")})
    return found
