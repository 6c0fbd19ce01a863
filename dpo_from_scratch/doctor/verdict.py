"""What is scored before, behind and within a response, and whose tokens they are."""

from .context import merged, plain_prompt, seam, wrong_context
from .window import SIDES, Row, squeeze


class Judged(Row):
    """One response's score, and what is wrong with it."""

    def verdict(self) -> dict[str, str]:
        """Codes and what was seen; empty if just the response and its end are scored."""
        seen, whose = self.seen, f"the {self.side} response"
        if not seen.labels:
            return {"truncated": f"no token of {whose} is scored"}
        if seen.offset not in (1, None):
            place = {0: "its own position"}.get(seen.offset, f"{seen.offset:+d} places from it")
            told = f"the probability of each token at {place}, where the next is right"
            return {"not_shifted": f"{whose}'s score takes {told}"}
        if strange := self._another():
            return strange
        if self.span is None:
            return self._not_there()
        if seen.offset is None:
            told = self.decode(seen.labels)[:60]
            return {"wrong_text": f'what is scored stands nowhere in the row: "{told}"'}
        front = self._front(self.span[0])
        if merged(self, self.span[0]):  # it holds the prompt's end
            front = [*front, self.ids[self.span[0]]]
        found = self._within(*self.span)
        if told := wrong_context(self, front):
            found.pop("bos_inside", None)
            return {"wrong_context": told} | found
        return found | self._in_front(self.span[0], front)

    def _another(self) -> dict[str, str]:
        """Whether the tokens that are scored are another response's."""
        core = self.core(self.seen.labels)
        if not core or core == self.body(self.i, self.side):
            return {}
        text = squeeze(self.decode(core, skip=True))
        if text == self.text(self.i, self.side):
            return {}
        other = SIDES[self.side == "chosen"]
        for j in sorted(range(len(self.pairs)), key=lambda j: j != self.i):
            for side in (other, self.side):
                if core == self.body(j, side) or text == self.text(j, side):
                    found = f'"{self.decode(core)[:60]}"'
                    if j == self.i:
                        told = f"what is scored as {self.side} is the other response: {found}"
                        return {"swapped": told}
                    told = f"in place {self.i} of {self.side} stands pair {j}'s {side} response"
                    return {"pairs_mixed": f"{told}: {found}"}
        return {}

    def _not_there(self) -> dict[str, str]:
        """The row doesn't hold the response: cut off, exchanged, or another text."""
        text, mine = squeeze(self.decode(self.seen.labels, True)), self.text(self.i, self.side)
        told = self.decode(self.seen.labels)
        n, k = len(self.body(self.i, self.side)), self._prefix(self.body(self.i, self.side))
        other = SIDES[self.side == "chosen"]
        if text and (joined := seam(self)):
            return joined
        if text and mine.endswith(text) and not mine.startswith(text):
            return {
                "truncated": f'of the {self.side} response only the end is there: "{told[:40]}"'
            }
        theirs = self.text(self.i, other)
        if text and theirs.startswith(text) and not mine.startswith(text):
            return {"swapped": f'what is scored as {self.side} is the other one: "{told[:60]}"'}
        if text and (mine.startswith(text) or k >= max(2, n // 4)):
            cut = f", {k} of its {n} tokens" if k else ""
            return {"truncated": f'the {self.side} response is cut off at "{told[-30:]}"{cut}'}
        return {"wrong_text": f'"{told[:60]}" is scored, and not the {self.side} response'}

    def _within(self, first: int, last: int) -> dict[str, str]:
        """What of the response is scored, and what beside it."""
        whose, targets = f"the {self.side} response", sorted(set(self.seen.targets))
        has_end = last < len(self.ids) and self.ids[last] in self.special
        stop = last + has_end
        words = lambda places: [t for t in places if self.decode([self.ids[t]]).strip()]
        theirs = words(t for t in targets if t in self.neighbours)
        if theirs:
            told = f"{len(theirs)} tokens of a neighbour in the row are part of {whose}'s score"
            return {"wrong_window": told}
        before = words(t for t in targets if t < first)
        after = words(t for t in targets if t >= stop and t < len(self.ids))
        beyond = [t for t in targets if t >= len(self.ids)]
        missing = [t for t in range(first, stop) if t not in set(targets)]
        k = len(missing)
        if k and missing[0] == first and (told := merged(self, first)):
            return {"no_space": told}
        if k and not before and missing == list(range(first, first + k)):
            told = f"what is scored of {whose} begins {k} {'token' if k == 1 else 'tokens'} late"
            if len(after) + len(beyond) == k:
                return {"late": told, "late, shown": f"{told}, and ends as late"}
            return {"late": told} if stop == len(self.ids) else {"wrong_window": told}
        if k and len(before) == k and missing == list(range(stop - k, stop)):
            return {"not_shifted": f"what is scored of {whose} begins and ends {k} too early"}
        found = {}
        if before:
            found |= self._before(before, first)
        if after:
            found |= self._after(after, stop)
        if not has_end or missing == [last]:
            last_one = self.decode([self.ids[targets[-1]]]) if not beyond else ""
            found["eos_missing"] = f"the last token that is scored is {last_one!r}, not an end"
        elif missing and missing == list(range(stop - k, stop)):
            end = self.decode([self.ids[missing[0] - 1]])
            found["truncated"] = f'{whose} is scored up to "{end}" only, {k} tokens are not'
        if missing and not set(missing) <= set(range(stop - k, stop)):
            found["wrong_window"] = f"{k} of the {stop - first} tokens of {whose} are not scored"
        return found

    def _before(self, before: list[int], first: int) -> dict[str, str]:
        bos = self.tokenizer.bos_token_id
        if before == [first - 1] and self.ids[first - 1] == bos:
            return {"bos_inside": self._begins(first)}
        begins = f'"{self.decode([self.ids[t] for t in before])[:40]}"'
        told = f"the score of the {self.side} response begins in the prompt: {begins}"
        return {"prompt_scored": told}

    def beside(self) -> tuple | None:
        """What is scored in front of the response, how much, and after what; None if nothing."""
        if self.span is None or self.seen.offset != 1:
            return None
        real = self.seen.real or [True] * len(self.ids)
        front = [t for t in range(self.span[0]) if real[t] and t not in self.neighbours]
        counted = zip(self.seen.targets, self.seen.weights, strict=True)
        places = {front.index(t): round(w, 3) for t, w in counted if t in front}
        return (tuple(self.ids[t] for t in front), places) if places else None

    def _after(self, after: list[int], stop: int) -> dict[str, str]:
        token = self.decode([self.ids[after[0]]])
        real = self.seen.real
        padded = [t for t in after if real and not real[t]]
        whose = f"the {self.side} response's score"
        if (
            not padded
            and real is None
            and len(after) > 1
            and len({self.ids[t] for t in after}) == 1
        ):
            padded = after
        if padded:
            return {"padding_scored": f"{len(padded)} padded positions are part of {whose}"}
        if all(self.ids[t] in self.special for t in after):
            return {"eos_doubled": f"{whose} counts an end more than once, {token!r} again"}
        told = self.decode([self.ids[t] for t in after])[:40]
        return {"wrong_text": f'{whose} goes on behind its end: "{told}"'}

    def _front(self, first: int) -> list[int]:
        """The ids in front of the response that its score knows."""
        real, known = self.seen.real or [True] * len(self.ids), self.known
        seen = lambda t: real[t] and t not in self.neighbours and (known is None or t in known)
        return [self.ids[t] for t in range(first) if seen(t)]

    def _in_front(self, first: int, front: list[int]) -> dict[str, str]:
        """What stands before the response: its prompt, and no beginning of text in the middle."""
        wanted, bos = self.wanted[self.i], self.tokenizer.bos_token_id
        found = {}
        prompt = list(wanted[0].ids[: wanted[0].prompt_length]) if wanted else []
        if bos is not None and len(front) > 1 and front[-1] == bos and prompt[-1:] != [bos]:
            found["bos_inside"] = self._begins(first)
        doubled = bos is not None and front[:2] == [bos, bos] and prompt[:2] != [bos, bos]
        if doubled and self.seen.real is not None:
            found["bos_doubled"] = f"the row begins with {self.decode([bos, bos])!r}"
        return found | self._prompt(front)

    def _begins(self, first: int) -> str:
        token = self.decode([self.ids[first - 1]])
        return f"{token!r} stands between the prompt and the {self.side} response"

    def _prompt(self, front: list[int]) -> dict[str, str]:
        """Whether the prompt stands before the response; its beginning may be cut off."""
        plain = lambda j: plain_prompt(self, j)
        mine, there = plain(self.i), squeeze(self.decode(front, skip=True))
        if mine in there:
            return {}
        others = (j for j in range(len(self.pairs)) if j != self.i and plain(j))
        for j in others:
            if there.endswith(plain(j)):
                told = f"before pair {self.i}'s {self.side} response stands pair {j}'s prompt"
                return {"pairs_mixed": told}
        if mine[-(len(mine) // 3 + 1) :] in there:  # its beginning is cut off, as it may be
            return {}
        if not there:
            return {"prompt_missing": f"nothing stands before the {self.side} response"}
        told = f'before the {self.side} response stands "{self.decode(front)[-40:]}"'
        if mine[: len(mine) // 2 + 1] in there:
            return {"prompt_missing": f"{told}, which lacks the prompt's end"}
        return {"prompt_missing": f"{told}, and not its prompt"}
