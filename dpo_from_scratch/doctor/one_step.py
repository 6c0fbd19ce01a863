"""One step from inside: what every response contributes to the gradient, and what it should.

The gradient of a step is a sum over responses: a push times the gradient of log pi(y|x). From the
gradient that was seen, the pushes are found by least squares, and compared with what the loss says
of the same scores. Where they disagree, explanations are tried: other rows, sides, numbers, betas.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .. import losses
from .added import named_nll
from .case import Case, far, gap
from .rows import order_of_pushes, rearranged
from .watch import Seen, Watch, sample

AGREE, DISAGREE = 0.015, 0.03  # share of the pushes that may be rounding; and that may not
BETAS = torch.logspace(-3, 1, 161).tolist()


def perturb(case: Case, leaves: list[Tensor], pairs: list[dict]) -> bool:
    """Move the policy away from the reference, until margins differ; False if it can't be moved.

    At the start all margins are 0, so that wrong numbers and exchanged rows look right.
    """
    before = case.values(case.policy, pairs)
    generator = torch.Generator().manual_seed(1)
    # a beta times margins of about one
    scale, nats = 0.03, min(max(1 / (case.beta or 0.2), 3.0), 15.0)
    for _ in range(12):
        with torch.no_grad():
            for p in leaves:
                spread = max(float(p.detach().float().std()) if p.numel() > 1 else 0.0, 0.02)
                noise = torch.randn(p.shape, generator=generator).to(p.device, p.dtype)
                p.add_(scale * spread * noise)
        moved = case.values(case.policy, pairs) - before
        if float((moved[0] - moved[1]).std()) > nats:
            break
        scale *= 1.8
    return bool(moved.isfinite().all()) and float((moved[0] - moved[1]).std()) > 0.1


def response_gradients(case: Case, leaves: list[Tensor], pairs: list[dict]) -> Tensor | None:
    """Gradients of each response's log-probability, (2N, samples): chosen first."""
    with torch.enable_grad():
        scores = case.scores(case.policy, pairs).reshape(-1)
    if not scores.requires_grad or not leaves:
        return None
    rows = []
    for s in scores:
        grads = torch.autograd.grad(s, leaves, retain_graph=True, allow_unused=True)
        rows.append(
            torch.cat(
                [
                    sample(torch.zeros_like(p) if g is None else g, p)
                    for g, p in zip(grads, leaves, strict=True)
                ]
            )
        )
    return torch.stack(rows)


def pushes(
    gradients: Tensor, came: dict[int, Tensor], leaves: list[Tensor]
) -> tuple[Tensor, float]:
    """The push on each response, (2, N), and the share of the gradient that they don't explain."""
    whole = torch.cat(
        [
            came[i].double() if i in came else torch.zeros_like(sample(p, p))
            for i, p in enumerate(leaves)
        ]
    )
    norms = gradients.norm(dim=1).clamp(min=1e-30)
    solution = torch.linalg.lstsq((gradients / norms[:, None]).T, whole[:, None], driver="gelsd")
    c = solution.solution.squeeze(1) / norms
    rest = float((gradients.T @ c - whole).norm() / whole.norm().clamp(min=1e-30))
    return c.reshape(2, -1), rest


def predicted(loss: Callable, policy: Tensor, reference: Tensor) -> tuple[Tensor, float]:
    """The pushes (2, N) of a loss at these scores, and its mean."""
    x = policy.detach().clone().requires_grad_()
    with torch.enable_grad():
        value = loss(x, reference).mean()
        if not value.requires_grad:
            return torch.zeros_like(x), float(value)
        (g,) = torch.autograd.grad(value, x, allow_unused=True)
    return torch.zeros_like(x) if g is None else g, float(value.detach())


def off(seen: Tensor, wanted: Tensor) -> tuple[float, float]:
    """How far pushes are from wanted ones up to a factor, as a share; and that factor."""
    if not bool(wanted.isfinite().all()) or float(wanted.norm()) < 1e-20:
        return 1.0, 0.0
    factor = float((seen * wanted).sum() / (wanted * wanted).sum())
    return float((seen - factor * wanted).norm() / seen.norm().clamp(min=1e-30)), factor


def dpo(policy: Tensor, reference: Tensor) -> Tensor:
    """DPO at a beta of 1, where no loss was given; other betas are this at other scales."""
    return losses.dpo(*policy, *reference, beta=1.0)


def best_scale(loss: Callable, seen: Tensor, policy: Tensor, reference: Tensor):
    """(how far off, factor, scale): the scale of all log-probabilities that fits best, a beta."""
    tried = []
    for k in BETAS:
        wanted, _ = predicted(loss, k * policy, k * reference)
        tried.append((*off(seen, wanted), k))
    return min((t for t in tried if t[1] > 0), default=(1.0, 0.0, 1.0))


def explanations(
    policy: Tensor, reference: Tensor, lengths: Tensor | None
) -> Iterator[tuple[str, str, Tensor, Tensor, int]]:
    """(code, what, policy, reference, rolled by): what a step may have used."""
    yield "no_reference", "has no reference", policy, torch.zeros_like(reference), 0
    yield "reference_is_policy", "has the policy as its reference", policy, policy, 0
    for told, other in rearranged(reference):
        code = "reference_exchanged" if "exchanged" in told else "reference_rows"
        yield code, f"uses as reference {told}", policy, other, 0
    if lengths is not None:
        told = "uses means over tokens where the scores are sums"
        yield "mean", told, policy / lengths, reference / lengths, 0
        told = "uses the reference's means over tokens against the policy's sums"
        yield "reference_rows", told, policy, reference / lengths, 0
    for by in range(1, policy.shape[1]):
        rolled = lambda x, by=by: torch.stack([x[0], x[1].roll(by)])
        told = "compares a pair's chosen response with another pair's rejected one"
        yield "pairs_mixed", told, rolled(policy), rolled(reference), by


def explain(case: Case, seen: Tensor, policy, reference, lengths, returned) -> None:
    """Compare the pushes that were seen with the loss, and name what explains the difference."""
    loss = case.losses if case.loss else dpo
    search = case.loss is None
    wanted, value = predicted(loss, policy, reference)
    share, factor = off(seen, wanted)
    if search:
        share, factor, _ = best_scale(loss, seen, policy, reference)
    if share < (0.15 if case.half else DISAGREE) and factor > 0:
        if search:  # its loss is DPO's, of the margin alone
            case.kind, case.margin_alone = "logistic", True
            case.beta = best_scale(loss, seen, policy, reference)[2]
        return
    if factor < 0 and off(seen, wanted)[0] < DISAGREE:
        case.add("wrong_direction", "the gradient of a step is the loss's, with the sign turned")
        return
    more = None if search or returned is None else returned - value
    if more is not None and named_nll(case, seen, wanted, policy, lengths, more):
        return
    if search and returned is None and _lost(case, seen, None):
        return
    limit = min(AGREE, share / 3)
    if _explained(case, loss, seen, (policy, reference, lengths), limit, returned):
        return
    if _lost(case, seen, None if search else wanted):
        return
    if case.loss:
        error, factor, k = best_scale(loss, seen, policy, reference)
        if error < AGREE:
            told = f"beta in a step is {k:.3g} times the one in the loss that was given"
            case.add("beta_differs", told)
        else:
            told = f"the pushes on the responses differ by {share:.0%} from what the loss says"
            case.add("step_differs", told, "likely")
    else:
        case.unseen.append("the step's loss, which is not DPO's, and `loss` was not given")


def _explained(case: Case, loss, seen: Tensor, scores, limit: float, returned) -> bool:
    """Whether other rows, sides or numbers than the loss should get explain the pushes best."""
    fits = []
    for code, told, policy, reference, by in [*explanations(*scores), *_orders(case, seen, scores)]:
        k = best_scale(loss, seen, policy, reference)[2] if case.loss is None else 1.0
        pushed, value = predicted(loss, k * policy, k * reference)
        pushed = torch.stack([pushed[0], pushed[1].roll(-by)])  # back to the rows they belong to
        if code == "mean":
            pushed = pushed / scores[2]
        error, factor = off(seen, pushed)
        if error < limit and factor > 0:
            fits.append((round(error, 4) + _loss_apart(returned, value, seen.shape[1]), code, told))
    best = min(fits, key=lambda fit: fit[0], default=None)
    if best is None or best[0] > 0.1:
        return False
    case.add(_shared(case, best[1]), f"the loss of a step {best[2]}")
    return True


def _orders(case: Case, seen: Tensor, scores) -> list[tuple[str, str, Tensor, Tensor, int]]:
    """The explanation that the reference's rows are in some other order, if any order fits."""
    if case.loss is None:
        return []
    policy, reference = scores[:2]
    alone = lambda a, b: predicted(case.losses, a, b)[0] * a.shape[1]
    found = []
    for sides in ([0, 1], [0], [1]):
        order = order_of_pushes(alone, seen, policy, reference, sides)
        if order is not None:
            other = reference.clone()
            other[sides] = reference[:, order][sides]
            told = f"uses as reference the numbers of other rows, in the order {order}"
            found.append(("reference_rows", told, policy, other, 0))
    return found


def _loss_apart(returned: float | None, value: float, n: int) -> float:
    """How far the loss that was returned is from one, or from its sum or part; a share."""
    if returned is None or value == 0:
        return 0.0
    return min(abs(returned / (value * part) - 1) for part in (1, n, 1 / n))


def _shared(case: Case, code: str) -> str:
    lora = any("lora_" in name for name, p in case.policy.named_parameters() if p.requires_grad)
    return "adapter_in_reference" if code == "reference_is_policy" and lora else code


def _lost(case: Case, seen: Tensor, wanted: Tensor | None) -> bool:
    """Whether the pushes of a side, or of some pairs, don't arrive."""
    if wanted is None:  # a pair that is right by far is pushed by next to nothing
        arrives, due = seen.abs() > 1e-5 * float(seen.abs().max()), torch.ones_like(seen).bool()
    else:
        arrives = seen.abs() > 1e-3 * float(seen.abs().max())
        due = wanted.abs() > 0.02 * float(wanted.abs().max())
    for s, name in enumerate(("chosen", "rejected")):
        if bool(due[s].any()) and not bool(arrives[s].any()):
            case.add("side_detached", f"no gradient of a step pushes the {name} responses")
            return True
    gone = (due.any(0) & ~arrives.any(0)).nonzero().flatten().tolist()
    if gone:
        told = f"of the {seen.shape[1]} pairs of a batch, {len(gone)} don't reach the weights"
        case.add("pairs_lost", f"{told}: {', '.join(map(str, gone))} (counted from 0)")
        return True
    return False


def check_pushes(case: Case, watch: Watch, pairs: list[dict], lengths: Tensor | None) -> None:
    """A step from a policy that is away from its reference, against what the loss predicts."""
    if not perturb(case, watch.leaves, pairs):
        case.unseen.append("a step away from the reference: noise in the weights changed no margin")
        return
    policy, reference = case.values(case.policy, pairs), case.reference_values(pairs)
    again = case.values(case.policy, pairs)
    if far(policy, again):  # one that an untouched adapter doesn't show
        told = (
            f"with weights moved by noise, a text scored twice differs by {gap(policy, again):.3g}"
        )
        case.add("dropout", f"{told} nats")
        return
    gradients = response_gradients(case, watch.leaves, pairs)
    seen = watch.call(pairs)
    if seen.dropout or gradients is None:
        return
    if not seen.came:
        case.unseen.append("gradients in a step: no backward pass reached the policy's weights")
        return
    if not all(bool(g.isfinite().all()) for g in seen.came.values()):
        case.unseen.append("a step away from the reference: its gradient is not finite there")
        return
    came, rest = pushes(gradients, seen.came, watch.leaves)
    if rest < (0.3 if case.half else 0.05):
        explain(case, came, policy.cpu(), reference.cpu(), lengths, seen.returned)
    elif case.loss:
        _say_rest(case, rest, predicted(case.losses, policy.cpu(), reference.cpu())[1], seen)
    if not case.has("pairs_lost", "side_detached") and seen.handed and seen.updates == 1:
        handed, rest = pushes(gradients, seen.handed, watch.leaves)
        if rest < 0.05 and off(handed, came)[0] > DISAGREE:
            _lost(case, handed, came)
    if not case.has("step_differs", "pairs_lost", "beta_differs") and case.loss:
        _check_size(case, came, predicted(case.losses, policy.cpu(), reference.cpu()), seen)


def _say_rest(case: Case, rest: float, value: float, seen: Seen) -> None:
    """A gradient that is not made of the gradients of the responses' scores."""
    told = f"{rest:.0%} of a step's gradient is no sum of the gradients of these scores"
    if seen.returned is None or _loss_apart(seen.returned, value, len(case.pairs)) > 0.03:
        case.add("step_differs", f"{told}: it scores other tokens, or adds a term", "likely")
    else:
        case.add("step_differs", told, "possible", "note")


def _check_size(case: Case, came: Tensor, wanted: tuple[Tensor, float], seen: Seen) -> None:
    """Whether the gradient is that of the mean over the batch, or some times that."""
    error, factor = off(came, wanted[0])
    n, passes = came.shape[1], seen.passes
    if error > DISAGREE or not 0.001 < factor < 500 or abs(factor - 1) < 0.03:
        return
    many = f"the gradient of a step is {factor:.3g} times that of the mean over its {n} pairs"
    if passes > 1 and abs(factor - passes) < 0.03 * passes:
        told = f"{many}: the {passes} parts of the batch are added up and not divided"
        case.add("gradient_scaled", told, "likely")
    elif passes > 1 and factor < 0.97:
        told = f"{many}, put together in {passes} parts: it is divided twice"
        case.add("gradient_scaled", told, "likely")
    else:
        told = ": a sum, not a mean" if abs(factor - n) < 0.03 * n else ""
        case.add("gradient_scaled", many + told, level="note")
