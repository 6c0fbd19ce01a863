"""How many pairs a scorer puts in people's order, and how sure that is; and a scorer of words."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .evaluation import mean_and_half_width


@dataclass(frozen=True)
class Accuracy:
    """Share of pairs in people's order: of each seed, (S,), and of each draw of blocks, (D,)."""

    seeds: np.ndarray
    draws: np.ndarray  # the mean over the seeds

    def __sub__(self, other: "Accuracy") -> "Accuracy":
        """Seed by seed and draw by draw; a scorer without seeds stands against each seed."""
        return Accuracy(self.seeds - other.seeds, self.draws - other.draws)

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return float(self.seeds.mean())

    def over_blocks(self) -> tuple[float, float]:
        """Mean, and half the width of the 95 % interval over draws of the test blocks."""
        low, high = np.percentile(self.draws, [2.5, 97.5])
        return self.mean, float(high - low) / 2

    def over_seeds(self) -> tuple[float, float] | None:
        """Mean and half-width over the seeds; None for a scorer that has one number."""
        return mean_and_half_width(self.seeds) if len(self.seeds) > 1 else None


class BlockTest:
    """N rated sentences in blocks, of which the test could have drawn others.

    P (N, N): the share of people who prefer the row's sentence to the column's; block (N,): each
    sentence's block; stratum (N,): blocks are drawn again within each stratum, with replacement.
    """

    def __init__(self, P: np.ndarray, block: np.ndarray, stratum: np.ndarray, draws: int = 2000):
        numbers, first = np.unique(block, return_index=True)
        self.P, self.member = P, (block[:, None] == numbers).astype(float)
        rng, kinds = np.random.default_rng(2), stratum[first]
        self.times = np.zeros((draws, len(numbers)))  # how often a block is drawn
        for kind in np.unique(kinds)[::-1]:
            n = int((kinds == kind).sum())
            self.times[:, kinds == kind] = rng.multinomial(n, np.ones(n) / n, size=draws)

    def __call__(self, scores, used: np.ndarray) -> Accuracy:
        """Of the scores of each seed, (S, N), on the pairs `used` (N, N); a tie counts one half."""
        used = used & (self.P != 0.5)
        by_block = lambda x: self.member.T @ x @ self.member  # summed over each two blocks
        right = [self._right(np.asarray(s)) * used for s in scores]
        n, found = by_block(used.astype(float)), [by_block(r) for r in right]
        within = not np.any(n - np.diag(np.diag(n)))
        times = np.sqrt(self.times) if within else self.times  # a block's own pairs count once
        total = lambda x: np.einsum("di,ij,dj->d", times, x, times)
        seeds = np.array([f.sum() / n.sum() for f in found])
        return Accuracy(seeds, total(sum(found) / len(found)) / total(n))

    def _right(self, scores: np.ndarray) -> np.ndarray:
        """1 where two scores are in people's order, one half where they are equal, (N, N)."""
        return (1 + np.sign(np.subtract.outer(scores, scores)) * np.sign(self.P - 0.5)) / 2


def word_list(
    texts: list[str], ratings: list[float], at_least: int = 2, ridge: float = 5.0
) -> Callable[[list[str]], np.ndarray]:
    """A scorer of texts: one weight a word, by least squares with a penalty on the weights.

    Words that stand in fewer than `at_least` of the texts have none.
    """
    split = lambda text: set(re.findall(r"[a-z0-9']+", text.lower()))
    counts = Counter(word for text in texts for word in split(text))
    place = {w: i for i, w in enumerate(w for w, n in counts.items() if n >= at_least)}

    def bag(texts: list[str]) -> np.ndarray:
        rows = np.zeros((len(texts), len(place)))
        for row, text in zip(rows, texts, strict=True):
            row[[place[w] for w in split(text) if w in place]] = 1
        return rows

    X, y = bag(texts), np.asarray(ratings, float)
    weights = np.linalg.solve(X.T @ X + ridge * np.eye(len(place)), X.T @ (y - y.mean()))
    return lambda texts: y.mean() + bag(texts) @ weights
