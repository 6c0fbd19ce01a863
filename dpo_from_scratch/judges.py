"""Judges: functions that say which of two responses is better, or how good each of several is.

Two kinds, told apart by their parameters, and each can be turned into the other:

    compare(prompt, first, second) -> probability that the first response is better
    scores(prompt, texts)          -> one number for each text, larger is better

A prompt is a string or a list of messages; `text_of` gives the words of either.
"""

import inspect
import math
import runpy
from collections.abc import Callable, Mapping
from itertools import permutations

from .data import DataError

Labeller = Callable[[str, str, str], float]
Scores = Callable[[str, list[str]], list[float]]
FORMS = "(prompt, first, second) or (prompt, texts)"
_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def load_judge(name: str, known: Mapping[str, Callable]) -> Callable:
    """One of the judges `known` by name, or the function of "FILE.py:FUNCTION".

    DataError in one sentence if there is none, or if the file can't be run.
    """
    if name in known:
        return known[name]
    file, _, function = name.rpartition(":")
    try:
        return runpy.run_path(file)[function]
    except Exception as error:  # whatever a file of the user's may raise
        choice = " or ".join(filter(None, [", ".join(known), "FILE.py:FUNCTION"]))
        raise DataError(f"{name!r} is no judge: give {choice} ({error})") from error


def text_of(prompt: str | list[dict]) -> str:
    """A prompt's text: of messages, what the user said last."""
    if isinstance(prompt, str):
        return prompt
    said = [message["content"] for message in prompt if message["role"] == "user"]
    return said[-1] if said else prompt[-1]["content"]


def compares(judge: Callable) -> bool:
    """Whether a judge is asked about two responses (three parameters) or about a list (two).

    Parameters with a default don't count. DataError for what takes another number of arguments.
    """
    try:
        parameters = inspect.signature(judge).parameters.values()
    except (TypeError, ValueError):
        raise DataError(f"a judge is a function of {FORMS}, and {judge!r} is none") from None
    needed = [p for p in parameters if p.default is p.empty and p.kind not in _REST]
    by_name = [p.name for p in needed if p.kind is inspect.Parameter.KEYWORD_ONLY]
    if by_name or len(needed) not in (2, 3):
        found = ", ".join(p.name for p in needed) or "none"
        raise DataError(f"a judge is a function of {FORMS}; this one needs: {found}")
    return len(needed) == 3


def as_labeller(judge: Callable) -> Labeller:
    """The judge as a function of two responses; of scores, the higher one wins, and a tie is .5.

    When asked, it raises DataError where the judge gives no probability, or no finite scores.
    """
    if compares(judge):
        return lambda prompt, first, second: checked_probability(judge, prompt, first, second)

    def compare(prompt, first: str, second: str) -> float:
        a, b = checked_scores(judge, prompt, [first, second])
        return 0.5 if a == b else float(a > b)

    return compare


def as_scores(judge: Callable) -> Scores:
    """The judge as a function of a list; of comparisons, the share that a text wins."""
    return from_comparisons(as_labeller(judge)) if compares(judge) else judge


def from_comparisons(compare: Labeller) -> Scores:
    """Scores from comparisons: each two texts in both orders, so that position cancels.

    compare(prompt, first, second) gives 1 where the first is better, 0 where the second is, .5 for
    a tie; the score of a text is the share that it wins.
    """

    def judge(prompt, texts: list[str]) -> list[float]:
        wins = [0.0] * len(texts)
        for i, j in permutations(range(len(texts)), 2):
            first = compare(prompt, texts[i], texts[j])
            wins[i] += first
            wins[j] += 1 - first
        return [w / max(2 * (len(texts) - 1), 1) for w in wins]

    return judge


def checked_scores(judge: Scores, prompt, texts: list[str]) -> list[float]:
    """The judge's scores; DataError if it doesn't give one finite number for each text."""
    given = judge(prompt, texts)
    try:
        scores = [float(s) for s in given]
    except (TypeError, ValueError):
        scores = None
    if scores is None or len(scores) != len(texts) or not all(map(math.isfinite, scores)):
        found = given if scores is None else scores
        need = "it must give one finite number for each"
        raise DataError(f"the judge gave {found} for {len(texts)} texts: {need}")
    return scores


def checked_probability(compare: Labeller, prompt, first: str, second: str) -> float:
    """The judge's comparison; DataError if it is no number from 0 to 1."""
    given = compare(prompt, first, second)
    try:
        found = float(given)
    except (TypeError, ValueError):
        found = math.nan
    if not 0 <= found <= 1:
        need = "it must give the probability, from 0 to 1, that the first is better"
        raise DataError(f"the judge gave {given} for two texts: {need}")
    return found
