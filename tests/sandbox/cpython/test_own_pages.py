"""The pages that a session writes to and so has for itself, and what the zygote's rehearsal leaves in it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from habit.contexts.context import Context
from habit.sandbox.cpython import CPythonSandbox
from habit.sandbox.session import SessionSpec
from sandbox.hosts import RecordingHost

MOST_OWN = 3_500
"""kB. 3,010 when this was written; 450 more where each describes its input, 500 where each makes its namespace."""
CELL = """
counts = Counter(str(n % 7) for n in range(1000))
reply = recursive_llm("Is it?", context)
print(reply, counts["1"])
"""


def own_kilobytes(pid: int) -> int:
    found = re.search(r"Private_Dirty: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text())
    assert found is not None
    return int(found[1])


@pytest.mark.skipif(os.getuid() != 0, reason="only root may look at the pages of a locked-down process")
async def test_a_session_writes_to_few_pages() -> None:
    sandbox = CPythonSandbox()
    try:
        owned = []
        for number in range(4):
            context = await sandbox.share(Context.of(f"text {number}"))
            session = await context.session(SessionSpec("?"))
            result = await session.run_cell(CELL, RecordingHost())
            assert result.status == "ok", result.error
            owned.append(own_kilobytes(session.pid))
        assert max(owned) < MOST_OWN, owned
    finally:
        await sandbox.aclose()


async def test_what_the_zygote_rehearsed_left_no_trace() -> None:
    """The first look at each clock, at chance, at the shell's names: as in a process that has just begun."""
    cell = """
import builtins, linecache, random, sys, threading, time
assert time.perf_counter() == 1e-6, time.perf_counter()
assert not hasattr(builtins, "_")
assert "rows" not in globals() and "counts" not in globals()
assert [name for name in linecache.cache if name.startswith("<cell")] == ["<cell 1>"]
assert sys.modules["__main__"].__dict__ is globals()
assert threading.active_count() <= 2
answer([random.random(), time.time()])
"""
    sandbox = CPythonSandbox()
    try:
        context = await sandbox.share(Context.of("text"))
        answers = []
        for seed in (7, 7, 8):
            session = await context.session(SessionSpec("?", seed=seed, clock=1_700_000_000.0))
            result = await session.run_cell(cell, RecordingHost())
            assert result.status == "answered", result.error
            answers.append(result.answer)
        assert answers[0] == answers[1] != answers[2]
        assert answers[0][1] == 1_700_000_000.0
    finally:
        await sandbox.aclose()
