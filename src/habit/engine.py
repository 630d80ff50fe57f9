"""Engine: opens a run, lets a scheduler answer it, and writes down how it ended. The Python surface of Habit."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import anyio
import anyio.to_thread

from habit.calls.budget import Budget
from habit.calls.kernel import Kernel
from habit.calls.provider import Provider
from habit.calls.returns import Returns
from habit.config import SETTABLE, Settings
from habit.config import load as load_settings
from habit.contexts.context import Context
from habit.contexts.load import load, reload
from habit.errors import BudgetExceeded, HabitError, ReplayMismatch, RunError, RunFailed, UsageError
from habit.events import Observer, RunStarted, all_of, ignore
from habit.journal.memory import MemoryStore
from habit.journal.naming import new_run_id
from habit.journal.records import RunRecord
from habit.journal.replay import Recording
from habit.journal.sqlite import SqliteStore
from habit.journal.store import Store
from habit.models import AbsentModel, Models, NamedModels
from habit.run import Replay, Run, RunEnded, Status, plain
from habit.sandbox.cpython import CPythonSandbox
from habit.sandbox.session import Sandbox, SessionLimits
from habit.schedulers.prompts import profile_for
from habit.schedulers.rlm import RLM, Limits
from habit.schedulers.scheduler import Outcome, Task
from habit.stream import RunStream
from habit.tasks import task_group

_KEPT_SETTINGS = (
    "base_url",
    "base_url_from_file",
    "profile",
    "strategy",
    "dialect",
    "execution",
    "max_depth",
    "max_cells",
    "cell_seconds",
    "cell_memory",
    "window",
    "no_cache",
)
"""Settings that decide what a run does: recorded with it, so that resume and replay do the same."""


@dataclass(frozen=True)
class _Job:
    """One execution of a run: afresh, resumed, or replayed."""

    record: RunRecord
    context: Context
    returns: Returns
    settings: Settings
    store: Store
    root: Provider
    leaf: Provider
    recording: Recording | None = None
    replay: bool = False
    on_event: Observer = ignore


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
    ) -> None:
        """Start nothing yet. ``store``, ``sandbox`` and ``models`` stand in for those that ``settings`` ask for."""
        self.settings = settings or Settings()
        self.on_event = on_event
        self._store = store
        self._sandbox = sandbox
        self._models = models
        self._resources = AsyncExitStack()
        self._opening = anyio.Lock()
        self._streams: list[RunStream] = []

    async def __aenter__(self) -> Self:
        """Ready the engine; processes and connections start when they are first needed."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close everything this engine opened."""
        with anyio.CancelScope(shield=True):
            for stream in self._streams:
                await stream.aclose()
            await self._resources.aclose()

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
        returns: Any = str,
        budget: Budget | None = None,
        on_event: Observer = ignore,
    ) -> Run:
        """Answer ``query`` about ``context``, or about the files, folders and globs in ``paths``.

        ``context`` is a str or anything JSON can hold. ``returns`` is a Python type, a pydantic model, a list of
        allowed strings, or a JSON schema; the answer has that type. ``budget`` replaces the one in the settings.
        ``on_event`` is told what happens in this run, as the engine's own observer is told of every run.

        Raises UsageError before anything is started; BudgetExceeded and RunFailed carry the partial run.
        """
        if not query.strip():
            raise UsageError("The question is empty: say what you want to know.")
        expected = returns if isinstance(returns, Returns) else Returns.from_type(returns)
        budget = budget or self.budget
        models, sandbox = await self._shared_models(), await self._shared_sandbox()
        async with task_group() as group:
            group.start_soon(sandbox.warm_up)  # takes a moment at first use
            held = await _hold(context, paths, stdin, skip_bad)
            root, leaf = await models.open_pair(self.settings, budget)
            store = await self.store()
            if not held.files and held.payload:  # what can't be read again from disk
                await store.put_blob(held.payload)
        record = await self._record(query, held, expected, root, leaf)
        async with store.claim(record.id):
            await store.add_run(record)
            return await self._execute(
                _Job(record, held, expected, self.settings, store, root, leaf, on_event=on_event), budget
            )

    @property
    def budget(self) -> Budget:
        """The budget that the settings give each run."""
        return Budget(**{field.name: getattr(self.settings, field.name) for field in fields(Budget)})

    async def resume(self, ref: str, *, returns: Any = None) -> Run:
        """Continue the run named by an id, a unique prefix or ``last``; only calls that had not completed are paid for.

        A run that was answered is given back as it is. ``returns`` is the type the run was asked with: the journal
        keeps its JSON schema, but not the validators of a pydantic type.
        """
        store = await self.store()
        record = await store.run(ref)
        if record.status == "answered":
            return Run.from_json(record.result or {})
        async with store.claim(record.id):  # first, so that nobody else adds to what is read
            job = await self._job_again(record, store, returns, live=True)
            await store.end_run(record.id, "running", record.result or {})
            return await self._execute(job, self.budget)

    async def replay(self, ref: str, *, returns: Any = None) -> Replay:
        """Run ``ref`` again with no model at all: every reply comes from the journal. Writes nothing.

        ``returns`` is the type the run was asked with, for types with validators of their own (see ``resume``).
        Raises ReplayMismatch when the code asks something else than was recorded.
        """
        store = await self.store()
        record = await store.run(ref)
        if record.result is None or record.status in ("running", "interrupted"):
            raise UsageError(f"Run {record.id} has not ended; continue it with: habit resume {record.id}.")
        job = await self._job_again(record, store, returns, live=False)
        try:
            run = await self._execute(job, Budget())
        except RunError as failure:
            if failure.run is None:
                raise
            run = failure.run
        recorded = record.result.get("answer")
        same = plain(run.answer) == recorded and run.status == record.result.get("status")
        return Replay(run, recorded, same)

    async def _execute(self, job: _Job, budget: Budget) -> Run:
        """Let the scheduler work, and write down how it ended, whatever happens."""
        started = time.monotonic()
        tell = all_of(self.on_event, job.on_event)
        kernel = Kernel(
            job.root,
            job.leaf,
            budget=budget,
            store=job.store,
            run_id=job.record.id,
            recording=job.recording,
            replay=job.replay,
            stopped_by=(job.record.result or {}).get("stopped_by") if job.replay else None,
            use_cache=not job.settings.no_cache,
            on_event=tell,
        )
        rlm = RLM(
            kernel,
            await self._shared_sandbox(),
            job.store,
            profile_for(
                job.settings.profile,
                job.root.model,
                dialect=job.settings.dialect,
                execution=job.settings.execution,
            ),
            run_id=job.record.id,
            limits=_limits(job.settings),
            clock=float(int(job.record.started)),
            on_event=tell,
        )

        def ended(
            status: Status,
            answer: Any = None,
            *,
            error: str | None = None,
            stopped_by: str | None = None,
            note: str = "",
        ) -> Run:
            notes = (*job.context.notes, *filter(None, [note, _divergence(job)]))
            return Run(
                id=job.record.id,
                query=job.record.query,
                status=status,
                answer=answer,
                strategy=job.record.strategy,
                usage=kernel.usage,
                peak_prompt_tokens=kernel.usage.peak_prompt_tokens,
                cells=rlm.cells,
                depth=rlm.depth,
                seconds=time.monotonic() - started,
                error=error,
                stopped_by=stopped_by,
                notes=notes,
            )

        tell(RunStarted(job.record.id, job.root.model, job.record.strategy, job.context.notes))
        try:
            outcome = await self._within(budget.max_seconds, rlm, Task(job.record.query, job.context, job.returns))
            run = ended(outcome.status, job.returns.to_python(outcome.answer), note=outcome.note)
        except BudgetExceeded as stop:
            best = None if stop.best_answer is None else job.returns.to_python(stop.best_answer)
            stop.run = run = ended("budget", best, error=str(stop), stopped_by=stop.limit)
            await self._write_end(job, run)
            tell(RunEnded(run))
            raise
        except ReplayMismatch:
            raise
        except HabitError as problem:
            run = ended("failed", error=str(problem))
            await self._write_end(job, run)
            tell(RunEnded(run))
            raise RunFailed(str(problem), run) from problem
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                run = ended("failed", error="interrupted")
                await self._write_end(job, run, interrupted=True)
                tell(RunEnded(run))
            raise
        await self._write_end(job, run)
        tell(RunEnded(run))
        return run

    async def _within(self, seconds: float | None, rlm: RLM, task: Task) -> Outcome:
        with anyio.move_on_after(seconds) as scope:
            return await rlm.run(task)
        assert scope.cancelled_caught
        raise BudgetExceeded(
            f"The run was stopped after {seconds:g} seconds; give it more with --max-seconds.", limit="seconds"
        )

    async def _write_end(self, job: _Job, run: Run, *, interrupted: bool = False) -> None:
        if not job.replay:
            await job.store.end_run(run.id, "interrupted" if interrupted else run.status, run.to_json())

    async def store(self) -> Store:
        """The journal, opened at first use. Raises JournalError or UsageError when it can't be used."""
        async with self._opening:
            if self._store is None:
                if self.settings.no_journal:
                    self._store = MemoryStore()
                else:
                    self._store = await SqliteStore.open(self.settings.journal)
                self._resources.push_async_callback(self._store.aclose)
            return self._store

    async def _shared_sandbox(self) -> Sandbox:
        async with self._opening:
            if self._sandbox is None:
                self._sandbox = CPythonSandbox()
                self._resources.push_async_callback(self._sandbox.aclose)
            return self._sandbox

    async def _shared_models(self) -> Models:
        async with self._opening:
            if self._models is None:
                self._models = NamedModels()
                self._resources.push_async_callback(self._models.aclose)
            return self._models

    async def _record(
        self, query: str, context: Context, returns: Returns, root: Provider, leaf: Provider
    ) -> RunRecord:
        now = time.time()
        digest = await anyio.to_thread.run_sync(lambda: context.digest)
        kept = {name: value for name, value in asdict(self.settings).items() if name in _KEPT_SETTINGS}
        return RunRecord(
            id=new_run_id(now),
            query=query,
            started=now,
            settings={
                **kept,
                "model": root.model,
                "leaf_model": leaf.model,
                "windows": [root.window, leaf.window],
                "returns": returns.to_json(),
            },
            context={**context.record(), "blob": None if context.files else digest},
        )

    async def _job_again(self, record: RunRecord, store: Store, returns: Any, *, live: bool) -> _Job:
        """What a recorded run works from, found again: its context, its settings and its replies."""
        kept = {name: value for name, value in record.settings.items() if name in _KEPT_SETTINGS}
        settings = replace(
            self.settings, **kept, model=record.settings["model"], leaf_model=record.settings["leaf_model"]
        )
        calls = await store.calls(record.id)
        root: Provider
        leaf: Provider
        if live:
            root, leaf = await (await self._shared_models()).open_pair(settings, self.budget)
        else:
            root_window, leaf_window = record.settings["windows"]
            root = AbsentModel(record.settings["model"], root_window)
            leaf = AbsentModel(record.settings["leaf_model"], leaf_window)
        return _Job(
            record,
            await self._context_again(record, store),
            Returns.from_json(record.settings["returns"]) if returns is None else Returns.from_type(returns),
            settings,
            store,
            root,
            leaf,
            recording=Recording.for_resume(calls) if live else Recording.for_replay(calls),
            replay=not live,
        )

    async def _context_again(self, record: RunRecord, store: Store) -> Context:
        known = record.context
        if known["files"]:
            return await anyio.to_thread.run_sync(reload, known)
        if not known["bytes"]:
            return Context(known["kind"], b"", known["origin"])
        payload = await store.get_blob(known["blob"])
        return Context(known["kind"], payload, known["origin"])


async def _hold(context: Any, paths: Iterable[str | Path], stdin: BinaryIO | None, skip_bad: bool) -> Context:
    """The context of a question, from a value or from files."""
    asked = [str(path) for path in paths]
    if context is None:
        return await anyio.to_thread.run_sync(lambda: load(asked, stdin=stdin, skip_bad=skip_bad))
    if asked:
        raise UsageError("Give either a context or paths, not both.")
    if isinstance(context, Context):
        return context
    try:
        return await anyio.to_thread.run_sync(Context.of, context)
    except (TypeError, ValueError) as problem:
        raise UsageError(f"The context must be text or data that JSON can hold: {problem}.") from None


def _limits(settings: Settings) -> Limits:
    session = SessionLimits(cell_seconds=settings.cell_seconds, memory=settings.cell_memory)
    return Limits(max_cells=settings.max_cells, max_depth=settings.max_depth, session=session)


def _divergence(job: _Job) -> str:
    """What to say when a run that went on did not ask for everything it had asked before."""
    unused = job.recording.unused() if job.recording else []
    if not unused:
        return ""
    return f"{len(unused)} recorded calls were not asked for again: the run went another way than before."


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

    async def answer() -> Run:
        async with Engine(chosen, on_event=on_event) as engine:
            return await engine.ask(query, context, paths=paths, returns=returns)

    return anyio.run(answer)
