"""Exercises of chapter 13: KTO's mismatched rows, where BCO rests, weights for uneven thumbs."""

from dataclasses import dataclass
from itertools import pairwise

import torch

from ...tokens import Example
from .answers import Numbers
from .functions import Function
from .resting import REST


# ---------------------------------------------------------------- 13.0: mismatched rows
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
    ),
    traits=[_whose],
    shows="Behind each prompt stands a text that nobody wrote for it.",
    common=False,
)  # fmt: skip


# ---------------------------------------------------------------- 13.2: KTO's weights
def _weight_wrongs(answer) -> list:
    both = tuple(answer)
    low, high = 1 / 99, 4 / 3 / 99
    return [
        (both, (1, 4 / 3), "these are the bounds of the ratio; it also holds the counts."),
        (both, (99, 132), "the counts go in upside down."),
        (both, (99, 99 * 3 / 4), "the counts go in upside down, and the bounds as well."),
        (both, (99 * 3 / 4, 99), "these are for λ_down, with λ_up = 1: the larger one is to be 1."),
        (both, (1, 3 / 4), "these are for λ_down: λ_up is asked."),
        (both, (3 / 4 / 99, low), "the 4/3 goes in upside down."),
        (both, (0.01, 4 / 300), "that is for 1 to 100; 99 % up are other odds than that."),
        (both, (0.99, 0.99 * 4 / 3), "that is the share of thumbs-up, not a weight for them."),
        (both, (0.01 * 0.99, 0.01 * 0.99 * 4 / 3), "the shares are multiplied; the ratio counts."),
        (both, (low, 4 / 3), "the upper bound forgets the counts."),
        (both, (low, low + 1 / 3), "the upper bound is 4/3 of the ratio; 1/3 is added."),
        (both, (1, 1), "then the thumbs-up weigh 99 times as much together; TRL would warn."),
        (both, (0.01, 0.013), "give three digits: 1 to 99 and 1 to 100 differ in the third."),
        (both, (1 / 99**2, 4 / 3 / 99**2), "the counts go in twice."),
        (both, (low**0.5, high**0.5), "that is the root: the ratio itself is bounded."),
    ]  # fmt: skip


# ---------------------------------------------------------------- 13.3: weights for prompts
def kind_weight(of_kind, up, *, over: str = "down", what: str = "share", turned: bool = False):
    """How much more often a kind stands among the rows that are up than among those down.

    over: what it is divided by; what: shares, counts or the odds of the shares.
    """
    here, up = (torch.as_tensor(t).bool() for t in (of_kind, up))
    liked, other = here[up].double(), {"down": here[~up], "all": here}[over].double()
    size = {
        "share": torch.mean,
        "count": torch.sum,
        "odds": lambda t: t.mean() / (1 - t.mean()),
    }[what]
    ratio = size(liked) / size(other)
    return float(1 / ratio if turned else ratio)


def _share_wrong(change):
    """Of the shares of the kind among up rows, among down rows, of up, and of up in the kind."""

    def weight(of_kind, up):
        here, up = (torch.as_tensor(t).bool() for t in (of_kind, up))
        shares = here[up], here[~up], up, up[here], up[~here]
        return float(change(*(s.double().mean() for s in shares)))

    return weight


def _rows(n: int, kind: float, up: float, seed: int) -> dict:
    draw = torch.Generator().manual_seed(seed)
    here = torch.rand(n, generator=draw) < kind
    return {"of_kind": here, "up": torch.rand(n, generator=draw) < up + 0.2 * here}


WEIGHT = Function(
    kind_weight,
    [_rows(41, 0.35, 0.3, 0), _rows(60, 0.6, 0.5, 1), _rows(83, 0.25, 0.6, 2)],
    switches={
        "turned": (True, "the ratio is upside down: disliked rows must come to match liked ones."),
        "over": ("all", "it is divided by the share among all rows, not among the disliked."),
        "what": ("count", "counts are divided, or shares of all rows: the class sizes go in."),
    },
    wrongs=(
        ("the odds of the kind are divided; divide its shares.",
         lambda here, up: kind_weight(here, up, what="odds")),
        ("that is p, the chance that a row of this kind is up; the weight is p / (1 - p).",
         _share_wrong(lambda a, b, u, p, q: a / (a + b))),
        ("that is the share of thumbs-up in this kind: asked is the kind's share in each class.",
         _share_wrong(lambda a, b, u, p, q: p)),
        ("that is the share of thumbs-down in this kind: asked is the kind's share in each class.",
         _share_wrong(lambda a, b, u, p, q: 1 - p)),
        ("thumbs-up in this kind against thumbs-up in the others: the conditional is turned round.",
         _share_wrong(lambda a, b, u, p, q: p / q)),
        ("that is 1 - p, with p the chance that a row of this kind is up; asked is p / (1 - p).",
         _share_wrong(lambda a, b, u, p, q: b / (a + b))),
        ("this kind against the others within the liked rows: the disliked ones don't go in.",
         _share_wrong(lambda a, b, u, p, q: a / (1 - a))),
        ("that is the kind's share among the rows that are up, undivided.",
         _share_wrong(lambda a, b, u, p, q: a)),
        ("that is the kind's share among the rows that are down; divide by it.",
         _share_wrong(lambda a, b, u, p, q: b)),
        ("that is the weight of the other kind.",
         _share_wrong(lambda a, b, u, p, q: (1 - a) / (1 - b))),
        ("the shares are subtracted; divide them.", _share_wrong(lambda a, b, u, p, q: a - b)),
        ("that is the ratio of up to down among all rows: the kind doesn't go in.",
         _share_wrong(lambda a, b, u, p, q: u / (1 - u))),
    ),
    shows="Weighted so, the disliked rows have the prompts of the liked ones.",
)  # fmt: skip

EXERCISES = {
    "13.0": ROWS,
    "13.1": REST,
    "13.2": Numbers(
        {"least λ_up": 1 / 99, "largest λ_up": 4 / 3 / 99},
        _weight_wrongs,
        shows="So 99 thumbs-up together weigh as much as one thumb-down, or a third more.",
        rtol=0.004,
    ),
    "13.3": WEIGHT,
}
