"""``habit ask`` at a prompt: question after question about the same input, in one session that keeps its variables.

The engine works in a thread of its own, so that the main thread, where signals arrive, is free for the prompt: Ctrl-C
there leaves, and during a run stops that run alone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from habit.cli import running, status
from habit.cli.agreeing import Agreement
from habit.cli.explaining import explain
from habit.cli.output import note_line
from habit.cli.prompt import Prompt
from habit.cli.running import Interrupted, known_all_the_same, way_on
from habit.errors import HabitError, UsageError

if TYPE_CHECKING:
    import anyio

    from habit.cli.listening import Listeners
    from habit.cli.progress import Progress
    from habit.config import Settings
    from habit.engine import Engine
    from habit.run import Run
    from habit.sessions import Session

Present = Callable[[Callable[[], "Run"], "Progress"], int]
"""Prints what came out of a question; gives its exit status or raises what went wrong."""


def converse(
    settings: Settings,
    about: Mapping[str, Any],
    returns: Any,
    present: Present,
    *,
    verbose: bool = False,
    listeners: Listeners | None = None,
) -> int:
    """Ask for questions and answer them until the person leaves; ``about`` names the input as Engine.session does.

    Raises UsageError when no question could ever be answered: no such file, no model.
    """
    from habit.cli.progress import Progress

    with Asker(settings, about, returns, listeners) as asker:
        prompt = Prompt()
        asked: list[Progress] = []
        note_line("One question a line; an empty line or Ctrl-D leaves, Ctrl-C stops a run.")
        while (query := prompt.read()) is not None:
            for earlier in asked:
                earlier.tell_news(hold_news=True)
            progress = Progress(verbose=verbose, resumable=not settings.no_journal)
            asked.append(progress)
            try:
                present(partial(asker.ask, query, progress), progress)
            except (HabitError, Interrupted) as error:
                if isinstance(error, UsageError) or asker.ended:
                    raise
                explain(error)
            progress.tell_news(hold_news=True)  # later ones would come in the midst of what is being typed
        for earlier in asked:
            earlier.tell_news()
    return status.ANSWERED


@dataclass(frozen=True)
class _Question:
    query: str
    progress: Progress
    reply: Future[Run]


class Asker:
    """An engine with a session, in a thread; ``ask`` waits for it and can be interrupted."""

    def __init__(
        self, settings: Settings, about: Mapping[str, Any], returns: Any, listeners: Listeners | None = None
    ) -> None:
        self._settings = settings
        self._listeners = listeners
        self._about = about
        self._returns = returns
        self._questions: asyncio.Queue[_Question | None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._engine: Engine | None = None
        self._scope: anyio.CancelScope | None = None
        """Of the run that is under way."""
        self._whole: anyio.CancelScope | None = None
        """Of everything."""
        self._asking: _Question | None = None
        self._agreement = Agreement(lambda: self._asking.progress if self._asking else None)
        self._ready = threading.Event()
        self._served: Future[None] = Future()
        self._thread = threading.Thread(target=self._work, name="habit engine", daemon=True)

    def __enter__(self) -> Self:
        """Start importing the engine, which takes a moment, while the first question is being typed."""
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session and the engine, when what is under way for the library is done; Ctrl-C leaves it undone."""
        if self._engine is not None and self._engine.looking_after and not self.ended:
            note_line("A habit is still being checked or mended. Ctrl-C leaves that undone.")
        with _ctrl_c(self._leave):
            self._put(None)
            self._thread.join()

    @property
    def ended(self) -> bool:
        """Whether the engine is gone, so that nothing can be asked any more."""
        return self._served.done()

    def ask(self, query: str, progress: Progress) -> Run:
        """How ``query`` was answered. Raises Interrupted after Ctrl-C, else whatever the run raised."""
        question = _Question(query, progress, Future())
        with _ctrl_c(self._stop):
            self._put(question)
            waited_for: list[Future[Any]] = [question.reply, self._served]
            wait(waited_for, return_when=FIRST_COMPLETED)
        if not question.reply.done():
            self._served.result()  # raises what ended the engine
        return question.reply.result()

    def _put(self, question: _Question | None) -> None:
        assert self._loop is not None
        assert self._questions is not None
        with suppress(RuntimeError):  # the loop has ended, and ``_served`` tells why
            self._loop.call_soon_threadsafe(self._questions.put_nowait, question)

    def _stop(self) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._stop_now)

    def _leave(self) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._leave_now)

    def _leave_now(self) -> None:
        if self._whole is not None:
            self._whole.cancel()
            note_line("Stopping; press Ctrl-C again to end at once.")

    def _stop_now(self) -> None:
        if self._scope is not None and self._asking is not None:
            self._scope.cancel()
            self._asking.progress.close()
            note_line("Stopping; press Ctrl-C again to end at once.")

    def _work(self) -> None:
        import anyio

        try:
            anyio.run(self._serve)
        except BaseException as error:  # noqa: BLE001 - raised again by whoever asks
            self._served.set_exception(error)
        else:
            self._served.set_result(None)
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        import anyio

        self._loop = asyncio.get_running_loop()
        self._questions = asyncio.Queue()
        self._ready.set()
        with anyio.CancelScope() as self._whole:
            async with running.open_engine(self._settings, _ignore, self._listeners) as engine:
                self._engine = engine
                engine.confirm = self._agreement
                while await self._one_session(engine):
                    continue  # a stopped run left half of its work behind: go on from where the last whole one ended

    async def _one_session(self, engine: Engine) -> bool:
        """Answer questions in one session; True when a run of it was stopped and another session is needed."""
        assert self._questions is not None
        async with engine.session(**self._about) as session:
            while (question := await self._questions.get()) is not None:
                if not await self._answer(session, question):
                    return True
        return False

    async def _answer(self, session: Session, question: _Question) -> bool:
        """Answer one question; False when it was stopped."""
        import anyio

        from habit.tasks import task_group

        progress, reply = question.progress, question.reply
        with anyio.CancelScope() as scope:
            self._scope, self._asking = scope, question
            try:
                async with task_group() as group:
                    group.start_soon(progress.keep_fresh)
                    run = await session.ask(question.query, returns=self._returns, on_event=progress.on_event)
                    group.cancel_scope.cancel()
                self._go_on_from(run)
                progress.close()
                reply.set_result(run)
            except HabitError as error:
                # An error that comes up because the run is being stopped is not what to tell about.
                if not scope.cancel_called:
                    self._go_on_from(getattr(error, "run", None))
                    progress.close()
                    reply.set_exception(error)
            finally:
                self._asking = None
                progress.close()
        if reply.done():  # Ctrl-C may have come after the work was done
            return True
        if (known := known_all_the_same(progress)) is not None:
            self._go_on_from(known)
            reply.set_result(known)
        else:
            reply.set_exception(Interrupted(way_on(progress), signal_number=signal.SIGINT))
        return False

    def _go_on_from(self, run: Run | None) -> None:
        if run is not None:
            self._about = {"continue_from": run.id}


def _ignore(event: object) -> None:
    """Each question brings an observer of its own."""


@contextmanager
def _ctrl_c(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C calls ``stop``, and a second one ends at once. Where whoever started us ignores it, it stays ignored."""
    presses = 0

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal presses
        presses += 1
        if presses > 1:
            os._exit(128 + number)  # the journal is valid at any moment
        stop()

    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
