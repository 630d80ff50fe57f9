"""What is monty's own: limits that hold, sessions that go on from their log, processes that end."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

pytest.importorskip("pydantic_monty", reason="pip install 'habit[monty]'")

from habit.contexts.context import Context
from habit.errors import SandboxError, SessionDied
from habit.sandbox.monty import MontySandbox
from habit.sandbox.monty import sandbox as sandbox_module
from habit.sandbox.monty.session import MontySession
from habit.sandbox.session import LlmRequest, SessionLimits, SessionSpec
from sandbox.hosts import RecordingHost


@pytest.fixture
async def monty() -> AsyncIterator[MontySandbox]:
    made = MontySandbox()
    yield made
    await made.aclose()


async def opened(monty: MontySandbox, context: Any = "abc", **limits: Any) -> MontySession:
    shared = await monty.share(Context.of(context))
    return await shared.session(SessionSpec("How many?", limits=SessionLimits(**{"cell_seconds": 10.0, **limits})))


async def shown(session: MontySession, code: str, host: RecordingHost | None = None) -> str:
    result = await session.run_cell(code, host or RecordingHost())
    assert result.status == "ok", result
    return result.stdout


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] != "Z"


async def test_a_session_goes_on_from_its_log_after_a_runaway_cell(monty: MontySandbox) -> None:
    """Everything there was is there again: variables, functions, replies, failures, chance and the answer dict."""
    session, host = await opened(monty, cell_seconds=0.3), RecordingHost(lambda request: f"<{request.query}>")
    await shown(session, "import random\nfirst = random.random()\ndef twice(x):\n    return x * 2", host)
    await shown(session, "replies = [recursive_llm('a'), recursive_llm_map('b', ['c', 'd'])]", host)
    await shown(session, "late = await asyncio.gather(*[recursive_llm(q) for q in 'ef'])", host)
    await session.run_cell("set = 1\nraise ValueError('x')", host)
    await session.run_cell("this is no Python", host)
    await session.run_cell("(" * 3000 + ")" * 3000, host)
    await shown(session, "answer['content'] = 'draft'", host)
    before = await shown(session, "first, replies, late, set, twice(2), answer['content']", host)
    asked, pid = len(host.requests), session.pid
    assert (await session.run_cell("first = 0\nwhile True: pass", host)).status == "timeout"
    assert session.pid not in (None, pid)
    assert await shown(session, "first, replies, late, set, twice(2), answer['content']", host) == before
    assert len(host.requests) == asked  # replies come from the log and are not asked for again
    failed = await session.run_cell("x = 1\ntwice(None)", host)
    assert "Cell 11, line 2\n    twice(None)\n  Cell 1, line 4, in twice" in failed.error


async def test_chance_goes_on_after_a_runaway_cell_as_it_would_have(monty: MontySandbox) -> None:
    async def three(*, runaway: bool) -> str:
        session = await opened(monty, cell_seconds=0.3)
        await shown(session, "import random\na = random.random()")
        if runaway:
            await session.run_cell("random.random()\nwhile True: pass", RecordingHost())
        return await shown(session, "a, random.random()")

    assert await three(runaway=True) == await three(runaway=False)


async def test_a_cell_that_ignores_every_interrupt_is_killed(monty: MontySandbox) -> None:
    session, called = await opened(monty), anyio.Event()
    await shown(session, "kept = 1")

    async def hang(request: LlmRequest) -> Any:
        called.set()
        await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        code = "while True:\n    try:\n        recursive_llm('q')\n    except:\n        pass"
        group.start_soon(session.run_cell, code, RecordingHost(hang))
        await called.wait()
        group.cancel_scope.cancel()
    assert await shown(session, "kept") == "1\n"


async def test_a_busy_cell_that_is_cancelled_is_killed(monty: MontySandbox) -> None:
    session, started = await opened(monty, cell_seconds=100.0), anyio.Event()
    await shown(session, "kept = 1")

    async def tell(request: LlmRequest) -> str:
        started.set()
        return ""

    async with anyio.create_task_group() as group:
        group.start_soon(session.run_cell, "recursive_llm('q')\nwhile True: pass", RecordingHost(tell))
        await started.wait()
        await anyio.sleep(0)
        group.cancel_scope.cancel()
    assert await shown(session, "kept") == "1\n"


async def test_a_worker_that_is_killed_is_replaced(monty: MontySandbox) -> None:
    session = await opened(monty)
    await shown(session, "kept = 1")
    assert session.pid is not None
    os.kill(session.pid, signal.SIGKILL)
    result = await session.run_cell("kept + 1", RecordingHost())
    assert result.status == "error"
    assert "restarted" in result.error
    assert await shown(session, "kept") == "1\n"


async def test_a_worker_that_is_killed_between_two_questions_is_replaced(monty: MontySandbox) -> None:
    session = await opened(monty)
    await shown(session, "kept = query")
    assert session.pid is not None
    os.kill(session.pid, signal.SIGKILL)
    session.set_query("and then?")
    assert await shown(session, "kept, query") == "('How many?', 'and then?')\n"


async def test_a_worker_that_says_nothing_any_more_is_replaced(monty: MontySandbox) -> None:
    session = await opened(monty, cell_seconds=0.3)
    await shown(session, "kept = 1")
    assert session.pid is not None
    os.kill(session.pid, signal.SIGSTOP)
    with anyio.fail_after(20):
        while Path(f"/proc/{session.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            await anyio.sleep(0.01)  # a busy machine stops it a little later
    result = await session.run_cell("kept + 1", RecordingHost())
    assert result.status in ("timeout", "error")
    assert await shown(session, "kept") == "1\n"


async def test_a_session_whose_log_cannot_be_repeated_is_lost(
    monty: MontySandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await opened(monty, cell_seconds=0.3)
    monkeypatch.setattr("habit.sandbox.monty.session.REPEAT_SECONDS", 0.0)
    result = await session.run_cell("while True: pass", RecordingHost())
    assert result.status == "died"
    assert "All variables are gone" in result.error
    with pytest.raises(SessionDied):
        await session.run_cell("1", RecordingHost())


async def test_a_session_with_too_many_steps_to_keep_is_lost_when_cut_off(
    monty: MontySandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("habit.sandbox.monty.session.MAX_STEPS", 10)
    session = await opened(monty, cell_seconds=0.3)
    assert await shown(session, "x = [recursive_llm(str(n)) for n in range(11)]\nx[-1]") == "'10'\n"
    assert await shown(session, "x[0]") == "'0'\n"
    failed = await session.run_cell("1 / 0", RecordingHost())
    assert "Cell 3, line 1" in failed.error
    assert (await session.run_cell("while True: pass", RecordingHost())).status == "died"


async def test_work_that_a_cell_causes_in_the_host_counts(monty: MontySandbox) -> None:
    session = await opened(monty, " ".join(f"word{n}" for n in range(30_000)), cell_seconds=0.5)
    code = "while True:\n    try:\n        find('wrd')\n    except ValueError:\n        pass"
    assert (await session.run_cell(code, RecordingHost())).status == "timeout"


@pytest.mark.parametrize(
    "call",
    [
        "_habit_host['_habit_shape']({})", "_habit_host['_habit_shape'](3)", "_habit_host['_habit_like']()",
        "_habit_host['_habit_like'](None, None)", "_habit_host['_habit_names'](1)", "_habit_host['_habit_give']()",
        "recursive_llm()", "recursive_llm('q', 'x', 'y', 'z')", "recursive_llm('q', retruns=int)",
        "recursive_llm('q', returns={1: 2})", "recursive_llm('q', returns=float('nan'))",
        "recursive_llm_map('q', [[[]]] * 3, returns=0)",
        "recursive_llm('q', 10**5000)", "recursive_llm('q', {float('inf'): 1})",
        "SUBMIT()", "FINAL()", "plan('x')", "__init__()",
    ],
)  # fmt: skip
async def test_whatever_the_functions_are_given_the_cell_gets_an_error(monty: MontySandbox, call: str) -> None:
    session = await opened(monty)
    result = await session.run_cell(call, RecordingHost())
    assert result.status in ("ok", "error")
    assert await shown(session, "1") == "1\n"


async def test_memory_is_limited_in_the_interpreter_and_around_it(monty: MontySandbox) -> None:
    session = await opened(monty, memory=128 << 20)
    await shown(session, "kept = 1")
    for code in ("'x' * 10**9", "[0] * 10**9", "x = []\nwhile True: x.append('y' * 10**6)", "list(range(10**9))"):
        result = await session.run_cell(code, RecordingHost())
        assert result.status == "error"
        assert "MemoryError" in result.error
        assert "0.125 GiB" in result.error
    assert await shown(session, "kept") == "1\n"


async def test_a_session_filled_to_the_brim_goes_on(monty: MontySandbox) -> None:
    session = await opened(monty, memory=128 << 20)
    await shown(session, "kept = 1")
    for size in range(60, 130, 7):
        await session.run_cell(f"x = 'y' * {size << 20}", RecordingHost())
    assert await shown(session, "kept") == "1\n"


async def test_the_names_of_the_session_itself_may_be_taken(monty: MontySandbox) -> None:
    session = await opened(monty)
    await shown(session, "kept = 1")
    for code in (
        "_habit_settle = None",
        "_habit_saved = 3",
        "_habit_show = 3\n1",
        "len = str = list = dict = print = 5",
    ):
        await session.run_cell(code, RecordingHost())
        assert (await session.run_cell("kept", RecordingHost())).status in ("ok", "error")
    result = await session.run_cell("answer(kept + len('ab') if False else kept)", RecordingHost())
    assert result.status == "answered"


async def test_a_worker_can_open_nothing_more(monty: MontySandbox) -> None:
    if sys.platform != "linux":
        pytest.skip("prlimit is Linux's")
    session = await opened(monty)
    assert session.pid is not None
    assert resource.prlimit(session.pid, resource.RLIMIT_NOFILE) == (3, 3)
    assert resource.prlimit(session.pid, resource.RLIMIT_FSIZE) == (0, 0)
    with open(f"/proc/{session.pid}/environ", "rb") as environ:
        assert environ.read() == b""


async def test_closing_ends_every_process() -> None:
    monty = MontySandbox()
    sessions = [await opened(monty) for _ in range(5)]
    pids = [session.pid for session in sessions if session.pid]
    assert len(set(pids)) == 5
    await sessions[0].aclose()
    assert not alive(pids[0])
    await monty.aclose()
    assert not any(alive(pid) for pid in pids)
    with pytest.raises(SandboxError, match="closed"):
        await monty.share(Context.of(""))


async def test_closing_ends_a_running_cell(monty: MontySandbox) -> None:
    session, started = await opened(monty), anyio.Event()

    async def tell(request: LlmRequest) -> str:
        started.set()
        return ""

    async with anyio.create_task_group() as group:
        group.start_soon(session.run_cell, "recursive_llm('q')\nwhile True: pass", RecordingHost(tell))
        await started.wait()
        await session.aclose()
    with pytest.raises(SessionDied):
        await session.run_cell("1", RecordingHost())


async def test_a_context_that_is_too_large_is_refused_with_the_way_on(
    monty: MontySandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_module, "MAX_CONTEXT", 10)
    with pytest.raises(SandboxError, match="--sandbox cpython"):
        await monty.share(Context.of("x" * 11))


async def test_the_description_warns_of_what_is_otherwise(monty: MontySandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_module, "SLOW_FROM", 10)
    assert "slices" in (await opened(monty, "é" * 20)).description
    assert "slices" not in (await opened(monty, "e" * 20)).description
    assert "U+FFFD" in (await opened(monty, "a\ud800")).description
    assert "U+FFFD" not in (await opened(monty, "a")).description


@pytest.mark.parametrize("ending", ["closed", "left open", "in the middle of a cell", "by an error"])
def test_the_host_ends_well(ending: str) -> None:
    """At interpreter exit nothing is aborted, and no worker is left behind."""
    code = f"""
import anyio, sys
from habit.contexts.context import Context
from habit.sandbox.monty import MontySandbox
from habit.sandbox.session import SessionLimits, SessionSpec
from sandbox.hosts import RecordingHost

async def main():
    monty = MontySandbox()
    shared = await monty.share(Context.of("abc"))
    session = await shared.session(SessionSpec("q", limits=SessionLimits(cell_seconds=20.0)))
    print(session.pid, (await session.run_cell("1 + 1", RecordingHost())).stdout.strip(), flush=True)
    if {ending!r} == "closed":
        await monty.aclose()
    if {ending!r} == "by an error":
        raise SystemExit(0)
    if {ending!r} == "in the middle of a cell":
        with anyio.move_on_after(0.1):
            await session.run_cell("while True: pass", RecordingHost())

anyio.run(main)
"""
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        pid, shown_value = done.stdout.split()
        assert shown_value == "2"
        assert not alive(int(pid))
