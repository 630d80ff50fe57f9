"""One session as its host sees it: a worker process, its socket, and the cells it runs one after the other."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable

import anyio

from habit.contexts.context import Context
from habit.errors import SandboxError, SessionDied
from habit.sandbox.cpython.cell import Cell
from habit.sandbox.cpython.process import ForkedProcess
from habit.sandbox.cpython.wire import PeerBroken, PeerGone, Wire
from habit.sandbox.session import CellResult, Host, SessionLimits, SessionSpec

READY_SECONDS = 60.0
"""How long a worker may take to lock itself down; far more than it ever should, on any machine."""


class CPythonSession:
    """A Session in a locked-down CPython worker."""

    def __init__(
        self,
        wire: Wire,
        process: ForkedProcess,
        limits: SessionLimits,
        *,
        description: str,
        in_flight: int,
        whole: Context | None = None,
        on_close: Callable[[], Awaitable[None]],
    ) -> None:
        self.description = description
        self._wire = wire
        self._process = process
        self._limits = limits
        self._in_flight = in_flight
        self._whole = whole
        self._on_close = on_close
        self._running = anyio.Lock()
        self._cells = 0
        self._last_id = 0
        self._open = True
        self._query: str | None = None

    @property
    def process(self) -> ForkedProcess:
        """The worker."""
        return self._process

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid

    async def start(self, spec: SessionSpec) -> None:
        """Hand over what the session starts from and wait until it is locked down; raises SandboxError if it can't."""
        header = {
            "t": "spec",
            "seed": spec.seed,
            "clock": spec.clock,
            "memory": spec.limits.memory,
            "output_chars": spec.limits.output_chars,
            "in_flight": self._in_flight,
            "whole": self._whole is not None,
        }
        try:
            with anyio.fail_after(READY_SECONDS):
                await self._wire.send(header, spec.query.encode("utf-8", "surrogatepass"))
                reply, _ = await self._wire.receive(0)
        except (PeerGone, PeerBroken, TimeoutError) as error:
            raise SandboxError(
                "A sandbox worker ended before it was ready: free some memory on this machine, or lower --cell-memory."
            ) from error
        if reply.get("t") != "ready":
            raise SandboxError(str(reply.get("error") or "A sandbox worker failed to start: please report it."))

    async def run_cell(self, code: str, host: Host) -> CellResult:
        """Run one cell to its end; see Session. Raises SessionDied when the session is closed or lost already."""
        if not self._open:
            raise SessionDied("This session is over: open a new one.")
        async with self._running:
            self._cells += 1
            cell = Cell(self._cells, host, self._wire, self._process, self._limits, self._in_flight, self._whole)
            query, self._query = self._query, None
            self._process.send(signal.SIGCONT)
            try:
                return await cell.run(code, self._last_id, query)
            finally:
                self._last_id = cell.last_id
                if cell.alive:
                    # Nothing runs between cells: no thread left behind uses the machine or races the next cell.
                    self._process.send(signal.SIGSTOP)
                else:
                    await self._close()

    def set_query(self, query: str) -> None:
        """What ``query`` holds from the next cell on."""
        self._query = query

    async def aclose(self) -> None:
        """End the worker; a cell that still runs ends as ``died``."""
        if not self._open:
            return
        with anyio.CancelScope(shield=True):
            self._process.send(signal.SIGKILL)
            async with self._running:
                await self._close()

    async def _close(self) -> None:
        if not self._open:
            return
        self._open = False
        with anyio.CancelScope(shield=True):
            self._process.send(signal.SIGKILL)
            self._wire.close()
            await self._on_close()
