"""More kinds: numbers that end a calculation, and losses with their gradient."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch

from .answers import Numbers
from .functions import Function
from .verdicts import Verdict, wrong

Slip = tuple[str, Mapping[str, object]]  # why, and the keywords of the calculation that make it


def worked(work: Callable[..., Mapping[str, float]], slips: Sequence[Slip], **rest) -> Numbers:
    """Numbers that `work()` gives; what it gives with a slip's keywords is that mistake.

    A slip is named if it explains every number that is wrong, alone or with a second one; or if
    it explains the first wrong number, from which the others may have followed.
    """
    exercise = Numbers(work, **rest)
    given = _Given(work, slips)

    def tell(found: Mapping[str, float], answer: Mapping[str, float]) -> str:
        off = [n for n in answer if not exercise.near(found[n], answer[n])]
        ways = given.ways() if len(off) > 1 else given.single()  # or chance names it
        for names in (list(answer), off):  # the numbers that are right, too; then the wrong ones
            for why, way in ways:
                if all(exercise.near(found[n], way[n]) for n in names):
                    return why
        if why := exercise.swapped(found, answer):
            return why
        for why, way in given.single():
            if exercise.near(found[off[0]], way[off[0]]):
                return f"`{off[0]}`: {why}"
        return ""

    exercise.tell = tell
    return exercise


class _Given:
    """What a calculation gives with one slip, and with two."""

    def __init__(self, work: Callable[..., Mapping[str, float]], slips: Sequence[Slip]):
        self.work, self.slips = work, slips

    def single(self) -> list[tuple[str, Mapping[str, float]]]:
        """Each slip alone."""
        return self._of(self.slips)

    def ways(self) -> list[tuple[str, Mapping[str, float]]]:
        """Each alone, then each two that touch different steps."""
        two = [
            (f"two things. First: {a} Second: {b}", {**first, **second})
            for (a, first), (b, second) in combinations(self.slips, 2)
            if not first.keys() & second.keys()
        ]
        return self.single() + self._of(two)

    def _of(self, slips: Sequence[Slip]) -> list[tuple[str, Mapping[str, float]]]:
        found = []
        for why, keywords in slips:
            with np.errstate(all="ignore"):
                way = self.work(**keywords)
            if np.isfinite(list(way.values())).all():
                found.append((why, way))
        return found


class Lazy(Sequence):
    """A sequence that is made when it is first looked at."""

    def __init__(self, make: Callable[[], Sequence]):
        self.make, self.made = make, None

    def _here(self) -> Sequence:
        if self.made is None:
            self.made = self.make()
        return self.made

    def __len__(self) -> int:
        return len(self._here())

    def __getitem__(self, i):
        return self._here()[i]


CUT = (
    "the values are right, and no gradient gets back to `{}`: training needs one. Stay in torch, "
    "without `.detach()`, `.item()`, `no_grad` or NumPy."
)


@dataclass
class Trainable(Function):
    """A function that trains something: where its values are right, its gradient is asked, too.

    through: the arguments to which a gradient must get back.
    """

    through: Sequence[str] = ()

    def tried(self, attempt) -> Verdict:
        """Values first, then the gradient."""
        said = super().tried(attempt)
        if said.state != "right":
            return said
        mine = self.slopes(attempt) or [None] * len(self.through)
        for name, found, wanted in zip(self.through, mine, self.slopes(self.right), strict=True):
            if found is None or not self.near(found, wanted):
                return wrong(CUT.format(name))
        return said

    def slopes(self, function: Callable) -> list[torch.Tensor | None] | None:
        """Gradient of the weighted sum of what it gives, by each argument of `through`."""
        given = {
            name: v.clone().requires_grad_() if name in self.through else v
            for name, v in self.cases[0].items()
        }
        try:
            out = function(*given.values())
            weights = 1.0 + torch.arange(out.numel(), dtype=out.dtype).view(out.shape)
            through = [given[name] for name in self.through]
            return list(torch.autograd.grad((out * weights).sum(), through, allow_unused=True))
        except Exception:  # NumPy refuses, a list has no gradient
            return None
