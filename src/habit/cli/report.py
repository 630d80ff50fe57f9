"""A run as text for people: what ``habit show`` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from habit.accounting import account
from habit.cli.batches import orchestration_line
from habit.cli.output import answer_text, count_of, one_line, visible
from habit.journal.records import CallRecord, CellRecord, RunRecord

_SHOWN_OUTPUT = 2_000
"""Characters of a cell's output that are shown; --json has all of it."""


def report_text(record: RunRecord, cells: Sequence[CellRecord], calls: Sequence[CallRecord]) -> str:
    """The run with its cells, calls, answer and cost."""
    result = record.result or {}
    blocks = [_head(record), *_cells(cells), _calls(calls)]
    if calls:
        blocks.append(orchestration_line(account(calls, cells)))
    answer = result.get("answer")
    if answer is not None:
        blocks.append("answer\n" + _indented(answer_text(answer)))
    blocks.append(_end(record, result))
    return "\n\n".join(block for block in blocks if block)


def _head(record: RunRecord) -> str:
    context = record.context
    started = datetime.fromtimestamp(record.started).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
    settings = {name: value for name, value in record.settings.items() if value not in (None, False, "auto")}
    continues = settings.pop("continues", None)
    rows = {
        "run": record.id,
        **({"continues": str(continues)} if continues else {}),
        "query": record.query,
        "status": record.status,
        "started": started,
        "context": f"{context.get('origin') or 'none'} ({context.get('kind')}, {context.get('bytes') or 0:,} bytes)",
        "settings": ", ".join(f"{name}={_setting(value)}" for name, value in settings.items()),
    }
    return "\n".join(f"{name:<9} {one_line(text)}" for name, text in rows.items())


def _setting(value: Any) -> str:
    return value if isinstance(value, str) else answer_text(value)


def _cells(cells: Sequence[CellRecord]) -> Iterator[str]:
    """Each cell, and before it a line where earlier cells of its session were folded away since the one before it."""
    folded: dict[str, int] = {}
    for cell in cells:
        if cell.folded > folded.get(cell.session, 0):
            which = f"cells 1–{cell.folded} were" if cell.folded > 1 else "cell 1 was"
            yield f"({which} folded into a summary before this one)"
        folded[cell.session] = cell.folded
        yield _cell(cell)


def _cell(cell: CellRecord) -> str:
    where = "" if cell.session == "0" else f" of child run {cell.session}"
    parts = [f"cell {cell.index}{where} ({cell.status}, {cell.seconds:.2f} s)", _indented(cell.code, "    | ")]
    output = cell.stdout
    more = len(output) - _SHOWN_OUTPUT + cell.stdout_dropped
    if len(output) > _SHOWN_OUTPUT:
        output = f"{output[:_SHOWN_OUTPUT]}\n… {count_of(more, 'more character')}"
    parts += [_indented(text) for text in (output, cell.error) if text.strip()]
    return "\n".join(parts)


def _calls(calls: Sequence[CallRecord]) -> str:
    """Calls by role and model: how many, how long, how many tokens, what failed."""
    groups: dict[tuple[str, str], list[CallRecord]] = {}
    for call in calls:
        groups.setdefault((call.role, call.model), []).append(call)
    lines = [_call_line(role, model, group) for (role, model), group in groups.items()]
    return "\n".join(["calls", *lines]) if lines else ""


def _call_line(role: str, model: str, calls: Sequence[CallRecord]) -> str:
    live = [call for call in calls if call.cached_from is None]
    tokens_in, tokens_out = sum(call.input_tokens for call in live), sum(call.output_tokens for call in live)
    read = sum(call.cache_read_tokens for call in live)
    from_cache = f" ({read / tokens_in:.0%} from the provider's cache)" if read and tokens_in else ""
    parts = [
        f"{len(calls):,} {role} to {model}",
        f"{tokens_in:,} tokens in{from_cache}, {tokens_out:,} out",
        f"{sum(call.seconds for call in live):.1f} s",
    ]
    if len(live) < len(calls):
        parts.append(f"{len(calls) - len(live):,} from the journal")
    failed = [call for call in calls if call.reply is None]
    if in_vain := sum(call.unasked for call in calls):
        parts.append(f"{in_vain:,} ran ahead in vain")
    if failed:
        reasons = sorted({call.error_reason or "unknown" for call in failed})
        parts.append(f"{len(failed):,} failed ({', '.join(reasons)})")
    return "    " + one_line(", ".join(parts))


def _end(record: RunRecord, result: Mapping[str, Any]) -> str:
    lines = []
    if result:
        usage = result.get("usage") or {}
        usd = usage.get("usd")
        lines.append(
            f"{count_of(result.get('cells', 0), 'cell')}, {count_of(usage.get('calls', 0), 'call')} paid for, "
            f"{usage.get('cached_calls', 0):,} from the journal, {usage.get('failed_calls', 0):,} failed, "
            f"{'price unknown' if usd is None else f'${usd:.4f}'}, {result.get('seconds') or 0:.1f} s"
        )
    if result.get("error"):
        lines.append(f"error: {one_line(str(result['error']))}")
    lines += [f"note: {one_line(str(note))}" for note in result.get("notes") or ()]
    if record.status == "running":
        lines.append("This run is still under way.")
    elif record.status == "interrupted":
        lines.append(f"This run was interrupted; continue with: habit resume {record.id}")
    return "\n".join(lines)


def _indented(text: str, margin: str = "    ") -> str:
    return "\n".join(margin + line for line in visible(text).rstrip("\n").split("\n"))
