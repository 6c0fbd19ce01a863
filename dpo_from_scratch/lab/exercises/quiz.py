"""The quiz: forty questions from notebooks/teaching/quiz.toml, each answered by a letter.

    exercises.check("Q.1", "b")

The order of a question's answers is fixed and shuffled, the same in the notebook and in the file
for Moodle; both are made from here by website/quiz.py.
"""

import random
import tomllib
from collections.abc import Iterator

from .. import editions
from .answers import Choice

LETTERS = "abcd"
RIGHT = ""  # in place of a reason, with the right answer


def questions() -> list[dict]:
    """The file's questions: about, ask, right, because, wrong, where, cells, section, seen."""
    place = editions.notebooks() / "teaching" / "quiz.toml"
    return tomllib.loads(place.read_text(encoding="utf-8"))["question"]


def answers(number: int, question: dict) -> list[tuple[str, str]]:
    """(what it says, why it is wrong), in the order of the letters; RIGHT with the right one."""
    told = [(question["right"], RIGHT), *((w["says"], w["why"]) for w in question["wrong"])]
    random.Random(number).shuffle(told)
    return told


def place(question: dict) -> str:
    """Where the book shows it, in words."""
    chapter = question["where"]
    name = f"chapter {chapter}" if chapter.isdigit() else "the guide to your own model and data"
    return f"{name}, “{question['section']}”"


def exercise(number: int, question: dict) -> Choice:
    """A question as an exercise: a letter is right, or is told why it is wrong."""
    shown, told = f"(Shown in {place(question)}.)", answers(number, question)
    options = {
        letter: f"{why} {shown}" if why else None
        for letter, (_, why) in zip(LETTERS, told, strict=True)
    }
    return Choice(options, f"{question['because']} {shown}")


def numbered() -> Iterator[tuple[int, dict]]:
    """(1, first question), (2, second), ..."""
    return enumerate(questions(), start=1)


EXERCISES = {f"Q.{number}": exercise(number, question) for number, question in numbered()}
