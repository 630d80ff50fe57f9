"""Keeps forked processes small: a fork that runs none of Python's hooks, huge pages for large contexts only."""

from __future__ import annotations

import _thread
import ctypes
import os

PR_SET_THP_DISABLE = 41

_libc = ctypes.PyDLL(None, use_errno=True)


def fork() -> int:
    """As os.fork, for a process of one thread: nobody else can hold a lock of it, so that none has to be renewed.

    os.fork has Python, and each module that asked for it, do so in parent and child: some 700 kB of pages written to.
    """
    if _thread._count():  # a library has started threads, against what it is asked for
        return os.fork()
    pid = int(_libc.fork())
    if pid < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return pid


def huge_pages(wanted: bool) -> None:
    """Whether this process, and what it forks, gets pages of 2 MiB: for a few bytes somewhere new that is much."""
    _libc.prctl(ctypes.c_int(PR_SET_THP_DISABLE), *(ctypes.c_ulong(word) for word in (not wanted, 0, 0, 0)))
