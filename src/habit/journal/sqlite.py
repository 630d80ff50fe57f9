"""The journal in an SQLite file that many processes share; docs/journal.md describes the format."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from habit.errors import JournalError
from habit.journal import rows
from habit.journal.blobs import BlobFolder
from habit.journal.database import home_of, open_reader, open_writer
from habit.journal.locks import RunLocks
from habit.journal.naming import choose_run
from habit.journal.records import CallRecord, CellRecord, RememberedReply, RunRecord, RunStatus
from habit.journal.worker import Worker

DEFAULT_PATH = Path(".habit/journal.db")


class SqliteStore:
    """A ``Store`` in files: the database, and beside it blobs and locks. Made by ``open``, in the loop that uses it.

    Durable means: it survives the death of this process at any moment. After a power cut the last commits may be
    missing, but the journal is valid (``synchronous=NORMAL``).
    """

    def __init__(self, path: Path, writer: Worker, reader: Worker) -> None:
        self.path = path
        self._writer = writer
        self._reader = reader
        self._blobs = BlobFolder(home_of(path) / "blobs")
        self._locks = RunLocks(home_of(path) / "locks")
        self._closed = False

    @classmethod
    async def open(cls, path: Path | str = DEFAULT_PATH) -> SqliteStore:
        """Open the journal, or create it with its folder.

        Raises UsageError for a journal of a newer format, JournalError for a file or folder that cannot be used.
        """
        absolute = _absolute(path)
        writer = Worker(absolute, open_writer, begin="BEGIN IMMEDIATE")
        await writer.start()
        reader = Worker(absolute, open_reader, begin="BEGIN")
        try:
            await reader.start()
        except BaseException:
            await writer.aclose()
            raise
        return cls(absolute, writer, reader)

    async def add_run(self, run: RunRecord) -> None:
        """Open a run. Claim it first: an unclaimed run that has not ended counts as interrupted."""
        await self._writer.run(lambda db: rows.insert_run(db, run))

    async def end_run(self, run_id: str, status: RunStatus, result: Mapping[str, Any]) -> None:
        """Write how a run ended."""
        await self._writer.run(lambda db: rows.update_run(db, run_id, status, result))

    async def add_cell(self, cell: CellRecord) -> None:
        """Add a cell, or replace it."""
        await self._writer.run(lambda db: rows.insert_cell(db, cell))

    async def add_call(self, call: CallRecord, *, instead_of: int | None = None) -> None:
        """Add a call, or replace a failed one. It is written even when the caller is cancelled while it waits."""
        await self._writer.run(lambda db: rows.insert_call(db, call, instead_of))

    async def remember(self, key: str, occurrence: int, *, role: str) -> RememberedReply | None:
        """A reply of any earlier run to the same call."""
        return await self._reader.run(lambda db: rows.select_reply(db, key, occurrence, role))

    async def runs(self, limit: int = 50) -> list[RunRecord]:
        """Runs, newest first."""
        return await self._reader.run(lambda db: rows.select_runs(db, limit, self._locks.is_free))

    async def run(self, ref: str) -> RunRecord:
        """The run named by an id, a unique prefix, or ``last``."""

        def find(db: sqlite3.Connection) -> RunRecord:
            run_id = choose_run(ref, rows.select_run_ids(db), lambda: rows.select_last_asked(db))
            return rows.select_run(db, run_id, self._locks.is_free)

        return await self._reader.run(find)

    async def cells(self, run_id: str) -> list[CellRecord]:
        """Cells in the order they started."""
        return await self._reader.run(lambda db: rows.select_cells(db, run_id))

    async def calls(self, run_id: str) -> list[CallRecord]:
        """Calls in the order they were recorded."""
        return await self._reader.run(lambda db: rows.select_calls(db, run_id))

    async def spent_since(self, moment: float) -> float:
        """USD of the live calls, of any run, that began at ``moment`` (Unix seconds) or later."""
        return await self._reader.run(lambda db: rows.sum_usd(db, moment))

    async def put_blob(self, data: bytes | memoryview) -> str:
        """Keep ``data`` once, compressed; returns its SHA-256 (hex)."""
        self._check_open()
        return await anyio.to_thread.run_sync(self._blobs.put, data)

    async def get_blob(self, digest: str) -> bytes:
        """The bytes of ``digest``, verified."""
        self._check_open()
        return await anyio.to_thread.run_sync(self._blobs.get, digest)

    @asynccontextmanager
    async def claim(self, run_id: str) -> AsyncIterator[None]:
        """Held while this process works on a run."""
        lock = await self._locks.acquire(run_id)
        try:
            yield
        finally:
            lock.release()

    async def aclose(self) -> None:
        """Write what is still asked for, then close. May be called again."""
        self._closed = True
        await self._reader.aclose()
        await self._writer.aclose()  # last, so that it leaves one file without a write-ahead log

    def _check_open(self) -> None:
        if self._closed:
            raise JournalError("the journal is closed: open it again to use it")


def _absolute(path: Path | str) -> Path:
    """``path`` from the root: the working directory may change while the journal is open."""
    return Path(path).absolute()
