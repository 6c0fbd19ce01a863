"""Whether the reference's numbers belong to other rows than they are used for: any arrangement."""

import itertools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .case import far

MOST = 8  # pairs of which all orders are tried, 40,320


def rearranged(scores: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Ways in which the reference's numbers (2, N) may belong to other rows, each said."""
    n = scores.shape[1]
    yield "chosen and rejected exchanged", scores.flip(0)
    for by in range(1, n):
        yield f"the numbers of the pair {by} places on", scores.roll(by, 1)
    if n > 2:
        yield "the numbers in reverse order", scores.flip(1)
        yield "the numbers sorted, not in the order of the rows", scores.sort(1).values
        down = scores.sort(1, descending=True).values
        yield "the numbers sorted, not in the order of the rows", down
    yield "the first pair's numbers for all", scores[:, :1].expand(2, n)
    yield "one mean for all pairs", scores.mean(1, keepdim=True).expand(2, n)
    yield "the chosen side's numbers for both sides", scores[:1].expand(2, n)
    yield "the rejected side's numbers for both sides", scores[1:].expand(2, n)
    yield "only the chosen side's numbers", scores * scores.new_tensor([[1.0], [0.0]])
    yield "only the rejected side's numbers", scores * scores.new_tensor([[0.0], [1.0]])
    yield "chosen side rolled against the rejected one", torch.stack([scores[0].roll(1), scores[1]])


def whose_numbers(kept: Tensor, true: Tensor, tolerance: float) -> str | None:
    """What kept numbers (2, N) are, if all of them are the reference's own, of other rows."""
    for told, other in rearranged(true):
        if not far(kept, other, tolerance):
            return told
    apart = (kept.reshape(-1, 1) - true.reshape(1, -1)).abs()  # each number against all of them
    nearest, which = apart.min(1)
    own = apart.diagonal()
    wrong = own > 0.05 + tolerance * true.reshape(-1).abs()
    lost = nearest > (1e-3 + tolerance * kept.reshape(-1).abs()).clamp(max=0.05)
    if int(wrong.sum()) < 2 or bool((lost & wrong).any()) or bool((own / 5 < nearest)[wrong].any()):
        return None
    n, k = kept.shape[1], int(wrong.nonzero()[0])
    (side, i), (other, j) = divmod(k, n), divmod(int(which[k]), n)
    names = ("chosen", "rejected")
    told = f"the numbers of other rows, for pair {i}'s {names[side]} response"
    return f"{told} those of pair {j}'s {names[other]} one"


def order_of_pushes(
    pushes: Callable[[Tensor, Tensor], Tensor],
    seen: Tensor,
    policy: Tensor,
    reference: Tensor,
    sides: list[int],
) -> list[int] | None:
    """The order of the reference's rows, on some sides, that explains the pushes (2, N) best.

    `pushes(policy, reference)` gives those of pairs, each by itself.
    """
    n = seen.shape[1]
    if n > MOST or n < 3:
        return None
    used = reference.repeat_interleave(n, 1)
    used[sides] = reference.repeat(1, n)[sides]
    every = pushes(policy.repeat_interleave(n, 1), used).reshape(2, n, n)
    if not bool(every.isfinite().all()):
        return None
    orders = torch.tensor(list(itertools.permutations(range(n))))
    cost = lambda scale: ((seen[:, :, None] - scale * every) ** 2).sum(0)
    # of a mean over the batch, or of a sum
    totals = [cost(scale)[torch.arange(n), orders].sum(1) for scale in (1 / n, 1.0)]
    best = min(totals, key=lambda total: float(total.min()))
    return orders[int(best.argmin())].tolist()
