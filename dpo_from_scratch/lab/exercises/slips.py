"""Mistakes that any answer can suffer, found by what an attempt gives.

A function is asked again with an argument left out, turned, exchanged; its answers are multiplied,
turned, shifted. A slip is named only if it explains every case, and explains it by another number
than the right one.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from . import values
from .common import OF_A_RESULT, OF_AN_ARGUMENT, like

Case = Mapping[str, object]


@dataclass(frozen=True)
class Slip:
    """A mistake: what it is, and what the function would then give for a case."""

    why: str
    gives: Callable[[Case], object]


class Search:
    """Looks for the mistake behind what an attempt gave."""

    def __init__(self, exercise, gave: list, answers: list):
        self.exercise, self.cases = exercise, list(exercise.cases)
        self.gave, self.answers = gave, answers

    def explains(self, slip: Slip) -> bool:
        """Whether a slip gives the attempt's values in all cases, and not the right ones.

        It is asked no further than the first case in which it doesn't.
        """
        near, off = self.exercise.near, False
        for case, gave, answer in zip(self.cases, self.gave, self.answers, strict=True):
            given = given_by(slip, case)
            if given is None or (values.numbers(given) is None and _numeric(answer)):
                return False
            if not near(gave, given):
                return False
            off = off or not near(given, answer)
        return off

    def first(self, found: Iterator[Slip]) -> str:
        """The first slip that explains the attempt."""
        return next((slip.why for slip in found if self.explains(slip)), "")

    # ------------------------------------------------------------ what the exercise knows
    def known(self) -> str:
        """One of the exercise's own mistakes, or two of them at once."""
        return self.first(self.own_slips()) or self.first(self.two_switches())

    def own_slips(self) -> Iterator[Slip]:
        """Each mistake alone."""
        answer = self.exercise.right
        for why, function in self.exercise.wrongs:
            yield Slip(why, lambda case, f=function: f(*case.values()))
        for key, (value, why) in self.exercise.switches.items():
            yield Slip(why, lambda case, s={key: value}: answer(*case.values(), **s))

    def two_switches(self) -> Iterator[Slip]:
        """Two mistakes at once."""
        answer = self.exercise.right
        for (k, (v, a)), (m, (w, b)) in combinations(self.exercise.switches.items(), 2):
            why = f"two things. First: {a} Second: {b}"
            yield Slip(why, lambda case, s={k: v, m: w}: answer(*case.values(), **s))

    # ------------------------------------------------------------ what any function can suffer
    def common(self) -> str:
        """A slip of the result, of an argument, or of both; then a known mistake and its sign."""
        inputs = list(self.inputs())
        why = self.first(self.outputs()) or self.factor() or self.first(iter(inputs))
        if why := why or self.told_factor() or self.shift():
            return why
        turned = "two things. First: {} Second: the sign is turned."
        single = [slip for slip in self.own_slips() if not slip.why.startswith("two things")]
        both = [*single, *inputs]
        return self.first(Slip(turned.format(slip.why), _neg(slip)) for slip in both)

    def outputs(self) -> Iterator[Slip]:
        """The right value, changed afterwards."""
        answer = self.exercise.right
        for change, why in OF_A_RESULT:
            yield Slip(why, lambda case, c=change: c(values.numbers(answer(*case.values()))))

    def inputs(self) -> Iterator[Slip]:
        """The right function, asked with changed arguments."""
        answer, names = self.exercise.right, list(self.cases[0])
        kinds = {n: values.numbers(self.cases[0][n]) for n in names}
        numeric = [n for n in names if kinds[n] is not None]
        for a, b in combinations(numeric, 2):
            if kinds[a].shape == kinds[b].shape:
                why = f"`{a}` and `{b}` have changed places."
                yield Slip(
                    why, lambda case, a=a, b=b: answer(*(case | {a: case[b], b: case[a]}).values())
                )
        for name in numeric:
            for change, why in OF_AN_ARGUMENT:
                yield Slip(
                    why.format(name),
                    lambda case, n=name, c=change: answer(*(dict(case) | {n: c(case[n])}).values()),
                )

    def ratios(self) -> list[float]:
        """The factor of each case; none if a case has none, or if chance could give it."""
        found = [ratio(g, a) for g, a in zip(self.gave, self.answers, strict=True)]
        return [] if self.dull() or any(r is None for r in found) else found

    def factor(self) -> str:
        """A factor that is the same in all cases."""
        found = self.ratios()
        if found and np.ptp(found) < 1e-3 * abs(found[0]) and abs(found[0] - 1) > 1e-3:
            return f"yours is {_known(found[0])}."
        return ""

    def told_factor(self) -> str:
        """A factor that an argument tells."""
        found = self.ratios()
        for told, by in self.scalars() if found else ():
            with np.errstate(all="ignore"):
                if np.ptp(by) > 1e-9 and np.allclose(found, by, rtol=1e-3):
                    return f"yours is the right value times {told}."
        return ""

    def shift(self) -> str:
        """A difference that is the same everywhere, or is an argument."""
        pairs = [
            (values.numbers(g), values.numbers(a))
            for g, a in zip(self.gave, self.answers, strict=True)
        ]
        if any(g is None or a is None or g.size != a.size for g, a in pairs):
            return ""
        apart = [g.reshape(a.shape) - a for g, a in pairs]
        for name in self.cases[0]:
            there = [values.numbers(case[name]) for case in self.cases]
            if any(t is None or t.shape != d.shape for t, d in zip(there, apart, strict=True)):
                continue
            for sign, how in ((1, "too high"), (-1, "too low")):
                if all(
                    np.allclose(sign * t, d, rtol=1e-3, atol=1e-6)
                    for t, d in zip(there, apart, strict=True)
                ):
                    return f"yours is {how} by `{name}` in every case."
        flat = np.concatenate([d.ravel() for d in apart])
        if not self.dull() and np.isfinite(flat).all() and np.ptp(flat) < 1e-4 * abs(flat[0]):
            return f"yours is off by {flat[0]:+.4g}, whatever the input."
        return ""

    def dull(self) -> bool:
        """Whether the right values are too few or too alike to tell a factor from a chance."""
        flat = np.concatenate(
            [values.numbers(a).ravel() for a in self.answers if _numeric(a)] or [np.zeros(1)]
        )
        return len(np.unique(flat.round(6))) < 3

    def scalars(self) -> Iterator[tuple[str, np.ndarray]]:
        """Powers of the arguments that are single numbers, and sizes of those that are not."""
        for name in self.cases[0]:
            there = [values.numbers(case[name]) for case in self.cases]
            if any(t is None for t in there):
                continue
            single = all(t.size == 1 for t in there)
            by = np.array([t.reshape(-1)[0] if single else t.shape[-1] for t in there], float)
            label = f"`{name}`" if single else f"the length of `{name}`"
            for power, told in (
                (1, "{}"),
                (-1, "1 / {}"),
                (2, "{} squared"),
                (-2, "1 / {} squared"),
            ):
                with np.errstate(all="ignore"):
                    yield told.format(label), by**power


def _known(ratio: float) -> str:
    named = {
        -1.0: "minus {}", 2.0: "twice {}", 0.5: "half {}", -2.0: "minus twice {}",
        -0.5: "minus half {}", math.log(2): "ln 2 times {}",
        1 / math.log(2): "{} over ln 2: a logarithm to base 2?",
        1 / math.log(10): "{} over ln 10: a logarithm to base 10?",
    }  # fmt: skip
    near = [text for value, text in named.items() if abs(ratio - value) < 1e-3 * abs(value)]
    return [*near, f"{ratio:.4g} times {{}}, whatever the input"][0].format("the right value")


def _numeric(value) -> bool:
    return values.numbers(value) is not None


def _neg(slip: Slip) -> Callable[[Case], object]:
    return lambda case: -values.numbers(slip.gives(case))


def ratio(found, wanted) -> float | None:
    """The one factor between two values, element by element; None if there is none."""
    a, b = values.numbers(found), values.numbers(wanted)
    if a is None or b is None or a.size != b.size:
        return None
    a, b = a.ravel(), b.ravel()
    there = abs(b) > 1e-9
    if not there.any() or not np.isfinite(a).all() or abs(a[~there]).max(initial=0) > 1e-6:
        return None
    ratios = a[there] / b[there]
    return float(ratios[0]) if np.ptp(ratios) <= 1e-3 * abs(ratios[0]) else None


def given_by(slip: Slip, case: Case):
    """What a slip would give; None where it gives nothing."""
    try:
        with np.errstate(all="ignore"):
            return slip.gives(case)
    except Exception:  # a slip may make no sense for an input
        return None


def ignored(exercise, gave: list, ask: Callable[[Case], object]) -> str:
    """An argument that the right answer needs, and the attempt does not look at."""
    for name in exercise.cases[0]:
        moved = [(i, other) for i, other in enumerate(moves(exercise.cases, name))]
        needs, looks = False, False
        for i, case in moved:
            before = exercise.right(*exercise.cases[i].values())
            try:
                needs |= not exercise.near(exercise.right(*case.values()), before)
            except Exception:
                continue
            with warnings.catch_warnings(action="ignore"):
                now = ask(case)
            now = exercise.read(now) if exercise.read and now is not None else now
            looks |= now is None or not exercise.near(now, gave[i])
        if needs and not looks:
            return f"it doesn't look at `{name}`."
    return ""


def moves(cases, name: str) -> Iterator[Case]:
    """Each case with this one argument changed: to another case's, or by hand."""
    for i, case in enumerate(cases):
        here = values.numbers(case[name])
        others = [c[name] for c in [*cases[i + 1 :], *cases[:i]]]
        others = [o for o in others if not values.same(o, case[name])]
        if here is not None:
            others = [o for o in others if np.shape(values.numbers(o)) == here.shape]
            others = others or stirred(case[name])
        yield dict(case) | {name: others[0]} if others else case


def stirred(value) -> list:
    """Other numbers of the same form, not in line with the old ones; none for what is counted."""
    here, kind = values.numbers(value), getattr(value, "dtype", None)
    if isinstance(value, bool | int) or (kind is not None and not values.floating(kind)):
        return []
    waves = np.arange(here.size).reshape(here.shape)
    return [like(value, here * (1 + 0.7 * np.sin(waves + 1)) + np.cos(2 * waves))]
