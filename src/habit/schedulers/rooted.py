"""What every scheduler with a root model shares: how the root is asked, and how a run ends at a limit."""

from __future__ import annotations

from contextlib import suppress

import anyio

from habit.calls.call import Call, Reply, Sampling
from habit.calls.kernel import Kernel
from habit.errors import BudgetExceeded, CallFailed, RunFailed
from habit.events import Folded, Observer, ignore
from habit.journal.store import Store
from habit.sandbox.session import Sandbox, SessionSpec
from habit.schedulers.conversation import Conversation
from habit.schedulers.leaf import LeafCaller
from habit.schedulers.live import LiveSession, open_live_session
from habit.schedulers.prompts import Profile
from habit.schedulers.scheduler import Outcome, Task
from habit.schedulers.scouting import Speculation
from habit.schedulers.workbench import Limits, Workbench


class Rooted:
    """A scheduler that consults a root model. One instance serves one run and all of its child runs."""

    fold_keeps = (3, 1)
    """Exchanges that a fold leaves as they were; fewer where that is still too much for the window."""

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

    def session_spec(self, task: Task) -> SessionSpec:
        """How every session for ``task`` starts, a replacement after a loss too."""
        return SessionSpec(query=task.query, clock=self.clock, limits=self.limits.session)

    async def look_first(self, task: Task, live: LiveSession) -> Task:
        """``task`` with what a look at the input tells the root beforehand."""
        return task

    def begin(self, live: LiveSession, task: Task) -> Conversation:
        """The conversation with the root about ``task``."""
        return live.begin(Conversation, self.profile, task)

    async def steps(self, talk: Conversation, bench: Workbench) -> Outcome | None:
        """Ask the root, do what it says, tell what came of it, until it answers; None when no cell is left, or
        when it is stuck."""
        raise NotImplementedError

    def root_call(self, talk: Conversation, bench: Workbench) -> Call:
        """The call that asks the root for its next reply."""
        raise NotImplementedError

    async def make_room(self, talk: Conversation, bench: Workbench, keep: int) -> bool:
        """Shorten a conversation that nears the window, but for the last ``keep`` exchanges; False if it can't be."""
        return talk.fold(keep)

    async def send(self, call: Call, bench: Workbench) -> Reply:
        """Send the call that asks the root for its next reply."""
        return await self.kernel.call(call)

    async def _work(self, task: Task, live: LiveSession) -> Outcome:
        """Take steps until there is an answer or a limit is met."""
        self.depth = max(self.depth, task.depth)
        task = await self.look_first(task, live)
        talk = self.begin(live, task)
        try:
            outcome = await self.steps(talk, Workbench(self, task, live))
            if outcome is not None:
                return outcome
            reason = f"the limit of {self.limits.max_cells} cells is reached"
            if talk.is_stuck:
                reason = f"the same code came {talk.repeats + 1} times in a row, and did the same each time"
            return await self._best_answer(talk, task, reason)
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

    async def ask_root(self, talk: Conversation, bench: Workbench) -> Reply:
        """The root's next reply; an empty one is a turn to remark on, not the end of the run."""
        call = self.root_call(talk, bench)
        for kept in self.fold_keeps:
            if await self.kernel.fits(call):
                break
            if not await self.make_room(talk, bench, kept):
                continue
            self.on_event(Folded(bench.task.session, talk.folded))
            call = self.root_call(talk, bench)
        try:
            return await self.send(call, bench)
        except CallFailed as failure:
            if failure.reason != "empty":
                raise
            return Reply("", 0, 0)

    def root_sampling(self, talk: Conversation, grammar: str | None) -> Sampling:
        """How the root writes its next reply."""
        profile = self.profile
        temperature = profile.repeat_temperature if talk.repeats else profile.root_temperature
        return Sampling(temperature, max_tokens=profile.root_max_tokens, grammar=grammar)

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
