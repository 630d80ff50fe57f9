"""The journal's tables, format 5, and the way there from older formats; docs/journal.md explains every column."""

from __future__ import annotations

FORMAT = 5
"""Stored as ``PRAGMA user_version``; a journal with a higher number was written by a newer Habit."""
APPLICATION_ID = 0x48626974
"""``Habt`` in ASCII (``PRAGMA application_id``): tells a journal from any other SQLite file."""

COSTLY = "usd > 0 AND attempts > 0 AND cached_from IS NULL"
"""Which calls were sent and cost something: the only ones in the index that a day's budget is read from."""

TABLES = (
    """CREATE TABLE meta (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE runs (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        query NOT NULL,
        started REAL NOT NULL,
        settings NOT NULL,
        context NOT NULL,
        strategy NOT NULL,
        status TEXT NOT NULL,
        result
    )""",
    "CREATE INDEX runs_by_time ON runs (started, id)",
    """CREATE TABLE cells (
        number INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs,
        session NOT NULL,
        "index" INTEGER NOT NULL,
        code NOT NULL,
        status NOT NULL,
        stdout NOT NULL,
        stdout_dropped INTEGER NOT NULL,
        error NOT NULL,
        seconds REAL NOT NULL,
        started REAL NOT NULL,
        folded INTEGER NOT NULL DEFAULT 0,
        UNIQUE (run, session, "index")
    )""",
    """CREATE TABLE messages (
        number INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,
        characters INTEGER NOT NULL,
        text NOT NULL
    )""",
    """CREATE TABLE calls (
        number INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs,
        key NOT NULL,
        occurrence INTEGER NOT NULL,
        role NOT NULL,
        session NOT NULL,
        cell INTEGER NOT NULL,
        model NOT NULL,
        prompt NOT NULL,
        reply,
        input_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        usd REAL,
        seconds REAL NOT NULL,
        started REAL NOT NULL,
        finish NOT NULL,
        error NOT NULL,
        error_reason NOT NULL,
        attempts INTEGER NOT NULL,
        cached_from,
        cache_read_tokens INTEGER NOT NULL DEFAULT 0,
        waited REAL NOT NULL DEFAULT 0,
        ahead INTEGER NOT NULL DEFAULT 0,
        UNIQUE (key, occurrence, run)
    )""",
    "CREATE INDEX calls_by_run ON calls (run)",
    f"CREATE INDEX calls_by_cost ON calls (started, usd, attempts, cached_from) WHERE {COSTLY}",
)

UPGRADES: dict[int, tuple[str, ...]] = {
    1: ("ALTER TABLE cells ADD COLUMN folded INTEGER NOT NULL DEFAULT 0",),
    # A negative ``calls.occurrence`` means something from now on.
    2: ("ALTER TABLE calls ADD COLUMN cache_read_tokens INTEGER NOT NULL DEFAULT 0",),
    3: ("ALTER TABLE calls ADD COLUMN waited REAL NOT NULL DEFAULT 0",),
    4: ("ALTER TABLE calls ADD COLUMN ahead INTEGER NOT NULL DEFAULT 0",),
}
"""What takes a journal from each older format to the next one."""
