"""Opening the journal's SQLite file: its folder, its format, and connections that many processes can share."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from habit.errors import JournalError, UsageError
from habit.journal.faults import explain, is_busy
from habit.journal.schema import APPLICATION_ID, FORMAT, TABLES, UPGRADES

BUSY_SECONDS = 60.0
"""How long a connection waits for other processes before it gives up."""


def home_of(path: Path) -> Path:
    """The folder that holds the blobs and locks of the journal ``path``: the ``.habit`` it is in, or one of its own."""
    return path.parent if path.parent.name == ".habit" else path.with_name(path.name + ".d")


def make_home(path: Path) -> None:
    """Create the folders ``path`` needs; a new home folder is kept out of git. Raises OSError."""
    home = home_of(path)
    try:
        home.mkdir(parents=True)  # and with it the folder of the journal, which is the same or the one above
    except FileExistsError:
        if not home.is_dir():
            raise
    else:
        (home / ".gitignore").write_text("*\n")


def open_writer(path: Path) -> sqlite3.Connection:
    """A connection that may write; creates the journal when there is none. Raises UsageError or JournalError."""
    try:
        make_home(path)
    except OSError as error:
        raise explain(error, path) from error
    return _open(path, _prepare)


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection for reading a journal that exists. Raises UsageError or JournalError."""
    return _open(path, lambda connection, path: connection.execute("PRAGMA query_only=ON"))


def _open(path: Path, prepare: Callable[[sqlite3.Connection, Path], object]) -> sqlite3.Connection:
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        except sqlite3.Error as error:
            raise explain(error, path) from error
        try:
            prepare(connection, path)
        except sqlite3.Error as error:
            connection.close()
            # The change to WAL and the clean-up by a last user report "busy" at once, without the usual wait.
            if not is_busy(error) or time.monotonic() > deadline:
                raise explain(error, path) from error
            time.sleep(0.01)
        except BaseException:
            connection.close()
            raise
        else:
            return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    version = _check_format(connection, path)
    if version == 0:
        connection.execute("PRAGMA journal_mode=WAL")
    if version < FORMAT:
        connection.execute("BEGIN IMMEDIATE")
        version = _check_format(connection, path)  # another process may have been quicker
        if version == 0:
            _create(connection)
        elif version < FORMAT:
            _upgrade(connection, version)
        connection.execute("COMMIT")
    connection.execute("PRAGMA synchronous=NORMAL")


def _check_format(connection: sqlite3.Connection, path: Path) -> int:
    """The journal's format, 0 for an empty file; raises for anything this version cannot use."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION_ID:
        if version or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise JournalError(f"{path} is a database of another program: choose another file with --journal FILE")
        return 0
    if version > FORMAT:
        raise UsageError(
            f"the journal {path} has format {version} and this Habit knows formats up to {FORMAT}: "
            "upgrade Habit, or use another file with --journal FILE"
        )
    return version


def _upgrade(connection: sqlite3.Connection, version: int) -> None:
    for step in range(version, FORMAT):
        for statement in UPGRADES[step]:
            connection.execute(statement)
    connection.execute("UPDATE meta SET value = ? WHERE name = 'format'", (str(FORMAT),))
    connection.execute(f"PRAGMA user_version={FORMAT}")


def _create(connection: sqlite3.Connection) -> None:
    from importlib import metadata  # slow to import, and needed once in a journal's life

    for table in TABLES:
        connection.execute(table)
    facts = {"format": str(FORMAT), "created_by": f"habit {metadata.version('habit')}", "created": f"{time.time():.3f}"}
    connection.executemany("INSERT INTO meta (name, value) VALUES (?, ?)", facts.items())
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={FORMAT}")
