"""What a check says, and what every exercise is."""

import contextlib
import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from . import attempts

STATES = ("untried", "right", "wrong", "unknown", "form")


@dataclass(frozen=True)
class Verdict:
    """What a check says: a state, and a sentence or two.

    untried; right; wrong, and which mistake it is; unknown, wrong and no mistake that is known;
    form, it can't be judged as it stands.
    """

    state: str
    text: str

    def __str__(self) -> str:
        return self.text


UNTRIED = "not tried yet."
UNKNOWN = "not right, and I can't tell why"


def right(shows: str) -> Verdict:
    """It is right, and this is what it shows."""
    return Verdict("right", f"right. {shows}".rstrip())


def wrong(why: str) -> Verdict:
    """A mistake with a name."""
    return Verdict("wrong", f"not yet: {why}")


def unknown(what: str) -> Verdict:
    """Wrong, and the cause isn't known."""
    return Verdict("unknown", f"{UNKNOWN}: {what}")


def misformed(why: str) -> Verdict:
    """It can't be judged as it stands."""
    return Verdict("form", f"can't be judged: {why}")


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """What is drawn at random inside changes nothing that is drawn after it."""
    before = random.getstate(), np.random.get_state()  # noqa: NPY002 (a reader may use it)
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])  # noqa: NPY002


class Exercise:
    """`judge` of an attempt; `own`, the book's answer."""

    own: object = None

    def judge(self, attempt) -> Verdict:
        """What an attempt is worth."""
        if attempt is None or attempt is Ellipsis or attempts.blank(attempt):
            return Verdict("untried", UNTRIED)
        with undisturbed():
            return self.tried(attempt)

    def tried(self, attempt) -> Verdict:
        """What an attempt is worth that was made."""
        raise NotImplementedError

    def unfit(self, attempt) -> str:
        """Why a right attempt is none that a chapter's later cells can use; "" if it is one."""
        return ""
