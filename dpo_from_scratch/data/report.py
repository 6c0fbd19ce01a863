"""What reading a file found, and the error for what can't be read."""

from collections import Counter
from dataclasses import dataclass, field

SHOWN, REASONS, NAMES = 8, 60, 20  # lines of a reason, reasons, columns: as many are kept


class DataError(ValueError):
    """A row, file or example that can't be used; the message says where, what, and what to do."""


@dataclass
class Report:
    """What reading a file found.

    `rows` used, `left_out` and `warnings` reason -> rows, and the first `lines` of each. `kind`
    the rows were read as, `unit` that is counted ("line" or "row"), columns `not_used`.
    """

    path: str = ""
    rows: int = 0
    left_out: Counter = field(default_factory=Counter)
    warnings: Counter = field(default_factory=Counter)
    lines: dict[str, list[int]] = field(default_factory=dict)
    kind: str = ""
    unit: str = "line"
    not_used: dict[str, None] = field(default_factory=dict)  # an ordered set

    def error(self, line: int, reason: str) -> None:
        """Count a row that is not used."""
        self._add(self.left_out, line, reason)

    def warning(self, line: int, reason: str) -> None:
        """Count a row that is used, and what is odd about it."""
        self._add(self.warnings, line, reason)

    def _add(self, counts: Counter, line: int, reason: str) -> None:
        if reason not in counts and len(counts) >= REASONS:
            reason = "other reasons"  # reasons may quote a row, and a report must not grow with it
        counts[reason] += 1
        first = self.lines.setdefault(reason, [])
        if len(first) < SHOWN:
            first.append(line)

    def where(self, reason: str, count: int) -> str:
        """The first lines of a reason that `count` rows have: "line 3, 7, ..."."""
        more = ", ..." if count > len(self.lines[reason]) else ""
        return f"{self.unit} {', '.join(map(str, self.lines[reason]))}{more}"

    def __str__(self) -> str:
        read = f"read as {self.kind}, " if self.kind else ""
        out = [f"{self.path}: {read}{self.rows} rows used, {self.left_out.total()} left out"]
        for word, counts in (("left out", self.left_out), ("warning", self.warnings)):
            for reason, n in counts.most_common():
                out.append(f"  {word} {n}: {reason} ({self.where(reason, n)})")
        if self.not_used:
            more = ", ..." if len(self.not_used) >= NAMES else ""
            out.append(f"  not used: {', '.join(self.not_used)}{more}")
        return "\n".join(out)
