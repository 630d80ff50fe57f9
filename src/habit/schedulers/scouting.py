"""Scouts: copies of a session that run ahead of it, only to discover the calls that it will make.

While a cell waits for a model, a *scout* does what the session did so far, from its tape, and goes on with predicted
replies. Every leaf call it comes to is started ahead (``Kernel.ahead``); what it prints, answers and computes is
thrown away. The session itself consumes real replies only, so that a scout that went wrong costs calls and nothing
else. A scout is a session like any other, opened from the same shared context: the same walls, the same limits.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import anyio
from anyio.abc import TaskGroup

from habit.calls.call import Call
from habit.calls.kernel import Kernel
from habit.calls.returns import Returns
from habit.errors import CallFailed, SandboxError, SessionDied
from habit.sandbox.session import CellResult, LlmRequest, Sandbox, Session
from habit.schedulers.certain import certain_lines
from habit.schedulers.live import LiveSession
from habit.schedulers.speculation import Dependence, History, Place, Predicted, Stream
from habit.schedulers.tape import Tape, TapedCell, TapedReply, asks, is_told_whole
from habit.tasks import task_group

Plan = Callable[[LlmRequest], Awaitable[tuple[Call | None, Returns]]]
"""What a request will be: a call, or None for a child run. Raises CallFailed."""

MOST_SCOUTS = 8
"""Scouts alive at once in one sandbox, whatever the number of runs and children: each is a process."""
MOST_REPEATED_SECONDS = 5.0
"""Seconds of its own work that a session may have done for a scout to do it all again."""

_scouts: WeakKeyDictionary[Sandbox, Counter[str]] = WeakKeyDictionary()


class Speculation:
    """What runs ahead of the sessions of one run."""

    def __init__(self, kernel: Kernel, sandbox: Sandbox, limit: int) -> None:
        self.kernel = kernel
        self.limit = limit
        self.history = History()
        self.scouts = _scouts.setdefault(sandbox, Counter())
        """How many scouts there are in this sandbox, as the count of ``alive``."""

    @asynccontextmanager
    async def about(self, live: LiveSession, code: str) -> AsyncIterator[Lookout]:
        """Held while a cell of ``live`` runs; no scout outlives it."""
        if not self.limit:
            live.tape.repeatable = False  # it lacks this cell
            yield Lookout(self, live, None, None)
            return
        with live.tape.recording(code) as cell:
            async with task_group() as group:
                lookout = Lookout(self, live, cell, group)
                try:
                    yield lookout
                finally:
                    await lookout.close()


class Lookout:
    """Keeps the tape of one cell while it runs, and sends scouts ahead when it begins to ask one thing after another.

    Without a task group it does neither.
    """

    def __init__(
        self, speculation: Speculation, live: LiveSession, cell: TapedCell | None, group: TaskGroup | None
    ) -> None:
        self.plan: Plan | None = None
        self.stream = Stream(speculation.limit if speculation.history.is_good else 0)
        self.tape = live.tape
        self.speculation = speculation
        self._live = live
        self._cell = cell
        self._group = group
        self._scout: Scout | None = None
        self._begun: set[int] = set()
        self.dependence = Dependence()
        self._planned: dict[Place, tuple[Call | None, Returns]] = {}
        self._certain_lines = certain_lines(cell.code) if cell else frozenset()
        self._news = anyio.Event()
        self._worked = 0.0
        """Seconds of the cell's own work, up to when it last began to wait."""
        self._works_since = time.monotonic()
        self._waiting = 0
        """Questions that it waits for."""

    @contextmanager
    def asking(self, request: LlmRequest) -> Iterator[Asked]:
        """Held while the session waits for the reply to ``request``."""
        self._worked, self._waiting = self._own_seconds(), self._waiting + 1
        asked = Asked(self, request, self.tape.ask(asks(request)) if self._group else None)
        try:
            yield asked
        except CallFailed as failure:
            asked.told(failure)
            raise
        finally:
            self._waiting -= 1
            self._works_since = time.monotonic()

    @contextmanager
    def judging(self) -> Iterator[None]:
        """Held while an answer of the session is checked."""
        verdict = None
        try:
            yield
        except (ValueError, TypeError) as refusal:
            verdict = str(refusal)
            raise
        finally:
            if self._cell is not None:
                self._cell.verdicts.append(verdict)

    def ended(self, result: CellResult) -> None:
        """The cell has ended by itself."""
        if self._cell is not None:
            self.tape.end(self._cell, result.status, result.seconds)

    async def close(self) -> None:
        """The cell is over: so is its scout."""
        self._group = None
        if self._scout is not None:
            await self._scout.end()
        self.speculation.history.ended(self.stream)

    def is_certain(self, request: LlmRequest) -> bool:
        """Whether the session has begun to ask this, and will go on to the end."""
        return request.line in self._begun and request.line in self._certain_lines

    def is_unforeseeable(self, request: LlmRequest) -> bool:
        """Whether what is asked at this place most likely needs replies that a scout does not have."""
        return self.dependence.at(request) or self.stream.is_missed(request.site)

    def likely(self, request: LlmRequest) -> Predicted | None:
        """What the reply will probably be. Any text will do where nothing looks at it."""
        known = self.tape.predictions.predict(request)
        if known is None and request.schema is None and self.is_certain(request):
            return Predicted("")
        return known

    def asked(self, request: LlmRequest, place: Place) -> None:
        """The session asks; it may be what a scout foresaw."""
        self._begun.add(request.line)
        self.dependence.asked(request)
        self.stream.asked(place, request.site)
        self.tell()

    def waits(self, request: LlmRequest) -> None:
        """The session waits for a model with ``request``, which did not run ahead."""
        if self._group is None:
            return
        if self._scout is not None:
            astray = self._scout.is_astray
            is_lost = (astray or not self.is_unforeseeable(request)) and self.stream.unforeseen(astray=astray)
            if not is_lost and not self._scout.over:
                return
            self._group.start_soon(self._scout.end)
            self._scout = None
            self.stream.copy_is_gone()
        if self._may_send(request):
            self._scout = Scout(self)
            self._group.start_soon(self._scout.run)

    async def planned(self, request: LlmRequest, place: Place) -> tuple[Call | None, Returns]:
        """What ``request`` will be, for a copy; the session need not find that out again when it asks the same."""
        assert self.plan is not None
        planned = await self.plan(request)
        if is_told_whole(request):
            self._planned[place] = planned
        return planned

    def known_plan(self, place: Place | None) -> tuple[Call | None, Returns] | None:
        """What a copy found the question at ``place`` to be."""
        return self._planned.pop(place, None) if place is not None else None

    def tell(self) -> None:
        """The session has come further: there may be room for another call ahead."""
        self._news.set()
        self._news = anyio.Event()

    async def news(self) -> None:
        """Wait until there may be more room than before."""
        async with anyio.create_task_group() as group:

            async def first(wait: Callable[[], Awaitable[Any]]) -> None:
                await wait()
                group.cancel_scope.cancel()

            group.start_soon(first, self._news.wait)
            group.start_soon(first, self.speculation.kernel.ahead.changed)

    def _own_seconds(self) -> float:
        """What the cell took of its own work so far."""
        return self._worked if self._waiting else self._worked + time.monotonic() - self._works_since

    async def copy(self) -> Session:
        """A session that starts as the one that is watched started."""
        return await self._live.copy()

    def _may_send(self, request: LlmRequest) -> bool:
        """Whether a scout may be of use: from the second question of a kind on, or where more is certain to follow."""
        speculation = self.speculation
        return (
            speculation.kernel.ahead.is_open
            and (self.stream.has_room or self.is_certain(request))
            and self.tape.repeatable
            and self.tape.seconds + self._own_seconds() <= MOST_REPEATED_SECONDS
            and self.likely(request) is not None
            and not self.dependence.at(request)
            and speculation.scouts["alive"] < MOST_SCOUTS
            and speculation.kernel.ahead.has_room
        )


class Asked:
    """One question of the session that is watched."""

    def __init__(self, lookout: Lookout, request: LlmRequest, place: Place | None) -> None:
        self._lookout = lookout
        self._request = request
        self._place = place
        if place is not None:
            lookout.asked(request, place)

    async def plan(self) -> tuple[Call | None, Returns]:
        """What it will be; a copy may have found that out."""
        assert self._lookout.plan is not None
        return self._lookout.known_plan(self._place) or await self._lookout.plan(self._request)

    def waits(self) -> None:
        """It goes to a model now."""
        self._lookout.waits(self._request)

    def told(self, value: Any) -> Any:
        """It was answered with ``value``, which is given back, or failed with it."""
        if self._place is not None:
            self._lookout.tape.reply(self._place).settle(value)
            if not isinstance(value, CallFailed):
                self._lookout.tape.predictions.learn(self._request, value)
                self._lookout.dependence.told(self._request, value)
        return value


class Scout:
    """A copy of a session; the host of its cells as well."""

    def __init__(self, lookout: Lookout) -> None:
        self.over = False
        self._lookout = lookout
        self._tape: Tape = lookout.tape
        self._session: Session | None = None
        self._asked: Counter[str] = Counter()
        self._verdicts: Iterator[str | None] = iter(())
        self._is_current = False
        self._may_pass = True
        """Whether it has started a call since it last passed a question that can't be foreseen."""
        self._waits_for: TapedReply | None = None
        self._working = anyio.CancelScope(shield=True)

    async def run(self) -> None:
        """Do what the session did, and go on from there; stopped by ``end`` alone, which kills its process first."""
        scouts = self._lookout.speculation.scouts
        scouts["alive"] += 1
        try:
            with self._working:
                await self._run()
        finally:
            scouts["alive"] -= 1
            self.over = True

    @property
    def is_astray(self) -> bool:
        """Whether it waits for the reply to a question that the session has not asked, and may never ask."""
        return self._waits_for is not None and not self._waits_for.asked

    async def end(self) -> None:
        """End it, and its process, at once."""
        self._working.cancel()
        if self._session is not None:
            await self._session.aclose()

    async def _run(self) -> None:
        try:
            self._session = await self._lookout.copy()
        except SandboxError:
            return  # no process to spare for it: the session does without
        try:
            for cell in list(self._tape.cells):
                self._is_current = not cell.status
                self._verdicts = iter(cell.verdicts)
                if cell.query is not None:
                    self._session.set_query(cell.query)
                result = await self._session.run_cell(cell.code, self)
                if result.status != cell.status:
                    return
        except SessionDied:
            return  # by ``end``
        finally:
            await self._session.aclose()

    async def recursive_llm(self, request: LlmRequest) -> Any:
        """The reply the session got; what it will probably get; or none, until it has got it."""
        lookout = self._lookout
        what = asks(request)
        place = what, self._asked[what]
        self._asked[what] += 1
        taped = self._tape.reply(place)
        if taped.settled.is_set():
            return taped.get()
        likely = lookout.likely(request)
        if lookout.is_unforeseeable(request):
            if likely is None or not self._may_pass:  # nothing is found by going on, and it may go on for ever
                return await self._real(taped)
            self._may_pass = False
            return likely.value
        call, _ = await lookout.planned(request, place)
        if call is None:
            return await self._real(taped)
        if not taped.asked:
            await self._start(call, place, taped, request)
            likely = lookout.likely(request)
        return await self._real(taped) if likely is None else likely.value

    async def recursive_llm_map(self, requests: Sequence[LlmRequest]) -> Sequence[Any]:
        """Replies likewise, one after the other: nothing here takes time but to wait for room."""
        slots: list[Any] = []
        for request in requests:
            try:
                slots.append(await self.recursive_llm(request))
            except CallFailed as failure:
                slots.append(failure)
        return slots

    def check_answer(self, value: Any) -> None:
        """What the session was told; a scout that comes to an answer of its own is at its end."""
        verdict = next(self._verdicts, None)
        if verdict is not None:
            raise ValueError(verdict)

    async def _real(self, taped: TapedReply) -> Any:
        """What the session gets, once it has got it."""
        self._waits_for = taped
        await taped.settled.wait()
        self._waits_for = None
        return taped.get()

    async def _start(self, call: Call, place: Place, taped: TapedReply, request: LlmRequest) -> None:
        """Start a call ahead as soon as there is room for it, unless the session asks for it first."""
        certain = self._is_current and self._lookout.is_certain(request)
        stream, ahead = self._lookout.stream, self._lookout.speculation.kernel.ahead
        while not ((certain or stream.has_room) and ahead.has_room):
            await self._lookout.news()
            if taped.asked or not ahead.is_open:
                return
        left_over = ahead.count(call) - stream.count(place[0])  # of an earlier cell that failed midway, say
        stream.start(place, request.site, certain=certain)
        self._may_pass = True
        if ahead.is_open and left_over <= 0:
            ahead.start(call)
