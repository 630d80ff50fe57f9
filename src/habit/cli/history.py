"""``habit runs`` and ``habit show``: what the journal knows."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from habit.cli import options
from habit.cli.journals import journal_of, must_exist
from habit.cli.output import is_live, note_line, one_line, width_of, write_json
from habit.cli.pager import write_paged

if TYPE_CHECKING:
    from habit.config import Settings
    from habit.journal.records import CallRecord, CellRecord, RunRecord
    from habit.journal.store import Store

T = TypeVar("T")

no_pager_flag = click.option("--no-pager", is_flag=True, help="Print everything at once, however long it is.")


@click.command(short_help="List the runs in the journal, newest first.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, metavar="N", help="At most N runs.")
@options.journal_option
@no_pager_flag
@options.json_flag
def runs(limit: int, no_pager: bool, as_json: bool, **flags: Any) -> None:
    """List the runs in the journal, newest first."""
    from habit.config import load

    settings = load(flags)
    records: list[RunRecord] = []
    if journal_of(settings).exists():
        records = read_journal(settings, lambda store: store.runs(limit))
    if as_json:
        write_json([_summary(record) for record in records])
    elif records:
        write_paged(_table(records), wanted=not no_pager)
    else:
        note_line(f"There are no runs in {settings.journal} yet; make one with: habit ask QUERY [PATH ...]")


@click.command(short_help="Show one run: its cells, calls, answer and cost.")
@options.run_argument
@options.journal_option
@no_pager_flag
@click.option("--batches", is_flag=True, help="Show the batches of calls: what went out together, and what followed.")
@options.json_flag
def show(ref: str, no_pager: bool, batches: bool, as_json: bool, **flags: Any) -> None:
    """Show RUN, an id, a unique prefix of one, or last."""
    from habit.accounting import account
    from habit.accounting import batches as batches_of
    from habit.cli.batches import batches_text
    from habit.cli.report import report_text
    from habit.config import load

    async def everything(store: Store) -> tuple[RunRecord, list[CellRecord], list[CallRecord]]:
        record = await store.run(ref)
        return record, await store.cells(record.id), await store.calls(record.id)

    settings = load(flags)
    must_exist(settings)
    record, cells, calls = read_journal(settings, everything)
    if as_json:
        write_json(
            {
                **(record.result or {}),
                **_summary(record),
                "settings": dict(record.settings),
                "context": dict(record.context),
                "orchestration": account(calls, cells).to_json(),
                **({"batches": [batch.to_json() for batch in batches_of(calls)]} if batches else {}),
                "cell_records": [asdict(cell) for cell in cells],
                "call_records": [asdict(call) for call in calls],
            }
        )
    elif batches:
        write_paged(batches_text(batches_of(calls)), wanted=not no_pager)
    else:
        write_paged(report_text(record, cells, calls), wanted=not no_pager)


def read_journal(settings: Settings, question: Callable[[Store], Awaitable[T]]) -> T:
    """What the journal says to ``question``; the engine, which is slow to import, is not needed for that."""
    import anyio

    from habit.journal.sqlite import SqliteStore

    async def work() -> T:
        store = await SqliteStore.open(settings.journal)
        try:
            return await question(store)
        finally:
            await store.aclose()

    return anyio.run(work)


def iso(seconds: float) -> str:
    """Unix seconds as ISO 8601 in UTC: ``2026-11-22T16:55:01Z``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _summary(record: RunRecord) -> dict[str, Any]:
    result = record.result or {}
    usage = result.get("usage") or {}
    return {
        "run": record.id,
        "query": record.query,
        "status": record.status,
        "started": iso(record.started),
        "answer": result.get("answer"),
        "strategy": record.strategy,
        "for": record.serves,
        "seconds": result.get("seconds"),
        "usd": usage.get("usd"),
    }


def _table(records: list[RunRecord]) -> str:
    """One line for each run, cut to the terminal's width where there is one."""
    width = width_of(sys.stdout) if is_live(sys.stdout) else None
    id_width = max(len(record.id) for record in records)
    lines = []
    for record in records:
        when = datetime.fromtimestamp(record.started).strftime("%Y-%m-%d %H:%M")
        aside = f"(for {record.serves}) " if record.serves else "(learning) " if record.is_aside else ""
        line = f"{record.id:<{id_width}}  {when}  {record.status:<11}  {one_line(aside + record.query)}"
        lines.append(line if width is None or len(line) <= width else line[: width - 1] + "…")
    return "\n".join(lines)
