"""SQLite databases: the rows of each table. The file is read as bytes: nothing is opened, nor changed."""

from __future__ import annotations

import sqlite3

from habit.contexts.documents.converted import Converted, Row
from habit.contexts.documents.readers.cells import plain

_FORMAT = slice(18, 20)
"""Where the header says which journal is used: 2 for a write-ahead log, which a database in memory can't have."""


def read(data: bytes) -> Converted:
    """The tables by name; views, virtual tables and SQLite's own are left out."""
    image = bytearray(data)
    image[_FORMAT] = b"\1\1"
    with sqlite3.connect(":memory:") as database:
        database.deserialize(image)
        for pragma in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON"):
            database.execute(f"PRAGMA {pragma}")
        database.text_factory = lambda text: text.decode("utf-8", "replace")
        listed = database.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND rootpage > 0"
        ).fetchall()
        kinds = {name: kind for _, name, kind, *_ in database.execute("PRAGMA main.table_list").fetchall()}
        notes: list[str] = []
        tables: dict[str, list[Row]] = {}
        for name, _ in listed:
            if not name.startswith("sqlite_") and kinds.get(name) == "table":
                cursor = database.execute('SELECT * FROM "' + name.replace('"', '""') + '"')
                columns = [column[0] for column in cursor.description]
                tables[name] = [dict(zip(columns, map(plain, row), strict=True)) for row in cursor]
        if empty := [name for name, rows in tables.items() if not rows]:
            notes.append(f"tables without rows: {', '.join(empty[:10])}{' …' * (len(empty) > 10)}")
    return Converted("tables", tables, "Table", tuple(notes))
