"""A big context is in memory once: not in the host, not in the file it came through, not in any session."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from habit.contexts import parked as parked_module
from habit.contexts.context import Context
from habit.contexts.load import load
from habit.contexts.parked import Parked
from habit.errors import SandboxError
from habit.sandbox.cpython import CPythonSandbox
from habit.sandbox.cpython.frames import WHOLE
from habit.sandbox.cpython.messages import Ask, Message, parse
from habit.sandbox.cpython.wire import PeerBroken
from habit.sandbox.session import LlmRequest, SessionLimits, SessionSpec
from sandbox.cpython.test_lifecycle import SPARE, descendants, descriptors, eventually
from sandbox.hosts import RecordingHost, value_of

SPEC = SessionSpec("q")
MB = 1_000_000
OWN = 8 * MB
"""What a process takes for itself, whatever its context is."""
LINE = "2026-11-22T10:00:00 INFO a line of a log, with nothing in it\n"
TEXTS = {
    "ascii": (LINE * (64 * MB // len(LINE)), 64 * MB),
    "one emoji": (LINE * (16 * MB // len(LINE)) + "😀", 64 * MB),
}
"""Each with the bytes that it takes as a str."""


def memory_of(pid: int) -> int:
    """Bytes that a process has to itself, and its part of what it shares."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) * 1024


def memory_with_all_below() -> int:
    return sum(memory_of(pid) for pid in (os.getpid(), *descendants(os.getpid())))


@pytest.fixture
async def sandbox() -> AsyncIterator[CPythonSandbox]:
    sandbox = CPythonSandbox()
    before = descendants(os.getpid())
    await sandbox.warm_up()
    await eventually(lambda: len(descendants(os.getpid()) - before) == 1 + SPARE)
    yield sandbox
    await sandbox.aclose()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is told how much memory a locked-down process takes")
@pytest.mark.parametrize("name", TEXTS)
async def test_a_file_is_in_memory_once_for_any_number_of_sessions(
    sandbox: CPythonSandbox, tmp_path: Path, name: str
) -> None:
    text, size = TEXTS[name]
    path = tmp_path / "a.log"
    path.write_text(text)
    expected = len(text)
    running = descendants(os.getpid())
    warm = await sandbox.share(Context.of("x" * (9 << 20)).parked())
    await (await warm.session(SPEC)).aclose()
    await warm.aclose()
    await eventually(lambda: descendants(os.getpid()) == running)
    before = memory_with_all_below()
    shared = await sandbox.share(await anyio.to_thread.run_sync(load, [path]))
    sessions = []
    for count in (1, 2, 6):
        while len(sessions) < count:
            session = await shared.session(SPEC)
            result = await session.run_cell("print(len(context), context.count('q'), context[-3:])", RecordingHost())
            assert result.stdout.startswith(f"{expected} 0 ")
            sessions.append(session)
        grown = memory_with_all_below() - before
        assert 0.9 * size < grown < 1.3 * size + (1 + count) * OWN, f"{grown / size:.2f} × the decoded size for {count}"


async def test_the_address_space_of_a_session_follows_its_context(sandbox: CPythonSandbox) -> None:
    """As a str this takes 4 bytes for each character, and the session may use all of its limit beyond that."""
    shared = await sandbox.share(Context.of("x" * (9 << 20) + "😀").parked())
    session = await shared.session(SessionSpec("q", limits=SessionLimits(memory=300 << 20)))
    cell = "import mmap\nkept = []\nfor n in range(20):\n    kept.append(mmap.mmap(-1, 40 << 20))"
    assert "OSError" in (await session.run_cell(cell, RecordingHost())).error
    assert 4 <= int((await session.run_cell("len(kept)", RecordingHost())).stdout) <= 7


async def test_nothing_is_left_of_the_payload(sandbox: CPythonSandbox) -> None:
    await anyio.to_thread.run_sync(lambda: None)
    opened = descriptors()
    context = Context.of("x" * (9 << 20)).parked()
    assert isinstance(context.payload, Parked)
    shared = await sandbox.share(context)
    assert context.payload.is_spent
    assert descriptors() == opened + 2  # the socket to its zygote, and the handle on that
    await shared.aclose()
    await eventually(lambda: descriptors() == opened)


async def test_json_is_freed_as_well(sandbox: CPythonSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parked_module, "PARKED_FROM", 1000)
    value = {"a": ["é" * 1000, 1.5, None], "b": {"c": "😀\ud800"}}
    context = Context.of(value).parked()
    assert isinstance(context.payload, Parked)
    host = RecordingHost()
    session = await (await sandbox.share(context)).session(SPEC)
    assert (await session.run_cell("answer(context)", host)).answer == value
    # Unlike a text it can be changed, so it is sent as it is then.
    await session.run_cell("context['a'] = 1\nrecursive_llm('q', context)", host)
    assert host.requests[0].context is not context
    assert value_of(host.requests[0]) == {"a": 1, "b": value["b"]}


async def test_a_context_that_does_not_fit_is_refused_with_a_way_on(
    sandbox: CPythonSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = descendants(os.getpid())
    context = Context.of("x" * (9 << 20)).parked()
    assert isinstance(context.payload, Parked)
    context.payload.characters = 1 << 60  # as if a few bytes were that many characters
    with pytest.raises(SandboxError, match=r"The input takes more, once it is decoded, .* are free: ask about fewer"):
        await sandbox.share(context)
    await eventually(lambda: descendants(os.getpid()) == running)
    assert await sandbox.share(Context.of("small"))


async def test_a_session_passes_all_of_its_text_on_without_sending_it(sandbox: CPythonSandbox) -> None:
    """The child's session shares what the parent's has: one decoding, one zygote, no bytes through the host."""
    before = descendants(os.getpid())
    text = LINE * (9 * MB // len(LINE))
    context = Context.of(text).parked()
    shared = await sandbox.share(context)
    seen: list[str] = []

    async def in_a_child(request: LlmRequest) -> str:
        assert request.context is context
        again = await sandbox.share(request.context)
        child = await again.session(SPEC)
        seen.append((await child.run_cell("len(context), context[:19]", RecordingHost())).stdout)
        # The zygote that has the text, and two sessions; what earlier tests left is on its way out.
        await eventually(lambda: len(descendants(os.getpid()) - before) == 1 + 2)
        await child.aclose()
        await again.aclose()
        await again.aclose()
        with pytest.raises(SandboxError, match="share it again"):
            await again.session(SPEC)
        return "yes"

    host = RecordingHost(in_a_child)
    session = await shared.session(SPEC)
    for code in ("recursive_llm('q', context)", "recursive_llm_map('q', [context, context])"):
        assert (await session.run_cell(code, host)).error == ""
    assert seen == [f"({len(text)}, '{LINE[:19]}')\n"] * 3
    host.reply = lambda request: request.context.value() if request.context else ""
    cell = "recursive_llm('q', context[10:20]), recursive_llm('q', str(context)[:3])"
    assert (await session.run_cell(cell, host)).stdout == f"{(LINE[10:20], LINE[:3])}\n"
    await shared.aclose()
    assert (await session.run_cell("len(context)", host)).stdout == f"{len(text)}\n"
    await session.aclose()
    await eventually(lambda: descendants(os.getpid()) == before)


def test_only_a_session_that_was_told_so_may_pass_it_on() -> None:
    context = Context.of("all of it")
    frame: dict[str, Any] = {"t": "call", "cell": 1, "id": 1, "query": 1, "context": WHOLE}
    several = {**frame, "t": "map", "contexts": [WHOLE, None]}

    def parsed(header: dict[str, Any], whole: Context | None) -> Message:
        return parse(header, memoryview(b"q"), cell=1, output_chars=100, whole=whole)

    for header in (frame, several):
        ask = parsed(header, context)
        assert isinstance(ask, Ask)
        assert ask.requests[0].context is context
        with pytest.raises(PeerBroken, match="a context that is none"):
            parsed(header, None)


async def test_a_zygote_that_is_killed_while_it_decodes_is_told_of(
    sandbox: CPythonSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the kernel does when memory runs out after all."""
    context = Context.of("[" + "1," * (8 << 20) + "1]").parked()
    context = Context("json", context.payload)
    before = descendants(os.getpid())
    async with anyio.create_task_group() as group:

        async def kill() -> None:
            while not (new := descendants(os.getpid()) - before):
                await anyio.sleep(0)
            for pid in new:
                os.kill(pid, signal.SIGKILL)

        group.start_soon(kill)
        with pytest.raises(SandboxError, match="ran out of memory"):
            await sandbox.share(context)
