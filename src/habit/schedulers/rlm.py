"""RLM: the model writes the scheduler, cell by cell, in a session that holds the input.

The loop is ``RLM.steps``: ask the root model for code, run it in a session, show the model what the code printed, until
the code calls ``answer``. What a cell asks of a model is answered by its workbench: a prompt that fits is one bounded
call; a context that does not fit becomes a child run of this same loop, with a session of its own, one level deeper.
"""

from __future__ import annotations

from dataclasses import replace

from habit.calls.call import Call, Reply
from habit.calls.tools import ONLY_PYTHON
from habit.schedulers import meaning
from habit.schedulers.conversation import Conversation
from habit.schedulers.early import early_start
from habit.schedulers.live import LiveSession
from habit.schedulers.replies import read_blocks
from habit.schedulers.rooted import Rooted
from habit.schedulers.scheduler import Outcome, Task
from habit.schedulers.workbench import Workbench


class RLM(Rooted):
    """The recursive language model scheduler. One instance serves one run and all of its child runs."""

    async def look_first(self, task: Task, live: LiveSession) -> Task:
        """Where the profile is for a small model: say what of the question can't be searched for in the input."""
        words = meaning.candidates(task.query) if self.profile.looks_first else ()
        if not words:
            return task
        printed = await Workbench(self, task, live).look(meaning.look_for(words))
        unsaid = meaning.read_look(printed, words)
        if unsaid is None:
            return task
        told = self.profile.render("by_meaning", words=unsaid.said)
        return replace(task, hint="\n\n".join(filter(None, (task.hint, told))), begins=unsaid.begins)

    async def steps(self, talk: Conversation, bench: Workbench) -> Outcome | None:
        """The loop: ask for code, run it, tell what it printed; until it answers, is stuck, or no cell is left."""
        task, limit = bench.task, self.limits.max_cells
        while (left := limit - bench.cells) > 0 and not talk.is_stuck:
            reply = await self.ask_root(talk, bench)
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
            talk.add_output(results, cells_left=limit - bench.cells)
        return None

    def root_call(self, talk: Conversation, bench: Workbench) -> Call:
        """The call that asks for the next blocks of code."""
        task, profile = bench.task, self.profile
        return Call(
            model=self.kernel.root.model,
            messages=tuple(talk.messages),
            role="root",
            sampling=self.root_sampling(talk, profile.grammar_beginning("" if bench.cells else task.begins)),
            about=task.about,
            tools=ONLY_PYTHON if profile.execution == "tool" else (),
            session=task.session,
            cell=bench.cells + 1,
        )

    async def send(self, call: Call, bench: Workbench) -> Reply:
        """Send it; statements that are complete may start their calls while the root still writes the rest."""
        if not self.stream_starts or not self.kernel.ahead.is_open:
            return await self.kernel.call(call)
        async with early_start(self.speculation, bench.live, bench.plan_ahead()) as heard:
            return await self.kernel.call(replace(call, heard=heard))
