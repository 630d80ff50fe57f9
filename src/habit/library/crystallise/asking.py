"""Asking while learning: one bounded call through the kernel, in the journal as a run of its own."""

from __future__ import annotations

import re
import time
from typing import Any

from habit.calls.kernel import Kernel
from habit.calls.returns import Returns
from habit.calls.usage import Usage
from habit.contexts.context import Context
from habit.errors import HabitError
from habit.journal.naming import new_run_id
from habit.journal.records import RunRecord
from habit.resources import Resources
from habit.run import Run, Status
from habit.schedulers.leaf import LeafCaller
from habit.schedulers.prompts import profile_for
from habit.schedulers.scheduler import Task

_FENCE = re.compile(r"\A\s*(?:```|~~~)[a-z]*\n(.*?)\n(?:```|~~~)\s*\Z", re.DOTALL)


async def ask_once(resources: Resources, query: str, about: str, returns: Returns) -> Any:
    """The leaf model's typed reply to ``query`` about the text ``about``. Raises CallFailed, BudgetExceeded."""
    settings, store = resources.settings, await resources.store()
    root, leaf = await (await resources.models()).open_pair(settings, resources.budget)
    await resources.ready_budgets(store, resources.shared, root, leaf)
    context, now = Context.of(about, origin="what is being learned"), time.time()
    record = RunRecord(
        id=new_run_id(now),
        query=query,
        started=now,
        settings={
            "model": root.model,
            "leaf_model": leaf.model,
            "windows": [root.window, leaf.window],
            "returns": returns.to_json(),
        },
        context={**context.record(), "blob": await store.put_blob(about.encode("utf-8", "surrogatepass"))},
        strategy="learn",
    )
    kernel = Kernel(
        root,
        leaf,
        store=store,
        run_id=record.id,
        budget=resources.budget,
        within=resources.shared,
        use_cache=not settings.no_cache,
        on_event=resources.on_event,
    )
    caller = LeafCaller(kernel, profile_for(settings.profile, leaf.model))
    call = caller.call(query, context, returns, Task(query, context, returns), cell=0)
    async with store.claim(record.id):
        await store.add_run(record)
        try:
            async with kernel.ledger.timed():
                reply = await caller.ask(call, returns, lambda: None)
        except HabitError as failure:
            await _end(resources, record, "failed", None, kernel.usage, str(failure))
            raise
        await _end(resources, record, "answered", reply, kernel.usage, None)
    return reply


async def _end(
    resources: Resources, record: RunRecord, status: Status, answer: Any, usage: Usage, error: str | None
) -> None:
    run = Run(
        record.id,
        record.query,
        status,
        answer,
        strategy="learn",
        usage=usage,
        peak_prompt_tokens=usage.peak_prompt_tokens,
        seconds=time.time() - record.started,
        error=error,
    )
    await (await resources.store()).end_run(record.id, status, run.to_json())


def unfenced(text: str) -> str:
    """The code of a reply, without the fence that a model may have put around it."""
    found = _FENCE.match(text)
    return (found[1] if found else text).strip("\n") + "\n"
