"""Engine: opens runs and sessions, resumes and replays them. The Python surface of Habit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import anyio

from habit.aftercare import carried_out, caught_up
from habit.calls.budget import Budget
from habit.calls.fanout import Confirm
from habit.config import SETTABLE, Settings
from habit.config import load as load_settings
from habit.errors import RunError, UsageError
from habit.events import Observer, ignore
from habit.execution import AFRESH, Execution
from habit.jobs import job_again, must_have_ended
from habit.journal.store import Store
from habit.library.same import same_answer
from habit.models import Models
from habit.resources import Resources
from habit.run import Replay, Run
from habit.sandbox.session import Sandbox
from habit.sessions import Session, hold, rebuilt
from habit.stream import RunStream
from habit.tasks import waited_for
from habit.telemetry.otel import OpenTelemetry


class Engine:
    """Answers questions. Holds what runs share: the journal, the sandbox, and connections to models.

    An asynchronous context manager; one engine serves any number of runs at once.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        store: Store | None = None,
        sandbox: Sandbox | None = None,
        models: Models | None = None,
        on_event: Observer = ignore,
        telemetry: OpenTelemetry | None = None,
        shared_budget: Budget | None = None,
        confirm: Confirm | None = None,
    ) -> None:
        """Start nothing yet. ``store``, ``sandbox`` and ``models`` stand in for those that ``settings`` ask for.

        ``shared_budget`` is what all runs of this engine may use together, beside the budget that each of them has.
        ``confirm`` is asked before a map that is expected to cost more than ``settings.confirm_usd``; without it such
        maps are sent unasked, and budgets alone hold.
        """
        self.settings = settings or Settings()
        self.resources = Resources(
            self.settings,
            store=store,
            sandbox=sandbox,
            models=models,
            shared_budget=shared_budget,
            confirm=confirm,
            telemetry=telemetry,
            on_event=on_event,
        )
        self._streams: list[RunStream] = []
        self._open = AsyncExitStack()
        if self.settings.strategy != "rlm" and Path(self.settings.library).is_dir():
            from habit.library.librarian import LibraryLibrarian  # only where there is a library

            self.resources.librarian = LibraryLibrarian(self.resources)

    async def __aenter__(self) -> Self:
        """Ready the engine; processes and connections start when they are first needed."""
        self._open.push_async_callback(self._close)
        await self._open.enter_async_context(self.resources.background.opened())
        self._open.push_async_callback(self._close_streams)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for shadows and repairs (after an error or a cancellation they are stopped), then close everything."""
        await self._open.__aexit__(kind, error, trace)

    async def _close_streams(self) -> None:
        with anyio.CancelScope(shield=True):
            for stream in self._streams:
                await stream.aclose()

    async def _close(self) -> None:
        with anyio.CancelScope(shield=True):
            if self.resources.librarian is not None:
                await self.resources.librarian.aclose()
            await self.resources.aclose()

    @property
    def looking_after(self) -> bool:
        """Whether shadows or repairs of runs that are answered are still under way."""
        return self.resources.background.busy

    async def settled(self) -> None:
        """Wait until no shadow and no repair is under way, so that the next question finds what came of them."""
        await self.resources.background.settled()

    def stream(self, query: str, context: Any = None, **how: Any) -> RunStream:
        """Answer like ``ask``, as an asynchronous iterator over the events of the run; the last is RunEnded.

        ``async for event in engine.stream("…", text): …``; errors of the run are raised from the iteration. The run
        starts with the first event asked for, and is stopped when the stream or the engine is closed.
        """
        stream = RunStream(lambda tell: self.ask(query, context, **how, on_event=tell))
        self._streams = [earlier for earlier in self._streams if not earlier.ended] + [stream]
        return stream

    async def ask(
        self,
        query: str,
        context: Any = None,
        *,
        paths: Iterable[str | Path] = (),
        stdin: BinaryIO | None = None,
        skip_bad: bool = False,
        raw: bool = False,
        continue_from: str | None = None,
        returns: Any = str,
        budget: Budget | None = None,
        on_event: Observer = ignore,
    ) -> Run:
        """Answer ``query`` about ``context``, or about the files, folders and globs in ``paths``.

        ``context`` is a str or anything JSON can hold. With ``continue_from``, an earlier run, the question is about
        the input of that run, and its variables are there. ``returns`` is a Python type, a pydantic model, a list of
        allowed strings, or a JSON schema; the answer has that type. ``budget`` replaces the one in the settings.
        With ``raw`` no document or archive in ``paths`` is converted: each file is the text it is.
        ``on_event`` is told what happens in this run, as the engine's own observer is told of every run.

        Returns as soon as there is an answer: a shadow or a repair that the run calls for goes on in the background,
        one at a time; ``settled``, or the end of the engine, waits for them.

        Raises UsageError before anything is started; BudgetExceeded and RunFailed carry the partial run.
        """
        async with self.session(
            context, paths=paths, stdin=stdin, skip_bad=skip_bad, raw=raw, continue_from=continue_from
        ) as session:
            session.last = True
            return await session.ask(query, returns=returns, budget=budget, on_event=on_event)

    async def use(
        self,
        name: str,
        context: Any = None,
        *,
        parameters: Mapping[str, Any],
        version: int | None = None,
        paths: Iterable[str | Path] = (),
        stdin: BinaryIO | None = None,
        skip_bad: bool = False,
        raw: bool = False,
        budget: Budget | None = None,
        on_event: Observer = ignore,
    ) -> Run:
        """Answer with the approved habit ``name``, in its active version or in ``version``; nothing is matched.

        ``parameters`` are given by name, as values or as text; the input is given as in ``ask``. With the strategy
        ``habit`` a habit that can't answer raises RunFailed; else the model then writes a scheduler. Raises UsageError
        for an unknown habit, parameters that do not fit, and strategies that use no habits.
        """
        if self.settings.strategy in AFRESH:
            raise UsageError(
                f"The strategy {self.settings.strategy} uses no habits: to use one by name, take habit or auto."
            )
        from habit.library.librarian import LibraryLibrarian, NamedLibrarian
        from habit.library.using import question_of

        shared = self.resources.librarian
        library = shared if isinstance(shared, LibraryLibrarian) else LibraryLibrarian(self.resources)
        librarian = NamedLibrarian(library, name, version, parameters)
        habit, values = await librarian.named()
        if shared is None:  # there was no library yet when the engine was made
            self.resources.librarian = library
        async with self.session(context, paths=paths, stdin=stdin, skip_bad=skip_bad, raw=raw) as session:
            session.last = True
            query, returns = question_of(habit.spec, values), habit.spec.answer_type
            return await session.ask(query, returns=returns, budget=budget, on_event=on_event, librarian=librarian)

    @asynccontextmanager
    async def session(
        self,
        context: Any = None,
        *,
        paths: Iterable[str | Path] = (),
        stdin: BinaryIO | None = None,
        skip_bad: bool = False,
        raw: bool = False,
        continue_from: str | None = None,
        change: Mapping[str, Any] | None = None,
        budget: Budget | None = None,
    ) -> AsyncIterator[Session]:
        """Several questions about one input, one after the other; variables stay from each to the next.

        ``async with engine.session(text) as session: run = await session.ask("How many?"); …``

        The input is read when the first question is asked. With ``continue_from``, an earlier run, the session begins
        where that run ended: its code is run again with the replies it got, so nothing is paid for twice; models,
        limits and prompts stay as they were, but for the settings in ``change``. ``budget`` is what all questions of
        the session may use together, beside the budget that each of them has.
        """
        async with AsyncExitStack() as stack:
            given = {"stdin": stdin, "skip_bad": skip_bad, "raw": raw}
            yield Session(
                self.resources,
                stack,
                lambda tell: hold(context, paths, self.resources.keep_conversions, given, tell),
                continue_from,
                change or {},
                budget or Budget(),
            )

    @property
    def budget(self) -> Budget:
        """The budget that the settings give each run."""
        return self.resources.budget

    @property
    def confirm(self) -> Confirm | None:
        """Who is asked before an expensive map; may be set at any time."""
        return self.resources.confirm

    @confirm.setter
    def confirm(self, confirm: Confirm | None) -> None:
        self.resources.confirm = confirm

    async def store(self) -> Store:
        """The journal, opened at first use. Raises JournalError or UsageError when it can't be used."""
        return await self.resources.store()

    async def resume(self, ref: str, *, returns: Any = None) -> Run:
        """Continue the run named by an id, a unique prefix or ``last``; only calls that had not completed are paid for.

        A run that was answered is given back as it is; what it called for in the library and was cut off is taken up
        again, as after ``ask``. ``returns`` is the type the run was asked with: the journal keeps its JSON schema, but
        not the validators of a pydantic type.
        """
        store = await self.store()
        record = await store.run(ref)
        if record.status == "answered":
            return await caught_up(record, returns, self.resources)
        async with store.claim(record.id), AsyncExitStack() as stack:  # first, so that nobody adds to what is read
            before = await rebuilt(record, self.resources, stack)
            job = await job_again(record, self.resources, returns, before, live=True)
            await store.end_run(record.id, "running", record.result or {})
            execution = Execution(job, await self.resources.sandbox(job.settings.sandbox))
            return await carried_out(job, execution, before.live if before else None, self.resources)

    async def replay(self, ref: str, *, returns: Any = None) -> Replay:
        """Run ``ref`` again with no model at all: every reply comes from the journal. Writes nothing.

        ``returns`` is the type the run was asked with, for types with validators of their own (see ``resume``).
        Raises ReplayMismatch when the code asks something else than was recorded.
        """
        store = await self.store()
        record = await store.run(ref)
        must_have_ended(record)
        async with AsyncExitStack() as stack:
            before = await rebuilt(record, self.resources, stack)
            job = await job_again(record, self.resources, returns, before, live=False)
            execution = Execution(job, await self.resources.sandbox(job.settings.sandbox))
            try:
                run = await execution.run(before.live if before else None)
            except RunError as failure:
                if failure.run is None:
                    raise
                run = failure.run
        result = record.result or {}
        recorded = result.get("answer")
        same = same_answer(job.returns, run.answer, recorded) and run.status == result.get("status")
        return Replay(run, recorded, same)


def ask(
    query: str,
    context: Any = None,
    *,
    paths: Iterable[str | Path] = (),
    returns: Any = str,
    settings: Settings | None = None,
    on_event: Observer = ignore,
    **given: Any,
) -> Run:
    """Answer ``query`` about ``context`` or the files in ``paths``; ``Engine.ask`` for code that is not asynchronous.

    Every setting can be given by name: ``habit.ask("…", text, model="openai:gpt-5-mini", max_usd=0.5)``; what is not
    given comes from HABIT_* variables and the configuration file, or from ``settings`` alone when that is given.

    Raises UsageError before anything is started; BudgetExceeded and RunFailed carry the partial run.
    """
    unknown = sorted(set(given) - set(SETTABLE))
    if unknown:
        raise TypeError(f"ask() got an unexpected argument {unknown[0]!r}; settings are: {', '.join(SETTABLE)}")
    chosen = replace(settings, **given) if settings is not None else load_settings(given)

    async def answer() -> Run:  # with what it calls for in the library, for which the end of the engine waits
        async with Engine(chosen, on_event=on_event) as engine:
            return await engine.ask(query, context, paths=paths, returns=returns)

    return waited_for(answer, instead="async with habit.Engine() as engine: await engine.ask(…)")
