"""What a class's labels say: agreement, Bradley-Terry scores, the ceiling; and a sheet to print."""

import html
from dataclasses import dataclass

import numpy as np

from .. import __version__, exact, world
from . import classroom
from .tables import show_table

PRIOR = 0.25  # of scores with a standard deviation of 2, as in chapter 02
STYLE = """body { font: 11pt/1.35 sans-serif; margin: 1.5cm; color: #000; background: #fff }
td, th { text-align: left; vertical-align: top; padding: 3pt 6pt; border-bottom: 1px solid #888 }
tr { break-inside: avoid } table { border-collapse: collapse; width: 100% }
@media (max-width: 600px) { body { font-size: 8pt; margin: 4pt } td, th { padding: 2pt } }"""


@dataclass(frozen=True)
class Summary:
    """Of `people` who labelled: the figures for the wall.

    counts: how often a and b of each pair were chosen, (30, 2).
    agreement: how often two people choose the same, over pairs; nan for one person alone.
    ceiling: (low, high), between which the best accuracy on these labels lies. Low: each label
    foretold by the majority of the others, a tie one half. High: by the majority, itself included.
    floor: the mean entropy of a label given its pair, nats: the least loss there is on these
        labels.
    fitted: each pair's probability of a by Bradley-Terry, (30,), a fit for each question.
    scores: question -> its texts with their scores, the best first.
    in_circles: questions where the majority likes one of three more than the next, all round.
    """

    people: int
    counts: np.ndarray
    agreement: float
    ceiling: tuple[float, float]
    floor: float
    fitted: np.ndarray
    scores: dict[str, list[tuple[str, float]]]
    in_circles: list[str]

    def show(self) -> None:
        """The figures, a line each."""
        low, high = self.ceiling
        order = np.where(self.fitted > 0.5, self.counts[:, 0], self.counts[:, 1]).sum()
        told = {
            "people": self.people,
            "labels": int(self.counts.sum()),
            "two people agree": self.agreement,
            "the ceiling is at least": low,
            "and at most": high,
            "labels in Bradley-Terry's order": order / self.counts.sum(),
            "least loss, nats (ln 2 is 0.69)": self.floor,
            "questions where the majority goes in a circle": len(self.in_circles),
        }
        show_table({"this class": list(told), "": list(told.values())})


def summary(rows: list[dict]) -> Summary:
    """Agreement, scores and ceiling of labels, rows of class.jsonl. ValueError if there are none.

    Bradley-Terry as in arXiv 2305.18290, eq. 1, with a normal prior on scores.
    """
    if not rows:
        raise ValueError("there are no labels")
    won = classroom.counts(rows)
    n, k = won.sum(1), won.max(1)
    labelled = n > 0
    both = n > 1
    same = (won * (won - 1)).sum(1)[both] / (n * (n - 1))[both]
    share = k[labelled] / n[labelled]
    fitted, scores, circles = _fitted(won)
    return Summary(
        people=len({row["who"] for row in rows}),
        counts=won,
        agreement=float(same.mean()) if both.any() else float("nan"),
        ceiling=(_foretold(won), float(k.sum() / n.sum())),
        floor=float(np.average([_entropy(p) for p in share], weights=n[labelled])),
        fitted=fitted,
        scores=scores,
        in_circles=circles,
    )


def _foretold(won: np.ndarray) -> float:
    """The share of labels that are as most of the others', a tie one half."""
    out = 0.0
    for pair in won:
        for own, other in (pair, pair[::-1]):  # each label of a side, and the others without it
            out += own * (0.5 if own - 1 == other else float(own - 1 > other))
    return float(out / won.sum())


def _entropy(p: float) -> float:
    return float(-sum(q * np.log(q) for q in (p, 1 - p) if q > 0))


def _fitted(won: np.ndarray) -> tuple[np.ndarray, dict, list[str]]:
    """Bradley-Terry question by question: probabilities of a, scores, questions with a circle."""
    chance, scores, circles = np.full(len(won), 0.5), {}, []
    for prompt in dict.fromkeys(pair["prompt"] for pair in classroom.pairs()):
        here = [i for i, pair in enumerate(classroom.pairs()) if pair["prompt"] == prompt]
        mine = [(classroom.pairs()[i]["a"], classroom.pairs()[i]["b"], i) for i in here]
        texts = sorted({text for a, b, _ in mine for text in (a, b)})
        wins = np.zeros((len(texts), len(texts)))
        for a, b, i in mine:
            x, y = texts.index(a), texts.index(b)
            wins[x, y], wins[y, x] = won[i]
        fit = exact.fit_bradley_terry(wins, PRIOR)
        P = exact.preferences(fit.scores)
        for a, b, i in mine:
            chance[i] = P[texts.index(a), texts.index(b)]
        order = np.argsort(-fit.scores)
        scores[prompt] = [(texts[i], float(fit.scores[i])) for i in order]
        if sorted((wins > wins.T).sum(1)) == [1, 1, 1]:
            circles.append(prompt)
    return chance, scores, circles


def simulated(people: int = 30, seed: int = 0) -> list[dict]:
    """Labels of so many readers who disagree: Bradley-Terry on the true reward, and each with a
    liking for length of their own (0.1 a word and person, up or down).
    """
    rng, rows = np.random.default_rng(seed), []
    for who in range(1, people + 1):
        likes = world.length_biased(rng.normal(0, 0.1))
        for number, pair in enumerate(classroom.pairs(), start=1):
            first = rng.random() < likes(pair["prompt"], pair["a"], pair["b"])
            rows.append(classroom.label(number, "a" if first else "b", f"simulated {who}"))
    return rows


def sheet() -> str:
    """The 30 pairs as a page to print: HTML that loads nothing."""
    plain = lambda text: html.escape(world.pretty(text))
    rows = [
        f"<tr><td>{number}</td><td>{plain(p['prompt'])}</td><td>{plain(p['a'])}</td>"
        f"<td>{plain(p['b'])}</td><td>&#9744; A &nbsp; &#9744; B</td></tr>"
        for number, p in enumerate(classroom.pairs(), start=1)
    ]
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Thirty pairs, sheet {classroom.key()}</title><style>{STYLE}</style></head>
<body><main><h1>Which answer would you rather have got?</h1>
<p>Sheet {classroom.key()}, DPO from Scratch {__version__}. Name or nickname: ______________
Go by your own taste; no choice is wrong. Write it down as <code>name: ABBAB ABABA</code>, thirty
letters, with - where you can't decide.</p>
<table><tr><th>No.</th><th>Question</th><th>A</th><th>B</th><th>Better</th></tr>
{"".join(rows)}</table></main></body></html>
"""
