"""What a loss is called, where it comes from, and what a trainer must hand it.

A loss says the first three itself, in the line above it; the rest is read off its signature:

    @pairs("-log sigmoid(m)", "Direct Preference Optimization", "2305.18290")
    def dpo(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, *, beta=0.1): ...
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

INPUTS = {  # parameter -> what the trainer must have at hand
    "ref_chosen_logps": "reference",
    "ref_logps": "reference",
    "chosen_lengths": "lengths",
    "kl": "kl",
    "delta": "delta",
    "win_probability": "win_probability",
}
GIVEN = {*INPUTS, "rejected_lengths"}  # by the trainer, so no option of the command line


@dataclass(frozen=True)
class Loss:
    """A row of the registry."""

    fn: Callable[..., Tensor]
    equation: str
    title: str
    paper: str  # arXiv id, or the address of a note
    needs: str  # "pairs", "labels" or "texts"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The values of INPUTS that this loss takes, but for parameters whose default is None."""
        parameters = inspect.signature(self.fn).parameters.values()
        found = [INPUTS[p.name] for p in parameters if p.name in INPUTS and p.default is not None]
        return tuple(dict.fromkeys(found))

    @property
    def defaults(self) -> dict:
        """The options that a user may set, with the values that they have otherwise."""
        parameters = inspect.signature(self.fn).parameters.values()
        options = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in GIVEN]
        return {p.name: p.default for p in options}


LOSSES: dict[str, Loss] = {}


def _registers(needs: str) -> Callable[..., Callable]:
    def describe(equation: str, title: str, paper: str, name: str | None = None) -> Callable:
        """Enters the function below into LOSSES, under its own name unless told another."""

        def add(fn: Callable[..., Tensor]) -> Callable[..., Tensor]:
            LOSSES[name or fn.__name__] = Loss(fn, equation, title, paper, needs)
            return fn

        return add

    return describe


pairs, labels, texts = (_registers(kind) for kind in ("pairs", "labels", "texts"))
