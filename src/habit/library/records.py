"""Records of a context: taken apart as its contract's shape says, and put together again without loss.

A line keeps every character it had, a row of a table its quotes and the line breaks in them. What cannot be taken apart
for certain is not taken apart at all.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from habit.contexts.context import Context
from habit.contexts.tables import find_table
from habit.library.spec import Contract

_LINES = frozenset({"csv", "tsv", "json-lines", "log", "lines", "text"})
_LISTS = frozenset({"records", "rows", "strings", "list"})
_DICTS = frozenset({"mapping", "texts"})
_SAMPLE = 200


@dataclass(frozen=True)
class Records:
    """A context in parts. ``join(items)`` is the context again; any other choice of items is one of the same shape."""

    items: Sequence[Any]
    """Texts of lines or rows, elements of a list, or (key, value) of a dict."""
    join: Callable[[Sequence[Any]], Context]
    repeats: bool = True
    """Whether a record can be there twice."""


def split(context: Context, contract: Contract) -> Records | None:
    """The records of ``context``; None when its shape has none, or they cannot be told apart for certain."""
    if context.kind == "text":
        return _lines(context, contract) if contract.shape in _LINES else None
    try:
        value = context.value()
    except (ValueError, RecursionError):
        return None
    match value:
        case list() if contract.shape in _LISTS:
            names = [field.name for field in contract.fields]
            head = value[:1] if contract.shape == "rows" and value and value[0] == names else []
            return Records(value[len(head) :], lambda items: _json([*head, *items], context))
        case dict() if contract.shape in _DICTS:
            return Records(list(value.items()), lambda items: _json(dict(items), context), repeats=False)
        case dict() if contract.shape == "object":
            return _inside(value, context)
    return None


_LINE_ENDS = tuple(mark.encode() for mark in "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
"""Whatever ``str.splitlines`` takes for the end of a line."""


def count_for_ceiling(context: Context) -> int:
    """How many records a ceiling of calls counts: never fewer than a scheduler can take out of the context one by one.

    Lines of a text, with headers and empty ones; the elements of JSON, where those of a dict's values count too, and
    the lines of texts such as files. Blocks for as long as it takes to read JSON.
    """
    if context.kind == "text":
        with context.opened() as view:
            payload = bytes(view)
        return 1 + sum(payload.count(mark) for mark in _LINE_ENDS)
    value = context.value()
    if isinstance(value, dict):
        return max(len(value), sum(map(_inner, value.values())))
    return max(len(value), sum(_inner(one) for one in value if isinstance(one, str))) if isinstance(value, list) else 1


def _inner(value: Any) -> int:
    if isinstance(value, str):
        return len(value.splitlines())
    return len(value) if isinstance(value, (list, dict)) else 0


def _json(value: Any, like: Context) -> Context:
    return Context.of(value, origin=like.origin) if not isinstance(value, str) else like


def _inside(value: dict[str, Any], context: Context) -> Records | None:
    """The records of an object such as ``{"messages": […]}``: its one list."""
    lists = [key for key, inner in value.items() if isinstance(inner, list)]
    if len(lists) != 1:
        return None
    return Records(value[lists[0]], lambda items: _json({**value, lists[0]: list(items)}, context))


def _lines(context: Context, contract: Contract) -> Records | None:
    with context.opened() as payload:
        text = str(payload, "utf-8", "surrogatepass")
    parts = text.split("\n")
    ends = "\r\n" if len(parts) > 1 and all(part.endswith("\r") for part in parts[:-1]) else "\n"
    trailing = parts[-1] == ""
    lines = [part.removesuffix("\r") if ends == "\r\n" else part for part in (parts[:-1] if trailing else parts)]
    if any("\r" in line for line in lines):
        return None  # Mixed line ends: what a line is depends on who reads it.
    head = 0
    if contract.shape in ("csv", "tsv"):
        delimiter = contract.delimiter or ("\t" if contract.shape == "tsv" else ",")
        rows = _rows(lines, delimiter, ends)
        if rows is None:
            return None
        has_header = _has_header(lines, rows, delimiter, contract)
        if has_header is None:
            return None
        head, lines = int(has_header), rows
    first, items = lines[:head], lines[head:]

    def join(chosen: Sequence[Any]) -> Context:
        joined = ends.join([*first, *chosen])
        end = ends if trailing and (first or chosen) else ""
        return Context("text", (joined + end).encode("utf-8", "surrogatepass"), context.origin)

    return Records(items, join)


def _rows(lines: Sequence[str], delimiter: str, ends: str) -> list[str] | None:
    """Lines joined to rows, where a quoted cell holds line breaks; None where quotes are not closed."""
    if len(delimiter) != 1:
        return list(lines)
    reader = csv.reader((line + "\n" for line in lines), delimiter=delimiter)
    rows: list[str] = []
    read = 0
    try:
        for _ in reader:
            rows.append(ends.join(lines[read : reader.line_num]))
            read = reader.line_num
    except csv.Error:
        return None
    # A quote that is never closed swallows the rest; so does one in the last row alone.
    closed = not rows or _is_closed(rows[-1], delimiter)
    return rows if read == len(lines) and closed else None


def _is_closed(row: str, delimiter: str) -> bool:
    """Whether another row after this one would be a row of its own."""
    return (
        len(list(csv.reader([*row.replace("\r\n", "\n").splitlines(keepends=True), "\n", "x\n"], delimiter=delimiter)))
        > 1
    )


def _has_header(lines: Sequence[str], rows: Sequence[str], delimiter: str, contract: Contract) -> bool | None:
    """Whether the first row names the columns; None when comments come before it."""
    if not rows:
        return False
    cells = (
        next(csv.reader(rows[0].splitlines(keepends=True), delimiter=delimiter), [])
        if len(delimiter) == 1
        else rows[0].split(delimiter)
    )
    names = [cell.strip() for cell in cells]
    if contract.fields and all(field.name in names for field in contract.fields if field.required):
        return True
    if contract.fields:
        return False if all(field.name.startswith("[") for field in contract.fields) else None
    table = find_table(lines[:_SAMPLE])
    if table is None:
        return None
    return table.header is not None if not table.comments else None


def rename(records: Records, contract: Contract, names: dict[str, str]) -> Records | None:
    """The same records with labels renamed where the contract says that a field holds labels.

    None when no field does, or when a record cannot be changed without touching anything else.
    """
    fields = [field.name for field in contract.fields if set(field.labels) & names.keys()]
    if not fields:
        return None
    renamed: list[Any] = []
    header = [field.name for field in contract.fields]
    for item in records.items:
        match item:
            case dict():
                renamed.append(
                    {k: names.get(v, v) if k in fields and isinstance(v, str) else v for k, v in item.items()}
                )
            case str() if contract.shape in ("csv", "tsv"):
                delimiter = contract.delimiter or ("\t" if contract.shape == "tsv" else ",")
                cells = item.split(delimiter)
                if '"' in item or len(cells) != len(header):
                    return None
                pairs = zip(header, cells, strict=True)
                renamed.append(
                    delimiter.join(names.get(cell, cell) if name in fields else cell for name, cell in pairs)
                )
            case str() if contract.shape == "json-lines":
                try:
                    value = json.loads(item)
                except ValueError:
                    return None
                if not isinstance(value, dict):
                    return None
                changed = {k: names.get(v, v) if k in fields and isinstance(v, str) else v for k, v in value.items()}
                renamed.append(json.dumps(changed, ensure_ascii=False))
            case _:
                return None
    return Records(renamed, records.join, records.repeats)
