"""Cutting: a case small enough for a repository, from an input of any size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from habit.library.case import Case
from habit.library.crystallise.recording import RecordedRun
from habit.library.rehearsal import Rehearsed
from habit.sandbox.session import Sandbox

SMALL = 64 << 10
"""Bytes of a context that is kept whole."""


async def case_context(
    sandbox: Sandbox, source: str, run: RecordedRun, values: Mapping[str, Any], rehearsed: Rehearsed
) -> Case:
    """The case of ``run``."""
    return Case(
        parameters=values,
        context=run.context,
        exchanges=list(rehearsed.asked),
        expected=run.answer,
        run=run.record.id,
        query=run.query,
    )
