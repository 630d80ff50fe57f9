"""What went wrong with the journal's files, in one sentence that says what to do next."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import zstandard

from habit.errors import HabitError, JournalError

_ELSEWHERE = "choose another place with --journal FILE, or run with --no-journal"
_FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DAMAGED = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_UNWRITABLE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR}


def primary_code(error: BaseException) -> int:
    """SQLite's primary result code, without the extended bits; 0 when it told none."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF if isinstance(code, int) else 0


def is_busy(error: BaseException) -> bool:
    """Whether another connection was in the way, so that trying again helps."""
    return isinstance(error, sqlite3.Error) and primary_code(error) in _BUSY


def explain(error: Exception, path: Path) -> HabitError:
    """The error to raise for ``error``, which came up while working on ``path``."""
    if isinstance(error, HabitError):
        return error
    code = primary_code(error)
    full = code == sqlite3.SQLITE_FULL or (isinstance(error, OSError) and error.errno in _FULL_DISK)
    if full:
        return JournalError(f"the disk is full, so {path} cannot be written: free some space, or run with --no-journal")
    if isinstance(error, OSError):
        return JournalError(f"{path} cannot be used ({error.strerror or error}): {_ELSEWHERE}")
    if code in _UNWRITABLE:
        return JournalError(f"the journal {path} cannot be used ({error}): {_ELSEWHERE}")
    if code in _BUSY:
        return JournalError(f"the journal {path} was kept busy by another process: try again, or run with --no-journal")
    if code in _DAMAGED:
        return JournalError(f"{path} is not a journal, or is damaged ({error}): move it away, or {_ELSEWHERE}")
    if isinstance(error, sqlite3.DatabaseError | zstandard.ZstdError | UnicodeDecodeError):
        return JournalError(f"the journal {path} gave an error ({error}): move it away if this stays, or {_ELSEWHERE}")
    return JournalError(f"the journal {path} cannot hold this record ({type(error).__name__}: {error})")
