"""The workbench of a scheduler: its cells run in a live session, and what they ask of a model is answered.

What a cell asks for arrives at ``CellHost``: a prompt that fits is one bounded call; a context that does not fit
becomes a child run of the same scheduler, with a session of its own, one level deeper.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import anyio
import anyio.to_thread

from habit.calls.call import Call
from habit.calls.kernel import Kernel
from habit.calls.returns import Returns
from habit.errors import CallFailed, RunFailed, SessionDied
from habit.events import CellFinished, CellStarted, ChildFinished, ChildStarted, Observer
from habit.journal.records import CellRecord
from habit.journal.store import Store
from habit.sandbox.session import CellResult, LlmRequest, SessionLimits
from habit.schedulers.leaf import LeafCaller
from habit.schedulers.live import LiveSession
from habit.schedulers.scheduler import Outcome, Task
from habit.schedulers.scouting import Lookout, Plan, Speculation


@dataclass(frozen=True)
class Limits:
    """How far one run may go, besides its budget."""

    max_cells: int = 30
    """Cells of one session; a reply without code counts as one."""
    max_depth: int = 2
    """Levels of child runs below the root."""
    max_children: int = 128
    """Child runs alive at once on each level; others wait for their turn. A run waits for none but those below it, and
    the lowest ones for none, so that some always go on."""
    session: SessionLimits = field(default_factory=SessionLimits)


class Worker(Protocol):
    """What a workbench needs of the scheduler it belongs to; one serves a run and all of its child runs."""

    kernel: Kernel
    store: Store
    run_id: str
    limits: Limits
    on_event: Observer
    leaf: LeafCaller
    speculation: Speculation
    cells: int
    turns: list[anyio.Semaphore]

    async def run(self, task: Task) -> Outcome:
        """Answer the question of a child run."""
        ...


class Workbench:
    """Work on one task: runs cells, writes them to the journal, and replaces the session if it is lost."""

    def __init__(self, owner: Worker, task: Task, live: LiveSession) -> None:
        self.owner = owner
        self.task = task
        self.live = live
        self.cells = 0
        self.children = 0

    def plan_ahead(self) -> Plan:
        """What requests of the cell that comes next will be."""
        return CellHost(self, self.cells + 1, Lookout(self.owner.speculation, self.live, None, None)).plan

    async def run_blocks(self, codes: Sequence[str]) -> list[CellResult]:
        """Run the blocks of one reply in order, until one errs or answers."""
        results: list[CellResult] = []
        for code in codes:
            results.append(await self.run_cell(code))
            if results[-1].status != "ok":
                break
        return results

    async def run_cell(self, code: str, *, tool: str = "") -> CellResult:
        """Run one cell, write it down, and replace the session if it was lost. ``tool`` is what the model called."""
        owner, session = self.owner, self.task.session
        self.cells += 1
        owner.cells += 1
        owner.on_event(CellStarted(session, self.cells, code, tool))
        started = time.time()
        try:
            async with owner.speculation.about(self.live, code) as lookout:
                host = CellHost(self, self.cells, lookout)
                result = await self.live.session.run_cell(code, host)
                lookout.ended(result)
        except SessionDied:  # lost while an earlier question was being stopped
            result = CellResult("died", error="The session was lost; all variables are gone: start from `context`.")
        return await self._ended(code, result, started)

    async def refuse_cell(self, code: str, problem: str, *, tool: str = "") -> CellResult:
        """A cell that is not run, because of a ``problem``; it counts, and is written down as any other."""
        self.cells += 1
        self.owner.cells += 1
        self.owner.on_event(CellStarted(self.task.session, self.cells, code, tool))
        return await self._ended(code, CellResult("error", error=problem), time.time())

    async def prepare(self, code: str) -> None:
        """Run code of ours that is no cell of the run. Raises RunFailed when it does not do."""
        result = await self._aside(code)
        if result is None or result.status != "ok":
            raise RunFailed("The session could not be made ready: allow it more with --cell-memory or --cell-seconds.")

    async def look(self, code: str) -> str:
        """What code of ours that is no cell of the run prints; nothing when it does not do."""
        result = await self._aside(code)
        if result is not None and result.status == "died":
            await self.live.replace()
        return result.stdout if result is not None and result.status == "ok" else ""

    async def _aside(self, code: str) -> CellResult | None:
        """How code of ours ends, of which neither the journal nor the root hears; None when the session was lost."""
        host = CellHost(self, self.cells + 1, Lookout(self.owner.speculation, self.live, None, None))
        with self.live.tape.recording(code) as taped, suppress(SessionDied):
            result = await self.live.session.run_cell(code, host)
            self.live.tape.end(taped, result.status, result.seconds)
            return result
        return None

    async def _ended(self, code: str, result: CellResult, started: float) -> CellResult:
        owner, session = self.owner, self.task.session
        await owner.store.add_cell(
            CellRecord(
                run=owner.run_id,
                session=session,
                index=self.cells,
                code=code,
                status=result.status,
                stdout=result.stdout,
                stdout_dropped=result.stdout_dropped,
                error=result.error,
                seconds=result.seconds,
                started=started,
                folded=self.live.talk.folded_of_this_question if self.live.talk else 0,
            )
        )
        owner.on_event(CellFinished(session, self.cells, result.status, result.stdout, result.error))
        if result.status == "died":
            await self.live.replace()
        return result


class CellHost:
    """What one cell may ask for: bounded calls, child runs, and whether its answer will do."""

    def __init__(self, bench: Workbench, cell: int, lookout: Lookout) -> None:
        self.bench = bench
        self.owner = bench.owner
        self.cell = cell
        self.lookout = lookout
        lookout.plan = self.plan

    async def recursive_llm(self, request: LlmRequest) -> Any:
        """One bounded call when the prompt fits, else a child run. Raises CallFailed."""
        with self.lookout.asking(request) as asked:
            call, returns = await asked.plan()
            if call is None:
                return asked.told(await self._child(request, returns))
            return asked.told(await self.owner.leaf.ask(call, returns, asked.waits))

    async def plan(self, request: LlmRequest) -> tuple[Call | None, Returns]:
        """The call that ``request`` will be, None for a child run, and the type of its reply. Raises CallFailed."""
        task, owner = self.bench.task, self.owner
        try:
            returns = Returns.from_schema(request.schema)
        except ValueError as problem:
            raise CallFailed(f"returns= can't be used: {problem}", reason="mismatch") from None
        call = await self._one_call(request, returns)
        if call is not None:
            return call, returns
        assert request.context is not None
        if task.depth >= owner.limits.max_depth:
            size = len(request.context.payload)
            raise CallFailed(
                f"a context of {size:,} bytes does not fit one prompt, and child runs may not go deeper than "
                f"{owner.limits.max_depth}: pass smaller slices",
                reason="too_long",
            )
        return None, returns

    async def _one_call(self, request: LlmRequest, returns: Returns) -> Call | None:
        """The bounded call that will do for ``request``; None when that takes a child run, or wants to be one."""
        task, owner = self.bench.task, self.owner
        if request.context is not None and owner.leaf.is_surely_too_long(request.context):
            return None
        call = owner.leaf.call(request.query, request.context, returns, task, cell=self.cell)
        wants_child = request.child and task.depth < owner.limits.max_depth
        if request.context is None or (not wants_child and await owner.kernel.fits(call)):
            return call
        return None

    async def recursive_llm_map(self, requests: Sequence[LlmRequest]) -> list[Any]:
        """All of ``requests`` at once; a slot that failed holds its CallFailed, every other slot is unharmed.

        A large or expensive map is told of before anything is sent, and may need people's word; see Kernel.fan_out.
        """
        kernel, session = self.owner.kernel, self.bench.task.session
        size = sum(
            len(request.query) + len(request.context.payload if request.context else b"") for request in requests
        )
        planned = partial(self._planned, requests)
        async with kernel.fan_out(planned, len(requests), size, session=session, cell=self.cell):
            return await kernel.call_all(requests, self.recursive_llm)

    def _planned(self, requests: Sequence[LlmRequest]) -> Iterator[Call | None]:
        """The call that each of ``requests`` will most likely be; None for a child run."""
        task, owner = self.bench.task, self.owner
        for request in requests:
            too_long = request.context is not None and owner.leaf.is_surely_too_long(request.context)
            if too_long or (request.child and task.depth < owner.limits.max_depth):
                yield None
                continue
            with suppress(ValueError):  # a schema that can't be used fails before anything is sent
                returns = Returns.from_schema(request.schema)
                yield owner.leaf.call(request.query, request.context, returns, task, cell=self.cell)

    def check_answer(self, value: Any) -> None:
        """Raises ValueError with the reason when ``value`` is not what the question asks for."""
        with self.lookout.judging():
            self.bench.task.returns.check(value)

    async def _child(self, request: LlmRequest, returns: Returns) -> Any:
        parent = self.bench.task
        self.bench.children += 1
        session = f"{parent.session}.{self.bench.children}"
        context = request.context
        assert context is not None
        task = Task(
            query=request.query,
            context=context,
            returns=returns,
            session=session,
            depth=parent.depth + 1,
            about=await anyio.to_thread.run_sync(lambda: context.digest),
        )
        async with self.owner.turns[parent.depth]:
            self.owner.on_event(ChildStarted(task.session, task.depth))
            status = "failed"
            try:
                outcome = await self.owner.run(task)
                status = outcome.status
                return outcome.answer
            except RunFailed as failure:
                raise CallFailed(f"the child run found no answer: {failure}", reason="empty") from failure
            finally:
                self.owner.on_event(ChildFinished(task.session, task.depth, status))
