"""What the playground knows of the package: a world of forty replies, the losses, recorded runs.

`python website/play/make.py` writes data.js and its like again; a test says when that is due.
"""

import json
from pathlib import Path

import make_cases
import make_labels
import make_tokens
import numpy as np

from dpo_from_scratch import world
from dpo_from_scratch.losses import LOSSES

HERE = Path(__file__).parent
PROMPT = "film : how was the plot ?"
COMMON, RARE = 20, 18  # opinions; to them come one filler and the best reply of all


def chosen_replies() -> list[int]:
    """Places of forty replies in the mini world's list, from the best to the worst."""
    replies = world.MINI.replies(PROMPT)
    log_probs, rewards = world.MINI.log_probs(PROMPT, replies), world.rewards(PROMPT, replies)
    order = sorted(range(len(replies)), key=lambda i: (-log_probs[i], replies[i]))
    is_filler = [world.opening(PROMPT, text) == "filler" for text in replies]
    opinions = [i for i in order if not is_filler[i]]
    best = max(order, key=lambda i: (rewards[i], log_probs[i]))
    rest = [i for i in opinions[COMMON:] if i != best]
    rare = np.random.default_rng(0).choice(rest, RARE, replace=False).tolist()
    filler = next(i for i in order if is_filler[i])
    return sorted(
        [*opinions[:COMMON], filler, best, *rare], key=lambda i: (-rewards[i], replies[i])
    )


def small_world() -> dict:
    """Texts, lengths in tokens, true rewards, and how two authors write them, in logarithms."""
    replies = [world.MINI.replies(PROMPT)[i] for i in chosen_replies()]
    gloomy = world.World(world.GLOOMY, max_sentences=1, closings=False)
    authors = {"house": world.MINI, "gloomy": gloomy}
    log_probs = {name: author.log_probs(PROMPT, replies) for name, author in authors.items()}
    return {
        "prompt": world.pretty(PROMPT),
        "of": len(world.MINI.replies(PROMPT)),
        "texts": [world.pretty(text) for text in replies],
        "lengths": [len(text.split()) + 1 for text in replies],  # the end of the text is one, too
        "rewards": [round(r, 6) for r in world.rewards(PROMPT, replies).tolist()],
        "logProbs": {
            name: [round(x, 12) for x in (found - np.logaddexp.reduce(found)).tolist()]
            for name, found in log_probs.items()
        },
    }


def registry() -> dict:
    """Title, equation, paper and defaults of each loss that takes pairs, and of fine-tuning."""
    return {
        name: {
            "title": loss.title,
            "equation": loss.equation,
            "paper": loss.paper,
            "defaults": loss.defaults,
        }
        for name, loss in LOSSES.items()
        if loss.needs != "labels"
    }


FILES = {  # file -> name in the global DPO -> what makes it
    "data.js": {"world": small_world, "registry": registry},
    "cases.js": {"cases": make_cases.cases, "twins": make_cases.twins},
    "tokens.js": {"tokenPairs": make_tokens.token_pairs, "seams": make_tokens.seams},
    "labels.js": {
        "questions": make_labels.questions,
        "asked": make_labels.pairs,
        "classroom": make_labels.of_the_class,
    },
}


def text(file: str) -> str:
    """The whole of a file: a line for each entry, so that a change can be seen."""
    lines = ["// Made by website/play/make.py from the package: don't edit."]
    for name, make in FILES[file].items():
        lines.append(f"DPO.{name} = {written(make(), 2)};")
    return "\n".join(lines) + "\n"


def written(value, deep: int) -> str:
    """JSON with the first levels of lists and objects spread over lines."""
    if not deep or not isinstance(value, list | dict) or not value:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[\n" + ",\n".join(written(x, deep - 1) for x in value) + "\n]"
    rows = (f"{json.dumps(str(key))}: {written(x, deep - 1)}" for key, x in value.items())
    return "{\n" + ",\n".join(rows) + "\n}"


if __name__ == "__main__":
    for file in FILES:
        (HERE / file).write_text(text(file), encoding="utf-8")
        print(f"{file}: {(HERE / file).stat().st_size / 1000:.1f} KB")
