"""One execution of a run, afresh, resumed or replayed: its kernel, its scheduler, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import anyio.to_thread

from habit.accounting import account
from habit.calls.budget import Budget, Ledger
from habit.calls.fanout import Confirm
from habit.calls.kernel import Kernel
from habit.calls.provider import Provider
from habit.calls.returns import Returns
from habit.config import Settings
from habit.contexts.context import Context
from habit.errors import BudgetExceeded, HabitError, ReplayMismatch, RunFailed
from habit.events import HabitGaveUp, Observer, RunStarted, SchedulerChosen, all_of, ignore
from habit.journal.records import RunRecord
from habit.journal.replay import Recording
from habit.journal.store import Store
from habit.librarian import Librarian
from habit.run import Run, RunEnded, Status
from habit.sandbox.session import Sandbox, SessionLimits
from habit.schedulers.agent import AgentLoop
from habit.schedulers.direct import Direct
from habit.schedulers.habit import (
    MATCH_SESSION,
    Choice,
    Chosen,
    GaveUp,
    HabitScheduler,
    hint_after,
)
from habit.schedulers.live import LiveSession, open_live_session
from habit.schedulers.prompts import profile_for
from habit.schedulers.rlm import RLM
from habit.schedulers.rooted import Rooted
from habit.schedulers.scheduler import Outcome, Task
from habit.schedulers.workbench import Limits
from habit.telemetry.otel import OpenTelemetry

AFRESH: Mapping[str, type[Rooted]] = {"rlm": RLM, "agent": AgentLoop, "direct": Direct}
"""The schedulers that need no library, by the strategy that asks for them."""


@dataclass(frozen=True)
class Job:
    """What one execution works from."""

    record: RunRecord
    context: Context
    returns: Returns
    settings: Settings
    store: Store
    root: Provider
    leaf: Provider
    budget: Budget = field(default_factory=Budget)
    within: Ledger | None = None
    """The wider budgets that the run shares with others."""
    confirm: Confirm | None = None
    """Asks people before a large map is sent."""
    recording: Recording | None = None
    replay: bool = False
    first: RunRecord | None = None
    """The first run of the session that this run goes on with; its start is what the session's clock shows."""
    on_event: Observer = ignore
    telemetry: OpenTelemetry | None = None
    strategy: str = "rlm"
    """``rlm`` writes a scheduler afresh, ``habit`` demands one from the library, ``auto`` takes one that fits."""
    librarian: Librarian | None = None
    """Chooses a habit; None where there is no library."""
    chosen: Chosen | None = None
    """The habit that must answer, whatever a librarian would choose."""
    readable: Callable[[], Awaitable[Context]] | None = None
    """Gives the input to whoever wants to read it; a large one is handed to the sandbox, out of ``context``."""


class Execution:
    """Lets a scheduler work on one job."""

    def __init__(self, job: Job, sandbox: Sandbox) -> None:
        self._job = job
        self._started = time.monotonic()
        self._spans = job.telemetry.run() if job.telemetry else None
        self._tell = all_of(job.on_event, self._spans.on_event) if self._spans else job.on_event
        self._kernel = Kernel(
            job.root,
            job.leaf,
            budget=job.budget,
            within=job.within,
            confirm=job.confirm,
            confirm_usd=job.settings.confirm_usd,
            store=job.store,
            run_id=job.record.id,
            recording=job.recording,
            replay=job.replay,
            stopped_by=(job.record.result or {}).get("stopped_by") if job.replay else None,
            use_cache=not job.settings.no_cache,
            on_event=self._tell,
        )
        self._sandbox = sandbox
        self._afresh = job.record.strategy
        """The scheduler that answers where no habit does."""
        self._rooted = self._scheduler(self._afresh)
        self._task = Task(job.record.query, job.context, job.returns)
        self._noted: dict[str, Any] = {}
        """What the journal keeps of how the question was answered, beside the result."""
        self._habit: str | None = None
        self._why = ""
        self.choice = Choice(None, "")
        """How it was decided to answer, once that is decided."""
        self.gave_up = ""
        """Why the chosen habit gave up, if it did."""

    def _scheduler(self, strategy: str) -> Rooted:
        job, settings = self._job, self._job.settings
        return AFRESH[strategy](
            self._kernel,
            self._sandbox,
            job.store,
            profile_for(
                settings.profile,
                job.root.model,
                dialect=settings.dialect,
                execution=settings.execution,
                strategy=strategy,
            ),
            run_id=job.record.id,
            limits=_limits(settings),
            clock=float(int((job.first or job.record).started)),
            speculate=settings.speculate,
            stream_starts=settings.stream_starts,
            on_event=self._tell,
        )

    def open_session(self) -> AbstractAsyncContextManager[LiveSession]:
        """The session in which this run begins, for other runs to go on with."""
        return open_live_session(self._sandbox, self._job.context, self._rooted.session_spec(self._task), self._tell)

    async def run(self, live: LiveSession | None = None) -> Run:
        """Answer the question, in a session of its own or in one that goes on.

        Raises BudgetExceeded, RunFailed (both with the partial run) or ReplayMismatch.
        """
        try:
            return await self._run(live)
        finally:
            if self._spans is not None:
                self._spans.close()

    async def _run(self, live: LiveSession | None) -> Run:
        job = self._job
        self._tell(RunStarted(job.record.id, job.root.model, job.record.strategy, job.context.notes))
        self._kernel.ledger.warn()  # of a day that is nearly used up already
        try:
            async with self._kernel.ledger.timed(), self._kernel.running():
                outcome = await self._answer(live)
            run = await self._ended(outcome.status, job.returns.to_python(outcome.answer), note=outcome.note)
        except BudgetExceeded as stop:
            best = None if stop.best_answer is None else job.returns.to_python(stop.best_answer)
            stop.run = run = await self._ended("budget", best, error=str(stop), stopped_by=stop.limit)
            await self._write_end(run)
            raise
        except ReplayMismatch:
            raise
        except HabitError as problem:
            run = await self._ended("failed", error=str(problem))
            await self._write_end(run)
            raise RunFailed(str(problem), run) from problem
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await self._write_end(await self._ended("failed", error="interrupted"), interrupted=True)
            raise
        await self._write_end(run)
        return run

    async def _answer(self, given: LiveSession | None) -> Outcome:
        """Answer with the habit that is chosen, else with a scheduler that the model writes afresh."""
        choice, gave_up = await self._choose()
        chosen, rule = choice.chosen, self._job.record.settings.get("rule", "")
        if rule and (chosen is not None or choice.drift):  # a habit's code needs a scheduler that writes programs
            self._afresh = "rlm"
            self._rooted = self._scheduler(self._afresh)
        elif rule and not choice.why.endswith(rule):
            choice = replace(choice, why="; ".join(filter(None, (choice.why, rule))))
        self.choice, self._why = choice, choice.why
        if choice.why:
            await self._note(**choice.to_json())
        if chosen is None and self._job.strategy == "habit":
            why = choice.why.removesuffix(".")
            raise RunFailed(f"No habit answers this: {why}; let the model write a program with --strategy auto.")
        if self._job.librarian is not None:
            self._tell(SchedulerChosen(chosen.full_name if chosen else None, choice.why, self._afresh))
        if chosen is None:
            return await self._rooted.run(replace(self._task, hint=choice.hint), given)
        self._habit = chosen.full_name
        scheduler = HabitScheduler(self._rooted, chosen, stopped=bool(gave_up and gave_up["stopped"]))
        async with AsyncExitStack() as stack:
            live = await stack.enter_async_context(self.open_session()) if given is None else given
            try:
                if given is None:
                    return await scheduler.run(self._task, live)
                async with given.beside(self._task.query) as alone:
                    return await scheduler.run(self._task, alone)
            except GaveUp as failure:
                reason = gave_up["reason"] if gave_up else str(failure)
                await self._note_giving_up(chosen, reason, stopped=failure.stopped)
                if self._job.strategy == "habit":
                    raise
            if given is None:
                await live.replace()
            return await self._rooted.run(replace(self._task, hint=hint_after(chosen.source, reason)), live)

    async def _note_giving_up(self, chosen: Chosen, reason: str, *, stopped: bool) -> None:
        self._habit, self.gave_up = None, reason
        self._why = f"{chosen.full_name} gave up: {reason}"
        self._tell(HabitGaveUp(chosen.full_name, reason))
        await self._note(gave_up={"reason": reason, "stopped": stopped})

    async def _choose(self) -> tuple[Choice, Mapping[str, Any] | None]:
        """How to answer, and how the habit gave up when that was recorded. What was chosen before is chosen again, so
        that resume and replay go the same way whatever the library holds by then."""
        recorded = self._job.record.result or {}
        demanded = self._job.strategy == "habit" and not recorded.get("chosen")  # there may be one by now
        if self._job.recording is not None and (self._job.replay or (recorded.get("why") and not demanded)):
            self._kernel.take_recorded(MATCH_SESSION)
            gave_up, known = recorded.get("gave_up"), Choice.from_json(recorded)
            chosen = None if known.chosen is None else await self._judged(known.chosen, gave_up)
            return replace(known, chosen=chosen), gave_up
        if self._job.chosen is not None:
            return Choice(self._job.chosen, "it was asked for"), None
        if self._job.librarian is None and self._job.strategy == "habit":
            raise RunFailed(
                f"No habit answers this: there is no library of habits in {self._job.settings.library}; make one with "
                "habit init, or let the model write a program with --strategy auto."
            )
        if self._job.librarian is None or self._job.strategy in AFRESH:
            return Choice(None, "a scheduler written afresh was asked for" if self._job.strategy == "rlm" else ""), None
        task = replace(self._task, context=await self._readable())
        return await self._job.librarian.choose(self._kernel, task, self._job.strategy), None

    async def _readable(self) -> Context:
        return self._job.context if self._job.readable is None else await self._job.readable()

    async def _judged(self, chosen: Chosen, gave_up: Mapping[str, Any] | None) -> Chosen:
        """``chosen`` with its judge: in a replay the verdict that was recorded, else the librarian's own."""
        if not self._job.replay:
            librarian = self._job.librarian
            return replace(chosen, judge=librarian.judge_of(chosen, await self._readable())) if librarian else chosen
        return chosen.judged_as(gave_up)

    async def _note(self, **facts: Any) -> None:
        """Write down how the question is being answered, before it is."""
        self._noted.update(facts)
        if not self._job.replay:
            await self._job.store.end_run(self._job.record.id, "running", self._noted)

    async def _ended(
        self,
        status: Status,
        answer: Any = None,
        *,
        error: str | None = None,
        stopped_by: str | None = None,
        note: str = "",
    ) -> Run:
        record, usage, store = self._job.record, self._kernel.usage, self._job.store
        calls, cells = await store.calls(record.id), await store.cells(record.id)
        return Run(
            id=record.id,
            query=record.query,
            status=status,
            answer=answer,
            strategy="habit" if self._habit else self._afresh,
            habit=self._habit,
            why=self._why,
            usage=usage,
            peak_prompt_tokens=usage.peak_prompt_tokens,
            orchestration=await anyio.to_thread.run_sync(account, calls, cells),
            cells=self._rooted.cells,
            depth=self._rooted.depth,
            seconds=time.monotonic() - self._started,
            error=error,
            stopped_by=stopped_by,
            notes=(*self._job.context.notes, *filter(None, [note, self._divergence()])),
        )

    async def _write_end(self, run: Run, *, interrupted: bool = False) -> None:
        if not self._job.replay:
            result = {**self._noted, **run.to_json()}
            await self._job.store.end_run(run.id, "interrupted" if interrupted else run.status, result)
        self._tell(RunEnded(run))

    def _divergence(self) -> str:
        """What to say when a run that went on did not ask for everything it had asked before."""
        unused = self._job.recording.unused() if self._job.recording else []
        stopped = (self._job.record.result or {}).get("stopped_by") == "calls" and not self._job.replay
        if stopped and unused and (unused[-1].role, unused[-1].session) == ("root", "0"):
            unused = unused[:-1]  # the last try when the budget was used up; a run that goes on has no need of it
        if not unused:
            return ""
        return f"{len(unused)} recorded calls were not asked for again: the run went another way than before."


def _limits(settings: Settings) -> Limits:
    session = SessionLimits(cell_seconds=settings.cell_seconds, memory=settings.cell_memory)
    return Limits(max_cells=settings.max_cells, max_depth=settings.max_depth, session=session)
