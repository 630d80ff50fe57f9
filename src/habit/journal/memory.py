"""The journal in memory: the twin of the SQLite journal, for tests and for ``--no-journal``."""

from __future__ import annotations

import hashlib
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from habit.errors import JournalError
from habit.journal.naming import already_claimed, choose_run
from habit.journal.packing import as_json, kept_call, kept_cell
from habit.journal.records import CallRecord, CellRecord, RememberedReply, RunRecord, RunStatus


class MemoryStore:
    """A ``Store`` that forgets everything when it goes."""

    def __init__(self) -> None:
        self._runs: dict[str, RunRecord] = {}
        self._cells: dict[str, dict[tuple[str, int], CellRecord]] = {}
        self._calls: dict[str, dict[tuple[str, int], CallRecord]] = {}
        self._remembered: dict[tuple[str, int], dict[str, CallRecord]] = {}
        self._blobs: dict[str, bytes] = {}
        self._claimed: set[str] = set()
        self._closed = False

    async def add_run(self, run: RunRecord) -> None:
        """Open a run."""
        self._check_open()
        if run.id in self._runs:
            raise JournalError(f"run {run.id} is in the journal already: a new run needs a new id")
        self._runs[run.id] = replace(
            run,
            settings=as_json(run.settings),
            context=as_json(run.context),
            result=None if run.result is None else as_json(run.result),
        )
        self._cells[run.id], self._calls[run.id] = {}, {}

    async def end_run(self, run_id: str, status: RunStatus, result: Mapping[str, Any]) -> None:
        """Write how a run ended."""
        self._runs[run_id] = replace(self._known(run_id), status=status, result=as_json(result))

    async def add_cell(self, cell: CellRecord) -> None:
        """Add a cell, or replace it."""
        self._known(cell.run)
        cells = self._cells[cell.run]
        cells.pop((cell.session, cell.index), None)  # so that the new one comes last among equal start times
        cells[cell.session, cell.index] = kept_cell(cell)

    async def add_call(self, call: CallRecord, *, instead_of: int | None = None) -> None:
        """Add a call, or replace a failed one."""
        self._known(call.run)
        calls = self._calls[call.run]
        if instead_of is not None:
            calls.pop((call.key, instead_of), None)
            self._remembered.get((call.key, instead_of), {}).pop(call.run, None)
        earlier = calls.get((call.key, call.occurrence))
        if earlier is not None and earlier.reply is not None:
            return
        calls.pop((call.key, call.occurrence), None)
        calls[call.key, call.occurrence] = kept_call(call)
        if call.reply is not None:
            self._remembered.setdefault((call.key, call.occurrence), {})[call.run] = call

    async def remember(self, key: str, occurrence: int, *, role: str) -> RememberedReply | None:
        """A reply of any earlier run to the same call."""
        self._check_open()
        asked, unasked = (self._remembered.get((key, number), {}) for number in (occurrence, -1 - occurrence))
        for run_id, call in (*asked.items(), *unasked.items()):
            if call.reply is not None and (role != "root" or self._runs[run_id].status == "answered"):
                return RememberedReply(run_id, call.reply, call.input_tokens, call.output_tokens, call.finish)
        return None

    async def runs(self, limit: int = 50) -> list[RunRecord]:
        """Runs, newest first."""
        self._check_open()
        return [self._seen(self._runs[run_id]) for run_id in self._newest_first()[:limit]]

    async def run(self, ref: str) -> RunRecord:
        """The run named by an id, a unique prefix, or ``last``."""
        self._check_open()
        ids = self._newest_first()
        asked = (run_id for run_id in ids if not self._runs[run_id].is_aside)
        return self._seen(self._runs[choose_run(ref, ids, lambda: next(asked, None))])

    async def cells(self, run_id: str) -> list[CellRecord]:
        """Cells in the order they started."""
        self._check_open()
        return sorted(self._cells.get(run_id, {}).values(), key=lambda cell: cell.started)

    async def calls(self, run_id: str) -> list[CallRecord]:
        """Calls in the order they were recorded."""
        self._check_open()
        return list(self._calls.get(run_id, {}).values())

    async def spent_since(self, moment: float) -> float:
        """USD of the live calls, of any run, that began at ``moment`` (Unix seconds) or later."""
        self._check_open()
        calls = (call for calls in self._calls.values() for call in calls.values())
        live = (call for call in calls if call.started >= moment and call.attempts > 0 and call.cached_from is None)
        return math.fsum(call.usd or 0.0 for call in live)

    async def put_blob(self, data: bytes | memoryview) -> str:
        """Keep ``data`` once; returns its SHA-256 (hex)."""
        self._check_open()
        digest = hashlib.sha256(data).hexdigest()
        self._blobs[digest] = bytes(data)
        return digest

    async def get_blob(self, digest: str) -> bytes:
        """The bytes of ``digest``."""
        self._check_open()
        if digest not in self._blobs:
            raise JournalError(f"the journal has no context with digest {digest!r}: ask again with the same input")
        return self._blobs[digest]

    @asynccontextmanager
    async def claim(self, run_id: str) -> AsyncIterator[None]:
        """Held while somebody works on a run."""
        if run_id in self._claimed:
            raise already_claimed(run_id)
        self._claimed.add(run_id)
        try:
            yield
        finally:
            self._claimed.discard(run_id)

    async def aclose(self) -> None:
        """Refuse everything from now on."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise JournalError("the journal is closed: open it again to use it")

    def _known(self, run_id: str) -> RunRecord:
        self._check_open()
        if run_id not in self._runs:
            raise JournalError(f"the journal has no run {run_id!r}: add the run before its cells and calls")
        return self._runs[run_id]

    def _seen(self, run: RunRecord) -> RunRecord:
        gone = run.status == "running" and run.id not in self._claimed
        return replace(run, status="interrupted") if gone else run

    def _newest_first(self) -> list[str]:
        return sorted(self._runs, key=lambda run_id: (self._runs[run_id].started, run_id), reverse=True)
