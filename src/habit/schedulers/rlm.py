"""RLM: the model writes the scheduler, cell by cell, in a session that holds the input.

The loop is ``RLM.run``: ask the root model for code, run it in a session, show the model what the code printed, until
the code calls ``answer``. What a cell asks of a model arrives at ``CellHost``: a prompt that fits is one bounded call;
a context that does not fit becomes a child run of this same loop, with a session of its own, one level deeper.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from habit.calls.call import Call, Reply, Sampling
from habit.calls.kernel import Kernel
from habit.calls.returns import Returns
from habit.errors import BudgetExceeded, CallFailed, RunFailed, SessionDied
from habit.events import CellFinished, CellStarted, ChildFinished, ChildStarted, Folded, Observer, ignore
from habit.journal.records import CellRecord
from habit.journal.store import Store
from habit.sandbox.session import CellResult, LlmRequest, Sandbox, SessionLimits, SessionSpec
from habit.schedulers.conversation import Conversation
from habit.schedulers.early import early_start
from habit.schedulers.leaf import LeafCaller
from habit.schedulers.live import LiveSession, open_live_session
from habit.schedulers.prompts import Profile
from habit.schedulers.replies import read_blocks
from habit.schedulers.scheduler import Outcome, Task
from habit.schedulers.scouting import Lookout, Plan, Speculation

FOLD_KEEPS = (3, 1)
"""Exchanges that a fold leaves as they were; fewer where that is still too much for the window."""


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


class RLM:
    """The recursive language model scheduler. One instance serves one run and all of its child runs."""

    def __init__(
        self,
        kernel: Kernel,
        sandbox: Sandbox,
        store: Store,
        profile: Profile,
        *,
        run_id: str,
        limits: Limits | None = None,
        clock: float = 0.0,
        speculate: int = 0,
        stream_starts: bool = False,
        on_event: Observer = ignore,
    ) -> None:
        """``speculate``: calls that may run ahead of a session at once. ``stream_starts``: whether statements of a cell
        may start calls while the root still writes the rest of it."""
        self.kernel = kernel
        self.sandbox = sandbox
        self.store = store
        self.profile = profile
        self.run_id = run_id
        self.limits = limits or Limits()
        self.clock = clock
        self.on_event = on_event
        self.leaf = LeafCaller(kernel, profile)
        self.speculation = Speculation(kernel, sandbox, speculate)
        self.stream_starts = stream_starts and speculate > 0
        self.cells = 0
        """Cells run in the whole tree of sessions."""
        self.depth = 0
        """The deepest level reached."""
        self.turns = [anyio.Semaphore(self.limits.max_children) for _ in range(self.limits.max_depth)]
        """What a child run takes while it lives, by the depth of its parent."""

    async def run(self, task: Task, live: LiveSession | None = None) -> Outcome:
        """Answer ``task``, in a session of its own or in one that goes on.

        Raises BudgetExceeded, RunFailed, or CallFailed when a root call failed for good.
        """
        if live is not None:
            return await self._work(task, live)
        async with open_live_session(self.sandbox, task.context, self.session_spec(task), self.on_event) as live:
            return await self._work(task, live)

    async def _work(self, task: Task, live: LiveSession) -> Outcome:
        """The loop: ask for code, run it, tell what it printed; until it answers or a limit is met."""
        self.depth = max(self.depth, task.depth)
        talk = live.begin(self.profile, task)
        bench = Workbench(self, task, live)
        try:
            while (left := self.limits.max_cells - bench.cells) > 0:
                reply = await self._ask_root(talk, bench)
                cut_off = reply.finish == "length"
                codes = read_blocks(reply.text).runnable(cut_off=cut_off)
                if not codes:
                    bench.cells += 1
                    talk.add_no_code(reply.text, cut_off=cut_off)
                    continue
                talk.add_reply(reply.text, codes)
                results = await bench.run_blocks(codes[:left])
                if results[-1].status == "answered":
                    answer = task.returns.check(results[-1].answer)
                    talk.add_answer(results, answer)
                    return Outcome("answered", answer)
                talk.add_output(results, cells_left=self.limits.max_cells - bench.cells)
            return await self._best_answer(talk, task, f"the limit of {self.limits.max_cells} cells is reached")
        except CallFailed as failure:
            if failure.reason != "too_long":
                raise
            reason = "the conversation fills the model's window"
            return await self._best_answer(talk, task, reason, shortened=True)
        except BudgetExceeded as stop:
            if task.depth == 0 and stop.limit == "calls":  # one call was held back for this
                with suppress(RunFailed):  # the run ends as stopped by its budget, with or without an answer
                    outcome = await self._best_answer(talk, task, "the budget of calls is used up", shortened=True)
                    stop.best_answer = outcome.answer
            raise

    async def _ask_root(self, talk: Conversation, bench: Workbench) -> Reply:
        """The root's next reply; an empty one is a turn to remark on, not the end of the run."""
        task, cell = bench.task, bench.cells + 1
        call = self._root_call(talk, task, cell)
        for kept in FOLD_KEEPS:
            if await self.kernel.fits(call) or not talk.fold(kept):
                break
            self.on_event(Folded(task.session, talk.folded))
            call = self._root_call(talk, task, cell)
        try:
            if not self.stream_starts or not self.kernel.ahead.is_open:
                return await self.kernel.call(call)
            async with early_start(self.speculation, bench.live, bench.plan_ahead()) as heard:
                return await self.kernel.call(replace(call, heard=heard))
        except CallFailed as failure:
            if failure.reason != "empty":
                raise
            return Reply("", 0, 0)

    def _root_call(self, talk: Conversation, task: Task, cell: int) -> Call:
        profile = self.profile
        temperature = profile.repeat_temperature if talk.repeated else profile.root_temperature
        return Call(
            model=self.kernel.root.model,
            messages=tuple(talk.messages),
            role="root",
            sampling=Sampling(temperature, max_tokens=profile.root_max_tokens, grammar=profile.grammar),
            about=task.about,
            tool=profile.execution == "tool",
            session=task.session,
            cell=cell,
        )

    async def _best_answer(self, talk: Conversation, task: Task, reason: str, *, shortened: bool = False) -> Outcome:
        """One last call for the best answer from what is known. Raises RunFailed when that gives none."""
        call = Call(
            model=self.kernel.root.model,
            messages=talk.salvage(reason, shortened=shortened),
            role="root",
            schema=task.returns.schema,
            sampling=Sampling(temperature=self.profile.root_temperature, max_tokens=self.profile.root_max_tokens),
            about=task.about,
            session=task.session,
        )
        try:
            reply = await self.kernel.call(call, final=True)
            if reply.finish == "length" and not task.returns.is_text:
                raise ValueError("the reply was cut off at the output limit")
            return Outcome("salvaged", task.returns.parse(reply.text), note=reason)
        except (CallFailed, ValueError) as problem:
            raise RunFailed(f"No answer was found: {reason}, and a last try failed ({problem}).") from problem

    def session_spec(self, task: Task) -> SessionSpec:
        """How every session for ``task`` starts, a replacement after a loss too."""
        return SessionSpec(query=task.query, clock=self.clock, limits=self.limits.session)


class Workbench:
    """Work on one task: runs cells, writes them to the journal, and replaces the session if it is lost."""

    def __init__(self, rlm: RLM, task: Task, live: LiveSession) -> None:
        self.rlm = rlm
        self.task = task
        self.live = live
        self.cells = 0
        self.children = 0

    def plan_ahead(self) -> Plan:
        """What requests of the cell that comes next will be."""
        return CellHost(self, self.cells + 1, Lookout(self.rlm.speculation, self.live, None, None)).plan

    async def run_blocks(self, codes: Sequence[str]) -> list[CellResult]:
        """Run the blocks of one reply in order, until one errs or answers."""
        results: list[CellResult] = []
        for code in codes:
            results.append(await self._run_cell(code))
            if results[-1].status != "ok":
                break
        return results

    async def _run_cell(self, code: str) -> CellResult:
        rlm, session = self.rlm, self.task.session
        self.cells += 1
        rlm.cells += 1
        rlm.on_event(CellStarted(session, self.cells, code))
        started = time.time()
        try:
            async with rlm.speculation.about(self.live, code) as lookout:
                host = CellHost(self, self.cells, lookout)
                result = await self.live.session.run_cell(code, host)
                lookout.ended(result)
        except SessionDied:  # lost while an earlier question was being stopped
            result = CellResult("died", error="The session was lost; all variables are gone: start from `context`.")
        await rlm.store.add_cell(
            CellRecord(
                run=rlm.run_id,
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
        rlm.on_event(CellFinished(session, self.cells, result.status, result.stdout, result.error))
        if result.status == "died":
            await self.live.replace()
        return result


class CellHost:
    """What one cell may ask for: bounded calls, child runs, and whether its answer will do."""

    def __init__(self, bench: Workbench, cell: int, lookout: Lookout) -> None:
        self.bench = bench
        self.rlm = bench.rlm
        self.cell = cell
        self.lookout = lookout
        lookout.plan = self.plan

    async def recursive_llm(self, request: LlmRequest) -> Any:
        """One bounded call when the prompt fits, else a child run. Raises CallFailed."""
        with self.lookout.asking(request) as asked:
            call, returns = await self.plan(request)
            if call is None:
                return asked.told(await self._child(request, returns))
            return asked.told(await self.rlm.leaf.ask(call, returns, asked.waits))

    async def plan(self, request: LlmRequest) -> tuple[Call | None, Returns]:
        """The call that ``request`` will be, None for a child run, and the type of its reply. Raises CallFailed."""
        task, rlm = self.bench.task, self.rlm
        try:
            returns = Returns.from_schema(request.schema)
        except ValueError as problem:
            raise CallFailed(f"returns= can't be used: {problem}", reason="mismatch") from None
        call = await self._one_call(request, returns)
        if call is not None:
            return call, returns
        assert request.context is not None
        if task.depth >= rlm.limits.max_depth:
            size = len(request.context.payload)
            raise CallFailed(
                f"a context of {size:,} bytes does not fit one prompt, and child runs may not go deeper than "
                f"{rlm.limits.max_depth}: pass smaller slices",
                reason="too_long",
            )
        return None, returns

    async def _one_call(self, request: LlmRequest, returns: Returns) -> Call | None:
        """The bounded call that will do for ``request``; None when that takes a child run, or wants to be one."""
        task, rlm = self.bench.task, self.rlm
        if request.context is not None and rlm.leaf.is_surely_too_long(request.context):
            return None
        call = rlm.leaf.call(request.query, request.context, returns, task, cell=self.cell)
        wants_child = request.child and task.depth < rlm.limits.max_depth
        if request.context is None or (not wants_child and await rlm.kernel.fits(call)):
            return call
        return None

    async def recursive_llm_map(self, requests: Sequence[LlmRequest]) -> list[Any]:
        """All of ``requests`` at once; a slot that failed holds its CallFailed, every other slot is unharmed.

        A large or expensive map is told of before anything is sent, and may need people's word; see Kernel.fan_out.
        """
        kernel, session = self.rlm.kernel, self.bench.task.session
        size = sum(
            len(request.query) + len(request.context.payload if request.context else b"") for request in requests
        )
        planned = partial(self._planned, requests)
        async with kernel.fan_out(planned, len(requests), size, session=session, cell=self.cell):
            return await kernel.call_all(requests, self.recursive_llm)

    def _planned(self, requests: Sequence[LlmRequest]) -> Iterator[Call | None]:
        """The call that each of ``requests`` will most likely be; None for a child run."""
        task, rlm = self.bench.task, self.rlm
        for request in requests:
            too_long = request.context is not None and rlm.leaf.is_surely_too_long(request.context)
            if too_long or (request.child and task.depth < rlm.limits.max_depth):
                yield None
                continue
            with suppress(ValueError):  # a schema that can't be used fails before anything is sent
                returns = Returns.from_schema(request.schema)
                yield rlm.leaf.call(request.query, request.context, returns, task, cell=self.cell)

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
        async with self.rlm.turns[parent.depth]:
            self.rlm.on_event(ChildStarted(task.session, task.depth))
            status = "failed"
            try:
                outcome = await self.rlm.run(task)
                status = outcome.status
                return outcome.answer
            except RunFailed as failure:
                raise CallFailed(f"the child run found no answer: {failure}", reason="empty") from failure
            finally:
                self.rlm.on_event(ChildFinished(task.session, task.depth, status))
