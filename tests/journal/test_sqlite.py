"""The files of the store in SQLite: where they are, their format, and disks and folders that fail."""

from __future__ import annotations

import random
import sqlite3
import subprocess
from contextlib import aclosing, closing
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from journal_faults import WatchedConnection
from journal_samples import CALL, CELL, RUN, a_call

from habit.errors import JournalError, UsageError
from habit.journal import schema
from habit.journal.records import CellRecord, RunRecord
from habit.journal.rows import sum_usd
from habit.journal.sqlite import SqliteStore

DOCS = Path(__file__).parents[2] / "docs" / "journal.md"


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


async def test_an_older_journal_is_brought_up_to_date_with_everything_in_it(journal_path: Path) -> None:
    store = await SqliteStore.open(journal_path)
    await store.add_run(RunRecord("r", "q", 1.0, {}, {}))
    await store.add_cell(CellRecord("r", "0", 1, "x = 1", "ok", "", 0, "", 0.1, 2.0))
    await store.aclose()
    with closing(sqlite3.connect(journal_path)) as db:
        db.execute("ALTER TABLE cells DROP COLUMN folded")
        db.execute("ALTER TABLE calls DROP COLUMN cache_read_tokens")
        db.execute("ALTER TABLE calls DROP COLUMN waited")
        db.execute("ALTER TABLE calls DROP COLUMN ahead")
        db.execute("UPDATE meta SET value = '1' WHERE name = 'format'")
        db.execute("PRAGMA user_version=1")
        db.commit()
    store = await SqliteStore.open(journal_path)
    await store.add_cell(CellRecord("r", "0", 2, "y = 2", "ok", "", 0, "", 0.1, 3.0, folded=1))
    assert [(cell.code, cell.folded) for cell in await store.cells("r")] == [("x = 1", 0), ("y = 2", 1)]
    await store.aclose()
    with closing(sqlite3.connect(journal_path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (schema.FORMAT,)
        assert db.execute("SELECT value FROM meta WHERE name = 'format'").fetchone() == (str(schema.FORMAT),)


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


async def test_what_was_spent_is_read_from_an_index_alone(journal_path: Path) -> None:
    async with aclosing(await SqliteStore.open(journal_path)) as store:
        await store.add_run(RUN)
        await store.add_call(a_call(usd=0.5))
    with closing(sqlite3.connect(journal_path)) as db:
        asked: list[str] = []
        db.set_trace_callback(asked.append)
        assert sum_usd(db, 0.0) == 0.5
        plan = db.execute(f"EXPLAIN QUERY PLAN {asked[0]}").fetchall()
    assert "USING COVERING INDEX calls_by_cost" in plan[0][-1]


async def test_a_journal_without_that_index_gives_the_same_sum(journal_path: Path) -> None:
    async with aclosing(await SqliteStore.open(journal_path)) as store:
        await store.add_run(RUN)
        await store.add_call(a_call(usd=0.5))
    with closing(sqlite3.connect(journal_path)) as db:
        db.execute("DROP INDEX calls_by_cost")
        db.commit()
    async with aclosing(await SqliteStore.open(journal_path)) as store:
        assert await store.spent_since(0.0) == 0.5
