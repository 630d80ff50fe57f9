"""Task groups whose error leaves them bare, and work that goes on in the background of what it serves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
from anyio.abc import TaskGroup

from habit.errors import BudgetExceeded, HabitError, UsageError

T = TypeVar("T")


@asynccontextmanager
async def task_group() -> AsyncIterator[TaskGroup]:
    """An anyio task group that raises the most telling of its tasks' errors instead of an exception group."""
    try:
        async with anyio.create_task_group() as group:
            yield group
    except BaseExceptionGroup as failures:
        failure = most_telling(failures)
        raise failure from failure.__cause__


def waited_for(work: Callable[[], Awaitable[T]], *, instead: str) -> T:
    """What ``work`` returns, for code that is not asynchronous. Raises UsageError, which names ``instead``, in code
    that is: a notebook's cells run in an event loop too."""
    import asyncio  # not before: a shell that completes a command waits for nothing heavy

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return anyio.run(work)
    raise UsageError(f"An event loop is running here (a notebook has one), so nothing may wait in it: {instead}")


class Background:
    """Work that goes on after what it serves is given: one piece at a time, in the order in which they came.

    Where nobody has opened it, each piece is done before ``add`` returns.
    """

    def __init__(self) -> None:
        self._group: TaskGroup | None = None
        self._turn = anyio.Lock()
        self._left = 0
        self._idle = anyio.Event()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Work goes on while the block does; at its end what is left is waited for, or cancelled with the block.

        An error of the block, which may be a group, leaves as it is.
        """
        failed: Exception | None = None
        try:
            async with task_group() as group:
                self._group = group
                try:
                    yield
                except Exception as failure:
                    failed = failure
                    raise
                finally:
                    self._group = None
        except Exception:
            if failed is None:
                raise  # of the work
        if failed is not None:
            raise failed

    @property
    def busy(self) -> bool:
        """Whether there is work left."""
        return self._left > 0

    async def add(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do ``work`` when its turn comes; what it raises ends everything, so it should not."""
        if self._group is None:
            await work()
            return
        if not self.busy:
            self._idle = anyio.Event()
        self._left += 1
        self._group.start_soon(self._do, work)

    async def settled(self) -> None:
        """Wait until no work is left."""
        while self.busy:
            await self._idle.wait()

    async def _do(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            async with self._turn:
                await work()
        finally:
            self._left -= 1
            if not self.busy:
                self._idle.set()


def most_telling(failures: BaseExceptionGroup) -> BaseException:
    """The error of a group that says best why it failed: a stopped budget, then any error of ours, then the first."""
    leaves = list(_leaves(failures))
    for kind in (BudgetExceeded, HabitError):
        for failure in leaves:
            if isinstance(failure, kind):
                return failure
    return leaves[0]


def _leaves(failure: BaseException) -> list[BaseException]:
    if isinstance(failure, BaseExceptionGroup):
        return [leaf for inner in failure.exceptions for leaf in _leaves(inner)]
    return [failure]
