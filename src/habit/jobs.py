"""Jobs: what one run works from, made for a new question or found again in the journal."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import anyio.to_thread

from habit.calls.budget import Budget, Ledger
from habit.calls.provider import Provider
from habit.calls.returns import Returns
from habit.config import Settings
from habit.contexts.context import Context
from habit.contexts.parked import Parked
from habit.contexts.reading import read_again
from habit.errors import UsageError
from habit.events import Observer, ignore
from habit.execution import AFRESH, Job
from habit.journal.naming import new_run_id
from habit.journal.records import RunRecord
from habit.journal.replay import Recording
from habit.journal.store import Store
from habit.librarian import Librarian
from habit.models import AbsentModel
from habit.one_call import why_one_call
from habit.resources import Resources
from habit.schedulers.live import LiveSession

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


async def new_record(
    query: str,
    context: Context,
    returns: Returns,
    models: tuple[Provider, Provider],
    settings: Settings,
    resources: Resources,
    *,
    continues: str | None = None,
    serves: str | None = None,
    alone: bool = False,
) -> RunRecord:
    """The record of a question that is about to be asked; ``alone``: no other question comes before or after it."""
    now = time.time()
    root, leaf = models
    digest = await anyio.to_thread.run_sync(lambda: context.digest)
    kept = {name: value for name, value in asdict(settings).items() if name in _KEPT_SETTINGS}
    rule = await anyio.to_thread.run_sync(why_one_call, query, context, settings, leaf.window) if alone else ""
    afresh = settings.strategy if settings.strategy in AFRESH else "rlm"
    return RunRecord(
        id=new_run_id(now),
        query=query,
        started=now,
        settings={
            **kept,
            "sandbox": (await resources.sandbox(settings.sandbox)).name,
            "model": root.model,
            "leaf_model": leaf.model,
            "windows": [root.window, leaf.window],
            "returns": returns.to_json(),
            **({} if continues is None else {"continues": continues}),
            **({} if serves is None else {"for": serves}),
            **({"rule": rule} if rule else {}),
        },
        context={**context.record(), "blob": None if context.files else digest},
        strategy="direct" if rule else afresh,
    )


async def new_job(
    record: RunRecord,
    context: Context,
    returns: Returns,
    models: tuple[Provider, Provider],
    settings: Settings,
    resources: Resources,
    *,
    budget: Budget,
    within: Ledger,
    tell: Observer,
) -> Job:
    """A new question, within ``budget`` and the wider budgets of ``within``."""
    store = await resources.store()
    await resources.ready_budgets(store, within, *models)
    return Job(
        record,
        context,
        returns,
        settings,
        store,
        *models,
        budget=budget,
        within=within,
        confirm=resources.confirm,
        on_event=tell,
        telemetry=resources.telemetry,
        strategy=settings.strategy,
        readable=partial(readable, record, context, resources),
    )


@dataclass(frozen=True)
class Before:
    """A session that goes on, with what it is about and the run that began it."""

    live: LiveSession
    context: Context
    first: RunRecord


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
        context = await context_again(record, store, keep_conversions=keep, tell=resources.on_event)
    return Job(
        record,
        context,
        returns_of(record, returns),
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
        librarian=librarian_for(record, settings, resources) if live else None,
        readable=partial(readable, record, context, resources),
    )


def returns_of(record: RunRecord, returns: Any) -> Returns:
    """The type that a run was asked with, given anew as ``returns`` or, for None, as the journal has it."""
    return Returns.from_json(record.settings["returns"]) if returns is None else Returns.from_type(returns)


def librarian_for(record: RunRecord, settings: Settings, resources: Resources) -> Librarian | None:
    """Who chooses for a run that somebody asked, and hears what became of it; None where no library is looked at."""
    return resources.librarian if record.serves is None and settings.strategy in ("auto", "habit") else None


def settings_of(record: RunRecord, settings: Settings) -> Settings:
    """The settings a run was made with; ``settings`` for everything that does not decide what a run does."""
    kept = {name: value for name, value in record.settings.items() if name in _KEPT_SETTINGS}
    return replace(settings, **kept, model=record.settings["model"], leaf_model=record.settings["leaf_model"])


def must_have_ended(record: RunRecord) -> None:
    """Raises UsageError when the run is still going on, or was interrupted."""
    if record.result is None or record.status in ("running", "interrupted"):
        raise UsageError(f"Run {record.id} has not ended; continue it with: habit resume {record.id}.")


async def readable(record: RunRecord, context: Context, resources: Resources) -> Context:
    """``context``, the input of ``record``, to be read: a large one may have been handed to a sandbox for good."""
    if not (isinstance(context.payload, Parked) and context.payload.is_spent):
        return context
    store, keep = await resources.store(), resources.keep_conversions
    return await context_again(record, store, keep_conversions=keep, tell=ignore)


async def context_again(record: RunRecord, store: Store, *, keep_conversions: bool, tell: Observer) -> Context:
    """The input of ``record``, read again from its files or from the journal."""
    known = record.context
    if known["files"]:
        return await read_again(known, keep_conversions=keep_conversions, tell=tell)
    if not known["bytes"]:
        return Context(known["kind"], b"", known["origin"])
    payload = await store.get_blob(known["blob"])
    return await anyio.to_thread.run_sync(Context(known["kind"], payload, known["origin"]).parked)
