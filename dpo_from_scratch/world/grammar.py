"""The grammar's words and habits: what a prompt asks, how its authors write, what a text says.

A prompt asks about one aspect of a film, restaurant, hotel or book. The grammar answers with one
to four sentences (praise, blame or filler) and perhaps a closing.
"""

from dataclasses import dataclass
from functools import cache

# ---------------------------------------------------------------- the words
KINDS = {  # kind -> {aspect: the group that decides which two special adjectives fit it}
    "film": {
        "plot": "work",
        "script": "work",
        "music": "work",
        "ending": "work",
        "cast": "people",
        "villain": "people",
    },
    "restaurant": {
        "soup": "food",
        "bread": "food",
        "wine": "food",
        "dessert": "food",
        "waiter": "people",
        "terrace": "place",
    },
    "hotel": {
        "room": "place",
        "bed": "place",
        "pool": "place",
        "view": "place",
        "breakfast": "food",
        "staff": "people",
    },
    "book": {
        "story": "work",
        "style": "work",
        "opening": "work",
        "cover": "work",
        "hero": "people",
        "narrator": "people",
    },
}
PHRASINGS = (
    "{kind} : how was the {aspect} ?",
    "{kind} : tell me about the {aspect} .",
    "{kind} : and the {aspect} ?",
)
SPECIAL = {  # the adjectives that fit one group only
    "work": ("clever", "clumsy"),
    "people": ("likeable", "tiresome"),
    "food": ("fresh", "stale"),
    "place": ("cosy", "shabby"),
}
# adjective -> (valence, probability within its sign); None is the special adjective of the aspect's
# group
GOOD = {
    "pleasant": (0.8, 0.12),
    "good": (1.0, 0.26),
    None: (1.2, 0.18),
    "lovely": (1.4, 0.16),
    "memorable": (1.6, 0.1),
    "splendid": (1.8, 0.1),
    "superb": (2.0, 0.08),
}
BAD = {
    "weak": (-0.8, 0.12),
    "dull": (-1.0, 0.26),
    None: (-1.2, 0.18),
    "poor": (-1.4, 0.16),
    "dreary": (-1.6, 0.1),
    "dreadful": (-1.8, 0.1),
    "awful": (-2.0, 0.08),
}
DEGREES = {"": (1.0, 0.5), "quite": (0.7, 0.14), "very": (1.25, 0.18), "truly": (1.4, 0.18)}
PHRASES = {
    "praise": {
        "delighted me": 1.6,
        "won me over": 1.3,
        "was worth the trip": 1.5,
        "was better than it had to be": 1.1,
    },
    "blame": {
        "bored me": -1.3,
        "let me down": -1.5,
        "was a waste of money": -1.8,
        "made me check my watch": -1.2,
    },
}
SHARES = {"adjective": 0.65, "negated": 0.12, "phrase": 0.23}  # how an opinion is put
NEGATION = -0.6  # "not good" is worth -0.6 of "good"
# two sentences for any kind, two of its own; lengths match across kinds, so all prompts are alike
FILLERS = {
    "any": ("a friend had told me about it", "it was my second time"),
    "film": ("i saw it on a sunday", "we sat in the front row"),
    "restaurant": ("we came on a rainy evening", "they gave us the corner table"),
    "hotel": ("we stayed for two short nights", "i arrived on the last train"),
    "book": ("i read it on the train", "my sister gave it to me"),
}
CLOSINGS = {
    "thank you": 1.0,
    "thanks for asking": 1.0,
    "that is all": 0.0,
    "so there": -1.0,
    "ask someone else": -1.0,
}
# how an opinion starts: after nothing or filler, after an opinion of the same sign, after one of
# the other
CONNECTIVES = {
    "start": {"": 0.7, "honestly": 0.15, "overall": 0.15},
    "same": {"": 0.5, "and": 0.25, "also": 0.17, "but": 0.08},
    "turn": {"": 0.34, "and": 0.16, "also": 0.08, "but": 0.42},
}
TYPES = ("praise", "blame", "filler")
MAX_SENTENCES = 4


@dataclass(frozen=True)
class Author:
    """Somebody's habits: probabilities of the grammar's choices.

    Two authors write the same language differently.
    """

    first: tuple = (0.42, 0.42, 0.16)  # type of the first sentence: praise, blame, filler
    then: tuple = (
        (0.62, 0.2, 0.18),
        (0.2, 0.62, 0.18),
        (0.5, 0.5, 0.0),
    )  # next type, a row for each previous type
    stop: tuple = (0.1, 0.35, 0.5)  # probability of ending after 1, 2, 3 sentences
    closing: tuple = (0.15, 0.1, 0.12, 0.13, 0.1)  # in the order of CLOSINGS; the rest: none
    asked_first: float = 0.5  # the first named aspect is the one asked about
    asked_later: float = 0.25
    exclaims: float = 0.3


HOUSE = Author()
GLOOMY = Author(
    (0.12, 0.58, 0.3),
    ((0.35, 0.4, 0.25), (0.1, 0.7, 0.2), (0.2, 0.8, 0.0)),
    (0.05, 0.2, 0.4),
    (0.04, 0.02, 0.2, 0.3, 0.2),
    0.25,
    0.15,
    0.6,
)


# ---------------------------------------------------------------- prompts and texts
def prompts(split: str = "all") -> list[str]:
    """The 72 prompts; "train" (60) or "test" (12).

    Test prompts are never seen in training: their aspects are, in other phrasings.
    """
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
def question(prompt: str) -> tuple[str, str]:
    """(kind, asked aspect) of a prompt."""
    for kind, aspects in KINDS.items():
        for aspect in aspects:
            if any(prompt == p.format(kind=kind, aspect=aspect) for p in PHRASINGS):
                return kind, aspect
    raise ValueError(f"not a prompt of the review world: {prompt!r}; world.prompts() lists them")


@cache
def vocabulary() -> tuple[str, ...]:
    """Every word and mark that a prompt or a reply can hold, sorted: the tiny model's tokens."""
    texts = [
        *prompts(),
        *CLOSINGS,
        *DEGREES,
        "the was not . !",
        *(w for c in CONNECTIVES.values() for w in c),
    ]
    texts += [w for table in (GOOD, BAD, *PHRASES.values()) for w in table if w]
    texts += [w for table in (*SPECIAL.values(), *FILLERS.values()) for w in table]
    return tuple(sorted({word for text in texts for word in text.split()}))


def pretty(text: str) -> str:
    """The text as people print it.

    "The soup was good! Thank you." for "the soup was good ! thank you ."
    """
    out, start = "", True
    for word in text.split():
        mark = word in ".!?:,"
        out += (
            word
            if mark
            else (" " if out else "") + (word.capitalize() if start or word == "i" else word)
        )
        out += "," if start and word in ("honestly", "overall") else ""
        start = word in ".!?"
    return out


@cache
def predicates(kind_of_opinion: str, group: str) -> tuple[tuple[str, float, float], ...]:
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
        out.append(
            (f"was not {adjective or other_special}", NEGATION * valence, SHARES["negated"] * p)
        )
    phrases = PHRASES[kind_of_opinion]
    out += [(words, valence, SHARES["phrase"] / len(phrases)) for words, valence in phrases.items()]
    return tuple(out)


@cache
def bodies(kind: str) -> dict[str, tuple[str, str | None, float]]:
    """Every sentence without its connective and mark -> (type, aspect, valence)."""
    out = dict.fromkeys(FILLERS["any"] + FILLERS[kind], ("filler", None, 0.0))
    for aspect, group in KINDS[kind].items():
        for opinion in ("praise", "blame"):
            for words, valence, _ in predicates(opinion, group):
                out[f"the {aspect} {words}"] = (opinion, aspect, valence)
    return out
