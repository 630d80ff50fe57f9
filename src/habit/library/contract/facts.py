"""Facts: what a contract needs to know of a context, found out once and in bounded time, from hostile bytes."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Any, TypeAlias

from habit.contexts.context import Context
from habit.contexts.describe import is_texts
from habit.contexts.outline import headings, markup
from habit.contexts.tables import Table
from habit.contexts.texts import Text
from habit.library.contract.columns import Seen, cells_seen, values_seen
from habit.library.contract.sampling import WHOLE, decoded, sample_json, sample_text

Payload: TypeAlias = bytes
_ENTRIES = 20
"""Texts of a folder that are looked into."""
_MOST_FIELDS = 200
_RECORDS_LOOKED_AT = 2_000


@dataclass(frozen=True)
class Facts:
    """What is known of one context."""

    context: Context
    shape: str
    """csv, tsv, json-lines, log, sections, markup, text; records, rows, strings, list, mapping, object, texts, scalar;
    empty, unreadable; ``texts/csv``: texts that are all tables; ``json-text/records``: JSON that came as text."""
    delimiter: str = ""
    fields: tuple[Seen, ...] = ()
    records: int = 0
    """Rows, lines, items, texts: what a habit's ceiling of calls is counted in."""
    exact: bool = True
    """Whether ``records`` was counted rather than estimated."""
    marks: frozenset[str] = frozenset()
    """What trips up code that has not seen it: ``crlf``, ``cr``, ``bom``, ``quotes``, ``comments``, ``no header``."""
    lines: tuple[str, ...] = ()
    """Sampled lines, where the shape is one of lines."""
    rows: Sequence[Sequence[str]] = field(default=(), repr=False)
    """Sampled rows of a table."""
    items: Sequence[Any] = field(default=(), repr=False)
    """Sampled records."""

    @property
    def kind(self) -> str:
        """As Context.kind."""
        return self.context.kind

    @property
    def payload(self) -> Payload:
        """The context itself, in the host's memory."""
        assert isinstance(self.context.payload, bytes)
        return self.context.payload

    @property
    def bytes(self) -> int:
        """The size of the context."""
        return len(self.context.payload)

    def field(self, name: str) -> Seen | None:
        """The column or key of that name."""
        return next((one for one in self.fields if one.name == name), None)

    @cached_property
    def text(self) -> str:
        """All of a context, where it is small enough to be read whole; else a sample."""
        payload = self.payload
        return decoded(payload) if len(payload) <= WHOLE else sample_text(payload)

    def as_table(self, delimiter: str, names: Sequence[str]) -> Facts | None:
        """The facts of a text that begins with exactly this header, however few rows it has; None when it does not."""
        first, _, _ = self.text.removeprefix("\ufeff").partition("\n")
        read = next(_rows([first], delimiter), [])
        if self.kind != "text" or [cell.strip() for cell in read] != [name.strip() for name in names]:
            return None
        lines = [line for line in self.text.split("\n") if line.strip()]
        rows = [row for row in _rows(lines[1:_RECORDS_LOOKED_AT], delimiter) if len(row) == len(names)]
        shape = "tsv" if delimiter == "\t" else "csv"
        records = _lines_in(self.payload) - 1
        fields = cells_seen(list(names), rows)
        marks = self.marks - {"no header"} | ({"quotes"} if _quoted(self.payload, delimiter) else set())
        return replace(
            self, shape=shape, delimiter=delimiter, fields=fields, rows=rows, records=records, marks=frozenset(marks)
        )


def observe(context: Context) -> Facts:
    """The facts of ``context``. Hostile input can make facts wrong, never an error; 100 MB take under a second."""
    with context.opened() as view:
        payload = bytes(view)  # a copy only of what is parked: a session may take that over while facts are needed
    context = replace(context, payload=payload)
    return _json(context, payload) if context.kind == "json" else _text(context, payload)


def _text(context: Context, payload: bytes) -> Facts:
    sample = sample_text(payload)
    text = Text(sample)
    marks = _marks(payload[:65536])
    lines = _lines_in(payload)
    if not sample.strip():
        return Facts(context, "empty", records=0, marks=marks)
    if text.json_records:
        records = _lines_of_json(payload) or text.json_records
        return Facts(
            context, "json-lines", fields=values_seen(records), records=lines, marks=marks, items=tuple(records)
        )
    start = sample[:100].lstrip("\ufeff \t\r\n")
    if start.startswith(("{", "[")) and payload[-100:].rstrip().endswith((b"}", b"]")):
        whole = len(payload) <= WHOLE
        inner = (
            _json(context, payload.removeprefix(b"\xef\xbb\xbf")) if whole or start.startswith(('{"', "[{")) else None
        )
        if inner is not None and inner.shape != "unreadable":
            return replace(inner, shape=f"json-text/{inner.shape}", marks=marks)
    if markup(sample, sample[:65536]):
        return Facts(context, "markup", records=lines, marks=marks)
    if text.found_table is not None:
        return _table(context, text.found_table, payload, lines, marks)
    shown = tuple(text.sample[:_RECORDS_LOOKED_AT])
    if text.logged:
        return Facts(context, "log", records=lines, marks=marks, lines=shown)
    found = headings(sample, text.head)
    if found:
        return Facts(context, "sections", records=len(found), exact=len(sample) == len(payload), marks=marks)
    return Facts(context, "text", records=lines, marks=marks, lines=shown)


def _table(context: Context, table: Table, payload: bytes, lines: int, marks: frozenset[str]) -> Facts:
    named = table.header is not None
    names = table.header or [f"[{index}]" for index in range(table.width)]
    records, exact = lines - table.comments - (named and not table.labelled), not table.multiline
    rows: Sequence[Sequence[str]] = table.rows
    if len(payload) <= WHOLE and len(table.delimiter) == 1 and not table.labelled and not table.comments:
        # Small enough to be read to the last row, so that labels are known and quoted line breaks are no rows.
        read = _whole_table(payload, table.delimiter)
        if read:
            rows = [row for row in read[named:] if len(row) == table.width] or rows
            records, exact = len(read) - named, True
    extra = {"quotes"} if _quoted(payload, table.delimiter) else set()
    extra |= {"comments"} if table.comments else set()
    extra |= set() if named else {"no header"}
    return Facts(
        context,
        "tsv" if table.delimiter == "\t" else "csv",
        table.delimiter,
        cells_seen([name.strip() for name in names][:_MOST_FIELDS], rows),
        max(records, 0),
        exact,
        marks | extra,
        rows=rows,
    )


def _whole_table(payload: bytes, delimiter: str) -> list[list[str]]:
    """All rows of a table; none when a stray quote or a huge cell makes it doubtful what its rows are."""
    lines = decoded(payload).removeprefix("\ufeff").split("\n")
    try:
        return [row for row in csv.reader((line + "\n" for line in lines), delimiter=delimiter, strict=True) if row]
    except csv.Error:
        return []


def _json(context: Context, payload: bytes) -> Facts:
    sampled = sample_json(payload)
    if sampled is None:
        return Facts(context, "unreadable", exact=False)
    value, size, whole = sampled.value, sampled.size, sampled.whole
    if isinstance(value, list):
        shape, items = _shape_of_list(value), value
        return Facts(context, shape, fields=values_seen(items), records=size, exact=whole, items=items)
    if not isinstance(value, dict):
        return Facts(context, "scalar", fields=values_seen([value]), records=1, items=[value])
    if is_texts(value):
        return _texts(context, value, size, whole)
    entries = list(value.values())
    if len(entries) > 2 and all(isinstance(entry, dict) and entry for entry in entries):
        shared = set.intersection(*(set(entry) for entry in entries[:_RECORDS_LOOKED_AT]))
        if shared:
            return Facts(context, "mapping", fields=values_seen(entries), records=size, exact=whole, items=entries)
    lists = [len(entry) for entry in entries if isinstance(entry, list)]
    return Facts(context, "object", fields=values_seen([value]), records=sum(lists) or size, exact=whole, items=[value])


def _shape_of_list(items: list[Any]) -> str:
    if items and all(isinstance(item, dict) for item in items):
        return "records"
    if items and all(isinstance(item, str) for item in items):
        return "strings"
    return "rows" if items and all(isinstance(item, list) for item in items) else "list" if items else "empty"


def _texts(context: Context, value: dict[str, str], size: int, whole: bool) -> Facts:
    """A folder of texts; what they are, where they are all alike."""
    inner = [_text(context, text.encode("utf-8", "surrogatepass")) for text in islice(value.values(), _ENTRIES) if text]
    alike = bool(inner) and all((one.shape, one.delimiter) == (inner[0].shape, inner[0].delimiter) for one in inner)
    if not alike or inner[0].shape in ("text", "empty"):
        return Facts(context, "texts", records=size, exact=whole)
    first = inner[0]
    names = {tuple(one.name for one in facts.fields) for facts in inner}
    fields = first.fields if len(names) == 1 else ()
    marks = frozenset().union(*(one.marks for one in inner))
    return Facts(context, f"texts/{first.shape}", first.delimiter, fields, size, whole, marks, lines=first.lines)


def _lines_of_json(payload: bytes) -> list[Any]:
    """All records of JSON Lines, where they are few enough and all of them can be read."""
    try:
        lines = decoded(payload).split("\n") if len(payload) <= WHOLE else []
        return [json.loads(line) for line in lines if line.strip()]
    except (ValueError, RecursionError):
        return []


def _marks(head: bytes) -> frozenset[str]:
    found = set()
    if head.startswith(b"\xef\xbb\xbf"):
        found.add("bom")
    if head.count(b"\r\n") > head.count(b"\n") / 2 > 0:
        found.add("crlf")
    elif head.count(b"\r") > 2 * head.count(b"\n"):
        found.add("cr")
    return frozenset(found)


def _quoted(payload: bytes, delimiter: str) -> bool:
    """Whether cells stand in quotes, which code that splits at the delimiter would get wrong."""
    mark = delimiter.encode()
    return any(sign in payload for sign in (b"\n" + b'"', mark + b'"')) or payload.startswith(b'"')


def _lines_in(payload: bytes) -> int:
    return payload.count(b"\n") + (not payload.endswith(b"\n") and bool(payload))


def _rows(lines: Sequence[str], delimiter: str) -> Iterator[list[str]]:
    """Rows as csv reads them; a stray quote or a NUL ends them early rather than raising."""
    if len(delimiter) != 1:
        yield from (line.split(delimiter) for line in lines)
        return
    try:
        yield from csv.reader([line + "\n" for line in lines if line.strip()], delimiter=delimiter)
    except csv.Error:
        return
