"""The capstone's second part: a new loss, by the demands that the registry's own have to meet."""

import inspect
from collections.abc import Callable

import torch

from ...losses import LOSSES
from . import attempts, values
from .verdicts import Verdict, misformed, right, wrong

KNOWN = dict(LOSSES)  # before a reader enters one
ARGUMENTS = ("chosen_logps", "rejected_logps", "ref_chosen_logps", "ref_rejected_logps")


def squared_hinge(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, *, beta=0.5):
    """The square of what a margin lacks to 1, (B,): the book's own answer."""
    log_ratios = (chosen_logps - ref_chosen_logps) - (rejected_logps - ref_rejected_logps)
    return torch.relu(1 - beta * log_ratios) ** 2


def rows(n: int, seed: int, dtype=torch.float64) -> list[torch.Tensor]:
    """Four log-probabilities of n pairs, policy near its reference."""
    rng = torch.Generator().manual_seed(seed)
    ref = -20 - 8 * torch.rand(2, n, generator=rng, dtype=torch.float64)
    near = ref + 1.5 * torch.randn(2, n, generator=rng, dtype=torch.float64)
    return [t.to(dtype) for t in (near[0], near[1], ref[0], ref[1])]


def pinned(attempt) -> Verdict:
    """The first demand that the loss doesn't meet."""
    if not callable(attempt):
        return misformed(f"a function of ({', '.join(ARGUMENTS)}) is asked.")
    if why := signature(attempt):
        return misformed(why)
    clock = attempts.Clock()
    done = attempts.call(attempt, dict(zip(ARGUMENTS, rows(5, 0), strict=True)), clock)
    if done.trouble:
        return misformed(done.trouble)
    if why := shape(done.value, torch.float64):
        return misformed(why)
    done = attempts.call(demands, {"loss": attempt}, clock)
    if done.trouble:
        return misformed(done.trouble)
    return wrong(done.value) if isinstance(done.value, str) else right(shows(attempt))


def shows(loss: Callable) -> str:
    """Where it starts."""
    start = loss(*(torch.zeros(1, dtype=torch.float64) for _ in ARGUMENTS)).item()
    return f"It is pinned: {start:.4g} where the policy is the reference, and downhill from there."


def signature(loss: Callable) -> str:
    """Four arguments, and options by keyword with defaults."""
    parameters = list(inspect.signature(loss).parameters.values())
    given = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
    if len([p for p in given if p.default is p.empty]) != 4 or len(given) != 4:
        return f"its first four arguments are {', '.join(ARGUMENTS)}; options come after a `*`."
    if bare := [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]:
        return f"the option `{bare[0]}` needs a default."
    return ""


def shape(value, dtype) -> str:
    """A tensor, one number a pair, in the dtype that came in."""
    if not isinstance(value, torch.Tensor):
        return f"it gives a {type(value).__name__}; a tensor is asked, so that gradients can flow."
    if value.shape != (5,):
        single = value.dim() == 0
        why = "it is reduced over the batch" if single else f"it gives shape {tuple(value.shape)}"
        return f"{why}; one loss for each pair is asked, shape (B,)."
    if value.dtype != dtype:
        return f"{dtype} goes in and {value.dtype} comes out."
    return ""


def demands(loss: Callable) -> str | bool:
    """The first one that isn't met, or True."""
    checks = (alone, gradient, float32, reference, sides, new)
    return next((why for why in (check(loss) for check in checks) if why), True)


def slopes(loss: Callable, four: list) -> list[torch.Tensor]:
    """By autograd, (B,) for each argument; None where there is none."""
    four = [t.clone().requires_grad_() for t in four]
    return torch.autograd.grad(loss(*four).sum(), four, allow_unused=True)


def gradient(loss: Callable) -> str:
    """Autograd against central differences, in float64."""
    four, step = rows(5, 1), 1e-6
    asked = [t.clone().requires_grad_() for t in four]
    if not loss(*asked).requires_grad:
        return "no gradient comes out: something is detached, or leaves torch."
    found = slopes(loss, four)
    for i, name in enumerate(ARGUMENTS):
        at = lambda by, i=i: loss(*(t + by if j == i else t for j, t in enumerate(four)))
        differences = (at(step) - at(-step)) / (2 * step)
        told = torch.zeros(5) if found[i] is None else found[i]
        if not values.same(told, differences.detach(), 1e-4, 1e-6):
            return (
                f"the gradient by `{name}` is not what finite differences give: something in it "
                "is detached, or rounded."
            )
    return ""


def alone(loss: Callable) -> str:
    """A pair's loss doesn't depend on the batch."""
    four = rows(5, 2)
    together = loss(*four)
    single = torch.cat([loss(*(t[i : i + 1] for t in four)) for i in range(5)])
    return (
        "" if values.same(single, together) else "a pair's loss changes with the others' beside it."
    )


def float32(loss: Callable) -> str:
    """Finite values and gradients where a response is far from the reference; and precise."""
    far = torch.tensor([-700.0, -90.0, 90.0, 700.0, 0.0])
    zero = torch.zeros(5)
    for what, four in (("chosen", [far, zero, zero, zero]), ("rejected", [zero, far, zero, zero])):
        value = loss(*four)
        if why := shape(value, torch.float32):
            return "in float32: " + why
        found = [value, *(g for g in slopes(loss, four) if g is not None)]
        if not all(torch.isfinite(f).all() for f in found):
            return (
                f"in float32 it is not finite where the {what} response is some hundred nats from "
                "the reference: use a form that can't overflow, such as logsigmoid."
            )
    small, exact = loss(*rows(5, 3, torch.float32)), loss(*rows(5, 3))
    near = values.same(small.double(), exact, 1e-3, 1e-4)
    return "" if near else "in float32 it is another number than in float64."


def reference(loss: Callable) -> str:
    """A function of the two log-ratios: one value wherever the policy is the reference."""
    four = rows(5, 4)
    at = loss(four[2], four[3], four[2], four[3])
    if not values.same(at, at[:1].expand(5)):
        return (
            "where policy and reference are equal it is not one number: it depends on the "
            "log-probabilities themselves, not on their ratios to the reference."
        )
    shifted = loss(four[0] - 3, four[1] + 2, four[2] - 3, four[3] + 2)
    if not values.same(shifted, loss(*four)):
        return (
            "policy and reference both 3 nats lower is the same log-ratio, and another loss here."
        )
    return ""


def sides(loss: Callable) -> str:
    """Downhill at the reference is chosen up or rejected down."""
    same = rows(5, 5)[2:]
    chosen, rejected = (
        0.0 if g is None else g.mean().item() for g in slopes(loss, [*same, *same])[:2]
    )
    if chosen > 1e-9 or rejected < -1e-9:
        return "at the reference it pushes the chosen response down or the rejected one up."
    if abs(chosen) + abs(rejected) < 1e-9:
        return "at the reference its slope is 0, so training never starts."
    up, down = rows(5, 5)[2:], [0.5, -0.5]
    better = loss(up[0] + down[0], up[1] + down[1], *up).mean()
    worse = loss(up[0] + down[1], up[1] + down[0], *up).mean()
    return (
        "" if better < worse else "a pair in the right order costs more than one in the wrong one."
    )


def new(loss: Callable) -> str:
    """None of the registry's, with the same β."""
    four, options = rows(5, 6), inspect.signature(loss).parameters
    beta = {"beta": options["beta"].default} if "beta" in options else {}
    mine = loss(*four)
    for name, known in KNOWN.items():
        if known.needs != "pairs" or set(known.inputs) - {"reference"}:
            continue
        if "reference" not in known.inputs:
            continue
        given = beta if "beta" in known.defaults else {}
        for same in (given, {}):
            if values.same(known.fn(*four, **same), mine):
                return f"that is `{name}` of the registry; a new one is asked."
    return ""
