"""What orchestration costs, and a run as batches of bounded calls: the same view of every scheduler, from the journal.

Tokens of a part of a prompt are its share of the prompt's characters. Calls count whether they were paid for or came
from the journal: what is told is what the scheduler needed, and ``usage`` tells what was paid.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from habit.journal.packing import length_of
from habit.journal.records import CallRecord, CellRecord

_TELLING = 16
"""Characters of a line below which it is no sign that a prompt holds an earlier reply."""
_SHOWN = 100
"""Characters of a prompt that tell what it is about."""
_SAME_START = 1_000
"""Characters by which the question of a root prompt is known again, whatever was folded into it."""


@dataclass(frozen=True)
class Orchestration:
    """What it took to get from a question to its answer, besides the work on slices itself."""

    root_calls: int = 0
    root_tokens: int = 0
    """Tokens of prompts and replies."""
    leaf_calls: int = 0
    leaf_tokens: int = 0
    peak_prompt_tokens: int = 0
    reentered_tokens: int = 0
    """Tokens of intermediate results when they first went into another prompt: what cells printed for the root, and
    lines of earlier replies in prompts of leaf calls."""
    bookkeeping_tokens: int = 0
    """Prompt tokens that carry earlier steps, each time they are sent."""
    critical_path_seconds: float = 0.0
    """The longest chain of calls and cells that waited for each other."""
    batches: int = 0
    """Times that calls went out together."""
    wasted_calls: int = 0
    """Calls that failed, or that ran ahead and were never asked for."""
    wasted_tokens: int = 0

    def to_json(self) -> dict[str, Any]:
        """The ``orchestration`` object that ``--json`` prints."""
        return {**asdict(self), "critical_path_seconds": round(self.critical_path_seconds, 3)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Orchestration:
        """What ``to_json`` wrote down."""
        return cls(**value)


@dataclass(frozen=True)
class Batch:
    """Calls of one session and cell that were under way together: select, call, and then absorb."""

    session: str
    cell: int
    role: str
    calls: int
    input_tokens: int
    """Of all prompts together."""
    largest_prompt: int
    output_tokens: int
    seconds: float
    """From the first request to the last reply."""
    failed: int
    from_journal: int
    ahead: int
    """Calls that ran ahead and were never asked for."""
    sees: str
    """What they were asked, its beginning; where their cell asked the same of several, that alone."""
    each_sees: Sequence[str]
    """What each was shown of its own, where its cell asked the same of several: its beginning."""
    then: str
    """The barrier: who takes the replies."""

    def to_json(self) -> dict[str, Any]:
        """One item of ``batches``."""
        return {**asdict(self), "seconds": round(self.seconds, 3)}


def account(calls: Sequence[CallRecord], cells: Sequence[CellRecord]) -> Orchestration:
    """The accounts of a run, from its records."""
    asked = [call for call in calls if not call.unasked]
    wasted = [call for call in calls if call.unasked or (call.reply is None and call.attempts)]
    root = [call for call in asked if call.role == "root"]
    leaf = [call for call in asked if call.role == "leaf"]
    told, carried = _conversations(root)
    return Orchestration(
        root_calls=len(root),
        root_tokens=_tokens(root),
        leaf_calls=len(leaf),
        leaf_tokens=_tokens(leaf),
        peak_prompt_tokens=max((call.input_tokens for call in calls), default=0),
        reentered_tokens=round(told + _quoted(asked)),
        bookkeeping_tokens=round(carried),
        critical_path_seconds=_longest_chain(asked, cells),
        batches=len(_groups(asked)),
        wasted_calls=len(wasted),
        wasted_tokens=_tokens(wasted),
    )


def batches(calls: Sequence[CallRecord]) -> list[Batch]:
    """The run as batches, in the order in which they went out."""
    groups = _groups(calls)
    asked = _asked_by_cells(calls)
    following: dict[str, list[CallRecord]] = {}
    made: list[Batch] = []
    for group in reversed(groups):
        session = group[0].session
        made.append(_batch(group, following.get(session), asked.get((session, group[0].cell), 0)))
        following[session] = group
    return made[::-1]


def _batch(group: Sequence[CallRecord], following: Sequence[CallRecord] | None, asked: int) -> Batch:
    """``asked`` is how many characters of its prompts are the same in all of the cell."""
    first, began = group[0], min(call.started for call in group)
    several = first.role == "leaf" and (asked > 0 or len(group) > 1)
    return Batch(
        session=first.session,
        cell=first.cell,
        role=first.role,
        calls=len(group),
        input_tokens=sum(call.input_tokens for call in group),
        largest_prompt=max(call.input_tokens for call in group),
        output_tokens=sum(call.output_tokens for call in group),
        seconds=max(_end(call) for call in group) - began,
        failed=sum(call.reply is None for call in group),
        from_journal=sum(call.cached_from is not None for call in group),
        ahead=sum(call.unasked for call in group),
        sees=_beginning(_told(first)[: asked or None]),
        each_sees=[_beginning(_told(call)[asked:]) for call in group] if several else [],
        then=_barrier(first, following[0] if following else None),
    )


def _asked_by_cells(calls: Sequence[CallRecord]) -> dict[tuple[str, int], int]:
    """With how many characters, of whole lines, the prompts of all leaf calls of a cell begin alike."""
    prompts: dict[tuple[str, int], list[str]] = defaultdict(list)
    for call in calls:
        if call.role == "leaf":
            prompts[call.session, call.cell].append(_told(call))
    return {cell: each[0].rfind("\n", 0, _shared(each)) + 1 for cell, each in prompts.items() if len(each) > 1}


def _told(call: CallRecord) -> str:
    return call.prompt[-1][1] if call.prompt else ""


def _shared(texts: Sequence[str]) -> int:
    """Characters with which all of them begin: as many as the first and the last in the alphabet share."""
    first, last = min(texts), max(texts)
    alike = (one == other for one, other in zip(first, last, strict=False))
    return next((place for place, same in enumerate(alike) if not same), len(first))


def _beginning(text: str) -> str:
    return " ".join(text[: 4 * _SHOWN].split())[:_SHOWN]


def _barrier(call: CallRecord, following: CallRecord | None) -> str:
    above = call.session.rpartition(".")[0]
    end = f"session {above} has its answer" if above else "the run has its answer"
    if following is None:
        return end
    if call.role == "root":
        return f"cell {following.cell} takes the reply" if following.role == "leaf" else "the session does what it says"
    if following.role == "root":
        return f"what cell {call.cell} makes of the replies goes to the root"
    if following.cell == call.cell:
        return f"cell {call.cell} goes on with the replies"
    return f"cell {following.cell} follows"


def _groups(calls: Iterable[CallRecord]) -> list[list[CallRecord]]:
    """Calls of one session and cell whose times overlap, directly or through others, in the order they were asked for;
    those overlap that were under way or waited for their turn at the same time.

    Replies from the journal took no time: those of one cell, one after the other, are taken for one group.
    """
    by_session: dict[str, list[list[CallRecord]]] = defaultdict(list)
    ends: dict[str, float] = {}
    for call in sorted(calls, key=lambda each: (each.asked, each.started)):
        groups = by_session[call.session]
        last = groups[-1] if groups else None
        together = (
            last is not None
            and (last[0].role, last[0].cell) == (call.role, call.cell)
            and (call.asked < ends[call.session] or (call.seconds == 0 and last[-1].seconds == 0))
        )
        if together and last is not None:
            last.append(call)
        else:
            groups.append([call])
            ends[call.session] = 0.0
        ends[call.session] = max(ends[call.session], _end(call))
    found = [group for groups in by_session.values() for group in groups]
    return sorted(found, key=lambda group: min(call.started for call in group))


def _conversations(root: Sequence[CallRecord]) -> tuple[float, float]:
    """(tokens of what the root was told of its cells, tokens of earlier steps in all its prompts)."""
    told = carried = 0.0
    starts: dict[str, tuple[str, int]] = {}
    for call in sorted(root, key=lambda each: each.started):
        lengths = [length_of(text) for _, text in call.prompt]
        if len(lengths) < 2:
            continue
        question = call.prompt[1][1]
        begun, length = starts.setdefault(call.session, (question[:_SAME_START], lengths[1]))
        each = call.input_tokens / max(1, sum(lengths))
        # What stands beside the question was folded into it; another text in its place is about the steps as a whole.
        beside = lengths[1] - length if question.startswith(begun) else lengths[1]
        carried += each * (sum(lengths[2:]) + max(0, beside))
        if len(lengths) > 2 and call.prompt[-1][0] == "user":
            told += each * lengths[-1]
    return told, carried


def _quoted(calls: Sequence[CallRecord]) -> float:
    """Tokens of lines of earlier replies in the prompts of leaf calls."""
    replied = sorted((call for call in calls if call.reply and call.role == "leaf"), key=_end)
    lines: set[str] = set()
    quoted, position = 0.0, 0
    for call in sorted(calls, key=lambda each: each.started):
        while position < len(replied) and _end(replied[position]) <= call.started:
            lines.update(_telling(replied[position].reply or ""))
            position += 1
        if call.role != "leaf" or not lines:
            continue
        size = sum(length_of(text) for _, text in call.prompt)
        found = sum(len(line) for _, text in call.prompt for line in _telling(text) if line in lines)
        quoted += call.input_tokens * found / max(1, size)
    return quoted


def _telling(text: str) -> Iterator[str]:
    return (line for line in map(str.strip, text.split("\n")) if len(line) >= _TELLING)


def _longest_chain(calls: Sequence[CallRecord], cells: Sequence[CellRecord]) -> float:
    """Seconds of the root session: what overlaps counts once, with the longest of it; a child run is as one call."""
    children: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    sessions = sorted({call.session for call in calls}, key=lambda name: -name.count("."))
    length = 0.0
    for session in [*(each for each in sessions if each != "0"), "0"]:
        mine = [(call.started, _end(call), call.seconds) for call in calls if call.session == session]
        spans = sorted([*mine, *children[session]])
        length = sum(cell.seconds for cell in cells if cell.session == session)
        longest, end = 0.0, float("-inf")
        for started, ended, seconds in spans:
            if started >= end:
                length += longest
                longest = 0.0
            longest, end = max(longest, seconds), max(end, ended)
        length += longest
        if spans:
            above = session.rpartition(".")[0] or "0"
            children[above].append((spans[0][0], max(ended for _, ended, _ in spans), length))
    return length


def _tokens(calls: Iterable[CallRecord]) -> int:
    return sum(call.input_tokens + call.output_tokens for call in calls)


def _end(call: CallRecord) -> float:
    return call.started + call.seconds
