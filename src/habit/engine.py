"""Engine: opens runs and sessions, resumes and replays them. The Python surface of Habit."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import anyio
import anyio.to_thread

from habit.calls.budget import Budget, Ledger
from habit.calls.daily import DayLedger
from habit.calls.fanout import Confirm
from habit.calls.prices import require_price
from habit.calls.provider import Provider
from habit.calls.returns import Returns
from habit.config import SETTABLE, Settings
from habit.config import load as load_settings
from habit.contexts.context import Context
from habit.contexts.reading import read_again, read_context
from habit.errors import RunError, UsageError
from habit.events import Notice, Observer, all_of, ignore
from habit.execution import Execution, Job
from habit.journal.memory import MemoryStore
from habit.journal.naming import new_run_id
from habit.journal.records import RunRecord
from habit.journal.replay import Recording
from habit.journal.sqlite import SqliteStore
from habit.journal.store import Store
from habit.models import AbsentModel, Models, NamedModels
from habit.run import Replay, Run, plain
from habit.sandbox.choose import open_sandbox, pick
from habit.sandbox.session import Sandbox
from habit.schedulers.live import LiveSession
from habit.stream import RunStream
from habit.tasks import task_group
from habit.telemetry.otel import OpenTelemetry

_KEPT_SETTINGS = (
    "base_url",
    "base_url_from_file",
    "profile",
    "strategy",
    "dialect",
    "execution",
    "sandbox",
    "max_depth",
    "max_cells",
    "cell_seconds",
    "cell_memory",
    "window",
    "no_cache",
)
"""Settings that decide what a run does: recorded with it, so that resume and replay do the same."""


MOST_QUERY_CHARS = 1_000_000
"""Characters of a question; more than that is an input."""


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
        self.confirm = confirm
        self.day = DayLedger(self.settings.max_usd_day)
        self.shared = Ledger(
            shared_budget or Budget(),
            parent=self.day,
            name="engine",
            remedy="open it with a larger {field} in shared_budget",
        )
        self.on_event = on_event
        self.telemetry = telemetry or (OpenTelemetry() if self.settings.otel else None)
        """Makes spans of every run; by the application's tracer provider when only the setting asks for them."""
        self._store = store
        self._sandbox = sandbox
        self._sandboxes: dict[str, Sandbox] = {}
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

        Raises UsageError before anything is started; BudgetExceeded and RunFailed carry the partial run.
        """
        async with self.session(
            context, paths=paths, stdin=stdin, skip_bad=skip_bad, raw=raw, continue_from=continue_from
        ) as session:
            session.last = True
            return await session.ask(query, returns=returns, budget=budget, on_event=on_event)

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
    ) -> AsyncIterator[Session]:
        """Several questions about one input, one after the other; variables stay from each to the next.

        ``async with engine.session(text) as session: run = await session.ask("How many?"); …``

        The input is read when the first question is asked. With ``continue_from``, an earlier run, the session begins
        where that run ended: its code is run again with the replies it got, so nothing is paid for twice; models,
        limits and prompts stay as they were, but for the settings in ``change``.
        """
        async with AsyncExitStack() as stack:
            keep = not self.settings.no_journal  # which leaves nothing on disk
            given = {"stdin": stdin, "skip_bad": skip_bad, "raw": raw, "keep_conversions": keep}
            yield Session(self, stack, lambda tell: _hold(context, paths, given, tell), continue_from, change or {})

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
        async with store.claim(record.id), AsyncExitStack() as stack:  # first, so that nobody adds to what is read
            before = await self._rebuilt(record, store, stack)
            job = await self._job_again(record, store, returns, before, live=True)
            await store.end_run(record.id, "running", record.result or {})
            return await self._execute(job, before)

    async def replay(self, ref: str, *, returns: Any = None) -> Replay:
        """Run ``ref`` again with no model at all: every reply comes from the journal. Writes nothing.

        ``returns`` is the type the run was asked with, for types with validators of their own (see ``resume``).
        Raises ReplayMismatch when the code asks something else than was recorded.
        """
        store = await self.store()
        record = await store.run(ref)
        _must_have_ended(record)
        async with AsyncExitStack() as stack:
            before = await self._rebuilt(record, store, stack)
            job = await self._job_again(record, store, returns, before, live=False)
            try:
                run = await self._execute(job, before)
            except RunError as failure:
                if failure.run is None:
                    raise
                run = failure.run
        result = record.result or {}
        recorded = result.get("answer")
        same = plain(run.answer) == recorded and run.status == result.get("status")
        return Replay(run, recorded, same)

    async def _execute(self, job: Job, before: _Before | None) -> Run:
        return await Execution(job, await self.shared_sandbox(job.settings.sandbox)).run(
            before.live if before else None
        )

    async def _rebuilt(self, record: RunRecord, store: Store, stack: AsyncExitStack) -> _Before | None:
        """The session that ``record`` goes on with, rebuilt from the journal; None when it begins one of its own."""
        earlier = record.settings.get("continues")
        return None if earlier is None else await self.rebuild(await store.run(earlier), store, stack)

    async def rebuild(self, last: RunRecord, store: Store, stack: AsyncExitStack) -> _Before:
        """The session as it was when the run ``last`` ended: every run of it is replayed from the journal.

        It is closed with ``stack``. Raises UsageError when one of the runs has not ended, and ReplayMismatch.
        """
        chain = [last]
        while (earlier := chain[0].settings.get("continues")) is not None:
            chain.insert(0, await store.run(earlier))
        before: _Before | None = None
        for record in chain:
            _must_have_ended(record)
            job = replace(
                await self._job_again(record, store, None, before, live=False), on_event=ignore, telemetry=None
            )
            execution = Execution(job, await self.shared_sandbox(job.settings.sandbox))
            if before is None:
                live = await stack.enter_async_context(execution.open_session())
                before = _Before(live, job.context, record)
            with suppress(RunError):  # it ended so the first time
                await execution.run(before.live)
        assert before is not None
        return before

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

    async def shared_sandbox(self, wanted: str) -> Sandbox:
        """The sandbox that ``wanted`` (a setting) asks for, made at first use. Raises SandboxError."""
        async with self._opening:
            if self._sandbox is not None:
                return self._sandbox
            name, notice = await anyio.to_thread.run_sync(pick, wanted)
            if name not in self._sandboxes:
                if notice:
                    self.on_event(Notice(notice))
                self._sandboxes[name] = await anyio.to_thread.run_sync(open_sandbox, name)
                self._resources.push_async_callback(self._sandboxes[name].aclose)
            return self._sandboxes[name]

    async def shared_models(self) -> Models:
        """Where all runs get their models from."""
        async with self._opening:
            if self._models is None:
                self._models = NamedModels()
                self._resources.push_async_callback(self._models.aclose)
            return self._models

    async def wider_budgets(self, store: Store, *providers: Provider) -> Ledger:
        """What all runs share, the day up to date. Raises UsageError when it is in USD and a price is not known."""
        for provider in providers:
            require_price(provider, self.shared.budget, flag="shared_budget.max_usd")
            require_price(provider, self.day.budget, flag="--max-usd-day")
        if self.day.budget.max_usd is not None:
            await self.day.catch_up(store.spent_since)
        return self.shared

    async def _job_again(
        self, record: RunRecord, store: Store, returns: Any, before: _Before | None, *, live: bool
    ) -> Job:
        """What a recorded run works from, found again: its context, its settings and its replies."""
        settings = settings_of(record, self.settings)
        calls = await store.calls(record.id)
        root: Provider
        leaf: Provider
        if live:
            root, leaf = await (await self.shared_models()).open_pair(settings, self.budget)
        else:
            root_window, leaf_window = record.settings["windows"]
            root = AbsentModel(record.settings["model"], root_window)
            leaf = AbsentModel(record.settings["leaf_model"], leaf_window)
        return Job(
            record,
            before.context
            if before
            else await _context_again(record, store, keep_conversions=not self.settings.no_journal, tell=self.on_event),
            Returns.from_json(record.settings["returns"]) if returns is None else Returns.from_type(returns),
            settings,
            store,
            root,
            leaf,
            budget=self.budget if live else Budget(),
            within=await self.wider_budgets(store, root, leaf) if live else None,
            confirm=self.confirm,
            recording=Recording.for_resume(calls) if live else Recording.for_replay(calls),
            replay=not live,
            first=before.first if before else None,
            on_event=self.on_event,
            telemetry=self.telemetry,
        )


class Session:
    """Questions about one input, one after the other; see Engine.session. Each is a run of its own in the journal."""

    def __init__(
        self,
        engine: Engine,
        stack: AsyncExitStack,
        hold: Callable[[Observer], Awaitable[Context]],
        continue_from: str | None,
        change: Mapping[str, Any],
    ) -> None:
        self.last = False
        """Set when no other question will follow, so that nothing is kept for one."""
        self._engine = engine
        self._stack = stack
        self._hold = hold
        self._continue_from = continue_from
        self._change = change
        self._settings = engine.settings
        self._before: _Before | None = None
        self._latest: str | None = None
        self._context: Context | None = None
        self._asking = anyio.Lock()

    async def ask(
        self, query: str, *, returns: Any = str, budget: Budget | None = None, on_event: Observer = ignore
    ) -> Run:
        """Answer ``query``; arguments and errors as in Engine.ask. Questions wait for each other."""
        if not query.strip():
            raise UsageError("The question is empty: say what you want to know.")
        if len(query) > MOST_QUERY_CHARS:
            raise UsageError(f"The question is longer than {MOST_QUERY_CHARS:,} characters: put the text into a file.")
        expected = returns if isinstance(returns, Returns) else Returns.from_type(returns)
        async with self._asking:
            engine = self._engine
            if self._continue_from is not None and self._before is None:
                await self._go_back(self._continue_from)
            context, (root, leaf) = await self._ready(budget or engine.budget, all_of(engine.on_event, on_event))
            store = await engine.store()
            shared = await engine.wider_budgets(store, root, leaf)
            record = await self._record(query, context, expected, root, leaf)
            job = Job(
                record,
                context,
                expected,
                self._settings,
                store,
                root,
                leaf,
                budget=budget or engine.budget,
                within=shared,
                confirm=engine.confirm,
                first=self._before.first if self._before else None,
                on_event=all_of(engine.on_event, on_event),
                telemetry=engine.telemetry,
            )
            async with store.claim(record.id):
                await store.add_run(record)
                self._latest = record.id
                execution = Execution(job, await engine.shared_sandbox(job.settings.sandbox))
                if self._before is None and not self.last:
                    live = await self._stack.enter_async_context(execution.open_session())
                    self._before = _Before(live, context, record)
                return await execution.run(self._before.live if self._before else None)

    async def _go_back(self, ref: str) -> None:
        """Begin where the run ``ref`` ended."""
        store = await self._engine.store()
        record = await store.run(ref)
        self._settings = replace(settings_of(record, self._engine.settings), **self._change)
        if "base_url" in self._change:
            self._settings = replace(self._settings, base_url_from_file=False)
        self._before = await self._engine.rebuild(record, store, self._stack)
        self._context, self._latest = self._before.context, record.id

    async def _ready(self, budget: Budget, tell: Observer) -> tuple[Context, tuple[Provider, Provider]]:
        """The input and the models, with everything that takes a moment done at the same time."""
        models, sandbox = await self._engine.shared_models(), await self._engine.shared_sandbox(self._settings.sandbox)
        async with task_group() as group:
            group.start_soon(sandbox.warm_up)  # takes a moment at first use
            context = self._context or await self._hold(tell)
            pair = await models.open_pair(self._settings, budget)
            if self._context is None and not context.files and context.payload:  # what can't be read again from disk
                await (await self._engine.store()).put_blob(context.payload)
            self._context = context
        return self._context, pair

    async def _record(
        self, query: str, context: Context, returns: Returns, root: Provider, leaf: Provider
    ) -> RunRecord:
        now = time.time()
        digest = await anyio.to_thread.run_sync(lambda: context.digest)
        kept = {name: value for name, value in asdict(self._settings).items() if name in _KEPT_SETTINGS}
        return RunRecord(
            id=new_run_id(now),
            query=query,
            started=now,
            settings={
                **kept,
                "sandbox": (await self._engine.shared_sandbox(self._settings.sandbox)).name,
                "model": root.model,
                "leaf_model": leaf.model,
                "windows": [root.window, leaf.window],
                "returns": returns.to_json(),
                **({} if self._latest is None else {"continues": self._latest}),
            },
            context={**context.record(), "blob": None if context.files else digest},
        )


@dataclass(frozen=True)
class _Before:
    """A session that goes on, with what it is about and the run that began it."""

    live: LiveSession
    context: Context
    first: RunRecord


def settings_of(record: RunRecord, settings: Settings) -> Settings:
    """The settings a run was made with; ``settings`` for everything that does not decide what a run does."""
    kept = {name: value for name, value in record.settings.items() if name in _KEPT_SETTINGS}
    return replace(settings, **kept, model=record.settings["model"], leaf_model=record.settings["leaf_model"])


def _must_have_ended(record: RunRecord) -> None:
    if record.result is None or record.status in ("running", "interrupted"):
        raise UsageError(f"Run {record.id} has not ended; continue it with: habit resume {record.id}.")


async def _context_again(record: RunRecord, store: Store, *, keep_conversions: bool, tell: Observer) -> Context:
    known = record.context
    if known["files"]:
        return await read_again(known, keep_conversions=keep_conversions, tell=tell)
    if not known["bytes"]:
        return Context(known["kind"], b"", known["origin"])
    payload = await store.get_blob(known["blob"])
    return Context(known["kind"], payload, known["origin"])


async def _hold(context: Any, paths: Iterable[str | Path], given: Mapping[str, Any], tell: Observer) -> Context:
    """The context of a question, from a value or from files."""
    asked = [str(path) for path in paths]
    if context is None:
        return await read_context(asked, **given, tell=tell)
    if asked:
        raise UsageError("Give either a context or paths, not both.")
    if isinstance(context, Context):
        return context
    try:
        return await anyio.to_thread.run_sync(Context.of, context)
    except (TypeError, ValueError) as problem:
        raise UsageError(f"The context must be text or data that JSON can hold: {problem}.") from None


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
