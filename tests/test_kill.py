"""kill -9 at any point of a run, then resume: the right answer, and no completed call is made twice."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from support.mock_server import MockServer, Request
from support.scripted import block

CALLS = """
singles = [recursive_llm("Which number is this?", f"number {n}", returns=int) for n in range(40)]
batch = recursive_llm_map("Which number is this?", [f"number {n}" for n in range(40, 100)], returns=int)
print(len(singles), len(batch))
"""
TOTAL = 102


def reply(request: Request) -> str:
    if "<text>" not in request.prompt:
        return block(CALLS) if len(request.messages) == 2 else block("answer(sum(singles) + sum(batch))")
    return request.prompt.split("<text>\nnumber ")[1].split()[0]


def habit(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "habit.cli", *arguments, "--journal", str(folder / "journal.db"), "--json"]


def recorded(folder: Path) -> int:
    """How many calls the journal holds by now."""
    if not (folder / "journal.db").exists():
        return 0
    with sqlite3.connect(f"file:{folder / 'journal.db'}?mode=ro", uri=True, timeout=30) as db:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
        return int(db.execute("SELECT count(*) FROM calls").fetchone()[0]) if "calls" in tables else 0


@pytest.mark.parametrize("point", [0, 1, 2, 17, 40, 41, 42, 77, 100, 101])
async def test_killed_and_resumed(point: int, tmp_path: Path) -> None:
    (tmp_path / "input.txt").write_text("some input\n" * 1000)
    environment = {**os.environ, "HABIT_API_KEY": "none"}
    async with MockServer(reply) as server:
        server.hold()
        ask = habit(tmp_path, "ask", "What is the sum?", str(tmp_path / "input.txt"), "--returns", "int")
        process = await anyio.open_process(
            [*ask, "--model", "m", "--base-url", server.url], env=environment, stdout=subprocess.PIPE, cwd=tmp_path
        )
        server.let_through(point)
        with anyio.fail_after(60):
            await server.arrived(point + 1)  # the call that is under way when the process dies
            while await anyio.to_thread.run_sync(recorded, tmp_path) < point:
                pass
        process.send_signal(signal.SIGKILL)
        await process.wait()
        completed = {request.prompt for request in server.completed}
        before = len(server.requests)

        server.let_through()
        command = habit(tmp_path, "resume", "last")
        result = await anyio.run_process(command, env=environment, cwd=tmp_path, check=False)

        assert result.returncode == 0, result.stderr.decode()
        run = json.loads(result.stdout)
        assert (run["status"], run["answer"]) == ("answered", sum(range(100)))
        assert run["usage"]["calls"] == TOTAL
        assert len(completed) == point
        assert not completed & {request.prompt for request in server.requests[before:]}
        assert len(server.requests) - before == TOTAL - point
