"""Exercises that listen: `check("04.1", attempt)` says right, or which mistake it is.

    exercises.check("04.1", attempt_1)      # a line; None: not tried yet
    dpo = exercises.use("04.0", dpo)        # the reader's if it is right, else the book's own
    exercises.progress()                    # what was solved, from a file of this machine

A chapter's exercises stand in the module chNN here. What is wrong is told from what the attempt
gives on small inputs, never from its text. Nothing is sent anywhere.
"""

from importlib import import_module
from pathlib import Path

from .answers import Choice, Numbers, Own
from .functions import Function
from .solved import draw, keep
from .verdicts import Exercise, Verdict, misformed, right, unknown, wrong

BY = ("reader", "book")
KIT = {"C": "capstone", "Q": "quiz", "W": "workshop"}  # of the teacher; others are chNN


def find(number: str) -> Exercise:
    """The exercise "04.1"; 0 is the chapter's key cell, C the capstone, Q the quiz, W the workshop.

    ValueError if there is none.
    """
    chapter, _, _ = str(number).partition(".")
    if chapter not in chapters():
        known = ", ".join(chapters())
        raise ValueError(f'no chapter "{chapter}" has exercises here; these have: {known}')
    found = exercises_of(chapter)
    if number not in found:
        raise ValueError(f'no exercise "{number}"; chapter {chapter} has {", ".join(found)}')
    return found[number]


def chapters() -> list[str]:
    """Chapters with exercises: "00", "01", ..., and the letters of the teacher's kit."""
    names = sorted(p.stem for p in Path(__file__).parent.glob("*.py"))
    found = [n.removeprefix("ch") for n in names if n.startswith("ch") and n[2:].isdigit()]
    return found + list(KIT)


def judge(number: str, attempt) -> Verdict:
    """What `check` says, as a value."""
    return find(number).judge(attempt)


def check(number: str, attempt=None, by: str = "reader") -> None:
    """Print whether this is right, or which mistake it is; an attempt not made yet is no error.

    by="book" is for the book's own solutions, which must be right: AssertionError if not.
    """
    _told(number, attempt, by)


def use(number: str, attempt=None, by: str = "reader"):
    """The attempt if it is right, else the book's own; says which.

    For a chapter's key cell, so that the rest of the chapter runs either way.
    """
    said, exercise = _told(number, attempt, by), find(number)
    why = exercise.unfit(attempt) if said.state == "right" and by == "reader" else ""
    if said.state == "right" and not why:
        return attempt
    print(f"The chapter goes on with its own{why}.")
    return exercise.own


def _told(number: str, attempt, by: str) -> Verdict:
    if by not in BY:
        raise ValueError(f"by is one of {BY}, not {by!r}")
    said = judge(number, attempt)
    if by == "book" and said.state != "right":
        raise AssertionError(f"{number}: the book's own answer: {said}")
    print(f"{number}: {said}")
    if by == "reader" and said.state == "right":
        keep(number)
    return said


def progress() -> None:
    """Print what was solved: a row a chapter, a square an exercise, the key cell first."""
    draw({chapter: numbers(chapter) for chapter in chapters()})


def numbers(chapter: str) -> list[str]:
    """A chapter's exercises in their order: "04.0", "04.1", ..."""
    return list(exercises_of(chapter))


def exercises_of(chapter: str) -> dict[str, Exercise]:
    """The exercises of a chapter, "04", or of a part of the kit, "Q", by their numbers."""
    return import_module(f".{KIT.get(chapter, 'ch' + chapter)}", __name__).EXERCISES
