"""Exercises that ask for a function, judged by what it gives for some inputs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from . import attempts, slips, values
from .verdicts import Exercise, Verdict, misformed, right, unknown, wrong


@dataclass
class Function(Exercise):
    """A function, judged by what it gives for some inputs.

    right(*arguments, **switches): the answer, and with a switch set, a mistake.
    cases: the inputs, name -> value in the order of the arguments. At least three, in which the
    mistakes differ.
    switches: keyword of `right` -> (its value, why); single mistakes and any two of them are tried.
    wrongs: (why, function): mistakes that are no switch.
    traits: functions of (ask, cases) that give a why, or "": properties that an answer must have;
    ask(case) is what the attempt gives.
    common: whether slips that any function can suffer are tried (factors, signs, arguments
    exchanged or left out). False if `right` is slow or its arguments are no numbers.
    read: makes numbers of what an attempt gives, where it gives something else.
    """

    right: Callable
    cases: Sequence[Mapping[str, object]]
    switches: Mapping[str, tuple[object, str]] = field(default_factory=dict)
    wrongs: Sequence[tuple[str, Callable]] = ()
    traits: Sequence[Callable] = ()
    shows: str = ""
    rtol: float = 1e-4
    atol: float = 1e-6
    common: bool = True
    seconds: float = attempts.SECONDS
    read: Callable[[object], object] | None = None

    @property
    def own(self) -> Callable:
        """The book's function."""
        return self.right

    def tried(self, attempt) -> Verdict:
        """Form first, then whether all cases agree, then why not."""
        if not callable(attempt):
            asked = f"a function of ({', '.join(self.cases[0])})"
            return misformed(f"{asked} is asked, not {values.show(attempt)}.")
        if wanted := attempts.misfit(attempt, self.cases[0]):
            return misformed(wanted)
        clock, gave = attempts.Clock(self.seconds), []
        for case in self.cases:
            done = attempts.call(attempt, case, clock)
            if done.trouble:
                return misformed(f"for {told(case)} {done.trouble}")
            gave.append(self.read(done.value) if self.read else done.value)
        answers = [self.right(*case.values()) for case in self.cases]
        for case, value, answer in zip(self.cases, gave, answers, strict=True):
            if trouble := self.trouble(value, answer):
                why = slips.Search(self, gave, answers).known()  # a mean for a row, say
                return wrong(why) if why else misformed(f"for {told(case)} {trouble}")
        if values.cut(gave, answers) and not slips.Search(self, gave, answers).known():
            kind = type(gave[0]).__name__
            return misformed(f"it gives whole numbers ({kind}): something cut them off.")
        if all(self.near(a, b) for a, b in zip(gave, answers, strict=True)):
            return right(self.shows)
        more = attempts.Clock(self.seconds)  # what is known may have taken the first one's time
        ask = lambda case: attempts.call(attempt, case, more).value
        return self.verdict(gave, answers, ask)

    def unfit(self, attempt) -> str:
        """A list is as right as an array, but later cells may reckon with an array."""
        clock, case = attempts.Clock(self.seconds), self.cases[0]
        mine, own = (attempts.call(f, case, clock).value for f in (attempt, self.own))
        same = values.kind(mine) == values.kind(own)
        return "" if same else f", which gives a {values.kind(own)}, not a {values.kind(mine)}"

    def trouble(self, value, answer) -> str:
        """What is wrong with the form of a value."""
        return values.form(value, answer)

    def near(self, a, b) -> bool:
        """Whether two values are the same as far as this exercise cares."""
        return values.same(a, b, self.rtol, self.atol)

    def verdict(self, gave: list, answers: list, ask: Callable) -> Verdict:
        """The first cause that explains all cases."""
        searched = slips.Search(self, gave, answers)
        why = searched.known()
        for trait in self.traits if not why else ():
            why = why or trait(ask, self.cases)
        why = why or (searched.common() if self.common else "")
        why = why or slips.ignored(self, gave, ask)
        if why:
            return wrong(why)
        at = next(
            i for i, (a, b) in enumerate(zip(gave, answers, strict=True)) if not self.near(a, b)
        )
        return unknown(f"for {told(self.cases[at])} yours gives {values.show(gave[at])}.")


def told(case: Mapping[str, object]) -> str:
    """The arguments of a call that are short enough for a sentence."""
    parts = [f"{name} = {values.show(value)}" for name, value in case.items()]
    kept = [part for part in parts if len(part) <= 40]
    return ", ".join(kept) if kept and len(", ".join(kept)) <= 90 else "one of the inputs"
