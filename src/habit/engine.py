"""Engine: opens a run, lets a scheduler answer it, and writes down how it ended. The Python surface of Habit."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.to_thread

from habit.calls.budget import Budget
from habit.calls.kernel import Kernel
from habit.calls.returns import Returns
from habit.config import Settings
from habit.contexts.context import Context
from habit.contexts.load import load
from habit.errors import BudgetExceeded, HabitError, ReplayMismatch, RunFailed, UsageError
from habit.events import Notice, Observer, RunStarted, ignore
from habit.journal.memory import MemoryStore
from habit.journal.records import RunRecord
from habit.journal.replay import Recording
from habit.journal.sqlite import SqliteStore, new_run_id
from habit.journal.store import Store
from habit.models import Models
from habit.run import Replay, Run, plain
from habit.sandbox.cpython import CPythonSandbox
from habit.sandbox.session import Sandbox, SessionLimits
from habit.schedulers.prompts import profile_for
from habit.schedulers.rlm import RLM, Limits
from habit.schedulers.scheduler import Outcome, Task


@dataclass(frozen=True)
class _Job:
    """What one execution of a run works from."""

    record: RunRecord
    context: Context
    returns: Returns
    settings: Settings
    recording: Recording | None = None
    replay: bool = False
    seconds_before: float = 0.0


class Engine:
    """Answers questions. Holds what runs share: the journal, the sandbox, and open connections to models.

    Use as an asynchronous context manager. One engine serves any number of runs at once.
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
        """Start nothing yet. ``store``, ``sandbox`` and ``models`` replace the ones that ``settings`` asks for."""
        self.settings = settings or Settings()
        self.on_event = on_event
        self._store = store
        self._sandbox = sandbox
        self._models = models
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Ready the engine; processes and connections start when they are first needed."""
        if self._models is None:
            self._models = Models(self.settings)
            self._resources.push_async_callback(self._models.aclose)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close everything this engine opened."""
        with anyio.CancelScope(shield=True):
            await self._resources.aclose()
