"""Keeps what a cell prints: the first and the last of it, and how much was left out in between."""

from __future__ import annotations

from collections import deque

_MARK_ROOM = 60


class CellOutput:
    """The output of one cell, never much more than ``limit`` characters in memory."""

    def __init__(self, limit: int) -> None:
        self._limit = max(limit, 2 * _MARK_ROOM)
        self._head_room = self._limit * 2 // 3
        self._tail_room = self._limit - self._head_room
        self._head: list[str] = []
        self._tail: deque[str] = deque()
        self._tail_size = 0
        self._total = 0
        self.muted = False
        """Set once the cell is over in all but name: what it still prints is dropped."""

    def write(self, stream: str, text: str) -> None:
        """Take what the sandbox printed, on either stream."""
        if self.muted:
            return
        self._total += len(text)
        if self._head_room:
            taken = text[: self._head_room]
            self._head.append(taken)
            self._head_room -= len(taken)
            text = text[len(taken) :]
        if text:
            self._tail.append(text[-self._tail_room :])
            self._tail_size += len(self._tail[-1])
        while self._tail and self._tail_size - len(self._tail[0]) >= self._tail_room:
            self._tail_size -= len(self._tail.popleft())

    def finish(self) -> tuple[str, int]:
        """The text, at most ``limit`` characters, and how many characters of the output it leaves out."""
        head, tail = "".join(self._head), "".join(self._tail)
        if self._total <= self._limit:
            return head + tail, 0
        kept_tail = tail[-(self._tail_room - _MARK_ROOM) :]
        dropped = self._total - len(head) - len(kept_tail)
        return f"{head}\n[… {dropped:,} characters left out …]\n{kept_tail}", dropped
