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
_BREATH_FRAMES = 100
"""The same for small frames, of which many are read at once."""


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
        self._sending = anyio.Lock(fast_acquire=True)
        # What was read and not given out yet; kept here so that a cancelled reader loses nothing.
        self._ahead = bytearray()
        self._body: bytearray | None = None
        self._header_size = 0
        self._filled = 0
        self._received = 0

    async def receive(self, max_blob: int) -> tuple[dict[str, Any], memoryview]:
        """The next frame. Waits for its first byte as long as it takes; raises PeerGone or PeerBroken."""
        self._received += 1
        if self._received % _BREATH_FRAMES == 0:
            await anyio.lowlevel.checkpoint()
        if self._body is None:
            await self._begin(max_blob)
        body = self._body
        assert body is not None
        if self._filled < len(body):
            with _Deadline(self._stall_seconds + len(body) / (1 << 20)):
                await self._fill(body)
        self._body = None
        try:
            header = frames.decode_header(memoryview(body)[: self._header_size])
        except frames.FrameError as error:
            raise PeerBroken(f"a header that is {error}") from None
        return header, memoryview(body)[self._header_size :]

    async def _begin(self, max_blob: int) -> None:
        """Read how large the next frame is, make room for it, and take what is there of it already."""
        ahead, lengths = self._ahead, frames.LENGTHS.size
        if not ahead:
            ahead += await self._receive_some()
        if len(ahead) < lengths:
            with _Deadline(self._stall_seconds):
                while len(ahead) < lengths:
                    ahead += await self._receive_some()
        self._header_size, blob_size = frames.LENGTHS.unpack_from(ahead)
        if self._header_size > frames.MAX_HEADER or blob_size > max_blob:
            raise PeerBroken(f"a frame of {self._header_size:,} + {blob_size:,} bytes is over its limits")
        size = self._header_size + blob_size
        body = ahead[lengths : lengths + size]
        del ahead[: lengths + size]
        self._filled = len(body)
        self._body = body + bytes(size - self._filled) if self._filled < size else body

    async def send(self, header: dict[str, Any], blob: bytes = b"") -> None:
        """Send a frame; raises PeerGone, or PeerBroken when the worker does not take it."""
        head = frames.encode_frame(header, len(blob))
        # As one piece, where that costs little: the worker wakes up for every piece.
        pieces = (head + blob,) if len(blob) <= frames.SMALL else (head, blob)
        async with self._sending:
            if self.torn:
                raise PeerGone
            self.torn = True
            for piece in pieces:
                left = self._send_some(memoryview(piece))
                if left:
                    seconds = self._stall_seconds + len(left) / (1 << 20)
                    with _Deadline(seconds, "requests and does not read the replies"):
                        await self._send_rest(left)
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

    async def _receive_some(self) -> bytes:
        """Whatever is there, which may be several frames: a worker that asks for much asks fast."""
        while True:
            try:
                data = self._socket.recv(frames.SMALL)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
                continue
            except OSError as error:
                raise PeerGone from error
            if not data:
                raise PeerGone
            return data

    def _send_some(self, view: memoryview) -> memoryview:
        """Send what the socket takes now; gives what is left."""
        try:
            return view[self._socket.send(view) :]
        except BlockingIOError:
            return view
        except OSError as error:
            raise PeerGone from error

    async def _send_rest(self, view: memoryview) -> None:
        while view:
            await anyio.wait_writable(self._socket)
            view = self._send_some(view)


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
