"""Whatever a worker sends, its host neither hangs nor crashes: the cell ends as ``died`` and the session is closed."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from habit.errors import SessionDied
from habit.sandbox.cpython.session import CPythonSession
from habit.sandbox.cpython.wire import Wire
from habit.sandbox.session import CellResult, SessionLimits
from sandbox.conftest import Open
from sandbox.cpython.hostile import ANSWER, CALL, DONE, VALID, frame, sequences
from sandbox.hosts import RecordingHost

SEQUENCES = dict(sequences())
LIMITS = SessionLimits(cell_seconds=0.3, output_chars=2000)


class FakeProcess:
    """A worker that is only a socket: killing it closes that, and anything else it ignores."""

    pid = 0

    def __init__(self, peer: socket.socket) -> None:
        self.peer = peer
        self.signals: list[int] = []

    def send(self, number: signal.Signals) -> None:
        self.signals.append(number)
        if number == signal.SIGKILL:
            self.peer.close()

    def cpu_seconds(self) -> float:
        return 0.0

    async def end(self) -> None:
        self.peer.close()


@asynccontextmanager
async def fake_session() -> AsyncIterator[tuple[CPythonSession, socket.socket]]:
    ours, theirs = socket.socketpair()

    async def closed() -> None:
        pass

    process: Any = FakeProcess(theirs)
    wire = Wire(ours, stall_seconds=0.05)
    session = CPythonSession(wire, process, LIMITS, description="", in_flight=1 << 20, on_close=closed)
    try:
        yield session, theirs
    finally:
        await session.aclose()


def refuse_refuse(value: Any) -> None:
    if value == "refuse":
        raise ValueError("refused")


async def play(data: bytes, *, then_close: bool) -> CellResult:
    """A cell whose worker sends ``data`` and then ends or stays silent."""
    async with fake_session() as (session, peer):

        def send() -> None:
            try:
                peer.sendall(data)
                if then_close:
                    peer.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # the host hung up, as it should

        sender = threading.Thread(target=send)
        sender.start()
        with anyio.fail_after(30):
            result = await session.run_cell("1", RecordingHost(check=refuse_refuse))
        peer.close()
        await anyio.to_thread.run_sync(sender.join)
        if result.status == "died":
            with pytest.raises(SessionDied):
                await session.run_cell("1", RecordingHost())
        return result


def test_there_are_enough_of_them() -> None:
    assert len(SEQUENCES) >= 300


@pytest.mark.parametrize("name", SEQUENCES)
async def test_a_hostile_sequence_costs_the_session(name: str) -> None:
    result = await play(SEQUENCES[name], then_close=True)
    assert result.status == "died"
    assert "The session was lost" in result.error


@pytest.mark.parametrize("kind", VALID)
@pytest.mark.parametrize("cut", [1, 8, 12, -1])
async def test_a_worker_that_stalls_in_a_frame_is_given_up(kind: str, cut: int) -> None:
    header, blob = VALID[kind]
    result = await play(frame(header, blob)[:cut], then_close=False)
    assert result.status == "died"
    assert "it sent half a frame and then nothing" in result.error


async def test_a_silent_worker_is_killed_when_its_time_is_up() -> None:
    result = await play(b"", then_close=False)
    assert result.status == "died"
    assert "0.3 seconds" in result.error


async def test_a_worker_that_sends_calls_and_reads_no_reply_is_given_up() -> None:
    calls = b"".join(frame({**CALL, "id": i, "context": None}, b"q") for i in range(1, 3000))
    async with fake_session() as (session, peer):
        sender = threading.Thread(target=lambda: peer.sendall(calls))
        sender.start()
        with anyio.fail_after(30):
            result = await session.run_cell("1", RecordingHost(lambda request: "x" * 10_000))
        assert result.status == "died"
        await anyio.to_thread.run_sync(sender.join)


async def test_frames_after_the_end_of_a_cell_are_of_another_cell() -> None:
    async with fake_session() as (session, peer):
        peer.sendall(frame(DONE) + frame(CALL, b"qab"))
        assert (await session.run_cell("1", RecordingHost())).status == "ok"
        assert (await session.run_cell("2", RecordingHost())).status == "died"


async def test_the_honest_sequence_is_accepted() -> None:
    header, blob = VALID["map"]
    data = frame(CALL, b"qab") + frame({**header, "id": 2}, blob) + frame({**ANSWER, "id": 3}, b"[1]") + frame(DONE)
    result = await play(data, then_close=True)
    assert result.status == "answered"
    assert result.answer == [1]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300))
async def test_random_bytes_cost_the_session(data: bytes) -> None:
    assert (await play(data, then_close=True)).status == "died"


HEADERS = st.sampled_from([header for header, _ in VALID.values()]).flatmap(
    lambda header: st.fixed_dictionaries(
        {},
        optional={
            key: st.just(value)
            | st.none() | st.integers(-5, 1 << 40) | st.text(max_size=5) | st.lists(st.integers(0, 5), max_size=3)
            for key, value in header.items()
        },
    )
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.tuples(HEADERS, st.binary(max_size=20)), max_size=4))
async def test_random_headers_end_in_some_result(parts: list[tuple[Any, bytes]]) -> None:
    result = await play(b"".join(frame(header, blob) for header, blob in parts), then_close=True)
    assert result.status in ("died", "ok", "error", "answered")


FIND_SOCKET = (
    "import os, struct, json\n"
    "def is_open(n):\n"
    "    try: os.get_blocking(n)\n"
    "    except OSError: return False\n"
    "    return True\n"
    "fd, = [n for n in range(3, 256) if is_open(n)]\n"
    "def forge(header, blob=b''):\n"
    "    data = json.dumps(header).encode()\n"
    "    os.write(fd, struct.pack('<II', len(data), len(blob)) + data + blob)\n"
)
FORGERIES = {
    "garbage": "os.write(fd, b'garbage' * 1000)",
    "length": "os.write(fd, b'\\xff' * 8)",
    "half a frame, then nothing": "os.write(fd, b'\\x10\\x00')\nwhile True: pass",
    "a done": "forge({'t': 'done', 'cell': 1})",
    "an answer nobody checked": (
        "forge({'t': 'done', 'cell': 1, 'status': 'answered', 'error': '', 'stdout': 0, 'dropped': 0, 'variables': ''})"
    ),
    "an id from the future": "forge({'t': 'answer', 'id': 99, 'cell': 1}, b'1')",
    "an id twice": "forge({'t': 'answer', 'id': 1, 'cell': 1}, b'\"refuse\"')\nrecursive_llm('q')",
    "a flood": "while True: os.write(fd, b'x' * 65536)",
    "end of file": "import socket\nsocket.socket(fileno=fd).shutdown(socket.SHUT_WR)",
    "close": "os.close(fd)\nrecursive_llm('q')",
    "reading the replies away": (
        "import threading\ndef steal():\n    while True: os.read(fd, 1 << 16)\n"
        "for _ in range(8): threading.Thread(target=steal).start()\nwhile True: recursive_llm('q')"
    ),
}


@pytest.mark.parametrize("code", FORGERIES.values(), ids=FORGERIES.keys())
async def test_frames_forged_by_a_cell_cost_its_session_only(open_session: Open, code: str) -> None:
    session, bystander = await open_session("", cell_seconds=0.5), await open_session("")
    result = await session.run_cell(FIND_SOCKET + code, RecordingHost(check=refuse_refuse))
    assert result.status in ("died", "timeout"), result
    assert (await bystander.run_cell("1 + 1", RecordingHost())).stdout == "2\n"


async def test_a_cell_can_end_itself_early_and_gains_nothing(open_session: Open) -> None:
    """A well-formed end of its own cell, forged: believed, and whatever comes after it is not."""
    end = "{'t': 'done', 'cell': 1, 'status': 'ok', 'error': '', 'stdout': 0, 'dropped': 0, 'variables': ''}"
    session = await open_session("")
    assert (await session.run_cell(f"{FIND_SOCKET}forge({end})", RecordingHost())).status == "ok"
    assert (await session.run_cell("1", RecordingHost())).status == "died"
