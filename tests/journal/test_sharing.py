"""Several real processes on one journal, and processes killed while they write."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import anyio.to_thread
import pytest

from habit.errors import UsageError
from habit.journal.sqlite import SqliteStore

PROGRAM = Path(__file__).with_name("journal_process.py")


@contextmanager
def writer_process(journal: Path, run_id: str, calls: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(PROGRAM), str(journal), run_id, str(calls)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", process.stderr.read() if process.stderr else ""
            yield process
        finally:
            process.kill()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def lines(process: subprocess.Popen[str], count: int) -> list[int]:
    assert process.stdout is not None
    return [int(process.stdout.readline()) for _ in range(count)]


def integrity(journal: Path) -> str:
    with closing(sqlite3.connect(journal)) as db:
        answer: str = db.execute("PRAGMA integrity_check").fetchone()[0]
    return answer


async def test_processes_that_create_and_fill_one_journal_at_once(journal_path: Path) -> None:
    with ExitStack() as stack:
        names = ["r1", "r2", "r3", "r4"]
        processes = [stack.enter_context(writer_process(journal_path, name, 200)) for name in names]
        for process in processes:
            go(process)
        for process in processes:
            out, err = await anyio.to_thread.run_sync(process.communicate)
            assert process.returncode == 0, err
            assert len(out.splitlines()) == 200
    assert integrity(journal_path) == "ok"
    store = await SqliteStore.open(journal_path)
    for name in names:
        run = await store.run(name)
        assert (run.status, run.result) == ("answered", {"answer": 200})
        assert {call.reply for call in await store.calls(name)} == {f"{name} {number}" for number in range(200)}
    await store.aclose()


@pytest.mark.parametrize("acknowledged", [1, 2, 37, 150, 401])
async def test_a_killed_writer_leaves_every_acknowledged_record(journal_path: Path, acknowledged: int) -> None:
    with writer_process(journal_path, "r1", 100_000) as process:
        go(process)
        numbers = await anyio.to_thread.run_sync(lines, process, acknowledged)
        process.kill()
        rest, _ = await anyio.to_thread.run_sync(process.communicate)
    whole_lines = rest[: rest.rfind("\n") + 1].split()
    printed = {*numbers, *map(int, whole_lines)}
    assert integrity(journal_path) == "ok"
    store = await SqliteStore.open(journal_path)
    calls = await store.calls("r1")
    assert {call.reply for call in calls} >= {f"r1 {number}" for number in printed}
    assert all(call.prompt[1][1].startswith("item ") for call in calls)
    assert (await store.run("r1")).status == "interrupted"
    async with store.claim("r1"):
        assert (await store.run("r1")).status == "running"
    await store.aclose()


async def test_a_run_of_another_process_is_running_and_cannot_be_claimed_until_it_is_killed(journal_path: Path) -> None:
    with writer_process(journal_path, "r1", 100_000) as process:
        go(process)
        await anyio.to_thread.run_sync(lines, process, 5)
        store = await SqliteStore.open(journal_path)
        assert (await store.run("last")).status == "running"
        with pytest.raises(UsageError, match="run r1 is being worked on by another process"):
            async with store.claim("r1"):
                pytest.fail("claimed twice")
        process.kill()
        await anyio.to_thread.run_sync(process.communicate)
        async with store.claim("r1"):
            pass
        assert (await store.run("last")).status == "interrupted"
        await store.aclose()
