"""The budget of a day: what all runs of one journal may spend together, in this process and in others."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from habit.calls.budget import Amount, Budget, Ledger
from habit.errors import BudgetExceeded

DAY_SECONDS = 86_400


class DayLedger(Ledger):
    """The widest scope: US dollars in one UTC day.

    What this process spends is charged as it is spent. What others have spent is what the journal holds beyond that,
    as of the last ``catch_up``; in doubt, for calls on their way into the journal at that moment, it is taken too high.
    At midnight UTC everything starts afresh.
    """

    def __init__(self, max_usd: float | None, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(Budget(max_usd=max_usd), name="day")
        self._clock = clock
        self._day = self._today()
        self._own = 0.0
        """USD that this process was charged today."""
        self._own_recorded = 0.0
        """The part of that which the journal has."""

    async def catch_up(self, spent_since: Callable[[float], Awaitable[float]]) -> None:
        """Learn what others have spent today; ``spent_since`` gives the journal's USD from some Unix second on."""
        self._begin_day()
        day, recorded = self._day, self._own_recorded
        in_journal = await spent_since(day * DAY_SECONDS)
        self._begin_day()
        if day == self._day:
            self.spent = Amount(usd=max(0.0, in_journal - recorded) + self._own)
            self._line.advance()

    def _fits(self, estimate: Amount, final: bool) -> bool:
        self._begin_day()
        return super()._fits(estimate, final)

    def _exceeded_usd(self, allowed: float, next_usd: float) -> BudgetExceeded:
        return BudgetExceeded(
            f"All runs of this journal have spent {self.spent.usd:.4f} of the {allowed:g} USD allowed for today (UTC) "
            f"and the next call may cost {next_usd:.4f}; resume the run tomorrow, or give the day more with "
            "--max-usd-day.",
            limit="usd_day",
            scope=self.name,
        )

    def _spend(self, used: Amount) -> None:
        self._begin_day()
        self._own += used.usd
        self.spent += used

    def _note_recorded(self, usd: float, started: float) -> None:
        self._begin_day()
        if started >= self._day * DAY_SECONDS:
            self._own_recorded += usd

    def _limits(self) -> dict[str, float]:
        return {} if self.budget.max_usd is None else {"usd_day": self.budget.max_usd}

    def _used(self, limit: str) -> float:
        return self.spent.usd

    def _begin_day(self) -> None:
        today = self._today()
        if today > self._day:
            self._day = today
            self._own = self._own_recorded = 0.0
            self.spent = Amount()
            self._unwarned = self._limits()

    def _today(self) -> int:
        return int(self._clock() // DAY_SECONDS)
