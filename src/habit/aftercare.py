"""Aftercare: a run is carried out and its answer given; what it calls for in the library is done afterwards.

What it says about a habit is noted before its answer is given, so that the next question profits. Shadows and repairs
take as long as answers do: they go on in the background of the engine, one after the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from habit.calls.budget import Budget, Ledger
from habit.calls.returns import Returns
from habit.config import Settings
from habit.contexts.context import Context
from habit.errors import RunError
from habit.events import ignore
from habit.execution import Execution, Job
from habit.jobs import context_again, librarian_for, new_job, new_record, returns_of, settings_of
from habit.journal.records import RunRecord
from habit.librarian import Ended, Librarian
from habit.resources import Resources
from habit.run import Run
from habit.schedulers.habit import Choice, Chosen
from habit.schedulers.live import LiveSession


async def carried_out(job: Job, execution: Execution, live: LiveSession | None, resources: Resources) -> Run:
    """The run of ``job``, answered; its claim is held by the caller. Raises as Execution.run.

    What it says about habits is noted by then; what else it calls for goes on in the background.
    """
    failure: RunError | None = None
    try:
        run = await execution.run(live)
    except RunError as problem:
        if problem.run is None or not (execution.gave_up or execution.choice.drift):
            raise  # it says nothing about a habit
        run, failure = problem.run, problem
    if job.librarian is not None and job.readable is not None:
        ended = Ended(run, execution.choice, execution.gave_up, job.readable, job.returns, job.budget, job.on_event)
        await _look_after(ended, job.librarian, job.settings, resources, job.within)
    if failure is not None:
        raise failure
    return run


async def caught_up(record: RunRecord, returns: Any, resources: Resources) -> Run:
    """The run of ``record``, which was answered; what it called for and was cut off goes on in the background."""
    result = record.result or {}
    run, settings = Run.from_json(result), settings_of(record, resources.settings)
    librarian = librarian_for(record, settings, resources)
    if librarian is None or not result.get("why"):
        return run
    store, keep = await resources.store(), resources.keep_conversions

    async def context() -> Context:
        return await context_again(record, store, keep_conversions=keep, tell=ignore)

    gave_up = (result.get("gave_up") or {}).get("reason", "") if run.habit is None else ""
    kept = (Choice.from_json(result), gave_up, context, returns_of(record, returns))
    ended = Ended(run, *kept, resources.budget, resources.on_event)
    await _look_after(ended, librarian, settings, resources, resources.shared)
    return run


async def _look_after(
    ended: Ended, librarian: Librarian, settings: Settings, resources: Resources, within: Ledger | None
) -> None:
    if await librarian.note(ended):
        left = Ledger(ended.budget_left or Budget(), parent=within)
        asides = Asides(ended.run.id, ended.context, settings, resources, left)
        await resources.background.add(partial(librarian.after, ended, asides))


@dataclass(frozen=True)
class Asides:
    """Asks further questions about the input of a run that has ended: each is a run of its own, with a sandbox session
    of its own, and no other question goes on with it."""

    serves: str
    """The run."""
    context: Callable[[], Awaitable[Context]]
    settings: Settings
    resources: Resources
    within: Ledger
    """What the run left of its budget."""

    async def __call__(self, query: str, *, returns: Any, use_cache: bool = True, chosen: Chosen | None = None) -> Run:
        """See Asking."""
        shared, expected = self.resources, Returns.from_type(returns)
        models = await (await shared.models()).open_pair(self.settings, self.within.budget)
        context = await self.context()
        strategy = "rlm" if chosen is None else "habit"
        settings = replace(self.settings, no_cache=self.settings.no_cache or not use_cache, strategy=strategy)
        how = (models, settings, shared)
        record = await new_record(query, context, expected, *how, serves=self.serves)
        job = await new_job(record, context, expected, *how, budget=Budget(), within=self.within, tell=ignore)
        job = replace(job, telemetry=None, chosen=chosen)
        async with job.store.claim(record.id):
            await job.store.add_run(record)
            return await Execution(job, await shared.sandbox(settings.sandbox)).run()
