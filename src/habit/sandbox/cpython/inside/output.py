"""Catches what a cell prints: the first and the last of it, and how much was left out in between."""

from __future__ import annotations

import io
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NoReturn

from habit.sandbox.cpython.inside.interrupts import Interrupts

_MARK_ROOM = 60


class CellOutput:
    """The output of one cell, never much more than ``limit`` characters in memory."""

    def __init__(self, limit: int, interrupts: Interrupts) -> None:
        self._limit = max(limit, 2 * _MARK_ROOM)
        self._head_room = self._limit * 2 // 3
        self._tail_room = self._limit - self._head_room
        self._interrupts = interrupts
        self._folding = threading.Lock()
        self._new: deque[str] = deque()
        self._new_size = 0
        self._head: list[str] = []
        self._tail: deque[str] = deque()
        self._tail_size = 0
        self._total = 0

    def write(self, text: str) -> None:
        """Any thread may write; the order within a thread is kept."""
        self._new.append(text)
        self._new_size += len(text)  # inexact under threads, which only moves the next folding
        if self._new_size > self._limit or len(self._new) > 10_000:
            self._fold()

    def finish(self) -> tuple[str, int]:
        """The text, at most ``limit`` characters, and how many characters of the output it leaves out."""
        self._fold()
        head, tail = "".join(self._head), "".join(self._tail)
        if self._total <= self._limit:
            return head + tail, 0
        kept_tail = tail[-(self._tail_room - _MARK_ROOM) :]
        dropped = self._total - len(head) - len(kept_tail)
        return f"{head}\n[… {dropped:,} characters left out …]\n{kept_tail}", dropped

    def _fold(self) -> None:
        with self._interrupts.masked(), self._folding:
            self._new_size = 0
            for _ in range(len(self._new)):
                text = self._new.popleft()
                self._total += len(text)
                if self._head_room:
                    taken = text[: self._head_room]
                    self._head.append(taken)
                    self._head_room -= len(taken)
                    text = text[len(taken) :]
                if text:
                    text = text[-self._tail_room :]
                    self._tail.append(text)
                    self._tail_size += len(text)
                while self._tail_size - len(self._tail[0] if self._tail else "") >= self._tail_room:
                    self._tail_size -= len(self._tail.popleft())


class Stream(io.TextIOBase):
    """Stands in for sys.stdout and sys.stderr: what is written goes to the cell of the writing thread."""

    encoding = "utf-8"
    errors = "surrogatepass"
    name = "<stdout>"

    def __init__(self, current: Callable[[], CellOutput | None]) -> None:
        self._current = current

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, text: str) -> int:
        """Keep ``text``, or drop it when the cell it belongs to has ended."""
        if not isinstance(text, str):
            raise TypeError(f"write() takes a str and not a {type(text).__name__}")
        output = self._current()
        if output is not None:
            output.write(str(text))
        return len(text)

    @property
    def buffer(self) -> Any:
        """For ``sys.stdout.buffer.write``."""
        return _Bytes(self)

    def reconfigure(self, **settings: Any) -> None:
        """Nothing to set."""


class _Bytes:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        self._stream.write(bytes(data).decode("utf-8", "replace"))
        return len(data)

    def flush(self) -> None:
        pass


class NoInput(io.TextIOBase):
    """Stands in for sys.stdin: nobody is there to type."""

    def readable(self) -> bool:
        """Reading is refused with a message rather than with a flag."""
        return True

    def read(self, size: int | None = -1) -> NoReturn:
        """Refuse."""
        refuse_input()

    def readline(self, size: int | None = -1) -> NoReturn:
        """Refuse."""
        refuse_input()

    def __next__(self) -> NoReturn:
        refuse_input()


def refuse_input(prompt: object = "") -> NoReturn:
    """What ``input()`` does in a session."""
    raise RuntimeError("input() is not available, nobody is there to type: the data is in the variable `context`")
