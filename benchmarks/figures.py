"""Figures of one run of the bench, and the table they make."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import Any

Values = dict[str, list[float]]
"""Repetitions by side: ``habit``, ``rlms``, ``bare``."""

_SIDES = ("habit", "rlms", "bare")
_BEGIN = "<!-- written by `make bench`: begin -->"
_END = "<!-- written by `make bench`: end -->"


@dataclass
class Row:
    """One measure; less is better in all of them."""

    name: str
    unit: str
    aim: float | None = None
    """What ``habit`` should be at most, in ``unit``."""
    values: Values = field(default_factory=dict)

    def add(self, side: str, *values: float) -> None:
        self.values.setdefault(side, []).extend(values)

    def median(self, side: str) -> float | None:
        return statistics.median(self.values[side]) if self.values.get(side) else None

    @property
    def missed(self) -> bool:
        median = self.median("habit")
        return self.aim is not None and median is not None and median > self.aim

    @property
    def ratio(self) -> str:
        """How many times more ``rlms`` takes than Habit."""
        ours, theirs = self.median("habit"), self.median("rlms")
        if ours is None or theirs is None:
            return ""
        if not ours:
            return "=" if not theirs else f"{_number(theirs)} : 0"
        return f"{_number(theirs / ours)} ×"

    def cells(self) -> list[str]:
        """The row as the table shows it."""
        aim = (
            ""
            if self.aim is None or not self.values.get("habit")
            else f"≤ {_number(self.aim)} {'**missed**' if self.missed else 'met'}"
        )
        return [self.name, self.ratio, *(self._shown(side) for side in _SIDES), self.unit, aim]

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "medians": {side: self.median(side) for side in self.values}}

    def _shown(self, side: str) -> str:
        values = self.values.get(side)
        if not values:
            return ""
        if min(values) == max(values):
            return f"{_number(values[0])}"
        return f"{_number(statistics.median(values))} ({_number(min(values))}–{_number(max(values))}; {len(values)})"


@dataclass
class Report:
    """Everything one run of the bench found."""

    heading: str
    versions: dict[str, str]
    rows: list[Row]
    notes: list[str]

    @property
    def table(self) -> str:
        """Markdown, ratios first."""
        columns = ("measure", "rlms ÷ Habit", "Habit", "rlms", "bare client", "unit", "aim for Habit")
        lines = [columns, ("---",) * len(columns), *(row.cells() for row in self.rows)]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    @property
    def text(self) -> str:
        """What docs/benchmarks.md shows of it."""
        missed = [
            f"- {row.name}: {_number(row.median('habit') or 0)} {row.unit} instead of {_number(row.aim or 0)}"
            for row in self.rows
            if row.missed
        ]
        said = "Aims missed in this run:\n\n" + "\n".join(missed) if missed else "No aim was missed in this run."
        parts = [self.heading, *self.notes, self.table, said]
        return "\n\n".join(parts)

    def to_json(self) -> dict[str, Any]:
        return {
            "heading": self.heading,
            "versions": self.versions,
            "notes": self.notes,
            "rows": [row.to_json() for row in self.rows],
        }


def put_into(document: str, text: str) -> str:
    """``document`` with ``text`` between its two marks."""
    before, begin, rest = document.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"the document lacks the lines {_BEGIN} and {_END}")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def _number(value: float) -> str:
    """Two or three digits that count."""
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2g}" if abs(value) < 10 else f"{value:.1f}"
