"""An RLM with what it needs around it: real sandbox, real kernel, a store in memory, scripted models."""

from __future__ import annotations

from typing import Any

import pytest

from habit.calls.budget import Budget
from habit.calls.kernel import Kernel
from habit.calls.returns import Returns
from habit.contexts.context import Context
from habit.events import Observer, ignore
from habit.journal.memory import MemoryStore
from habit.journal.records import RunRecord
from habit.sandbox.cpython import CPythonSandbox
from habit.sandbox.session import Sandbox
from habit.schedulers.prompts import FRONTIER, Profile
from habit.schedulers.rlm import RLM
from habit.schedulers.rooted import Rooted
from habit.schedulers.scheduler import Outcome, Task
from habit.schedulers.workbench import Limits
from support.scripted import ScriptedProvider


class Bench:
    """One RLM with what it needs; ``ask`` runs a task."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.store = MemoryStore()

    async def ask(
        self,
        model: ScriptedProvider,
        context: Any = "one\ntwo\nthree\n",
        *,
        query: str = "How many lines?",
        returns: Any = str,
        limits: Limits | None = None,
        budget: Budget | None = None,
        profile: Profile = FRONTIER,
        on_event: Observer = ignore,
        stream_starts: bool = False,
        kind: type[Rooted] = RLM,
    ) -> Outcome:
        await self.store.add_run(RunRecord(id="run", query=query, started=0.0, settings={}, context={}))
        kernel = Kernel(model, model, store=self.store, run_id="run", budget=budget)
        self.rlm = kind(
            kernel,
            self.sandbox,
            self.store,
            profile,
            run_id="run",
            limits=limits,
            speculate=8 * stream_starts,
            stream_starts=stream_starts,
            on_event=on_event,
        )
        async with kernel.running():
            return await self.rlm.run(Task(query, Context.of(context), Returns.from_type(returns)))


@pytest.fixture
def bench(sandbox: CPythonSandbox) -> Bench:
    return Bench(sandbox)
