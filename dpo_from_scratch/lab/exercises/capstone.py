"""The capstone: a run to repair, a loss of one's own and a run of it, a judge and data.

    C.1 a trainer that was broken     C.2 a new loss, pinned
    C.3 its run                       C.4 a judge, and pairs

What no code can mark, `for_a_teacher` prints.
"""

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ... import world
from ...data import write_rows
from ...doctor import check_data
from . import attempts, capstone_loss, capstone_trainer
from .answers import Own
from .verdicts import Verdict, misformed, right, wrong

# ---------------------------------------------------------------- C.3
ASKED = ("true_reward", "kl", "below")
FAR, SLACK = 25.0, 0.25  # nats; how far noise may lift a run above the exact frontier


def start() -> float:
    """True reward before training, the same for every prompt."""
    return world.REVIEWS.policy(world.prompts()[0]).mean_reward


def best_at(kl: float) -> float:
    """The exact frontier's true reward at a KL."""
    return world.REVIEWS.optimum_at_kl(float(np.clip(kl, 0.01, FAR))).mean_reward


def ran(attempt) -> Verdict:
    """What `tournament.worth` gave for a run, or its three numbers: better, held, possible."""
    if not isinstance(attempt, Mapping) or not all(name in attempt for name in ASKED):
        return misformed(f"what `tournament.worth` gives is asked, with {', '.join(ASKED)}.")
    try:
        reward, kl, below = (float(attempt[name]) for name in ASKED)
    except (TypeError, ValueError):
        return misformed(f"{', '.join(ASKED)} are numbers.")
    if not all(map(math.isfinite, (reward, kl, below))):
        return misformed("a number that isn't finite stands among them.")
    if kl < -0.05:
        return wrong("a KL isn't negative: is it the policy's samples that are scored?")
    if abs(below - (best_at(kl) - reward)) > 0.02 and kl < FAR:
        return wrong(
            "`below` is not the exact frontier's reward at this KL less the run's: the three "
            "numbers are not of one run."
        )
    if reward > best_at(kl) + SLACK:
        return wrong("no policy of this KL has so much true reward: it lies above the frontier.")
    if kl < 0.02:
        return wrong("the run has hardly moved: its KL is near 0. Look at the slope and the rate.")
    if reward < start() + 0.2:
        return wrong(
            "the true reward has not risen above the reference's: which way does it push, and how "
            "far did it run?"
        )
    if kl > FAR:
        return wrong("it is farther from the reference than any optimum: nothing holds it.")
    return right(f"A gain of {reward - start():.2f} for {kl:.2f} nats, {below:.2f} below the best.")


def a_run() -> dict[str, float]:
    """Figures of a run, for the book's own answer: half of the frontier's gain at one nat."""
    reward = (start() + best_at(1.0)) / 2
    return {"true_reward": reward, "kl": 1.0, "below": best_at(1.0) - reward}


# ---------------------------------------------------------------- C.4
ROWS, AGREE = 20, 0.8
NICE = {"lovely": 1, "kind": 1, "great": 1, "good": 1, "stale": -1, "rude": -1, "dull": -1}


def own_judge(prompt, texts):
    """The book's own: nice words less bad ones."""
    return [sum(NICE.get(word, 0) for word in text.split()) for text in texts]


def own_rows() -> list[dict]:
    """Pairs for it, made by hand."""
    things, pairs = ("plot", "staff", "room", "wine", "ending"), []
    words = [("lovely", "stale"), ("kind", "rude"), ("great", "dull"), ("good", "stale")]
    for i, thing in enumerate(things):
        for j, (good, bad) in enumerate(words):
            more = " , and that is all i have to say" * (i % 2)
            pairs.append(
                {
                    "prompt": f"visit {j + 1} : how was the {thing} ?",
                    "chosen": f" the {thing} was {good}{more * (j % 2)} .",
                    "rejected": f" the {thing} was {bad}{more * (1 - j % 2)} .",
                }
            )
    return pairs


def judged(attempt) -> Verdict:
    """(judge, pairs): the data by `check_data`, the judge by its order and its consistency."""
    if not (isinstance(attempt, tuple | list) and len(attempt) == 2 and callable(attempt[0])):
        return misformed("(judge, pairs) is asked: a function, and a list of rows.")
    judge, rows = attempt
    if why := data(rows):
        return wrong(why)
    rows, clock = list(rows), attempts.Clock(30.0)
    if why := attempts.misfit(judge, {"prompt": "", "texts": []}):
        return misformed(why)
    scores = lambda row, *sides: asked(judge, row["prompt"], [row[s] for s in sides], clock)
    both = [scores(row, "chosen", "rejected") for row in rows]
    if trouble := next((found for found in both if isinstance(found, str)), ""):
        return misformed(f"the judge: {trouble}")
    if any(not same(scores(r, "chosen", "rejected"), b) for r, b in zip(rows, both, strict=True)):
        return wrong("the same two texts get other scores when the judge is asked again.")
    turned = [scores(row, "rejected", "chosen") for row in rows]
    if any(not same(t, b[::-1]) for t, b in zip(turned, both, strict=True)):
        return wrong("the order in which two texts are shown changes their scores.")
    alone = [[*scores(row, "chosen"), *scores(row, "rejected")] for row in rows]
    if any(not same(a, b) for a, b in zip(alone, both, strict=True)):
        return wrong("a text alone gets another score than beside another text.")
    return order(rows, np.array(both, float))


def data(rows) -> str:
    """What is wrong with the pairs."""
    if not isinstance(rows, list | tuple) or not all(isinstance(r, Mapping) for r in rows):
        return "the pairs are a list of dictionaries: prompt, chosen, rejected."
    if len(rows) < ROWS:
        return f"{len(rows)} pairs are too few to tell a judge from a coin: make {ROWS} or more."
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder) / "pairs.jsonl", list(rows))
        found = check_data(Path(folder) / "pairs.jsonl")
    bad = [f for f in found if f.level == "problem" or f.code == "contradictions"]
    return f"check-data finds {bad[0].code}: {bad[0].seen}." if bad else ""


def asked(judge, prompt, texts: list[str], clock) -> list[float] | str:
    """Its scores, or a sentence."""
    done = attempts.call(judge, {"prompt": prompt, "texts": texts}, clock)
    if done.trouble:
        return done.trouble
    try:
        found = [float(score) for score in done.value]
    except (TypeError, ValueError):
        return "it gives no list of numbers, one for each text."
    if len(found) != len(texts):
        return f"{len(texts)} texts go in and {len(found)} numbers come out."
    return found if all(map(math.isfinite, found)) else "a score is not finite."


def same(a: list[float], b: list[float]) -> bool:
    """Equal but for rounding."""
    return bool(np.allclose(a, b, rtol=1e-5, atol=1e-7))


def order(rows: list[Mapping], both: np.ndarray) -> Verdict:
    """Does it put the pairs in their order, and by more than their lengths?"""
    if np.ptp(both) < 1e-9:
        return wrong("every text gets the same score.")
    gaps = both[:, 0] - both[:, 1]
    share = float(((1 + np.sign(gaps)) / 2).mean())
    if 1 - share >= AGREE:
        return wrong("your judge likes the rejected ones: its scores are upside down.")
    if share < AGREE:
        return wrong(f"your judge and your pairs agree on {share:.2f} of them only, ties half.")
    words = np.array([[len(str(r[s]).split()) for s in ("chosen", "rejected")] for r in rows])
    if abs(np.corrcoef(words.ravel(), both.ravel())[0, 1]) > 0.95:
        return wrong("its scores are the texts' lengths and nothing else.")
    return right(
        f"The judge and the pairs agree on {share:.2f}; it minds neither order nor company."
    )


# ---------------------------------------------------------------- what no code marks
TEACHER = (
    "C.1  Each bug: which evidence named it, and was it read before the code was changed?",
    "C.2  Why this loss: which failure of DPO does it answer, and is that said with a figure?",
    "C.2  In the plane: what does it want that DPO doesn't, and where does it come to rest?",
    "C.3  A prediction written down before the run; one seed is called one seed.",
    "C.3  Where it stands beside DPO at equal KL, with what would have to be run to be sure.",
    "C.4  What the judge can be fooled by, with a text that fools it.",
    "C.4  Where the pairs come from, who said which is better, and what was asked.",
    "All  A result that did not come out as hoped is reported, and nothing is claimed beyond it.",
)


def for_a_teacher() -> None:
    """Print what a person has to mark, a line each."""
    print("For a teacher, or a friend; 0 to 3 points each:")
    for line in TEACHER:
        print(f"[ ] {line}")


class Trainer(Own):
    """The book's own is a script that is read when it is asked for."""

    @property
    def own(self):
        """Five functions."""
        return capstone_trainer.own()

    @own.setter
    def own(self, value) -> None:
        """Nothing to keep."""


EXERCISES = {
    "C.1": Trainer(capstone_trainer.repaired),
    "C.2": Own(capstone_loss.pinned, capstone_loss.squared_hinge),
    "C.3": Own(ran, a_run()),
    "C.4": Own(judged, (own_judge, own_rows())),
}
