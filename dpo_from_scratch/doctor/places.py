"""Where the labels of a score stand in their row of ids: one offset for all rows, and own places.

A token is mostly predicted from the place before it. Where several responses share one prompt in a
row, a later one's first token is predicted from the prompt's last place.
"""

from collections import Counter
from dataclasses import replace

FARTHEST = 8  # how many places a label is looked for from where it belongs


def offset_of(at: list[int], labels: list[int], ids: list[int]) -> int | None:
    """How far from its position each label stands in the row: 1 is right; None if at no offset.

    Where inputs are cut by one, the last labels lie beyond the row's end and can't be compared.
    """
    for share in (1.0, 0.9):
        for d in sorted(range(-FARTHEST, FARTHEST + 1), key=lambda d: abs(d - 1)):
            same, known = _fit(at, labels, ids, d)
            if same and same >= share * known and 2 * same >= len(at):
                return d
    return None if at else 1


def _fit(at: list[int], labels: list[int], ids: list[int], d: int) -> tuple[int, int]:
    """How many labels stand at an offset, of how many that can be compared."""
    beyond = sum(t + d >= len(ids) for t in at)
    known = len(at) - (beyond if beyond <= d else 0)
    places = zip(at, labels, strict=True)
    return sum(0 <= t + d < len(ids) and ids[t + d] == y for t, y in places), known


def likely_rows(k: int, n: int) -> list[int]:
    """The row of score k among n: chosen ones first, or each beside its rejected one."""
    return [k % n, 2 * k % max(n - 1, 1)]


def place_of(labels: list[int], rows: list[list[int]], k: int) -> tuple[int, list[int]]:
    """The row in which labels stand one after the other, and the places before each.

    Of equal rows a likely one of score k is taken.
    """
    n = len(labels)
    likely = likely_rows(k, len(rows))
    for b in sorted(range(len(rows)), key=lambda b: likely.index(b) if b in likely else 2):
        for s in reversed(range(len(rows[b]) - n + 1)):
            if rows[b][s : s + n] == labels:
                return b, list(range(s - 1, s - 1 + n))
    row, places, t = rows[likely[0]], [], len(rows[likely[0]])
    for y in reversed(labels):  # with gaps, from the row's end
        t = next((u for u in reversed(range(t)) if row[u] == y), max(t - 1, 0))
        places.insert(0, t - 1)
    return likely[0], places


def settled(found: list[list]) -> list[list]:
    """Scores whose labels have their places: in their own response, and at one common offset."""
    shared = Counter(s.place for side in found for s in side)
    found = [[_placed(s) if shared[s.place] > 1 else s for s in side] for side in found]
    offsets = [s.offset for side in found for s in side if s.labels]
    d, votes = Counter(offsets).most_common(1)[0] if offsets else (None, 0)
    if d is None or 2 * votes <= len(offsets):
        return found
    return [[_joined(s, d) for s in side] for side in found]


def _placed(s):
    """A response in a row with others: its tokens stand one after the other."""
    if s.offset not in (1, None):
        return s
    targets = list(s.targets)
    for k in reversed(range(len(targets) - 1)):
        t = targets[k + 1] - 1
        if targets[k] != t and 0 <= t < len(s.ids) and s.ids[t] == s.labels[k]:
            targets[k] = t
    stand = [t >= len(s.ids) or s.ids[t] == y for t, y in zip(targets, s.labels, strict=True)]
    kept = sum(a == b for a, b in zip(targets, s.targets, strict=True))
    right = all(stand) and 2 * kept >= len(targets)
    return replace(s, targets=targets, offset=1 if right else s.offset)


def _joined(s, d: int):
    """An offset that explains most rows explains this one, if half of its labels fit."""
    if s.offset is not None or not s.labels:
        return s
    same, known = _fit([t - 1 for t in s.targets], s.labels, s.ids, d)
    return replace(s, offset=d, shifted=d == 1) if 2 * same >= known else s
