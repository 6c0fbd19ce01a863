"""One examination: a trainer's own functions, called with care, and what was found so far."""

import contextlib
import inspect
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from ..data import DataError
from ..others import guarded
from .findings import Finding

PATIENCE = 3600.0  # seconds for one call: a step of a large model may take minutes


@dataclass
class Case:
    """What a trainer is made of, and what has been found out about it."""

    score: Callable
    collate: Callable
    policy: nn.Module
    reference: nn.Module | None
    pairs: list[dict]
    tokenizer: object
    loss: Callable | None = None
    step: Callable | None = None
    reference_scores: Callable | None = None
    found: dict[str, Finding] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)
    asking: str = ""  # what runs: "reference", "step", or something else
    half: bool = False  # rounded in half precision, also by autocast
    beta: float | None = None  # what the loss amounts to, where it is known
    start_push: float | None = None  # the loss's pull at a margin of 0, where it is known
    kind: str = ""  # of the loss's shape: "logistic", "hinge", "parabola", "other"
    margin_alone: bool = False  # the loss depends on chosen - rejected alone
    cancels: bool = False  # what is scored beside the responses is the same on both sides
    own_means: bool | None = None  # scores are means over a response's own tokens; None if sums

    def add(self, code: str, seen: str, sure: str = "certain", level: str = "problem") -> None:
        """A finding; the first of a code stays."""
        self.found.setdefault(code, Finding(code, seen, sure, level))

    def has(self, *codes: str) -> bool:
        """Whether one of these was found."""
        return any(code in self.found for code in codes)

    @contextlib.contextmanager
    def running(self, what: str) -> Iterator[None]:
        """Inside, `asking` says what runs."""
        self.asking = what
        try:
            yield
        finally:
            self.asking = ""

    def batch(self, pairs: list[dict]):
        """`collate` of some pairs."""
        return guarded("your collate", self.collate, pairs, seconds=PATIENCE)

    def scores(self, model: nn.Module, pairs: list[dict]) -> Tensor:
        """`score` of some pairs, (2, N) in float64; with gradients where they are enabled."""
        sides = guarded("your score", self.score, model, self.batch(pairs), seconds=PATIENCE)
        return two_sides(sides, len(pairs), "score")

    @torch.no_grad()
    def values(self, model: nn.Module, pairs: list[dict]) -> Tensor:
        """The same without gradients."""
        apart = model is self.reference and model is not self.policy
        with self.running("reference" if apart else ""):
            return self.scores(model, pairs).detach()

    @torch.no_grad()
    def reference_values(self, pairs: list[dict]) -> Tensor:
        """What the reference says of some pairs, (2, N): the module's scores, else kept ones."""
        if self.reference is not None:
            return self.values(self.reference, pairs)
        if self.reference_scores is None:  # there is none, and the loss has no slope there
            return torch.zeros_like(self.values(self.policy, pairs))
        return self.kept_values(pairs)

    @torch.no_grad()
    def kept_values(self, pairs: list[dict]) -> Tensor:
        """What `reference_scores` says of some pairs, (2, N)."""
        ask, given = self.reference_scores, list(pairs)
        with self.running("reference"):
            kept = guarded("your reference_scores", ask, given, seconds=PATIENCE)
        return two_sides(kept, len(pairs), "reference_scores").detach()

    @cached_property
    def four(self) -> bool:
        """Whether the loss takes the reference's two numbers; SimPO's may be of two alone."""
        try:
            inputs = list(inspect.signature(self.loss).parameters.values())
        except (TypeError, ValueError):
            return True
        if any(p.kind == p.VAR_POSITIONAL for p in inputs):
            return True
        positional = [p for p in inputs if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        number = lambda p: isinstance(p.default, int | float)  # a beta or a gamma
        return len(positional) >= 4 and not number(positional[2])

    def losses(self, policy: Tensor, reference: Tensor) -> Tensor:
        """`loss` of scores (2, N) and (2, N), as it returns them: per pair, or their mean."""
        given = (*policy, *reference) if self.four else tuple(policy)
        value = guarded("your loss", self.loss, *given, seconds=PATIENCE)
        if isinstance(value, tuple | list):  # the loss first, then what is logged
            value = value[0]
        if not isinstance(value, Tensor):
            raise DataError(f"your loss returned {type(value).__name__}, and not a tensor")
        return value


def two_sides(sides, n: int, whose: str) -> Tensor:
    """(chosen (N,), rejected (N,)) as one tensor (2, N) in float64."""
    try:
        both = [torch.as_tensor(side).double().reshape(-1) for side in sides]
    except (TypeError, ValueError, RuntimeError):
        both = []
    if [side.numel() for side in both] != [n, n]:
        got = [side.numel() for side in both] or type(sides).__name__
        raise DataError(
            f"your {whose} must give two tensors, chosen and rejected, with a number for each of "
            f"the {n} pairs; it gave {got}"
        )
    return torch.stack([side.to(both[0].device) for side in both])


@contextlib.contextmanager
def left_as_it_was(*models: nn.Module | None) -> Iterator[None]:
    """Afterwards weights, gradients, train or eval mode and random numbers are what they were."""
    parts = list(dict.fromkeys(m for model in models if model is not None for m in model.modules()))
    tensors = {t: None for m in parts for t in (*m._parameters.values(), *m._buffers.values())}
    kept = [(t, t.detach().clone(), t.requires_grad, t.grad) for t in tensors if t is not None]
    places = [(m, dict(m._parameters), dict(m._buffers), m.training) for m in parts]
    state = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    on_gpu = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    grads = [None if grad is None else grad.detach().clone() for *_, grad in kept]
    try:
        yield
    finally:
        for module, parameters, buffers, training in places:
            module._parameters.update(parameters)
            module._buffers.update(buffers)
            module.training = training
        with torch.no_grad():
            for (tensor, old, trains, _), grad in zip(kept, grads, strict=True):
                tensor.data = old.to(tensor.device) if tensor.shape != old.shape else tensor.data
                tensor.copy_(old)
                tensor.requires_grad_(trains)
                tensor.grad = grad
        random.setstate(state[0])
        np.random.set_state(state[1])  # noqa: NPY002
        torch.set_rng_state(state[2])
        if on_gpu:
            torch.cuda.set_rng_state_all(on_gpu)


def gap(a: Tensor, b: Tensor) -> float:
    """The largest difference."""
    return float((a - b).abs().max())


def far(a: Tensor, b: Tensor, relative: float = 1e-3, absolute: float = 1e-3) -> bool:
    """Whether any two numbers differ by more than rounding; not finite counts as far."""
    return not bool(((a - b).abs() <= absolute + relative * b.abs()).all())


def low_precision(model: nn.Module) -> bool:
    """Whether weights are in half precision, which rounds a text differently in another batch."""
    return any(p.dtype in (torch.bfloat16, torch.float16) for p in model.parameters())
