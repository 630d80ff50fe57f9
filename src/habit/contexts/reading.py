"""Loads a context off the event loop: told about while it takes long, and over at once when it is cancelled."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO

import anyio
import anyio.from_thread
import anyio.to_thread

from habit.contexts.context import Context
from habit.contexts.load import Progress, load, reload
from habit.events import Notice, Observer
from habit.tasks import task_group

FIRST_AFTER = 2.0
"""Seconds until the first line about a loading that takes long; then twice as many each time, up to MOST_BETWEEN."""
MOST_BETWEEN = 30.0


async def read_context(
    paths: Sequence[str | Path],
    *,
    stdin: BinaryIO | None = None,
    skip_bad: bool = False,
    raw: bool = False,
    keep_conversions: bool = True,
    tell: Observer,
) -> Context:
    """What ``load`` gives for the same arguments; ``tell`` gets a Notice now and then while it takes long."""
    progress = _stoppable(tell)
    return await anyio.to_thread.run_sync(
        lambda: load(
            paths, stdin=stdin, skip_bad=skip_bad, raw=raw, keep_conversions=keep_conversions, on_progress=progress
        )
    )


async def read_again(record: Mapping[str, Any], *, keep_conversions: bool = True, tell: Observer) -> Context:
    """What ``reload`` gives for a recorded context."""
    progress = _stoppable(tell)
    return await anyio.to_thread.run_sync(
        lambda: reload(record, keep_conversions=keep_conversions, on_progress=progress)
    )


@asynccontextmanager
async def told_when_slow(tell: Observer, text: str) -> AsyncIterator[None]:
    """``tell`` gets a Notice with ``text`` now and then while what is inside takes long."""

    async def say() -> None:
        between = FIRST_AFTER
        while True:
            await anyio.sleep(between)
            tell(Notice(text))
            between = min(2 * between, MOST_BETWEEN)

    async with task_group() as group:
        group.start_soon(say)
        yield
        group.cancel_scope.cancel()


def size_text(size: float) -> str:
    """Bytes for people: "340 MB"."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _stoppable(tell: Observer) -> Progress:
    """Progress that is told on the event loop, and ends the loading when the task that waits for it is cancelled."""
    lines = progress_lines(lambda text: anyio.from_thread.run_sync(tell, Notice(text)))

    def progress(files: int, size: int) -> None:
        anyio.from_thread.check_cancelled()
        lines(files, size)

    return progress


def progress_lines(say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> Progress:
    """Progress as a line now and then: "Reading the input: 12,000 files, 340 MB so far."."""
    between = FIRST_AFTER
    due = clock() + between

    def progress(files: int, size: int) -> None:
        nonlocal between, due
        now = clock()
        if now >= due:
            between = min(2 * between, MOST_BETWEEN)
            due = now + between
            say(f"Reading the input: {_so_far(files, size)}.")

    return progress


def _so_far(files: int, size: int) -> str:
    if not files:
        return f"{size_text(size)} so far" if size else "listing folders"
    return f"{files:,} file{'s' * (files != 1)}, {size_text(size)} so far"
