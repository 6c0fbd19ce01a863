"""Exercises that ask for numbers, for a choice with its reason, or for something of their own."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations

import numpy as np

from . import common, values
from .verdicts import Exercise, Verdict, misformed, right, unknown, wrong


@dataclass
class Own(Exercise):
    """Judged by a function of its own, which gives a Verdict; for policies, loops, tables."""

    by: Callable[[object], Verdict]
    own: object = None

    def tried(self, attempt) -> Verdict:
        """What `by` says."""
        return self.by(attempt)


@dataclass
class Choice(Exercise):
    """One of some options, and one of some reasons if there are any: "a", or ("a", "because").

    options, reasons: what the reader writes -> why it is wrong, or None for the right one.
    """

    options: Mapping[str, str | None]
    shows: str = ""
    reasons: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def own(self):
        """The right option, with its reason."""
        picks = [next(k for k, why in d.items() if why is None) for d in self._parts()]
        return tuple(picks) if self.reasons else picks[0]

    def _parts(self) -> list[Mapping[str, str | None]]:
        return [self.options, self.reasons] if self.reasons else [self.options]

    def tried(self, attempt) -> Verdict:
        """Both parts must be right; the option is judged first."""
        told = list(attempt) if isinstance(attempt, tuple | list) else [attempt]
        parts = self._parts()
        if len(told) != len(parts):
            shape = '("choice", "reason")' if self.reasons else "one of the choices"
            return misformed(f"write {shape}.")
        for said, part in zip(told, parts, strict=True):
            plain = lambda text: " ".join(str(text).lower().split()).rstrip(".")
            known = {plain(key): why for key, why in part.items()}
            if plain(said) not in known:
                return misformed(f"{said!r} is none of {', '.join(map(repr, part))}.")
            if known[plain(said)] is not None:
                return wrong(known[plain(said)])
        return right(self.shows)


Wrong = tuple[str | Sequence[str], object, str]  # which numbers, what they would be, why


def by_name(attempt: Mapping, names: Sequence[str]) -> list | str:
    """The values under these names, spelled in any way; else as many in their order."""
    if all(name in attempt for name in names):
        return [attempt[name] for name in names]
    plain = lambda name: re.sub(r"[\W_]", "", str(name).casefold())
    told = {plain(name): value for name, value in attempt.items()}
    if missing := [name for name in names if plain(name) not in told]:
        same = len(attempt) == len(names)
        return list(attempt.values()) if same else f"these are missing: {', '.join(missing)}."
    return [told[plain(name)] for name in names]


@dataclass
class Numbers(Exercise):
    """Some numbers by name, as a number, a tuple in this order, or a dict.

    answer: name -> number, or a function that gives them (computed when first asked).
    wrongs: (name, or names, number or numbers, why), or a function of the answer that gives them.
    rtol, atol: how far an answer may be off; the printed digits of a chapter should do.
    tell: more causes, as a function of the attempt's dict and the answer -> why, or "".
    """

    answer: Mapping[str, float] | Callable[[], Mapping[str, float]]
    wrongs: Sequence[Wrong] | Callable[[Mapping[str, float]], Sequence[Wrong]] = ()
    shows: str = ""
    rtol: float = 0.01
    atol: float = 0.0
    tell: Callable[[Mapping[str, float], Mapping[str, float]], str] | None = None

    @property
    def own(self) -> dict[str, float]:
        """The answer."""
        if callable(self.answer):
            self.answer = dict(self.answer())
        return dict(self.answer)

    def near(self, a, b) -> bool:
        """Whether two numbers, or lists of them, are the same as far as this exercise cares."""
        return values.same(a, b, self.rtol, self.atol + 1e-12)

    def read(self, attempt) -> dict[str, float] | str:
        """The attempt as name -> number, or a sentence about its form."""
        names = list(self.own)
        order = f"({', '.join(names)})" if len(names) > 1 else names[0]
        if isinstance(attempt, Mapping):
            attempt = by_name(attempt, names)
            if isinstance(attempt, str):
                return attempt
        found = values.numbers(attempt)
        if found is None:
            return f"{values.show(attempt)} is no number; asked: {order}."
        if found.size != len(names):
            return f"asked: {order}, {len(names)} in all; you gave {found.size}."
        if np.isnan(found).any():
            return "NaN (not a number) stands among them."
        return dict(zip(names, found.ravel().tolist(), strict=True))

    def tried(self, attempt) -> Verdict:
        """All must be right; else the first cause that explains what is wrong."""
        found = self.read(attempt)
        if isinstance(found, str):
            return misformed(found)
        answer = self.own
        off = [n for n in answer if not self.near(found[n], answer[n])]
        if not off:
            return right(self.shows)
        why = self.why(found, answer, off)
        if why:
            return wrong(why)
        what = f"`{off[0]}`" if len(answer) > 1 else values.show(found[off[0]])
        return unknown(f"{what} isn't it.")

    def why(self, found: dict, answer: dict, off: list[str]) -> str:
        """The cause, or "": what explains all that is wrong first, then a part of it."""
        told = self.wrongs(answer) if callable(self.wrongs) else self.wrongs
        told = [((n,) if isinstance(n, str) else tuple(n), v, why) for n, v, why in told]
        covers = [set(off) <= set(names) for names, *_ in told]
        whole = [one for one, all_of in zip(told, covers, strict=True) if all_of]
        part = [one for one, all_of in zip(told, covers, strict=True) if not all_of]
        part = [one for one in part if set(off) & set(one[0])]
        why = self.listed(whole, found) or self.swapped(found, answer)
        why = why or self.listed(part, found)
        if not why and self.tell:
            why = self.tell(found, answer)
        return why or self.common(found, answer, off)

    def listed(self, told: Sequence[Wrong], found: dict) -> str:
        """The first of these mistakes that gives the attempt's numbers."""
        for names, value, why in told:
            value = [value] * len(names) if np.isscalar(value) else list(value)
            if self.near([found[n] for n in names], value):
                return why
        return ""

    def swapped(self, found: dict, answer: dict) -> str:
        """Right numbers in another order."""
        names = list(answer)
        if not 1 < len(names) <= 5:
            return ""
        for order in permutations(names):
            if list(order) != names and self.near(
                [found[n] for n in names], [answer[n] for n in order]
            ):
                return f"the right numbers, but not in the order ({', '.join(names)})."
        return ""

    def common(self, found: dict, answer: dict, off: list[str]) -> str:
        """A slip that any number can suffer, the same in all numbers that are wrong."""
        for change, why in common.OF_A_NUMBER:
            with np.errstate(all="ignore"):
                changed = [change(answer[n]) for n in off]
            finite = all(np.isfinite(changed))
            apart = not any(self.near(c, answer[n]) for c, n in zip(changed, off, strict=True))
            apart &= not all(self.near(0.0, c) for c in changed)  # 0 is no hundredth
            # but for the sign, closer than an answer need be, or chance names it
            rtol = self.rtol if why is common.OF_A_NUMBER[0][1] else min(self.rtol, 0.004)
            atol = self.atol if why in common.PLAIN else min(self.atol, 5e-4)
            here = [found[n] for n in off]
            if finite and apart and values.same(here, changed, rtol, atol):
                which = "" if len(answer) == 1 else f"`{'`, `'.join(off)}`: "
                return which + why
        return ""
