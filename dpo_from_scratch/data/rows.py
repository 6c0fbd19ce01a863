"""One row: what its kind needs, in normal form; what can't be used, and what is odd about it."""

import math
from collections.abc import Callable
from functools import lru_cache

from .columns import ASKED, KEYS
from .report import DataError
from .texts import HH_HUMAN, check_response, check_text, context_of, quoted, split_transcripts

# columns that TRL or a template would show to the model, and that are not used here
CHANGES: tuple[str, ...] = ("tools", "functions", "documents", "history", "chat_template_kwargs")
CHANGES += ("images", "image", "videos", "video", "audio", "audios")
WORDS = ("score", "rating", "reward")  # what a judge gave the two responses


@lru_cache(maxsize=256)
def used(kind: str, keys: tuple) -> frozenset:
    """Those of a row's columns that are read, or compared, or refused by name."""
    scores = {name for pair in _scores(keys) for name in pair} if kind == "pairs" else set()
    more = {"probability", "margin"} if kind == "pairs" else set()
    return frozenset({*KEYS[kind], *CHANGES, "system", *scores, *more} & set(keys))


@lru_cache(maxsize=256)
def _scores(keys: tuple) -> tuple:
    """Pairs of columns such as score_chosen and score_rejected, or chosen-rating and its other."""
    pairs = ((key, key.replace("chosen", "rejected")) for key in keys if "chosen" in key)
    return tuple(p for p in pairs if p[1] in keys and any(word in p[0] for word in WORDS))


def check_row(row: dict, kind: str = "pairs", note: Callable[[str], None] | None = None) -> dict:
    """The row in normal form; DataError with the reason if it can't be used.

    `note(reason)` is told what is odd about a row that can be used.
    """
    note = note or (lambda reason: None)
    if kind == "pairs" and "prompt" not in row and "chosen" in row and "rejected" in row:
        row = {**row, **split_transcripts(row["chosen"], row["rejected"])}
    missing = [key for key in KEYS[kind] if row.get(key) is None]
    if missing:
        raise DataError(
            f"no {', '.join(repr(k) for k in missing)}; {kind} need {', '.join(KEYS[kind])}"
        )
    out = {"prompt": check_text(row["prompt"], "prompt")}
    histories = {}
    for key in KEYS[kind][1:]:
        if key == "label":
            out["label"] = _check_label(row["label"])
        else:
            out[key], histories[key] = check_response(row[key], key)
    if len(row) > len(out):
        _check_columns(row)
    _put_context(out, row, histories, note)
    _look_at_prompt(out["prompt"], row, note)
    if kind == "pairs":
        _check_pair(out, row, note)
    _look_at_strings(out, histories, note)
    return out


def _check_label(label) -> bool:
    if isinstance(label, bool):
        return label
    number = isinstance(label, int | float) and label in (0, 1)
    mend = " (write bool(label))" if number else ""
    raise DataError(f"label must be true or false, not {quoted(label)}{mend}")


def _check_columns(row: dict) -> None:
    found = next((name for name in CHANGES if row.get(name)), None)
    if found:
        mend = "write it into the prompt, or remove the column"
        raise DataError(f"column {found!r} would change what the model reads, and can't be: {mend}")
    if row.get("system") is not None and not isinstance(row["system"], str):
        raise DataError(f"system must be a string, not {type(row['system']).__name__}")


def _put_context(out: dict, row: dict, histories: dict, note: Callable) -> None:
    """Put the turns that all responses share, and the system text, before the prompt."""
    asked = out["prompt"]
    contexts = [context_of(asked, before, key) for key, before in histories.items()]
    if any(context != contexts[0] for context in contexts[1:]):
        raise DataError("chosen and rejected answer different prompts")
    if contexts and contexts[0] is not asked and contexts[0] != asked:
        note("the prompt lacks turns that stand before the response, and is read with them")
        out["prompt"] = contexts[0]
    system = row.get("system")
    if not system:
        return
    if all(isinstance(out[key], str) for key in ("prompt", *histories)):
        mend = "write it into the prompt, or give messages"
        raise DataError(f"column 'system' has no place in rows of plain strings: {mend}")
    turns = out["prompt"]
    turns = [{"role": "user", "content": turns}] if isinstance(turns, str) else turns
    if turns[0]["role"] == "system" and turns[0]["content"] != system:
        raise DataError("the column 'system' and the prompt's system turn differ")
    if turns[0]["role"] != "system":
        out["prompt"] = [{"role": "system", "content": system}, *turns]


def _look_at_prompt(prompt: str | list[dict], row: dict, note: Callable) -> None:
    """A prompt that ends with an answer, and columns that may be a part of it and are not in it."""
    if isinstance(prompt, list) and prompt[-1]["role"] == "assistant":
        note("the prompt ends with an assistant's turn: the response is a second one")
    for name in ASKED:
        text = row.get(name)
        if isinstance(text, str) and text.strip():
            turns = [prompt] if isinstance(prompt, str) else [m["content"] for m in prompt]
            if not any(text.strip() in turn for turn in turns):
                note(f"column {name!r} does not stand in the prompt, and is not used")


def _check_pair(out: dict, row: dict, note: Callable) -> None:
    if out["chosen"] == out["rejected"]:
        raise DataError("chosen and rejected are the same")
    if row.get("probability") is not None:
        p = row["probability"]
        if isinstance(p, bool) or not isinstance(p, int | float) or not 0 <= p <= 1:
            raise DataError(f"probability must be a number from 0 to 1, not {quoted(p)}")
        out["probability"] = float(p)
        if p < 0.5:
            note("its probability says that the rejected response is the better one")
    for better, worse in _scores(tuple(row)) if len(row) > 4 else ():
        _compare_scores(row[better], row[worse], note)
    if row.get("margin") is not None:
        _compare_scores(row["margin"], 0, note)


def _compare_scores(chosen, rejected, note: Callable) -> None:
    if chosen is None or rejected is None:
        return
    numbers = [isinstance(x, int | float) and not isinstance(x, bool) for x in (chosen, rejected)]
    if not all(numbers) or not (abs(chosen) < math.inf and abs(rejected) < math.inf):
        note("a score of its responses is no finite number")
    elif chosen < rejected:
        note("the chosen response has the lower score")
    elif chosen == rejected:
        note("chosen and rejected have equal scores")


def _look_at_strings(out: dict, responses, note: Callable) -> None:
    """What goes wrong where texts are joined: the prompt twice, no space, another speaker."""
    prompt = out["prompt"]
    texts = [out[key] for key in responses if isinstance(out[key], str)]
    if not isinstance(prompt, str) or not texts:
        return
    start = prompt.strip()
    if start and all(_begins(text.lstrip(), start) for text in texts):
        note("the response begins with the prompt, which would be read twice")
    elif any(_runs_together(prompt, text) for text in texts):
        note("no white space where the response follows the prompt")
    if any(HH_HUMAN in text for text in texts):
        note("the response holds another turn of the human")


def _begins(text: str, start: str) -> bool:
    """With whole words: "Hi" is no beginning of "Highly"."""
    after = text[len(start) : len(start) + 1]
    return text.startswith(start) and not (start[-1].isalnum() and after.isalnum())


def _runs_together(prompt: str, text: str) -> bool:
    """A seam as in "The film wasgood"; not behind a sign that stands alone, as in "was it ?"."""
    end, start = prompt[-1:], text[:1]
    joined = start.isalnum() and (end.isalnum() or end in tuple(".,;:!?)'\""))
    if not joined or max(end, start) >= "\u0e00":  # scripts that put no space between words
        return False
    return any(c.isalnum() for c in prompt.rsplit(maxsplit=1)[-1])


def split_pairs(rows: list[dict]) -> list[dict]:
    """Pairs as labels: the chosen response liked, the rejected one not.

    Both share a prompt, as true thumbs need not.
    """
    return [
        {"prompt": row["prompt"], "completion": row[side], "label": side == "chosen"}
        for row in rows
        for side in ("chosen", "rejected")
    ]
