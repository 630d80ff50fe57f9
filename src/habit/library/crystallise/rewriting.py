"""Rewriting: a model may write the code more cleanly; what it writes is kept only if every check still passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from habit.calls.returns import Returns
from habit.errors import BudgetExceeded, CallFailed
from habit.library.checks.examine import examine
from habit.library.checks.report import Report
from habit.library.crystallise.anew import must_hold_nothing_read
from habit.library.crystallise.asking import Asking, unfenced
from habit.library.crystallise.dependence import must_depend
from habit.library.crystallise.recording import RecordedRun
from habit.library.crystallise.refusal import CannotLearn
from habit.library.crystallise.rehearsing import rehearse
from habit.library.habit import Habit
from habit.sandbox.session import Sandbox

_QUERY = """Rewrite this Python program so that it is shorter and easier to read, and does exactly the same.
Keep the function scheduler with its parameters, and every call of recursive_llm with the same query, item and returns.
Standard library only, no input or output. Reply with the program alone."""


async def rewritten(
    asking: Asking,
    sandbox: Sandbox,
    habit: Habit,
    report: Report,
    runs: Sequence[RecordedRun],
    values: Sequence[Mapping[str, Any]],
    mutants: int,
) -> tuple[Habit, Report, str]:
    """The habit as a model writes it, and the report on it; or as it was, with the reason why the proposal fell."""
    try:
        source = unfenced(str(await asking.once(_QUERY, habit.source, Returns.from_schema(None))))
        new, seen = await _tried(sandbox, replace(habit, source=source), report, runs, values, mutants)
    except (CallFailed, BudgetExceeded) as failure:
        return habit, report, f"no rewrite was made ({failure})"
    except CannotLearn as refusal:
        return habit, report, f"a rewrite: {refusal.reason}"
    return new, seen, ""


async def _tried(
    sandbox: Sandbox,
    habit: Habit,
    before: Report,
    runs: Sequence[RecordedRun],
    values: Sequence[Mapping[str, Any]],
    mutants: int,
) -> tuple[Habit, Report]:
    """Raises CannotLearn with what the rewritten habit does worse."""
    remedy = "the code stays as it was"
    report = await examine(sandbox, habit, mutants=mutants)
    if not report.green:
        raise CannotLearn(report.troubles()[0], remedy)
    for run, given in zip(runs, values, strict=True):
        must_hold_nothing_read(habit.source, run, given, contracts=habit.spec.contracts)
        await rehearse(sandbox, habit.source, run, given)
        await must_depend(sandbox, habit.source, run, given)
    if lost := set(before.held) - set(report.held):
        raise CannotLearn(f"the relation {min(lost)} no longer holds", remedy)
    if len(report.survivors) > len(before.survivors):
        more = f"{len(report.survivors)} mutants survive, {len(before.survivors)} before"
        raise CannotLearn(more, remedy)
    ceiling = report.ceiling or habit.spec.ceiling
    return replace(habit, spec=habit.spec.model_copy(update={"ceiling": ceiling})), report
