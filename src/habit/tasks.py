"""Task groups whose error leaves them bare: callers handle one exception, not a group of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup

from habit.errors import BudgetExceeded, HabitError


@asynccontextmanager
async def task_group() -> AsyncIterator[TaskGroup]:
    """An anyio task group that raises the most telling of its tasks' errors instead of an exception group."""
    try:
        async with anyio.create_task_group() as group:
            yield group
    except BaseExceptionGroup as failures:
        raise most_telling(failures) from None


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
