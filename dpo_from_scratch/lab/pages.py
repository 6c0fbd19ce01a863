"""Pages for a class: the 30 pairs that everybody labels, and two models' texts judged blind."""

import html
import re
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import numpy as np
from scipy.stats import binomtest

from .. import world
from .class_report import simulated
from .classroom import Merged, label, pairs, read
from .widgets import LabellingPage


class BlindPage(LabellingPage):
    """Pairs of which nothing may be given away: without a kernel, A and B as the page has them."""

    def _table(self) -> str:
        left = 'align="left" style="text-align: left"'
        lines = [f"<tr>{''.join(f'<th {left}>{h}</th>' for h in ('', 'prompt', 'A', 'B'))}</tr>"]
        for number, i in enumerate(self.order, start=1):
            texts = [self.rows[i]["prompt"], *(self.rows[i][side] for side in self.sides[i])]
            cells = [str(number), *(html.escape(world.pretty(text)) for text in texts)]
            row = "".join(f'<td valign="top" {left}>{cell}</td>' for cell in cells)
            lines.append(f"<tr>{row}</tr>")
        return f"<table>{''.join(lines)}</table>"


def seed_of(name: str) -> int:
    """A seed for each nickname; 0 for none."""
    digest = sha256(name.strip().encode()).digest()
    return int.from_bytes(digest[:4], "big") if name.strip() else 0


class ClassPage(BlindPage):
    """The page on which somebody labels the 30 pairs, in an order and with sides of their own.

    name: a nickname does; it stands in the file's name and in its rows. Without one, chance gives
    one, so that thirty people without a name are thirty people.
    """

    def __init__(self, name: str):
        self.name = name.strip() or f"someone {uuid4().hex[:6]}"
        rows = [{"prompt": p["prompt"], "chosen": p["a"], "rejected": p["b"]} for p in pairs()]
        file = re.sub(r"\W+", "_", self.name)
        super().__init__(rows, f"labels_{file}.jsonl", seed_of(name))

    def records(self) -> list[dict]:
        """The labels so far, as they are saved."""
        return [
            label(number + 1, "a" if row["chosen"] == pairs()[number]["a"] else "b", self.name)
            for number, row in self.answers.items()
        ]


def labels_of_the_class(page: ClassPage, file: str | Path = "class.jsonl") -> tuple[list, str]:
    """(rows, whose): the class's file if it is here, else the page's 30 labels, else simulated.

    ValueError where the file has labels of other pairs.
    """
    if Path(file).exists():
        merged = Merged()
        read(Path(file), merged)
        if not merged.rows:
            raise ValueError(" ".join(merged.remarks))
        return merged.rows, f"{len(merged.people)} people, from {file}"
    if len(page.answers) == len(page.rows):
        return page.records(), "you alone"
    return simulated(), "a simulated class of 30"


class BeforeAfter(BlindPage):
    """Texts of a model before and after training, in shuffled order and on shuffled sides.

    Prompts for which both wrote the same are left out; there is nothing to see.
    """

    def __init__(self, prompts: list[str], before: list[str], after: list[str], seed: int = 0):
        rows = [
            {"prompt": p, "chosen": new, "rejected": old}
            for p, old, new in zip(prompts, before, after, strict=True)
            if old != new
        ]
        super().__init__(rows, "judged_blind.jsonl", seed)

    def count(self) -> tuple[int, int]:
        """(how often the text after training was chosen, how many were judged)."""
        return sum(row["chosen"] == self.rows[i]["chosen"] for i, row in self.answers.items()), len(
            self.answers
        )

    def judged_by(self, labeller, seed: int = 0) -> tuple[int, int]:
        """The same count, of choices drawn from a labeller (prompt, a, b) -> probability of a."""
        rng = np.random.default_rng(seed)
        wins = [rng.random() < labeller(r["prompt"], r["chosen"], r["rejected"]) for r in self.rows]
        return sum(wins), len(wins)

    def key(self) -> str:
        """On which side the text after training stands, pair by pair, for those on paper."""
        return "".join("AB"[self.sides[i].index("chosen")] for i in self.order)

    @staticmethod
    def told(wins: int, judged: int) -> str:
        """A count in words, with the 95 % interval of its share."""
        if not judged:
            return "nothing is judged yet"
        low, high = binomtest(int(wins), judged).proportion_ci(method="wilson")
        return f"{wins} of {judged} for the text after training; 95 %: {low:.0%} to {high:.0%}"
