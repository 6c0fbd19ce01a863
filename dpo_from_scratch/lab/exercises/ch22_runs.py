"""Chapter 22: what speaks against a name for one of the ten runs, and a log in TRL's columns."""

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np

from ...doctor import hooks
from ...doctor.curves import TRL_NAMES
from .. import records
from . import attempts, values
from .verdicts import UNTRIED, Verdict, misformed, right, unknown, wrong

HEALTHY = "healthy"
LN2 = math.log(2)
ALIKE = (HEALTHY, "end of text not scored", "chosen and rejected swapped")  # no curve of its own


@cache
def answers() -> dict[str, str]:
    """Letter -> what the run was, drawn as the chapter draws it."""
    bugs = list(hooks.BUGS["plain_loop.py"])
    draw = random.Random(22)
    cases = [None, *draw.sample(bugs, 9)]
    draw.shuffle(cases)
    return {x: bug or HEALTHY for x, bug in zip("ABCDEFGHIJ", cases, strict=True)}


@cache
def curves(bug: str) -> dict[str, np.ndarray]:
    """What TRL would log of this run, every fourth step."""
    at = _gallery().at(bug=None if bug == HEALTHY else bug, log="TRL's", seed=3)
    return {key: np.array(found, float) for key, found in at["curves"].items()}


@cache
def _gallery() -> records.Record:
    return records.Record.load("gallery")


_zeros = lambda run: int((run["margin"] == 0).sum())
_ordinary = lambda run: run["loss"].max() < 0.85 and 1.5 < run["grad_norm"][0] < 3
# a name -> whether a run's curves could be of that kind, and what speaks against it if not
COULD_BE: dict[str, tuple[Callable[[dict], bool], str]] = {
    "beta is zero": (
        lambda run: run["grad_norm"].max() == 0,
        "with β 0 there is no gradient, and its gradient norm isn't 0.",
    ),
    "reference is the policy": (
        lambda run: _zeros(run) == len(run["margin"]),
        "one model in both places has a margin of 0 at every step, and this run's leaves 0.",
    ),
    "reference moves": (
        lambda run: 4 < _zeros(run) < len(run["margin"]),
        "a reference that follows brings the margin back to exactly 0, again and again; look at "
        "its margin.",
    ),
    "dropout on": (
        lambda run: run["loss"][0] > LN2 + 0.05,
        "with dropout policy and reference differ before the first step, and its first loss is "
        "ln 2.",
    ),
    "log-softmax in bf16": (
        lambda run: 5e-4 < abs(run["loss"][0] - LN2) < 5e-3,
        "in bf16 ln 2 is rounded in the third digit; look at its first loss.",
    ),
    "learning rate too high": (
        lambda run: run["loss"].max() > 3,
        "a step too large throws the loss up to several nats; look at its scale.",
    ),
    "labels not shifted": (
        lambda run: run["chosen_logp"].mean() < -150,
        "a token after itself is less likely than a blind guess, some −100 nats for 21 tokens; "
        "look at its log-probability.",
    ),
    "mean for sum": (
        lambda run: run["chosen_logp"].mean() > -5,
        "a mean over tokens is about −1; look at its log-probability.",
    ),
    "prompt not masked": (
        lambda run: run["chosen_logp"].mean() < -60 and _ordinary(run),
        "a prompt that is scored adds its own log-probability and leaves the loss as it is; look "
        "at both.",
    ),
    "response truncated": (
        lambda run: -19 < run["chosen_logp"].mean() < -10,
        "a response that was cut has fewer tokens, and so a log-probability nearer to 0 than 21 "
        "tokens have.",
    ),
    "end of text doubled": (
        lambda run: 0.6 < run["loss"].mean() < 0.7 and run["grad_norm"][0] > 5,
        "a second end makes the loss higher and the first gradient several times larger.",
    ),
    "left padding without positions": (
        lambda run: -60 < run["chosen_logp"][0] < -35,
        "texts read at the wrong places are far less likely, from the first step on; look at its "
        "log-probability and at the first gradient.",
    ),
    **dict.fromkeys(
        ALIKE,
        (
            lambda run: _ordinary(run) and -24 < run["chosen_logp"].mean() < -20,
            "its curves are not like those of a healthy run: look at the scale of its loss, at "
            "its gradient, and at its log-probability.",
        ),
    ),
}


def letters(attempt) -> dict[str, str] | str:
    """Letter -> name, blanks left out; or a sentence."""
    if isinstance(attempt, Mapping):
        given = {str(k).strip().upper(): v for k, v in attempt.items()}
    elif isinstance(attempt, list | tuple) and len(attempt) == 10:
        given = dict(zip(answers(), attempt, strict=True))
    else:
        return 'a dictionary is asked, {"A": "healthy", ...}, with the names of the list.'
    if odd := set(given) - set(answers()):
        return f"no run is called {', '.join(sorted(odd))}: they are A to J."
    tidy = {x: " ".join(str(v or "").lower().split()) for x, v in given.items()}
    known = {name.lower(): name for name in COULD_BE}
    if odd := [v for v in tidy.values() if v and v not in known]:
        return f"spell them as in the list: {odd[0]!r} isn't in it."
    return {x: known[v] for x, v in sorted(tidy.items()) if v}


def name_runs(attempt) -> Verdict:
    """What speaks against the first wrong name; the three that no curve of their own decides."""
    said = letters(attempt)
    if isinstance(said, str):
        return misformed(said)
    if not said:
        return Verdict("untried", UNTRIED)
    off = [x for x in said if said[x] != answers()[x]]
    for x in off:
        could, why = COULD_BE[said[x]]
        if not could(curves(answers()[x])):
            return wrong(f"{x}: {why}")
    if off:
        return of_the_three(said, off)
    if missing := [x for x in answers() if x not in said]:
        return misformed(f"nothing wrong so far; without a name: {', '.join(missing)}.")
    return right(
        "Seven of ten are decided by their own curves. Three needed the others beside them: of a "
        "run alone, ask for the ends scored, and read a decoded pair."
    )


def of_the_three(said: dict, off: list[str]) -> Verdict:
    """Names that each run's own curves allow."""
    real = next(x for x, name in answers().items() if name == HEALTHY)
    first = f"{', '.join(off)}: the curves of such a run alone don't decide. "
    if real in off or HEALTHY in [said[x] for x in off]:
        return wrong(
            first + "But another run has the loss curve of the healthy one to the last digit: a "
            "bug that leaves DPO's loss as it is."
        )
    return wrong(
        first + "Compare their log-probabilities with the healthy run's, step by step: a token "
        "that is left out makes a text more likely at every step."
    )


# ---------------------------------------------------------------- 22.3
ODD = 0.3
DROPPED = ("eos", "scored", "chosen_length", "rejected_length")
OURS = {**{ours: theirs for theirs, ours in TRL_NAMES.items()}, "loss": "loss", "step": "step"}
CURVES = {  # three steps of a run, as the chapter keeps them
    "step": [1, 2, 3],
    "loss": [0.6931, 0.6702, 0.6417],
    "grad_norm": [2.24, 2.31, 2.02],
    "learning_rate": [5e-5, 1e-4, 1.5e-4],
    "margin": [0.0, 0.061, 0.152],
    "accuracy": [0.5, 0.656, 0.719],
    "chosen_reward": [0.0, -0.013, 0.043],
    "rejected_reward": [0.0, -0.074, -0.109],
    "chosen_logp": [-20.9, -22.4, -21.3],
    "rejected_logp": [-22.1, -20.6, -23.7],
    "chosen_length": [20.4, 21.0, 20.7],
    "rejected_length": [20.1, 21.3, 20.9],
    "eos": [1.0, 1.0, 1.0],
    "scored": [0.75, 0.74, 0.76],
}


def as_trl(curves: Mapping[str, Sequence[float]]) -> list[dict]:
    """TRL's `log_history` of a run: a dictionary a step, with an odd first row."""
    kept = {key: OURS.get(key, key) for key in curves if key not in DROPPED}
    steps = range(len(curves["loss"]))
    history = [{name: curves[key][i] for key, name in kept.items()} for i in steps]
    odd = {"rewards/margins": ODD, "rewards/chosen": ODD, "loss": math.log1p(math.exp(-ODD))}
    return [history[0] | odd, *history[1:]]


def log_of(attempt) -> Verdict:
    """Whether a function of a run's curves gives them as TRL logs them, with the odd first row."""
    if not callable(attempt):
        return misformed("a function of (curves) is asked, which gives a list of dictionaries.")
    if why := attempts.misfit(attempt, {"curves": CURVES}):
        return misformed(why)
    done = attempts.call(attempt, {"curves": CURVES}, attempts.Clock())
    if done.trouble:
        return misformed(done.trouble)
    log = done.value.get("log_history") if isinstance(done.value, Mapping) else done.value
    if isinstance(log, str):
        log = json.loads(log) if log.lstrip().startswith("[") else None
    if log is None or isinstance(log, Mapping) or not all(isinstance(r, Mapping) for r in log):
        return misformed("a list is asked, with a dictionary for each step.")
    return rows_of(list(log))


def rows_of(log: list[Mapping]) -> Verdict:
    """Names first, then how many rows, the later rows, the first."""
    wanted = as_trl(CURVES)
    if why := named(log):
        return wrong(why)
    if len(log) != len(wanted):
        return wrong(f"the run has {len(wanted)} steps, and yours has {len(log)} rows.")
    same = lambda a, b, name: values.same(a.get(name), b[name], 1e-3, 1e-4)
    for a, b in zip(log[1:], wanted[1:], strict=True):
        if off := [name for name in OURS.values() if not same(a, b, name)]:
            return later(off[0], a, b)
    off = [name for name in OURS.values() if not same(log[0], wanted[0], name)]
    if not off:
        return right("One odd row among healthy ones is enough for the doctor, in TRL's words too.")
    return first_row(log[0], off)


def named(log: list[Mapping]) -> str:
    """What is wrong with the names."""
    there = set().union(*log) if log else set()
    missing = [name for name in OURS.values() if name not in there]
    ours = [name for name, theirs in OURS.items() if name in there and theirs != name]
    if missing and ours:
        return f"`{ours[0]}` is this book's name for a column: TRL's is asked."
    if missing:
        return f"`{missing[0]}` is missing; `check_run` finds a column by TRL's name."
    if not all(set(OURS.values()) <= set(row) for row in log):
        return "only some rows have all columns: change the first row, don't replace it."
    return ""


def later(name: str, row: Mapping, wanted: Mapping) -> Verdict:
    """A row after the first is not as it was."""
    if name in ("rewards/margins", "rewards/chosen", "loss"):
        return wrong("a row after the first has changed: only the first one is odd.")
    if name == "step":
        return wrong("steps count from 1, and each row has its own.")
    if any(values.same(row[name], wanted[n], 1e-3, 1e-4) for n in OURS.values() if n != name):
        return wrong(f"`{name}` holds another column's numbers.")
    return unknown(f"`{name}` of a later row isn't as it was.")


def first_row(row: Mapping, off: list[str]) -> Verdict:
    """What is wrong with the odd row."""
    loss = float(row["loss"])
    told = {
        "it is still the loss of a margin of 0": LN2,
        "that is log σ(0.3), without its minus": -math.log1p(math.exp(-ODD)),
        "that is −log σ(−0.3): the margin goes in with the wrong sign": math.log1p(math.exp(ODD)),
        "that is σ(0.3): a −log is missing": 1 / (1 + math.exp(-ODD)),
        "β stands in the margin already: it goes in twice": math.log1p(math.exp(-0.6 * ODD)),
        "a logarithm to base 10": math.log10(1 + math.exp(-ODD)),
        "a logarithm to base 2": math.log2(1 + math.exp(-ODD)),
    }
    if "rewards/margins" in off or "rewards/chosen" in off:
        which = next(name for name in ("rewards/margins", "rewards/chosen") if name in off)
        where = "still as it was" if abs(float(row[which])) < 1e-6 else "not what was asked"
        return wrong(f"the first row's `{which}` is {where}.")
    if "rewards/rejected" in off:
        return wrong("the rejected reward stays as it was: margin is chosen less rejected.")
    if "loss" in off:
        for why, value in told.items():
            if abs(loss - value) < 2e-3:
                return wrong(f"the first row's loss: {why}.")
        return unknown(f"the first row's loss is {loss:.4g}.")
    if "step" in off:
        return wrong("steps count from 1, and each row has its own.")
    return wrong(f"`{off[0]}` of the first row should be as it was.")
