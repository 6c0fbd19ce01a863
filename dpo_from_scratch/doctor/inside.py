"""Which tokens a score counts, found from outside: by the gradient with respect to the logits.

The logits of the model are replaced by known ones, the same at every position. The gradient of a
score then says which tokens it counts, at which position, how much, and whether it is a log-softmax
at all: that of log p(y) is 1 at y minus the probabilities p.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..data import DataError
from ..others import guarded
from .heads import Trunk, standing
from .places import likely_rows, offset_of, place_of, settled


@dataclass
class Scored:
    """The tokens that one response's score counts, and the row that they stand in."""

    labels: list[int]
    weights: list[float]
    padding: list[bool]
    row: list[int]  # the real tokens of the row
    shifted: bool  # each target is the token after the position that predicts it
    exact: float  # the same sum from the model's own logits, in float64
    left_padded: bool  # and without position ids
    ids: list[int]  # the whole row
    real: list[bool] | None  # which of them are no padding; None where the mask has another shape
    targets: list[int]  # where the labels stand in `ids`; at offset 1 unless responses share a row
    offset: int | None  # label = ids[position + offset]; None if at no offset
    misfit: float  # 0: the gradient of a log-softmax; 1: nothing like it
    given: float  # the score of the known logits
    expected: float  # the weighted sum of log-probabilities, from the known logits
    elsewhere: float  # the share of the gradient that lies in other rows
    place: tuple[int, int]  # which forward pass, and which row of it
    half: bool  # the model's logits are in half precision
    gathered: bool  # its logits were taken at some places only, which can't be told


def scored_tokens(score: Callable, policy: nn.Module, batch) -> list[Scored]:
    """What `score` counts for the first chosen and the first rejected response of a batch.

    DataError if it reads no logits.
    """
    return [side[0] for side in scored_rows(score, policy, batch)]


def scored_rows(score: Callable, policy: nn.Module, batch) -> list[list[Scored]]:
    """What `score` counts for each response of a batch: the chosen ones, and the rejected ones.

    DataError if it reads no logits.
    """
    seen = []
    for place in _places(score, policy, batch):
        calls, scores = _with_known_logits(score, policy, batch, place)
        flat = [call["known"] for call in calls]
        if not calls or not all(s.requires_grad for s in scores):
            continue
        found = []
        for side in scores:
            grads = [
                torch.autograd.grad(s, flat, retain_graph=True, allow_unused=True) for s in side
            ]
            start = sum(map(len, found))
            found.append(
                [
                    _read(calls, g, float(s.detach()), start + k)
                    for k, (g, s) in enumerate(zip(grads, side, strict=True))
                ]
            )
        if any(seen.labels for side in found for seen in side):
            seen.append(settled(found))
            if max(s.misfit for side in found for s in side) < 0.05:
                return seen[-1]
    if seen:  # the outermost, where no place fits a log-softmax
        return seen[0]
    why = "the score doesn't come from the logits of the policy's own forward with gradients"
    raise DataError(f"{why}: can't look inside")


def _places(score: Callable, policy: nn.Module, batch) -> list[nn.Module]:
    """Modules whose output holds logits, the outermost first."""
    seen: dict[nn.Module, int] = {}
    sizes = _vocabulary(policy)

    def note(module, args, output):
        logits = _logits(output, sizes)
        if logits is not None:
            seen[module] = logits.shape[-2]

    handles = [m.register_forward_hook(note) for m in policy.modules()]
    try:
        with torch.no_grad():
            guarded("your score", score, policy, batch, seconds=3600.0)
    finally:
        for handle in handles:
            handle.remove()
    inner = (m for m in policy.modules() if m in seen)
    # what cuts the row comes later, as a wrapper may, and what is tied to the head last
    short = lambda m: seen[m] < max(seen.values())
    return sorted(inner, key=lambda m: (isinstance(m, nn.Embedding), short(m)))


def _vocabulary(policy: nn.Module) -> set[int]:
    """How wide logits may be: as the table of tokens, or as the last layer."""
    sizes = {getattr(getattr(policy, "config", None), "vocab_size", None)}
    for get in ("get_input_embeddings", "get_output_embeddings"):
        try:
            sizes.add(getattr(policy, get)().weight.shape[0])
        except (AttributeError, NotImplementedError):
            continue
    tables = [m.num_embeddings for m in policy.modules() if isinstance(m, nn.Embedding)]
    return {size for size in sizes if size} or set(tables)


def _logits(output, sizes: set[int]) -> Tensor | None:
    if isinstance(output, Tensor):
        fits = output.dim() >= 2 and output.is_floating_point() and output.shape[-1] in sizes
        return output if fits else None
    if isinstance(getattr(output, "logits", None), Tensor):
        return output.logits
    if isinstance(output, tuple) and output:
        return _logits(output[0], sizes)
    return None


def _with_known_logits(score, policy: nn.Module, batch, place: nn.Module) -> tuple[list, list]:
    """The calls of the model, and the scores (chosen, rejected), with known logits in place."""
    calls: list[dict] = []
    looked_up: list[Tensor] = []
    sizes = _vocabulary(policy)

    def replace(module, args, kwargs, output):
        real = _logits(output, sizes)
        if real is None:
            return None
        call = _inputs(args, kwargs, looked_up) | {"real": real.detach()}
        call |= trunk.fed(args[0] if args else None)
        z = known_logits(real.shape[-1]).to(real.device)
        call["known"] = z.expand(real.shape).clone().requires_grad_()
        calls.append(call)
        new = call["known"] * 1  # not a leaf, so that code may work on it in place
        if isinstance(output, Tensor):
            return new
        if isinstance(output, tuple) and not hasattr(output, "logits"):
            return (new, *output[1:])
        output.logits = new
        return output

    trunk = Trunk(policy, place, looked_up)
    handles = [*trunk.handles, place.register_forward_hook(replace, with_kwargs=True)]
    try:
        table = policy.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        table = next((m for m in policy.modules() if isinstance(m, nn.Embedding)), None)
    if table is not None:
        handles.append(table.register_forward_pre_hook(lambda m, a: looked_up.append(a[0])))
    try:
        with torch.enable_grad():
            sides = guarded("your score", score, policy, batch, seconds=3600.0)
            return calls, [side.reshape(-1) for side in sides]
    finally:
        for handle in handles:
            handle.remove()


def known_logits(size: int) -> Tensor:
    """Logits that stand in for the model's, (V,): the same at every position."""
    return 2.0 * torch.randn(size, generator=torch.Generator().manual_seed(0))


def _inputs(args: tuple, kwargs: dict, looked_up: list[Tensor]) -> dict:
    """Token ids (B, T), what is real of them (B, T) or None, and whether positions were given."""
    whole = lambda x: isinstance(x, Tensor) and not x.is_floating_point() and x.dim() in (1, 2)
    ids = kwargs.get("input_ids", args[0] if args else None)
    if not whole(ids):
        ids = looked_up[-1]
    ids = ids.detach().reshape(-1, ids.shape[-1])
    mask = kwargs.get("attention_mask", args[1] if len(args) > 1 else None)
    plain = isinstance(mask, Tensor) and mask.shape == ids.shape
    return {
        "ids": ids,
        "mask": mask.detach() != 0 if plain else None,
        "positions": kwargs.get("position_ids") is not None,
        "goes_on": kwargs.get("past_key_values") is not None,
    }


def _read(calls: list[dict], grads: tuple, given: float, k: int) -> Scored:
    """What a gradient with respect to the logits of all calls says of score k, in its row."""
    rows = [_by_rows(call, g) for call, g in zip(calls, grads, strict=True)]
    size = torch.stack([g.abs().sum().cpu() for g in rows])
    which = int(size.argmax())
    b = int(rows[which].abs().sum((1, 2)).argmax())
    elsewhere = 1 - float(rows[which][b].abs().sum()) / max(float(size.sum()), 1e-30)
    call = calls[which]
    ids, logits, g, real = _whole_row(calls, rows, which, b)
    at = g.abs().amax(-1).nonzero().squeeze(-1)
    labels = g[at].abs().argmax(-1)
    logp = call["known"].detach().reshape(-1, g.shape[-1])[0].double().log_softmax(-1)
    weights = g[at, labels] / -torch.expm1(logp[labels])
    misfit = _misfit(g[at], labels, weights, logp)
    for plain in (1.0, 1 / max(len(at), 1)):  # what bf16 rounded on the way back
        weights = torch.where((weights / plain - 1).abs() < 0.01, plain, weights)
    own = logits[at].log_softmax(-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    sums = float((weights * own).sum()), float((weights * logp[labels]).sum())
    gathered = ids is None and "where" not in call  # logits of some places only, of many rows
    if "where" in call:
        b, at = standing(call["where"], b * len(logits) + at, likely_rows(k, len(call["ids"])))
        ids, real = call["ids"][b], None
    elif gathered:
        b, at = place_of(labels.tolist(), call["ids"].tolist(), k)
        ids, at = call["ids"][b], torch.tensor(at, device=labels.device, dtype=torch.long)
        real = None if call["mask"] is None else call["mask"][b]
    else:
        at = at + len(ids) - len(logits)  # where logits were kept for the last positions only
    left = real is not None and not bool(real[0]) and not call["positions"]
    rest = {"misfit": misfit, "given": given, "elsewhere": elsewhere, "left_padded": left}
    rest |= {"exact": sums[0], "expected": sums[1], "place": (which, b), "gathered": gathered}
    rest["half"] = call["real"].dtype in (torch.bfloat16, torch.float16)
    return _scored(ids, real, at, labels, weights, rest)


def _by_rows(call: dict, g: Tensor | None) -> Tensor:
    """A gradient as (rows, places, vocabulary)."""
    g = torch.zeros_like(call["known"]) if g is None else g.detach()
    return g.reshape(-1, *g.shape[-2:])


def _whole_row(calls: list[dict], rows: list[Tensor], which: int, b: int) -> tuple:
    """(ids, logits, gradient, mask) of a row, with what was kept of it from earlier calls in front.

    ids are None where the logits are not those of the ends of the rows.
    """
    call, g = calls[which], rows[which]
    logits = call["real"].reshape(g.shape)[b].double()
    fits = call["real"].dim() > 2 and call["ids"].shape[0] == g.shape[0]
    if not fits and call["ids"].shape[0] != 1:
        return None, logits, g[b].double(), None
    ids = call["ids"][min(b, len(call["ids"]) - 1)]
    mask = None if call["mask"] is None else call["mask"][min(b, len(call["mask"]) - 1)]
    if not call["goes_on"] or which == 0:
        return ids, logits, g[b].double(), mask
    before = rows[which - 1]
    size = before.abs().sum((1, 2))
    row = int(size.argmax()) if float(size.max()) > 0 else b % len(before)
    front = _whole_row(calls, rows, which - 1, row)
    if front[0] is None:
        return ids, logits, g[b].double(), mask
    joined = [torch.cat([x, y]) for x, y in zip(front[:3], (ids, logits, g[b]), strict=True)]
    return *joined, None


def _scored(ids: Tensor, real: Tensor | None, at, labels, weights, rest: dict) -> Scored:
    offset = offset_of(at.tolist(), labels.tolist(), ids.tolist())
    flags = torch.ones_like(ids, dtype=torch.bool) if real is None else real
    padding = ~flags[(at if offset == 0 else at + 1).clamp(max=len(ids) - 1)]
    return Scored(
        labels=labels.tolist(),
        weights=weights.tolist(),
        padding=padding.tolist(),
        row=ids[flags].tolist(),
        shifted=offset in (1, None),
        ids=ids.tolist(),
        real=None if real is None else real.tolist(),
        targets=(at + 1).tolist(),
        offset=offset,
        **rest,
    )


def _misfit(g: Tensor, labels: Tensor, weights: Tensor, logp: Tensor) -> float:
    """How far a gradient is from weight * (1 at the label - p), at all other entries."""
    if not len(labels):
        return 0.0
    want = -weights.unsqueeze(-1) * logp.exp()
    rest = torch.ones_like(g).scatter_(-1, labels.unsqueeze(-1), 0.0)
    return float(((g - want) * rest).norm() / (want * rest).norm().clamp(min=1e-30))
