"""A thread that owns one SQLite connection, so that the event loop never waits for a disk or a lock."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import anyio

from habit.errors import JournalError
from habit.journal.faults import explain

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]

BATCH = 512
"""How many jobs one transaction holds at most."""


@dataclass(frozen=True)
class _Request:
    job: Job[Any]
    future: asyncio.Future[Any]


@dataclass(frozen=True)
class _Outcome:
    future: asyncio.Future[Any]
    value: Any = None
    error: Exception | None = None


class Worker:
    """Runs jobs one after another; all that wait at the same time share one transaction (group commit).

    A job is a function of the connection and may run twice: when anything in a batch fails, the batch is rolled back
    and each of its jobs runs again in a transaction of its own, so that only the one at fault fails.
    A caller that is cancelled only stops waiting: its job still runs.
    """

    def __init__(self, path: Path, connect: Callable[[Path], sqlite3.Connection], *, begin: str) -> None:
        """``begin`` is the statement that opens a transaction: ``BEGIN IMMEDIATE`` to write, ``BEGIN`` to read."""
        self._path = path
        self._connect = connect
        self._begin = begin
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[_Request | None] = SimpleQueue()
        self._closed = False
        self._ended = anyio.Event()

    async def start(self) -> None:
        """Open the connection in the worker's thread. Raises what opening raised."""
        opened: asyncio.Future[None] = self._loop.create_future()
        # A daemon: a program that forgets to close must still end, and a transaction cut short is rolled back.
        self._thread = threading.Thread(target=self._work, args=(opened,), name="habit-journal", daemon=True)
        self._thread.start()
        try:
            await opened
        except BaseException:
            await self.aclose()
            raise

    async def run(self, job: Job[T]) -> T:
        """What ``job`` returned, after its transaction was committed. Raises JournalError."""
        if self._closed:
            raise JournalError("the journal is closed: open it again to use it")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Request(job, future))
        return await future

    async def aclose(self) -> None:
        """Finish every job that was asked for, then close the connection; cancellation waits. May be called again."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        with anyio.CancelScope(shield=True):
            await self._ended.wait()
        self._thread.join()  # at its last line already

    def _work(self, opened: asyncio.Future[None]) -> None:
        try:
            connection = self._connect(self._path)
        except Exception as error:  # noqa: BLE001 - raised again by the waiting start()
            self._deliver([_Outcome(opened, error=error)])
        else:
            self._deliver([_Outcome(opened)])
            while requests := self._next_batch():
                self._deliver(self._commit(connection, requests))
            connection.close()
        self._on_loop(self._ended.set)

    def _next_batch(self) -> list[_Request]:
        """Everything that waits, at least one; empty when the worker was closed."""
        first = self._queue.get()
        if first is None:
            return []
        batch = [first]
        while len(batch) < BATCH:
            try:
                request = self._queue.get_nowait()
            except Empty:
                break
            if request is None:
                self._queue.put(None)  # the end: see it again after this batch
                break
            batch.append(request)
        return batch

    def _commit(self, connection: sqlite3.Connection, requests: list[_Request]) -> list[_Outcome]:
        try:
            connection.execute(self._begin)
        except sqlite3.Error as error:  # locked or unusable: as true for one job as for all
            return [self._failed(request, error) for request in requests]
        try:
            outcomes = [_Outcome(request.future, request.job(connection)) for request in requests]
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - given to the caller at fault
            _roll_back(connection)
            if len(requests) == 1:
                return [self._failed(requests[0], error)]
            return [outcome for request in requests for outcome in self._commit(connection, [request])]
        return outcomes

    def _failed(self, request: _Request, error: Exception) -> _Outcome:
        explained = explain(error, self._path)
        explained.__cause__ = error if explained is not error else None
        return _Outcome(request.future, error=explained)

    def _deliver(self, outcomes: list[_Outcome]) -> None:
        self._on_loop(_settle, outcomes)

    def _on_loop(self, function: Callable[..., object], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop is closed, and whoever waited went with it
            return


def _roll_back(connection: sqlite3.Connection) -> None:
    if not connection.in_transaction:  # a full disk ends the transaction by itself
        return
    try:
        connection.execute("ROLLBACK")
    except sqlite3.Error:  # then the connection is beyond use, and the next BEGIN says so to its callers
        return


def _settle(outcomes: list[_Outcome]) -> None:
    for outcome in outcomes:
        if outcome.future.done():  # cancelled while it waited
            continue
        if outcome.error is not None:
            outcome.future.set_exception(outcome.error)
        else:
            outcome.future.set_result(outcome.value)
