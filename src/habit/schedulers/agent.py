"""The agent loop: the model is the scheduler. It is consulted at each step, and what tools give goes into its prompt.

The loop is ``AgentLoop.steps``. A call of a tool becomes a cell of the session: fixed code over ``context``. So limits,
journal, resume, replay and what is shown of a run are those of every other scheduler. Where a model takes no tools, its
calls are read from text. Its bookkeeping is the conversation: when that nears the window, the older steps are summed up
in notes by one bounded call.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any
from weakref import WeakSet

from habit.calls.call import Call, Reply, Sampling
from habit.calls.toolcalls import read_calls
from habit.calls.tools import Tools, part
from habit.errors import CallFailed
from habit.events import Notice
from habit.sandbox.session import CellResult, Session
from habit.schedulers.conversation import Conversation
from habit.schedulers.live import LiveSession
from habit.schedulers.rooted import Rooted
from habit.schedulers.scheduler import Outcome, Task
from habit.schedulers.toolbox import UNKNOWN, Step, grammar, prelude, step_of, together, tools_for
from habit.schedulers.tooltalk import ToolTalk
from habit.schedulers.workbench import Workbench

LEAST_PAGE_CHARS = 400
NOTES_TOKENS = 700
"""Most that the notes on older steps may take of every prompt after them."""
_LEAST_MESSAGE_CHARS = 200


class AgentLoop(Rooted):
    """The standard tool-calling loop. One instance serves one run and all of its child runs."""

    fold_keeps = (2, 1)

    def __init__(self, *what: Any, **how: Any) -> None:
        """As for every scheduler with a root; nothing runs ahead, because there is no code to read ahead in."""
        super().__init__(*what, **{**how, "speculate": 0, "stream_starts": False})
        fitting = max(LEAST_PAGE_CHARS, self.kernel.root.window // 3)  # so that several pages fit into the window
        self.profile = replace(self.profile, page_chars=min(self.profile.page_chars, fitting))
        self._prepared: WeakSet[Session] = WeakSet()

    def begin(self, live: LiveSession, task: Task) -> Conversation:
        """The conversation about ``task``."""
        talk = live.begin(ToolTalk, self.profile, task)
        self.profile = replace(self.profile, execution=talk.profile.execution)  # what an earlier question found out
        return talk

    async def steps(self, talk: Conversation, bench: Workbench) -> Outcome | None:
        """The loop: ask for calls of tools, do them, tell what they gave; until one answers or no step is left."""
        assert isinstance(talk, ToolTalk)
        task, limit = bench.task, self.limits.max_cells
        tools = tools_for(task.returns)
        while (left := limit - bench.cells) > 0 and not talk.is_stuck:
            reply = await self.ask_root(talk, bench)
            steps = together(read_steps(reply.text, tools)[:left])
            if not steps:
                bench.cells += 1
                talk.add_no_code(reply.text, cut_off=reply.finish == "length")
                continue
            talk.add_steps(reply.text, steps)
            results = await self._take(steps, bench)
            if results[-1].status == "answered":
                answer = task.returns.check(results[-1].answer)
                talk.add_answer(results, answer)
                return Outcome("answered", answer)
            talk.add_output(results, cells_left=limit - bench.cells)
        return None

    def root_call(self, talk: Conversation, bench: Workbench) -> Call:
        """The call that asks for the next step."""
        assert isinstance(talk, ToolTalk)
        task, tools = bench.task, tools_for(bench.task.returns)
        held = grammar(tools) if talk.profile.name == "small" and not talk.native else None
        return Call(
            model=self.kernel.root.model,
            messages=tuple(talk.messages),
            role="root",
            sampling=self.root_sampling(talk, held),
            about=task.about,
            tools=tools if talk.native else (),
            session=task.session,
            cell=bench.cells + 1,
        )

    async def send(self, call: Call, bench: Workbench) -> Reply:
        """Send it; to a model that turns out to take no tools, once more with the tools told in words."""
        try:
            return await self.kernel.call(call)
        except CallFailed as failure:
            if failure.reason != "no_tools":
                raise
        self.on_event(Notice(f"{call.model} takes no tools: its calls are read from its text."))
        self.profile = replace(self.profile, execution="fence")
        talk = bench.live.talk
        assert isinstance(talk, ToolTalk)
        talk.speak(self.profile)
        return await self.kernel.call(self.root_call(talk, bench))

    async def make_room(self, talk: Conversation, bench: Workbench, keep: int) -> bool:
        """Fold the older steps into notes that the model itself takes of them; where that fails, into a line each."""
        assert isinstance(talk, ToolTalk)
        if not talk.older(keep):
            return False
        message_chars = talk.shown_chars
        call = self._notes_call(talk, bench, keep, message_chars)
        while message_chars > _LEAST_MESSAGE_CHARS and not await self.kernel.fits(call):
            message_chars //= 2
            call = self._notes_call(talk, bench, keep, message_chars)
        with suppress(CallFailed):  # the notes on the steps before, and the lines on these, have to do then
            talk.notes = (await self.kernel.call(call)).text.strip()
        return talk.fold(keep)

    def _notes_call(self, talk: ToolTalk, bench: Workbench, keep: int, message_chars: int) -> Call:
        task = bench.task
        return Call(
            model=self.kernel.root.model,
            messages=talk.notes_prompt(keep, message_chars),
            role="root",
            sampling=Sampling(self.profile.root_temperature, max_tokens=NOTES_TOKENS),
            about=task.about,
            session=task.session,
            cell=bench.cells + 1,
        )

    async def _take(self, steps: list[Step], bench: Workbench) -> list[CellResult]:
        """Take the steps of one reply in order, all of them unless one answers."""
        results: list[CellResult] = []
        for step in steps:
            if step.problem:
                results.append(await bench.refuse_cell(step.code, step.problem, tool=step.tool or UNKNOWN))
                continue
            if bench.live.session not in self._prepared:
                await bench.prepare(prelude(self.profile.page_chars))
                self._prepared.add(bench.live.session)
            results.append(await bench.run_cell(step.code, tool=step.tool))
            if results[-1].status == "answered":
                break
        return results


def read_steps(text: str, tools: Tools) -> list[Step]:
    """The steps that a reply asks for: calls in their text form, or whatever a model writes that must mean some."""
    _, made = part(text, tools)
    if made:
        return [step_of(call) for call in made]
    _, found, problems = read_calls(text, [], tools)
    return [*(step_of(call) for call in found), *(Step("", f"# {problem}", problem) for problem in problems)]
