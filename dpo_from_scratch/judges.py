"""Judges: functions that say which of two responses is better, or how good each of several is.

Two kinds, told apart by their parameters, and each can be turned into the other:

    compare(prompt, first, second) -> probability that the first response is better
    scores(prompt, texts)          -> one number for each text, larger is better

A prompt is a string or a list of messages; `text_of` gives the words of either. A judge is other
people's code: `checked_scores` and `checked_probability` are the only places that call one. What it
raises, a call that takes longer than PATIENCE, and what is no number are one sentence each. True
and False count as 1 and 0; a number may come in a tensor or an array of one.
"""

import copy
import inspect
import math
import re
import reprlib
import runpy
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from hashlib import sha256
from itertools import islice, permutations
from numbers import Real
from pathlib import Path

from .data import DataError
from .others import guarded

Labeller = Callable[[str, str, str], float]
Scores = Callable[[str, list[str]], list[float]]
FORMS = "(prompt, first, second) or (prompt, texts)"
PATIENCE = 600.0  # seconds for a call, and for running a judge's file: it may ask a server
_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


# ---------------------------------------------------------------- where a judge comes from
def load_judge(name: str, known: Mapping[str, Callable]) -> Callable:
    """One of the judges `known` by name, or the function of "FILE.py:FUNCTION".

    The file may import modules that lie beside it. DataError in one sentence if there is none, or
    if the file can't be run.
    """
    return named_judge(name, known)[0]


def named_judge(name: str, known: Mapping[str, Callable]) -> tuple[Callable, str]:
    """A judge as `load_judge` gives it, and what tells it from others.

    That is its name, for a function of a file with a hash of the file and of the modules that it
    took from beside itself.
    """
    if name in known:
        return known[name], name
    file, _, function = name.rpartition(":")
    choice = " or ".join(filter(None, [", ".join(known), "FILE.py:FUNCTION"]))
    try:
        if not Path(file or name).is_file():
            raise DataError(f"{file or name}: no such file")
        found, digest = guarded("the file", _run, Path(file), seconds=PATIENCE)
        if function not in found:
            raise DataError(f"the file holds no {function!r}")
    except DataError as error:
        raise DataError(f"{name!r} is no judge: give {choice} ({error})") from error
    return found[function], f"{Path(file).name}:{function} ({digest[:16]})"


def _run(file: Path) -> tuple[dict, str]:
    """What a file defines, and a hash of it and of the modules that it imports from its folder.

    The folder is the first on sys.path while the file runs, as for a script, and afterwards the
    last, for what is imported when the judge is called. Its modules are forgotten again, so that
    another judge's may have the same names, and a changed one is read anew.
    """
    folder, before = file.resolve().parent, set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        found = runpy.run_path(str(file))
    finally:
        sys.path.remove(str(folder))
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
        beside = {}
        for name in set(sys.modules) - before:
            place = Path(getattr(sys.modules[name], "__file__", None) or "/")
            ours = place.is_relative_to(folder) and "site-packages" not in place.parts
            if ours and name.partition(".")[0] not in before:
                beside[name] = place
        for name in beside:
            del sys.modules[name]
    sources = [file, *(beside[name] for name in sorted(beside))]
    return found, sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()


def text_of(prompt: str | list[dict]) -> str:
    """A prompt's text: of messages, what the user said last."""
    if isinstance(prompt, str):
        return prompt
    said = [message["content"] for message in prompt if message["role"] == "user"]
    return said[-1] if said else prompt[-1]["content"]


def as_chats(rows: list[dict]) -> list[dict]:
    """The same pairs as messages, so that the chat template is used; messages stay as they are."""
    roles = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}

    def message(text: str | list[dict], role: str) -> list[dict]:
        return [{"role": role, "content": text}] if isinstance(text, str) else text

    return [{key: message(row[key], role) for key, role in roles.items()} for row in rows]


def cut_off(cut: int, drawn: int) -> str:
    """The sentence about responses that had not ended."""
    mend = "give more tokens (--max-new-tokens), or first train on texts that end (--loss sft)"
    return f"{cut} of {drawn} responses had not come to their end and were left out: {mend}"


def compares(judge: Callable) -> bool:
    """Whether a judge is asked about two responses (three parameters) or about a list (two).

    Parameters with a default don't count. DataError for what takes another number of arguments, or
    is async.
    """
    try:
        parameters = inspect.signature(judge).parameters.values()
    except (TypeError, ValueError):
        raise DataError(f"a judge is a function of {FORMS}, and {judge!r} is none") from None
    if inspect.iscoroutinefunction(judge):
        raise DataError("this judge is an async function: give one that calls it by asyncio.run")
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
            first = checked_probability(compare, prompt, texts[i], texts[j])
            wins[i] += first
            wins[j] += 1 - first
        return [w / max(2 * (len(texts) - 1), 1) for w in wins]

    return judge


# ---------------------------------------------------------------- a judge without a network
@cache
def vader():
    """The analyser of vaderSentiment (Hutto and Gilbert, ICWSM 2014); DataError without it."""
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError:
        mend = "`pip install vaderSentiment`, or this package with its extra `feedback`"
        raise DataError(f"the rubric needs vaderSentiment, which is missing: {mend}") from None
    return SentimentIntensityAnalyzer()


def sentiment(text: str) -> float:
    """VADER's compound sentiment of a text, from -1 to 1."""
    return vader().polarity_scores(text)["compound"]


def rubric(prompt: str | list[dict], texts: list[str]) -> list[float]:
    """A judge that needs no network: kind words, the topic, few words; one number for each text.

    The sentiment, half a point for naming what was asked for, less a twentieth for each word past
    20. What was asked for is the prompt's last word, as a whole: "view" doesn't stand in "review".
    """
    words = text_of(prompt).rstrip(".").split("'s ")[-1].lower().split()
    topic = re.compile(rf"\b{re.escape(words[-1])}\b", re.IGNORECASE) if words else None
    return [
        sentiment(t) + 0.5 * bool(topic and topic.search(t)) - 0.05 * max(len(t.split()) - 20, 0)
        for t in texts
    ]


# ---------------------------------------------------------------- the only calls of a judge
def checked_scores(judge: Scores, prompt, texts: list[str]) -> list[float]:
    """The judge's scores; DataError if it doesn't give one finite number for each text."""

    def ask() -> tuple[object, list]:
        given = judge(copy.deepcopy(prompt), list(texts))  # it may change what it gets
        row = given.tolist() if hasattr(given, "tolist") else given  # an array, or a tensor
        words = isinstance(row, str | bytes | Mapping) or not isinstance(row, Iterable)
        return given, [] if words else list(islice(row, len(texts) + 1))

    given, values = guarded("the judge", ask, seconds=PATIENCE)
    scores = [number(value) for value in values]
    need = "it must give one finite number for each"
    if len(scores) != len(texts):
        raise DataError(f"the judge gave {_told(given)} for {len(texts)} texts: {need}")
    for i, score in enumerate(scores):
        if not math.isfinite(score):
            which = f"text {i + 1} of {len(texts)}"
            raise DataError(f"the judge gave {_told(values[i])} for {which}: {need}")
    return scores


def checked_probability(compare: Labeller, prompt, first: str, second: str) -> float:
    """The judge's comparison; DataError if it is no number from 0 to 1."""
    asked = copy.deepcopy(prompt)
    given = guarded("the judge", compare, asked, first, second, seconds=PATIENCE)
    found = number(given)
    if not 0 <= found <= 1:
        need = "it must give the probability, from 0 to 1, that the first is better"
        raise DataError(f"the judge gave {_told(given)} for two texts: {need}")
    return found


def number(value) -> float:
    """A number, also a boolean, or one in a tensor or an array of one; nan for anything else."""
    try:
        value = value.item() if hasattr(value, "item") else value
        return float(value) if isinstance(value, Real) else math.nan
    except (TypeError, ValueError, RuntimeError, OverflowError):  # an array of several, a huge int
        return math.nan


def _told(value) -> str:
    return " ".join(reprlib.repr(value).split())
