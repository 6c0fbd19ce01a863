"""tokens.js, three recorded pairs token by token, and where prompt and response meet in GPT-2."""

from dpo_from_scratch import world
from dpo_from_scratch.lab.records import Record
from dpo_from_scratch.models import gpt2_tokenizer

SEAMS = [  # chapter 01's: where the space stands, prompt, response
    ("the response begins with it", "Film: how was the plot?", " The plot was good."),
    ("it is missing", "Film: how was the plot?", "The plot was good."),
    ("the prompt ends with it", "Film: how was the plot? ", "The plot was good."),
    ("no space, in the middle of a word", "The plot was un", "believable."),
]


def token_pairs() -> list[dict]:
    """The record's pairs, with the true rewards of both responses."""
    found = []
    for point in Record.load("read_a_token").points:
        pair = point["result"]
        sides = zip(pair["tokens"], pair["real"], strict=True)
        texts = [" ".join(ids[pair["prompt_tokens"] : real - 1]) for ids, real in sides]
        rewards = [round(world.reward(pair["prompt"], text), 2) for text in texts]
        found.append(pair | {"rewards": rewards})
    return found


def seams() -> list[dict]:
    """Each seam: pieces of the two parts and of the whole, and what counting off would score."""
    gpt2, found = gpt2_tokenizer(), []
    for where, before, after in SEAMS:
        apart = [gpt2(text)["input_ids"] for text in (before, after)]
        whole = gpt2(before + after)["input_ids"]
        words = lambda ids: [gpt2.decode([i]) for i in ids]
        told = {"where": where, "apart": [words(part) for part in apart], "whole": words(whole)}
        found.append(told | {"scored": words(whole[len(apart[0]) :])})
    return found
