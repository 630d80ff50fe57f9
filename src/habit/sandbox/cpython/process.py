"""A forked process as its host sees it: by pidfd, so that no signal ever reaches a stranger with a reused number."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable

import anyio

_END_SECONDS = 30.0
"""How long to wait for a killed process to be gone; only a broken kernel or disk makes it that long."""


class ForkedProcess:
    """A worker or a zygote that is not a child of this process."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self._pidfd = pidfd
        self._cpu = 0.0
        self._unwatch: Callable[[], object] | None = None

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when the process is gone."""
        if self._pidfd < 0:
            return
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            return

    def cpu_seconds(self) -> float:
        """CPU time of all its threads; the last known when it is gone."""
        try:
            self._cpu = max(self._cpu, time.clock_gettime(~self.pid << 3 | 2))  # CPUCLOCK_SCHED of another process
        except OSError:
            return self._cpu
        return self._cpu

    def bury(self, gone: Callable[[], None]) -> None:
        """Kill it and return at once; the event loop calls ``gone`` when it is gone, unless ``end`` is called first."""
        self.send(signal.SIGKILL)
        if self._pidfd < 0:
            gone()
            return

        def ready() -> None:
            os.close(self._take())
            gone()

        loop, pidfd = asyncio.get_running_loop(), self._pidfd
        loop.add_reader(pidfd, ready)
        self._unwatch = lambda: loop.remove_reader(pidfd)

    async def end(self) -> None:
        """Kill it and wait until it is gone; may be called again."""
        self.send(signal.SIGKILL)
        pidfd = self._take()
        if pidfd < 0:
            return
        try:
            with anyio.move_on_after(_END_SECONDS, shield=True):
                await anyio.wait_readable(pidfd)
        finally:
            os.close(pidfd)

    def _take(self) -> int:
        """The pidfd, or -1; from now on it is the caller's to close."""
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        pidfd, self._pidfd = self._pidfd, -1
        return pidfd
