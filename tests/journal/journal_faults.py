"""A connection that lets a test watch, hold up and break the journal's work."""

from __future__ import annotations

import sqlite3
import threading
from typing import Any, ClassVar


class WatchedConnection(sqlite3.Connection):
    """Lets a test see every statement, hold commits back, and set a quota on the writer."""

    statements: ClassVar[list[str]] = []
    gate: ClassVar[threading.Event] = threading.Event()
    at_gate: ClassVar[threading.Event] = threading.Event()
    most_pages: ClassVar[int | None] = None
    failures: ClassVar[dict[str, int]] = {}
    failure_code: ClassVar[int] = sqlite3.SQLITE_IOERR

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql == "BEGIN IMMEDIATE" and self.most_pages is not None:
            super().execute(f"PRAGMA max_page_count={self.most_pages}")
        self.statements.append(sql)
        if sql == "COMMIT":
            self.at_gate.set()
            self.gate.wait()
        if self.failures.get(sql, 0) > 0:
            self.failures[sql] -= 1
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = self.failure_code
            raise error
        return super().execute(sql, *parameters)
