"""All replies to a prompt as paths through a finite automaton, and the exact policies on it.

Each arc writes a few words, and both log-probability and reward add up along a path. So the optimum
pi*(y|x) = pi_0(y|x) exp(r(x, y) / beta) / Z(x) (arXiv 2305.18290, eq. 4) is an automaton too, and
one backward pass gives Z, the expected reward and the KL divergence, for every beta.
"""

import itertools
import math
from collections.abc import Iterable

import numpy as np

from .grammar import CLOSINGS, CONNECTIVES, FILLERS, KINDS, MAX_SENTENCES, TYPES, Author, predicates
from .truth import ANSWERS, PER_WORD, VALENCE, word_count


class Automaton:
    """All replies to one (kind, aspect) as paths.

    Arcs lie in arrays, sorted by their source, sources in path order.
    """

    def __init__(self, kind: str, asked: str, author: Author, sentences: int, closings: bool):
        self.kind, self.asked, self.author, self.sentences, self.closings = (
            kind,
            asked,
            author,
            sentences,
            closings,
        )
        self.index: dict[tuple, int] = {}
        arcs = []
        todo = [
            (0, 0, None, None, False, False)
        ]  # (sentences so far, stage, type, aspect, asked aspect named?, filler used?)
        seen = set(todo)
        while todo:
            state = todo.pop()
            for words, p, r, after in self._arcs(state):
                if p > 0:
                    arcs.append(
                        (state, words, math.log(p), r + PER_WORD * word_count(words), after)
                    )
                    if after not in seen and after != "end":
                        seen.add(after)
                        todo.append(after)
        ordered = sorted(seen, key=lambda s: (s[0], s[1], str(s)))
        self.index = {s: i for i, s in enumerate(ordered)} | {"end": len(ordered)}
        arcs.sort(key=lambda a: self.index[a[0]])
        source = np.array([self.index[a[0]] for a in arcs])
        self.words = [tuple(a[1].split()) for a in arcs]
        self.log_p, self.reward = np.array([a[2] for a in arcs]), np.array([a[3] for a in arcs])
        self.target = np.array([self.index[a[4]] for a in arcs])
        self.first = np.searchsorted(
            source, np.arange(len(ordered) + 1)
        )  # arcs of state i: first[i] to first[i + 1]
        self.by_words: list[dict] = [{} for _ in ordered]
        for i, s in enumerate(source):
            self.by_words[s].setdefault(self.words[i], []).append(i)

    def _arcs(self, state: tuple):
        """(words, probability, reward, next state) of each way on from a state."""
        k, stage, kind_of, aspect, answered, filled = state
        if stage == 0:  # before a sentence: end, close, or choose the next type and its connective
            yield from self._openings(k, kind_of, aspect, answered, filled)
        elif stage == 1:  # name an aspect, never the one just named
            asked_share = self.author.asked_later if k else self.author.asked_first
            aspects = [a for a in KINDS[self.kind] if a != aspect]
            weights = {a: 1 / len(aspects) for a in aspects}
            if self.asked in weights:
                weights = {
                    a: asked_share if a == self.asked else (1 - asked_share) / (len(aspects) - 1)
                    for a in aspects
                }
            for a, p in weights.items():
                new = a == self.asked and not answered
                yield f"the {a}", p, ANSWERS * new, (k, 2, kind_of, a, answered or new, filled)
        else:  # say something of it
            for words, valence, p in predicates(kind_of, KINDS[self.kind][aspect]):
                for mark, q in ((".", 1 - self.author.exclaims), ("!", self.author.exclaims)):
                    yield (
                        f"{words} {mark}",
                        p * q,
                        VALENCE * valence,
                        (k + 1, 0, kind_of, aspect, answered, filled),
                    )

    def _openings(self, k, before, aspect, answered, filled):
        stop = 0.0 if k == 0 else 1.0 if k == self.sentences else self.author.stop[k - 1]
        closings = dict(zip(CLOSINGS, self.author.closing, strict=True)) if self.closings else {}
        if stop:
            yield "", stop * (1 - sum(closings.values())), 0.0, "end"
            for words, p in closings.items():
                yield f"{words} .", stop * p, CLOSINGS[words], "end"
        types = self.author.first if before is None else self.author.then[TYPES.index(before)]
        for kind_of, p in zip(TYPES, types, strict=True):
            p *= (1 - stop) / (1 - types[2] * filled)  # one filler a reply, or it reads badly
            if kind_of == "filler":
                p *= not filled
                fillers = FILLERS["any"] + FILLERS[self.kind]
                for words in fillers:
                    yield (
                        f"{words} .",
                        p / len(fillers),
                        0.0,
                        (k + 1, 0, "filler", None, answered, True),
                    )
            else:
                link = (
                    "start"
                    if before in (None, "filler")
                    else "same"
                    if before == kind_of
                    else "turn"
                )
                for connective, q in CONNECTIVES[link].items():
                    yield connective, p * q, 0.0, (k, 1, kind_of, aspect, answered, filled)

    def paths(self, text: str) -> Iterable[list[int]]:
        """The arcs that write this text: one path or none, as the grammar is unambiguous."""
        words, end = tuple(text.split()), self.index["end"]
        stack = [(0, 0, [])]
        while stack:
            position, state, path = stack.pop()
            if state == end:
                if position == len(words):
                    yield path
                continue
            for length in range(9):
                for arc in self.by_words[state].get(words[position : position + length], ()):
                    if len(self.words[arc]) == length:
                        stack.append((position + length, int(self.target[arc]), [*path, arc]))


class Policy:
    """An exact policy for one prompt: the grammar (beta = inf) or the optimum pi* at a finite beta.

    `log_Z`, `mean_reward` and `kl` (to the grammar, nats per reply) are exact; so are `log_probs`
    and the samples.
    """

    def __init__(self, automaton: Automaton, beta: float = math.inf):
        if not beta > 0:
            raise ValueError(f"beta must be positive, not {beta}")
        self.automaton, self.beta = automaton, beta
        a, states = automaton, len(automaton.first) - 1
        value = np.zeros(
            states + 1
        )  # log of the sum over all ways on, of probability times exp(reward / beta)
        tilted = a.log_p + a.reward / beta
        self.arc_logps = np.empty_like(tilted)
        for s in range(states - 1, -1, -1):
            arcs = slice(a.first[s], a.first[s + 1])
            ways = tilted[arcs] + value[a.target[arcs]]
            value[s] = np.logaddexp.reduce(ways)
            self.arc_logps[arcs] = ways - value[s]
        self.log_Z = float(value[0])
        reach, visits = (
            np.zeros(states + 1),
            np.empty_like(tilted),
        )  # how often a state is reached, an arc taken
        reach[0] = 1.0
        for s in range(states):
            arcs = slice(a.first[s], a.first[s + 1])
            visits[arcs] = reach[s] * np.exp(self.arc_logps[arcs])
            np.add.at(reach, a.target[arcs], visits[arcs])
        self.mean_reward = float(visits @ a.reward)
        self.kl = float(visits @ (self.arc_logps - a.log_p))
        self.entropy = float(-visits @ self.arc_logps)
        self.mean_length = 1.0 + float(
            visits @ np.array([len(w) for w in a.words])
        )  # tokens, end-of-text included

    def log_probs(self, texts: Iterable[str]) -> np.ndarray:
        """log pi(y|x), shape (N,), of N texts; -inf where the grammar can't write one."""
        out = []
        for text in texts:
            scores = [self.arc_logps[path].sum() for path in self.automaton.paths(text)]
            out.append(np.logaddexp.reduce(scores) if scores else -np.inf)
        return np.array(out)

    def sample(self, n: int, rng: np.random.Generator) -> list[str]:
        """n independent exact samples."""
        a, end = self.automaton, self.automaton.index["end"]
        if not hasattr(self, "_cumulative"):
            self._cumulative = [
                np.cumsum(np.exp(self.arc_logps[i:j])) for i, j in itertools.pairwise(a.first)
            ]
        out = []
        for _ in range(n):
            state, words, draws = 0, [], iter(rng.random(4 * MAX_SENTENCES))
            while state != end:
                cumulative = self._cumulative[state]
                i = min(
                    int(cumulative.searchsorted(next(draws), side="right")), len(cumulative) - 1
                )
                arc = int(a.first[state]) + i
                words.extend(a.words[arc])
                state = int(a.target[arc])
            out.append(" ".join(words))
        return out
