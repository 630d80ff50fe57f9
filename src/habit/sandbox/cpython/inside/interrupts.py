"""Ends the cell that is running: on an interrupt by the host, and once an answer was accepted."""

from __future__ import annotations

import ast
import builtins
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

CELL_PREFIX = "<cell "
"""How the file name of a cell's code begins; tracebacks and the trace below tell cells from libraries by it."""


class CellInterrupted(KeyboardInterrupt):
    """The host stopped the cell: its time is up, or the run was cancelled."""


class Answered(SystemExit):
    """An answer was accepted.

    SystemExit, because nothing that catches Exception may catch it, an event loop lets it through at once, and it ends
    a helper thread without a word.
    """


_CHECK = " check"
"""The name under which handlers find ``Interrupts.check``; no code can spell it."""
_HARMLESS = {
    "Exception",
    "ValueError",
    "TypeError",
    "KeyError",
    "IndexError",
    "AttributeError",
    "ImportError",
    "OSError",
}


def guard_handlers(tree: ast.AST) -> None:
    """Have no ``except`` of a cell swallow the end of the cell: let every one that might begin with a check."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and not (isinstance(node.type, ast.Name) and node.type.id in _HARMLESS):
            check = ast.Expr(ast.Call(ast.Name(_CHECK, ast.Load()), [], []))
            ast.copy_location(check, node.body[0])
            node.body.insert(0, ast.fix_missing_locations(check))


class Interrupts:
    """Turns SIGINT into an exception in the main thread, but only where one may be raised."""

    def __init__(self) -> None:
        self._ending: type[BaseException] | None = None
        self._armed = False
        self._masked = 0
        self._deferred = False
        self._main = threading.main_thread()
        self._signals = 0

    def install(self) -> None:
        """Take over SIGINT; to be called in the main thread."""
        signal.signal(signal.SIGINT, self._on_signal)
        vars(builtins)[_CHECK] = self.check

    def check(self) -> None:
        """Raise again if the cell is ending; called at the start of every handler that could have caught its end."""
        if self._armed and self._ending is not None and threading.current_thread() is self._main:
            raise self._ending

    def arm(self) -> None:
        """Before a cell runs: from here on an interrupt raises. Restores the handler that a cell may have replaced."""
        signal.signal(signal.SIGINT, self._on_signal)
        self._ending, self._signals, self._deferred = None, 0, False
        self._armed = True

    def disarm(self) -> None:
        """From here on an interrupt does nothing. Raises nothing itself, however many arrive meanwhile."""
        while self._armed:
            try:
                self._armed = False
            except (CellInterrupted, Answered):
                continue
        sys.settrace(None)

    @contextmanager
    def masked(self) -> Iterator[None]:
        """Hold back an interrupt of the main thread, for a step that must not be left half done (a frame)."""
        if threading.current_thread() is not self._main:
            yield
            return
        self._masked += 1
        try:
            yield
        finally:
            self._masked -= 1
            if self._deferred and not self._masked:
                self._deferred = False
                if self._armed:
                    self._raise(sys._getframe())

    def end_with_answer(self) -> NoReturn:
        """End the cell because its answer was accepted: raises here, and in the main thread if this is another."""
        self._ending = Answered
        if threading.current_thread() is self._main:
            self._unwind_cells(sys._getframe())
        else:
            signal.pthread_kill(self._main.ident or 0, signal.SIGINT)
        raise Answered

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self._armed:
            return
        if self._masked:
            self._deferred = True
            return
        self._raise(frame)

    def _raise(self, frame: FrameType | None) -> NoReturn:
        self._signals += 1
        if self._ending is None:
            self._ending = CellInterrupted
        if self._signals > 1 or self._ending is Answered:
            self._unwind_cells(frame)
        raise self._ending

    def _unwind_cells(self, frame: FrameType | None) -> None:
        """Raise once more at the next line of the cell, for what ``guard_handlers`` does not see (``suppress``)."""
        while frame is not None:
            if frame.f_code.co_filename.startswith(CELL_PREFIX):
                frame.f_trace = self._trace
            frame = frame.f_back
        sys.settrace(self._trace)

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(CELL_PREFIX):
            return None
        if self._armed and self._ending is not None and event in ("call", "line") and not self._masked:
            raise self._ending
        return self._trace
