"""Sessions: several questions about one input, each a run of its own; and runs found again in the journal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from habit.aftercare import carried_out
from habit.calls.budget import Budget, Ledger
from habit.calls.provider import Provider
from habit.calls.returns import Returns
from habit.contexts.context import Context
from habit.contexts.reading import read_context
from habit.errors import RunError, UsageError
from habit.events import Notice, Observer, all_of, ignore
from habit.execution import Execution
from habit.jobs import Before, job_again, librarian_for, must_have_ended, new_job, new_record, settings_of
from habit.journal.records import RunRecord
from habit.librarian import Librarian
from habit.models import Models, unready_pair
from habit.resources import Resources
from habit.run import Run
from habit.tasks import task_group

MOST_QUERY_CHARS = 1_000_000
"""Characters of a question; more than that is an input."""
_WAYS_ON = {
    "bytes": "; give text (decode it), or the file they come from with paths=[…]",
    "DataFrame": "; give its to_csv() or its to_dict('records')",
}
"""How to ask about what people often have, by the name of its type."""


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
                how = (models, self._settings, shared)
                record = await new_record(query, context, expected, *how, continues=self._latest, alone=self._alone)
                job = await new_job(record, context, expected, *how, budget=allowed, within=self._ledger, tell=tell)
                job = replace(
                    job,
                    first=self._before.first if self._before else None,
                    librarian=librarian or librarian_for(record, self._settings, shared),
                )
                async with job.store.claim(record.id):
                    await job.store.add_run(record)
                    self._latest = record.id
                    execution = Execution(job, await shared.sandbox(job.settings.sandbox))
                    if self._before is None and not self.last:
                        live = await self._stack.enter_async_context(execution.open_session())
                        self._before = Before(live, context, record)
                    return await carried_out(job, execution, self._before.live if self._before else None, shared)

    def _place(self) -> AbstractAsyncContextManager[object]:
        """The turn of a run among those of the engine. A session that goes on does without: its process is there
        already, or stays."""
        takes_one = self._alone and self._settings.strategy != "direct"
        return self._resources.place() if takes_one else nullcontext()

    @property
    def _alone(self) -> bool:
        """Whether no other question comes before or after the one that is asked now."""
        return self.last and self._latest is None

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
            pair = await self._open_pair(models, budget, tell)
            if self._context is None and not context.files and len(context.payload):  # can't be read again from disk
                with context.opened() as payload:
                    await (await self._resources.store()).put_blob(payload)
            self._context = context
        return self._context, pair

    async def _open_pair(self, models: Models, budget: Budget, tell: Observer) -> tuple[Provider, Provider]:
        """The models. Where a habit answers or nothing does, it may need none, and goes without what can't be had."""
        try:
            return await models.open_pair(self._settings, budget)
        except UsageError as problem:
            if self._settings.strategy != "habit":
                raise
            tell(Notice(f"There is no model at hand, so only a habit that asks none can answer: {problem}"))
            return unready_pair(self._settings, str(problem))


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
        way_on = _WAYS_ON.get(type(context).__name__, "")
        if isinstance(context, Path):
            way_on = f"; to ask about a file, give paths=[{str(context)!r}]"
        raise UsageError(f"The context must be text or data that JSON can hold: {problem}{way_on}.") from None
