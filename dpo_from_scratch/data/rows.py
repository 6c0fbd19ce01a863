"""One row: what its kind needs, in normal form; what can't be used, and what is odd about it."""

import math
from collections.abc import Callable

from .columns import KEYS
from .report import DataError
from .texts import HH_HUMAN, check_response, check_text, context_of, split_transcripts

# columns that TRL or a template would show to the model, and that are not used here
CHANGES = ("tools", "images", "image", "documents", "videos", "audio", "functions")
SCORES = (  # what a judge gave the two responses
    ("score_chosen", "score_rejected"),
    ("chosen_score", "rejected_score"),
    ("chosen-rating", "rejected-rating"),
    ("chosen_rating", "rejected_rating"),
    ("reward_chosen", "reward_rejected"),
)
_PAIRS = {name for pair in SCORES for name in pair} | {"probability"}
USED = {
    kind: {*keys, *CHANGES, "system"} | (_PAIRS if kind == "pairs" else set())
    for kind, keys in KEYS.items()
}


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
            if not isinstance(row["label"], bool):
                raise DataError(f"label must be true or false, not {row['label']!r}")
            out["label"] = row["label"]
        else:
            out[key], histories[key] = check_response(row[key], key)
    if len(row) > len(out):
        _check_columns(row)
    _put_context(out, row, histories, note)
    if kind == "pairs":
        _check_pair(out, row, note)
    _look_at_strings(out, histories, note)
    return out


def _check_columns(row: dict) -> None:
    used = next((name for name in CHANGES if row.get(name)), None)
    if used:
        mend = "write it into the prompt, or remove the column"
        raise DataError(f"column {used!r} would change what the model reads, and can't be: {mend}")
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


def _check_pair(out: dict, row: dict, note: Callable) -> None:
    if out["chosen"] == out["rejected"]:
        raise DataError("chosen and rejected are the same")
    if row.get("probability") is not None:
        p = row["probability"]
        if isinstance(p, bool) or not isinstance(p, int | float) or not 0 <= p <= 1:
            raise DataError(f"probability must be a number from 0 to 1, not {p!r}")
        out["probability"] = float(p)
        if p < 0.5:
            note("its probability says that the rejected response is the better one")
    for names in SCORES:
        if names[0] in row and names[1] in row:
            _compare_scores(*(row[name] for name in names), note)


def _compare_scores(chosen, rejected, note: Callable) -> None:
    if chosen is None or rejected is None:
        return
    numbers = [x for x in (chosen, rejected) if isinstance(x, int | float)]
    if len(numbers) < 2 or not all(map(math.isfinite, numbers)):
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
    if prompt.strip() and all(text.startswith(prompt) for text in texts):
        note("the response begins with the prompt, which would be read twice")
    elif prompt[-1:].isalnum() and any(text[:1].isalnum() for text in texts):
        note("no white space where the response follows the prompt")
    if any(HH_HUMAN in text for text in texts):
        note("the response holds another turn of the human")


def split_pairs(rows: list[dict]) -> list[dict]:
    """Pairs as labels: the chosen response liked, the rejected one not.

    Both share a prompt, as true thumbs need not.
    """
    return [
        {"prompt": row["prompt"], "completion": row[side], "label": side == "chosen"}
        for row in rows
        for side in ("chosen", "rejected")
    ]
