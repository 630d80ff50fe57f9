"""Sessions: several questions about one input, each a run of its own; and runs found again in the journal."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from habit.calls.budget import Budget, Ledger
from habit.calls.provider import Provider
from habit.calls.returns import Returns
from habit.config import Settings
from habit.contexts.context import Context
from habit.contexts.parked import Parked
from habit.contexts.reading import read_again, read_context
from habit.errors import RunError, UsageError
from habit.events import Observer, all_of, ignore
from habit.execution import AFRESH, Execution, Job
from habit.journal.naming import new_run_id
from habit.journal.records import RunRecord
from habit.journal.replay import Recording
from habit.journal.store import Store
from habit.librarian import Asking, Ended, Librarian
from habit.models import AbsentModel
from habit.resources import Resources
from habit.run import Run
from habit.schedulers.habit import Chosen
from habit.schedulers.live import LiveSession
from habit.tasks import task_group

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


class Session:
    """Questions about one input, one after the other; see Engine.session. Each is a run of its own in the journal."""

    def __init__(
        self,
        resources: Resources,
        stack: AsyncExitStack,
        hold: Callable[[Observer], Awaitable[Context]],
        continue_from: str | None,
        change: Mapping[str, Any],
        budget: Budget,
    ) -> None:
        self.last = False
        """Set when no other question will follow, so that nothing is kept for one."""
        self._resources = resources
        self._ledger = Ledger(budget, parent=resources.shared, name="session")
        self._stack = stack
        self._hold = hold
        self._continue_from = continue_from
        self._change = change
        self._settings = resources.settings
        self._before: Before | None = None
        self._latest: str | None = None
        self._context: Context | None = None
        self._asking = anyio.Lock()

    async def ask(
        self,
        query: str,
        *,
        returns: Any = str,
        budget: Budget | None = None,
        on_event: Observer = ignore,
        librarian: Librarian | None = None,
    ) -> Run:
        """Answer ``query``; arguments and errors as in Engine.ask. Questions wait for each other.

        ``librarian`` chooses for this question in place of the engine's own.
        """
        if not query.strip():
            raise UsageError("The question is empty: say what you want to know.")
        if len(query) > MOST_QUERY_CHARS:
            raise UsageError(f"The question is longer than {MOST_QUERY_CHARS:,} characters: put the text into a file.")
        expected = returns if isinstance(returns, Returns) else Returns.from_type(returns)
        shared = self._resources
        tell, allowed = all_of(shared.on_event, on_event), budget or shared.budget
        async with self._asking:
            if self._continue_from is not None and self._before is None:
                await self._go_back(self._continue_from)
            context, models = await self._ready(allowed, tell)
            async with self._place():
                record = await self._record(query, context, expected, *models, continues=self._latest)
                job = await self._job(record, context, expected, models, allowed, tell)
                job = replace(
                    job,
                    first=self._before.first if self._before else None,
                    strategy=self._settings.strategy,
                    librarian=librarian or shared.librarian,
                )
                store = job.store
                async with store.claim(record.id):
                    await store.add_run(record)
                    self._latest = record.id
                    execution = Execution(job, await shared.sandbox(job.settings.sandbox))
                    if self._before is None and not self.last:
                        live = await self._stack.enter_async_context(execution.open_session())
                        self._before = Before(live, context, record)
                    failure: RunError | None = None
                    try:
                        run = await execution.run(self._before.live if self._before else None)
                    except RunError as problem:
                        if problem.run is None or not execution.gave_up:
                            raise  # it says nothing about a habit
                        run, failure = problem.run, problem
            if job.librarian is not None:
                if run.habit is None and (execution.gave_up or execution.choice.drift):
                    context = await _readable(record, context, shared)  # for a repair
                ended = Ended(run, execution.choice, execution.gave_up, context, expected, allowed, tell)
                await job.librarian.after(ended, self._beside(ended))
        if failure is not None:
            raise failure
        return run

    def _place(self) -> AbstractAsyncContextManager[object]:
        """The turn of a run among those of the engine. A session that goes on does without: its process is there
        already, or stays."""
        alone = self.last and self._before is None and self._settings.strategy != "direct"
        return self._resources.places if alone else nullcontext()

    def _beside(self, ended: Ended) -> Asking:
        """Asks further questions in the service of a run, all of them within what it left of its budget."""
        left = Ledger(ended.budget_left or Budget(), parent=self._ledger)
        return partial(self._ask_afresh, within=left, serves=ended.run.id)

    async def _ask_afresh(
        self,
        query: str,
        *,
        returns: Any,
        within: Ledger,
        serves: str,
        use_cache: bool = True,
        chosen: Chosen | None = None,
    ) -> Run:
        """Answer a further question about the input beside the questions of the session, with a fresh scheduler or with
        ``chosen``: it has a sandbox session of its own, and no other question goes on with it."""
        context, models = await self._ready(within.budget, ignore)
        expected = Returns.from_type(returns)
        strategy = "rlm" if chosen is None else "habit"
        settings = replace(self._settings, no_cache=self._settings.no_cache or not use_cache, strategy=strategy)
        record = await self._record(query, context, expected, *models, serves=serves, settings=settings)
        context = await _readable(record, context, self._resources)
        job = await self._job(record, context, expected, models, Budget(), ignore)
        job = replace(job, settings=settings, telemetry=None, within=within, strategy=strategy, chosen=chosen)
        async with job.store.claim(record.id):
            await job.store.add_run(record)
            sandbox = await self._resources.sandbox(settings.sandbox)
            return await Execution(job, sandbox).run()

    async def _job(
        self,
        record: RunRecord,
        context: Context,
        returns: Returns,
        models: tuple[Provider, Provider],
        budget: Budget,
        tell: Observer,
    ) -> Job:
        """A run that a fresh scheduler answers, within the budgets of the session and wider ones."""
        shared = self._resources
        store = await shared.store()
        await shared.ready_budgets(store, self._ledger, *models)
        return Job(
            record,
            context,
            returns,
            self._settings,
            store,
            *models,
            budget=budget,
            within=self._ledger,
            confirm=shared.confirm,
            on_event=tell,
            telemetry=shared.telemetry,
            readable=partial(_readable, record, context, shared),
        )

    async def _go_back(self, ref: str) -> None:
        """Begin where the run ``ref`` ended."""
        store = await self._resources.store()
        record = await store.run(ref)
        self._settings = replace(settings_of(record, self._resources.settings), **self._change)
        if "base_url" in self._change:
            self._settings = replace(self._settings, base_url_from_file=False)
        self._before = await rebuild(record, self._resources, self._stack)
        self._context, self._latest = self._before.context, record.id

    async def _ready(self, budget: Budget, tell: Observer) -> tuple[Context, tuple[Provider, Provider]]:
        """The input and the models, with everything that takes a moment done at the same time."""
        models, sandbox = await self._resources.models(), await self._resources.sandbox(self._settings.sandbox)
        async with task_group() as group:
            group.start_soon(sandbox.warm_up)  # takes a moment at first use
            context = self._context or await self._hold(tell)
            pair = await models.open_pair(self._settings, budget)
            if self._context is None and not context.files and len(context.payload):  # can't be read again from disk
                with context.opened() as payload:
                    await (await self._resources.store()).put_blob(payload)
            self._context = context
        return self._context, pair

    async def _record(
        self,
        query: str,
        context: Context,
        returns: Returns,
        root: Provider,
        leaf: Provider,
        *,
        continues: str | None = None,
        serves: str | None = None,
        settings: Settings | None = None,
    ) -> RunRecord:
        now = time.time()
        digest = await anyio.to_thread.run_sync(lambda: context.digest)
        kept = {name: value for name, value in asdict(settings or self._settings).items() if name in _KEPT_SETTINGS}
        return RunRecord(
            id=new_run_id(now),
            query=query,
            started=now,
            settings={
                **kept,
                "sandbox": (await self._resources.sandbox(self._settings.sandbox)).name,
                "model": root.model,
                "leaf_model": leaf.model,
                "windows": [root.window, leaf.window],
                "returns": returns.to_json(),
                **({} if continues is None else {"continues": continues}),
                **({} if serves is None else {"for": serves}),
            },
            context={**context.record(), "blob": None if context.files else digest},
            strategy=self._settings.strategy if self._settings.strategy in AFRESH else "rlm",
        )


@dataclass(frozen=True)
class Before:
    """A session that goes on, with what it is about and the run that began it."""

    live: LiveSession
    context: Context
    first: RunRecord


async def execute(job: Job, before: Before | None, resources: Resources) -> Run:
    """Work on ``job``, in the session that goes on if there is one."""
    execution = Execution(job, await resources.sandbox(job.settings.sandbox))
    return await execution.run(before.live if before else None)


async def rebuilt(record: RunRecord, resources: Resources, stack: AsyncExitStack) -> Before | None:
    """The session that ``record`` goes on with, rebuilt from the journal; None when it begins one of its own."""
    earlier = record.settings.get("continues")
    if earlier is None:
        return None
    return await rebuild(await (await resources.store()).run(earlier), resources, stack)


async def rebuild(last: RunRecord, resources: Resources, stack: AsyncExitStack) -> Before:
    """The session as it was when the run ``last`` ended: every run of it is replayed from the journal.

    It is closed with ``stack``. Raises UsageError when one of the runs has not ended, and ReplayMismatch.
    """
    store = await resources.store()
    chain = [last]
    while (earlier := chain[0].settings.get("continues")) is not None:
        chain.insert(0, await store.run(earlier))
    before: Before | None = None
    for record in chain:
        must_have_ended(record)
        job = replace(await job_again(record, resources, None, before, live=False), on_event=ignore, telemetry=None)
        execution = Execution(job, await resources.sandbox(job.settings.sandbox))
        if before is None:
            live = await stack.enter_async_context(execution.open_session())
            before = Before(live, job.context, record)
        with suppress(RunError):  # it ended so the first time
            await execution.run(before.live)
    assert before is not None
    return before


async def job_again(record: RunRecord, resources: Resources, returns: Any, before: Before | None, *, live: bool) -> Job:
    """What a recorded run works from, found again: its context, its settings and its replies."""
    if record.strategy == "learn":
        raise UsageError(f"Run {record.id} is one call made while learning a habit; ask or learn again instead.")
    settings = settings_of(record, resources.settings)
    store, keep = await resources.store(), resources.keep_conversions
    calls = await store.calls(record.id)
    root: Provider
    leaf: Provider
    if live:
        root, leaf = await (await resources.models()).open_pair(settings, resources.budget)
        await resources.ready_budgets(store, resources.shared, root, leaf)
    else:
        root_window, leaf_window = record.settings["windows"]
        root = AbsentModel(record.settings["model"], root_window)
        leaf = AbsentModel(record.settings["leaf_model"], leaf_window)
    if before:
        context = before.context
    else:
        context = await _context_again(record, store, keep_conversions=keep, tell=resources.on_event)
    return Job(
        record,
        context,
        Returns.from_json(record.settings["returns"]) if returns is None else Returns.from_type(returns),
        settings,
        store,
        root,
        leaf,
        budget=resources.budget if live else Budget(),
        within=resources.shared if live else None,
        confirm=resources.confirm,
        recording=Recording.for_resume(calls) if live else Recording.for_replay(calls),
        replay=not live,
        first=before.first if before else None,
        on_event=resources.on_event,
        telemetry=resources.telemetry,
        strategy=settings.strategy,
        librarian=resources.librarian if live else None,
        readable=partial(_readable, record, context, resources),
    )


def settings_of(record: RunRecord, settings: Settings) -> Settings:
    """The settings a run was made with; ``settings`` for everything that does not decide what a run does."""
    kept = {name: value for name, value in record.settings.items() if name in _KEPT_SETTINGS}
    return replace(settings, **kept, model=record.settings["model"], leaf_model=record.settings["leaf_model"])


def must_have_ended(record: RunRecord) -> None:
    """Raises UsageError when the run is still going on, or was interrupted."""
    if record.result is None or record.status in ("running", "interrupted"):
        raise UsageError(f"Run {record.id} has not ended; continue it with: habit resume {record.id}.")


async def _readable(record: RunRecord, context: Context, resources: Resources) -> Context:
    """``context``, the input of ``record``, to be read: a large one may have been handed to a sandbox for good."""
    if not (isinstance(context.payload, Parked) and context.payload.is_spent):
        return context
    store, keep = await resources.store(), resources.keep_conversions
    return await _context_again(record, store, keep_conversions=keep, tell=ignore)


async def _context_again(record: RunRecord, store: Store, *, keep_conversions: bool, tell: Observer) -> Context:
    known = record.context
    if known["files"]:
        return await read_again(known, keep_conversions=keep_conversions, tell=tell)
    if not known["bytes"]:
        return Context(known["kind"], b"", known["origin"])
    payload = await store.get_blob(known["blob"])
    return await anyio.to_thread.run_sync(Context(known["kind"], payload, known["origin"]).parked)


async def hold(
    context: Any, paths: Iterable[str | Path], keep_conversions: bool, given: Mapping[str, Any], tell: Observer
) -> Context:
    """The context of a question, from a value or from files."""
    asked = [str(path) for path in paths]
    if context is None:
        return await read_context(asked, **given, keep_conversions=keep_conversions, tell=tell)
    if asked:
        raise UsageError("Give either a context or paths, not both.")
    try:
        held = context if isinstance(context, Context) else await anyio.to_thread.run_sync(Context.of, context)
        return await anyio.to_thread.run_sync(held.parked)
    except (TypeError, ValueError) as problem:
        raise UsageError(f"The context must be text or data that JSON can hold: {problem}.") from None
