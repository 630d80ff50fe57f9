"""Runs of the journal made again with other replies: what would have been answered, had the leafs been right.

The same code runs with the same settings on the same input, as in a replay. Only who replies differs: a root gives the
replies that were recorded, a leaf those of an oracle. It writes to a journal of its own and pays for nothing.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

from habit.calls.budget import Budget
from habit.calls.call import Call, Reply
from habit.calls.kernel import Kernel
from habit.calls.provider import Provider
from habit.contexts.context import Context
from habit.errors import CallFailed, RunError
from habit.events import ignore
from habit.execution import Execution
from habit.jobs import job_again
from habit.journal.memory import MemoryStore
from habit.journal.packing import excerpt
from habit.journal.records import CallRecord, RunRecord
from habit.librarian import Asking, Ended
from habit.models import AbsentModel
from habit.resources import Resources
from habit.run import Run
from habit.schedulers.habit import Choice, Chosen
from habit.schedulers.scheduler import Task
from habit.sessions import rebuilt

Oracle = Callable[[Call], Awaitable[str | None]]
"""The right reply to a leaf call; None when it can't tell."""


class RecordedRoot(AbsentModel):
    """A root that says again what it said.

    A prompt that was recorded gets its recorded reply. Another one, which shows what a leaf would have replied, gets
    the reply that stood in its place in the same session: the program as it was written. Or it is put to ``afresh``,
    the model itself, which is then asked for everything that follows.
    """

    def __init__(self, calls: Sequence[CallRecord], model: str, window: int, afresh: Provider | None = None) -> None:
        super().__init__(model, window)
        self._left = [call for call in calls if call.role == "root" and not call.unasked]
        self._first: dict[str, str] = {}
        """The key of the first call of each recorded session."""
        for call in self._left:
            self._first.setdefault(call.session, call.key)
        self._stands_for: dict[str, str | None] = {}
        """The recorded session of each session."""
        self._afresh = afresh
        self.saw_else = 0
        """Prompts that were not recorded."""
        self.lost = 0
        """Prompts that nothing recorded answers."""

    async def request(self, call: Call) -> Reply:
        """The recorded reply, or a fresh one. Raises CallFailed where a call had failed, or none is left."""
        exact = next((one for one in self._left if one.key == call.key), None)
        if call.session not in self._stands_for:
            self._stands_for[call.session] = self._recorded_session(call)
        if exact is None or (self.saw_else and self._afresh is not None):
            self.saw_else += 1
            if self._afresh is not None:
                return await self._afresh.request(call)
            exact = self._in_its_place(call)
        if exact is None:
            self.lost += 1
            raise CallFailed("nothing of what was recorded comes next", reason="rejected")
        self._left.remove(exact)
        return _reply(exact)

    def _recorded_session(self, call: Call) -> str | None:
        """The root's session, or the child run that was asked the same about the same."""
        if "." not in call.session:
            return call.session
        taken = set(self._stands_for.values())
        same = [name for name, key in self._first.items() if key == call.key and name not in taken]
        return call.session if call.session in same else next(iter(same), None)

    def _in_its_place(self, call: Call) -> CallRecord | None:
        """The session's next recorded reply to a prompt of this sort; notes on older steps are another sort."""
        session, system = self._stands_for[call.session], excerpt(call.messages[0].content)
        return next((one for one in self._left if one.session == session and one.prompt[0][1] == system), None)


class TrueLeaf(AbsentModel):
    """A leaf that replies what is true; what the oracle can't tell, as it was recorded."""

    def __init__(self, calls: Sequence[CallRecord], oracle: Oracle, model: str, window: int) -> None:
        super().__init__(model, window)
        self._recorded: dict[str, deque[CallRecord]] = defaultdict(deque)
        for call in calls:
            if call.role == "leaf" and not call.unasked:
                self._recorded[call.key].append(call)
        self._oracle = oracle
        self.other = 0
        """Replies that are not those that were recorded."""
        self.untold = 0
        """Calls for which there was neither a truth nor a recorded reply."""

    async def request(self, call: Call) -> Reply:
        """The truth. Raises CallFailed for a prompt that was too long, and where nobody knows a reply."""
        recorded = self._recorded[call.key].popleft() if self._recorded.get(call.key) else None
        if recorded is not None and recorded.error_reason == "too_long":
            return _reply(recorded)  # whoever sent it was at fault
        truth = await self._oracle(call)
        if truth is None:
            if recorded is not None:
                return _reply(recorded)
            self.untold += 1
            raise CallFailed("neither the journal nor the oracle has a reply to this call", reason="rejected")
        if recorded is not None and not _alike(recorded.reply, truth):
            self.other += 1
        return Reply(truth, 0, 0)


@dataclass(frozen=True)
class Again:
    """How a run ended when it was made again."""

    run: Run
    other: int
    """Leaf replies that were not those that were recorded."""
    saw_else: int
    """Root prompts that were not recorded, because they show other replies."""
    unknown: int
    """Calls that nothing recorded and no oracle could answer."""


async def made_again(
    resources: Resources,
    record: RunRecord,
    oracle: Oracle,
    *,
    root: Provider | None = None,
    parameters: Mapping[str, Any] | None = None,
    context: Context | None = None,
) -> Again:
    """``record`` made again with the leaf replies of ``oracle``.

    ``root`` is asked what the recorded root can't have been asked, else the root says what it said. ``parameters`` are
    given to the habit that answered in place of those it had; ``context`` stands in for the input.
    """
    store = await resources.store()
    calls = await store.calls(record.id)
    root_window, leaf_window = record.settings["windows"]
    steering = RecordedRoot(calls, record.settings["model"], root_window, root)
    leaf = TrueLeaf(calls, oracle, record.settings["leaf_model"], leaf_window)
    chosen = chosen_by(record.result or {})
    if chosen is not None and parameters is not None:
        chosen = replace(chosen, parameters=parameters)
    async with AsyncExitStack() as stack:
        before = await rebuilt(record, resources, stack)
        job = await job_again(record, resources, None, before, live=False)
        aside = MemoryStore()
        await aside.add_run(replace(record, result=None, status="running"))
        settings = replace(job.settings, no_cache=True, speculate=0, stream_starts=False)
        job = replace(
            job,
            root=steering,
            leaf=leaf,
            record=replace(record, result=None),
            store=aside,
            settings=settings,
            budget=Budget(),
            confirm=None,
            recording=None,
            replay=False,
            librarian=Chooses(chosen, record.result),
            on_event=ignore,
            telemetry=None,
        )
        if context is not None:
            job = replace(job, context=context, readable=None)
        try:
            execution = Execution(job, await resources.sandbox(job.settings.sandbox))
            run = await execution.run(before.live if before else None)
        except RunError as failure:
            if failure.run is None:
                raise
            run = failure.run
    return Again(run, leaf.other, steering.saw_else, steering.lost + leaf.untold)


class Chooses:
    """A librarian that has chosen already."""

    def __init__(self, chosen: Chosen | None, noted: Mapping[str, Any] | None = None) -> None:
        """``noted`` is what a recorded run says of its choice."""
        self._chosen = chosen
        self._noted = noted or {"why": "it was asked for"}

    async def choose(self, kernel: Kernel, task: Task, strategy: str) -> Choice:
        """What was chosen."""
        return replace(Choice.from_json(self._noted), chosen=self._chosen)

    def judge_of(self, chosen: Chosen, context: Context) -> Callable[[Any], Sequence[str]]:
        """The judge that ``chosen`` has already."""
        return chosen.judge

    async def note(self, ended: Ended) -> bool:
        """Nothing is learned, so nothing is left to be done."""
        return False

    async def after(self, ended: Ended, ask: Asking) -> None:
        """There is nothing to be done."""

    async def aclose(self) -> None:
        """Nothing is open."""


def chosen_by(result: Mapping[str, Any]) -> Chosen | None:
    """The habit that a run had chosen; a promise that it broke then, it breaks again."""
    chosen = Choice.from_json(result).chosen
    return None if chosen is None else chosen.judged_as(result.get("gave_up"))


def _reply(record: CallRecord) -> Reply:
    if record.reply is None:
        raise CallFailed(record.error, reason=record.error_reason or "server")
    return Reply(record.reply, 0, 0, finish=record.finish)


def _alike(recorded: str | None, truth: str) -> bool:
    return recorded is not None and recorded.strip(" \n\t.\"'").casefold() == truth.strip(" \n\t.\"'").casefold()
