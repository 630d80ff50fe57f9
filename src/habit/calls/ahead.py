"""Calls ahead: leaf calls that were started before the run asked for them, because it probably will.

A call ahead is paid for like any other: it holds a reservation, waits for its turn at the provider, is counted in the
usage and charged to every budget. What sets it apart is that it has no occurrence number. It gets one when the run
asks for the very same call and so *adopts* it; the journal has it under that number before the reply is used. A call
that nobody adopts is *written off* at the end: journalled with a negative number, which no replay ever asks for. So is
a reply that has waited for a while, until it is adopted: a run that is killed must not pay for it again.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

from habit.calls.account import Account
from habit.calls.call import Call
from habit.calls.lines import Early
from habit.calls.numbering import Numbering
from habit.calls.recorded import Records
from habit.calls.sending import Sender, Sending
from habit.errors import CallFailed
from habit.tasks import task_group

UNWRITTEN_SECONDS = 0.5
"""How long a reply nobody has asked for may be in memory alone; most are asked for sooner, and written once."""


@dataclass(eq=False)
class Ahead:
    """One call that runs ahead; ``over`` once it has its reply, has failed, or was not sent after all."""

    call: Call
    sending: Sending = field(default_factory=Sending)
    over: anyio.Event = field(default_factory=anyio.Event)
    early: Early = field(default_factory=Early)
    """At the provider it goes after all that somebody waits for, until the run asks for it."""
    wanted_as: int | None = None
    """The number under which the run asked for it, and then was stopped before it had the reply."""
    kept_as: int | None = None
    """The negative number under which the journal has it already."""
    keeping: anyio.Lock = field(default_factory=anyio.Lock)
    """Held while it is written down, so that it is not adopted meanwhile."""

    @property
    def is_usable(self) -> bool:
        """Whether its reply may stand for that of a call the run asks for. A failure may not: it is tried again."""
        return self.sending.reply is not None and self.sending.failure is None


class CallsAhead:
    """The calls that run ahead of one run, and the tasks that wait for them."""

    def __init__(self, account: Account, sender: Sender, records: Records, numbers: Numbering, *, wasted: int) -> None:
        """``wasted`` is how many were written off before this run was interrupted."""
        self.wasted = wasted
        """How many were written off."""
        self._account = account
        self._sender = sender
        self._records = records
        self._numbers = numbers
        sender.on_leave.add(self.tell)
        self._group: TaskGroup | None = None
        self._waiting: defaultdict[str, deque[Ahead]] = defaultdict(deque)
        self._of_no_use: list[Ahead] = []
        self._coming: list[Ahead] = []
        """Those that may not have come to the provider yet."""
        self._change = anyio.Event()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Calls may run ahead inside; at the end those under way are stopped, and all that are left written off."""
        try:
            async with task_group() as group:
                self._group = group
                try:
                    yield
                finally:
                    self._group = None
                    group.cancel_scope.cancel()
        finally:
            left = [*self._of_no_use, *(ahead for aheads in self._waiting.values() for ahead in aheads)]
            self._of_no_use.clear()
            self._waiting.clear()
            with anyio.CancelScope(shield=True):
                for ahead in left:
                    await self._write_off(ahead)

    @property
    def is_open(self) -> bool:
        """Whether calls may run ahead."""
        return self._group is not None

    @property
    def has_room(self) -> bool:
        """Whether it is of use to start one more now."""
        self._coming = [ahead for ahead in self._coming if not ahead.early.came and not ahead.over.is_set()]
        return self._sender.has_room(len(self._coming))

    def count(self, call: Call) -> int:
        """How many such calls nobody has adopted yet."""
        return len(self._waiting.get(call.key, ()))

    def find(self, call: Call, nth: int) -> Ahead | None:
        """The nth of such calls that nobody has adopted yet, counted from 0; None when there are fewer."""
        waiting = self._waiting.get(call.key, ())
        return waiting[nth] if nth < len(waiting) else None

    def start(self, call: Call) -> Ahead:
        """Start ``call`` ahead and return at once; whoever wants its reply without adopting it may wait for that."""
        assert self._group is not None
        ahead = Ahead(call)
        waiting = self._waiting[call.key]
        waiting.append(ahead)
        self._coming.append(ahead)
        expected = self._numbers.upcoming([call.key] * len(waiting))[-1]
        self._group.start_soon(self._run, ahead, expected)
        return ahead

    def used_after_all(self) -> None:
        """One that was written off before this run was interrupted has been asked for."""
        self.wasted -= 1
        self._account.meter.adopted()

    async def adopt(self, call: Call, occurrence: int) -> Ahead | None:
        """Such a call that was started ahead, its reply waited for if need be; None when there is none to be had."""
        while waiting := self._waiting.get(call.key):
            ahead = waiting.popleft()
            ahead.early.need()
            try:
                await ahead.over.wait()
                async with ahead.keeping:
                    pass
            except BaseException:
                ahead.wanted_as = occurrence
                waiting.appendleft(ahead)  # paid for, and nobody's
                raise
            if ahead.is_usable:
                self._account.meter.adopted()
                return ahead
            self._of_no_use.append(ahead)
        return None

    async def changed(self) -> None:
        """Wait until a call has left for the provider, or a call ahead is over: there may be room for another."""
        await self._change.wait()

    def tell(self) -> None:
        """A call has left, or one ahead is over."""
        self._change.set()
        self._change = anyio.Event()

    async def _run(self, ahead: Ahead, expected: tuple[str | None, int]) -> None:
        """Send one, and write its reply down if it has to wait; ``expected`` is what the run is going to ask for."""
        try:
            if not await self._numbers.is_known(expected):
                await self._send(ahead)
        finally:
            ahead.over.set()
            waiting = self._waiting[ahead.call.key]
            if not ahead.is_usable and ahead in waiting:
                waiting.remove(ahead)
                self._of_no_use.append(ahead)
            self.tell()
        if ahead in waiting:
            await anyio.sleep(UNWRITTEN_SECONDS)
            await self._keep(ahead)

    async def _send(self, ahead: Ahead) -> None:
        """Send one, if no budget is tight."""
        call = ahead.call
        try:
            measured = await self._sender.measure(call)
        except CallFailed:
            return  # the run is told when it asks
        hold = self._account.reserve_ahead(measured.estimate)
        if hold is not None:
            with self._sender.sending(hold) as ahead.sending:
                await self._sender.send(call, measured, hold, ahead.sending, ahead.early)

    async def _keep(self, ahead: Ahead) -> None:
        """Write its reply down, unless it was adopted; it still may be."""
        async with ahead.keeping:
            if ahead in self._waiting[ahead.call.key]:
                number = self._numbers.in_vain(ahead.call.key)
                await self._records.keep(ahead.call, number, ahead.sending, ahead=True)
                ahead.kept_as = number

    async def _write_off(self, ahead: Ahead) -> None:
        """Keep the reply of one that nobody asked for; other runs may, or this one when it is resumed."""
        sending = ahead.sending
        if not sending.attempts:
            return
        self.wasted += 1
        if sending.reply is not None and ahead.kept_as is None:
            with suppress(CallFailed):
                number = self._numbers.in_vain(ahead.call.key, ahead.wanted_as)
                await self._records.keep(ahead.call, number, sending, ahead=True)
