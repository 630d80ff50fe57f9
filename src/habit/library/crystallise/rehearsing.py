"""Rehearsing a candidate on a run it is learned from: the same answer, with the replies of that run and no others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from habit.library.case import Replies
from habit.library.crystallise.recording import RecordedRun
from habit.library.crystallise.refusal import CannotLearn
from habit.library.rehearsal import Rehearsed, stage
from habit.library.same import same_answer
from habit.sandbox.session import Sandbox


async def rehearse(sandbox: Sandbox, source: str, run: RecordedRun, values: Mapping[str, Any]) -> Rehearsed:
    """Run ``source`` on the input of ``run``. Raises CannotLearn unless it answers as the run did."""
    async with stage(sandbox, run.context, run.returns.check) as here:
        rehearsed = await here.play(source, values, Replies(run.exchanges))
    if rehearsed.trouble:
        raise CannotLearn(
            f"the code that reaches the answer does not run by itself: {rehearsed.trouble}",
            "learn from a run whose cells need nothing that failed or was not kept",
        )
    if not same_answer(run.returns, rehearsed.answer, run.answer):
        raise CannotLearn(
            f"the code that reaches the answer gives {str(rehearsed.answer)[:60]!r} by itself "
            f"and not {str(run.answer)[:60]!r}",
            "learn from a run whose answer does not depend on cells that failed half way",
        )
    return rehearsed
