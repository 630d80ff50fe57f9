"""RunStream: the events of one run, one by one, while the run goes on."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import anyio

from habit.events import Event, Observer
from habit.run import Run

Work = Callable[[Observer], Awaitable[Run]]


class RunStream:
    """An asynchronous iterator over the events of a run; the last one is RunEnded.

    The run starts with the first event asked for. An error of the run is raised where the next event would have come.
    Whoever leaves early closes the stream (``aclose``, or use it in ``async with``), which stops the run; the engine
    closes what was left open. The run is a task of its own, and not of a task group, so that an iteration may be left
    with ``break`` and be cleaned up from anywhere.
    """

    def __init__(self, work: Work) -> None:
        self.run: Run | None = None
        """How the run ended, once it has."""
        self._work = work
        self._task: asyncio.Task[None] | None = None
        self._told_failure = False
        self._send, self._receive = anyio.create_memory_object_stream[Event](math.inf)

    @property
    def ended(self) -> bool:
        """Whether the run has ended."""
        return self._task is not None and self._task.done()

    def __aiter__(self) -> Self:
        """The stream is its own iterator."""
        return self

    async def __anext__(self) -> Event:
        """The next event. Raises what the run raised, and StopAsyncIteration after its end."""
        if self._task is None:
            self._task = asyncio.create_task(self._do())
        try:
            return await self._receive.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            await asyncio.wait([self._task])
        failure = None if self._told_failure or self._task.cancelled() else self._task.exception()
        self._told_failure = True
        if failure is not None:
            raise failure
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stop the run, if it goes on, and wait until it has written down where it stands."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
        self._receive.close()

    async def __aenter__(self) -> Self:
        """Use it in ``async with`` to stop the run when the block is left."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the stream."""
        await self.aclose()

    async def _do(self) -> None:
        with self._send:
            self.run = await self._work(self._tell)

    def _tell(self, event: Event) -> None:
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # nobody listens any more
            self._send.send_nowait(event)
