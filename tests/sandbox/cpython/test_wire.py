"""The host's end of a worker's socket."""

from __future__ import annotations

import socket

import anyio
import anyio.lowlevel

from habit.sandbox.cpython import frames
from habit.sandbox.cpython.wire import Wire

FRAMES = 1_000


async def test_a_worker_that_sends_without_end_leaves_others_their_turn() -> None:
    ours, theirs = socket.socketpair()
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    with ours, theirs:
        wire = Wire(ours)
        theirs.sendall(frames.encode_frame({"t": "offer"}, 0) * FRAMES)
        async with anyio.create_task_group() as group:
            group.start_soon(other)
            await anyio.lowlevel.checkpoint()
            before = turns
            for _ in range(FRAMES):
                assert await wire.receive(0) == ({"t": "offer"}, b"")
            assert turns - before >= FRAMES // 100
            group.cancel_scope.cancel()
