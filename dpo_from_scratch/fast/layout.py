"""How a batch lies in memory: a prompt once for all its responses, groups side by side in rows.

A group is a prompt and what follows it: prompt, response 1, response 2, ... A response sees its
prompt and itself, and its positions go on where the prompt ends, so nothing in it can tell that
others lie beside it (prefix sharing, arXiv 2410.20305).
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from .head import body_of

FIRST = "the first token of a row can't be scored: nothing comes before it"


@dataclass
class Tail:
    """What follows a prompt in one text, as far as something scored depends on it."""

    text: int  # which of the batch
    ids: np.ndarray
    before: np.ndarray  # of each scored token the place before it in `ids`; -1: the prompt's last
    labels: np.ndarray  # the scored tokens


@dataclass
class Group:
    """A prompt and the texts that begin with it."""

    prompt: np.ndarray
    tails: list[Tail] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.prompt) + sum(len(tail.ids) for tail in self.tails)


@dataclass
class Layout:
    """A batch as R rows of W tokens, and where its N scored tokens are predicted."""

    input_ids: Tensor  # (R, W)
    position_ids: Tensor  # (R, W)
    sees: Tensor  # (R, W, W) bool: the token of the second axis looks at that of the third
    places: Tensor  # (N,) the token that predicts a scored one, in the rows laid end to end
    labels: Tensor  # (N,) the scored tokens
    texts: Tensor  # (N,) to which text each belongs
    tokens: int  # places that are not padding

    @property
    def padding(self) -> float:
        """The share of places that hold no token."""
        return 1 - self.tokens / self.input_ids.numel()


def lay_out(
    input_ids: Tensor,
    attention_mask: Tensor,
    response_mask: Tensor,
    share: bool = True,
    pack: bool = True,
    reach: float = 1000.0,
) -> Layout:
    """The layout of a batch as `tokens.collate` makes it, on the device of `input_ids`.

    With `share` texts that begin with the same prompt are one group; with `pack` several groups
    lie in a row. Rows are as wide as is cheapest where attention over `reach` tokens costs as much
    as all else. A text's last scored token is predicted and never read, so it takes no place.
    ValueError where a text's first token or its padding is scored, or none of any text.
    """
    columns = (t.cpu().numpy() for t in (input_ids, attention_mask != 0, response_mask))
    texts = [_split(i, *row) for i, row in enumerate(zip(*columns, strict=True)) if row[2].any()]
    if not texts:
        raise ValueError("no token of the batch is scored")
    found: dict[object, Group] = {}
    for prompt, tail in texts:
        key = prompt.tobytes() if share else tail.text
        found.setdefault(key, Group(prompt)).tails.append(tail)
    groups = [part for group in found.values() for part in halved(group, reach)]
    rows = packed(groups, reach) if pack else [[g] for g in groups]
    return _filled(rows, input_ids.device)


def _split(text: int, ids: np.ndarray, real: np.ndarray, scored: np.ndarray):
    """A text as prompt and tail: everything before its first scored token, and what is read after.

    ValueError if there is nothing before it, or if padding is scored.
    """
    if scored[~real].any():
        raise ValueError("padding can't be scored")
    ids, (at,) = ids[real], scored[real].nonzero()
    if at[0] == 0:
        raise ValueError(FIRST)
    first, last = at[0], at[-1]
    return ids[:first], Tail(text, ids[first:last], at - 1 - first, ids[at])


def halved(group: Group, reach: float) -> list[Group]:
    """The group, cut in two as long as that is cheaper: every token looks along its whole row.

    W tokens in a row cost W (reach + W). Two halves read the prompt twice, and look less far.
    """
    cost = lambda g: len(g) * (reach + len(g))
    middle = len(group.tails) // 2
    parts = [Group(group.prompt, tails) for tails in (group.tails[:middle], group.tails[middle:])]
    if middle == 0 or sum(map(cost, parts)) >= cost(group):
        return [group]
    return [small for part in parts for small in halved(part, reach)]


def packed(groups: list[Group], reach: float) -> list[list[Group]]:
    """The groups in as many rows as cost least: W tokens a row cost W (reach + W).

    For each number of rows the longest group goes first, and always to the emptiest row.
    """
    ordered, best, least = sorted(groups, key=len, reverse=True), [], float("inf")
    for number in range(1, len(groups) + 1):
        rows: list[list[Group]] = [[] for _ in range(number)]
        filled = [0] * number
        for group in ordered:
            emptiest = filled.index(min(filled))
            rows[emptiest].append(group)
            filled[emptiest] += len(group)
        width = max(filled)
        if (cost := number * width * (reach + width)) < least:
            best, least = rows, cost
        if width == len(ordered[0]):
            break  # more rows would only be emptier
    return best


def _filled(rows: list[list[Group]], device: torch.device) -> Layout:
    width = max(sum(map(len, row)) for row in rows)
    shape = (len(rows), width)
    ids, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    group_of, part_of = np.full(shape, -1), np.zeros(shape, np.int64)
    places, labels, texts = [], [], []
    for r, row in enumerate(rows):
        at = 0
        for number, group in enumerate(row):
            start, length = at, len(group.prompt)
            for part, piece in enumerate([group.prompt, *(tail.ids for tail in group.tails)]):
                here = slice(at, at + len(piece))
                ids[r, here], part_of[r, here], group_of[r, here] = piece, part, number
                positions[r, here] = np.arange(len(piece)) + (length if part else 0)
                if part:
                    tail = group.tails[part - 1]
                    before = np.where(tail.before < 0, start + length - 1, at + tail.before)
                    places.append(r * width + before)
                    labels.append(tail.labels)
                    texts.append(np.full(len(before), tail.text))
                at += len(piece)
    on = lambda array: torch.from_numpy(array).to(device)
    return Layout(
        on(ids),
        on(positions),
        seen(on(group_of), on(part_of)),
        *(on(np.concatenate(found)) for found in (places, labels, texts)),
        int((group_of >= 0).sum()),
    )


def seen(group: Tensor, part: Tensor) -> Tensor:
    """Who looks at whom, (R, W, W) bool, from each token's group and part, (R, W).

    At what is not later, of the same group, in the prompt (part 0) or the same response. Padding is
    a group of its own (-1), so every row of the attention has something to look at.
    """
    same = group.unsqueeze(2) == group.unsqueeze(1)
    own = (part.unsqueeze(1) == 0) | (part.unsqueeze(2) == part.unsqueeze(1))
    return (same & own).tril()


def reach_of(model: torch.nn.Module) -> float:
    """The tokens over which a layer's attention costs as much as its matrices: P / 4d.

    P weights of a layer, d its width: 2 P operations a token beside 4 d for each token looked at,
    and attention makes them at about half the speed.
    """
    config, words = model.config.get_text_config(), model.get_input_embeddings()
    inner = sum(p.numel() for p in body_of(model).parameters()) - words.weight.numel()
    return inner / (config.num_hidden_layers * 4 * config.hidden_size)
