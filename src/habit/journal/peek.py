"""Looking into a journal without leaving a trace: for completion and for ``habit doctor``, which change nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path


def peek(path: Path, *, busy_seconds: float) -> sqlite3.Connection:
    """A read-only connection to a journal that exists; nothing is created and nothing is migrated.

    Without a write-ahead log nobody has the journal open, so it is read as it lies there: any other way would leave a
    log behind. Raises sqlite3.Error.
    """
    path = path.absolute()
    at_rest = not path.with_name(path.name + "-wal").exists()
    return sqlite3.connect(f"{path.as_uri()}?mode=ro{'&immutable=1' * at_rest}", uri=True, timeout=busy_seconds)
