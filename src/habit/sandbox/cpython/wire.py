"""The host's end of a worker's socket: frames in and out, with a cap on every size and a deadline on every frame."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Any

import anyio
import anyio.lowlevel

from habit.sandbox.cpython import frames

STALL_SECONDS = 30.0
"""How long a frame that was begun may take, besides a second for every MiB."""
_BREATH = 4 << 20
"""Bytes after which other tasks get a turn, however fast the peer sends."""


class PeerGone(Exception):
    """The worker closed its end or died."""


class PeerBroken(Exception):
    """The worker breaks the protocol or stalls; it is not to be listened to any more."""


class Wire:
    """Frames over a non-blocking stream socket. One task at a time reads; any number may send."""

    def __init__(self, connection: socket.socket, *, stall_seconds: float = STALL_SECONDS) -> None:
        connection.setblocking(False)
        self.torn = False
        """A frame to the worker was cut off midway: nothing more can be said to it."""
        self._socket = connection
        self._stall_seconds = stall_seconds
        self._sending = anyio.Lock()
        # What was read of the frame that comes next; kept here so that a cancelled reader loses nothing.
        self._lengths = bytearray()
        self._body: bytearray | None = None
        self._filled = 0

    async def receive(self, max_blob: int) -> tuple[dict[str, Any], bytes]:
        """The next frame. Waits for its first byte as long as it takes; raises PeerGone or PeerBroken."""
        while not self._lengths:
            self._lengths += await self._receive_some(frames.LENGTHS.size)
        if len(self._lengths) < frames.LENGTHS.size:
            with _Deadline(self._stall_seconds):
                while len(self._lengths) < frames.LENGTHS.size:
                    self._lengths += await self._receive_some(frames.LENGTHS.size - len(self._lengths))
        header_size, blob_size = frames.LENGTHS.unpack(self._lengths)
        if header_size > frames.MAX_HEADER or blob_size > max_blob:
            raise PeerBroken(f"a frame of {header_size:,} + {blob_size:,} bytes is over its limits")
        if self._body is None:
            self._body, self._filled = bytearray(header_size + blob_size), 0
        with _Deadline(self._stall_seconds + len(self._body) / (1 << 20)):
            await self._fill(self._body)
        body, self._body = self._body, None
        self._lengths.clear()
        try:
            header = frames.decode_header(memoryview(body)[:header_size])
        except frames.FrameError as error:
            raise PeerBroken(f"a header that is {error}") from None
        return header, bytes(memoryview(body)[header_size:])

    async def send(self, header: dict[str, Any], blob: bytes = b"") -> None:
        """Send a frame; raises PeerGone, or PeerBroken when the worker does not take it."""
        head = frames.encode_frame(header, len(blob))
        async with self._sending:
            if self.torn:
                raise PeerGone
            self.torn = True
            with _Deadline(self._stall_seconds + len(blob) / (1 << 20), "requests and does not read the replies"):
                await self._send_all(head)
                await self._send_all(blob)
            self.torn = False

    def close(self) -> None:
        """Close the socket; no task may be reading or sending any more."""
        self._socket.close()

    async def _fill(self, body: bytearray) -> None:
        breath = _BREATH
        with memoryview(body) as view:
            while self._filled < len(body):
                try:
                    count = self._socket.recv_into(view[self._filled :])
                except BlockingIOError:
                    await anyio.wait_readable(self._socket)
                    continue
                except OSError as error:
                    raise PeerGone from error
                if not count:
                    raise PeerGone
                self._filled += count
                breath -= count
                if breath <= 0:
                    breath = _BREATH
                    await anyio.lowlevel.checkpoint()

    async def _receive_some(self, size: int) -> bytes:
        while True:
            try:
                data = self._socket.recv(size)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
                continue
            except OSError as error:
                raise PeerGone from error
            if not data:
                raise PeerGone
            return data

    async def _send_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                await anyio.wait_writable(self._socket)
            except OSError as error:
                raise PeerGone from error


class _Deadline:
    """A cancel scope that turns its own expiry into PeerBroken."""

    def __init__(self, seconds: float, otherwise: str = "half a frame and then nothing") -> None:
        self._otherwise = otherwise
        self._scope = anyio.move_on_after(seconds)

    def __enter__(self) -> None:
        self._scope.__enter__()

    def __exit__(self, *error: Any) -> bool:
        swallowed = bool(self._scope.__exit__(*error))
        if self._scope.cancelled_caught:
            raise PeerBroken(self._otherwise)
        return swallowed


async def receive_hello(connection: socket.socket, *, stream: bool) -> tuple[dict[str, Any], int | None]:
    """The first message of a process that was just forked, and the pidfd that comes with it. Raises PeerGone."""
    connection.setblocking(False)
    while True:
        try:
            data, descriptors = _receive_with_descriptors(connection, frames.LENGTHS.size if stream else 1 << 17)
            break
        except BlockingIOError:
            await anyio.wait_readable(connection)
        except OSError as error:
            raise PeerGone from error
    if not data:
        raise PeerGone
    size, _ = frames.LENGTHS.unpack(data[: frames.LENGTHS.size])
    body = bytearray(data[frames.LENGTHS.size :])
    try:
        while len(body) < size:
            await anyio.wait_readable(connection)
            piece = connection.recv(size - len(body))
            if not piece:
                raise PeerGone
            body += piece
        return frames.decode_header(body), next(iter(descriptors), None)
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise


def _receive_with_descriptors(connection: socket.socket, size: int) -> tuple[bytes, Sequence[int]]:
    data, descriptors, _, _ = socket.recv_fds(connection, size, 1)
    return data, descriptors
