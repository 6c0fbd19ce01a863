"""06.3: the gradient of a batch from its parts, and what it becomes with a mistake."""

from collections.abc import Callable
from functools import cache
from itertools import accumulate, chain, pairwise

import torch
from torch import Tensor, nn

from . import loops, values
from .ch06_loss import LOSS_SLIPS, pair_losses
from .functions import Function
from .verdicts import Verdict, wrong
from .worked import Lazy

BETA = 0.6


def part_cases() -> list[dict]:
    """Parts of different sizes."""
    cuts = ([0, 2, 3], [3, 4, 7], [7, 8, 9, 11])
    case = lambda c: [loops.batch_of(a, b) for a, b in pairwise(c)]
    return [{"policy": loops.moved(), "parts": case(c)} for c in cuts]


CASES = Lazy(part_cases)


def of_part(policy: nn.Module, part: tuple, slip: str) -> Tensor:
    """The gradient of the sum of a part's losses, all weights in one vector."""
    batch, *kept = part
    loss = pair_losses(policy, batch, kept, BETA, slip)[0].sum()
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(policy.parameters()))])


@cache
def of_parts(at: int, slip: str) -> list[Tensor]:
    """The same of all parts of a case, with a mistake in the loss."""
    case = CASES[at]
    return [of_part(case["policy"], part, slip) for part in case["parts"]]


def gradient(policy: nn.Module, parts: list) -> Tensor:
    """The gradient of the whole batch's mean loss, (weights,), from its parts."""
    size = sum(len(chosen) for _, chosen, _ in parts)
    return sum(of_part(policy, part, "") for part in parts) / size


def short(v: Tensor) -> Tensor:
    """Clipped to length 1."""
    return v / max(1.0, float(v.norm()))


def clipped(parts: list[Tensor]) -> Tensor:
    """Clipped after each part, the earlier ones included."""
    total = torch.zeros_like(parts[0])
    for part in parts:
        total = short(total + part)
    return total


def over(*by: float):
    """Each part's sum divided by a number of its own, added up."""
    return lambda sums: sum(g / b for g, b in zip(sums, by, strict=True))


def divisors(sizes: list[int], tokens: list[int]) -> list[tuple[str, list[float]]]:
    """(why, what each part's sum is divided by)."""
    n, k = sum(sizes), len(sizes)
    alike = [
        ("nothing is divided: that is the gradient of the sum over all pairs.", 1),
        ("the sums are divided by the number of parts; it is a mean over pairs.", k),
        ("divided by N - 1; a mean over N pairs divides by N.", n - 1),
        ("divided by the number of texts; the mean is over pairs.", 2 * n),
        ("all parts are taken to be as large as the first.", sizes[0] * k),
        ("all parts are divided by the first one's pairs.", sizes[0]),
        ("all parts are taken to be as large as the last.", sizes[-1] * k),
        ("all parts are divided by the last one's pairs.", sizes[-1]),
        ("all parts are taken to be as large as the largest.", max(sizes) * k),
        ("all parts are divided by the largest one's pairs.", max(sizes)),
        ("divided by 32, whatever the number of pairs.", 32),
        ("divided by 64, whatever the number of pairs.", 64),
        ("divided twice: by the number of pairs, and by the number of parts.", n * k),
        ("divided twice by the number of pairs.", n * n),
        ("multiplied by the number of parts: all of them together hold N pairs.", n / k),
        ("divided by all scored tokens; the mean is over pairs.", sum(tokens)),
    ]
    each = [
        ("each part counts the same; but a small part holds fewer pairs.", [s * k for s in sizes]),
        ("the parts' means are added up, and divided by nothing: their number counts too.", sizes),
        ("each part is divided by its texts; the mean is over all pairs.", [2 * s for s in sizes]),
        ("each part's mean is over its texts, and each counts the same.",
         [2 * s * k for s in sizes]),
        ("each part is divided by the pairs seen so far; divide by all.", accumulate(sizes)),
        ("divided twice: by the number of pairs, and by the size of the part.",
         [n * s for s in sizes]),
        ("a part's pairs count twice: in its sum, and as a factor.", [n / s for s in sizes]),
        ("a part's pairs count twice: in its sum, and as a factor.", [n * k / s for s in sizes]),
        ("each part is divided by its scored tokens; the mean is over pairs.", tokens),
        ("each part is divided by its scored tokens; the mean is over pairs.",
         [t * k for t in tokens]),
        ("each part is divided by its place; the mean is over pairs.", range(1, k + 1)),
    ]  # fmt: skip
    return [*each, *((why, [by] * k) for why, by in alike)]


LOST = "only the last part is there: something empties the gradients between the parts."
FIRST = "only the first part is there: does `return` stand inside the loop?"
AGAIN = "earlier parts are counted again: a running sum, of losses or of gradients, is added up."
AS_IT_COMES = "asked is the gradient as it comes."


def rules(sizes: list[int], tokens: list[int]) -> list[tuple[str, Callable]]:
    """(why, what is done with the parts' sums); the first is right."""
    n, k = sum(sizes), len(sizes)
    means = lambda sums: [g / s for g, s in zip(sums, sizes, strict=True)]
    some = [(LOST, -1, b) for b in (n, 1, k, sizes[-1], sizes[-1] * k, 2 * n)]
    some += [(FIRST, 0, b) for b in (n, 1, k, sizes[0], sizes[0] * k)]
    return [
        ("", over(*[n] * k)),
        *((why, over(*by)) for why, by in divisors(sizes, tokens)),
        *((why, lambda g, i=i, b=b: g[i] / b) for why, i, b in some),
        (AGAIN, lambda g: sum(accumulate(g)) / n),
        (AGAIN, lambda g: sum(accumulate(g))),
        (AGAIN, lambda g: sum(accumulate(means(g)))),
        (AGAIN, lambda g: sum(accumulate(means(g))) / k),
        (f"it is clipped to length 1; {AS_IT_COMES}", lambda g: short(sum(g) / n)),
        (f"it is clipped after each part; {AS_IT_COMES}", lambda g: clipped([x / n for x in g])),
        (f"each part is clipped; {AS_IT_COMES}", lambda g: sum(short(x / n) for x in g)),
        (f"it is scaled to length 1; {AS_IT_COMES}", lambda g: sum(g) / sum(g).norm()),
        ("the parts' means are clipped, and it isn't divided by all pairs.",
         lambda g: clipped(means(g))),
        ("nothing is divided, and it is clipped to length 1.", lambda g: short(sum(g))),
        ("nothing is divided, and it is clipped after each part.", clipped),
        ("the gradient has lost its signs.", lambda g: (sum(g) / n).abs()),
        ("the sign is turned.", lambda g: -sum(g) / n),
    ]  # fmt: skip


@cache
def rules_of(at: int) -> list[tuple[str, Callable]]:
    """The rules for the parts of a case."""
    parts = CASES[at]["parts"]
    tokens = [int(batch["response_mask"].sum()) for batch, *_ in parts]
    return rules([len(chosen) for _, chosen, _ in parts], tokens)


class Parts(Function):
    """The mistakes are looked for in the first case, and must then explain the others."""

    def verdict(self, gave: list, answers: list, ask: Callable) -> Verdict:
        """A mistake in what is done with the parts, or in the loss; then one in each."""
        found = [torch.as_tensor(values.numbers(g)).flatten() for g in gave]
        alone = [("", i) for i in range(1, len(rules_of(0)))]
        alone += [(slip, 0) for slip in LOSS_SLIPS]
        both = ((slip, i) for slip in LOSS_SLIPS for i in range(1, len(rules_of(0))))
        most = lambda one: max(self.apart(at, f, *one) for at, f in enumerate(found))
        alone.sort(key=lambda one: round(most(one), 5))  # the nearest, as two may be much alike
        for slip, rule in chain(alone, both):
            if all(self.apart(at, f, slip, rule) <= 1e-3 for at, f in enumerate(found)):
                whys = [w for w in (LOSS_SLIPS.get(slip), rules_of(0)[rule][0]) if w]
                both_of = "two things. First: {} Second: {}"
                return wrong(whys[0] if len(whys) == 1 else both_of.format(*whys))
        return super().verdict(gave, answers, ask)

    def apart(self, at: int, found: Tensor, slip: str, rule: int) -> float:
        """How far a case's gradient is from that of a mistake in the loss, and a rule."""
        known = rules_of(at)[rule][1](of_parts(at, slip))
        return float((found - known).norm() / known.norm())


PARTS = Parts(
    gradient,
    CASES,
    shows="Any batch can be had from small parts, divided by the size of the whole.",
    rtol=2e-3,
    atol=2e-5,
    common=False,
)
