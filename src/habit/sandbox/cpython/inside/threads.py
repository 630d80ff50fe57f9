"""Which cell a thread belongs to, and how many threads a session may have."""

from __future__ import annotations

import _thread
import concurrent.futures
import functools
import threading
from collections.abc import Callable
from typing import Any

STACK = 512 << 10
"""Bytes of stack for each thread; the default of 8 MiB would use up the address space of a session in no time."""
MAX_THREADS = 512


class CellOfThread:
    """The number of the cell that the running code belongs to: its thread's, or the one that is running now."""

    def __init__(self) -> None:
        self.running = 0
        self._local = threading.local()
        self._main = threading.main_thread()

    def get(self) -> int:
        """A thread belongs to the cell that started it, a pool's job to the cell that submitted it."""
        if threading.current_thread() is self._main:
            return self.running
        cell: int = getattr(self._local, "cell", 0)
        return cell

    def install(self) -> None:
        """Have new threads and jobs remember their cell."""
        threading.stack_size(STACK)
        thread_class: Any = threading.Thread
        pool_class: Any = concurrent.futures.ThreadPoolExecutor
        start, bootstrap, submit = thread_class.start, thread_class._bootstrap_inner, pool_class.submit
        start_raw: Any = _thread.start_new_thread

        @functools.wraps(start)
        def start_in_cell(thread: Any) -> None:
            _check_count()
            thread._habit_cell = self.get()
            start(thread)

        @functools.wraps(bootstrap)
        def bootstrap_in_cell(thread: Any) -> None:
            self._local.cell = getattr(thread, "_habit_cell", 0)
            bootstrap(thread)

        @functools.wraps(submit)
        def submit_in_cell(pool: Any, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
            return submit(pool, self._bound(function), *args, **kwargs)

        def start_new_thread(function: Callable[..., Any], *rest: Any) -> Any:
            _check_count()
            return start_raw(self._bound(function), *rest)

        thread_class.start, thread_class._bootstrap_inner = start_in_cell, bootstrap_in_cell
        pool_class.submit = submit_in_cell
        raw: Any = _thread
        raw.start_new_thread = start_new_thread

    def _bound(self, function: Callable[..., Any]) -> Callable[..., Any]:
        cell = self.get()

        @functools.wraps(function, assigned=("__name__", "__qualname__", "__doc__"), updated=())
        def in_cell(*args: Any, **kwargs: Any) -> Any:
            before = getattr(self._local, "cell", 0)
            self._local.cell = cell
            try:
                return function(*args, **kwargs)
            finally:
                self._local.cell = before

        return in_cell


def _check_count() -> None:
    if _thread._count() >= MAX_THREADS:
        raise RuntimeError(f"a session may have {MAX_THREADS} threads: use a ThreadPoolExecutor with fewer workers")
