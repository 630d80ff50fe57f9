"""What one run has used and may still use: its budget, what its calls cost so far, and how it is stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import NoReturn

import anyio

from habit.calls.budget import Amount, Budget, Ledger, Reservation
from habit.calls.call import Reply, Role
from habit.calls.fanout import ENOUGH_REPLIES
from habit.calls.usage import UsageMeter
from habit.errors import BudgetExceeded
from habit.events import Observer
from habit.journal.records import CallRecord

NARROWED = "habit"
"""The scope of a budget that belongs to a part of a run."""


class Account:
    """Budget and usage of one run and all its children."""

    def __init__(self, budget: Budget, within: Ledger | None, on_event: Observer) -> None:
        self.ledger = Ledger(budget, parent=within, on_event=on_event)
        """Of the run, or of the part of it that works within a budget of its own."""
        self.meter = UsageMeter()
        self._run_ledger = self.ledger
        self._on_event = on_event
        self._longest: dict[Role, int] = {"root": 0, "leaf": 0}
        """Output tokens of the longest reply so far."""
        self._replies: dict[Role, int] = {"root": 0, "leaf": 0}
        """How many replies there were."""
        self._away = 0
        """Calls under way: they hold a reservation, and the journal does not have them yet."""
        self._all_home: anyio.Event | None = None
        self._refusal: BudgetExceeded | None = None
        """Why no further call of this run may leave, but for a final one."""

    @asynccontextmanager
    async def narrowed(self, budget: Budget) -> AsyncIterator[None]:
        """Held while a part of the run works within ``budget``; to be stopped by that stops that part alone."""
        outer = self.ledger
        self.ledger = Ledger(budget, parent=outer, name=NARROWED, on_event=self._on_event)
        try:
            async with self.ledger.timed():
                yield
        finally:
            self.ledger = outer
            if self._refusal is not None and self._refusal.scope == NARROWED:
                self._refusal = None

    @contextmanager
    def away(self) -> Iterator[None]:
        """Held while a call of the run is under way."""
        self._away += 1
        try:
            yield
        finally:
            self._away -= 1
            if not self._away and self._all_home is not None:
                self._all_home.set()
                self._all_home = None

    async def reserve(self, estimate: Amount, *, final: bool) -> Reservation:
        """Room for a call in every budget; once a call was refused, only a final one still gets any."""
        if self._refusal is not None and not final:
            await self.refuse(self._refusal)
        try:
            hold = await self.ledger.reserve(estimate, final=final)
        except BudgetExceeded as refusal:
            if not final:
                await self.refuse(refusal)
            raise
        if self._refusal is not None and not final:
            hold.release()
            await self.refuse(self._refusal)
        return hold

    def reserve_ahead(self, estimate: Amount) -> Reservation | None:
        """Room for a call that nobody needs yet; None when any budget is tight."""
        return None if self._refusal else self.ledger.hold_if_ample(estimate)

    async def refuse(self, refusal: BudgetExceeded) -> NoReturn:
        """Stop the run: no call leaves any more, and those under way come home before anybody is told, because to
        be told ends the run, and they are paid for."""
        self._refusal = self._refusal or refusal
        while self._away:
            self._all_home = self._all_home or anyio.Event()
            await self._all_home.wait()
        raise BudgetExceeded(str(refusal), limit=refusal.limit, scope=refusal.scope)

    def settle(self, role: Role, reply: Reply, hold: Reservation) -> None:
        """A call has ended with ``reply``, for which ``hold`` was reserved."""
        self.meter.live(
            role, reply.input_tokens, reply.output_tokens, reply.usd, cache_read_tokens=reply.cache_read_tokens
        )
        hold.settle(Amount(1, reply.input_tokens + reply.output_tokens, reply.usd or 0.0))

    def heard(self, role: Role, reply: Reply) -> None:
        """Learn from a good reply how long those to come may be."""
        self._longest[role] = max(self._longest[role], reply.output_tokens)
        self._replies[role] += 1

    def longest(self, role: Role) -> int:
        """Output tokens of the longest reply so far, so that a budget is not overrun by a model that writes more than
        expected."""
        return self._longest[role]

    def usual_longest(self, role: Role) -> int | None:
        """The same once there were enough replies for it to say what is usual."""
        return self._longest[role] if self._replies[role] >= ENOUGH_REPLIES else None

    def paid_before(self, record: CallRecord) -> None:
        """Count what this run had paid before it was interrupted."""
        role: Role = "root" if record.role == "root" else "leaf"
        cached = record.cache_read_tokens
        self.meter.live(role, record.input_tokens, record.output_tokens, record.usd, cache_read_tokens=cached)
        if record.ahead and not record.unasked:
            self.meter.adopted()
        used = Amount(1, record.input_tokens + record.output_tokens, record.usd or 0.0)
        for ledger in {self.ledger, self._run_ledger}:  # two while a part of the run is narrowed
            ledger.charge(used, live=False)
