"""Some steps watched from outside and inside: what moves, what doesn't, and how far."""

import math

import torch
from torch import Tensor

from .alone import SHARED
from .case import Case, far, gap
from .one_step import check_pushes
from .watch import Seen, Watch

# per response in nats, or as a share of its log-probability if that is more
MOST_NATS_A_STEP, MOST_SHARE_A_STEP = 4.0, 0.2
MOSTLY_ROUNDED = 0.9  # share of weights that all steps leave as they were
FEW = 8  # pairs of the step that is looked into


def check_steps(
    case: Case, start: tuple[Tensor, Tensor], steps: int, lengths: Tensor | None
) -> None:
    """`steps` calls of `step`; the last, if there are three or more, from a perturbed policy."""
    watch, pairs = Watch(case), case.pairs
    before, was = start[0], start[0]
    largest, ref_moved, average, moved, updates = 0.0, 0.0, [], set(), 0
    pairs_inside, first = pairs[:FEW], None
    kept = case.kept_values(pairs) if case.reference_scores is not None else None
    try:
        for number in range(max(steps - (steps > 2), 1)):
            anchor = _reference_weights(case)
            seen = watch.call(pairs)
            first = first or seen
            watch.updated = seen.updates > 0
            watch.look_outside()
            _check_call(case, watch, seen, number, start)
            moved |= seen.moved()
            updates += seen.updates
            now, again = case.values(case.policy, pairs), case.values(case.policy, pairs)
            if far(now, again):
                worst = gap(now, again)
                told = f"after a step, the same text scored twice differs by {worst:.3g} nats"
                case.add("dropout", told)
            largest, was = max(largest, float((now - was).abs().mean())), now
            if case.reference is not None:
                ref_moved = max(ref_moved, gap(case.values(case.reference, pairs), start[1]))
                average.append(_share_of_policy(case, anchor))
            if kept is not None:
                ref_moved = max(ref_moved, gap(case.kept_values(pairs), kept))
        if not updates:
            case.unseen.append("the optimizer: no torch optimizer made an update in `step`")
        _check_leaves(case, watch, seen, moved, first)
        _conclude(case, before, was, largest, ref_moved, average, steps)
        if steps > 2 and not case.has("dropout", *SHARED, "no_gradient", "reference_differs"):
            check_pushes(case, watch, pairs_inside, lengths)
    finally:
        watch.put_back()


def _check_call(case: Case, watch: Watch, seen: Seen, number: int, start) -> None:
    """What one call shows by itself."""
    if seen.dropout:
        case.add("dropout", f"{seen.dropout[0]} is on in a step")
    _check_piling(case, seen)
    if number == 0:
        _check_first_loss(case, seen, start)
        _check_first_move(case, seen)
    # weights that the optimizer doesn't hold may be copies of those that it holds
    mine = [i for i in seen.updated if i in seen.held]
    beside = [i for i in mine if not torch.equal(seen.updated[i], seen.after[i])]
    if beside:
        told = f"after the optimizer's update, {len(beside)} tensors of weights change once more"
        case.add("moved_beside_optimizer", told, "likely")


def _check_piling(case: Case, seen: Seen) -> None:
    """Whether the optimizer got gradients of earlier steps again, or of the last part alone."""
    if seen.updates != 1 or not seen.handed:
        return
    shared = [i for i in seen.handed if i in seen.came]
    join = lambda parts: torch.cat([parts(i) for i in shared]) if shared else torch.zeros(1)
    zero = lambda i: torch.zeros_like(seen.came[i])
    handed, came = join(lambda i: seen.handed[i]), join(lambda i: seen.came[i])
    old = join(lambda i: zero(i) if seen.left_over[i] is None else seen.left_over[i])
    last = join(lambda i: seen.last[i])
    if float(came.norm()) == 0:
        return
    both, there = came + old, float(old.norm()) > 0.05 * float(came.norm())
    exactly = there and float((handed - both).norm()) < 1e-3 * float(both.norm())
    if _apart(handed, came) < 0.02 and not exactly:
        return
    if exactly or (float(old.norm()) > 0 and _apart(handed, both) < 0.02):
        if not seen.follows:  # what was there came from a call without an update: accumulation
            return
        told = "the optimizer gets the gradients of earlier steps again"
        case.add("gradients_pile_up", told)
    elif seen.passes > 1 and _apart(handed, last) < 0.02:
        told = f"of {seen.passes} backward passes, only the last one's gradient is used"
        case.add("pairs_lost", told)


def _apart(a: Tensor, b: Tensor) -> float:
    """How far two gradients are from being parallel, as a share."""
    factor = float((a * b).sum() / (b * b).sum().clamp(min=1e-30))
    return 1.0 if factor <= 0 else float((a - factor * b).norm() / a.norm().clamp(min=1e-30))


def _check_first_move(case: Case, seen: Seen) -> None:
    """Whether the weights go downhill: against the gradient that came from the loss."""
    shared = [i for i in seen.came if i < len(seen.after)]
    if not shared:
        return
    came = torch.cat([seen.came[i] for i in shared])
    went = torch.cat([seen.after[i] - seen.before[i] for i in shared])
    size = float(came.norm() * went.norm())
    if size > 0 and float((came * went).sum()) > 0.05 * size:
        case.add("wrong_direction", "a step moves the weights along the loss's gradient: uphill")


def _check_first_loss(case: Case, seen: Seen, start: tuple[Tensor, Tensor]) -> None:
    """The loss that the first step returns, against the loss of the scores."""
    got, n = seen.returned, start[0].shape[1]
    if got is None:
        case.unseen.append("the loss of a step, which `step` doesn't return")
        return
    if not math.isfinite(got):
        case.add("first_loss", f"the first step returns a loss of {got}")
        return
    if not case.loss:
        if not case.has("reference_differs") and abs(got - math.log(2)) > 0.02:
            told = f"the first step returns a loss of {got:.4g}; DPO's is ln 2 = 0.6931"
            case.add("first_loss", told, "possible", "note")
        return
    with torch.no_grad():
        want = float(case.losses(*start).double().mean())
    if abs(got - want) < 0.02 * max(abs(want), 0.1) or case.has("dropout"):
        return
    told = f"the first step returns a loss of {got:.4g}, the loss of its scores is {want:.4g}"
    ratio = got / want if want else 0.0
    parts = sorted({n, seen.passes, 1 / n, 1 / max(seen.passes, 1)} - {1})
    if any(abs(ratio - part) < 0.02 * part for part in parts if part):
        case.add("loss_scaled", f"{told}: {ratio:.3g} times", level="note")
    elif not case.has("reference_rows"):
        case.add("first_loss", told, "likely")


def _check_leaves(case: Case, watch: Watch, seen: Seen, moved: set[int], first: Seen) -> None:
    """Weights that get a gradient and never move; weights in half precision that round it away."""
    pushed = {i for i, g in seen.came.items() if float(g.norm()) > 0}
    still = pushed - moved - (seen.held if seen.updates else set())
    if moved - seen.held:  # written from elsewhere, where half precision may round it away
        still -= {i for i in still if _is_half(watch, i)}
    if not moved & pushed:
        if case.half and not (still and seen.updates):
            _check_rounding(case, watch, seen, first)
        if still == pushed and pushed and seen.updates:
            told = f"the optimizer holds none of the {len(pushed)} tensors that get a gradient"
            case.add("not_in_optimizer", told)
        return
    if still:
        names = {id(p): name for name, p in case.policy.named_parameters()}
        one = names.get(id(watch.leaves[min(still)]), "a tensor")
        told = f"{len(still)} of {len(pushed)} tensors get gradients and never move ({one}, ...)"
        case.add("not_in_optimizer", told)
    if case.half:
        _check_rounding(case, watch, seen, first)


def _is_half(watch: Watch, i: int) -> bool:
    return watch.leaves[i].dtype in (torch.bfloat16, torch.float16)


def _check_rounding(case: Case, watch: Watch, seen: Seen, first: Seen) -> None:
    """Weights in half precision that get a gradient and stay: in all steps, or in the last one.

    An optimizer may keep in its own state what is rounded away.
    """
    half = [i for i in seen.came if _is_half(watch, i) and i < len(first.before)]
    if not half or seen.idle:
        return
    join = lambda of: torch.cat([of(i)[seen.came[i] != 0] for i in half])
    last = join(lambda i: seen.after[i] == seen.before[i]).double()
    ever = join(lambda i: seen.after[i] == first.before[i]).double()
    share, all_along = (float(x.mean()) if len(x) else 0.0 for x in (last, ever))
    sure = all_along >= MOSTLY_ROUNDED and set(half) <= seen.held and not seen.keeps
    sure |= all_along == 1.0 and not seen.updates  # by no optimizer of torch
    if sure or share > 0.5:
        told = f"{share:.0%} of the weights don't change in a step"
        told += ": half precision rounds it away"
        case.add("updates_rounded", told, level="problem" if sure else "note")


def _conclude(case: Case, before, was, largest, ref_moved, average, steps: int) -> None:
    """What all the steps together did to the scores."""
    if case.has("dropout", *SHARED):
        return
    margin = float(((was - before)[0] - (was - before)[1]).mean())
    uphill = case.start_push is not None and case.start_push < 0  # a loss that begins so, measured
    if ref_moved > 1e-3:
        shares = [a for a in average if a is not None]
        told = f"{steps} steps changed the reference's scores by {ref_moved:.3g} nats"
        if shares and len(shares) == len(average) and max(shares) < 0.9:
            told = f"each step moves the reference {max(shares):.2g} of the way to the policy"
            case.add("reference_moves", f"{told}: a moving average, if it is meant", level="note")
        else:
            case.add("reference_moves", told)
    if largest < 1e-6:
        if not case.has("not_in_optimizer", "updates_rounded"):
            case.add("no_gradient", f"{steps} steps changed no score of the policy")
    elif largest > max(MOST_NATS_A_STEP, MOST_SHARE_A_STEP * float(before.abs().mean())):
        told = f"one step changed the responses' log-probabilities by {largest:.3g} nats on average"
        case.add("step_too_large", told, "likely")
    elif margin < -0.05 and not uphill:
        told = f"{steps} steps on the same pairs moved chosen against rejected by {margin:.3g} nats"
        case.add("wrong_direction", told)
    if case.reference is not None and not case.has("reference_moves"):
        mine = {id(p) for p in case.policy.parameters()}
        if any(p.grad is not None and id(p) not in mine for p in case.reference.parameters()):
            told = "a step's backward pass computes gradients of the reference too"
            case.add("reference_gradients", told, level="note")


# ---------------------------------------------------------------- a reference that follows
def _reference_weights(case: Case) -> list[Tensor]:
    mine = {id(p) for p in case.policy.parameters()}
    if case.reference is None:
        return []
    return [p.detach().clone() for p in case.reference.parameters() if id(p) not in mine]


def _share_of_policy(case: Case, old: list[Tensor]) -> float | None:
    """The share of the way to the policy's weights that the reference went, if just that way."""
    mine = {id(p) for p in case.policy.parameters()}
    new = [p.detach() for p in case.reference.parameters() if id(p) not in mine]
    target = [p.detach() for p in case.policy.parameters()]
    if [p.shape for p in new] != [p.shape for p in target] or len(new) != len(old):
        return None
    flat = lambda parts: torch.cat([p.reshape(-1).double() for p in parts])
    way, gone = flat(target) - flat(old), flat(new) - flat(old)
    length = float((way * way).sum())
    share = float((way * gone).sum()) / length if length else 0.0
    rest = float((gone - share * way).norm())
    return share if rest <= 0.02 * max(float(gone.norm()), 1e-12) + 1e-9 else None
