"""Processes and descriptors: nothing is left when a session, a context, a sandbox or the whole host ends."""

# ruff: noqa: E501 - code of cells as text
from __future__ import annotations

import gc
import os
import resource
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from habit.contexts.context import Context
from habit.errors import SandboxError
from habit.sandbox.cpython import CPythonSandbox
from habit.sandbox.cpython import sandbox as sandbox_module
from habit.sandbox.cpython.frames import encode_frame
from habit.sandbox.cpython.wire import receive_hello
from habit.sandbox.session import SessionLimits, SessionSpec
from sandbox.hosts import RecordingHost

SPEC = SessionSpec("q")
BIG = "x" * (2 << 20)


def descendants(pid: int) -> set[int]:
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        try:
            tasks = list(Path(f"/proc/{waiting.pop()}/task").iterdir())
            children = {int(child) for task in tasks for child in (task / "children").read_text().split()}
        except FileNotFoundError:
            continue
        found |= children
        waiting += children
    return found


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "gone"


SPARE = 1
"""The worker forked ahead for the next session over a small context."""


async def eventually(true: Callable[[], bool]) -> None:
    """A process that was killed stays listed for a moment; what lasts longer is a leak."""
    with anyio.fail_after(20):
        while not true():
            await anyio.sleep(0.01)


@pytest.fixture
def before() -> set[int]:
    return descendants(os.getpid())


async def test_nothing_is_left_of_a_closed_sandbox(before: set[int]) -> None:
    await CPythonSandbox().aclose()  # whatever the first event loop opens for good
    await anyio.to_thread.run_sync(lambda: None)
    opened = descriptors()
    sandbox = CPythonSandbox()
    small, big = await sandbox.share(Context.of("small")), await sandbox.share(Context.of(BIG))
    sessions = [await context.session(SPEC) for context in (small, big, big)]
    for session in sessions:
        await session.run_cell(
            "import threading\nthreading.Thread(target=threading.Event().wait).start()", RecordingHost()
        )
    await eventually(lambda: len(descendants(os.getpid()) - before) == 1 + 1 + 3 + SPARE)
    started = descendants(os.getpid()) - before
    assert all(session.pid in started for session in sessions)
    await sandbox.aclose()
    await eventually(lambda: {state_of(pid) for pid in started} == {"gone"})
    assert descriptors() == opened


async def test_sessions_end_one_by_one_without_a_trace(before: set[int]) -> None:
    sandbox = CPythonSandbox()
    context = await sandbox.share(Context.of("small"))
    await eventually(lambda: len(descendants(os.getpid()) - before) == 1 + SPARE)
    opened, running = descriptors(), descendants(os.getpid())
    for code in ("1", "import os; os._exit(1)", "import ctypes; ctypes.string_at(0)", "answer(1)"):
        session = await context.session(SPEC)
        await session.run_cell(code, RecordingHost())
        await session.aclose()
        await eventually(lambda: state_of(session.pid) in ("gone", "Z", "X"))  # noqa: B023 - awaited here
    await eventually(lambda: len(descendants(os.getpid())) == len(running))
    await eventually(lambda: descriptors() == opened)
    await sandbox.aclose()


async def test_a_context_may_be_given_back_before_its_sessions_end() -> None:
    sandbox = CPythonSandbox()
    for content in ("small", BIG):
        context = await sandbox.share(Context.of(content))
        session = await context.session(SPEC)
        await context.aclose()
        assert (await session.run_cell("len(context)", RecordingHost())).stdout == f"{len(content)}\n"
        with pytest.raises(SandboxError, match="share it again"):
            await context.session(SPEC)
        running = descendants(os.getpid())
        await session.aclose()
        ended = 1 if content == "small" else 2
        await eventually(lambda: len(running - descendants(os.getpid())) == ended)  # noqa: B023 - awaited here
    await sandbox.aclose()


async def test_a_thousand_sessions_one_after_another_and_many_at_once(before: set[int]) -> None:
    """As many as a run with a thousand children has, and as many at once as a provider takes."""
    sandbox = CPythonSandbox()
    context = await sandbox.share(Context.of(BIG))
    await eventually(lambda: len(descendants(os.getpid()) - before) == 1 + 1 + SPARE)
    running, opened = descendants(os.getpid()), descriptors()
    room = anyio.CapacityLimiter(48)
    answers: list[int] = []

    async def one(number: int) -> None:
        async with room:
            session = await context.session(SPEC)
            result = await session.run_cell(f"answer(len(context) + {number})", RecordingHost())
            await session.aclose()
            answers.append(result.answer - len(BIG))

    async with anyio.create_task_group() as group:
        for number in range(1000):
            group.start_soon(one, number)
    assert sorted(answers) == list(range(1000))
    await eventually(lambda: len(descendants(os.getpid())) == len(running))
    await eventually(lambda: descriptors() == opened)
    await sandbox.aclose()
    await eventually(lambda: descendants(os.getpid()) <= before)


async def test_cancelling_an_opening_leaves_nothing(before: set[int]) -> None:
    sandbox = CPythonSandbox()
    context = await sandbox.share(Context.of("small"))
    await eventually(lambda: len(descendants(os.getpid()) - before) == 1 + SPARE)
    running, opened = descendants(os.getpid()), descriptors()
    for steps in range(12):
        async with anyio.create_task_group() as group:
            group.start_soon(context.session, SPEC)
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
    sessions = list(sandbox._sessions)  # those that were quicker than their cancellation
    for session in sessions:
        await session.aclose()
    last = await context.session(SPEC)  # the zygote has served all requests before this one
    await last.aclose()
    await eventually(lambda: len(descendants(os.getpid())) == len(running))
    await eventually(lambda: descriptors() == opened)
    await sandbox.aclose()


async def test_a_hello_that_is_not_waited_for_to_its_end_leaves_no_descriptor() -> None:
    opened = descriptors()
    ours, theirs = socket.socketpair()
    with ours, theirs, open(os.devnull, "rb") as sent:
        socket.send_fds(theirs, [encode_frame({"t": "hello"})[:-1]], [sent.fileno()])
        with anyio.move_on_after(0.01):
            await receive_hello(ours, stream=True)
    assert descriptors() == opened


async def test_closing_while_a_cell_runs_ends_the_cell() -> None:
    sandbox = CPythonSandbox()
    session = await (await sandbox.share(Context.of(""))).session(SPEC)
    results = []

    async def run() -> None:
        results.append(await session.run_cell("while True: pass", RecordingHost()))

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await anyio.sleep(0.05)
        await sandbox.aclose()
    assert results[0].status == "died"


async def test_between_cells_a_worker_uses_no_processor() -> None:
    sandbox = CPythonSandbox()
    session = await (await sandbox.share(Context.of(""))).session(SPEC)
    await session.run_cell(
        "import threading\nthreading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()", RecordingHost()
    )
    await eventually(lambda: state_of(session.pid) == "T")
    assert (await session.run_cell("1 + 1", RecordingHost())).stdout == "2\n"
    await sandbox.aclose()


async def test_a_dead_zygote_is_replaced_for_the_next_context() -> None:
    sandbox = CPythonSandbox()
    context = await sandbox.share(Context.of("small"))
    session = await context.session(SPEC)
    assert sandbox._zygote is not None
    sandbox._zygote.kill()
    await anyio.to_thread.run_sync(sandbox._zygote.wait)
    assert (await session.run_cell("1", RecordingHost())).status == "died"
    renewed = await context.session(SPEC)
    assert (await renewed.run_cell("context", RecordingHost())).stdout == "'small'\n"
    await sandbox.aclose()
    with pytest.raises(SandboxError, match="closed"):
        await sandbox.share(Context.of("small"))


_HOST = """
import anyio, sys
from habit.contexts.context import Context
from habit.sandbox.cpython import CPythonSandbox
from habit.sandbox.session import SessionSpec
from sandbox.hosts import RecordingHost

async def main():
    sandbox = CPythonSandbox()
    small, big = await sandbox.share(Context.of("s")), await sandbox.share(Context.of("x" * (2 << 20)))
    idle, busy, stopped = [await c.session(SessionSpec("q")) for c in (small, big, big)]
    await stopped.run_cell("1", RecordingHost())
    async with anyio.create_task_group() as group:
        group.start_soon(busy.run_cell, "recursive_llm('go')\\nwhile True: pass", RecordingHost(lambda r: print("ready", flush=True)))
anyio.run(main)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_everything_dies_with_the_host(number: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    host = subprocess.Popen([sys.executable, "-c", _HOST], env=environment, stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None
    assert host.stdout.readline() == "ready\n"
    started = descendants(host.pid)
    assert 1 + 1 + 3 <= len(started) <= 1 + 1 + 3 + SPARE
    watched = [os.pidfd_open(pid) for pid in started]
    host.send_signal(number)
    host.wait()
    host.stdout.close()
    for pidfd in watched:
        assert select.select([pidfd], [], [], 30)[0], "a process outlived the host"
        os.close(pidfd)


async def test_a_python_that_is_none_is_a_clear_error() -> None:
    sandbox = CPythonSandbox(python="/nowhere/python")
    with pytest.raises(SandboxError, match=r"did not start.*nowhere"):
        await sandbox.share(Context.of(""))
    await sandbox.aclose()


async def test_a_zygote_that_fails_says_why(tmp_path: Path) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho 'some detail' >&2\necho 'the reason' >&2\nexit 3\n")
    fake.chmod(0o755)
    sandbox = CPythonSandbox(python=str(fake))
    with pytest.raises(SandboxError, match="the reason"):
        await sandbox.share(Context.of(""))
    await sandbox.aclose()


async def test_no_module_of_the_standard_set_is_missing_here() -> None:
    sandbox = CPythonSandbox()
    await sandbox.warm_up()
    assert dict(sandbox.unavailable) == {}
    await sandbox.aclose()


async def test_the_zygote_loads_nothing_of_the_host_side() -> None:
    sandbox = CPythonSandbox()
    session = await (await sandbox.share(Context.of(""))).session(SPEC)
    code = "import sys\nprint([m for m in sys.modules if m.partition('.')[0] in ('anyio', 'pytest', 'httpx', 'click')])"
    assert (await session.run_cell(code, RecordingHost())).stdout == "[]\n"
    code = "import sys\nprint(sorted(m for m in sys.modules if m.startswith('habit.') and m.count('.') == 1))"
    assert (
        await session.run_cell(code, RecordingHost())
    ).stdout == "['habit.contexts', 'habit.errors', 'habit.memory', 'habit.sandbox']\n"
    await sandbox.aclose()


async def test_a_missing_module_is_reported_and_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A broken numpy harms only those who want numpy."""
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy" / "__init__.py").write_text("raise OSError('libopenblas is gone')")
    spawn = sandbox_module._spawn

    def spawn_with_broken_numpy(python: str, control: object) -> object:
        wrapper = tmp_path / "python"
        wrapper.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
        wrapper.chmod(0o755)
        return spawn(str(wrapper), control)  # type: ignore[arg-type]

    monkeypatch.setattr(sandbox_module, "_spawn", spawn_with_broken_numpy)
    sandbox = CPythonSandbox()
    session = await (await sandbox.share(Context.of(""))).session(SPEC)
    assert "libopenblas is gone" in sandbox.unavailable["numpy"]
    result = await session.run_cell("import numpy", RecordingHost())
    assert "libopenblas is gone" in result.error
    assert (await session.run_cell("1 + 1", RecordingHost())).stdout == "2\n"
    await sandbox.aclose()


async def test_another_sandbox_behaves_the_same() -> None:
    outputs = set()
    for _ in range(2):
        sandbox = CPythonSandbox()
        session = await (await sandbox.share(Context.of(""))).session(SPEC)
        code = "import random, uuid\nprint(hash('text'), list({'a', 'b', 'c', 'd'}), random.random(), uuid.uuid4())"
        outputs.add((await session.run_cell(code, RecordingHost())).stdout)
        await sandbox.aclose()
    assert len(outputs) == 1


async def test_a_query_may_be_long() -> None:
    sandbox = CPythonSandbox()
    session = await (await sandbox.share(Context.of(""))).session(SessionSpec("q" * 500_000, limits=SessionLimits()))
    assert (await session.run_cell("len(query)", RecordingHost())).stdout == "500000\n"
    await sandbox.aclose()


@contextmanager
def no_more_descriptors(spare: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = next(number for number in range(3, before[0]) if not Path(f"/proc/self/fd/{number}").exists())
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + spare, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("spare", [0, 1, 2, 3, 4])
async def test_without_descriptors_to_spare_it_says_what_to_do(spare: int) -> None:
    sandbox = CPythonSandbox()
    await sandbox.warm_up()
    await anyio.to_thread.run_sync(lambda: None)
    opened = descriptors()

    async def open_some() -> None:
        context = await sandbox.share(Context.of("x"))
        for _ in range(3):
            await context.session(SPEC)

    with pytest.raises(SandboxError, match="ulimit -n"), no_more_descriptors(spare):
        await open_some()
    await sandbox.aclose()
    assert descriptors() <= opened
