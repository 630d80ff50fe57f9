"""Direct: the whole input in one bounded call. The plainest way to ask, and the measure of what all others add.

It needs neither a session nor a root model, and takes only what one prompt can hold.
"""

from __future__ import annotations

from habit.errors import CallFailed, RunFailed
from habit.schedulers.live import LiveSession
from habit.schedulers.rooted import Rooted
from habit.schedulers.scheduler import Outcome, Task


class Direct(Rooted):
    """One call of the leaf model, with the question and all of its input. One instance serves one run."""

    async def run(self, task: Task, live: LiveSession | None = None) -> Outcome:
        """The reply to ``task``. Raises RunFailed when its input does not fit one prompt, or no reply can be used."""
        context = task.context if len(task.context.payload) else None
        if context is not None and self.leaf.is_surely_too_long(context):
            raise RunFailed(_too_long(len(context.payload), self.kernel.leaf.window))
        call = self.leaf.call(task.query, context, task.returns, task, cell=0)
        if context is not None and not await self.kernel.fits(call):
            raise RunFailed(_too_long(len(context.payload), self.kernel.leaf.window))
        talk = None if live is None else self.begin(live, task)
        try:
            answer = await self.leaf.ask(call, task.returns, _nobody_waits)
        except CallFailed as failure:
            raise RunFailed(f"The one call failed: {failure}") from failure
        if talk is not None:  # other questions may follow
            talk.add_answer([], answer)
        return Outcome("answered", answer)


def _nobody_waits() -> None:
    """No session waits for the reply, so nothing is to run ahead of one."""


def _too_long(size: int, window: int) -> str:
    return (
        f"The input ({size:,} bytes) does not fit one prompt (a window of {window:,} tokens): ask with --strategy rlm, "
        "which takes inputs of any size."
    )
