"""Texts of a row: strings, messages, transcripts; what is dropped from them is compared first."""

import json
import re

from .report import DataError

ROLES = ("system", "user", "assistant", "tool")
SURROGATE = re.compile("[\ud800-\udfff]")
HH_TURN, HH_HUMAN = "\n\nAssistant:", "\n\nHuman:"


def check_text(value, key: str):
    """The value, if it is a string or a list of messages; DataError with the reason if not."""
    if isinstance(value, str):
        _check_characters(value, key)
        if value.lstrip().startswith(("[{", "{'role", '{"role')) and "role" in value[:200]:
            raise DataError(f"{key} is messages written as text: parse them ({_parser(value)})")
        return value
    if isinstance(value, dict) and "role" in value and "content" in value:
        value = [value]  # one message, without the list around it
    if not isinstance(value, list) or not value:
        found = "an empty list" if value == [] else type(value).__name__
        raise DataError(f"{key} must be a string or a list of messages, not {found}")
    return [_check_message(message, key) for message in value]


def _check_message(message, key: str) -> dict:
    """The message, without what is null in it: tables give every message every column."""
    if (
        not isinstance(message, dict)
        or not isinstance(message.get("content"), str)
        or "role" not in message
    ):
        raise DataError(f'{key} holds something that is not a {{"role", "content"}} message')
    if message["role"] not in ROLES:
        known = ", ".join(ROLES)
        raise DataError(f"{key} has the unknown role {quoted(message['role'])} (known: {known})")
    _check_characters(message["content"], key)
    if None in message.values():
        return {name: value for name, value in message.items() if value is not None}
    return message


def quoted(value) -> str:
    """A value of a row as a message shows it: a report must not grow with what it quotes."""
    told = repr(value[:40] if isinstance(value, str) else value)
    return told if len(told) <= 42 else told[:40] + "..."


def _check_characters(value: str, key: str) -> None:
    if not value.isascii() and SURROGATE.search(value):
        raise DataError(f"{key} holds half a character (a lone surrogate)")


def _parser(value: str) -> str:
    try:
        json.loads(value)
    except ValueError:
        return "ast.literal_eval"
    return "json.loads"


def check_response(value, key: str):
    """A response and the turns before it: text, or messages whose last is the assistant's."""
    value, before = check_text(value, key), []
    if isinstance(value, list):
        if value[-1]["role"] != "assistant":
            raise DataError(f"{key} does not end with an assistant's turn")
        value, before = value[-1:], value[:-1]
    if not (value if isinstance(value, str) else value[0]["content"]).strip():
        raise DataError(f"{key} is empty")
    return value, before


def context_of(prompt: str | list[dict], before: list[dict], key: str) -> str | list[dict]:
    """What a response answers: the prompt, or the longer history that stands before the response.

    `before` are its earlier turns. They are dropped where the prompt has them; where the prompt is
    their end, they are the longer context. DataError where they differ.
    """
    if not before:
        return prompt
    asked = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    shorter = min(len(asked), len(before))
    if _same(asked[-shorter:], before[-shorter:]):
        return before if len(before) > len(asked) else prompt
    if _same(asked, before[: len(asked)]):
        why = "turns after the prompt, and only the last one is trained: put them into the prompt"
        raise DataError(f"{key} holds {why}")
    raise DataError(f"{key} begins with other turns than the prompt: they answer different prompts")


def _same(a: list[dict], b: list[dict]) -> bool:
    words = lambda turns: [
        (m["role"], m["content"].strip(), m.get("tool_calls") or None) for m in turns
    ]
    return words(a) == words(b)


def split_transcripts(chosen, rejected) -> dict:
    """Prompt and responses of two transcripts that differ in their last assistant turn only."""
    prompt: str | list[dict]
    other: str | list[dict]
    responses: tuple
    if isinstance(chosen, list) and isinstance(rejected, list) and chosen and rejected:
        prompt, other, responses = chosen[:-1], rejected[:-1], (chosen[-1:], rejected[-1:])
    elif isinstance(chosen, str) and isinstance(rejected, str):
        if HH_TURN not in chosen or HH_TURN not in rejected:
            raise DataError("no 'prompt', and no assistant turn to split at")
        (prompt, _, a), (other, _, b) = chosen.rpartition(HH_TURN), rejected.rpartition(HH_TURN)
        if HH_HUMAN in a or HH_HUMAN in b:
            raise DataError("a transcript ends with the human's turn, not the assistant's")
        prompt, other, responses = prompt + HH_TURN, other + HH_TURN, (a, b)
    else:
        raise DataError("chosen and rejected must both be strings or both be lists of messages")
    if prompt != other:
        raise DataError("chosen and rejected answer different prompts")
    return {"prompt": prompt, "chosen": responses[0], "rejected": responses[1]}
