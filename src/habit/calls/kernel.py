"""The kernel: the only door to a model. What the journal knows is taken from there; all else is paid for and sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from typing import Any, TypeVar, overload

from habit.calls.account import NARROWED, Account
from habit.calls.ahead import CallsAhead
from habit.calls.budget import Budget, Ledger
from habit.calls.call import Call, Reply
from habit.calls.events import CallEnded, CallFinished, CallStarted
from habit.calls.fanout import Confirm, FanOutGate, Forecast, Planned, expected_output
from habit.calls.maps import Maps
from habit.calls.numbering import Numbering
from habit.calls.provider import Provider
from habit.calls.recorded import Records
from habit.calls.retry import RetryPolicy
from habit.calls.sending import Sender
from habit.calls.tokens import estimate_prompt, surely_more_than
from habit.calls.usage import Usage
from habit.errors import CallFailed
from habit.events import Observer, ignore
from habit.journal.replay import Recording
from habit.journal.store import Store

Slot = TypeVar("Slot")
Answer = TypeVar("Answer")


def _nothing() -> None:
    """Nobody wants to know."""


class Kernel:
    """Answers the bounded calls of one run and all its children, from the journal or from a model.

    Three modes. *Live*: without a recording. *Resume*: with the ``recording`` of the same run; what it holds is
    taken, everything else is asked live. *Replay*: with ``replay=True``; everything comes from the
    recording, and the store is neither read nor written. A call that was not recorded raises
    ReplayMismatch then; or BudgetExceeded, when ``stopped_by`` names the limit that had stopped the recorded run.

    The parts: ``Records`` is the journal, ``Account`` what may be used, ``Sender`` the way to a model, ``CallsAhead``
    what was sent before it was asked for, ``Maps`` many calls at once.
    """

    def __init__(
        self,
        root: Provider,
        leaf: Provider,
        *,
        store: Store,
        run_id: str,
        budget: Budget | None = None,
        within: Ledger | None = None,
        confirm: Confirm | None = None,
        confirm_usd: float = 1.0,
        recording: Recording | None = None,
        replay: bool = False,
        stopped_by: str | None = None,
        use_cache: bool = True,
        retry: RetryPolicy | None = None,
        on_event: Observer = ignore,
    ) -> None:
        if replay and recording is None:
            raise ValueError("a replay needs a recording")
        self.root = root
        self.leaf = leaf
        self._replay = replay
        self._on_event = on_event
        self._numbers = Numbering(store, recording, use_cache=use_cache)
        self._account = account = Account(budget or Budget(), within, on_event)
        self._records = Records(
            store, run_id, account, recording=recording, replay=replay, stopped_by=stopped_by, use_cache=use_cache
        )
        self._sender = Sender(root, leaf, account, retry or RetryPolicy(), self, on_event)
        written_off = recording.unasked if recording is not None and not replay else ()
        for record in written_off:
            account.paid_before(record)
        self.ahead = CallsAhead(account, self._sender, self._records, self._numbers, wasted=len(written_off))
        """Calls that the run has not asked for yet; none in a replay, which never opens it."""
        gate = FanOutGate(confirm, confirm_usd, run_id, on_event)
        self._maps = Maps(root, leaf, account, self._sender, self._numbers, gate)

    @property
    def ledger(self) -> Ledger:
        """The budget that calls made now are charged to."""
        return self._account.ledger

    @property
    def usage(self) -> Usage:
        """What the calls so far have cost; a call ahead counts as wasted once it is written off."""
        spent, wasted = self._account.meter.usage, self.ahead.wasted
        return replace(spent, speculated_calls=spent.speculated_calls + wasted, wasted_calls=wasted)

    def running(self) -> AbstractAsyncContextManager[None]:
        """Held while the run is under way: calls may run ahead, unless it is a replay, and none outlives this."""
        return nullcontext() if self._replay else self.ahead.open()

    async def fits(self, call: Call) -> bool:
        """Whether ``call`` should fit its model's window, its expected reply included; never asks a model.

        Decided by the cautious estimate alone, even where a provider can count exactly, so that a replay without that
        provider decides alike.
        """
        provider = self.root if call.role == "root" else self.leaf
        room = provider.window - expected_output(call, provider)
        if surely_more_than(call.measured, room):
            return False
        return await estimate_prompt(call.measured) <= room

    async def call(self, call: Call, *, final: bool = False, waits: Callable[[], None] = _nothing) -> Reply:
        """The reply to ``call``; a ``final`` one may use the call that the budget holds back.

        ``waits`` is called when a model has to be asked, and the call did not run ahead. The journal has the reply
        before it is returned. Raises CallFailed, BudgetExceeded, ReplayMismatch or JournalError.
        """
        occurrence = self._numbers.next(call.key)
        self._on_event(CallStarted(call, occurrence))
        failed: CallFailed | None = None
        reply: Reply | None = None
        try:
            reply = (
                self._records.take(call, occurrence)
                or await self._paid_for(call, occurrence)
                or await self._live(call, occurrence, final, waits)
            )
            return reply
        except CallFailed as failure:
            failed = failure
            self._account.meter.failed()
            raise
        finally:
            if reply is not None:
                self._on_event(CallFinished(call, occurrence, reply))
            else:
                self._on_event(CallEnded(call, occurrence, failed))

    async def _paid_for(self, call: Call, occurrence: int) -> Reply | None:
        """The reply for which nothing more has to be sent: to the same call that ran ahead, now or before this run was
        interrupted, or that another run made."""
        with self._account.away():
            ahead = await self.ahead.adopt(call, occurrence)
            if ahead is not None:
                return await self._records.keep(call, occurrence, ahead.sending, ahead=True, kept_as=ahead.kept_as)
        reply = await self._records.take_ahead(call, occurrence)
        if reply is not None:
            self.ahead.used_after_all()
            return reply
        return await self._records.remember(call, occurrence)

    async def _live(self, call: Call, occurrence: int, final: bool, waits: Callable[[], None]) -> Reply:
        """Ask the model, with everything written down before anyone may use it."""
        waits()
        try:
            measured = await self._sender.measure(call)
        except CallFailed as too_long:
            await self._records.keep_failure(call, occurrence, too_long)
            raise
        hold = await self._account.reserve(measured.estimate, final=final)
        with self._account.away(), self._sender.sending(hold) as sending:
            await self._sender.send(call, measured, hold, sending)
            return await self._records.keep(call, occurrence, sending)

    @overload
    async def call_all(self, slots: Sequence[Call]) -> list[Reply | CallFailed]: ...

    @overload
    async def call_all(
        self, slots: Sequence[Slot], answer: Callable[[Slot], Awaitable[Answer]]
    ) -> list[Answer | CallFailed]: ...

    async def call_all(self, slots: Sequence[Any], answer: Callable[[Any], Awaitable[Any]] | None = None) -> list[Any]:
        """Answers aligned with ``slots``, asked concurrently; one that failed holds its CallFailed instead.

        A slot is a Call, or whatever ``answer`` makes calls of. When the budget is used up, calls under way are still
        brought home, because they are paid for, no further one starts, and BudgetExceeded is raised. Any other error
        cancels the rest.
        """
        return await self._maps.call_all(slots, answer or self.call)

    def fan_out(
        self, planned: Planned, count: int, size: int, *, session: str, cell: int
    ) -> AbstractAsyncContextManager[None]:
        """Held while a map of ``count`` slots is under way, which have ``size`` bytes together.

        Before anything is sent, tells of a map that is large, and asks people about one that is expected to cost more
        than they have agreed to; see FanOutGate. A replay never asks. Raises BudgetExceeded when they say no.
        """
        return nullcontext() if self._replay else self._maps.passing(planned, count, size, session=session, cell=cell)

    def may_ask_people(self, count: int, size: int) -> bool:
        """Whether a map of ``count`` slots with ``size`` bytes together may be one that people are asked about."""
        return self._maps.may_ask_people(count, size)

    async def forecast(self, planned: Planned, *, skip_known: bool = False) -> Forecast:
        """What the ``planned`` calls are expected to take, by the rules of ``add_up``; asks no model.

        With ``skip_known``, those that the journal has a reply to are left out, which costs a look for each of them.
        """
        return await self._maps.forecast(planned, skip_known=skip_known)

    @asynccontextmanager
    async def narrowed(self, budget: Budget, *, stopped: bool = False) -> AsyncIterator[None]:
        """Held while a part of the run works within a budget of its own.

        To be stopped by that raises BudgetExceeded with the scope ``habit``, and stops that part alone. ``stopped``
        says, in a replay, that it was stopped so when it was recorded.
        """
        with self._records.stopped_by(NARROWED if stopped else None):
            async with self._account.narrowed(Budget() if self._replay else budget):
                yield

    def take_recorded(self, session: str) -> None:
        """Count the recorded calls of ``session``, which nobody will ask again, as if they had been asked again."""
        for key in self._records.take_session(session):
            self._numbers.next(key)
