"""The rows of a benchmark: pairs of wanted lengths, written in the words of the review world."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from dpo_from_scratch import world


@dataclass(frozen=True)
class Shape:
    """Lengths, in words, of the pairs of a step; a word is about a token to SmolLM2."""

    prompt: tuple[int, int]  # from, to
    response: tuple[int, int]
    one_prompt: bool = False  # the pairs of a step have one prompt

    def shorter(self, factor: float) -> "Shape":
        """All lengths times a factor."""
        cut = lambda span: tuple(max(2, round(factor * words)) for words in span)
        return replace(self, prompt=cut(self.prompt), response=cut(self.response))


SHAPES = {
    "short": Shape((40, 60), (20, 80)),
    "long prompt": Shape((400, 400), (20, 40)),
    "8 samples of one prompt": Shape((200, 200), (40, 60), one_prompt=True),
}


def rows_of(shape: Shape | None, steps: int, pairs: int, seed: int = 0) -> list[dict]:
    """Rows for so many steps of so many pairs; None: the review world's pairs as they are."""
    if shape is None:
        return world.make_pairs(steps * pairs, seed=seed)
    rng, words = np.random.default_rng(seed), _words(seed)
    draw = lambda span: " ".join(next(words) for _ in range(rng.integers(span[0], span[1] + 1)))
    rows = []
    for _ in range(steps):
        prompts = [draw(shape.prompt) for _ in range(1 if shape.one_prompt else pairs)]
        for prompt in prompts * (pairs if shape.one_prompt else 1):
            chosen, rejected = (" " + draw(shape.response) for _ in range(2))
            rows.append({"prompt": prompt, "chosen": chosen, "rejected": rejected})
    return rows


def _words(seed: int):
    """The words of one review after the other, without end."""
    while True:
        yield from _of_reviews(seed)
        seed += 1


@cache
def _of_reviews(seed: int) -> list[str]:
    rows = world.make_pairs(64, seed=seed)
    return " ".join(f"{row['prompt']} {row['chosen']}" for row in rows).split()
