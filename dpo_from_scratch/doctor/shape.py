"""A loss as a function: each of its four arguments alone, from very wrong to very right.

Of a loss of log-ratios, the slope in each argument, read by gradients where the trainer would, and
by differences, since a loss may leave a side without gradients.
"""

import math

import torch
from torch import Tensor

from ..data import DataError
from .case import Case
from .named import check_named_beta, check_named_gamma, check_named_smoothing, check_named_target

BASE = -2000.0  # so that all log-probabilities stay below zero
SIGNS = (1.0, -1.0, -1.0, 1.0)  # which way each argument makes the pair more right
MARGINS = [-1000.0, -300.0, -100.0, -30.0, -10.0, -3.0, -1.0, -0.3, 0.0]
MARGINS += [-m for m in MARGINS[-2::-1]]
ZERO = MARGINS.index(0.0)
STEP = 0.01


def check_loss(case: Case) -> None:
    """What the loss does with its arguments; the effective beta is always said."""
    slopes = torch.stack([_slopes(case, k) for k in range(4)])  # (varied, argument, margin)
    moved = torch.stack([_differences(case, k) for k in range(4)])  # (varied, margin)
    own = torch.stack([slopes[k, k] for k in range(4)])  # each argument's slope, itself varied
    size = float(_finite(own[:2]).abs().max())
    if size < 1e-9:
        told = "the loss does not change with the log-probabilities"
        if float(_finite(moved[:2]).abs().max()) > 1e-9:
            told = "the loss passes no gradient to the policy's log-probabilities"
        case.add("no_gradient", told)
        return
    case.start_push = -float(_finite(own[0])[ZERO])
    both = _finite(slopes[:, 0] + slopes[:, 1]).abs().max()  # what the sum of the scores does
    case.margin_alone = float(both) < 1e-6 * size
    _check_sides(case, slopes, own, moved, size)
    _check_reference(case, own, moved, size)
    _check_batch(case)
    if not case.has("wrong_direction", "side_detached", "reference_weight"):
        _check_even(case, slopes)
    if not case.has("wrong_direction", "side_detached"):
        _check_shape(case, slopes)


def ignores_reference(case: Case) -> bool:
    """Whether the loss has no slope in the reference's log-probabilities."""
    moved = _finite(torch.stack([_differences(case, k) for k in range(4)])).abs()
    return float(moved[2:].max()) <= 1e-6 * float(moved[:2].max())


def _finite(x: Tensor) -> Tensor:
    return torch.nan_to_num(x, 0.0, 0.0, 0.0)


def _points(k: int, shift: float = 0.0) -> Tensor:
    """The four arguments (4, margins), argument k varied."""
    x = torch.full((4, len(MARGINS)), BASE, dtype=torch.double)
    x[k] += SIGNS[k] * torch.tensor(MARGINS, dtype=torch.double) + SIGNS[k] * shift
    return x


def _each(case: Case, x: Tensor) -> Tensor:
    """The loss of each column of x (4, M) by itself, (M,)."""
    values = [case.losses(column[:2, None], column[2:, None]).mean() for column in x.T]
    return torch.stack([v.double() for v in values])


def _slopes(case: Case, k: int) -> Tensor:
    """Gradients (4, margins) of the loss while argument k is varied."""
    x = _points(k).requires_grad_()
    with torch.enable_grad():
        value = _each(case, x).sum()
        if not value.requires_grad:
            return torch.zeros_like(x)
        (g,) = torch.autograd.grad(value, x, allow_unused=True)
    return torch.zeros_like(x) if g is None else g.detach()


@torch.no_grad()
def _differences(case: Case, k: int) -> Tensor:
    """How fast the loss changes with argument k, (margins,), whether or not gradients pass."""
    up, down = _each(case, _points(k, STEP)), _each(case, _points(k, -STEP))
    return SIGNS[k] * (up - down) / (2 * STEP)


def _check_sides(case: Case, slopes: Tensor, own: Tensor, moved: Tensor, size: float) -> None:
    """Both responses are pushed, each in its direction."""
    chosen, rejected = _finite(own[0])[: ZERO + 1], _finite(own[1])[: ZERO + 1]
    # of the size at the reference: far away one side's slope may grow like e^rho (chi_po)
    start = float(_finite(slopes[:, :2, ZERO]).abs().max())
    least = 1e-6 * min(size, start or size)
    for name, k in (("chosen", 0), ("rejected", 1)):
        if float(_finite(slopes[:, k]).abs().max()) < least:
            told = f"the loss pushes the {name} response nowhere"
            if float(_finite(moved[k]).abs().max()) > least:
                told += ": it depends on it, and passes it no gradient"
            case.add("side_detached", told)
            return
    wrong = (chosen - rejected)[:-1]  # of the pairs that are wrong; a push of 0 has no direction
    if float(wrong.min()) > -1e-9 * size and float(wrong.max()) > 1e-3 * size:
        case.add("wrong_direction", "the loss falls when the rejected response gains")
    elif float(rejected.max()) <= 0 and float(rejected[-1]) < -1e-3 * size:
        case.add("wrong_direction", "the loss falls when either response gains, rejected too")
    elif float(chosen.min()) >= 0 and float(rejected[-1]) > 0 and _mirrored(own):
        case.add("wrong_direction", "the loss falls when either response loses, chosen too")


def _check_even(case: Case, slopes: Tensor) -> None:
    """Whether one side is pushed some times as hard as the other, whatever the margin."""
    chosen, rejected = slopes[:, 0], -slopes[:, 1]
    there = chosen.abs() > 1e-3 * chosen.abs().max()
    times = (rejected[there] / chosen[there]).nan_to_num(0.0)
    first = float(times.median())
    if first > 0 and bool((times / first - 1).abs().max() < 0.02) and not 0.5 < first < 2.0:
        told = f"the rejected response counts {first:.3g} times the chosen one"
        case.add("reference_weight", f"{told}, as with beta on one side only", "likely")


def _mirrored(own: Tensor) -> bool:
    """Whether both sides are pushed alike at every margin, as by one sign too many."""
    a, b = _finite(own[0]), _finite(own[1])
    return bool(((a[ZERO] - b[ZERO]).abs() < 1e-3 * a[ZERO].abs()).item())


def _check_reference(case: Case, own: Tensor, moved: Tensor, size: float) -> None:
    """The loss should depend on each response's log-ratio to the reference."""
    policy, reference = _finite(moved[:2]), _finite(moved[2:])
    most = reference.abs().amax(1)
    if float(most.max()) < 1e-6 * size:
        case.add("no_reference", "the loss takes no account of the reference", level="note")
        return
    for name, one in (("chosen", 0), ("rejected", 1)):
        alone = float(most[one]) < 1e-6 * size
        if alone and float(moved[one].abs().max()) > 1e-6 * size:
            told = f"the loss takes no account of the reference's {name} log-probability"
            case.add("reference_weight", told)
            return
    ratio = -reference[:, ZERO] / policy[:, ZERO].where(policy[:, ZERO].abs() > 1e-9, torch.nan)
    if bool((ratio + 1).abs().lt(0.02).any()):
        told = "the reference's sides are exchanged, or its sign is wrong: a response that the "
        case.add("reference_exchanged", told + "reference likes is pushed where it shouldn't be")
        return
    times = float(ratio[0])
    even = bool((ratio - times).abs().lt(0.02 * abs(times)).all())
    if even and abs(times - 1) > 0.02 and not _extra(moved):
        told = f"the reference's log-probabilities count {times:.3g} times the policy's"
        case.add("reference_weight", told)


def _extra(moved: Tensor) -> bool:
    """Whether policy and reference differ by a constant push, as of an NLL term, or not at all."""
    rest = _finite(moved[:2]) + _finite(moved[2:])
    inner = rest[:, ZERO - 3 : ZERO + 4]
    return bool((inner - inner[:, :1]).abs().max() < 1e-3 * float(_finite(moved).abs().max()))


def _check_batch(case: Case) -> None:
    """Whether a batch's loss is the mean of its pairs' losses."""
    policy = torch.tensor([[-20.0, -33.0, -25.0], [-30.0, -21.0, -24.0]], dtype=torch.double)
    reference = torch.tensor([[-23.0, -30.0, -26.0], [-27.0, -25.0, -21.0]], dtype=torch.double)
    with torch.no_grad():
        try:
            whole = case.losses(policy, reference)
        except DataError:
            return
        cut = lambda x, i: x[:, i : i + 1]
        one = lambda a, b: float(case.losses(a, b).mean())
        each = [one(cut(policy, i), cut(reference, i)) for i in range(3)]
        if not all(map(math.isfinite, each)):
            return
        mean = sum(each) / 3
        near = lambda a: abs(float(whole.mean()) - a) < 1e-4 * max(abs(a), 1e-6)
        if near(mean) or near(sum(each)):
            return
        if whole.numel() == 9:
            case.add("pairs_mixed", "the loss of 3 pairs has 9 values: rows against columns")
            return
        mixed = [one(cut(policy, i), cut(reference, j)) for i in range(3) for j in range(3)]
        sides = [
            one(
                torch.stack([policy[0, i : i + 1], policy[1, j : j + 1]]),
                torch.stack([reference[0, i : i + 1], reference[1, j : j + 1]]),
            )
            for i in range(3)
            for j in range(3)
        ]
        if near(sum(mixed) / 9) or near(sum(sides) / 9):
            case.add("pairs_mixed", "the loss compares every pair with every other's numbers")
        elif near(one(policy.mean(1, keepdim=True), reference.mean(1, keepdim=True))):
            told = "the loss is that of the batch's mean margin"
            case.add("loss_of_mean", f"{told}: every pair is pushed alike, however wrong it is")
        elif near(-math.log(sum(math.exp(-x) for x in each) / 3)):
            told = "the loss is the logarithm of a mean over the batch, not the mean of logarithms"
            case.add("loss_of_mean", f"{told}: badly wrong pairs are hardly pushed")


# ---------------------------------------------------------------- the shape, and beta
def _check_shape(case: Case, slopes: Tensor) -> None:
    """A badly wrong pair is pushed most; what beta the slope amounts to."""
    h = -slopes[0, 0]  # the push on the chosen response at each margin
    logistic = _logistic(_finite(h))
    if not bool(h.isfinite().all()) and logistic:
        told = "the loss or its gradient is not finite at margins of some hundred nats"
        case.add("unstable_loss", told, level="note")
    h = _finite(h)
    start, wrong, right = float(h[ZERO]), float(h[:ZERO].max()), float(h[ZERO + 1 :].abs().max())
    most = float(h.abs().max())
    # a loss of each response by itself, as APO's, may be bounded on purpose
    joint = bool((slopes[1, 0] + slopes[1, 1]).abs().max() < 1e-3 * most)
    even = bool((h - h.flip(0)).abs().max() < 1e-3 * most)
    if joint and even and start > 0 and abs(float(h[0])) < 0.02 * start:
        told = f"a pair with margin -1000 is pushed {abs(float(h[0])):.2g}, one at 0 {start:.3g}"
        case.add("bounded_loss", f"{told}: the sigmoid lacks its logarithm")
    elif start > 0 and not float(h[MARGINS.index(-30.0)]) and not float(h[0]):
        told = "a pair with a margin of -30 nats gets no push at all"
        case.add("bounded_loss", told)
    elif joint and start > 0 and wrong < 0.9 * start and right > 1.5 * start:
        told = (
            f"a pair that is right already is pushed most ({right:.3g}, at the start {start:.3g})"
        )
        case.add("bounded_loss", told)
    else:
        if logistic and start < 0:
            told = f"at a margin of 0 a constant pull of {logistic[2]:.3g} beats the loss's own"
            case.add("wrong_direction", f"{told}: the rejected response gains")
        _say_beta(case, h, start, logistic)


def _logistic(h: Tensor) -> tuple[float, float, float] | None:
    """(beta, factor, constant) of a push factor * beta * sigmoid(-beta m) + constant, if it is."""
    m = torch.tensor(MARGINS, dtype=torch.double)

    def fit(beta):
        base = torch.stack([torch.sigmoid(-beta * m), torch.ones_like(m)], 1)
        parts = torch.linalg.lstsq(base, h[:, None]).solution.squeeze(1)
        return float((base @ parts - h).norm()), beta, *parts.tolist()

    best = min(fit(10 ** (k / 40)) for k in range(-120, 121))
    for width in (1e-2, 1e-3, 1e-4):
        best = min(fit(best[1] * (1 + width * k)) for k in range(-8, 9))
    error, beta, amount, constant = best
    return (beta, amount / beta, constant) if error < 0.01 * float(h.norm()) else None


def _say_beta(case: Case, h: Tensor, start: float, logistic) -> None:
    """The note that is always made: what the loss amounts to, in DPO's beta."""
    flat = float((h[:ZERO] - start).abs().max()) < 1e-3 * abs(start)
    slope = float(h[ZERO - 1] - h[ZERO + 1]) / (MARGINS[ZERO + 1] - MARGINS[ZERO - 1])
    straight = abs(float(h[0]) - start - slope * 1000.0) < 1e-3 * abs(float(h[0]))
    beta, kind, smooth = None, "other", None
    if flat and start > 0:
        beta, kind, told = (
            start,
            "hinge",
            f"the loss has a hinge, as SLiC's, with a beta of {start:.4g}",
        )
    elif logistic:
        (beta, factor, constant), kind = logistic, "logistic"
        smooth = constant
        told = f"the loss is DPO's with a beta of {beta:.4g}"
        told += "" if abs(factor - 1) < 0.03 else f", times {factor:.3g}"
        told += (
            "" if abs(constant) < 0.01 * abs(start) else f", and a constant pull of {constant:.3g}"
        )
    elif straight and slope > 0:
        kind = "parabola"
        told = f"the loss is a parabola, as IPO's, with its target at {start / slope:.4g} nats"
    else:
        told = f"the loss has no beta as DPO's; at a margin of 0 it pulls with {start:.4g}"
    case.add("effective_beta", told, level="note")
    case.beta, case.kind = beta, kind
    if kind == "parabola" and case.margin_alone:
        check_named_target(case, start / slope, slope)
    if smooth is not None and case.margin_alone:
        check_named_smoothing(case, smooth, start)
        if case.has("no_reference"):
            check_named_gamma(case)
    check_named_beta(case, beta)
