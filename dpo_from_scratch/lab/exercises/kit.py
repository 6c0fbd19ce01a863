"""For the chapters' exercises: mistakes with their names, and losses that must also train."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from .functions import Function
from .verdicts import Verdict, wrong


def mistakes(
    right: Callable, told: Mapping[str, Callable | Mapping[str, object]]
) -> list[tuple[str, Callable]]:
    """(why, function) of each: a function of its own, or `right` with these switches set."""
    one = lambda how: how if callable(how) else lambda *given: right(*given, **how)
    return [(why, one(how)) for why, how in told.items()]


def then(
    told: list[tuple[str, Callable]], change: Callable, why: str
) -> list[tuple[str, Callable]]:
    """Each of these mistakes, and after it another: change(value, *arguments)."""
    return [
        (
            f"two things. First: {first} Second: {why}",
            lambda *given, f=function: change(f(*given), *given),
        )
        for first, function in told
    ]


def mixed(first: Mapping, second: Mapping) -> list[tuple[str, Callable]]:
    """Each mistake in one part, or in both, of an answer in two parts; None: the right part."""
    told = []
    for (a, f), (b, g) in ((x, y) for x in first.items() for y in second.items()):
        why = f"two things. First: {a} Second: {b}" if a and b else a or b
        if why:
            told.append((why, lambda *args, f=f, g=g: (f(*args), g(*args))))
    return told


@dataclass
class Trains(Function):
    """A loss that must also hand a gradient back to its first arguments, `through` of them."""

    through: int = 1

    def tried(self, attempt) -> Verdict:
        """As any function; then once more with arguments that want a gradient."""
        said = super().tried(attempt)
        if said.state != "right":
            return said
        given = [copy.deepcopy(v) for v in self.cases[0].values()]
        policy = [v.requires_grad_() for v in given[: self.through]]
        why = "the numbers are right, but no gradient flows back through them: stay in torch."
        try:
            slopes = torch.autograd.grad(attempt(*given).sum(), policy, allow_unused=True)
        except (AttributeError, RuntimeError, TypeError, ValueError):  # no torch all the way
            return wrong(why)
        still = [n for n, s in zip(self.cases[0], slopes, strict=False) if s is None]
        why = f"the numbers are right, but no gradient gets back to `{'`, `'.join(still)}`."
        return wrong(why) if still else said
