"""Who prefers what, and rows drawn from it.

A labeller is a function (prompt, a, b) -> probability that reply a is preferred to reply b.
"""

import math
from collections.abc import Callable

import numpy as np

from .grammar import TYPES, prompts, question
from .reviews import REVIEWS, World
from .truth import read_sentence, reward, split_sentences, word_count


def true_order(prompt: str, a: str, b: str) -> float:
    """1 if a has the higher true reward, 0 if b has, one half for a tie."""
    ra, rb = reward(prompt, a), reward(prompt, b)
    return 0.5 if ra == rb else float(ra > rb)


def bradley_terry(prompt: str, a: str, b: str) -> float:
    """sigmoid(r(a) - r(b)): arXiv 2305.18290, eq. 1."""
    return _sigmoid(reward(prompt, a) - reward(prompt, b))


def flipped(epsilon: float, labeller: Callable = bradley_terry) -> Callable[..., float]:
    """Another labeller whose answer is flipped with probability epsilon.

    ValueError if epsilon is none.
    """
    _checked(epsilon)
    return lambda prompt, a, b: epsilon + (1 - 2 * epsilon) * labeller(prompt, a, b)


def length_biased(per_word: float = 0.15) -> Callable[..., float]:
    """Bradley-Terry on the reward plus `per_word` a word: somebody who takes long for good."""
    return lambda prompt, a, b: _sigmoid(
        reward(prompt, a) - reward(prompt, b) + per_word * (word_count(a) - word_count(b))
    )


def panel(prompt: str, a: str, b: str) -> float:
    """A panel that goes in circles: praise beats blame beats filler beats praise, at 0.9.

    What counts is how a reply opens.
    """
    first, second = opening(prompt, a), opening(prompt, b)
    if first == second:
        return 0.5
    if "malformed" in (first, second):
        return 0.9 if second == "malformed" else 0.1
    return 0.9 if (TYPES.index(second) - TYPES.index(first)) % 3 == 1 else 0.1


def opening(prompt: str, text: str) -> str:
    """What the first sentence of a reply is: one of TYPES, or "malformed"."""
    found = read_sentence(question(prompt)[0], (split_sentences(text)[0] or [[]])[0])
    return found[0] if found else "malformed"


def make_pairs(
    n: int,
    labeller: Callable = bradley_terry,
    world: World = REVIEWS,
    split: str = "train",
    seed: int = 0,
) -> list[dict]:
    """n records prompt, chosen, rejected.

    Two different samples of the world's grammar, in an order drawn from the labeller. ValueError if
    it gives no probability.
    """
    rng, asked, out = np.random.default_rng(seed), prompts(split), []
    while len(out) < n:
        prompt = asked[rng.integers(len(asked))]
        a, b = world.policy(prompt).sample(2, rng)
        if a != b:
            first_wins = rng.random() < _checked(labeller(prompt, a, b))
            chosen, rejected = (a, b) if first_wins else (b, a)
            out.append({"prompt": prompt, "chosen": chosen, "rejected": rejected})
    return out


def make_thumbs(
    n: int, good_share: float = 0.5, world: World = REVIEWS, split: str = "train", seed: int = 0
) -> list[dict]:
    """n records prompt, completion, label.

    True with probability sigmoid(r), then kept so that `good_share` are True.
    """
    rng, asked, out = np.random.default_rng(seed), prompts(split), []
    wanted = {True: round(n * good_share), False: n - round(n * good_share)}
    while len(out) < n:
        prompt = asked[rng.integers(len(asked))]
        text = world.policy(prompt).sample(1, rng)[0]
        label = bool(rng.random() < _sigmoid(reward(prompt, text)))
        if wanted[label] > 0:
            wanted[label] -= 1
            out.append({"prompt": prompt, "completion": text, "label": label})
    return out


def make_texts(n: int, world: World = REVIEWS, split: str = "all", seed: int = 0) -> list[dict]:
    """n records prompt, completion from the grammar: what the tiny model learns to write."""
    rng, asked = np.random.default_rng(seed), prompts(split)
    chosen = (asked[i] for i in rng.integers(len(asked), size=n))
    return [{"prompt": p, "completion": world.policy(p).sample(1, rng)[0]} for p in chosen]


def _checked(probability: float) -> float:
    if not 0 <= probability <= 1:  # nan too, which would turn every pair round without a word
        raise ValueError(f"a labeller gives a probability, from 0 to 1, not {probability!r}")
    return probability


def _sigmoid(x: float) -> float:
    return 0.5 * (1 + math.tanh(x / 2))
