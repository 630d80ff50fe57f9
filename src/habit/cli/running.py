"""Runs work on an engine: in an event loop, with progress on stderr, until it ends or someone presses Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Protocol, TypeVar

from habit.cli.agreeing import Agreement
from habit.cli.output import end_output, note_line

if TYPE_CHECKING:
    import anyio

    from habit.cli.listening import Listeners
    from habit.cli.progress import Progress
    from habit.config import Settings
    from habit.engine import Engine
    from habit.events import Observer
    from habit.run import Run

T = TypeVar("T")
Work = Callable[["Engine"], Awaitable[T]]


LEFT_UNDONE = "The answer was known already; what was under way for the library is left undone."


class Interrupted(Exception):
    """The person at the keyboard, or the system, asked the run to stop."""

    def __init__(self, message: str, *, signal_number: int) -> None:
        super().__init__(message)
        self.status = 128 + signal_number


def open_engine(settings: Settings, on_event: Observer, listeners: Listeners | None = None) -> Engine:
    """The engine that does the work; imported only now, so that ``--help`` need not wait for it."""
    from habit.engine import Engine
    from habit.events import all_of

    if listeners is None:
        return Engine(settings, on_event=on_event)
    return Engine(settings, on_event=all_of(on_event, listeners.on_event), telemetry=listeners.telemetry)


def run_on_engine(
    settings: Settings,
    work: Work[T],
    progress: Progress | None = None,
    listeners: Listeners | None = None,
    present: Callable[[T], None] | None = None,
) -> T:
    """What ``work`` returns. Raises Interrupted when it was stopped, else whatever ``work`` raises.

    ``present`` is told it at once, while the engine may still look after the library.
    """
    import anyio

    return anyio.run(_supervise, settings, work, progress, listeners, present or (lambda result: None))


async def _supervise(
    settings: Settings,
    work: Work[T],
    progress: Progress | None,
    listeners: Listeners | None,
    present: Callable[[T], None],
) -> T:
    import anyio
    import anyio.to_thread

    from habit.errors import HabitError
    from habit.events import ignore
    from habit.tasks import task_group

    stop = _Stop()
    results: list[T] = []
    presented = looking_after = False
    with anyio.CancelScope() as scope, stop.listening(scope, progress):
        try:
            on_event = progress.on_event if progress else ignore
            async with open_engine(settings, on_event, listeners) as engine, task_group() as group:
                engine.confirm = Agreement(lambda: progress)
                if progress is not None:
                    group.start_soon(progress.keep_fresh)
                results.append(await work(engine))
                presented = True  # even if Ctrl-C comes meanwhile: a thread is waited for
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(present, results[0])
                if progress is not None:
                    progress.tell_news()
                looking_after = engine.looking_after
                if looking_after:
                    note_line("The answer is given; a habit is being checked or mended. Ctrl-C leaves that undone.")
                    end_output()
                    await engine.settled()
                group.cancel_scope.cancel()
        except HabitError:
            # An error that comes up because the work is being stopped is not what to tell about.
            if not scope.cancel_called:
                raise
        finally:
            if progress is not None:
                progress.close()
    if results:  # Ctrl-C may have come after the work was done
        if not presented:
            present(results[0])
        if looking_after and scope.cancelled_caught:
            note_line(LEFT_UNDONE)
        return results[0]
    raise Interrupted(way_on(progress), signal_number=stop.signal_number)


class Shown(Protocol):
    """What shows on stderr how far some work is."""

    async def keep_fresh(self) -> None:
        """Redraw it now and then, until cancelled."""
        ...

    def close(self) -> None:
        """Take it away."""
        ...


def run_until_stopped(work: Callable[[], Awaitable[T]], shown: Shown, way_on: Callable[[], str]) -> T:
    """What ``work`` returns, which has engines of its own. Raises Interrupted with what ``way_on`` says when it was
    stopped, else whatever ``work`` raises."""
    import anyio

    return anyio.run(_until_stopped, work, shown, way_on)


async def _until_stopped(work: Callable[[], Awaitable[T]], shown: Shown, way_on: Callable[[], str]) -> T:
    import anyio

    from habit.errors import HabitError
    from habit.tasks import task_group

    stop = _Stop()
    results: list[T] = []
    with anyio.CancelScope() as scope, stop.listening(scope, shown):
        try:
            async with task_group() as group:
                group.start_soon(shown.keep_fresh)
                results.append(await work())
                group.cancel_scope.cancel()
        except HabitError:
            if not scope.cancel_called:  # else it comes from being stopped
                raise
        finally:
            shown.close()
    if results:
        return results[0]
    raise Interrupted(way_on(), signal_number=stop.signal_number)


def way_on(progress: Progress | None) -> str:
    """What to say to somebody who stopped a run."""
    if progress is None or progress.run is None:
        return "Interrupted."
    if not progress.resumable:
        return "Interrupted; no journal was kept, so the run can't be continued."
    return f"Interrupted; continue with: habit resume {progress.run}"


def known_all_the_same(progress: Progress) -> Run | None:
    """The run that was stopped, if it was answered by then and only something for the library was still under way."""
    if progress.answered is not None:
        note_line(LEFT_UNDONE)
    return progress.answered


class _Stop:
    """Ctrl-C or SIGTERM: the first cancels the work and lets it write down where it stands, the second ends at once."""

    def __init__(self) -> None:
        self.signal_number = int(signal.SIGINT)
        self._count = 0

    @contextmanager
    def listening(self, scope: anyio.CancelScope, shown: Shown | None) -> Iterator[None]:
        """Cancel ``scope`` when a signal comes. Signals that whoever started us ignores stay ignored."""
        import asyncio

        loop = asyncio.get_running_loop()

        def stop_work() -> None:
            scope.cancel()
            if shown is not None:
                shown.close()
                note_line("Stopping; press Ctrl-C again to end at once.")

        def on_signal(number: int, frame: FrameType | None) -> None:
            self._count += 1
            if self._count > 1:
                os._exit(128 + number)  # the journal is valid at any moment
            self.signal_number = number
            loop.call_soon_threadsafe(stop_work)

        before = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    before[number] = signal.signal(number, on_signal)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
