"""Checking a context against a contract: every violated clause by name, one sentence each."""

from __future__ import annotations

from collections.abc import Iterator

from habit.contexts.context import Context
from habit.contexts.display import clean, literal
from habit.contexts.tables import DELIMITERS
from habit.library.contract.columns import Seen, loosely
from habit.library.contract.facts import Facts, observe
from habit.library.contract.lines import is_safe, share_that_fits
from habit.library.spec import Contract, RecordField

_ENOUGH_LINES = 0.8
"""The share of lines that must fit: stack traces and torn lines are part of a log."""
_TRIPPING = {
    "crlf": "its lines end in \\r\\n",
    "cr": "its lines end in \\r alone",
    "bom": "it begins with a byte order mark",
    "quotes": "some of its cells stand in quotes",
    "comments": "comments come before its rows",
    "no header": "it has no header line",
}


def violations(contract: Contract, context: Context | Facts) -> list[str]:
    """The clauses of ``contract`` that ``context`` violates, one sentence each; none when it is fit.

    Give the Facts where several contracts are checked against one context. What is sampled is not proof:
    a habit's postconditions and the shadow runs are there for what samples do not show.
    """
    facts = observe(context) if isinstance(context, Context) else context
    if facts.kind != contract.kind:
        return [f"kind: the habit takes {contract.kind} and the input is {facts.kind} ({facts.shape})."]
    facts = _read_as(contract, facts)
    if facts.shape != contract.shape:
        return [f"shape: the habit takes {_shape(contract.shape)} and the input is {_shape(facts.shape)}."]
    if facts.delimiter != contract.delimiter:
        wanted, found = (DELIMITERS.get(mark, repr(mark)) for mark in (contract.delimiter, facts.delimiter))
        return [f"delimiter: the habit takes cells separated by {wanted} and the input has {found}."]
    return [*_size(contract, facts), *_marks(contract, facts), *_fields(contract, facts), *_lines(contract, facts)]


def _read_as(contract: Contract, facts: Facts) -> Facts:
    """A table of very few rows is known for one only by the header that the contract expects."""
    if contract.shape not in ("csv", "tsv") or "no header" in contract.marks or not contract.fields:
        return facts
    names = [field.name for field in contract.fields]
    if facts.shape == contract.shape and [seen.name for seen in facts.fields] == names:
        return facts
    return facts.as_table(contract.delimiter, names) or facts


def _shape(name: str) -> str:
    return clean(name, 40)


def _size(contract: Contract, facts: Facts) -> Iterator[str]:
    least, most = contract.bytes
    if facts.bytes < least:
        yield f"bytes: the input has {facts.bytes:,} bytes, and the habit was learned for at least {least:,}."
    if facts.bytes > most:
        yield f"bytes: the input has {facts.bytes:,} bytes, and the habit was learned for at most {most:,}."


def _marks(contract: Contract, facts: Facts) -> Iterator[str]:
    for mark in sorted(facts.marks - set(contract.marks)):
        if mark != "quotes" or contract.ordered:
            yield f"marks: {_TRIPPING.get(mark, mark)}, which the habit has not met before."
    for mark in sorted(set(contract.marks) & {"crlf", "cr", "no header"} - facts.marks):
        yield f"marks: the habit has only met inputs where {_TRIPPING[mark]}."


def _fields(contract: Contract, facts: Facts) -> Iterator[str]:
    tabular = facts.shape.removeprefix("texts/") in ("csv", "tsv", "rows")
    names = [field.name for field in contract.fields]
    found = [seen.name for seen in facts.fields]
    if tabular and contract.ordered and names and found != names:
        missing = [name for name in names if name not in found]
        extra = [name for name in found if name not in names]
        what = f"{_list(missing)} missing" if missing else f"{_list(extra)} new" if extra else "their order changed"
        yield f"columns: the habit takes {_list(names)}, and the input has {_list(found)} ({what})."
        return
    if contract.closed:
        yield from _keys(names, found)
    nothing_there = not facts.records and not facts.rows and tabular
    for field in contract.fields:
        seen = facts.field(field.name)
        if seen is None or (field.required and not seen.always):
            if field.required and not (seen is None and _below_empty_list(field.name, facts)):
                some = "some records of the input lack it" if seen else "the input does not have it"
                yield f"fields: the habit needs {_name(field.name)}, and {some}."
        elif not nothing_there:
            yield from _field(field, seen)


def _keys(names: list[str], found: list[str]) -> Iterator[str]:
    extra = [name for name in found if name not in names]
    if extra:
        yield f"keys: {_list(extra)} new in the input, and the habit goes through all keys of a record."
    elif [name for name in names if name in found] != found:
        yield "keys: their order changed, and the habit goes through all keys of a record."


def _below_empty_list(name: str, facts: Facts) -> bool:
    """Whether nothing can be said of the key ``name`` because the list above it has no items in this input."""
    parts = name.split("[]")
    for index in range(1, len(parts)):
        above = facts.field("[]".join(parts[:index]))
        if above is not None and above.type == "list" and facts.field(f"{above.name}[]") is None:
            return True
    return False


def _field(field: RecordField, seen: Seen) -> Iterator[str]:
    name = _name(field.name)
    if not seen.type:
        if field.type != "any" and field.required:
            yield f"fields: {name} is always empty in the input, and the habit takes {field.type} there."
        return
    if not _compatible(field.type, seen.type):
        yield f"fields: {name} holds {seen.type} values in the input, and the habit takes {field.type}."
        return
    if field.patterns and seen.patterns:
        known = set(field.patterns)
        strange = sorted(pattern for pattern in seen.patterns if not known & {pattern, loosely(pattern)})
        if strange:
            shown = " or ".join(clean(pattern, 40) for pattern in field.patterns)
            yield f"fields: {name} has dates written {clean(strange[0], 40)}, and the habit takes {shown}."
    if field.labels:
        if seen.values is None:
            yield f"labels: {name} has many different values, and the habit knows {_list(list(field.labels))}."
        elif strange := sorted(seen.values - set(field.labels)):
            yield f"labels: {name} has {_list(strange)}, and the habit knows {_list(list(field.labels))}."


def _compatible(wanted: str, found: str) -> bool:
    # Text is read as text whatever it holds: short samples of it may look like numbers or yes and no.
    return wanted in ("any", "string", found) or (wanted, found) == ("number", "integer")


def _lines(contract: Contract, facts: Facts) -> Iterator[str]:
    if not contract.line_pattern or not facts.lines:
        return
    if not is_safe(contract.line_pattern):
        yield "line pattern: it is not of the simple kind that can be tried safely; learn the habit again."
        return
    share = share_that_fits(contract.line_pattern, facts.lines)
    if share < _ENOUGH_LINES:
        pattern = clean(contract.line_pattern, 80)
        yield f"line pattern: only {share:.0%} of the lines looked at begin as the habit expects ({pattern})."


def _name(name: str) -> str:
    return literal(name, 60)


def _list(names: list[str]) -> str:
    return ", ".join(literal(name, 40) for name in names[:8]) + (", …" if len(names) > 8 else "")
