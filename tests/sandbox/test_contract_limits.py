"""Contract of every backend: whatever a cell does, the host survives and the run goes on or ends with a clear result."""

# ruff: noqa: E501 - code of cells as text
from __future__ import annotations

from typing import Any

import anyio
import pytest

from habit.errors import SessionDied
from habit.sandbox.session import LlmRequest
from sandbox.conftest import Open
from sandbox.hosts import RecordingHost
from sandbox.test_contract_cells import printed, run

ENDLESS = {
    "loop": "while True: pass",
    "except Exception": "while True:\n    try:\n        x = 1\n    except Exception:\n        pass",
    "bare except": "while True:\n    try:\n        [0 for _ in range(100)]\n    except:\n        pass",
    "nested bare except": (
        "def f():\n    while True:\n        try:\n            g()\n        except BaseException:\n            continue\n"
        "def g():\n    try:\n        while True: pass\n    except: pass\nf()"
    ),
    "suppress": "import contextlib\nwhile True:\n    with contextlib.suppress(BaseException):\n        while True: pass",
    "except a tuple": "while True:\n    try:\n        while True: pass\n    except (ValueError, KeyboardInterrupt): pass",
    "try in a coroutine": (
        "async def f():\n    while True:\n        try:\n            await asyncio.sleep(0)\n        except BaseException: pass\nawait f()"
    ),
    "sleep": "import time\ntime.sleep(1000)",
    "regular expression": "re.search(r'(a+)+$', 'a' * 60 + 'b')",
    "lock": "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()",
    "event loop": "await asyncio.sleep(1000)",
    "busy coroutine": "async def f():\n    while True:\n        await asyncio.sleep(0)\nawait f()",
    "asyncio.run": "asyncio.run(asyncio.sleep(1000))",
    "stubborn task": (
        "async def f():\n    while True:\n        try:\n            await asyncio.sleep(1000)\n"
        "        except asyncio.CancelledError:\n            pass\nawait asyncio.create_task(f())"
    ),
    "thread": "import threading\nt = threading.Thread(target=lambda: [None for _ in iter(int, 1)])\nt.start()\nt.join()",
    "pool": (
        "from concurrent.futures import ThreadPoolExecutor\nimport time\nwith ThreadPoolExecutor(4) as pool:\n"
        "    list(pool.map(time.sleep, [1000] * 4))"
    ),
    "printing": "while True: print('x' * 1000)",
    "clock that stands still": "import time\nend = time.time() + 5\nwhile time.time() < end: pass",
    "while shown": "class Slow:\n    def __repr__(self):\n        while True: pass\nSlow()",
    "while its error is described": (
        "class Slow(Exception):\n    def __str__(self):\n        while True: pass\nraise Slow"
    ),
}


@pytest.mark.parametrize("code", ENDLESS.values(), ids=ENDLESS.keys())
async def test_an_endless_cell_is_stopped_and_the_session_goes_on(open_session: Open, code: str) -> None:
    session = await open_session("abc", cell_seconds=0.4)
    await run(session, "kept = 'yes'")
    result = await run(session, code)
    assert result.status == "timeout", result
    assert "0.4 seconds" in result.error
    assert await printed(session, "kept, context") == "('yes', 'abc')\n"


async def test_a_stopped_cell_says_where_it_was_and_keeps_its_output(open_session: Open) -> None:
    result = await run(await open_session("", cell_seconds=0.3), "print('begun')\nx = 1\nwhile x:\n    x += 1")
    assert result.stdout == "begun\n"
    assert "in line" in result.error
    assert "x: int = " in result.variables


FATAL = {
    "os._exit": "import os\nos._exit(0)",
    "segfault": "import ctypes\nctypes.string_at(0)",
    "abort": "import ctypes\nctypes.CDLL(None).abort()",
    "ignored interrupt": "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
    "interrupt blocked": "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})\nwhile True: pass",
    "endless C code": "sum(range(10 ** 13))",
    "kill itself": "import signal\nsignal.raise_signal(signal.SIGKILL)",
    "stop itself": "import signal\nsignal.raise_signal(signal.SIGSTOP)\nwhile True: pass",
    "stack overflow": "import sys\nsys.setrecursionlimit(10 ** 9)\nclass A:\n    def __getattr__(self, n): return getattr(self, n)\nA().x",
}


@pytest.mark.parametrize("code", FATAL.values(), ids=FATAL.keys())
async def test_a_cell_that_ends_its_process_is_reported_as_died(open_session: Open, code: str) -> None:
    session = await open_session("", cell_seconds=0.4)
    result = await run(session, code)
    if code.startswith("import sys") and result.status == "error":
        assert "RecursionError" in result.error  # newer Pythons catch it
        return
    assert result.status == "died", result
    assert "All variables are gone" in result.error
    with pytest.raises(SessionDied):
        await run(session, "1")


BOMBS = {
    "one big list": "x = [0] * 10 ** 10",
    "a big str": "x = 'a' * 10 ** 11",
    "many small objects": "x = []\nwhile True: x.append('y' * 100_000)",
    "many tiny objects": "x = []\nwhile True: x.append(object())",
    "to the last byte": (
        "x = []\nfor size in (1 << 20, 1 << 16, 1 << 12, 400, 100, 40):\n    try:\n        while True: x.append(bytes(size))\n"
        "    except MemoryError: pass\nwhile True: x.append([x])"
    ),
    "doubling": "x = 'ab'\nwhile True: x += x",
    "bytearray": "x = bytearray(10 ** 11)",
    "numpy": "import numpy\nx = numpy.zeros(10 ** 11)",
}


@pytest.mark.parametrize("code", BOMBS.values(), ids=BOMBS.keys())
async def test_a_memory_bomb_is_an_error_and_the_session_goes_on(open_session: Open, code: str) -> None:
    session = await open_session("abc", memory=256 << 20)
    await run(session, "kept = 1")
    result = await run(session, code)
    assert result.status == "error", result
    assert "MemoryError" in result.error
    assert "0.25 GiB" in result.error
    await run(session, "x = None")
    assert await printed(session, "kept, len('z' * 10 ** 7)") == "(1, 10000000)\n"


async def test_calls_still_work_after_a_memory_error(open_session: Open) -> None:
    session = await open_session("", memory=256 << 20)
    await run(session, "x = []\nwhile True: x.append('y' * 10_000)")
    assert await printed(session, "del x\nrecursive_llm('q', 'text' * 1000)[:4]") == "'text'\n"


async def test_memory_counts_beyond_the_context(open_session: Open) -> None:
    session = await open_session("x" * (64 << 20), memory=128 << 20)
    assert await printed(session, "len(context + 'y')") == f"{(64 << 20) + 1}\n"


SURVIVED = {
    "thread bomb": (
        "import threading\nstop = threading.Event()\ntry:\n    while True: threading.Thread(target=stop.wait).start()\n"
        "finally:\n    stop.set()"
    ),
    "raw thread bomb": (
        "import _thread, time\nn = 0\nlock = _thread.allocate_lock()\nlock.acquire()\ntry:\n    while True:\n"
        "        _thread.start_new_thread(lock.acquire, ())\n        n += 1\nfinally:\n    print(n < 100_000)"
    ),
    "fork": "import os\nos.fork()",
    "fork bomb": "import os\nwhile True: os.fork()",
    "vfork": "import ctypes\nprint(ctypes.CDLL(None).vfork())\n1/0",
    "subprocess": "import subprocess\nsubprocess.run(['true'])",
    "deep recursion": "def f(): f()\nf()",
    "deep recursion of literals": "x = []\nfor _ in range(100_000): x = [x]\nrepr(x)",
    "huge integer as text": "print(10 ** 100_000)",
    "deeply nested code": "eval('(' * 10_000 + ')' * 10_000)",
}


@pytest.mark.parametrize("code", SURVIVED.values(), ids=SURVIVED.keys())
async def test_a_bomb_is_an_error_in_the_cell(open_session: Open, code: str) -> None:
    session = await open_session("", cell_seconds=10.0)
    result = await run(session, code)
    assert result.status == "error", result
    assert await printed(session, "1 + 1") == "2\n"


async def test_waiting_for_the_host_does_not_count(open_session: Open) -> None:
    """Each wait is longer than the cell may take, by the host's own clock."""

    async def slow(request: LlmRequest) -> Any:
        await anyio.sleep(0.6)
        return "done"

    session = await open_session("", cell_seconds=0.4)
    result = await run(session, "print(recursive_llm('q'), recursive_llm_map('q', ['a']))", RecordingHost(slow))
    assert result.status == "ok", result.error
    assert result.seconds < 0.4
    gather = "print(await asyncio.gather(recursive_llm('q'), recursive_llm('q')))"
    assert (await run(session, gather, RecordingHost(slow))).status == "ok"


async def test_work_after_a_call_counts(open_session: Open) -> None:
    session = await open_session("", cell_seconds=0.4)
    result = await run(session, "import time\nrecursive_llm('q')\ntime.sleep(1000)")
    assert result.status == "timeout"


async def test_work_beside_a_waiting_call_counts(open_session: Open) -> None:
    async def hang(request: LlmRequest) -> Any:
        await anyio.sleep_forever()

    code = (
        "import threading\nthreading.Thread(target=lambda: recursive_llm('q'), daemon=True).start()\nwhile True: pass"
    )
    session = await open_session("", cell_seconds=0.4)
    result = await run(session, code, RecordingHost(hang))
    assert result.status == "timeout"
    assert await printed(session, "1") == "1\n"


async def test_nothing_of_a_stopped_cell_appears_later(open_session: Open) -> None:
    """A thread goes on printing and asking after its cell was stopped; its output and its calls reach nobody."""
    code = (
        "import threading, time\nalive = threading.Event()\ndef haunt():\n    while True:\n        print('late')\n"
        "        alive.set()\n        try:\n            recursive_llm('late')\n        except BaseException:\n            pass\n"
        "threading.Thread(target=haunt).start()\nwhile True: pass"
    )
    session = await open_session("", cell_seconds=0.4)
    assert (await run(session, code)).status == "timeout"
    host = RecordingHost()
    for _ in range(3):
        result = await run(session, "alive.clear()\nalive.wait(0.2)\nprint('mine', recursive_llm('mine'))", host)
        assert result.stdout == "mine mine\n"
    assert {request.query for request in host.requests} == {"mine"}


async def test_no_task_of_a_stopped_cell_wakes_up_in_the_next(open_session: Open) -> None:
    code = (
        "async def haunt():\n    while True:\n        print('late')\n        await asyncio.sleep(0)\n"
        "tasks = [asyncio.create_task(haunt()) for _ in range(3)]\nawait asyncio.gather(*tasks)"
    )
    session = await open_session("", cell_seconds=0.4)
    assert (await run(session, code)).status == "timeout"
    assert await printed(session, "for _ in range(5):\n    await asyncio.sleep(0)\nprint('mine')") == "mine\n"


async def test_a_late_reply_does_not_reach_the_next_cell(open_session: Open) -> None:
    release = anyio.Event()

    async def late(request: LlmRequest) -> Any:
        with anyio.CancelScope(shield=True):
            await release.wait()
        return "late"

    session = await open_session("", cell_seconds=0.4)

    async def first() -> None:
        code = "import threading\nthreading.Thread(target=lambda: recursive_llm('q')).start()\nwhile True: pass"
        assert (await run(session, code, RecordingHost(late))).status == "timeout"

    async with anyio.create_task_group() as group:
        group.start_soon(first)
        await anyio.sleep(0)
        release.set()
    assert await printed(session, "recursive_llm('q', 'fresh')") == "'fresh'\n"


async def test_a_job_given_to_an_older_pool_prints_into_the_cell_that_gave_it(open_session: Open) -> None:
    session = await open_session("")
    await run(
        session, "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(2)\npool.submit(len, '')"
    )
    assert await printed(session, "pool.submit(print, 'now').result()") == "now\n"
    assert await printed(session, "pool.submit(recursive_llm, 'q').result()") == "'q'\n"


async def test_many_sessions_at_once_share_nothing(open_session: Open) -> None:
    """Far more sessions than processors, each with its own output, calls and answer."""
    results: dict[int, Any] = {}

    async def one(number: int) -> None:
        session = await open_session(f"context {number}")
        host = RecordingHost(lambda request: f"reply {number}")
        code = f"for _ in range(50): print({number})\nr = [recursive_llm('q') for _ in range(5)]\nanswer([context, r])"
        results[number] = await run(session, code, host)

    async with anyio.create_task_group() as group:
        for number in range(64):
            group.start_soon(one, number)
    for number, result in results.items():
        assert result.status == "answered", result
        assert result.answer == [f"context {number}", [f"reply {number}"] * 5]
        assert result.stdout == f"{number}\n" * 50
