"""EventLog: the events of a run as JSON lines in a file or pipe; see docs/events.md."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from types import TracebackType
from typing import Self, TextIO

from habit.errors import UsageError
from habit.events import Event, RunStarted
from habit.run import RunEnded
from habit.telemetry.event_json import to_line

_MOST_WAITING = 100_000
"""Lines kept for a reader that does not keep up; further events are left out."""
_PATIENCE_SECONDS = 5.0
"""How long the end waits for a reader that does not read."""


class EventLog:
    """An observer that appends each event to ``path`` at once, as one line.

    A thread of its own writes, so that a slow disk or pipe holds nothing up. A full disk or a reader that went away
    does no harm to the run and is told at the end, to ``warn``. A context manager; raises UsageError on entry when the
    file can't be opened. For one run at a time.
    """

    def __init__(self, path: str, *, content: bool = False, warn: Callable[[str], None] = lambda text: None) -> None:
        self.path = path
        self.content = content
        self.warn = warn
        self._run: str | None = None
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._problem = ""
        self._left_out = 0
        self._writer: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Open the file."""
        if self.path == "-":
            raise UsageError("--events needs a FILE, as stdout is for the answer: write --events /dev/stderr.")
        try:
            file = open(self.path, "a", buffering=1, encoding="ascii")
        except OSError as problem:
            reason = problem.strerror or type(problem).__name__
            raise UsageError(f"{self.path} can't be written to ({reason}): name another file with --events.") from None
        # A daemon, so that a pipe that nobody reads can't keep the process from ending.
        self._writer = threading.Thread(target=self._write, args=(file,), name="habit events", daemon=True)
        self._writer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is left, and close the file."""
        assert self._writer is not None
        self._lines.put(None)
        self._writer.join(_PATIENCE_SECONDS)
        if self._writer.is_alive():
            self._left_out += self._lines.qsize()
        if self._left_out:
            self._problem = self._problem or f"its reader did not keep up, and {self._left_out} events were left out"
        if self._problem:
            self.warn(f"Not all events are in {self.path}: {self._problem}.")

    def on_event(self, event: Event) -> None:
        """Take note of what happened."""
        if isinstance(event, RunStarted):
            self._run = event.run
        if not self._problem and self._lines.qsize() < _MOST_WAITING:
            self._lines.put(to_line(event, run=self._run, time=time.time(), content=self.content))
        else:
            self._left_out += 1
        if isinstance(event, RunEnded):
            self._run = None

    def _write(self, file: TextIO) -> None:
        try:
            with file:
                while (line := self._lines.get()) is not None:
                    file.write(f"{line}\n")
        except OSError as problem:
            self._problem = f"{problem.strerror or type(problem).__name__}"
