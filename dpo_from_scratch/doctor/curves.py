"""The curves of a run, ours or TRL's, read as causes, with what they can't tell."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from . import signs
from .beginning import check_beginning
from .findings import CAUSES, Finding
from .logs import TRL_NAMES, Log, read_log  # noqa: F401

NEVER = "chosen and rejected exchanged, wrong text or wrong positions: no curve shows these"


@dataclass
class Diagnosis:
    """What a log shows: findings, the most certain evidence first, and what it can't tell.

    `looked_for` are codes of CAUSES; `could_not` sentences, each with its reason.
    """

    where: Path
    findings: list[Finding] = field(default_factory=list)
    looked_for: list[str] = field(default_factory=list)
    could_not: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def add(self, code: str, seen: str, sure="likely", level="problem", **where) -> None:
        """A finding; `where` are its row (a step) and its number."""
        self.findings.append(Finding(code, seen, sure, level, **where))

    def looks_for(self, *codes: str) -> None:
        """These causes would have been seen in this log."""
        self.looked_for += [code for code in codes if code not in self.looked_for]

    @property
    def problems(self) -> list[Finding]:
        """The findings that are no mere notes."""
        return [f for f in self.findings if f.level == "problem"]

    def __str__(self) -> str:
        lines = [f"read: {line}" for line in self.told] + [str(f) for f in self.findings]
        if not self.problems:
            names = ", ".join(self.looked_for) or "nothing"
            lines.append(f"nothing found of what these curves can show; looked for: {names}")
        return "\n".join(lines + [f"could not judge: {line}" for line in self.could_not])


def read_curves(path: str | Path) -> dict[str, np.ndarray]:
    """The columns of a run, by name.

    runs/NAME (its metrics.jsonl), a metrics.jsonl, or TRL's trainer_state.json; DataError if none.
    """
    return read_log(path).columns


def check_run(path: str | Path) -> list[Finding]:
    """What the curves of a run show. An empty list is no proof of health: see `diagnose`."""
    return diagnose(path).findings


def diagnose(path: str | Path) -> Diagnosis:
    """Read a run's curves as causes, and say what they can't tell. DataError if there are none.

    First what is not finite; then only what the log can carry, by steps and not by rows.
    """
    log = read_log(path)
    out = Diagnosis(log.where, told=list(log.told))
    log = signs.check_finite(out, log)
    if len(log):
        signs.check_counters(out, log)
        if log.has("margin"):
            _check_pairs(out, log)
        else:
            _check_loss_alone(out, log)
    out.could_not.append(NEVER)
    out.findings.sort(key=lambda f: f.level == "note")
    assert {f.code for f in out.findings} <= CAUSES.keys()
    return out


def _check_pairs(out: Diagnosis, log: Log) -> None:
    """The curves of a loss on pairs: flat, then the beginning, then the course."""
    if signs.check_flat(out, log):
        return
    signs.check_returns(out, log)
    sound = not out.problems
    sound = not (sound and check_beginning(out, log)) and sound
    signs.check_course(out, log, sound)


def _check_loss_alone(out: Diagnosis, log: Log) -> None:
    """A log without margins, of SFT or of KTO's own columns: its loss is all there is."""
    out.could_not.append(
        "the reference, beta, dropout, the margin's course: the log has no rewards/... columns"
    )
    signs.check_rise(out, log, log["loss"][0])
