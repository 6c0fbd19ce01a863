"""The columns of a file: what kind of rows they make."""

from collections.abc import Iterable

KEYS = {  # from the richest kind to the poorest
    "pairs": ("prompt", "chosen", "rejected"),
    "labels": ("prompt", "completion", "label"),
    "texts": ("prompt", "completion"),
    "prompts": ("prompt",),
}
ASKED = ("instruction", "question", "query", "input", "problem", "post", "context")


def kind_by_keys(keys: Iterable[str]) -> str | None:
    """The kind of row that these keys were meant for, also where one is missing; None if none.

    One of chosen and rejected makes a pair, a label makes a thumb: a row that lacks the rest is a
    bad row, and not a good one of a poorer kind.
    """
    there = set(keys)
    if there & {"chosen", "rejected"}:
        return "pairs"
    if "label" in there and there & {"prompt", "completion"}:
        return "labels"
    return "texts" if "completion" in there else "prompts" if "prompt" in there else None


def has_kind(keys: Iterable[str], kind: str) -> bool:
    """Whether rows with these keys can be read as this kind."""
    there = set(keys)
    transcripts = {"chosen", "rejected"} <= there and not there & {*ASKED, "conversations"}
    return set(KEYS[kind]) <= there or (kind == "pairs" and transcripts)


def richer(kind: str | None, than: str) -> bool:
    """Whether a kind has more than another one."""
    order = list(KEYS)
    return kind is not None and order.index(kind) < order.index(than)
