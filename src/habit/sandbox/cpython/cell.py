"""One cell from its first frame to its last: serves what it asks for, and stops it when its time is up."""

from __future__ import annotations

import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from habit.contexts.context import Context
from habit.errors import CallFailed
from habit.sandbox.cpython import frames
from habit.sandbox.cpython.clock import CellClock
from habit.sandbox.cpython.messages import Ask, Done, Message, Offer, parse
from habit.sandbox.cpython.process import ForkedProcess
from habit.sandbox.cpython.wire import PeerBroken, PeerGone, Wire
from habit.sandbox.session import CellResult, Host, SessionLimits
from habit.tasks import task_group

GRACE_SECONDS = 2.0
"""How long an interrupted cell may take to end before its worker is killed."""
NUDGE_SECONDS = 0.2
"""Pause between the interrupts it gets meanwhile."""
_BIG_FRAME = 1 << 20
"""Bytes from which on a frame is parsed in a thread."""


class Cell:
    """A running cell. ``run`` returns its result whatever the worker does, and raises only what the host raised."""

    def __init__(
        self,
        number: int,
        host: Host,
        wire: Wire,
        process: ForkedProcess,
        limits: SessionLimits,
        in_flight: int,
        whole: Context | None = None,
    ) -> None:
        self.number = number
        self.alive = True
        """False once the worker can't be used for another cell."""
        self._host = host
        self._wire = wire
        self._process = process
        self._limits = limits
        self._in_flight_limit = in_flight
        self._whole = whole
        self._in_flight = 0
        self._pending: dict[int, int] = {}
        self._last_id = 0
        self._clock = CellClock(time.monotonic, process.cpu_seconds)
        self._answer: tuple[Any] | None = None
        self._out_of_time = False
        self._stopping = anyio.Event()
        self._done: Done | None = None
        self._trouble = ""

    async def run(self, code: str, last_id: int, query: str | None = None) -> CellResult:
        """Run ``code``, with a new ``query`` if one is given; when this is cancelled, or the host raises, the cell is
        interrupted first."""
        self._last_id = last_id
        header: dict[str, Any] = {"t": "cell", "cell": self.number}
        if query is not None:
            header["query"] = query
        try:
            async with task_group() as group:
                group.start_soon(self._keep_time)
                with self._notice_trouble():
                    await self._wire.send(header, code.encode("utf-8", "surrogatepass"))
                    await self._serve(group)
                group.cancel_scope.cancel()
        finally:
            if self._done is None:
                await self._put_down()
        return self._result()

    @property
    def last_id(self) -> int:
        """The id of the worker's last request."""
        return self._last_id

    @contextmanager
    def _notice_trouble(self) -> Iterator[None]:
        """Keep what is wrong with the worker, if anything is; the first reason counts."""
        try:
            yield
        except PeerGone:
            self._trouble = self._trouble or "its process ended (a crash, os._exit, or the machine ran out of memory)"
        except PeerBroken as error:
            self._trouble = self._trouble or f"it sent {error}"
            self._process.send(signal.SIGKILL)

    def _result(self) -> CellResult:
        done, seconds = self._done, self._clock.spent()
        if self._answer is not None:
            stdout, dropped = (done.stdout, done.dropped) if done else ("", 0)
            return CellResult("answered", stdout, dropped, answer=self._answer[0], seconds=seconds)
        if done is None:
            reason = self._trouble
            if self._out_of_time:
                reason = f"it did not stop when its {self._limits.cell_seconds:g} seconds were over"
            return CellResult(
                "died",
                error=f"The session was lost: {reason}. All variables are gone; start again from `context`.",
                seconds=seconds,
            )
        status: Literal["ok", "error", "timeout"] = "ok" if done.status == "ok" else "error"
        error = done.error
        if done.status == "interrupted" and self._out_of_time:
            where = f" in {done.error}" if done.error else ""
            status = "timeout"
            error = (
                f"The cell was stopped after {self._limits.cell_seconds:g} seconds of its own work{where}; variables "
                "set before are kept: do less at a time, or find a faster way."
            )
        elif done.status == "interrupted":
            error = f"KeyboardInterrupt: the cell interrupted itself in {done.error or 'a library'}"
        return CellResult(status, done.stdout, done.dropped, error, seconds=seconds, variables=done.variables)

    async def _serve(self, group: TaskGroup) -> None:
        """Read frames until the cell is done."""
        while self._done is None:
            message = await self._read()
            match message:
                case Done():
                    if message.status == "answered" and self._answer is None:
                        raise PeerBroken("an end with an answer that it never gave")
                    self._done = message
                case Offer():
                    await self._check(message)
                case Ask():
                    self._clock.begin_wait()
                    group.start_soon(self._ask, message)

    async def _read(self) -> Message:
        room = max(self._in_flight_limit, 4 * self._limits.output_chars + 1024)
        header, blob = await self._wire.receive(room)

        def parsed() -> Message:
            output_chars = max(self._limits.output_chars, 256)
            return parse(header, blob, cell=self.number, output_chars=output_chars, whole=self._whole)

        message = await anyio.to_thread.run_sync(parsed) if len(blob) > _BIG_FRAME else parsed()
        if not isinstance(message, Done):
            if message.id != self._last_id + 1:
                raise PeerBroken("a request out of order")
            self._last_id = message.id
            self._in_flight += len(blob)
            if self._in_flight > self._in_flight_limit or len(self._pending) >= frames.MAX_PENDING:
                raise PeerBroken("more requests than may be under way")
            self._pending[message.id] = len(blob)
        return message

    async def _ask(self, ask: Ask) -> None:
        """Have the host answer one request and pass its reply on."""
        try:
            if ask.many:
                replies = await self._host.recursive_llm_map(ask.requests)
                content: dict[str, Any] = {"slots": [_slot(reply) for reply in replies]}
            else:
                content = await _attempt(lambda: self._host.recursive_llm(ask.requests[0]))
        finally:
            self._clock.end_wait()
        await self._reply(ask.id, content)

    async def _check(self, offer: Offer) -> None:
        """Have the host judge an answer; the first that will do is kept, and the cell is over."""
        if self._answer is not None:
            await self._reply(offer.id, {"error": "an answer was given already", "reason": "mismatch"})
            return
        try:
            self._host.check_answer(offer.value)
        except (ValueError, TypeError) as refusal:
            await self._reply(offer.id, {"error": str(refusal), "reason": "mismatch"})
            return
        self._answer = (offer.value,)
        self._stopping.set()
        await self._reply(offer.id, {"value": None})

    async def _reply(self, number: int, content: dict[str, Any]) -> None:
        blob = frames.encode_json(content)
        self._in_flight -= self._pending.pop(number)
        with self._notice_trouble():
            await self._wire.send({"t": "reply", "id": number}, blob)

    async def _keep_time(self) -> None:
        """Interrupt the cell when it used up its seconds or has answered; kill its worker when that does not help."""
        while not self._stopping.is_set():
            left = self._limits.cell_seconds - self._clock.spent()
            if left <= 0:
                self._out_of_time = True
                break
            with anyio.move_on_after(min(left, 0.25) if self._clock.waiting else left):
                await self._stopping.wait()
        if not self._out_of_time:
            await anyio.sleep(NUDGE_SECONDS)
        await self._interrupt()

    async def _interrupt(self) -> None:
        """Interrupt again and again, then kill; whoever reads sees the cell or the worker end."""
        end = anyio.current_time() + GRACE_SECONDS
        while anyio.current_time() < end:
            self._process.send(signal.SIGINT)
            await anyio.sleep(NUDGE_SECONDS)
        self.alive = False
        self._process.send(signal.SIGKILL)

    async def _put_down(self) -> None:
        """End a cell that nobody waits for any more: read and ignore what it sends until it is done, or kill it."""
        with anyio.CancelScope(shield=True):
            if not self._trouble and not self._wire.torn:
                async with task_group() as group:
                    group.start_soon(self._interrupt)
                    with self._notice_trouble():
                        while self._done is None:
                            message = await self._read()
                            self._done = message if isinstance(message, Done) else None
                    group.cancel_scope.cancel()
            if self._done is None:
                self.alive = False
                self._process.send(signal.SIGKILL)


async def _attempt(ask: Callable[[], Awaitable[Any]]) -> dict[str, Any]:
    try:
        return {"value": await ask()}
    except CallFailed as failure:
        return {"error": str(failure), "reason": failure.reason}


def _slot(reply: Any) -> dict[str, Any]:
    if isinstance(reply, CallFailed):
        return {"error": str(reply), "reason": reply.reason}
    return {"value": reply}
