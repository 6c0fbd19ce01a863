"""The true reward: of any text, as a reply to any prompt of the review world."""

from collections.abc import Iterable

import numpy as np

from .grammar import CLOSINGS, CONNECTIVES, MAX_SENTENCES, bodies, question

VALENCE = 0.65  # a sentence's valence, times this
ANSWERS = 1.0  # for naming the aspect that was asked about
PER_WORD = -0.05
MALFORMED = -2.0  # for a sentence that the grammar can't write
FLOOR = -10.0


def read_sentence(kind: str, words: list[str]) -> tuple[str, str | None, float] | None:
    """(type, aspect, valence) of a sentence without its mark, or None if malformed."""
    known = bodies(kind)
    found = known.get(" ".join(words))
    if found is None and words and any(words[0] in table for table in CONNECTIVES.values()):
        found = known.get(" ".join(words[1:]))
        found = None if found and found[0] == "filler" else found
    return found


def split_sentences(text: str) -> tuple[list[list[str]], bool]:
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

    0.65 valence of each well-formed sentence, +1 if one names the asked aspect, +1 for a polite
    closing and -1 for a rude one, -0.05 a word, -2 for each malformed sentence, each one after the
    fourth, and for having none at all. A sentence is well-formed if the grammar writes it somewhere
    in a reply to this prompt.

    No text scores above the best one of the full grammar. A sentence adds at most c = max(0.65
    valence - 0.05 words) over the well-formed ones, whatever stands around it; at most four count;
    all else that is written subtracts, but for one +1 (asked aspect) and one closing. The grammar
    reaches every one of these bounds at once: four sentences of the best predicate without
    connectives, aspects alternating, the asked one among them, "thank you ." at the end.
    """
    kind, asked = question(prompt)
    sentences, ended = split_sentences(text)
    total = PER_WORD * sum(len(s) for s in sentences)
    if ended and sentences and " ".join(sentences[-1]) in CLOSINGS:
        total += CLOSINGS[" ".join(sentences.pop())]
    found = [read_sentence(kind, s) for s in sentences]
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


def word_count(words: str) -> int:
    """Words without marks."""
    return sum(w not in (".", "!") for w in words.split())
