"""The threads of the store in SQLite: who waits for whom, and what a failure or a cancellation harms."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import aclosing, closing
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from journal_faults import WatchedConnection
from journal_samples import CALL, RUN, a_call, a_run

from habit.errors import JournalError
from habit.journal.sqlite import SqliteStore


async def test_callers_that_wait_together_share_one_transaction(
    watched: type[WatchedConnection], sqlite_store: SqliteStore
) -> None:
    await sqlite_store.add_run(RUN)
    watched.statements.clear()
    watched.at_gate.clear()
    watched.gate.clear()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sqlite_store.add_call, a_call("first"))
        await anyio.to_thread.run_sync(watched.at_gate.wait)  # the loop runs while the writer is held up
        for number in range(100):
            tasks.start_soon(sqlite_store.add_call, a_call(number))
        await anyio.wait_all_tasks_blocked()
        watched.gate.set()
    assert watched.statements.count("COMMIT") == 2
    assert len(await sqlite_store.calls(RUN.id)) == 101


@pytest.mark.parametrize("failing", ["BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"])
async def test_a_transaction_that_fails_is_an_error_and_never_a_hang(
    watched: type[WatchedConnection], sqlite_store: SqliteStore, failing: str
) -> None:
    await sqlite_store.add_run(RUN)
    watched.failures.update({failing: 1, "COMMIT": 1})
    with pytest.raises(JournalError, match="--no-journal"):
        await sqlite_store.add_call(CALL)
    watched.failures.clear()
    if failing == "ROLLBACK":  # the transaction is stuck, as on a dying disk
        with pytest.raises(JournalError, match="--no-journal"):
            await sqlite_store.add_call(CALL)
    else:
        await sqlite_store.add_call(CALL)
        assert await sqlite_store.calls(RUN.id) == [CALL]


async def test_a_reply_is_not_acknowledged_before_it_is_committed(
    watched: type[WatchedConnection], sqlite_store: SqliteStore
) -> None:
    await sqlite_store.add_run(RUN)
    watched.at_gate.clear()
    watched.gate.clear()
    acknowledged = anyio.Event()

    async def add() -> None:
        await sqlite_store.add_call(CALL)
        acknowledged.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(add)
        await anyio.to_thread.run_sync(watched.at_gate.wait)
        await anyio.wait_all_tasks_blocked()
        assert not acknowledged.is_set()
        watched.gate.set()
    assert acknowledged.is_set()


async def test_a_cancelled_caller_leaves_its_record_and_everybody_elses(
    watched: type[WatchedConnection], sqlite_store: SqliteStore
) -> None:
    await sqlite_store.add_run(RUN)
    watched.at_gate.clear()
    watched.gate.clear()
    async with anyio.create_task_group() as others:
        others.start_soon(sqlite_store.add_call, a_call("first"))
        await anyio.to_thread.run_sync(watched.at_gate.wait)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(sqlite_store.add_call, a_call("cancelled"))
                others.start_soon(sqlite_store.add_call, a_call("not cancelled"))
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
        watched.gate.set()
    names = [call.key for call in await sqlite_store.calls(RUN.id)]
    assert sorted(names) == sorted(a_call(name).key for name in ["first", "cancelled", "not cancelled"])


async def test_closing_writes_what_was_asked_for_even_when_cancelled(
    watched: type[WatchedConnection], journal_path: Path
) -> None:
    store = await SqliteStore.open(journal_path)
    await store.add_run(replace(RUN, status="failed"))
    watched.at_gate.clear()
    watched.gate.clear()
    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(store.add_call, a_call(number))
        await anyio.to_thread.run_sync(watched.at_gate.wait)
        for number in range(20, 30):
            tasks.start_soon(store.add_call, a_call(number))
        await anyio.wait_all_tasks_blocked()
        with anyio.CancelScope() as scope:
            tasks.start_soon(store.aclose)
            await anyio.wait_all_tasks_blocked()  # so that the end waits in the same batch as the last calls
            scope.cancel()
            watched.gate.set()
            await store.aclose()
    assert [thread.name for thread in threading.enumerate()].count("habit-journal") == 0
    assert sorted(p.name for p in journal_path.parent.iterdir()) == [".gitignore", "journal.db"]
    async with aclosing(await SqliteStore.open(journal_path)) as again:
        assert len(await again.calls(RUN.id)) == 30


async def test_a_journal_that_cannot_be_opened_leaves_no_thread(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello")
    with pytest.raises(JournalError):
        await SqliteStore.open(tmp_path / "file")
    assert [thread.name for thread in threading.enumerate()].count("habit-journal") == 0


async def test_opening_that_is_cancelled_leaves_no_thread(watched: type[WatchedConnection], journal_path: Path) -> None:
    watched.gate.clear()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(SqliteStore.open, journal_path)
        await anyio.to_thread.run_sync(watched.at_gate.wait)
        tasks.cancel_scope.cancel()
        watched.gate.set()
    assert [thread.name for thread in threading.enumerate()].count("habit-journal") == 0
    await (await SqliteStore.open(journal_path)).aclose()


async def test_opening_waits_while_another_process_is_in_the_way(
    watched: type[WatchedConnection], journal_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched, "failure_code", sqlite3.SQLITE_BUSY)
    watched.failures["PRAGMA journal_mode=WAL"] = 3  # which reports this at once, whatever the time-out
    async with aclosing(await SqliteStore.open(journal_path)) as store:
        await store.add_run(RUN)
    assert watched.failures["PRAGMA journal_mode=WAL"] == 0


async def test_commits_do_not_wait_for_the_disk_and_readers_cannot_write(
    watched: type[WatchedConnection], journal_path: Path
) -> None:
    for _ in range(2):  # made, then found
        watched.statements.clear()
        await (await SqliteStore.open(journal_path)).aclose()
        assert watched.statements.count("PRAGMA synchronous=NORMAL") == 1
        assert watched.statements.count("PRAGMA query_only=ON") == 1


async def test_a_value_that_sqlite_cannot_hold_fails_alone(sqlite_store: SqliteStore) -> None:
    await sqlite_store.add_run(RUN)
    with pytest.raises(JournalError, match="cannot hold this record"):
        await sqlite_store.add_call(replace(CALL, input_tokens=1 << 70))
    with pytest.raises(JournalError, match="cannot hold this record"):
        await sqlite_store.add_run(a_run("r2", settings={"a set": {1}}))
    await sqlite_store.add_call(CALL)
    assert await sqlite_store.calls(RUN.id) == [CALL]


async def test_lookups_use_an_index(watched: type[WatchedConnection], sqlite_store: SqliteStore) -> None:
    await sqlite_store.add_run(RUN)
    watched.statements.clear()
    await sqlite_store.add_call(CALL)
    for role in ["root", "leaf"]:
        await sqlite_store.remember(CALL.key, 0, role=role)
    await sqlite_store.calls(RUN.id)
    await sqlite_store.runs()
    with closing(sqlite3.connect(sqlite_store.path)) as db:
        for statement in set(watched.statements):
            if statement.startswith(("SELECT", "DELETE")):
                plan = " / ".join(
                    row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}", ["x"] * statement.count("?"))
                )
                scans = [step for step in plan.split(" / ") if step.startswith("SCAN") and "INDEX" not in step]
                assert not scans, f"{statement}: {plan}"
                assert "TEMP B-TREE" not in plan, f"{statement}: {plan}"
                if "key = ?" in statement and statement.startswith("SELECT"):
                    assert "calls USING INDEX sqlite_autoindex_calls_1 (key=? AND occurrence=?)" in plan
