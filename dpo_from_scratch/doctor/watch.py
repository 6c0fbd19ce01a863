"""What one call of `step` does: gradients as they come, as the optimizer gets them, and moves."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from ..others import guarded
from .alone import active_dropout
from .case import PATIENCE, Case

PLAIN_STATE = {"step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer", "sum"}
PLAIN_STATE |= {"square_avg", "acc_delta", "grad_avg", "exp_inf", "prev", "step_size"}
SAMPLE = 2048  # numbers of each tensor that are compared: a random choice, always the same


def sample(tensor: Tensor, like: Tensor) -> Tensor:
    """Some of a tensor's numbers, the same ones for all tensors of this shape, in float64."""
    flat = tensor.detach().reshape(-1)
    if like.numel() > SAMPLE:
        generator = torch.Generator().manual_seed(like.numel())
        where = torch.randint(like.numel(), (SAMPLE,), generator=generator)
        flat = flat[where.to(flat.device)]
    return flat.double().cpu()


@dataclass
class Seen:
    """What was seen of one step. Samples are kept by the tensors' places among the leaves."""

    before: list[Tensor]
    left_over: list[Tensor | None]  # gradients that were there already
    came: dict[int, Tensor] = field(default_factory=dict)  # the sum over backward passes
    last: dict[int, Tensor] = field(default_factory=dict)  # of the last backward pass alone
    passes: int = 0
    handed: dict[int, Tensor] = field(default_factory=dict)  # what the optimizer got
    updates: int = 0
    follows: bool = True  # the call before it made an update
    held: set[int] = field(default_factory=set)  # leaves that an optimizer holds
    idle: bool = False  # its rate is 0, as at the beginning of a warm-up
    keeps: bool = False  # its state may hold what is rounded away
    updated: dict[int, Tensor] = field(default_factory=dict)  # right after the optimizer
    after: list[Tensor] = field(default_factory=list)
    dropout: list[str] = field(default_factory=list)
    returned: float | None = None

    def moved(self) -> set[int]:
        """Leaves whose values changed."""
        pairs = enumerate(zip(self.before, self.after, strict=True))
        return {i for i, (a, b) in pairs if not torch.equal(a, b)}


class Watch:
    """Calls `step` and looks on. `leaves` are the tensors that may be trained, also outside."""

    def __init__(self, case: Case):
        self.case = case
        self.leaves: list[Tensor] = [p for p in case.policy.parameters() if p.requires_grad]
        self.updated = False  # whether the last call made an update
        self.outside: list[tuple[Tensor, Tensor]] = []  # trained, not in the module: with a copy

    def call(self, pairs: list[dict]) -> Seen:
        """One step, and what was seen of it."""
        n = len(self.leaves)
        take = lambda: [sample(p, p) for p in self.leaves[:n]]
        seen = Seen(take(), [None if p.grad is None else sample(p.grad, p) for p in self.leaves])
        counts, seen.follows = [0] * n, self.updated
        handles = [
            p.register_hook(self._backward(seen, counts, i)) for i, p in enumerate(self.leaves)
        ]
        handles.append(register_optimizer_step_pre_hook(lambda o, *_: self._handed(seen, o)))
        handles.append(
            register_optimizer_step_post_hook(lambda *_: seen.updated.update(enumerate(take())))
        )
        models = self.case.policy, self._apart()
        try:
            running = self.case.running("step")
            with running, active_dropout(*models) as seen.dropout, torch.enable_grad():
                value = guarded("your step", self.case.step, pairs, seconds=PATIENCE)
        finally:
            for handle in handles:
                handle.remove()
        seen.passes, seen.after, seen.returned = max(counts, default=0), take(), _number(value)
        return seen

    def _backward(self, seen: Seen, counts: list[int], i: int):
        def note(grad):
            seen.last[i] = sample(grad, self.leaves[i])
            seen.came[i] = seen.came.get(i, 0) + seen.last[i]
            counts[i] += 1

        return note

    def _handed(self, seen: Seen, optimizer) -> None:
        """What an optimizer is about to use."""
        seen.updates += 1
        seen.idle = not any(group.get("lr", 1.0) for group in optimizer.param_groups)
        states = [state for state in optimizer.state.values() if isinstance(state, dict)]
        seen.keeps = seen.keeps or any(set(state) - PLAIN_STATE for state in states)
        at = {id(p): i for i, p in enumerate(self.leaves)}
        for p in (p for group in optimizer.param_groups for p in group["params"]):
            i = at.get(id(p))
            if i is None:
                self._add_outside(p)
            else:
                seen.held.add(i)
                if p.grad is not None:
                    seen.handed[i] = seen.handed.get(i, 0) + sample(p.grad, p)

    def _apart(self) -> nn.Module | None:
        reference = self.case.reference
        return None if reference is self.case.policy else reference

    def _add_outside(self, p: Tensor) -> None:
        """A trained tensor that is no parameter of the policy, seen from the next step on."""
        mine = {id(q) for q in self.case.policy.parameters()}
        if id(p) not in {id(q) for q, _ in self.outside} and id(p) not in mine and p.requires_grad:
            self.outside.append((p, p.detach().clone()))

    def look_outside(self) -> None:
        """Count what was found outside of the module among the leaves."""
        known = {id(p) for p in self.leaves}
        self.leaves += [p for p, _ in self.outside if id(p) not in known]

    def put_back(self) -> None:
        """The values of tensors outside of the module, as they were before."""
        with torch.no_grad():
            for p, old in self.outside:
                p.copy_(old)


def _number(value) -> float | None:
    """The loss that a step returns: a number, a tensor, or one of a dictionary."""
    if isinstance(value, dict):
        value = value.get("loss")
    if isinstance(value, tuple | list) and value:
        value = value[0]
    if isinstance(value, Tensor):
        value = value.detach().double().mean().item()
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None
