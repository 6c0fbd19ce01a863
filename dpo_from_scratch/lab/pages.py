"""Pages for a class: the 30 pairs that everybody labels, and two models' texts judged blind."""

import html
import re
from hashlib import sha256

import numpy as np
from scipy.stats import binomtest

from .. import world
from .classroom import label, pairs
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


class ClassPage(BlindPage):
    """The page on which somebody labels the 30 pairs, in an order and with sides of their own.

    name: a nickname does; it stands in the file's name and in its rows.
    """

    def __init__(self, name: str):
        self.name = name.strip() or "nobody"
        rows = [{"prompt": p["prompt"], "chosen": p["a"], "rejected": p["b"]} for p in pairs()]
        seed, file = sha256(self.name.encode()).digest(), re.sub(r"\W+", "_", self.name)
        super().__init__(rows, f"labels_{file}.jsonl", int.from_bytes(seed[:4], "big"))

    def records(self) -> list[dict]:
        """The labels so far, as they are saved."""
        return [
            label(number + 1, "a" if row["chosen"] == pairs()[number]["a"] else "b", self.name)
            for number, row in self.answers.items()
        ]


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
