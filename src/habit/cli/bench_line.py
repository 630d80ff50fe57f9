"""The line on stderr that says how far a bench is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from habit.cli.live_line import LiveLine
from habit.cli.output import note_line

if TYPE_CHECKING:
    from habit.bench.outcome import Outcome
    from habit.bench.plan import Item
    from habit.bench.runner import Progress

_LIVE_SECONDS = 0.2
_PLAIN_SECONDS = 15.0


class BenchLine:
    """Listens to a bench: a live line on a terminal, else a plain one now and then; each outcome with ``verbose``."""

    def __init__(self, *, oracle: bool, verbose: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._who = "oracle: " if oracle else ""
        self._verbose = verbose
        self._clock = clock
        self._began = clock()
        self._live = LiveLine()
        self._plain_told = ""
        self._at_start: int | None = None
        self._done = self._total = self._asked = self._right = 0
        self._usd: float | None = 0.0
        self._asking = ""

    def tell(self, progress: Progress) -> None:
        """Take note of how far it is."""
        self._done, self._total = progress.done, progress.total
        if self._at_start is None:
            self._at_start = progress.done
            if progress.done:
                self._above(f"Going on: {progress.done:,} of {progress.total:,} questions are answered already.")
        if progress.asking is not None:
            self._asking = _item_text(progress.asking)
        if (outcome := progress.outcome) is not None:
            self._usd = None if self._usd is None or outcome.usd is None else self._usd + outcome.usd
            if outcome.part != "learning":
                self._asked += 1
                self._right += outcome.right
            if self._verbose:
                self._above(f"{self._who}{_outcome_text(outcome)}")

    async def keep_fresh(self) -> None:
        """Redraw it now and then, until cancelled."""
        import anyio

        while True:
            await anyio.sleep(_LIVE_SECONDS if self._live.is_live else _PLAIN_SECONDS)
            self.tick()

    def tick(self) -> None:
        """Show how far it is, where that has changed."""
        if self._live.is_live:
            self._live.draw(self.line())
        elif self._total and (told := f"{self._done} {self._asking}") != self._plain_told:
            self._plain_told = told
            note_line(self.line())

    def line(self) -> str:
        """What is under way and how it went so far."""
        parts = [f"{self._who}{self._done:,}/{self._total:,}", self._asking]
        if self._asked:
            parts.append(f"{100 * self._right / self._asked:.0f} % right")
        parts.append("price unknown" if self._usd is None else f"${self._usd:.4f}")
        parts.append(_span(self._clock() - self._began))
        return ", ".join(part for part in parts if part)

    def close(self) -> None:
        """Take it away."""
        self._live.close()

    def _above(self, text: str) -> None:
        self._live.erase()
        note_line(text)


def _item_text(item: Item) -> str:
    from habit.bench.report.columns import size_text

    where = f"question {item.number + 1} of a stream" if item.number is not None else ""
    size = size_text(item.planned.size) if item.planned.size else ""
    noise = f"noise {item.noise:g}" if item.noise else ""
    learning = "to learn from" if item.part == "learning" else ""
    return " ".join(word for word in (item.family.name, size, item.strategy, learning, where, noise) if word)


def _outcome_text(outcome: Outcome) -> str:
    from habit.bench.report.columns import size_text

    right = "right" if outcome.right else f"wrong ({outcome.status})"
    by = f" by {outcome.answered_by}" if "@" in outcome.answered_by else ""
    return (
        f"{outcome.family} {size_text(outcome.size)} {outcome.strategy}: {right}{by}, {outcome.tokens:,} tokens, "
        f"{outcome.seconds:.1f} s (run {outcome.run})"
    )


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
