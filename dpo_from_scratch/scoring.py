"""Log-probabilities of many responses, in batches on the model's device."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from .data import DataError
from .models import Scorer, device_of
from .tokens import Example, collate

BLOCK = 2**16


@torch.no_grad()
def score_examples(
    scorer: nn.Module,
    examples: list[Example],
    pad: int,
    batch_size: int = 64,
    progress: bool = False,
    most: Callable[[int], int] | None = None,
) -> Tensor:
    """log pi(y|x) of N examples, shape (N,), on the CPU, in the order given.

    Batches hold responses of like length, and at most 4,096 tokens. Those of one prompt stay
    together where the scorer reads it once for all of them. `most`, told how many batches there
    are, says how many calls must be made: the last is then repeated.
    """
    order = _by_length(examples, getattr(scorer, "shares", False))
    parts, out = list(_cut(order, examples, batch_size)), {}
    parts += parts[-1:] * (most(len(parts)) - len(parts) if most else 0)
    bar = tqdm(total=len(order), desc="scoring", disable=not progress, leave=False)
    for part in parts:
        batch = collate([examples[i] for i in part], pad, device=device_of(scorer))
        out |= dict(zip(part, scorer(**batch).cpu(), strict=True))
        bar.update(len(part))
    bar.close()
    return torch.stack([out[i] for i in range(len(examples))])


def _cut(order: list[int], examples: list[Example], most: int) -> Iterator[list[int]]:
    """The numbers in parts of at most so many, and of at most 4,096 tokens; longest first."""
    at = 0
    while at < len(order):
        size = max(1, min(most, 4096 // len(examples[order[at]].ids)))
        yield order[at : at + size]
        at += size


def _by_length(examples: list[Example], shares: bool) -> list[int]:
    """Numbers of the examples, longest first; with `shares` those of a prompt are neighbours."""
    length = lambda i: len(examples[i].ids)
    units: dict[object, list[int]] = {}
    for i in sorted(range(len(examples)), key=length, reverse=True):
        units.setdefault(examples[i].ids[: examples[i].prompt_length] if shares else i, []).append(
            i
        )
    return [i for unit in units.values() for i in unit]


def score_pairs(
    scorer: nn.Module, pairs: Iterable[tuple[Example, ...]], pad: int, progress: bool = False
) -> Tensor:
    """log pi(y|x) of N pairs, (N, 2): chosen, rejected; of rows with one response each, (N, 1).

    DataError where one of them is nan or inf. `BLOCK` pairs at most are in memory at a time.
    """
    out, rest = [], iter(pairs)
    while part := list(islice(rest, BLOCK)):
        flat = [example for pair in part for example in pair]
        found = finite(score_examples(scorer, flat, pad, progress=progress))
        out.append(found.view(len(part), -1))
    return torch.cat(out)


def finite(scores: Tensor) -> Tensor:
    """The scores; DataError if one of them is not a number that can be compared."""
    bad = (~scores.isfinite()).nonzero()
    if len(bad):
        which, why = f"response {int(bad[0, 0]) + 1} of {len(scores)}", "its weights are damaged"
        found = float(scores[bad[0, 0]])
        raise DataError(f"the model gives {which} a log-probability of {found}: {why}")
    return scores


def log_ratios(
    policy: nn.Module, reference: nn.Module, examples: list[Example], pad: int
) -> np.ndarray:
    """rho = log pi(y|x) - log pi_ref(y|x), shape (N,), nats, no beta."""
    if policy is reference:
        return np.zeros(len(examples))
    scores = [
        finite(score_examples(Scorer(m), examples, pad)).double().numpy()
        for m in (policy, reference)
    ]
    return scores[0] - scores[1]


def pair_log_ratios(
    policy: nn.Module, reference: nn.Module, pairs: list[tuple[Example, ...]], pad: int
) -> np.ndarray:
    """rho of the two responses of N pairs, (N, 2); times beta it is the implicit reward."""
    if policy is reference:
        return np.zeros((len(pairs), 2))
    scores = [score_pairs(Scorer(m), pairs, pad).double().numpy() for m in (policy, reference)]
    return scores[0] - scores[1]
