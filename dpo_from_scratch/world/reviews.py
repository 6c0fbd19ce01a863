"""A grammar for every prompt: the full review world, and the mini world, which can be listed."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np

from .automaton import Automaton, Policy
from .grammar import HOUSE, MAX_SENTENCES, Author, prompts, question


@dataclass(frozen=True)
class World:
    """A grammar for every prompt.

    `World()` is the full world; `MINI` has one sentence a reply, so all can be listed.
    """

    author: Author = HOUSE
    max_sentences: int = MAX_SENTENCES
    closings: bool = True

    def policy(self, prompt: str, beta: float = math.inf) -> Policy:
        """The grammar's exact policy for a prompt; with a finite `beta` the optimum pi*.

        Of reward - beta KL.
        """
        kind, asked = question(prompt)
        return _policy(
            _automaton(kind, asked, self.author, self.max_sentences, self.closings), beta
        )

    def replies(self, prompt: str) -> list[str]:
        """Every reply to a prompt, sorted: a few thousand in the mini world.

        ValueError in a larger one.
        """
        if self.max_sentences > 1:
            raise ValueError(
                "only the mini world can be listed: World(max_sentences=1, closings=False)"
            )
        a, out, stack = self.policy(prompt).automaton, [], [(0, ())]
        while stack:
            state, words = stack.pop()
            if state == a.index["end"]:
                out.append(" ".join(words))
            else:
                stack += [
                    (int(a.target[i]), words + a.words[i])
                    for i in range(a.first[state], a.first[state + 1])
                ]
        return sorted(out)

    def log_probs(self, prompt: str, texts: Iterable[str], beta: float = math.inf) -> np.ndarray:
        """log pi_0(y|x), (N,), or log pi*(y|x) with a finite beta.

        -inf where the grammar can't write a text.
        """
        return self.policy(prompt, beta).log_probs(texts)

    def is_grammatical(self, prompt: str, text: str) -> bool:
        """Whether the grammar can write this text as a reply to this prompt."""
        return any(self.policy(prompt).automaton.paths(text))

    def sample(
        self, prompt: str, n: int, seed: int | np.random.Generator = 0, beta: float = math.inf
    ) -> list[str]:
        """n exact samples from the grammar, or from pi* with a finite beta."""
        return self.policy(prompt, beta).sample(n, np.random.default_rng(seed))

    def frontier(self, betas: Iterable[float]) -> list[dict]:
        """The exact reward-KL frontier: beta, mean_reward, kl, log_Z.

        It is the same for every prompt (a test says so).
        """
        found = [self.policy(prompts()[0], b) for b in betas]
        return [
            {"beta": p.beta, "mean_reward": p.mean_reward, "kl": p.kl, "log_Z": p.log_Z}
            for p in found
        ]

    def optimum_at_kl(self, kl: float) -> Policy:
        """The pi* whose KL to the grammar is `kl` nats per reply: the most reward there.

        ValueError beyond beta = 0.01.
        """
        low, high = math.log(0.01), math.log(1000.0)
        if not 0 <= kl <= self.policy(prompts()[0], 0.01).kl:
            raise ValueError(f"no optimum is computed for a KL of {kl} nats per reply")
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (
                (middle, high)
                if self.policy(prompts()[0], math.exp(middle)).kl > kl
                else (low, middle)
            )
        return self.policy(prompts()[0], math.exp(high))


@cache
def _automaton(kind, asked, author, sentences, closings) -> Automaton:
    return Automaton(kind, asked, author, sentences, closings)


@cache
def _policy(automaton: Automaton, beta: float) -> Policy:
    return Policy(automaton, beta)


REVIEWS = World()
MINI = World(max_sentences=1, closings=False)
