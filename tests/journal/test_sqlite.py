"""What only the store in SQLite does: files, threads, transactions, and everything that can go wrong with them."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import aclosing, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import anyio
import pytest
from journal_samples import CALL, CELL, RUN, a_call, a_run

from habit.errors import JournalError, UsageError
from habit.journal import schema
from habit.journal.sqlite import SqliteStore

DOCS = Path(__file__).parents[2] / "docs" / "journal.md"


class WatchedConnection(sqlite3.Connection):
    """Lets a test see every statement, hold commits back, and set a quota on the writer."""

    statements: ClassVar[list[str]] = []
    gate: ClassVar[threading.Event] = threading.Event()
    at_gate: ClassVar[threading.Event] = threading.Event()
    most_pages: ClassVar[int | None] = None
    failures: ClassVar[dict[str, int]] = {}
    failure_code: ClassVar[int] = sqlite3.SQLITE_IOERR

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql == "BEGIN IMMEDIATE" and self.most_pages is not None:
            super().execute(f"PRAGMA max_page_count={self.most_pages}")
        self.statements.append(sql)
        if sql == "COMMIT":
            self.at_gate.set()
            self.gate.wait()
        if self.failures.get(sql, 0) > 0:
            self.failures[sql] -= 1
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = self.failure_code
            raise error
        return super().execute(sql, *parameters)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> type[WatchedConnection]:
    real_connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **kw: real_connect(*args, factory=WatchedConnection, **kw))
    monkeypatch.setattr(WatchedConnection, "statements", [])
    monkeypatch.setattr(WatchedConnection, "failures", {})
    monkeypatch.setattr(WatchedConnection, "gate", threading.Event())
    monkeypatch.setattr(WatchedConnection, "at_gate", threading.Event())
    WatchedConnection.gate.set()
    return WatchedConnection


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 1 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def read_only_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:  # root may write to any folder, but not to a read-only file system
        folder = tmp_path / "read-only"
        folder.mkdir(mode=0o555)
        yield folder
        return
    folder = request.getfixturevalue("small_disk")
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    yield folder


# Files


async def test_a_new_journal_makes_its_folder_and_keeps_it_out_of_git(journal_path: Path) -> None:
    async with aclosing(await SqliteStore.open(journal_path)) as store:
        assert (journal_path.parent / ".gitignore").read_text() == "*\n"
        digest = await store.put_blob(b"context")
        async with store.claim("r1"):
            assert (journal_path.parent / "locks" / "r1.lock").exists()
    home = journal_path.parent
    assert sorted(str(p.relative_to(home)) for p in home.rglob("*") if p.is_file()) == [
        ".gitignore",
        f"blobs/{digest[:2]}/{digest}.zst",
        "journal.db",
    ]


async def test_the_default_path_is_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = await SqliteStore.open()
    monkeypatch.chdir("/")
    assert store.path == tmp_path / ".habit" / "journal.db"
    await store.put_blob(b"x")
    await store.aclose()
    assert (tmp_path / ".habit" / "blobs").is_dir()


async def test_a_folder_that_was_there_keeps_its_gitignore(journal_path: Path) -> None:
    journal_path.parent.mkdir()
    await (await SqliteStore.open(journal_path)).aclose()
    assert not (journal_path.parent / ".gitignore").exists()


async def test_a_journal_elsewhere_has_a_folder_of_its_own_beside_it(tmp_path: Path) -> None:
    async with aclosing(await SqliteStore.open(tmp_path / "deep" / "my.db")) as store:
        await store.put_blob(b"context")
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == ["my.db", "my.db.d"]
    assert (tmp_path / "deep" / "my.db.d" / ".gitignore").read_text() == "*\n"


async def test_everything_is_there_when_opened_again(journal_path: Path) -> None:
    async with aclosing(await SqliteStore.open(journal_path)) as store:
        await store.add_run(replace(RUN, status="failed"))
        await store.add_cell(CELL)
        await store.add_call(CALL)
        digest = await store.put_blob(b"context")
    async with aclosing(await SqliteStore.open(journal_path)) as store:
        assert await store.run("last") == replace(RUN, status="failed")
        assert await store.cells(RUN.id) == [CELL]
        assert await store.calls(RUN.id) == [CALL]
        assert await store.get_blob(digest) == b"context"


# The format


async def test_the_format_is_marked(sqlite_store: SqliteStore) -> None:
    with closing(sqlite3.connect(sqlite_store.path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (schema.FORMAT,)
        assert db.execute("PRAGMA application_id").fetchone() == (schema.APPLICATION_ID,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        facts = dict(db.execute("SELECT name, value FROM meta"))
    assert facts["format"] == str(schema.FORMAT)
    assert facts["created_by"].startswith("habit ")
    assert float(facts["created"]) > 1e9


async def test_the_document_lists_every_table_and_column(sqlite_store: SqliteStore) -> None:
    text = DOCS.read_text()
    assert f"format {schema.FORMAT}" in text
    with closing(sqlite3.connect(sqlite_store.path)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert sorted(tables) == ["calls", "cells", "messages", "meta", "runs"]
        for table in tables:
            _, _, section = text.partition(f"### `{table}`\n")
            section = section.partition("\n#")[0]
            documented = [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]
            assert documented == [row[1] for row in db.execute(f"PRAGMA table_info({table})")], table


async def test_a_newer_format_is_refused_and_left_alone(journal_path: Path) -> None:
    await (await SqliteStore.open(journal_path)).aclose()
    with closing(sqlite3.connect(journal_path)) as db:
        db.execute(f"PRAGMA user_version={schema.FORMAT + 1}")
    before = journal_path.read_bytes()
    with pytest.raises(UsageError, match="upgrade Habit, or use another file with --journal FILE"):
        await SqliteStore.open(journal_path)
    assert journal_path.read_bytes() == before


@pytest.mark.parametrize("content", [b"hello", b"\0" * 5000, bytes(range(100)), b"SQLite format 3\0" + b"\xff" * 5000])
async def test_a_file_that_is_no_database_is_refused_and_left_alone(journal_path: Path, content: bytes) -> None:
    journal_path.parent.mkdir()
    journal_path.write_bytes(content)
    with pytest.raises(JournalError, match="--no-journal"):
        await SqliteStore.open(journal_path)
    assert journal_path.read_bytes() == content


@pytest.mark.parametrize("version", [0, 1, 99])
async def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path, version: int) -> None:
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE theirs (x)")
        db.execute(f"PRAGMA user_version={version}")
    before = path.read_bytes()
    with pytest.raises(JournalError, match="another program"):
        await SqliteStore.open(path)
    assert path.read_bytes() == before


async def test_an_empty_file_becomes_a_journal(journal_path: Path) -> None:
    journal_path.parent.mkdir()
    journal_path.touch()
    async with aclosing(await SqliteStore.open(journal_path)) as store:
        await store.add_run(RUN)


async def test_a_damaged_page_is_an_error_that_says_what_to_do(journal_path: Path) -> None:
    async with aclosing(await SqliteStore.open(journal_path)) as store:
        await store.add_run(RUN)
        async with anyio.create_task_group() as tasks:
            for number in range(500):
                tasks.start_soon(store.add_call, a_call(number))
    content = bytearray(journal_path.read_bytes())
    content[4096 * 3 :] = b"\xff" * (len(content) - 4096 * 3)
    journal_path.write_bytes(content)
    with pytest.raises(JournalError, match=r"damaged.*move it away.*--no-journal"):
        async with aclosing(await SqliteStore.open(journal_path)) as store:
            await store.calls(RUN.id)


# Disks and folders


async def test_a_read_only_folder_is_an_error_that_names_the_way_on(read_only_folder: Path) -> None:
    with pytest.raises(JournalError, match="--journal FILE, or run with --no-journal"):
        await SqliteStore.open(read_only_folder / ".habit" / "journal.db")


async def test_a_journal_that_became_read_only_is_an_error_that_names_the_way_on(small_disk: Path) -> None:
    path = small_disk / ".habit" / "journal.db"
    await (await SqliteStore.open(path)).aclose()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(JournalError, match="--no-journal"):
        async with aclosing(await SqliteStore.open(path)) as store:
            await store.add_run(RUN)


@pytest.mark.parametrize("in_the_way", [".habit", ".habit/journal.db/"])
async def test_something_in_the_way_is_an_error_that_names_the_way_on(tmp_path: Path, in_the_way: str) -> None:
    if in_the_way.endswith("/"):
        (tmp_path / in_the_way).mkdir(parents=True)
    else:
        (tmp_path / in_the_way).touch()
    with pytest.raises(JournalError, match="--no-journal"):
        await SqliteStore.open(tmp_path / ".habit" / "journal.db")


async def test_a_full_database_fails_what_does_not_fit_and_recovers(
    watched: type[WatchedConnection], sqlite_store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sqlite_store.add_run(RUN)
    noise = random.Random(0)
    monkeypatch.setattr(watched, "most_pages", 60)
    added: list[int] = []
    refused: dict[int, str] = {}

    async def add(number: int) -> None:
        reply = "".join(chr(noise.randrange(33, 0x2000)) for _ in range(3000))
        try:
            await sqlite_store.add_call(a_call(number, reply=reply, occurrence=number))
        except JournalError as error:
            refused[number] = str(error)
        else:
            added.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(60):
            tasks.start_soon(add, number)
    assert added
    assert refused
    assert all("the disk is full" in message and "--no-journal" in message for message in refused.values())
    assert {call.occurrence for call in await sqlite_store.calls(RUN.id)} == set(added)
    monkeypatch.setattr(watched, "most_pages", 1_000_000)
    await sqlite_store.add_call(a_call("after space was made"))


async def test_a_full_disk_is_an_error_that_names_the_way_on(small_disk: Path) -> None:
    noise = random.Random(0)
    async with aclosing(await SqliteStore.open(small_disk / ".habit" / "journal.db")) as store:
        with pytest.raises(JournalError, match=r"disk is full.*--no-journal"):
            await store.put_blob(noise.randbytes(2_000_000))
        assert [p for p in small_disk.rglob("*") if p.suffix in {".zst", ".tmp"}] == []
        await store.add_run(RUN)

        async def fill() -> None:
            for number in range(1000):
                await store.add_call(a_call(number, reply=noise.randbytes(4000).hex()))

        with pytest.raises(JournalError, match=r"disk is full.*--no-journal"):
            await fill()
        calls = await store.calls(RUN.id)
    async with aclosing(await SqliteStore.open(small_disk / ".habit" / "journal.db")) as store:
        assert await store.calls(RUN.id) == calls
        assert calls


# Threads and transactions


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


# Size and secrets


def bytes_in(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


async def test_a_run_on_10_mb_adds_little_to_the_journal(journal_path: Path) -> None:
    noise = random.Random(0)
    context = "\n".join(f"{noise.random()} user={noise.randrange(10**6)}" for _ in range(330_000)).encode()[:10_000_000]
    assert len(context) == 10_000_000
    async with aclosing(await SqliteStore.open(journal_path)) as store:
        digest = await store.put_blob(context)
        await store.add_run(replace(RUN, context={**RUN.context, "bytes": len(context), "blob": digest}))
        system = "You are given a question. " * 200
        for index in [1, 2]:
            stdout = "".join(chr(noise.randrange(32, 0x3000)) for _ in range(1_000_000))  # as much as a cell may print
            await store.add_cell(replace(CELL, index=index, stdout=stdout, code="x = 1\n" * 500))
            root = (("system", system), *[("user", stdout[:8000])] * index)
            await store.add_call(a_call(index, role="root", prompt=root, reply="```python\nprint(1)\n```"))
        for number in range(20):
            leaf = (("system", system), ("user", context[number * 50_000 :][:50_000].decode()))
            await store.add_call(a_call(number + 10, prompt=leaf))
        while_open = bytes_in(journal_path.parent)
    blob = journal_path.parent / "blobs" / digest[:2] / f"{digest}.zst"
    assert blob.stat().st_size < len(context) / 2
    assert while_open - blob.stat().st_size <= 1_000_000
    assert bytes_in(journal_path.parent) - blob.stat().st_size <= 1_000_000


async def test_a_context_made_of_files_is_not_copied(sqlite_store: SqliteStore) -> None:
    files = [[f"src/file_{number}.py", f"{number:064x}"] for number in range(1000)]
    before = bytes_in(sqlite_store.path.parent)
    await sqlite_store.add_run(replace(RUN, context={**RUN.context, "files": files}, status="failed"))
    assert bytes_in(sqlite_store.path.parent) - before < 150_000
    assert (await sqlite_store.run("last")).context["files"] == files
    assert not (sqlite_store.path.parent / "blobs").exists()


async def test_a_shared_message_is_kept_once(sqlite_store: SqliteStore) -> None:
    await sqlite_store.add_run(RUN)
    for number in range(10):
        prompt = (("system", "the same"), ("user", f"{number}"), ("user", "x" * 5000), ("assistant", "the same"))
        await sqlite_store.add_call(a_call(number, prompt=prompt))
    with closing(sqlite3.connect(sqlite_store.path)) as db:
        assert db.execute("SELECT count(*) FROM messages").fetchone() == (12,)
        assert db.execute("SELECT max(characters) FROM messages").fetchone() == (5000,)
        assert json.loads(db.execute("SELECT prompt FROM calls LIMIT 1").fetchone()[0])[0] == ["system", 1]


async def test_keys_in_the_environment_do_not_reach_the_files(
    journal_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "sk-0123456789abcdef-secret"
    for name in ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY"]:
        monkeypatch.setenv(name, secret)
    async with aclosing(await SqliteStore.open(journal_path)) as store, store.claim(RUN.id):
        await store.add_run(RUN)
        await store.add_cell(CELL)
        await store.add_call(CALL)
        await store.put_blob(b"context")
        await store.end_run(RUN.id, "failed", {})
        content = b"".join(p.read_bytes() for p in journal_path.parent.rglob("*") if p.is_file())
    content += b"".join(p.read_bytes() for p in journal_path.parent.rglob("*") if p.is_file())
    assert b"Is it red?" in content
    assert secret.encode() not in content
