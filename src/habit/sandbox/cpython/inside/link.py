"""The worker's end of the socket: sends frames, and brings each reply to the thread or coroutine that waits for it."""

from __future__ import annotations

import mmap
import os
import queue
import signal
import socket
import threading
from _thread import start_new_thread as start_thread  # as it was before ``threads`` took it over
from collections.abc import Callable, Sequence
from typing import Any

from habit.errors import CallFailed
from habit.sandbox.cpython import frames
from habit.sandbox.cpython.inside.interrupts import Interrupts

RESERVE = 32 << 20
"""Bytes of address space held back, so that a cell that used up its memory can still be reported."""

Settle = Callable[["Pending"], None]


class CellEnded(BaseException):
    """Raised in a thread that outlived its cell and asks for, or waits for, something of the host."""


class Pending:
    """A request under way."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.settled = False
        self.reply: dict[str, Any] = {}
        self.failure: BaseException | None = None
        self.listeners: list[Settle] = []
        # A bare lock and no Event: an interrupt in the middle of Event.wait could leave its inner lock taken.
        self.gate = threading.Lock()
        self.gate.acquire()

    def wait(self) -> None:
        """Block until the reply is there."""
        self.gate.acquire()
        self.gate.release()

    def result(self) -> dict[str, Any]:
        """The content of the reply, or raise; only when settled."""
        if self.failure is not None:
            raise self.failure
        return self.reply


class Reserve:
    """Address space put aside for hard times."""

    def __init__(self) -> None:
        self._held: mmap.mmap | None = None
        self.refill()

    def spend(self) -> bool:
        """Give the reserve free; False when it was spent before."""
        if self._held is None:
            return False
        self._held.close()
        self._held = None
        return True

    def refill(self) -> bool:
        """Put it aside (again); False when that would leave the next cell less room than it takes."""
        if self._held is None:
            try:
                mmap.mmap(-1, 2 * RESERVE).close()
                self._held = mmap.mmap(-1, RESERVE)
            except OSError:
                return False
        return True


class Link:
    """Frames in both directions. One thread reads; any thread may send."""

    def __init__(self, interrupts: Interrupts) -> None:
        self.cells: queue.SimpleQueue[tuple[dict[str, Any], str]] = queue.SimpleQueue()
        self._interrupts = interrupts
        self._in_flight_limit = 0
        self._in_flight = 0
        self._sending = threading.Lock()
        self._state = threading.Lock()
        self._pending: dict[int, Pending] = {}
        self._last_id = 0
        self._open_cell: int | None = None
        self._ahead = memoryview(b"")
        """What was read beyond the frame before: the start of those that follow."""

    def connect(self, connection: socket.socket) -> tuple[dict[str, Any], str]:
        """Receive the first frame of all: how the session starts, and its query."""
        self._socket = connection
        self.reserve = Reserve()
        self._read = mmap.mmap(-1, frames.SMALL)  # of which only the pages that are read into take memory
        header, blob = self._receive_frame()
        self._in_flight_limit = header["in_flight"]
        return header, str(blob, "utf-8", "surrogatepass")

    def start(self) -> None:
        """Begin to read, in a thread that leaves interrupts to the main one."""
        start_thread(self._read_for_ever, ())  # no threading.Thread: it would write to some 60 pages more

    def open_cell(self, cell: int) -> None:
        """From now on requests of this cell are sent."""
        with self._interrupts.masked(), self._state:
            self._open_cell = cell

    def close_cell(self, header: dict[str, Any], blob: bytes) -> None:
        """Send the last frame of the cell; whoever still waits for a reply is told that the cell has ended."""
        with self._sending:
            with self._state:
                self._open_cell = None
                abandoned = list(self._pending.values())
                self._pending.clear()
                self._in_flight = 0
            self._send_now(header, [blob])
        for pending in abandoned:
            pending.failure = CellEnded("the cell has ended")
            self._settle(pending)

    def request(self, cell: int, kind: str, header: dict[str, Any], blobs: Sequence[bytes]) -> Pending:
        """Send a request and return at once. Raises ValueError when it is too large, CellEnded after its cell."""
        pending = Pending(sum(map(len, blobs)))
        with self._interrupts.masked(), self._sending:
            with self._state:
                self._check_room(cell, pending.size)
                number = self._last_id + 1
                self._pending[number] = pending
                self._in_flight += pending.size
            try:
                self._send_now({"t": kind, "id": number, "cell": cell, **header}, blobs)
                self._last_id = number
            except (ValueError, MemoryError):  # nothing was sent: the frame is too large
                with self._state:
                    del self._pending[number]
                    self._in_flight -= pending.size
                raise
        return pending

    def listen(self, pending: Pending, listener: Settle) -> None:
        """Call ``listener`` when the reply is there; at once if it is."""
        with self._interrupts.masked():
            with self._state:
                if not pending.settled:
                    pending.listeners.append(listener)
                    return
            listener(pending)

    def send(self, header: dict[str, Any], *blobs: bytes) -> None:
        """Send a frame that expects no reply."""
        with self._interrupts.masked(), self._sending:
            self._send_now(header, blobs)

    def _check_room(self, cell: int, size: int) -> None:
        if self._open_cell != cell:
            raise CellEnded("the cell has ended")
        if len(self._pending) >= frames.MAX_PENDING:
            raise ValueError(
                f"{frames.MAX_PENDING:,} calls are under way already: use recursive_llm_map, or wait for replies first"
            )
        if self._in_flight + size > self._in_flight_limit:
            raise ValueError(
                f"the calls under way hold {self._in_flight + size:,} bytes of text and {self._in_flight_limit:,} is "
                "the most at a time: pass shorter contexts, or fewer at once"
            )

    def _send_now(self, header: dict[str, Any], blobs: Sequence[bytes]) -> None:
        size = sum(map(len, blobs))
        head = frames.encode_frame(header, size)
        if size <= frames.SMALL:  # in one piece: the host wakes up for every piece
            head, blobs = b"".join((head, *blobs)), ()
        try:
            self._socket.sendall(head)
            for blob in blobs:
                if blob:
                    self._socket.sendall(blob)
        except OSError:
            os._exit(0)  # the host is gone or has given this session up

    def _read_for_ever(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        while True:
            try:
                self._read_one()
            except MemoryError:
                if not self.reserve.spend():
                    os._exit(70)

    def _receive_frame(self) -> tuple[dict[str, Any], bytearray]:
        header_size, blob_size = frames.LENGTHS.unpack(self._receive(frames.LENGTHS.size))
        return frames.decode_header(self._receive(header_size)), self._receive_big(blob_size)

    def _read_one(self) -> None:
        header, blob = self._receive_frame()
        if header["t"] == "cell":
            self.cells.put((header, str(blob, "utf-8", "surrogatepass")))
            return
        with self._state:
            pending = self._pending.pop(header["id"], None)
            if pending is None:
                return
            self._in_flight -= pending.size
        try:
            content = frames.decode_json(blob)
            if "error" in content:
                pending.failure = failure_of(content)
            else:
                pending.reply = content
        except (ValueError, MemoryError) as error:
            pending.failure = error
        self._settle(pending)

    def _settle(self, pending: Pending) -> None:
        with self._state:
            pending.settled = True
            listeners, pending.listeners = pending.listeners, []
        pending.gate.release()
        for listener in listeners:
            listener(pending)

    def _receive_big(self, size: int) -> bytearray:
        while True:
            try:
                buffer = bytearray(size)
            except MemoryError:
                if not self.reserve.spend():
                    raise
                continue
            self._fill(buffer)
            return buffer

    def _receive(self, size: int) -> bytearray:
        buffer = bytearray(size)
        self._fill(buffer)
        return buffer

    def _fill(self, buffer: bytearray) -> None:
        view = memoryview(buffer)
        while view:
            if self._ahead:
                count = min(len(view), len(self._ahead))
                view[:count], self._ahead = self._ahead[:count], self._ahead[count:]
            elif len(view) < frames.SMALL:
                self._ahead = memoryview(self._read)[: self._receive_into(self._read)]
                continue
            else:
                count = self._receive_into(view)
            view = view[count:]

    def _receive_into(self, buffer: mmap.mmap | memoryview) -> int:
        try:
            count = self._socket.recv_into(buffer)
        except OSError:
            count = 0
        if not count:
            os._exit(0)  # the host is gone or has given this session up
        return count


def failure_of(content: dict[str, Any]) -> CallFailed:
    """The exception for a call that the host reports as failed."""
    return CallFailed(content["error"], reason=content["reason"])
