"""Asking while learning: one bounded call through the kernel, in the journal as a run of its own."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from typing import Any

import anyio

from habit.calls.kernel import Kernel
from habit.calls.returns import Returns
from habit.calls.usage import Usage
from habit.contexts.context import Context
from habit.errors import CallFailed, HabitError
from habit.journal.naming import new_run_id
from habit.journal.records import RunRecord
from habit.resources import Resources
from habit.run import Run, Status
from habit.schedulers.leaf import LeafCaller, read_reply
from habit.schedulers.prompts import profile_for
from habit.schedulers.scheduler import Task

_FENCE = re.compile(r"\A\s*(?:```|~~~)[a-z]*\n(.*?)\n(?:```|~~~)\s*\Z", re.DOTALL)


@dataclass(frozen=True)
class Asked:
    """One call made while learning."""

    model: str
    usage: Usage


class Asking:
    """Asks the leaf model of ``resources``, and keeps what that cost."""

    def __init__(self, resources: Resources) -> None:
        self.asked: list[Asked] = []
        self._resources = resources

    async def once(self, query: str, about: str, returns: Returns, *, patience: float | None = None) -> Any:
        """The typed reply to ``query`` about the text ``about``: one call, which nothing follows.

        Raises CallFailed, also when there is no reply after ``patience`` seconds; BudgetExceeded; and UsageError when
        there is no model to ask.
        """
        resources, settings, store = self._resources, self._resources.settings, await self._resources.store()
        only_leaf = replace(settings, model=settings.leaf_model or settings.model)
        root, leaf = await (await resources.models()).open_pair(only_leaf, resources.budget)
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
        async with store.claim(record.id):
            await store.add_run(record)
            try:
                async with kernel.ledger.timed():
                    reply = await _reply(kernel, settings.profile, query, context, returns, patience)
            except HabitError as failure:
                await _end(resources, record, "failed", None, kernel.usage, str(failure))
                raise
            finally:
                self.asked.append(Asked(leaf.model, kernel.usage))
            await _end(resources, record, "answered", reply, kernel.usage, None)
        return reply


async def _reply(
    kernel: Kernel, profile: str, query: str, context: Context, returns: Returns, patience: float | None
) -> Any:
    caller = LeafCaller(kernel, profile_for(profile, kernel.leaf.model))
    call = caller.call(query, context, returns, Task(query, context, returns), cell=0)
    with anyio.move_on_after(patience):
        reply = await kernel.call(call)
        try:
            return read_reply(reply, returns)
        except ValueError as problem:
            raise CallFailed(f"the reply can't be used: {problem}", reason="mismatch") from None
    raise CallFailed(f"there was no reply within {patience:g} seconds", reason="timeout")


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
