"""A class labels the same 30 pairs: the pairs, and the files of everybody put together.

    page = ClassPage("ada"); page.show()          # saves labels_ada.jsonl
    merged = merge(["labels_ada.jsonl", "paper.txt"]); print(*merged.remarks, sep="\\n")
    summary(merged.rows).show()                   # agreement, scores, the ceiling

A text file is for those who labelled on paper (`sheet`): the line "sheet KEY" that stands on top of
the sheet, then a line a person, "ada: ABBAB ABABA ...", 30 letters, - where there is none.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from itertools import combinations
from pathlib import Path

import numpy as np

from .. import __version__, world
from ..data import write_rows

QUESTIONS, ANSWERS, WORDS, APART = 10, 3, 16, 1.0
TURNED, ENOUGH = 0.3, 10  # an agreement this low, in so many labels, looks like exchanged sides


@cache
def pairs() -> tuple[dict, ...]:
    """30 pairs, {"prompt", "a", "b"}: ten questions, and of each all pairs of three answers.

    Answers have at most 16 words, and no two of a question are closer than 1 in true reward.
    """
    asked, out = world.prompts("train"), []
    for number, prompt in enumerate(asked[:: len(asked) // QUESTIONS][:QUESTIONS]):
        rng, texts = np.random.default_rng(number), []
        while len(texts) < ANSWERS:
            (text,) = world.REVIEWS.policy(prompt).sample(1, rng)
            gaps = [abs(world.reward(prompt, text) - world.reward(prompt, t)) for t in texts]
            if len(text.split()) <= WORDS and min(gaps, default=APART) >= APART:
                texts.append(text)
        out += [{"prompt": prompt, "a": a, "b": b} for a, b in combinations(texts, 2)]
    return tuple(out)


def key() -> str:
    """Six letters and digits that name these pairs; another version of the book has others."""
    return sha256(json.dumps(pairs(), sort_keys=True).encode()).hexdigest()[:6]


def label(number: int, side: str, who: str) -> dict:
    """A row of class.jsonl: pair `number`, 1 to 30, of which somebody chose "a" or "b".

    IndexError if there is no such pair.
    """
    if not 1 <= number <= len(pairs()):
        raise IndexError(number)
    pair, other = pairs()[number - 1], {"a": "b", "b": "a"}[side]
    row = {"prompt": pair["prompt"], "chosen": pair[side], "rejected": pair[other]}
    return row | {"pair": number, "who": who, "book": __version__, "sheet": key()}


# ---------------------------------------------------------------- files put together
@dataclass
class Merged:
    """Rows of all files, and a sentence for whatever is odd; nothing is turned or dropped silently.

    people: who -> the file. left_out: files or people that are not in `rows`.
    """

    rows: list[dict] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    people: dict[str, str] = field(default_factory=dict)
    left_out: int = 0

    def write(self, path: Path) -> None:
        """Pairs as `dpo train --data` reads them, with pair, who, book and sheet."""
        write_rows(path, self.rows)

    def refuse(self, why: str) -> None:
        """One file or person less."""
        self.remarks.append(f"{why}: left out")
        self.left_out += 1

    def add(self, who: str, file: str, told: list[tuple[int, str]]) -> None:
        """One person's labels: pair numbers and sides."""
        sides = dict(told)
        if who in self.people:
            before = {r["pair"]: r["chosen"] for r in self.rows if r["who"] == who}
            same = sum(label(n, s, who)["chosen"] == before.get(n) for n, s in sides.items())
            self.refuse(
                f"{file}: {who} has labels already, from {self.people[who]} ({same} of "
                f"{len(sides)} the same; two people need two names)"
            )
            return
        twice = sorted(n for n, times in Counter(n for n, _ in told).items() if times > 1)
        if twice:
            self.remarks.append(f"{file}: {who} has pairs {listed(twice)} twice: the last counts")
        missing = [n for n in range(1, len(pairs()) + 1) if n not in sides]
        if missing:
            self.remarks.append(
                f"{file}: {who} has no label for {len(missing)} of {len(pairs())} pairs "
                f"({listed(missing)}): the others count"
            )
        self.people[who] = file
        self.rows += [label(number, side, who) for number, side in sorted(sides.items())]


def merge(files: Iterable[str | Path]) -> Merged:
    """Files of labels and folders of such files, put together."""
    merged, paths = Merged(), []
    for path in map(Path, files):
        inside = sorted(p for p in path.glob("*") if p.suffix in (".jsonl", ".txt"))
        paths += inside if path.is_dir() else [path]
    for path in paths:
        read(path, merged)
    for who, (same, of) in with_others(merged.rows).items():
        if of >= ENOUGH and same <= TURNED * of:
            merged.remarks.append(
                f"{merged.people[who]}: {who} sides with most of the others in {same} of {of} "
                "pairs: are A and B exchanged? They count as they are"
            )
    return merged


def read(path: Path, merged: Merged) -> None:
    """One file, rows or letters; what is wrong with it becomes a sentence."""
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except UnicodeDecodeError:
        merged.refuse(f"{path.name}: is no text")
        return
    if not text:
        merged.refuse(f"{path.name}: is empty")
    elif text.startswith("{"):
        _rows(path.name, text.splitlines(), merged)
    else:
        _letters(path.name, text.splitlines(), merged)


def _rows(name: str, lines: list[str], merged: Merged) -> None:
    told: dict[str, list[tuple[int, str]]] = {}
    for count, line in enumerate(filter(str.strip, lines), start=1):
        try:
            row = json.loads(line)
            number, who, book, sheet = (row[k] for k in ("pair", "who", "book", "sheet"))
            if sheet != key():
                merged.refuse(
                    f"{name}: comes from version {book} of the book with other pairs (sheet "
                    f"{sheet}; here {key()} of {__version__})"
                )
                return
            side = next(s for s in "ab" if label(number, s, who)["chosen"] == row["chosen"])
        except (ValueError, KeyError, TypeError, IndexError, StopIteration):
            merged.refuse(f"{name}: line {count} is no label of the workshop's pairs")
            return
        told.setdefault(str(who), []).append((number, side))
    for who, labels in told.items():
        merged.add(who, name, labels)


def _letters(name: str, lines: list[str], merged: Merged) -> None:
    named = re.fullmatch(r"sheet\W*(\w+)", lines[0].strip(), re.I)
    if not named:
        merged.refuse(f'{name}: the first line must be "sheet {key()}", as on top of the sheet')
        return
    if named[1].lower() != key():
        merged.refuse(
            f"{name}: sheet {named[1]} is of another version of the book (here {key()}, of "
            f"{__version__})"
        )
        return
    for line in filter(str.strip, lines[1:]):
        who, _, letters = (part.strip() for part in line.partition(":"))
        letters = re.sub(r"\s", "", letters).lower()
        if not who or not letters or set(letters) - set("ab-") or len(letters) > len(pairs()):
            merged.refuse(f'{name}: "{line.strip()[:40]}" is no name with up to 30 of A, B and -')
            continue
        merged.add(who, name, [(n, s) for n, s in enumerate(letters, start=1) if s != "-"])


def listed(numbers: Sequence[int]) -> str:
    """At most six of them."""
    return ", ".join(map(str, numbers[:6])) + (", ..." if len(numbers) > 6 else "")


def with_others(rows: list[dict]) -> dict[str, tuple[int, int]]:
    """Who -> (labels as most of the others have them, labels on which the others have a side)."""
    first, out = counts(rows), {}
    for row in rows:
        number, side = row["pair"] - 1, int(row["chosen"] != pairs()[row["pair"] - 1]["a"])
        others = first[number].copy()
        others[side] -= 1
        if others[0] != others[1]:
            same, of = out.get(row["who"], (0, 0))
            out[row["who"]] = (same + int(others.argmax() == side), of + 1)
    return out


def counts(rows: list[dict]) -> np.ndarray:
    """How often a and b of each pair were chosen, (30, 2)."""
    out = np.zeros((len(pairs()), 2), int)
    for row in rows:
        number = row["pair"] - 1
        out[number, int(row["chosen"] != pairs()[number]["a"])] += 1
    return out
