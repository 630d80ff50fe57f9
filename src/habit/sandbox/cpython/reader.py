"""The process that describes contexts, as its host sees it: one for all sessions over small contexts."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio

from habit.errors import SandboxError
from habit.sandbox.cpython.process import ForkedProcess
from habit.sandbox.cpython.wire import PeerGone, receive_hello

Send = Callable[[socket.socket, dict[str, Any], list[int]], Awaitable[None]]


class Reader:
    """Answers one question after the other. ``start`` forks it; ``bury`` ends it, and waits for nothing."""

    def __init__(
        self,
        start: Callable[[], Awaitable[tuple[socket.socket, ForkedProcess]]],
        send: Send,
        bury: Callable[[ForkedProcess], None],
    ) -> None:
        self._start, self._send, self._bury = start, send, bury
        self._turn = anyio.Lock()
        self._running: tuple[socket.socket, ForkedProcess] | None = None
        self._asked = 0

    async def describe(self, kind: str, memfd: int) -> str:
        """What ``contexts.describe`` says of the context in ``memfd``. Raises SandboxError."""
        async with self._turn:
            if self._running is not None:
                with suppress(PeerGone, OSError):
                    return await self._ask(self._running[0], kind, memfd)
                self.drop()  # it has ended meanwhile, and another can be forked
            self._running = await self._start()
            try:
                return await self._ask(self._running[0], kind, memfd)
            except (PeerGone, OSError) as error:
                self.drop()
                raise SandboxError(
                    "The process that describes inputs is gone (a crash, or the machine ran out of memory): free some "
                    "memory, and try again."
                ) from error

    async def _ask(self, channel: socket.socket, kind: str, memfd: int) -> str:
        self._asked += 1
        await self._send(channel, {"n": self._asked, "kind": kind}, [memfd])
        while True:
            reply, _ = await receive_hello(channel, stream=False)
            if reply["n"] == self._asked:  # else it is for one who did not wait for it
                return str(reply["description"])

    def drop(self) -> None:
        """Let it end."""
        running, self._running = self._running, None
        if running is not None:
            channel, process = running
            channel.close()
            self._bury(process)
