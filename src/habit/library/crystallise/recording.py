"""Recording: a run replayed from the journal, with everything noted that its cells asked and got.

The journal keeps prompts, which belong to a profile and a model. A habit's cases keep what the code asked: query,
slice, type. So the run is replayed as ``Engine.replay`` does it, in a sandbox that notes each exchange on its way. A
child run counts as one exchange with the answer of the child.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from habit.calls.returns import Returns
from habit.contexts.context import Context
from habit.errors import CallFailed, UsageError
from habit.events import ignore
from habit.journal.records import RunRecord
from habit.library.case import Exchange
from habit.library.crystallise.refusal import CannotLearn
from habit.resources import Resources
from habit.sandbox.session import CellResult, Host, LlmRequest, Sandbox, Session, SessionSpec, SharedContext
from habit.schedulers.invocation import is_invocation
from habit.schedulers.meaning import is_look
from habit.sessions import rebuild


@dataclass
class RecordedCell:
    """A cell of the root session, and what it asked."""

    code: str
    query: str
    """The question that was being answered."""
    result: CellResult = field(default_factory=lambda: CellResult("ok"))
    exchanges: list[Exchange] = field(default_factory=list)


@dataclass(frozen=True)
class RecordedRun:
    """A run with everything its own cells, and those of the runs it goes on with, asked and got."""

    record: RunRecord
    context: Context
    returns: Returns
    cells: Sequence[RecordedCell]
    answer: Any
    """As JSON."""

    @property
    def query(self) -> str:
        """The question."""
        return self.record.query

    @property
    def exchanges(self) -> list[Exchange]:
        """Everything that was asked, in order."""
        return [exchange for cell in self.cells for exchange in cell.exchanges]


async def record_run(record: RunRecord, resources: Resources) -> RecordedRun:
    """Replay the run ``record`` with no model and note what its cells asked. Raises CannotLearn or ReplayMismatch."""
    if record.status != "answered":
        raise CannotLearn(
            f"run {record.id} was not answered by its code but ended as {record.status}", "learn from an answered run"
        )
    noting = _NotingSandbox(await resources.sandbox(record.settings["sandbox"]))
    quiet = Resources(
        replace(resources.settings, otel=False),
        store=await resources.store(),
        sandbox=noting,
        models=None,
        shared_budget=None,
        confirm=None,
        telemetry=None,
        on_event=ignore,
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(quiet.aclose)
        await rebuild(record, quiet, stack)
    context = noting.context
    assert context is not None
    result = record.result or {}
    noted = [cell for cell in noting.cells if not is_look(cell.code)]
    by_habit = [cell for cell in noted if is_invocation(cell.code)]
    cells = by_habit[-1:] if result.get("habit") else [cell for cell in noted if cell not in by_habit]
    if not cells or cells[-1].result.status != "answered":
        raise UsageError(f"Run {record.id} can't be replayed to its answer; see: habit replay {record.id}.")
    returns = Returns.from_json(record.settings["returns"])
    return RecordedRun(record, context, returns, cells, result.get("answer"))


class _NotingSandbox:
    """A sandbox that notes what is asked about the first context that is shared, which is that of the root: by the
    root's own session, and by those of habits beside it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.context: Context | None = None
        self.cells: list[RecordedCell] = []

    @property
    def name(self) -> str:
        """Which backend it is."""
        return self._sandbox.name

    async def warm_up(self) -> None:
        """Start what the first session will need."""
        await self._sandbox.warm_up()

    async def share(self, context: Context) -> SharedContext:
        """Decode ``context``; the first one is that of the root."""
        if self.context is not None:
            return await self._sandbox.share(context)
        with context.opened() as payload:  # a session may take it over
            self.context = replace(context, payload=bytes(payload))
        return _NotingContext(await self._sandbox.share(context), self.cells)

    async def aclose(self) -> None:
        """Nothing: the sandbox belongs to somebody else."""


class _NotingContext:
    """The root's context: every session opened from it is the root's, the replacements of a lost one too."""

    def __init__(self, shared: SharedContext, cells: list[RecordedCell]) -> None:
        self._shared = shared
        self._cells = cells

    async def session(self, spec: SessionSpec) -> Session:
        """Open a session that is noted."""
        return _NotingSession(await self._shared.session(spec), spec.query, self._cells)

    async def aclose(self) -> None:
        """Forget the context."""
        await self._shared.aclose()


class _NotingSession:
    """A session that notes its cells."""

    def __init__(self, session: Session, query: str, cells: list[RecordedCell]) -> None:
        self._session = session
        self._query = query
        self._cells = cells
        self.description = session.description

    async def run_cell(self, code: str, host: Host) -> CellResult:
        """Run one cell and note it."""
        cell = RecordedCell(code, self._query)
        self._cells.append(cell)
        cell.result = await self._session.run_cell(code, _NotingHost(host, cell.exchanges))
        return cell.result

    def set_query(self, query: str) -> None:
        """Another question is asked."""
        self._query = query
        self._session.set_query(query)

    async def aclose(self) -> None:
        """End the session."""
        await self._session.aclose()


class _NotingHost:
    """Passes on what a cell asks, and notes each exchange in the order it was asked."""

    def __init__(self, host: Host, exchanges: list[Exchange]) -> None:
        self._host = host
        self._exchanges = exchanges

    async def recursive_llm(self, request: LlmRequest) -> Any:
        index = len(self._exchanges)
        self._exchanges.append(_exchange(request, CallFailed("the call was not finished", reason="empty")))
        try:
            reply = await self._host.recursive_llm(request)
        except CallFailed as failure:
            self._exchanges[index] = _exchange(request, failure)
            raise
        self._exchanges[index] = _exchange(request, reply)
        return reply

    async def recursive_llm_map(self, requests: Sequence[LlmRequest]) -> Sequence[Any]:
        slots = await self._host.recursive_llm_map(requests)
        self._exchanges += [_exchange(request, slot) for request, slot in zip(requests, slots, strict=True)]
        return slots

    def check_answer(self, value: Any) -> None:
        self._host.check_answer(value)


def _exchange(request: LlmRequest, outcome: Any) -> Exchange:
    if isinstance(outcome, CallFailed):
        return Exchange(request.query, request.context, request.schema, None, str(outcome), outcome.reason)
    return Exchange(request.query, request.context, request.schema, outcome)
