"""Evidence: what became of every use of every version of a habit; uses are only ever added. SQLite, by the journal.

It is about this machine's use, so it is not in the library's git history: only strategies are promoted, never what
happened to them. All methods block and are safe to call from several threads and processes.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Literal

from habit.errors import UsageError

FORMAT = 1
"""Stored as ``PRAGMA user_version``."""
APPLICATION_ID = 0x48624576
"""``HbEv`` in ASCII: tells a file of evidence from any other SQLite file."""
_BUSY_MS = 10_000

Outcome = Literal["hit", "fallback", "violated", "abstained", "agreed", "disagreed"]
"""*hit*: it answered. *fallback*: it was tried and gave up. *violated*: the question was its, the input was not.
*abstained*: no habit was for the question. *agreed*, *disagreed*: a hit was solved afresh as well, and compared."""

_TABLES = """
CREATE TABLE uses (
    number INTEGER PRIMARY KEY,
    habit TEXT NOT NULL,
    version INTEGER NOT NULL,
    run TEXT NOT NULL,
    at REAL NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    root_tokens INTEGER NOT NULL,
    usd REAL,
    seconds REAL NOT NULL,
    calls INTEGER NOT NULL
);
CREATE INDEX uses_by_habit ON uses (habit, version, number);
CREATE TABLE phrasings (
    number INTEGER PRIMARY KEY,
    habit TEXT NOT NULL,
    template TEXT NOT NULL,
    at REAL NOT NULL,
    UNIQUE (habit, template)
);
"""
_LATER_TABLES = """
CREATE TABLE IF NOT EXISTS looked_after (run TEXT PRIMARY KEY, done INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS uses_by_run ON uses (run, number);
"""
"""What came after format 1 and older programs need not know: the runs that were answered, and whether what they called
for is done."""
_COLUMNS = "habit, version, run, at, outcome, reason, tokens, root_tokens, usd, seconds, calls"


@dataclass(frozen=True)
class Use:
    """One use of one version, or one question for which there was no habit (``habit`` is empty then)."""

    habit: str
    version: int
    run: str
    at: float
    """Unix seconds."""
    outcome: Outcome
    reason: str = ""
    tokens: int = 0
    """Of all its calls, input and output."""
    root_tokens: int = 0
    usd: float | None = None
    seconds: float = 0.0
    calls: int = 0
    """Live calls; none when every reply came from the journal."""


class Evidence:
    """The uses recorded in one file, or in memory for ``None``; also the phrasings that were confirmed by use."""

    def __init__(self, path: Path | None) -> None:
        """Open, and make the file at first use. Raises UsageError when it can't be used."""
        self._path = path
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None

    def note(self, use: Use, *, phrasing: str = "") -> None:
        """Add a use, and the ``phrasing`` that it confirmed. What was noted of the same run before stays and counts no
        more; the same of the same run is noted once."""
        with self._lock, self._open() as db:
            last = db.execute(
                "SELECT habit, version, outcome FROM uses WHERE run = ? ORDER BY number DESC LIMIT 1", (use.run,)
            ).fetchone()
            if last == (use.habit, use.version, use.outcome):
                return
            marks = ",".join("?" * len(fields(Use)))
            db.execute(f"INSERT INTO uses ({_COLUMNS}) VALUES ({marks})", astuple(use))
            if phrasing:
                _add(db, use.habit, phrasing)

    def uses(self, habit: str | None = None, *, latest: int | None = None) -> list[Use]:
        """Uses in the order they were noted: of one habit, or all; the ``latest`` of them. Of a run that was resumed,
        how it ended at last."""
        where, values = ("", ()) if habit is None else ("AND habit = ?", (habit,))
        limit = "" if latest is None else f"LIMIT {int(latest)}"
        superseded = "EXISTS (SELECT 1 FROM uses later WHERE later.run = uses.run AND later.number > uses.number)"
        with self._lock, self._open() as db:
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM uses WHERE NOT {superseded} {where} ORDER BY number DESC {limit}", values
            ).fetchall()
        return [Use(*row) for row in reversed(rows)]

    def calls_for(self, run: str, *, more: bool) -> bool:
        """Whether what an answered run called for is still to be done; ``more`` says so when it is asked first."""
        with self._lock, self._open() as db:
            db.execute("INSERT INTO looked_after VALUES (?, ?) ON CONFLICT DO NOTHING", (run, not more))
            (done,) = db.execute("SELECT done FROM looked_after WHERE run = ?", (run,)).fetchone()
        return not done

    def is_done(self, run: str) -> None:
        """What an answered run called for is done."""
        with self._lock, self._open() as db:
            db.execute("UPDATE looked_after SET done = 1 WHERE run = ?", (run,))

    def add(self, habit: str, template: str) -> None:
        """Remember how a question for ``habit`` was put, as a template; once is enough."""
        with self._lock, self._open() as db:
            _add(db, habit, template)

    def lookup(self, habit: str) -> list[str]:
        """The templates remembered for ``habit``, the oldest first."""
        with self._lock, self._open() as db:
            found = db.execute("SELECT template FROM phrasings WHERE habit = ? ORDER BY number", (habit,))
            return [row[0] for row in found]

    def remove(self, habit: str, template: str) -> None:
        """Forget a template, because an answer it led to was wrong."""
        with self._lock, self._open() as db:
            db.execute("DELETE FROM phrasings WHERE habit = ? AND template = ?", (habit, template))

    def close(self) -> None:
        """Give back the file."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def _open(self) -> sqlite3.Connection:
        """The connection, as a context manager that commits; the lock is held."""
        if self._db is None:
            try:
                self._db = _connect(self._path)
            except (sqlite3.Error, OSError) as problem:
                raise UsageError(
                    f"The evidence in {self._path} can't be used ({problem}): move the file away, or name another "
                    "journal with --journal."
                ) from problem
        return self._db


def _connect(path: Path | None) -> sqlite3.Connection:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(":memory:" if path is None else path, timeout=_BUSY_MS / 1000, check_same_thread=False)
    try:
        db.execute("BEGIN IMMEDIATE")  # two processes may find it empty at once
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (application,) = db.execute("PRAGMA application_id").fetchone()
        if version == 0 and not db.execute("SELECT 1 FROM sqlite_master").fetchone():
            for statement in _statements(_TABLES):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {FORMAT}")
        elif application != APPLICATION_ID or version != FORMAT:
            raise sqlite3.DatabaseError(f"it is no evidence of format {FORMAT}")
        for statement in _statements(_LATER_TABLES):
            db.execute(statement)
        db.commit()
    except BaseException:
        db.close()
        raise
    return db


def _statements(script: str) -> Iterable[str]:
    return (statement for statement in script.split(";") if statement.strip())


def _add(db: sqlite3.Connection, habit: str, template: str) -> None:
    db.execute(
        "INSERT INTO phrasings (habit, template, at) VALUES (?,?,?) ON CONFLICT DO NOTHING",
        (habit, template, time.time()),
    )
