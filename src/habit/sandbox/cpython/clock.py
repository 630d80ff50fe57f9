"""How long a cell has worked: wall time, but CPU time only while it waits for its host."""

from __future__ import annotations

from collections.abc import Callable


class CellClock:
    """A stopwatch that host calls stop, so that waiting for a model costs a cell nothing.

    While at least one host call is under way the worker may still compute in another thread; then its CPU time counts.
    """

    def __init__(self, wall: Callable[[], float], cpu: Callable[[], float]) -> None:
        self._wall = wall
        self._cpu = cpu
        self._waiting = 0
        self._spent = 0.0
        self._mark = wall()

    def begin_wait(self) -> None:
        """A host call begins."""
        if self._waiting == 0:
            self._spent = self.spent()
            self._mark = self._cpu()
        self._waiting += 1

    def end_wait(self) -> None:
        """A host call ended."""
        if self._waiting == 1:
            self._spent = self.spent()
            self._mark = self._wall()
        self._waiting -= 1

    @property
    def waiting(self) -> bool:
        """Whether a host call is under way."""
        return self._waiting > 0

    def spent(self) -> float:
        """Seconds of the cell's own work so far."""
        now = self._cpu() if self._waiting else self._wall()
        return self._spent + max(0.0, now - self._mark)
