"""What the journal's files hold: little beyond the context, and never a secret."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import aclosing, closing
from dataclasses import replace
from pathlib import Path

import pytest
from journal_samples import CALL, CELL, RUN, a_call

from habit.journal.sqlite import SqliteStore


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
