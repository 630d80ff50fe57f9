"""Cutting: a case small enough for a repository, from an input of any size.

A large input is cut down to some of its records, from all over it. The recorded replies go with it: code that asks
about records one by one finds all it needs; code that asks about larger pieces needs its input whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from habit.contexts.context import Context
from habit.library.case import Case, Replies
from habit.library.crystallise.recording import RecordedRun
from habit.library.crystallise.refusal import CannotLearn
from habit.library.records import Records, split
from habit.library.rehearsal import Rehearsed, stage
from habit.library.spec import Contract
from habit.sandbox.session import Sandbox

SMALL = 64 << 10
"""Bytes of a context that is kept whole."""
LARGE = 4 << 20
"""Bytes of a context that is kept whole where it can't be cut."""
_AIMED = SMALL // 2
_LEAST = 8
"""Records of a case."""


async def case_of(
    sandbox: Sandbox,
    source: str,
    run: RecordedRun,
    values: Mapping[str, Any],
    rehearsed: Rehearsed,
    contract: Contract,
) -> Case:
    """The case of ``run``, whose ``rehearsed`` answer on the whole input is known. Raises CannotLearn."""
    whole = Case(values, run.context, list(rehearsed.asked), run.answer, run.record.id, run.query)
    size = len(run.context.payload)
    if size <= SMALL:
        return whole
    records = split(run.context, contract)
    cut = await _cut(sandbox, source, whole, records, run) if records is not None else None
    if cut is not None:
        return cut
    if size <= LARGE:
        return whole
    raise CannotLearn(
        f"its input of {size:,} bytes is too large for a case and can't be cut down to some of its records",
        "ask the same question about a smaller input and learn from that run",
    )


async def _cut(sandbox: Sandbox, source: str, whole: Case, records: Records, run: RecordedRun) -> Case | None:
    """The case with some of the records, as many as keep it small; None when no choice of them can be rehearsed."""
    items = records.items
    wanted = max(int(len(items) * _AIMED / len(run.context.payload)), _LEAST)
    while len(items) > wanted >= _LEAST:
        step = len(items) / wanted
        chosen = [items[int(position * step)] for position in range(wanted)]
        case = await _rehearsed(sandbox, source, whole, records.join(chosen), run)
        if case is not None and len(case.to_json()) <= 4 * SMALL:
            return case
        wanted //= 2
    return None


async def _rehearsed(sandbox: Sandbox, source: str, whole: Case, context: Context, run: RecordedRun) -> Case | None:
    async with stage(sandbox, context, run.returns.check) as here:
        rehearsed = await here.play(source, whole.parameters, Replies(whole.exchanges))
    if not rehearsed.answered:
        return None
    note = f"cut down from {len(run.context.payload):,} bytes ({run.context.digest})"
    expected = run.returns.check(rehearsed.answer)
    return Case(
        whole.parameters, context, list(rehearsed.asked), expected, whole.run, whole.query, notes=[*whole.notes, note]
    )
