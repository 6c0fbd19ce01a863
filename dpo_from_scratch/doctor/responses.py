"""What is scored against what should be: by token ids and places, by text only where they differ.

The right answer is `tokens.encode`: the response's tokens and one end.
"""

from collections import Counter

import numpy as np

from ..data import DataError
from ..others import guarded
from ..tokens import encode
from .case import Case
from .context import visible
from .inside import Scored
from .verdict import Judged
from .window import SIDES

UNKNOWN, MOSTLY_UNKNOWN = 0.1, 0.3  # shares of a response's tokens


def check_responses(case: Case, seen: list[list[Scored]], pairs: list[dict]) -> None:
    """Which tokens count in each score of these pairs, and how much."""
    if any(s.gathered for side in seen for s in side):
        case.unseen.append("from which place a token is predicted: logits are taken at some only")
    check_gradients(case, [s for side in seen for s in side])
    wanted = [_wanted(case, pair) for pair in pairs]
    check_unknown(case, wanted)
    if any(w and w[0].ids == w[1].ids for w in wanted):
        which = next(i for i, w in enumerate(wanted) if w and w[0].ids == w[1].ids)
        case.add("equal_pair", f"the two responses of pair {which} are the same tokens")
        return
    votes: dict[str, list[str]] = {}
    rows = [
        Judged(case.tokenizer, side[i], SIDES[s], pairs, wanted, i)
        for s, side in enumerate(seen)
        for i in range(len(pairs))
    ]
    _know_neighbours(rows)
    verdicts = [row.verdict() for row in rows]
    if any("wrong_context" in verdict for verdict in verdicts):  # unless a mask hides it
        for row, known in zip(rows, visible(case, pairs, rows), strict=True):
            row.known = known
        verdicts = [row.verdict() for row in rows]
    _even_out(verdicts)
    for verdict in verdicts:
        for code, told in verdict.items():
            votes.setdefault(code, []).append(told)
    case.cancels = _same_on_both_sides(rows, len(pairs))
    for code, told in sorted(votes.items(), key=lambda item: -len(item[1])):  # most votes first
        many = "" if len(told) == len(rows) else f" (in {len(told)} of {len(rows)} responses)"
        case.add(code, told[0] + many)


def _know_neighbours(rows: list[Judged]) -> None:
    """Other responses in the same row are no prompt."""
    for row in rows:
        others = [r.own() for r in rows if r.seen.place == row.seen.place and r is not row]
        row.neighbours = set().union(*others) - row.own()


def _same_on_both_sides(rows: list[Judged], n: int) -> bool:
    """Whether what is scored in front of the responses is the same for both of each pair.

    It then cancels in every difference of the two scores.
    """
    beside = [row.beside() for row in rows]
    return any(beside) and beside[:n] == beside[n:]


def _wanted(case: Case, pair: dict):
    """The right tokens of a pair, (chosen, rejected), or None where they can't be told."""
    prompt, sides = pair.get("prompt", ""), [pair[side] for side in SIDES]
    try:
        return guarded("the tokenizer", encode, case.tokenizer, prompt, *sides)
    except DataError:
        case.unseen.append("the right token ids, which the tokenizer doesn't give for these rows")
        return None


def check_unknown(case: Case, wanted: list) -> None:
    """How many tokens the vocabulary doesn't have."""
    unknown = getattr(case.tokenizer, "unk_token_id", None)
    ids = [i for w in wanted if w for e in w for i in e.ids[e.prompt_length : -1]]
    if unknown is None or not ids or unknown == case.tokenizer.eos_token_id:
        return
    many = ids.count(unknown)
    if many > UNKNOWN * len(ids):
        level = "problem" if many > MOSTLY_UNKNOWN * len(ids) else "note"
        told = f"{many} of the responses' {len(ids)} tokens are unknown to the tokenizer"
        case.add("unknown_tokens", told, level=level)


def check_gradients(case: Case, seen: list[Scored]) -> None:
    """Whether the scores are sums of log-probabilities, and what each token counts."""
    misfit = max(s.misfit for s in seen)
    strange = [s for s in seen if s.misfit > 0.05 or _value_is_off(s)]
    if strange:
        s = strange[0]
        told = f"the score is {s.given:.4g} where log-probabilities give {s.expected:.4g} nats"
        kind = "" if misfit < 0.05 else ", and its gradient is that of no log-softmax"
        case.add("not_log_softmax", f"with known logits {told}{kind}")
        return
    shares = [np.array(s.weights) * len(s.labels) for s in seen if len(s.labels) > 1]
    if any(share.max() < 0.6 * len(share) for share in shares):
        case.own_means = all(np.allclose(share, 1, atol=0.02) for share in shares)
    for s in seen:
        weights = np.array(s.weights)
        if len(weights) > 1 and np.allclose(weights, weights[0], rtol=0.02):
            _equal_weights(case, s, float(weights[0]))
        elif len(weights) > 1 and not np.allclose(weights, 1, atol=0.02):
            low, high = weights.min(), weights.max()
            case.add("weights", f"tokens count between {low:.3g} and {high:.3g}, not 1")


def _value_is_off(s: Scored) -> bool:
    """Weights that differ in a sum that is none, as of probabilities."""
    weights = np.array(s.weights)
    even = not len(weights) or np.allclose(weights, 1, atol=0.02)
    return not even and abs(s.given - s.expected) > 0.02 * max(abs(s.expected), abs(s.given))


def _equal_weights(case: Case, s: Scored, weight: float) -> None:
    n, parts = len(s.labels), 1 / weight if weight > 0 else 0.0
    if parts > 1.5 and abs(n / parts - 1) < 0.02:
        case.add("mean", f"every one of the {n} tokens counts 1/{n}")
        return
    if parts >= n and abs(parts - round(parts)) < 0.02:  # of the row, or of the whole batch
        case.add("mean", f"every one of the {n} tokens counts 1/{parts:.0f}, not even 1/{n}")
        return
    if abs(weight - 1) > 0.02:
        case.add("weights", f"every one of the {n} tokens counts {weight:.3g}, not 1")


def _even_out(verdicts: list[dict[str, str]]) -> None:
    """What begins late ends late, where there is room: one shift for all rows, or none.

    A row without padding can't show that its window ends late, so the others decide.
    """
    kinds = Counter(code for v in verdicts for code in v)
    if kinds["late"]:
        code = (
            "wrong_window" if kinds["wrong_window"] or not kinds["late, shown"] else "not_shifted"
        )
        for v in verdicts:
            told = v.pop("late", "")
            shown = v.pop("late, shown", "")
            if told:
                v[code] = shown or told
            if code == "not_shifted":
                v.pop("padding_scored", None)
