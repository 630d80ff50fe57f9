"""The seam to storage: an append-only record of runs, cells and calls, and the bytes of contexts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from habit.journal.records import CallRecord, CellRecord, RememberedReply, RunRecord, RunStatus


class Store(Protocol):
    """Every method is durable when it returns and safe to call from many tasks at once. Raises JournalError."""

    async def add_run(self, run: RunRecord) -> None:
        """Open a run."""
        ...

    async def end_run(self, run_id: str, status: RunStatus, result: Mapping[str, Any]) -> None:
        """Write how a run ended. May be called again after a resume."""
        ...

    async def add_cell(self, cell: CellRecord) -> None:
        """Add a cell; the same (run, session, index) again replaces it (a resumed run re-executes its cells)."""
        ...

    async def add_call(self, call: CallRecord, *, instead_of: int | None = None) -> None:
        """Add a call; the same (run, key, occurrence) again replaces a failed one. With ``instead_of``, the record of
        the same call under that number goes, at the same moment."""
        ...

    async def remember(self, key: str, occurrence: int, *, role: str) -> RememberedReply | None:
        """A reply of any earlier run to the same call, or of this one where it ran ahead in vain. Root replies only
        from runs that were answered, so that asking again after a failure is a fresh attempt."""
        ...

    async def runs(self, limit: int = 50) -> list[RunRecord]:
        """Runs, newest first. A run whose process is gone has status ``interrupted``."""
        ...

    async def run(self, ref: str) -> RunRecord:
        """The run named by an id, a unique prefix, or ``last``. Raises UsageError."""
        ...

    async def cells(self, run_id: str) -> list[CellRecord]:
        """Cells in the order they started."""
        ...

    async def calls(self, run_id: str) -> list[CallRecord]:
        """Calls in the order they were recorded."""
        ...

    async def spent_since(self, moment: float) -> float:
        """USD of the live calls, of any run, that began at ``moment`` (Unix seconds) or later; unknown prices are 0."""
        ...

    async def put_blob(self, data: bytes | memoryview) -> str:
        """Keep ``data`` once, compressed; returns its SHA-256 (hex)."""
        ...

    async def get_blob(self, digest: str) -> bytes:
        """The bytes of ``digest``, verified."""
        ...

    def claim(self, run_id: str) -> AbstractAsyncContextManager[None]:
        """Held while a process works on a run; released by the system when that process dies. Raises UsageError when
        another process holds it."""
        ...

    async def aclose(self) -> None:
        """Flush and close."""
        ...
