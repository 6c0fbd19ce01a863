"""A pair scored alone, twice, and beside others; and what policy and reference say at the start."""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from ..data import DataError
from .case import Case, far, gap
from .inside import Scored
from .rows import whose_numbers


def check_numbers(case: Case, seen: list[list[Scored]] | None, few: list[dict]) -> None:
    """Dropout, other rows of the batch, and rounding."""
    policy, pairs = case.policy, case.pairs
    with active_dropout(policy) as active:
        together = case.values(policy, pairs)
    again = case.values(policy, pairs)
    if far(together, again):
        case.add(
            "dropout", f"the same text scored twice differs by {gap(together, again):.3g} nats"
        )
        return
    if active and case.step is None:
        case.add("dropout", f"{active[0]} is on while scores are taken")
    alone = torch.cat([case.values(policy, [pair]) for pair in pairs], 1)
    twice = case.values(policy, [pairs[0], pairs[0]])[:, :1]
    noise = 20 * gap(alone[:, :1], twice) if not far(alone[:, :1], twice) else 0.0
    relative = 2e-2 if case.half else 1e-4
    if far(alone, together, relative, 1e-3 + noise):
        _explain(case, alone, together, seen)
    elif seen and not case.has("pairs_mixed"):
        _check_reach(case, few, seen)
        _check_partner(case, few, seen)
    if seen:
        _check_precision(case, seen, few)


def _explain(case: Case, alone: Tensor, together: Tensor, seen) -> None:
    """Why a score depends on the rest of its batch."""
    worst = gap(alone, together)
    here = torch.cdist(together.reshape(-1, 1), alone.reshape(-1, 1))
    moved = here.argmin(1).reshape(together.shape)
    stay = torch.arange(together.numel(), device=moved.device).reshape(together.shape)
    wrong = moved != stay
    if bool((here.amin(1) < 1e-2).all()) and float(wrong.double().mean()) > 0.3:
        s, i = (int(x) for x in wrong.nonzero()[0])
        side, at = divmod(int(moved[s, i]), together.shape[1])
        names = ("chosen", "rejected")
        told = f"in a batch, place {i} of {names[s]} holds the score of pair {at}'s {names[side]}"
        case.add("pairs_mixed", told)
        return
    left = any(s.left_padded for side in seen or [] for s in side)
    told = f"a pair scored alone and beside others differs by {worst:.3g} nats"
    case.add("left_padding" if left else "batch_dependence", told)


def _check_precision(case: Case, seen: list[list[Scored]], few: list[dict]) -> None:
    values = case.values(case.policy, few).cpu()
    exact = torch.tensor([[s.exact for s in side] for side in seen])
    if far(exact, values, 1e-4):
        s, i = divmod(int((exact - values).abs().argmax()), len(few))
        here = f"{float(values[s, i]):.4f} nats, in float64 {float(exact[s, i]):.4f}"
        case.add("precision", f"the score is {here}")


def _check_reach(case: Case, few: list[dict], seen: list[list[Scored]]) -> None:
    """Whether a score's gradient reaches tokens that it must not know: other rows, padding.

    A score may depend on them by less than any tolerance, and a gradient of zero is exact.
    """
    try:
        table = case.policy.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return
    looked_up: list[Tensor] = []

    def keep(module, args, output):
        looked_up.append(output.detach().requires_grad_())
        return looked_up[-1] * 1

    handle = table.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            scores = case.scores(case.policy, few)
    finally:
        handle.remove()
    flat = [s for side in seen for s in side]
    for value, own in zip(scores.reshape(-1), flat, strict=True):
        if not value.requires_grad or len(looked_up) <= own.place[0]:
            return
        share = _forbidden(
            torch.autograd.grad(value, looked_up, retain_graph=True, allow_unused=True), own, flat
        )
        if share > 1e-5:
            told = "a score's gradient reaches tokens of other rows, of padding or of neighbours"
            case.add("batch_dependence", f"{told} ({share:.2g} of the largest)")
            return


def _check_partner(case: Case, few: list[dict], seen: list[list[Scored]]) -> None:
    """Whether a score knows the length of the other response of its pair, in a shared row."""
    if case.has("batch_dependence") or all(c.place != r.place for c, r in zip(*seen, strict=True)):
        return
    for s, other in ((0, "rejected"), (1, "chosen")):
        longest = max((p[other] for p in few), key=len)
        try:
            now = case.values(case.policy, [{**p, other: longest} for p in few])[s]
        except DataError:  # a collate that knows its own rows only
            return
        before = case.values(case.policy, few)[s]
        if far(now, before, 2e-2 if case.half else 1e-4):
            told = (
                f"a score changes by {gap(now, before):.3g} nats with the pair's {other} response"
            )
            case.add("batch_dependence", f"{told}, which shares its row: by its positions or mask")
            return


def _forbidden(grads: tuple, own: Scored, flat: list[Scored]) -> float:
    """The largest gradient where there should be none, as a share of the largest of all."""
    call, b = own.place
    if grads[call] is None or grads[call].dim() != 3 or grads[call].shape[0] <= b:
        return 0.0
    size = grads[call].abs().amax(-1)
    allowed = torch.zeros_like(size, dtype=torch.bool)
    allowed[b] = True
    if own.real is not None and len(own.real) == size.shape[1]:
        allowed[b] = torch.tensor(own.real, device=size.device)
    neighbours = {t for s in flat if s.place == own.place and s is not own for t in s.targets}
    inside = sorted(t for t in neighbours - set(own.targets) if t < size.shape[1])
    allowed[b, inside] = False
    outside = size.masked_fill(allowed, 0.0).max()
    return float(outside / size.max().clamp(min=1e-30))


# ---------------------------------------------------------------- the reference
def check_start(case: Case) -> tuple[Tensor, Tensor]:
    """Policy and reference before the first step, their scores (2, N); they should be equal."""
    pairs = case.pairs
    policy, reference = case.values(case.policy, pairs), case.reference_values(pairs)
    if case.reference is None and case.reference_scores is None:
        return policy, reference
    if case.reference is not None:
        again = case.values(case.reference, pairs)
        if far(reference, again):
            worst = gap(reference, again)
            told = f"the reference scores the same text differently, by {worst:.3g} nats"
            case.add("dropout", told)
        elif _follows(case, lambda: case.values(case.reference, pairs), reference, again):
            _add_shared(case, "the reference's scores change with the policy's weights")
    if case.reference_scores is not None:
        _check_kept(case, reference if case.reference is not None else policy)
        _check_asked_again(case)
    apart = far(policy, reference, 2e-2 if case.half else 1e-3)
    if apart and not case.has("dropout", *SHARED, "reference_rows", "pairs_mixed"):
        told = f"before training, policy and reference differ by {gap(policy, reference):.3g} nats"
        case.add("reference_differs", told, "likely")
    return policy, reference


SHARED = ("reference_is_policy", "adapter_in_reference")


def _add_shared(case: Case, told: str) -> None:
    lora = any("lora_" in name for name, p in case.policy.named_parameters() if p.requires_grad)
    case.add(SHARED[lora], told)


def _check_kept(case: Case, true: Tensor) -> None:
    """The numbers that training uses against the reference's own, row by row, in another order."""
    kept = case.kept_values(case.pairs)
    tolerance = 2e-2 if case.half else 1e-3
    if far(kept, true, tolerance):
        if told := whose_numbers(kept, true, tolerance):
            case.add("reference_rows", f"reference_scores gives {told}")
            return
        worst = gap(kept, true)
        told = f"reference_scores and the reference's own scores differ by {worst:.3g} nats"
        case.add("reference_differs", told)
        return
    turned = case.kept_values(case.pairs[::-1]).flip(1)
    if far(turned, kept, tolerance):
        told = "reference_scores goes by the place in the batch: other pairs get the same numbers"
        case.add("reference_rows", told)


def _check_asked_again(case: Case) -> None:
    """Whether `reference_scores`, where it is no table, asks the policy that is trained."""
    ask = lambda: case.kept_values(case.pairs)
    first, again = ask(), ask()
    if far(again, first):
        told = f"reference_scores gives another number when asked again, by {gap(again, first):.3g}"
        case.add("dropout", told)
    elif _follows(case, ask, first, again):
        _add_shared(case, "what reference_scores gives changes with the policy's weights")


@torch.no_grad()
def _follows(case: Case, ask: Callable[[], Tensor], before: Tensor, again: Tensor) -> bool:
    """Whether the reference's scores change if the policy's trained weights do.

    A frozen base may be shared, as with LoRA, whose new adapters change a score by little.
    """
    trained = [p for p in case.policy.parameters() if p.requires_grad]
    kept = [p.clone() for p in trained]
    for p in trained:
        p.add_(0.01)
    now, noise = ask(), gap(before, again)
    for p, old in zip(trained, kept, strict=True):
        p.copy_(old)
    return not gap(before, now) <= 10 * noise + 1e-4 * float(before.abs().max())


@contextlib.contextmanager
def active_dropout(*models: nn.Module | None) -> Iterator[list[str]]:
    """A list that fills with the dropouts that are on while these models run."""
    active: list[str] = []
    handles = []
    for model in models:
        for name, module in model.named_modules() if model is not None else ():
            rate = max((r for r in _rates(module)), default=0.0)
            if rate > 0:

                def note(m, args, name=name, rate=rate):
                    if m.training and max(_rates(m), default=0.0) > 0:
                        active.append(f"the dropout {name} of {rate:g}")

                handles.append(module.register_forward_pre_hook(note))
    try:
        yield active
    finally:
        for handle in handles:
            handle.remove()


def _rates(module: nn.Module) -> list[float]:
    """The dropout rates of a module, its own or a function's that it calls."""
    names = ("p",) if isinstance(module, nn.modules.dropout._DropoutNd) else ("attention_dropout",)
    values = [getattr(module, name, 0.0) for name in names]
    return [float(v) for v in values if isinstance(v, int | float)]
