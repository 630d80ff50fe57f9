"""The worker forked ahead: used by the next session, replaced, and never missed when it is gone."""

import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from habit.contexts.context import Context
from habit.sandbox.cpython.sandbox import SHARED_FROM, CPythonSandbox
from habit.sandbox.cpython.session import CPythonSession
from habit.sandbox.session import SessionSpec


class Counting(CPythonSandbox):
    """Counts what a session had to wait for: forks that were not made ahead."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_for: list[str] = []

    async def _forked(
        self, control: socket.socket | None, request: dict[str, Any], descriptors: Sequence[int]
    ) -> tuple[socket.socket, dict[str, Any], int | None]:
        self.waited_for.append(request["t"])
        return await super()._forked(control, request, descriptors)


async def open_on(sandbox: CPythonSandbox, text: str) -> CPythonSession:
    context = await sandbox.share(Context.of(text))
    session = await context.session(SessionSpec("?"))
    await context.aclose()
    return session


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_sessions_one_after_the_other_wait_for_no_fork():
    sandbox = Counting()
    try:
        for number in range(3):
            session = await open_on(sandbox, f"text {number}")
            assert session.description
            await session.aclose()
        assert sandbox.waited_for == []
    finally:
        await sandbox.aclose()


async def test_a_big_context_has_a_zygote_of_its_own_and_leaves_the_spare_alone():
    sandbox = Counting()
    try:
        await (await open_on(sandbox, "x" * SHARED_FROM)).aclose()
        assert sandbox.waited_for == ["share", "session"]
        await (await open_on(sandbox, "small")).aclose()
        assert sandbox.waited_for == ["share", "session"]
    finally:
        await sandbox.aclose()


async def test_a_spare_that_has_ended_is_not_missed():
    sandbox = Counting()
    try:
        await (await open_on(sandbox, "first")).aclose()
        assert sandbox._zygote is not None
        for child in children_of(sandbox._zygote.pid):
            os.kill(child, signal.SIGKILL)
        session = await open_on(sandbox, "second")
        assert session.description
        await session.aclose()
    finally:
        await sandbox.aclose()


async def test_closing_leaves_no_process_and_no_descriptor():
    before = len(os.listdir("/proc/self/fd"))
    sandbox = CPythonSandbox()
    await (await open_on(sandbox, "text")).aclose()
    assert sandbox._zygote is not None
    zygote = sandbox._zygote.pid
    await sandbox.aclose()
    assert not Path(f"/proc/{zygote}").exists()
    assert len(os.listdir("/proc/self/fd")) == before
