"""Records to rows and back: every SQL statement that touches data."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from habit.errors import JournalError
from habit.journal.packing import digest, excerpt, kept_cell, pack, pack_json, unpack, unpack_json
from habit.journal.records import CallRecord, CellRecord, RememberedReply, RunRecord, RunStatus
from habit.journal.schema import COSTLY

IsFree = Callable[[str], bool]

_RUN = "id, query, started, settings, context, strategy, status, result"
_CELL = 'session, "index", code, status, stdout, stdout_dropped, error, seconds, started, folded'
_CALL = (
    "key, occurrence, role, session, cell, model, prompt, reply, input_tokens, output_tokens, usd, seconds, started, "
    "finish, error, error_reason, attempts, cached_from, cache_read_tokens, waited, ahead"
)
_AT_ONCE = 500  # values in one IN (…), well below SQLite's limit


def insert_run(db: sqlite3.Connection, run: RunRecord) -> None:
    """Add a run; JournalError when its id is taken."""
    if db.execute("SELECT 1 FROM runs WHERE id = ?", (run.id,)).fetchone():
        raise JournalError(f"run {run.id} is in the journal already: a new run needs a new id")
    values = (
        run.id,
        pack(run.query),
        run.started,
        pack_json(run.settings),
        pack_json(run.context),
        pack(run.strategy),
        run.status,
        None if run.result is None else pack_json(run.result),
    )
    db.execute(f"INSERT INTO runs ({_RUN}) VALUES (?,?,?,?,?,?,?,?)", values)


def update_run(db: sqlite3.Connection, run_id: str, status: RunStatus, result: Mapping[str, Any]) -> None:
    """Set how a run ended."""
    number = _run_number(db, run_id)
    db.execute("UPDATE runs SET status = ?, result = ? WHERE number = ?", (status, pack_json(result), number))


def insert_cell(db: sqlite3.Connection, cell: CellRecord) -> None:
    """Add or replace a cell."""
    cell = kept_cell(cell)
    values = (
        _run_number(db, cell.run),
        pack(cell.session),
        cell.index,
        pack(cell.code),
        pack(cell.status),
        pack(cell.stdout),
        cell.stdout_dropped,
        pack(cell.error),
        cell.seconds,
        cell.started,
        cell.folded,
    )
    db.execute(f"INSERT OR REPLACE INTO cells (run, {_CELL}) VALUES (?,?,?,?,?,?,?,?,?,?,?)", values)


def insert_call(db: sqlite3.Connection, call: CallRecord, instead_of: int | None = None) -> None:
    """Add a call, in place of a failed one with the same key and occurrence, and of whatever the run has of it under
    the number ``instead_of``; a reply is never replaced otherwise."""
    number = _run_number(db, call.run)
    key = pack(call.key)
    same = "run = ? AND key = ? AND occurrence = ?"
    db.execute(f"DELETE FROM calls WHERE {same} AND reply IS NULL", (number, key, call.occurrence))
    if instead_of is not None:
        db.execute(f"DELETE FROM calls WHERE {same}", (number, key, instead_of))
    values = (
        number,
        key,
        call.occurrence,
        pack(call.role),
        pack(call.session),
        call.cell,
        pack(call.model),
        pack_json([[role, _message_number(db, text)] for role, text in call.prompt]),
        None if call.reply is None else pack(call.reply),
        call.input_tokens,
        call.output_tokens,
        call.usd,
        call.seconds,
        call.started,
        pack(call.finish),
        pack(call.error),
        pack(call.error_reason),
        call.attempts,
        None if call.cached_from is None else pack(call.cached_from),
        call.cache_read_tokens,
        call.waited,
        call.ahead,
    )
    marks = ",".join("?" * len(values))
    db.execute(f"INSERT INTO calls (run, {_CALL}) VALUES ({marks}) ON CONFLICT DO NOTHING", values)


def select_reply(db: sqlite3.Connection, key: str, occurrence: int, role: str) -> RememberedReply | None:
    """A reply to the call; for a root call only from a run that was answered.

    A run that asked for it comes before one where it ran ahead in vain, as number -1, -2, … instead of 0, 1, …
    """
    answered = "AND runs.status = 'answered'" if role == "root" else ""
    row = db.execute(
        "SELECT runs.id, reply, input_tokens, output_tokens, finish FROM calls JOIN runs ON runs.number = calls.run "
        f"WHERE key = ? AND occurrence IN (?, ?) AND reply IS NOT NULL {answered} ORDER BY occurrence DESC LIMIT 1",
        (pack(key), occurrence, -1 - occurrence),
    ).fetchone()
    if row is None:
        return None
    run_id, reply, input_tokens, output_tokens, finish = row
    return RememberedReply(run_id, unpack(reply), input_tokens, output_tokens, unpack(finish))


def select_runs(db: sqlite3.Connection, limit: int, is_free: IsFree) -> list[RunRecord]:
    """Runs, newest first."""
    found = db.execute(f"SELECT {_RUN} FROM runs ORDER BY started DESC, id DESC LIMIT ?", (max(limit, 0),))
    return [_run(row, is_free) for row in found.fetchall()]


def select_run(db: sqlite3.Connection, run_id: str, is_free: IsFree) -> RunRecord:
    """The run with exactly this id, which must be there."""
    return _run(db.execute(f"SELECT {_RUN} FROM runs WHERE id = ?", (run_id,)).fetchone(), is_free)


def select_run_ids(db: sqlite3.Connection) -> list[str]:
    """All ids, newest first."""
    return [row[0] for row in db.execute("SELECT id FROM runs ORDER BY started DESC, id DESC")]


def select_last_asked(db: sqlite3.Connection) -> str | None:
    """The newest run that somebody asked, rather than one that serves another; None when there is none."""
    for row in db.execute(f"SELECT {_RUN} FROM runs ORDER BY started DESC, id DESC"):
        run = _run(row, lambda _: False)
        if not run.is_aside:
            return run.id
    return None


def select_cells(db: sqlite3.Connection, run_id: str) -> list[CellRecord]:
    """Cells in the order they started."""
    found = db.execute(
        f"SELECT {_CELL} FROM cells WHERE run = (SELECT number FROM runs WHERE id = ?) ORDER BY started, number",
        (run_id,),
    )
    return [
        CellRecord(
            run_id, unpack(session), index, unpack(code), unpack(status), unpack(stdout), dropped, unpack(error), *times
        )
        for session, index, code, status, stdout, dropped, error, *times in found
    ]


def select_calls(db: sqlite3.Connection, run_id: str) -> list[CallRecord]:
    """Calls in the order they were recorded."""
    found = db.execute(
        f"SELECT {_CALL} FROM calls WHERE run = (SELECT number FROM runs WHERE id = ?) ORDER BY number", (run_id,)
    ).fetchall()
    prompts = [unpack_json(row[6]) for row in found]
    texts = _message_texts(db, {number for prompt in prompts for _, number in prompt})
    return [
        _call(run_id, row, tuple((role, texts[number]) for role, number in prompt))
        for row, prompt in zip(found, prompts, strict=True)
    ]


def sum_usd(db: sqlite3.Connection, moment: float) -> float:
    """USD of the live calls that began at ``moment`` or later; in the words of the index ``calls_by_cost``."""
    row = db.execute(f"SELECT total(usd) FROM calls WHERE {COSTLY} AND started >= ?", (moment,)).fetchone()
    total: float = row[0]
    return total


def _run(row: tuple[Any, ...], is_free: IsFree) -> RunRecord:
    run_id, query, started, settings, context, strategy, status, result = row
    run = RunRecord(
        run_id,
        unpack(query),
        started,
        unpack_json(settings),
        unpack_json(context),
        unpack(strategy),
        status,
        None if result is None else unpack_json(result),
    )
    return replace(run, status="interrupted") if status == "running" and is_free(run_id) else run


def _call(run_id: str, row: tuple[Any, ...], prompt: tuple[tuple[str, str], ...]) -> CallRecord:
    key, occurrence, role, session, cell, model, _, reply, *numbers = row
    input_tokens, output_tokens, usd, seconds, started, finish, error, error_reason, *rest = numbers
    attempts, cached_from, cache_read_tokens, waited, ahead = rest
    return CallRecord(
        run=run_id,
        key=unpack(key),
        occurrence=occurrence,
        role=unpack(role),
        session=unpack(session),
        cell=cell,
        model=unpack(model),
        prompt=prompt,
        reply=None if reply is None else unpack(reply),
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        usd=usd,
        seconds=seconds,
        started=started,
        finish=unpack(finish),
        error=unpack(error),
        error_reason=unpack(error_reason),
        attempts=attempts,
        cached_from=None if cached_from is None else unpack(cached_from),
        cache_read_tokens=cache_read_tokens,
        waited=waited,
        ahead=bool(ahead),
    )


def _run_number(db: sqlite3.Connection, run_id: str) -> int:
    row = db.execute("SELECT number FROM runs WHERE id = ?", (run_id,)).fetchone()
    if row is None:
        raise JournalError(f"the journal has no run {run_id!r}: add the run before its cells and calls")
    number: int = row[0]
    return number


def _message_number(db: sqlite3.Connection, text: str) -> int:
    """The row that holds ``text`` or its excerpt, added when it is new."""
    name = digest(text)
    row = db.execute("SELECT number FROM messages WHERE digest = ?", (name,)).fetchone()
    if row is None:
        insert = "INSERT INTO messages (digest, characters, text) VALUES (?,?,?)"
        number = db.execute(insert, (name, len(text), pack(excerpt(text)))).lastrowid
    else:
        number = row[0]
    assert isinstance(number, int)
    return number


def _message_texts(db: sqlite3.Connection, numbers: Iterable[int]) -> dict[int, str]:
    wanted = sorted(numbers)
    texts: dict[int, str] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        marks = ",".join("?" * len(part))
        found = db.execute(f"SELECT number, text FROM messages WHERE number IN ({marks})", part)
        texts.update((number, unpack(text)) for number, text in found)
    return texts
