"""A run as the sequence of its batches, for people: what ``habit show --batches`` prints."""

from __future__ import annotations

from collections.abc import Sequence

from habit.accounting import Batch, Orchestration
from habit.cli.output import count_of, one_line

_MOST_SHOWN = 5
"""Calls of a batch of which is told what each saw."""


def batches_text(batches: Sequence[Batch]) -> str:
    """One paragraph for each batch: which calls went out together, what they saw, what barrier followed."""
    if not batches:
        return "No calls were made."
    return "\n".join(_paragraph(number, batch) for number, batch in enumerate(batches, 1))


def orchestration_line(known: Orchestration) -> str:
    """The accounts of a run, in two lines."""
    parts = [
        f"{count_of(known.root_calls, 'root call')} with {known.root_tokens:,} tokens",
        f"{count_of(known.leaf_calls, 'leaf call')} with {known.leaf_tokens:,}",
        f"in {known.batches:,} {'batch' if known.batches == 1 else 'batches'}",
        f"largest prompt {known.peak_prompt_tokens:,}",
    ]
    rest = [
        f"{known.bookkeeping_tokens:,} prompt tokens carried earlier steps",
        f"{known.reentered_tokens:,} of results re-entered a prompt",
        f"critical path {known.critical_path_seconds:.1f} s",
        f"{count_of(known.wasted_calls, 'call')} in vain with {known.wasted_tokens:,} tokens",
    ]
    return f"orchestration\n    {', '.join(parts)}\n    {', '.join(rest)}"


def _paragraph(number: int, batch: Batch) -> str:
    depth = "  " * batch.session.count(".")
    where = "" if batch.session == "0" else f" in session {batch.session}"
    cell = f", cell {batch.cell}" if batch.cell else ""
    notes = [
        f"{batch.failed:,} failed" if batch.failed else "",
        f"{batch.from_journal:,} from the journal" if batch.from_journal else "",
        f"{batch.ahead:,} ahead in vain" if batch.ahead else "",
    ]
    noted = "".join(f", {note}" for note in notes if note)
    size = (
        f"{batch.input_tokens:,} tokens in"
        if batch.calls == 1
        else f"{batch.input_tokens:,} tokens in, at most {batch.largest_prompt:,} each"
    )
    left = len(batch.each_sees) - _MOST_SHOWN
    lines = [
        f"{number}. {count_of(batch.calls, f'{batch.role} call')}{where}{cell}: {size}, {batch.output_tokens:,} out, "
        f"{batch.seconds:.2f} s{noted}",
        f"   saw: {one_line(batch.sees)}",
        *(f"      {place}. {one_line(own)}" for place, own in enumerate(batch.each_sees[:_MOST_SHOWN], 1)),
        *([f"      … and {left:,} more, each of which --json tells"] if left > 0 else []),
        f"   then {batch.then}",
    ]
    return "\n".join(depth + line for line in lines)
