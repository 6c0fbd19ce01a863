"""The review world: a grammar that writes short reviews, and a true reward, with everything about them exact.

A prompt asks about one aspect of a film, restaurant, hotel or book. The grammar answers with one to four sentences
(praise, blame or filler) and perhaps a closing. It is a finite automaton: a reply is a path, each arc writes a few
words, and both log-probability and reward add up along the path. So the optimum of KL-constrained reward,

    pi*(y|x) = pi_0(y|x) exp(r(x, y) / beta) / Z(x)                         (arXiv 2305.18290, eq. 4)

is an automaton too, and one backward pass gives Z, the expected reward and the KL divergence, for every beta.
Words: *the grammar* is pi_0; *the reference* is the neural model that a training run is anchored to.
Units: log-probabilities and KL in nats per reply, rewards in the units of Bradley-Terry log-odds.
"""

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np

# ---------------------------------------------------------------- the words
KINDS = {  # kind -> {aspect: the group that decides which two special adjectives fit it}
    "film": {"plot": "work", "script": "work", "music": "work", "ending": "work", "cast": "people", "villain": "people"},
    "restaurant": {"soup": "food", "bread": "food", "wine": "food", "dessert": "food", "waiter": "people", "terrace": "place"},
    "hotel": {"room": "place", "bed": "place", "pool": "place", "view": "place", "breakfast": "food", "staff": "people"},
    "book": {"story": "work", "style": "work", "opening": "work", "cover": "work", "hero": "people", "narrator": "people"},
}
PHRASINGS = ("{kind} : how was the {aspect} ?", "{kind} : tell me about the {aspect} .", "{kind} : and the {aspect} ?")
SPECIAL = {  # the adjectives that fit one group only
    "work": ("clever", "clumsy"), "people": ("likeable", "tiresome"), "food": ("fresh", "stale"), "place": ("cosy", "shabby"),
}  # fmt: skip
# adjective -> (valence, probability within its sign); None is the special adjective of the aspect's group
GOOD = {"pleasant": (0.8, 0.12), "good": (1.0, 0.26), None: (1.2, 0.18), "lovely": (1.4, 0.16), "memorable": (1.6, 0.1),
        "splendid": (1.8, 0.1), "superb": (2.0, 0.08)}  # fmt: skip
BAD = {"weak": (-0.8, 0.12), "dull": (-1.0, 0.26), None: (-1.2, 0.18), "poor": (-1.4, 0.16), "dreary": (-1.6, 0.1),
       "dreadful": (-1.8, 0.1), "awful": (-2.0, 0.08)}  # fmt: skip
DEGREES = {"": (1.0, 0.5), "quite": (0.7, 0.14), "very": (1.25, 0.18), "truly": (1.4, 0.18)}
PHRASES = {
    "praise": {"delighted me": 1.6, "won me over": 1.3, "was worth the trip": 1.5, "was better than it had to be": 1.1},
    "blame": {"bored me": -1.3, "let me down": -1.5, "was a waste of money": -1.8, "made me check my watch": -1.2},
}
SHARES = {"adjective": 0.65, "negated": 0.12, "phrase": 0.23}  # how an opinion is put
NEGATION = -0.6  # "not good" is worth -0.6 of "good"
FILLERS = {  # two sentences for any kind, two of its own; lengths match across kinds, so all prompts are alike
    "any": ("a friend had told me about it", "it was my second time"),
    "film": ("i saw it on a sunday", "we sat in the front row"),
    "restaurant": ("we came on a rainy evening", "they gave us the corner table"),
    "hotel": ("we stayed for two short nights", "i arrived on the last train"),
    "book": ("i read it on the train", "my sister gave it to me"),
}
CLOSINGS = {"thank you": 1.0, "thanks for asking": 1.0, "that is all": 0.0, "so there": -1.0, "ask someone else": -1.0}
CONNECTIVES = {  # how an opinion starts: after nothing or filler, after an opinion of the same sign, after one of the other
    "start": {"": 0.7, "honestly": 0.15, "overall": 0.15},
    "same": {"": 0.5, "and": 0.25, "also": 0.17, "but": 0.08},
    "turn": {"": 0.34, "and": 0.16, "also": 0.08, "but": 0.42},
}
TYPES = ("praise", "blame", "filler")

# the true reward: 0.65 valence + 1 answers the question + 1 polite (-1 rude) - 0.05 a word, -2 a malformed sentence
VALENCE, ANSWERS, PER_WORD, MALFORMED, FLOOR, MAX_SENTENCES = 0.65, 1.0, -0.05, -2.0, -10.0, 4


@dataclass(frozen=True)
class Author:
    """Somebody's habits: probabilities of the grammar's choices. Two authors write the same language differently."""

    first: tuple = (0.42, 0.42, 0.16)  # type of the first sentence: praise, blame, filler
    then: tuple = ((0.62, 0.2, 0.18), (0.2, 0.62, 0.18), (0.5, 0.5, 0.0))  # next type, a row for each previous type
    stop: tuple = (0.1, 0.35, 0.5)  # probability of ending after 1, 2, 3 sentences
    closing: tuple = (0.15, 0.1, 0.12, 0.13, 0.1)  # in the order of CLOSINGS; the rest: none
    asked_first: float = 0.5  # the first named aspect is the one asked about
    asked_later: float = 0.25
    exclaims: float = 0.3


HOUSE = Author()
GLOOMY = Author((0.12, 0.58, 0.3), ((0.35, 0.4, 0.25), (0.1, 0.7, 0.2), (0.2, 0.8, 0.0)), (0.05, 0.2, 0.4),
                (0.04, 0.02, 0.2, 0.3, 0.2), 0.25, 0.15, 0.6)  # fmt: skip


# ---------------------------------------------------------------- prompts and texts
def prompts(split: str = "all") -> list[str]:
    """The 72 prompts; "train" (60) or "test" (12, never seen in training: the aspects are, in other phrasings)."""
    if split not in ("all", "train", "test"):
        raise ValueError(f'split is "all", "train" or "test", not {split!r}')
    out = []
    for k, (kind, aspects) in enumerate(KINDS.items()):
        for a, aspect in enumerate(aspects):
            for p, phrasing in enumerate(PHRASINGS):
                held_out = a % 2 == k % 2 and p == (a // 2 + k) % 3
                if split == "all" or held_out == (split == "test"):
                    out.append(phrasing.format(kind=kind, aspect=aspect))
    return out


@cache
def _question(prompt: str) -> tuple[str, str]:
    """(kind, asked aspect) of a prompt."""
    for kind, aspects in KINDS.items():
        for aspect in aspects:
            if any(prompt == p.format(kind=kind, aspect=aspect) for p in PHRASINGS):
                return kind, aspect
    raise ValueError(f"not a prompt of the review world: {prompt!r}; world.prompts() lists them")


@cache
def vocabulary() -> tuple[str, ...]:
    """Every word and mark that a prompt or a reply can hold, sorted: the tiny model's tokens."""
    texts = [*prompts(), *CLOSINGS, *DEGREES, "the was not . !", *(w for c in CONNECTIVES.values() for w in c)]
    texts += [w for table in (GOOD, BAD, *PHRASES.values()) for w in table if w]
    texts += [w for table in (*SPECIAL.values(), *FILLERS.values()) for w in table]
    return tuple(sorted({word for text in texts for word in text.split()}))


def pretty(text: str) -> str:
    """The text as people print it: "The soup was good! Thank you." for "the soup was good ! thank you ." """
    out, start = "", True
    for word in text.split():
        mark = word in ".!?:,"
        out += word if mark else (" " if out else "") + (word.capitalize() if start or word == "i" else word)
        out += "," if start and word in ("honestly", "overall") else ""
        start = word in ".!?"
    return out


@cache
def _predicates(kind_of_opinion: str, group: str) -> tuple[tuple[str, float, float], ...]:
    """All (words, valence, probability) that praise or blame an aspect of this group."""
    praise = kind_of_opinion == "praise"
    own, other = (GOOD, BAD) if praise else (BAD, GOOD)
    special, other_special = SPECIAL[group] if praise else SPECIAL[group][::-1]
    out = []
    for adjective, (valence, p) in own.items():
        for degree, (factor, q) in DEGREES.items():
            words = f"was {degree} {adjective or special}".replace("  ", " ")
            out.append((words, valence * factor, SHARES["adjective"] * p * q))
    for adjective, (valence, p) in other.items():
        out.append((f"was not {adjective or other_special}", NEGATION * valence, SHARES["negated"] * p))
    phrases = PHRASES[kind_of_opinion]
    out += [(words, valence, SHARES["phrase"] / len(phrases)) for words, valence in phrases.items()]
    return tuple(out)


@cache
def _bodies(kind: str) -> dict[str, tuple[str, str | None, float]]:
    """Every sentence without its connective and mark -> (type, aspect, valence)."""
    out = dict.fromkeys(FILLERS["any"] + FILLERS[kind], ("filler", None, 0.0))
    for aspect, group in KINDS[kind].items():
        for opinion in ("praise", "blame"):
            for words, valence, _ in _predicates(opinion, group):
                out[f"the {aspect} {words}"] = (opinion, aspect, valence)
    return out


def _read_sentence(kind: str, words: list[str]) -> tuple[str, str | None, float] | None:
    """(type, aspect, valence) of a sentence without its mark, or None if the grammar can't write it."""
    bodies = _bodies(kind)
    found = bodies.get(" ".join(words))
    if found is None and words and any(words[0] in table for table in CONNECTIVES.values()):
        found = bodies.get(" ".join(words[1:]))
        found = None if found and found[0] == "filler" else found
    return found


def _sentences(text: str) -> tuple[list[list[str]], bool]:
    """The sentences' words without marks, and whether the last one was ended by a mark."""
    out, current = [], []
    for word in text.split():
        if word in (".", "!"):
            out.append(current)
            current = []
        else:
            current.append(word)
    return ([*out, current], False) if current else (out, True)


def reward(prompt: str, text: str) -> float:
    """The true reward of any text as a reply to this prompt, at least -10.

    0.65 valence of each well-formed sentence, +1 if one names the asked aspect, +1 for a polite closing and -1 for a
    rude one, -0.05 a word, -2 for each malformed sentence, each one after the fourth, and for having none at all.
    A sentence is well-formed if the grammar writes it somewhere in a reply to this prompt.

    No text scores above the best one of the full grammar. A sentence adds at most c = max(0.65 valence - 0.05 words) over the
    well-formed ones, whatever stands around it; at most four count; all else that is written subtracts, but for one
    +1 (asked aspect) and one closing. The grammar reaches every one of these bounds at once: four sentences of the
    best predicate without connectives, aspects alternating, the asked one among them, "thank you ." at the end.
    """
    kind, asked = _question(prompt)
    sentences, ended = _sentences(text)
    total = PER_WORD * sum(len(s) for s in sentences)
    if ended and sentences and " ".join(sentences[-1]) in CLOSINGS:
        total += CLOSINGS[" ".join(sentences.pop())]
    found = [_read_sentence(kind, s) for s in sentences]
    if found and not ended:
        found[-1] = None
    counted = [f for f in found[:MAX_SENTENCES] if f]
    total += MALFORMED * max(len(found) - len(counted), 0 if found else 1)
    total += VALENCE * sum(valence for _, _, valence in counted)
    total += ANSWERS * any(aspect == asked for _, aspect, _ in counted)
    return max(total, FLOOR)


def rewards(prompt: str, texts: Iterable[str]) -> np.ndarray:
    """True rewards, shape (N,), of N texts as replies to one prompt."""
    return np.array([reward(prompt, t) for t in texts], dtype=float)


# ---------------------------------------------------------------- the automaton
class Automaton:
    """All replies to one (kind, aspect) as paths; arcs lie in arrays, sorted by their source, sources in path order."""

    def __init__(self, kind: str, asked: str, author: Author, sentences: int, closings: bool):
        self.kind, self.asked, self.author, self.sentences, self.closings = kind, asked, author, sentences, closings
        self.index: dict[tuple, int] = {}
        arcs = []
        todo = [(0, 0, None, None, False, False)]  # (sentences so far, stage, type, aspect, asked aspect named?, filler used?)
        seen = set(todo)
        while todo:
            state = todo.pop()
            for words, p, r, after in self._arcs(state):
                if p > 0:
                    arcs.append((state, words, math.log(p), r + PER_WORD * _word_count(words), after))
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
        self.first = np.searchsorted(source, np.arange(len(ordered) + 1))  # arcs of state i: first[i] to first[i + 1]
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
                weights = {a: asked_share if a == self.asked else (1 - asked_share) / (len(aspects) - 1) for a in aspects}
            for a, p in weights.items():
                new = a == self.asked and not answered
                yield f"the {a}", p, ANSWERS * new, (k, 2, kind_of, a, answered or new, filled)
        else:  # say something of it
            for words, valence, p in _predicates(kind_of, KINDS[self.kind][aspect]):
                for mark, q in ((".", 1 - self.author.exclaims), ("!", self.author.exclaims)):
                    yield f"{words} {mark}", p * q, VALENCE * valence, (k + 1, 0, kind_of, aspect, answered, filled)

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
                    yield f"{words} .", p / len(fillers), 0.0, (k + 1, 0, "filler", None, answered, True)
            else:
                link = "start" if before in (None, "filler") else "same" if before == kind_of else "turn"
                for connective, q in CONNECTIVES[link].items():
                    yield connective, p * q, 0.0, (k, 1, kind_of, aspect, answered, filled)

    def paths(self, text: str) -> Iterable[list[int]]:
        """The arcs that write this text: one path, or none (the grammar is unambiguous; a test says so)."""
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


def _word_count(words: str) -> int:
    return sum(w not in (".", "!") for w in words.split())


@cache
def _automaton(kind, asked, author, sentences, closings) -> Automaton:
    return Automaton(kind, asked, author, sentences, closings)


class Policy:
    """An exact policy for one prompt: the grammar (beta = inf) or the optimum pi* at a finite beta.

    `log_Z`, `mean_reward` and `kl` (to the grammar, nats per reply) are exact; so are `log_probs` and the samples.
    """

    def __init__(self, automaton: Automaton, beta: float = math.inf):
        if not beta > 0:
            raise ValueError(f"beta must be positive, not {beta}")
        self.automaton, self.beta = automaton, beta
        a, states = automaton, len(automaton.first) - 1
        value = np.zeros(states + 1)  # log of the sum over all ways on, of probability times exp(reward / beta)
        tilted = a.log_p + a.reward / beta
        self.arc_logps = np.empty_like(tilted)
        for s in range(states - 1, -1, -1):
            arcs = slice(a.first[s], a.first[s + 1])
            ways = tilted[arcs] + value[a.target[arcs]]
            value[s] = np.logaddexp.reduce(ways)
            self.arc_logps[arcs] = ways - value[s]
        self.log_Z = float(value[0])
        reach, visits = np.zeros(states + 1), np.empty_like(tilted)  # how often a state is reached, an arc taken
        reach[0] = 1.0
        for s in range(states):
            arcs = slice(a.first[s], a.first[s + 1])
            visits[arcs] = reach[s] * np.exp(self.arc_logps[arcs])
            np.add.at(reach, a.target[arcs], visits[arcs])
        self.mean_reward = float(visits @ a.reward)
        self.kl = float(visits @ (self.arc_logps - a.log_p))
        self.entropy = float(-visits @ self.arc_logps)
        self.mean_length = 1.0 + float(visits @ np.array([len(w) for w in a.words]))  # tokens, end-of-text included

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
            self._cumulative = [np.cumsum(np.exp(self.arc_logps[i:j])) for i, j in itertools.pairwise(a.first)]
        out = []
        for _ in range(n):
            state, words, draws = 0, [], iter(rng.random(4 * MAX_SENTENCES))
            while state != end:
                cumulative = self._cumulative[state]
                i = min(int(cumulative.searchsorted(next(draws), side="right")), len(cumulative) - 1)
                arc = int(a.first[state]) + i
                words.extend(a.words[arc])
                state = int(a.target[arc])
            out.append(" ".join(words))
        return out


@dataclass(frozen=True)
class World:
    """A grammar for every prompt. `World()` is the full world; `MINI` has one sentence a reply, so all can be listed."""

    author: Author = HOUSE
    max_sentences: int = MAX_SENTENCES
    closings: bool = True

    def policy(self, prompt: str, beta: float = math.inf) -> Policy:
        """The grammar's exact policy for a prompt, or with a finite `beta` the optimum pi* of reward - beta KL."""
        kind, asked = _question(prompt)
        return _policy(_automaton(kind, asked, self.author, self.max_sentences, self.closings), beta)

    def replies(self, prompt: str) -> list[str]:
        """Every reply to a prompt, sorted: a few thousand in the mini world. ValueError in a larger one."""
        if self.max_sentences > 1:
            raise ValueError("only the mini world can be listed: World(max_sentences=1, closings=False)")
        a, out, stack = self.policy(prompt).automaton, [], [(0, ())]
        while stack:
            state, words = stack.pop()
            if state == a.index["end"]:
                out.append(" ".join(words))
            else:
                stack += [(int(a.target[i]), words + a.words[i]) for i in range(a.first[state], a.first[state + 1])]
        return sorted(out)

    def log_probs(self, prompt: str, texts: Iterable[str], beta: float = math.inf) -> np.ndarray:
        """log pi_0(y|x), shape (N,), or log pi*(y|x) with a finite beta; -inf where the grammar can't write a text."""
        return self.policy(prompt, beta).log_probs(texts)

    def is_grammatical(self, prompt: str, text: str) -> bool:
        """Whether the grammar can write this text as a reply to this prompt."""
        return any(self.policy(prompt).automaton.paths(text))

    def sample(self, prompt: str, n: int, seed: int | np.random.Generator = 0, beta: float = math.inf) -> list[str]:
        """n exact samples from the grammar, or from pi* with a finite beta."""
        return self.policy(prompt, beta).sample(n, np.random.default_rng(seed))

    def frontier(self, betas: Iterable[float]) -> list[dict]:
        """The exact reward-KL frontier: beta, mean_reward, kl, log_Z. It is the same for every prompt (a test says so)."""
        found = [self.policy(prompts()[0], b) for b in betas]
        return [{"beta": p.beta, "mean_reward": p.mean_reward, "kl": p.kl, "log_Z": p.log_Z} for p in found]

    def optimum_at_kl(self, kl: float) -> Policy:
        """The pi* whose KL to the grammar is `kl` nats per reply: the most reward there. ValueError beyond beta = 0.01."""
        low, high = math.log(0.01), math.log(1000.0)
        if not 0 <= kl <= self.policy(prompts()[0], 0.01).kl:
            raise ValueError(f"no optimum is computed for a KL of {kl} nats per reply")
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.policy(prompts()[0], math.exp(middle)).kl > kl else (low, middle)
        return self.policy(prompts()[0], math.exp(high))


@cache
def _policy(automaton: Automaton, beta: float) -> Policy:
    return Policy(automaton, beta)


REVIEWS = World()
MINI = World(max_sentences=1, closings=False)


# ---------------------------------------------------------------- labellers: P(a is preferred to b)

Labeller = Callable[[str, str, str], float]


def exact(prompt: str, a: str, b: str) -> float:
    """1 if a has the higher true reward, 0 if b has, one half for a tie."""
    ra, rb = reward(prompt, a), reward(prompt, b)
    return 0.5 if ra == rb else float(ra > rb)


def bradley_terry(prompt: str, a: str, b: str) -> float:
    """sigmoid(r(a) - r(b)): arXiv 2305.18290, eq. 1."""
    return _sigmoid(reward(prompt, a) - reward(prompt, b))


def flipped(epsilon: float, labeller: Labeller = bradley_terry) -> Labeller:
    """Another labeller whose answer is turned round with probability epsilon."""
    return lambda prompt, a, b: epsilon + (1 - 2 * epsilon) * labeller(prompt, a, b)


def length_biased(per_word: float = 0.15) -> Labeller:
    """Bradley-Terry on the reward plus `per_word` for every word: somebody who takes long for good."""
    return lambda prompt, a, b: _sigmoid(reward(prompt, a) - reward(prompt, b) + per_word * (_word_count(a) - _word_count(b)))


def panel(prompt: str, a: str, b: str) -> float:
    """A panel that goes in circles on how a reply opens: praise beats blame beats filler beats praise, at 0.9."""
    first, second = opening(prompt, a), opening(prompt, b)
    if first == second:
        return 0.5
    if "malformed" in (first, second):
        return 0.9 if second == "malformed" else 0.1
    return 0.9 if (TYPES.index(second) - TYPES.index(first)) % 3 == 1 else 0.1


def opening(prompt: str, text: str) -> str:
    """What the first sentence of a reply is: one of TYPES, or "malformed"."""
    found = _read_sentence(_question(prompt)[0], (_sentences(text)[0] or [[]])[0])
    return found[0] if found else "malformed"


def make_pairs(
    n: int, labeller: Labeller = bradley_terry, world: World = REVIEWS, split: str = "train", seed: int = 0
) -> list[dict]:
    """n records prompt, chosen, rejected: two different samples of the world's grammar, order drawn from the labeller."""
    rng, asked, out = np.random.default_rng(seed), prompts(split), []
    while len(out) < n:
        prompt = asked[rng.integers(len(asked))]
        a, b = world.policy(prompt).sample(2, rng)
        if a != b:
            chosen, rejected = (a, b) if rng.random() < labeller(prompt, a, b) else (b, a)
            out.append({"prompt": prompt, "chosen": chosen, "rejected": rejected})
    return out


def make_thumbs(n: int, good_share: float = 0.5, world: World = REVIEWS, split: str = "train", seed: int = 0) -> list[dict]:
    """n records prompt, completion, label: True with probability sigmoid(r), then kept so that `good_share` are True."""
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
    """n records prompt, completion sampled from the grammar: what the tiny model learns to write."""
    rng, asked = np.random.default_rng(seed), prompts(split)
    chosen = (asked[i] for i in rng.integers(len(asked), size=n))
    return [{"prompt": p, "completion": world.policy(p).sample(1, rng)[0]} for p in chosen]


def _sigmoid(x: float) -> float:
    return 0.5 * (1 + math.tanh(x / 2))
