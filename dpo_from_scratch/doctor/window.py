"""Where a response lies in its row of token ids."""

from dataclasses import replace
from functools import cached_property

from .inside import Scored

SIDES = ("chosen", "rejected")


def squeeze(text: str) -> str:
    """A text without its spaces."""
    return "".join(text.split())


def text_of(value) -> str:
    """The text of a response or prompt: messages give their last one's."""
    if isinstance(value, str):
        return value
    content = value[-1].get("content") if value else ""
    return content if isinstance(content, str) else str(content or "")


class Row:
    """One response's score: the row of ids, which of them count, and which should."""

    def __init__(self, tokenizer, seen: Scored, side: str, pairs: list[dict], wanted: list, i: int):
        self.tokenizer, self.seen, self.side, self.i = tokenizer, seen, side, i
        self.pairs, self.wanted = pairs, wanted
        added = getattr(tokenizer, "added_tokens_decoder", {}).items()
        special = {*tokenizer.all_special_ids, *(k for k, t in added if t.special)}
        ends = {tokenizer.eos_token_id, tokenizer.bos_token_id}  # GPT-2's unknown token too
        self.special = special - ({getattr(tokenizer, "unk_token_id", None)} - ends)
        self.seen = seen = self._completed(seen)
        self.ids = seen.ids
        self.neighbours: set[int] = set()  # places of other responses in the row
        self.known: set[int] | None = None  # places that the score depends on, if that was asked

    def _completed(self, seen: Scored) -> Scored:
        """With the label behind the row's end, where the model's inputs lack their last token."""
        n = len(seen.ids)
        if seen.offset != 1 or n not in seen.targets or seen.ids[-1] in self.special:
            return seen
        last = seen.labels[seen.targets.index(n)]
        return replace(seen, ids=[*seen.ids, last], real=seen.real and [*seen.real, True])

    # ------------------------------------------------------------ tokens and text
    def decode(self, ids, skip: bool = False) -> str:
        """Ids as text."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=skip)

    def core(self, ids) -> tuple[int, ...]:
        """Ids without special tokens and spaces at their ends."""
        ids = list(ids)
        empty = lambda i: i in self.special or not self.decode([i]).strip()
        while ids and empty(ids[-1]):
            ids.pop()
        while ids and empty(ids[0]):
            ids.pop(0)
        return tuple(ids)

    def body(self, i: int, side: str) -> tuple[int, ...]:
        """The tokens of a response, without its end."""
        if self.wanted[i] is None:
            text = text_of(self.pairs[i][side])
            return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        example = self.wanted[i][SIDES.index(side)]
        return self.core(example.ids[example.prompt_length :])

    def text(self, i: int, side: str) -> str:
        """The text of a response as the tokenizer gives it back, without spaces."""
        return squeeze(self.decode(self.body(i, side), skip=True))

    @cached_property
    def pieces(self) -> list[str]:
        """The text of each token, without spaces and special tokens."""
        return [squeeze(self.decode([i], skip=True)) for i in self.ids]

    # ------------------------------------------------------------ where it lies
    def find(self, body: tuple[int, ...], text: str) -> tuple[int, int] | None:
        """Where a response begins and ends, its end of turn left out, nearest to what is scored."""
        n, targets = len(body), set(self.seen.targets)
        starts = [
            s for s in range(len(self.ids) - n + 1) if n and tuple(self.ids[s : s + n]) == body
        ]
        spans = [(s, s + n) for s in starts] or self._find_text(text)
        return max(
            spans, key=lambda span: len(targets & set(range(span[0], span[1] + 1))), default=None
        )

    @cached_property
    def span(self) -> tuple[int, int] | None:
        """Where its own response lies."""
        return self.find(self.body(self.i, self.side), self.text(self.i, self.side))

    def own(self) -> set[int]:
        """The places of its own response and of its end, or what is scored if it isn't there."""
        if self.span is None:
            return set(self.seen.targets)
        first, last = self.span
        ended = last < len(self.ids) and self.ids[last] in self.special
        return set(range(first, last + ended))

    def _find_text(self, text: str) -> list[tuple[int, int]]:
        starts, whole = [], ""
        for piece in self.pieces:
            starts.append(len(whole))
            whole += piece
        spans, place = [], whole.find(text)
        while text and place >= 0:
            inside = [
                k
                for k, (s, piece) in enumerate(zip(starts, self.pieces, strict=True))
                if piece and s < place + len(text) and s + len(piece) > place
            ]
            spans.append((inside[0], inside[-1] + 1))
            place = whole.find(text, place + 1)
        return spans

    def _prefix(self, body: tuple[int, ...]) -> int:
        """How many of a response's first tokens stand in the row, after which it breaks off."""
        best = 0
        for s, first in enumerate(self.ids):
            if body and first == body[0]:
                k = 0
                while k < len(body) and s + k < len(self.ids) and self.ids[s + k] == body[k]:
                    k += 1
                last = s + k == len(self.ids) or self.ids[s + k] in self.special
                padded = self.seen.real and s + k < len(self.ids) and not self.seen.real[s + k]
                best = max(best, k if last or padded else 0)
        return best
