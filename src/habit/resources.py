"""What all runs of an engine share: the journal, sandboxes, connections to models, and wider budgets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import fields

import anyio
import anyio.to_thread

from habit.calls.budget import Budget, Ledger
from habit.calls.daily import DayLedger
from habit.calls.fanout import Confirm
from habit.calls.prices import require_price
from habit.calls.provider import Provider
from habit.config import Settings
from habit.errors import UsageError
from habit.events import Notice, Observer
from habit.journal.memory import MemoryStore
from habit.journal.sqlite import SqliteStore
from habit.journal.store import Store
from habit.librarian import Librarian
from habit.memory import available_memory, sessions_that_fit
from habit.models import Models, NamedModels
from habit.sandbox.choose import open_sandbox, pick
from habit.sandbox.session import Sandbox
from habit.tasks import Background
from habit.telemetry.otel import OpenTelemetry

_holders: ContextVar[frozenset[anyio.CapacityLimiter]] = ContextVar("_holders", default=frozenset())
"""Whose places are held by the run that the running code works for."""


class Resources:
    """Each is opened when it is first needed and closed with ``aclose``."""

    def __init__(
        self,
        settings: Settings,
        *,
        store: Store | None,
        sandbox: Sandbox | None,
        models: Models | None,
        shared_budget: Budget | None,
        confirm: Confirm | None,
        telemetry: OpenTelemetry | None,
        on_event: Observer,
    ) -> None:
        self.settings = settings
        self.confirm = confirm
        self.telemetry = telemetry or (OpenTelemetry() if settings.otel else None)
        """Makes spans of every run; by the application's tracer provider when only the setting asks for them."""
        self.on_event = on_event
        self.librarian: Librarian | None = None
        """What chooses habits, where there is a library."""
        self.background = Background()
        """What goes on for the library after answers were given."""
        self.day = DayLedger(settings.max_usd_day)
        self.shared = Ledger(
            shared_budget or Budget(),
            parent=self.day,
            name="engine",
            remedy="open it with a larger {field} in shared_budget",
        )
        self._store = store
        self._sandbox = sandbox
        self._sandboxes: dict[str, Sandbox] = {}
        self._models = models
        self._opened = AsyncExitStack()
        self._opening = anyio.Lock()
        self._closed = False
        self._places: anyio.CapacityLimiter | None = None

    @property
    def budget(self) -> Budget:
        """The budget that the settings give each run."""
        return Budget(**{field.name: getattr(self.settings, field.name) for field in fields(Budget)})

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Held while a run is worked on; there are as many as may be at the same time. Only a run that nobody else
        waits for and that keeps no session may wait for one, so none is ever held by who waits for another: a run
        that is asked for in the midst of another, by a model of one's own say, goes without."""
        if self._places is None:
            self._places = anyio.CapacityLimiter(self.settings.sessions or sessions_that_fit(available_memory()))
        held = _holders.get()
        if self._places in held:
            yield
            return
        async with self._places:
            token = _holders.set(held | {self._places})
            try:
                yield
            finally:
                _holders.reset(token)

    @property
    def keep_conversions(self) -> bool:
        """Whether converted documents may be kept for the next time; without a journal nothing is left on disk."""
        return not self.settings.no_journal

    async def store(self) -> Store:
        """The journal, opened at first use. Raises JournalError or UsageError when it can't be used."""
        async with self._opening:
            self._must_be_open()
            if self._store is None:
                if self.settings.no_journal:
                    self._store = MemoryStore()
                else:
                    self._store = await SqliteStore.open(self.settings.journal)
                self._opened.push_async_callback(self._store.aclose)
            return self._store

    async def sandbox(self, wanted: str) -> Sandbox:
        """The sandbox that ``wanted`` (a setting) asks for, made at first use. Raises SandboxError."""
        async with self._opening:
            self._must_be_open()
            if self._sandbox is not None:
                return self._sandbox
            name, notice = await anyio.to_thread.run_sync(pick, wanted)
            if name not in self._sandboxes:
                if notice:
                    self.on_event(Notice(notice))
                self._sandboxes[name] = await anyio.to_thread.run_sync(open_sandbox, name)
                self._opened.push_async_callback(self._sandboxes[name].aclose)
            return self._sandboxes[name]

    async def models(self) -> Models:
        """Where all runs get their models from."""
        async with self._opening:
            self._must_be_open()
            if self._models is None:
                self._models = NamedModels()
                self._opened.push_async_callback(self._models.aclose)
            return self._models

    async def ready_budgets(self, store: Store, scope: Ledger, *providers: Provider) -> None:
        """Bring the day up to date. Raises UsageError when a budget of ``scope`` or wider is in USD and a price is not
        known."""
        flags = {self.day: "--max-usd-day", self.shared: "shared_budget.max_usd"}
        for ledger in scope.levels:
            flag = flags.get(ledger, f"max_usd of the {ledger.name}")
            for provider in providers:
                require_price(provider, ledger.budget, flag=flag)
        if self.day.budget.max_usd is not None:
            await self.day.catch_up(store.spent_since)

    async def aclose(self) -> None:
        """Close everything that was opened."""
        self._closed = True
        await self._opened.aclose()

    def _must_be_open(self) -> None:
        if self._closed:
            raise UsageError("This engine is closed: open another with `async with habit.Engine() as engine`.")
