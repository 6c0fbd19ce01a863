"""What stands before a response and where they meet: its own prompt alone, and a clean seam."""

import torch

from ..data import DataError
from .case import Case
from .window import SIDES, Row, squeeze, text_of

SHORTEST = 8  # letters of a text that is looked for in front of a response


def plain_prompt(row: Row, j: int) -> str:
    """Pair j's prompt as the tokenizer gives it back, without spaces."""
    text = text_of(row.pairs[j].get("prompt", ""))
    ids = row.tokenizer(text, add_special_tokens=False)["input_ids"]
    return squeeze(row.decode(ids, skip=True))


def wrong_context(row: Row, front: list[int]) -> str | None:
    """What stands in front of a response and is neither its prompt nor a template's text.

    Rows that several responses share are left to the check of what a score depends on.
    """
    if row.neighbours:
        return None
    there, mine = squeeze(row.decode(front, skip=True)), plain_prompt(row, row.i)
    own = _whole_prompt(row)
    more = lambda text: len(text) >= SHORTEST and there.count(text) > own.count(text)
    where = f"before pair {row.i}'s {row.side} response stands"
    for j in sorted(range(len(row.pairs)), key=lambda j: j != row.i):
        for side in SIDES:
            if more(row.text(j, side)):
                return f"{where} pair {j}'s {side} response"
    if mine not in there:
        return None
    others = (j for j in range(len(row.pairs)) if plain_prompt(row, j) not in mine)
    for j in others:
        if more(plain_prompt(row, j)):
            return f"{where} pair {j}'s prompt too"
    return f"{where} its prompt more than once" if own.count(mine) == 1 and more(mine) else None


def _whole_prompt(row: Row) -> str:
    """All turns of its own prompt, earlier answers among them."""
    wanted, given = row.wanted[row.i], row.pairs[row.i].get("prompt", "")
    if wanted:
        return squeeze(row.decode(wanted[0].ids[: wanted[0].prompt_length], skip=True))
    turns = [given] if isinstance(given, str) else [text_of([turn]) for turn in given or []]
    ids = [row.tokenizer(turn, add_special_tokens=False)["input_ids"] for turn in turns]
    return "".join(squeeze(row.decode(part, skip=True)) for part in ids)


def seam(row: Row) -> dict[str, str]:
    """A token at either end of what is scored that two texts became when they were joined."""
    unknown, ids = getattr(row.tokenizer, "unk_token_id", None), row.ids
    targets = [t for t in row.seen.targets if t < len(ids)]
    ends = {row.tokenizer.eos_token_id, row.tokenizer.bos_token_id}
    if not targets or unknown is None or unknown in ends:
        return {}
    body, first, last = row.body(row.i, row.side), min(targets), max(targets)
    told = f"of the {row.side} response and what stands {{}} it one unknown token is made"
    joined = ", as if they were joined without a space"
    if body[:1] != (unknown,) and unknown in ids[max(first - 1, 0) : first + 1]:
        return {"unknown_tokens": told.format("before") + joined}
    if body[-1:] != (unknown,) and unknown in ids[last : last + 2]:
        return {"unknown_tokens": told.format("behind") + joined}
    return {}


def merged(row: Row, first: int) -> str | None:
    """The token at the seam if it covers the prompt's end and the response's beginning."""
    text, piece = row.text(row.i, row.side), row.pieces[first]
    rest = "".join(row.pieces[first + 1 :])
    for k in range(1, len(piece)):
        if (piece[k:] + rest).startswith(text) and not (piece + rest).startswith(text):
            token = row.decode([row.ids[first]])
            return (
                f"the token {token!r} is the prompt's end and the {row.side} response's beginning"
            )
    return None


def visible(case: Case, pairs: list[dict], rows: list[Row]) -> list[set[int] | None]:
    """The places of its row that each score knows, by its gradient; None where it can't be told."""
    looked_up: list[torch.Tensor] = []

    def keep(module, args, output):
        looked_up.append(output.detach().requires_grad_())
        return looked_up[-1] * 1

    try:
        handle = case.policy.get_input_embeddings().register_forward_hook(keep)
    except (AttributeError, NotImplementedError):
        return [None] * len(rows)
    try:
        with torch.enable_grad():
            scores = case.scores(case.policy, pairs).reshape(-1)
    except DataError:
        return [None] * len(rows)
    finally:
        handle.remove()
    return [_reached(value, looked_up, row) for value, row in zip(scores, rows, strict=True)]


def _reached(value: torch.Tensor, looked_up: list[torch.Tensor], row: Row) -> set[int] | None:
    call, b = row.seen.place
    fits = len(looked_up) > call and looked_up[call].dim() == 3 and len(looked_up[call]) > b
    if not fits or looked_up[call].shape[1] not in (len(row.ids), len(row.ids) - 1):
        return None
    (grad,) = torch.autograd.grad(value, looked_up[call], retain_graph=True, allow_unused=True)
    if grad is None:
        return None
    return set((grad[b].abs().amax(-1) > 0).nonzero().flatten().tolist())
