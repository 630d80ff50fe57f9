"""Ten thousand hostile conversations, with the real host's side of the socket: each ends in an outcome with a name."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import signal
import socket
from collections import Counter
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from habit.errors import CallFailed, SessionDied
from habit.sandbox.cpython import cell
from habit.sandbox.cpython.session import CPythonSession
from habit.sandbox.cpython.wire import Wire
from habit.sandbox.session import CellResult, LlmRequest, SessionLimits
from sandbox.cpython.mutations import MUTATIONS, Talk, talk
from sandbox.hosts import RecordingHost

CONVERSATIONS, PARTS = 10_000, 4
AT_ONCE = 200
STALL_SECONDS = 0.1
LOST = (
    "its process ended",
    "it did not stop when its",
    "it sent a frame of [0-9,]+ . [0-9,]+ bytes is over its limits",
    "it sent a header that is not JSON",
    "it sent a header that is no object",
    "it sent half a frame",
    "it sent requests and does not read the replies",
    "it sent a frame of another cell",
    "it sent a frame of the unknown type",
    "it sent a frame without a proper",
    "it sent a schema that is none",
    "it sent a wish for a child that is none",
    "it sent a context that is none",
    "it sent a context that cannot be decoded",
    "it sent sizes that do not add up",
    "it sent a size that is none",
    "it sent text that is not UTF-8",
    "it sent an answer that is",
    "it sent an end with an answer that it never gave",
    "it sent a cell that ended",
    "it sent more output than was agreed",
    "it sent a request out of order",
    "it sent more requests than may be under way",
)
"""Everything a session can be lost for."""
OUTCOMES = {"ok", "error", "answered", *LOST}


class SocketWorker:
    """A worker that is only a socket: a kill hangs up, every other signal is ignored."""

    pid = 0

    def __init__(self, peer: socket.socket) -> None:
        self.peer = peer

    def send(self, number: signal.Signals) -> None:
        if number == signal.SIGKILL:
            hang_up(self.peer, socket.SHUT_RDWR)

    def cpu_seconds(self) -> float:
        return 0.0

    async def end(self) -> None:
        hang_up(self.peer, socket.SHUT_RDWR)


def hang_up(peer: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):  # the other side did so already
        peer.shutdown(how)


def reply(request: LlmRequest) -> Any:
    if request.query == "b":
        raise CallFailed("no", reason="refused")
    return {"": None, "q": "yes" * 10}.get(request.query, [request.schema, {"\ud800": 1.5}])


def refuse_refuse(value: Any) -> None:
    if value == "refuse":
        raise ValueError("refused")


async def say(peer: socket.socket, conversation: Talk) -> None:
    """Write it piece by piece; nothing of what the host sends is read."""
    for piece in conversation.pieces:
        view = memoryview(piece)
        while view:
            try:
                view = view[peer.send(view) :]
            except BlockingIOError:
                await anyio.wait_writable(peer)
            except OSError:
                return  # the host hung up, as it should
        await anyio.lowlevel.checkpoint()
    if conversation.ending != "silence":
        hang_up(peer, socket.SHUT_WR if conversation.ending == "end" else socket.SHUT_RDWR)


async def play(conversation: Talk) -> CellResult:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    closed = anyio.Event()

    async def on_close() -> None:
        closed.set()

    limits = SessionLimits(cell_seconds=0.3 if conversation.ending == "silence" else 5.0, output_chars=2000)
    wire = Wire(ours, stall_seconds=STALL_SECONDS)
    worker: Any = SocketWorker(theirs)
    session = CPythonSession(wire, worker, limits, description="", in_flight=1 << 16, on_close=on_close)
    try:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as group:
                group.start_soon(say, theirs, conversation)
                result = await session.run_cell("1", RecordingHost(reply, check=refuse_refuse))
                group.cancel_scope.cancel()
            if closed.is_set():
                with pytest.raises(SessionDied):
                    await session.run_cell("1", RecordingHost())
            await session.aclose()
    finally:
        theirs.close()
    assert closed.is_set()
    return result


def outcome(result: CellResult) -> str:
    """The name of how it ended; fails when it has none."""
    assert len(result.error) < 20_000
    assert len(result.stdout) <= 2000
    if result.status != "died":
        assert result.status in ("ok", "error", "answered", "timeout")
        return result.status
    assert result.stdout == ""
    assert result.answer is None
    reason = result.error.removeprefix("The session was lost: ")
    names = [name for name in LOST if re.match(name, reason)]
    assert len(names) == 1, result.error
    assert len(reason) < 400
    return names[0]


@pytest.mark.parametrize("part", range(PARTS))
async def test_hostile_conversations_end_in_an_outcome_with_a_name(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(cell, "NUDGE_SECONDS", 0.05)
    gc.collect()  # what earlier tests of this process left to be closed is not ours to count
    descriptors = len(os.listdir("/proc/self/fd"))
    outcomes: Counter[str] = Counter()
    mutations: Counter[str] = Counter()
    seeds = iter(range(part, CONVERSATIONS, PARTS))

    async def play_some() -> None:
        for seed in seeds:
            conversation = talk(seed)
            try:
                outcomes[outcome(await play(conversation))] += 1
            except Exception as error:
                raise AssertionError(f"seed {seed}: {conversation}") from error
            mutations[conversation.mutation] += 1

    async with anyio.create_task_group() as group:
        for _ in range(AT_ONCE):
            group.start_soon(play_some)
    assert outcomes.total() == CONVERSATIONS // PARTS
    assert set(mutations) == {name for name, _ in MUTATIONS}
    assert len(set(outcomes) & OUTCOMES) >= len(OUTCOMES) - 4, sorted(OUTCOMES - set(outcomes))
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def test_a_conversation_follows_from_its_seed() -> None:
    assert [talk(seed) for seed in range(200)] == [talk(seed) for seed in range(200)]
