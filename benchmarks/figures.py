"""Figures of one run of the bench, and the table they make."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import Any

Values = dict[str, list[float]]
"""Repetitions by side: ``habit``, a peer, or ``bare``."""

_PEERS = ("rlms", "dspy")
_SIDES = ("habit", *_PEERS, "bare")
_BEGIN = "<!-- written by `make bench`: begin -->"
_END = "<!-- written by `make bench`: end -->"


@dataclass
class Row:
    """One measure; less is better in all of them."""

    name: str
    unit: str
    aim: float | None = None
    """What ``habit`` should be at most, in ``unit``."""
    lead: dict[str, float] = field(default_factory=dict)
    """How many times more each peer should take at least."""
    values: Values = field(default_factory=dict)

    def add(self, side: str, *values: float) -> None:
        self.values.setdefault(side, []).extend(values)

    def median(self, side: str) -> float | None:
        return statistics.median(self.values[side]) if self.values.get(side) else None

    @property
    def missed(self) -> list[str]:
        """What was aimed at and not reached."""
        return [f"{found} instead of {aim}" for aim, found, met in self._aims() if not met]

    def ratio(self, peer: str) -> str:
        """How many times more ``peer`` takes than Habit."""
        ours, theirs = self.median("habit"), self.median(peer)
        if ours is None or theirs is None:
            return ""
        if not ours:
            return "=" if not theirs else f"{_number(theirs)} : 0"
        return f"{_number(theirs / ours)} ×"

    def cells(self) -> list[str]:
        """The row as the table shows it."""
        aims = "; ".join(f"{aim} {'met' if met else '**missed**'}" for aim, _, met in self._aims())
        ratios = [self.ratio(peer) for peer in _PEERS]
        return [self.name, *ratios, *(self._shown(side) for side in _SIDES), self.unit, aims]

    def _aims(self) -> list[tuple[str, str, bool]]:
        """Each aim, what was found, and whether it is met; those without figures are left out."""
        ours = self.median("habit")
        if ours is None:
            return []
        aims = (
            [] if self.aim is None else [(f"≤ {_number(self.aim)}", f"{_number(ours)} {self.unit}", ours <= self.aim)]
        )
        for peer, least in self.lead.items():
            theirs = self.median(peer)
            if theirs is not None:
                aims.append((f"≥ {_number(least)} × {peer}", self.ratio(peer), theirs >= least * ours))
        return aims

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "medians": {side: self.median(side) for side in self.values}}

    def _shown(self, side: str) -> str:
        values = self.values.get(side)
        if not values:
            return ""
        if len(values) == 1:
            return f"{_number(values[0])} (once)"
        if min(values) == max(values):
            return f"{_number(values[0])} ({len(values)})"
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
        columns = ("measure", *(f"{peer} ÷ Habit" for peer in _PEERS), "Habit", *_PEERS, "bare client", "unit", "aim")
        lines = [columns, ("---",) * len(columns), *(row.cells() for row in self.rows)]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    @property
    def text(self) -> str:
        """What docs/benchmarks.md shows of it."""
        missed = [f"- {row.name}: {missed}" for row in self.rows for missed in row.missed]
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
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
