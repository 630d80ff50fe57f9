"""Rehearsals: scheduler code run in the real sandbox with recorded replies. No model, no network, nothing journalled.

Everything that is claimed of a habit is claimed because a rehearsal showed it: that a slice of a run gives its answer,
that a case is green, that a relation holds, that a mutant is caught.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio

from habit.contexts.context import Context
from habit.errors import CallFailed
from habit.library.case import Case, Exchange, Replies
from habit.library.same import same
from habit.sandbox.session import (
    CellResult,
    LlmRequest,
    Sandbox,
    SessionLimits,
    SessionSpec,
    SharedContext,
    slot_by_slot,
)
from habit.schedulers.invocation import cell_of

LIMITS = SessionLimits(cell_seconds=10.0, memory=1 << 30, output_chars=10_000)
"""What a rehearsal may use: replies come at once, so a scheduler that takes longer is stuck."""


Checker = Callable[[Any], Any]
"""Judges an answer, as Returns.check: raises ValueError or TypeError with the reason."""


class ReplySource(Protocol):
    """Where the replies of a rehearsal come from."""

    def take(self, request: LlmRequest) -> Exchange | None:
        """The exchange that answers ``request``; None when there is none."""
        ...


@dataclass(frozen=True)
class Rehearsed:
    """What came of a rehearsal."""

    result: CellResult
    asked: Sequence[Exchange]
    """Everything that was asked and answered, in the order it was asked."""
    missing: Sequence[LlmRequest]
    """What was asked and had no recorded reply."""
    answer: Any = None
    """The answer as the type that was asked for, in JSON terms; ``result.answer`` is what the code gave."""

    @property
    def answered(self) -> bool:
        """Whether it came to an answer, with no reply missing."""
        return self.result.status == "answered" and not self.missing

    @property
    def trouble(self) -> str:
        """Why it did not come to an answer, in one sentence; empty when it did."""
        if self.missing:
            first = self.missing[0]
            return f"it asks what was not recorded ({len(self.missing)} times, first: {first.query[:120]!r})"
        if self.result.status != "answered":
            return self.result.error.strip().splitlines()[-1] if self.result.error.strip() else "it gives no answer"
        return ""


@dataclass
class RecordedHost:
    """Answers a cell from recorded replies."""

    replies: ReplySource
    check: Checker
    asked: list[Exchange] = field(default_factory=list)
    missing: list[LlmRequest] = field(default_factory=list)

    async def recursive_llm(self, request: LlmRequest) -> Any:
        """The recorded reply; a CallFailed, which is noted, when there is none."""
        known = self.replies.take(request)
        if known is None:
            self.missing.append(request)
            raise CallFailed("no reply to this was recorded", reason="rejected")
        self.asked.append(known)
        return known.give()

    async def recursive_llm_map(self, requests: Sequence[LlmRequest]) -> Sequence[Any]:
        """The same for each of them."""
        return await slot_by_slot(self, requests)

    def check_answer(self, value: Any) -> None:
        """As the checker says."""
        self.check(value)

    def rehearsed(self, result: CellResult) -> Rehearsed:
        """What came of the cell that gave ``result``."""
        answer = self.check(result.answer) if result.status == "answered" else None
        return Rehearsed(result, self.asked, self.missing, answer)


class Stage:
    """One context in a sandbox, for any number of rehearsals, each in a fresh session."""

    def __init__(self, shared: SharedContext, check: Checker) -> None:
        self._shared = shared
        self._check = check

    async def run(
        self, cells: Sequence[str], replies: ReplySource, *, query: str = "", clock: float = 0.0
    ) -> Rehearsed:
        """Run ``cells`` one after the other until one answers or fails."""
        session = await self._shared.session(SessionSpec(query=query, clock=clock, limits=LIMITS))
        host = RecordedHost(replies, self._check)
        result = CellResult("ok")
        try:
            for code in cells:
                result = await session.run_cell(code, host)
                if result.status != "ok":
                    break
        finally:
            with anyio.CancelScope(shield=True):
                await session.aclose()
        return host.rehearsed(result)

    async def play(self, source: str, parameters: Mapping[str, Any], replies: ReplySource) -> Rehearsed:
        """Run the scheduler ``source`` with ``parameters``."""
        return await self.run([cell_of(source, parameters)], replies)


@asynccontextmanager
async def stage(sandbox: Sandbox, context: Context, check: Checker) -> AsyncIterator[Stage]:
    """A stage for ``context``; ``check`` judges every answer, as Returns.check."""
    shared = await sandbox.share(context)
    try:
        yield Stage(shared, check)
    finally:
        with anyio.CancelScope(shield=True):
            await shared.aclose()


async def replay_case(sandbox: Sandbox, source: str, case: Case, check: Checker) -> tuple[Rehearsed, str]:
    """Run a case; what is wrong with it, in one sentence, is empty when it is green."""
    replies = Replies(case.exchanges)
    async with stage(sandbox, case.context, check) as here:
        rehearsed = await here.play(source, case.parameters, replies)
    return rehearsed, what_is_wrong(case, rehearsed, replies.unused())


def what_is_wrong(case: Case, rehearsed: Rehearsed, unused: int) -> str:
    """What is wrong with how a case went, in one sentence; empty when it is green."""
    if rehearsed.trouble:
        return rehearsed.trouble
    if not same(rehearsed.answer, case.expected):
        return f"it answers {str(rehearsed.answer)[:80]} instead of {str(case.expected)[:80]}"
    if unused:
        return f"it no longer asks {unused} of the {len(case.exchanges)} recorded calls"
    return ""
