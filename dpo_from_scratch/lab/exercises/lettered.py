"""One more kind: some numbers, and then the letter of a reason."""

from collections.abc import Mapping
from dataclasses import dataclass

from .verdicts import Exercise, Verdict, misformed, right, wrong


def letter(text) -> str:
    """A reason as it was written, without what stands around it."""
    return str(text).strip(" .:\"'()").lower()


def flat(attempt) -> list:
    """The parts of an attempt in a row: a dict's values, and what lies in brackets of its own."""
    parts = list(attempt.values()) if isinstance(attempt, Mapping) else attempt
    if hasattr(parts, "tolist"):
        parts = parts.tolist()
    if not isinstance(parts, list | tuple):
        return [parts]
    return [one for part in parts for one in flat(part)]


@dataclass
class Lettered(Exercise):
    """The numbers are judged first, by an exercise of their own, and then the letter.

    reasons: letter -> why it is wrong, or None for the right one.
    form: how it is written.
    """

    numbers: Exercise
    count: int
    reasons: Mapping[str, str | None]
    form: str
    shows: str

    @property
    def own(self) -> tuple:
        """The numbers, and the right letter."""
        numbers = self.numbers.own
        numbers = numbers.values() if isinstance(numbers, Mapping) else numbers
        return *numbers, next(k for k, why in self.reasons.items() if why is None)

    def tried(self, attempt) -> Verdict:
        """The form, the numbers, the letter."""
        parts = flat(attempt)
        if len(parts) != self.count + 1:
            return misformed(f"write {self.form}; you gave {len(parts)} of {self.count + 1} parts.")
        *numbers, reason = parts
        if letter(reason) not in self.reasons:
            return misformed(f"write {self.form}: {reason!r} is none of its letters.")
        said = self.numbers.judge(numbers)
        if said.state != "right":
            return said
        why = self.reasons[letter(reason)]
        return wrong(why) if why else right(self.shows)
