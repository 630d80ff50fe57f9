"""One monty interpreter in a process of its own, driven step by step from threads so that no event loop waits."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from pydantic_monty import Monty, MontyError, MontySession, OSPolicy, ResourceLimits

if sys.platform == "linux":
    import resource

T = TypeVar("T")


class WorkerBrokenError(Exception):
    """What came from the worker is against monty's protocol, or can't be made sense of."""


_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
THREADS = 256
"""Steps of all sessions under way at once; more wait their turn."""


class Worker:
    """A checked-out session of the pool and its process. One step at a time."""

    def __init__(self, pool: Monty, threads: anyio.CapacityLimiter, limits: ResourceLimits, policy: OSPolicy) -> None:
        self._pool = pool
        self._threads = threads
        self._limits = limits
        self._policy = policy
        self._pid: int | None = None
        self._pidfd: int | None = None
        self.session: MontySession | None = None

    @property
    def pid(self) -> int | None:
        """The process id, for as long as this worker is open."""
        return self._pid

    async def open(self) -> None:
        """Take a fresh process. Raises MontyError, OSError."""

        def begin() -> None:
            session = self._pool.checkout(limits=self._limits, os_policy=self._policy)
            session.__enter__()
            self.session, self._pid = session, session.worker_pid
            if self._pid is not None and sys.platform == "linux":
                self._pidfd = os.pidfd_open(self._pid)
                _confine(self._pid)

        await self._in_thread(begin)

    async def step(self, work: Callable[[MontySession], T]) -> T:
        """Do ``work`` in a thread. When this is cancelled meanwhile the process is killed: nothing else stops it."""
        session = self.session
        assert session is not None
        try:
            return await anyio.to_thread.run_sync(
                lambda: _attempt(work, session), limiter=self._threads, abandon_on_cancel=True
            )
        except anyio.get_cancelled_exc_class():
            self.kill()
            raise

    def kill(self) -> None:
        """End the process at once; a step under way raises MontyCrashedError."""
        pid, self._pid = self._pid, None
        if pid is None:
            return
        with suppress(ProcessLookupError):
            if self._pidfd is None:
                os.kill(pid, _KILL)
            else:  # the number may belong to another process by now
                signal.pidfd_send_signal(self._pidfd, _KILL)

    async def close(self) -> None:
        """End the process, and give its place in the pool back."""
        session, self.session = self.session, None
        if session is None:
            return

        def end() -> None:
            with suppress(MontyError, RuntimeError):  # it may be suspended, or dead already
                session.__exit__(None, None, None)

        with anyio.CancelScope(shield=True):
            self.kill()
            pidfd, self._pidfd = self._pidfd, None
            if pidfd is not None:
                os.close(pidfd)
            await self._in_thread(end)

    async def _in_thread(self, work: Callable[[], Any]) -> None:
        await anyio.to_thread.run_sync(work, limiter=self._threads)


def _confine(pid: int) -> None:
    """A second wall on Linux, should the interpreter itself be broken out of: no new descriptors, so no files and no
    network; and nothing written to files that are open."""
    for kind, most in ((resource.RLIMIT_NOFILE, 3), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        with suppress(OSError, ValueError):  # a process that is gone already says so at its first step
            resource.prlimit(pid, kind, (most, most))


def _attempt(work: Callable[[MontySession], T], session: MontySession) -> T:
    try:
        return work(session)
    except MontyError:
        raise
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:
        raise WorkerBrokenError(str(error)[:300]) from None
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # how the Rust half says that it met the impossible
            raise WorkerBrokenError("it can't be read") from None
        raise
