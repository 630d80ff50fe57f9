"""A forked process as its host sees it: by pidfd, so that no signal ever reaches a stranger with a reused number."""

from __future__ import annotations

import os
import signal
import time

import anyio

_END_SECONDS = 30.0
"""How long to wait for a killed process to be gone; only a broken kernel or disk makes it that long."""


class ForkedProcess:
    """A worker or a zygote that is not a child of this process."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self._pidfd = pidfd
        self._cpu = 0.0

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

    async def end(self) -> None:
        """Kill it and wait until it is gone; may be called again."""
        pidfd, self._pidfd = self._pidfd, -1
        if pidfd < 0:
            return
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            with anyio.move_on_after(_END_SECONDS, shield=True):
                await anyio.wait_readable(pidfd)
        except ProcessLookupError:
            return
        finally:
            os.close(pidfd)
