"""Chapter 13's key cell: rows whose prompt has another row's response."""

from dataclasses import dataclass
from itertools import pairwise

from ...tokens import Example
from .functions import Function
from .kit import then


def mismatched(
    batch: list[Example], *, shift: int = 1, prompt_of: int = 0, cut: str = "each"
) -> list[Example]:
    """Every prompt with the response of the next row, the last with that of the first.

    shift: whose response; prompt_of: whose prompt; cut: whose length divides prompt and response.
    """
    found = []
    for i in range(len(batch)):
        own, other = batch[(i + prompt_of) % len(batch)], batch[(i + shift) % len(batch)]
        a, b = own.prompt_length, other.prompt_length
        a, b = {"each": (a, b), "own": (a, a), "other": (b, b)}[cut]
        found.append(Example(tuple(own.ids[:a]) + tuple(other.ids[b:]), a))
    return found


def _pieces(change):
    """Mismatched rows, made of (prompt, response, whole other, own) in another way."""

    def rows(batch):
        after = batch[1:] + batch[:1]
        return [change(own, other) for own, other in zip(batch, after, strict=True)]

    return rows


def _prompt(e: Example) -> tuple:
    return tuple(e.ids[: e.prompt_length])


def _reply(e: Example) -> tuple:
    return tuple(e.ids[e.prompt_length :])


def _without_first(batch):
    """Only the rows that have a next one."""
    return mismatched(batch)[:-1]


ROWS_WRONG = (
    ("the last row is missing: its next is the first.", _without_first),
    ("the rows stand in the opposite order.", lambda b: mismatched(b)[::-1]),
    ("every prompt with every other response: only the next row's is asked.",
     lambda batch: [Example(_prompt(a) + _reply(b), a.prompt_length)
                    for a in batch for b in batch if a is not b]),
    ("two things. First: the last row is missing. Second: `prompt_length` is the next row's.",
     lambda batch: [Example(_prompt(a) + _reply(b), b.prompt_length)
                    for a, b in pairwise(batch)]),
    ("the whole next row is appended, its prompt too: take its response alone.",
     _pieces(lambda own, other: Example(_prompt(own) + tuple(other.ids), own.prompt_length))),
    ("the next response comes after the row's own one: that must go.",
     _pieces(lambda own, other: Example(tuple(own.ids) + _reply(other), own.prompt_length))),
    ("the next response comes after the row's own one, which counts as prompt: it must go.",
     _pieces(lambda own, other: Example(tuple(own.ids) + _reply(other), len(own.ids)))),
    ("the prompt is missing: a response is scored behind its prompt.",
     _pieces(lambda own, other: Example(_reply(other), 0))),
    ("the prompt is missing: a response is scored behind its prompt.",
     _pieces(lambda own, other: Example(_reply(other), own.prompt_length))),
    ("`prompt_length` is 0, so the prompt would be scored too.",
     _pieces(lambda own, other: Example(_prompt(own) + _reply(other), 0))),
    ("`prompt_length` is that of the next row; it must fit the prompt that stands there.",
     _pieces(lambda own, other: Example(_prompt(own) + _reply(other), other.prompt_length))),
    ("`prompt_length` holds the length of the whole row: nothing would be scored.",
     _pieces(lambda own, other: Example(
         _prompt(own) + _reply(other), own.prompt_length + other.response_length))),
    ("`prompt_length` holds the length of the response.",
     _pieces(lambda own, other: Example(_prompt(own) + _reply(other), other.response_length))),
    ("the response loses its end token: that is scored too.",
     _pieces(lambda own, other: Example(_prompt(own) + _reply(other)[:-1], own.prompt_length))),
    ("the response loses its first token.",
     _pieces(lambda own, other: Example(_prompt(own) + _reply(other)[1:], own.prompt_length))),
    ("the prompt loses its last token.",
     _pieces(lambda own, other: Example(_prompt(own)[:-1] + _reply(other), own.prompt_length - 1))),
    ("the last token of the next prompt comes along with the response.",
     _pieces(lambda own, other: Example(
         _prompt(own) + tuple(other.ids[other.prompt_length - 1:]), own.prompt_length))),
    ("the response is cut to the length of the row's own.",
     _pieces(lambda own, other: Example(
         _prompt(own) + _reply(other)[: own.response_length], own.prompt_length))),
    ("the response is read backwards.",
     _pieces(lambda own, other: Example(_prompt(own) + _reply(other)[::-1], own.prompt_length))),
    ("the prompt is read backwards.",
     _pieces(lambda own, other: Example(_prompt(own)[::-1] + _reply(other), own.prompt_length))),
    ("the end token comes twice: it is part of the response already.",
     _pieces(lambda own, other: Example(
         _prompt(own) + _reply(other) + _reply(other)[-1:], own.prompt_length))),
    ("the row's own end token comes behind the response, which has one already.",
     _pieces(lambda own, other: Example(
         _prompt(own) + _reply(other) + _reply(own)[-1:], own.prompt_length))),
    ("the row's own response stays, and is cut to the next one's length.",
     _pieces(lambda own, other: Example(
         _prompt(own) + _reply(own)[: other.response_length], own.prompt_length))),
    ("`prompt_length` is one too large: the response's first token wouldn't be scored.",
     _pieces(lambda own, other: Example(_prompt(own) + _reply(other), own.prompt_length + 1))),
    ("`prompt_length` is one too small: the prompt's last token would be scored.",
     _pieces(lambda own, other: Example(_prompt(own) + _reply(other), own.prompt_length - 1))),
    ("`prompt_length` is the length of the whole old row.",
     _pieces(lambda own, other: Example(_prompt(own) + _reply(other), len(own.ids)))),
    ("`prompt_length` is the length of the row's own response.",
     _pieces(lambda own, other: Example(_prompt(own) + _reply(other), own.response_length))),
    ("the next prompt stands before the row's own response, and `prompt_length` is the row's own.",
     _pieces(lambda own, other: Example(_prompt(other) + _reply(own), own.prompt_length))),
    ("the next row is cut at the wrong place: from its end, by its prompt's length.",
     _pieces(lambda own, other: Example(
         _prompt(own) + tuple(other.ids[-other.prompt_length:]), own.prompt_length))),
    ("the next row is cut at its response's length, not at its prompt's.",
     _pieces(lambda own, other: Example(
         _prompt(own) + tuple(other.ids[other.response_length:]), own.prompt_length))),
    ("the response loses its first two tokens.",
     _pieces(lambda own, other: Example(_prompt(own) + _reply(other)[2:], own.prompt_length))),
    ("there is no response: only the prompt is left.",
     _pieces(lambda own, other: Example(_prompt(own), own.prompt_length))),
    ("both prompts stand before the next response: the next one's own must go.",
     _pieces(lambda own, other: Example(
         _prompt(own) + tuple(other.ids), own.prompt_length + other.prompt_length))),
    ("the next row's prompt stands where its response should.",
     _pieces(lambda own, other: Example(_prompt(own) + _prompt(other), own.prompt_length))),
    ("the row's own response comes after the next one: it must go.",
     _pieces(lambda own, other: Example(
         _prompt(own) + _reply(other) + _reply(own), own.prompt_length))),
    ("the old rows stand before the new ones: only the new ones are asked.",
     lambda batch: [*batch, *mismatched(batch)]),
    ("the old rows stand between the new ones: only the new ones are asked.",
     lambda batch: [row for both in zip(batch, mismatched(batch), strict=True) for row in both]),
    ("every prompt has the first row's response.",
     lambda batch: [Example(_prompt(a) + _reply(batch[0]), a.prompt_length) for a in batch]),
    ("every prompt has the last row's response.",
     lambda batch: [Example(_prompt(a) + _reply(batch[-1]), a.prompt_length) for a in batch]),
    ("the last row keeps its own response; it needs the first row's.",
     lambda batch: [*mismatched(batch)[:-1], batch[-1]]),
    ("the new rows begin with the second one: the order is the batch's.",
     lambda batch: [*mismatched(batch)[1:], mismatched(batch)[0]]),
    ("the first row is missing, and each other has the response of the row before.",
     lambda batch: mismatched(batch, shift=-1)[1:]),
    ("response and prompt stand in the wrong order.",
     _pieces(lambda own, other: Example(_reply(other) + _prompt(own), own.prompt_length))),
)  # fmt: skip


@dataclass
class Rows(Function):
    """A function that gives a list of Examples."""

    def trouble(self, value, answer) -> str:
        """A list of Examples is asked."""
        good = isinstance(value, list | tuple) and all(isinstance(e, Example) for e in value)
        return "" if good else f"it gives {type(value).__name__}; a list of Examples is asked."

    def near(self, a, b) -> bool:
        """The same ids and prompt lengths."""
        plain = lambda rows: [(list(map(int, e.ids)), int(e.prompt_length)) for e in rows]
        return not self.trouble(a, b) and plain(a) == plain(b)


def _whose(ask, cases) -> str:
    """Whole prompts and whole responses, but of which rows?"""
    whose = set()
    for case in cases:
        batch, rows = list(*case.values()), ask(case)
        prompts, replies = [_prompt(e) for e in batch], [_reply(e) for e in batch]
        if [_prompt(e) for e in rows] != prompts:
            return ""
        if any(_reply(e) not in replies for e in rows):
            return ""
        whose |= {_reply(e) == own for e, own in zip(rows, replies, strict=True)}
    if True in whose:
        return "some rows keep their own response; each needs the next row's."
    return "the responses are those of other rows, but not of the next ones."


def _batches() -> list[dict]:
    """Rows of no model: prompts and responses of different lengths, all ids different."""
    sizes = [[(3, 6), (5, 4), (2, 7)], [(4, 3), (2, 8), (6, 5), (3, 4)],
             [(2, 4), (3, 9), (5, 6), (4, 7), (6, 3)]]  # fmt: skip
    made, start = [], 10
    for rows in sizes:
        batch = []
        for prompt, reply in rows:
            batch.append(Example(tuple(range(start, start + prompt + reply)), prompt))
            start += prompt + reply
        made.append({"batch": batch})
    return made


ROWS = Rows(
    mismatched,
    _batches(),
    switches={
        "shift": (0, "each row keeps its own response."),
        "prompt_of": (1, "the prompt is the next row's, too: only the response is."),
        "cut": ("own", "the next row is cut at this row's prompt length, not at its own."),
    },
    wrongs=(
        ("each prompt has the response of the row before, not of the next.",
         lambda batch: mismatched(batch, shift=-1)),
        ("each prompt has the response of the row after the next.",
         lambda batch: mismatched(batch, shift=2)),
        ("the responses stay and the prompts move: that is the row before's response.",
         lambda batch: mismatched(batch, shift=0, prompt_of=1)),
        ("this row's prompt is cut at the next row's prompt length.",
         lambda batch: mismatched(batch, cut="other")),
        *ROWS_WRONG,
        *then(
            ROWS_WRONG, lambda rows, batch: rows[:-1], "the last row is missing: its next is the "
            "first."),
        *(("two things. First: each prompt has the response of the row before. Second: " + why,
           lambda batch, f=function: f(batch[::-1])[::-1]) for why, function in ROWS_WRONG),
    ),
    traits=[_whose],
    shows="Behind each prompt stands a text that nobody wrote for it.",
    common=False,
)  # fmt: skip
