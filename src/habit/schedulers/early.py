"""Early starts: while the root still writes a cell, a copy of the session runs its statements that are complete.

Only for the leaf calls they make: each is started ahead (``Kernel.ahead``), and unlike a scout the copy waits for the
real reply, so that nothing is predicted. What it prints, answers and computes is thrown away. Once the reply is whole,
the session itself runs the whole cell and finds its first calls under way. A reply that turns out to be no good is
treated as ever, and calls that were started for it have been for nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import anyio

from habit.calls.ahead import Ahead
from habit.calls.call import Call
from habit.errors import CallFailed, SandboxError, SessionDied
from habit.sandbox.session import LlmRequest, Session
from habit.schedulers.leaf import read_reply
from habit.schedulers.live import LiveSession
from habit.schedulers.scouting import MOST_REPEATED_SECONDS, MOST_SCOUTS, Plan, Speculation
from habit.schedulers.statements import OpenBlock
from habit.schedulers.tape import asks
from habit.tasks import task_group

_ASKS = re.compile(r"\b(?:recursive_llm(?:_map)?|[lr]lm_query(?:_batched)?|classify)\b")
"""What code mentions that may ask a model, itself or by a function it defines."""


@asynccontextmanager
async def early_start(speculation: Speculation, live: LiveSession, plan: Plan) -> AsyncIterator[Callable[[str], None]]:
    """Held while the root writes a cell of ``live``; what it gives wants to be told the reply so far.

    ``plan`` says what a request of that cell will be.
    """
    copy = EarlyCopy(speculation, live, plan)
    async with task_group() as group:
        group.start_soon(copy.run)
        try:
            yield copy.heard
        finally:
            with anyio.CancelScope(shield=True):
                await copy.end()


class EarlyCopy:
    """A copy of a session that runs a cell as far as it is written; the host of its cells as well."""

    def __init__(self, speculation: Speculation, live: LiveSession, plan: Plan) -> None:
        self._speculation = speculation
        self._live = live
        self._tape = live.tape
        self._plan = plan
        self._block = OpenBlock()
        self._send, self._receive = anyio.create_memory_object_stream[str](float("inf"))
        self._untold = ""
        self._may_ask = any(_ASKS.search(cell.code) for cell in live.tape.cells)
        self._session: Session | None = None
        self._ended = False
        self._is_there = False
        """Whether it has come as far as the session is, and runs what the root writes now."""
        self._asked: Counter[str] = Counter()
        self._verdicts: Iterator[str | None] = iter(())
        self._started = 0
        self._found: Counter[str] = Counter()
        """How many calls ahead it has for each key."""

    def heard(self, text: str) -> None:
        """The reply so far."""
        if self._ended:
            return
        code = self._block.feed(text)
        self._untold += code
        self._may_ask = self._may_ask or _ASKS.search(code) is not None
        if self._untold and self._may_ask:
            self._send.send_nowait(self._untold)
            self._untold = ""

    async def end(self) -> None:
        """End it, and its process, at once; the calls it started go on."""
        self._ended = True
        self._send.close()
        if self._session is not None:
            await self._session.aclose()

    async def run(self) -> None:
        """Wait for code worth running, do what the session did, and go on from there; ended by ``end``."""
        scouts = self._speculation.scouts
        with anyio.CancelScope(shield=True), self._receive:
            try:
                first = await self._receive.receive()
                if self._ended or not self._is_possible():
                    return
                scouts["alive"] += 1
                try:
                    await self._run(first)
                finally:
                    scouts["alive"] -= 1
            except anyio.EndOfStream:
                return  # nothing was worth running
            finally:
                self._ended = True

    def _is_possible(self) -> bool:
        return (
            self._tape.repeatable
            and self._tape.seconds <= MOST_REPEATED_SECONDS
            and self._speculation.scouts["alive"] < MOST_SCOUTS
        )

    async def _run(self, first: str) -> None:
        try:
            self._session = session = await self._live.copy()
        except SandboxError:
            return  # no process to spare for it
        try:
            if not self._ended and await self._catch_up(session):
                self._is_there = True
                status = (await session.run_cell(first, self)).status
                async for code in self._receive:
                    if status != "ok":
                        return
                    status = (await session.run_cell(code, self)).status
        except SessionDied:
            return  # by ``end``
        finally:
            await session.aclose()

    async def _catch_up(self, session: Session) -> bool:
        """Do what the session did; whether it went the same way."""
        for cell in self._tape.cells:
            self._verdicts = iter(cell.verdicts)
            if cell.query is not None:
                session.set_query(cell.query)
            if (await session.run_cell(cell.code, self)).status != cell.status:
                return False
        if self._tape.query is not None:
            session.set_query(self._tape.query)
        return True

    async def recursive_llm(self, request: LlmRequest) -> Any:
        """The reply the session got, or will get; none, where only the session itself may ask."""
        if not self._is_there:
            what = asks(request)
            place = what, self._asked[what]
            self._asked[what] += 1
            taped = self._tape.reply(place)
            return taped.get() if taped.settled.is_set() else await self._stay()
        call, returns = await self._plan(request)
        ahead = self._ahead(call) if call is not None else None
        if ahead is None:
            return await self._stay()
        await ahead.over.wait()
        if not ahead.is_usable or ahead.sending.reply is None:
            return await self._stay()
        try:
            return read_reply(ahead.sending.reply, returns)
        except ValueError:  # the session asks once more
            return await self._stay()

    def _ahead(self, call: Call) -> Ahead | None:
        """``call``, started ahead unless it was left over from a reply that was no good; None when it may not be."""
        calls = self._speculation.kernel.ahead
        left_over = calls.find(call, self._found[call.key])
        may_start = self._started < self._speculation.limit and calls.is_open and calls.has_room
        if left_over is None and not may_start:
            return None
        self._found[call.key] += 1
        if left_over is not None:
            return left_over
        self._started += 1
        return calls.start(call)

    async def recursive_llm_map(self, requests: Sequence[LlmRequest]) -> Sequence[Any]:
        """Replies likewise, all at once; none to a map that people may have to be asked about."""
        slots: list[Any] = [None] * len(requests)
        size = sum(
            len(request.query) + len(request.context.payload if request.context else b"") for request in requests
        )
        if self._is_there and self._speculation.kernel.may_ask_people(len(requests), size):
            return await self._stay()

        async def fill(index: int) -> None:
            try:
                slots[index] = await self.recursive_llm(requests[index])
            except CallFailed as failure:
                slots[index] = failure

        async with task_group() as group:
            for index in range(len(requests)):
                group.start_soon(fill, index)
        return slots

    def check_answer(self, value: Any) -> None:
        """What the session was told; a copy that comes to an answer of its own is at its end."""
        verdict = next(self._verdicts, None)
        if verdict is not None:
            raise ValueError(verdict)

    async def _stay(self) -> NoReturn:
        """Go no further: wait for ``end``, which kills the process that asks."""
        while True:
            await anyio.sleep_forever()
