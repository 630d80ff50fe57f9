"""A whole large input against a contract, record by record: what lies between the samples that facts are made from.

It is read in pieces, wherever it is. What is looked at are the values of columns and keys that the contract has a type,
a way of writing dates, or labels for; of lists inside of records samples must do.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from habit.contexts.columns import cell_kind
from habit.contexts.context import Context
from habit.contexts.display import clean, literal
from habit.library.contract.columns import CELL_TYPES, loosely, type_of, written
from habit.library.contract.facts import Facts
from habit.library.contract.sampling import WHOLE
from habit.library.spec import Contract, RecordField

_PIECE = 256 << 10
_LARGEST_ITEM = 64 << 20
"""Characters of one item; nobody waits for larger ones."""
_SPACE = re.compile(r"[ \t\r\n]*")
_decode = json.JSONDecoder().raw_decode
Trouble = Callable[[Any], str]
"""What is wrong with a value; empty when nothing is."""


def violations_throughout(contract: Contract, facts: Facts) -> list[str]:
    """The first clause that a record of a large input violates; none where samples were the whole input anyway."""
    context = facts.context
    if len(context.payload) <= WHOLE:
        return []
    try:
        found = next(_violations(contract, context), None)
    except (ValueError, RecursionError):
        return ["shape: the input can't be read to its end as what it begins as."]
    return [] if found is None else [found]


def _violations(contract: Contract, context: Context) -> Iterator[str]:
    shape = contract.shape.removeprefix("json-text/")
    if shape in ("csv", "tsv"):
        yield from _of_table(contract, context)
    elif shape == "json-lines":
        records = (json.loads(line) for line in _lines(context) if line.strip())
        yield from _of_records(contract.fields, records)
    elif shape == "records":
        yield from _of_records(contract.fields, _Json(_pieces(context)).items())
    elif shape == "object":
        yield from _of_object(contract, _Json(_pieces(context)))


def _of_table(contract: Contract, context: Context) -> Iterator[str]:
    if len(contract.delimiter) != 1:
        return
    checks = {index: check for index, one in enumerate(contract.fields) if (check := _check(one, of_cells=True))}
    if not checks or "comments" in contract.marks:
        return
    rows = csv.reader((line + "\n" for line in _lines(context)), delimiter=contract.delimiter)
    try:
        header = [] if "no header" in contract.marks else [name.strip() for name in next(rows, [])]
        if header:
            places = {name: index for index, name in enumerate(header)}
            named = [(one, places.get(one.name)) for one in contract.fields]
            checks = {at: check for one, at in named if at is not None and (check := _check(one, of_cells=True))}
        for number, row in enumerate(rows, 1):
            for at, check in checks.items():
                if at < len(row) and (cell := row[at]) and (trouble := check(cell)):
                    yield f"{trouble} (row {number:,})."
    except csv.Error:
        return  # a stray quote: what its rows are is doubtful, and samples have told all that is known


def _of_records(fields: Iterable[RecordField], records: Iterable[Any]) -> Iterator[str]:
    checks = [(one, _path(one.name), _check(one, of_cells=False)) for one in fields if "[]" not in one.name]
    for number, record in enumerate(records, 1):
        if not isinstance(record, dict):
            yield f"shape: record {number:,} of the input is no object."
            return
        for field, path, check in checks:
            value = record.get(field.name, _ABSENT)
            if value is _ABSENT and len(path) > 1:
                value = _at(record, path)
            if value is _ABSENT:
                if field.required and (len(path) == 1 or isinstance(_at(record, path[:-1]), dict)):
                    yield f"fields: the habit needs {literal(field.name, 60)}, and record {number:,} lacks it."
            elif check is not None and value is not None and (trouble := check(value)):
                yield f"{trouble} (record {number:,})."


def _of_object(contract: Contract, document: _Json) -> Iterator[str]:
    """The records of each list that the object holds."""
    for key, items in document.entries():
        prefix = f"{key}[]."
        inside = [
            one.model_copy(update={"name": one.name.removeprefix(prefix)})
            for one in contract.fields
            if one.name.startswith(prefix)
        ]
        if not inside:
            for _ in items:
                pass
        else:
            yield from _of_records(inside, items)


_ABSENT = object()


def _path(name: str) -> list[str]:
    return name.split(".")


def _at(record: Mapping[str, Any], path: list[str]) -> Any:
    value: Any = record
    for step in path:
        if not isinstance(value, dict) or step not in value:
            return _ABSENT
        value = value[step]
    return value


def _check(field: RecordField, *, of_cells: bool) -> Trouble | None:
    """What judges the values of one column or key; None where any value will do."""
    labels, wanted, name = frozenset(field.labels), field.type, literal(field.name, 60)
    if not labels and wanted in ("any", "string"):
        return None
    dates: dict[str, bool] = {}

    def is_date(text: str) -> bool:
        pattern = written(text)
        if pattern not in dates and len(dates) < 10_000:
            known = set(field.patterns)
            dates[pattern] = cell_kind(text[:400]) == "date" and (
                not known or bool(known & {pattern, loosely(pattern)})
            )
        return dates.get(pattern, False)

    def kind_of(value: Any) -> str:
        if not of_cells:
            return type_of(value)
        if value.isascii() and value.isdigit():
            return "integer"
        kind = cell_kind(value[:400])
        return CELL_TYPES[kind] if kind else ""

    def check(value: Any) -> str:
        if labels:
            if str(value) not in labels:
                return f"labels: {name} has {literal(str(value)[:40], 40)}, which the habit does not know"
            return ""
        if wanted == "date" and isinstance(value, str) and is_date(value):
            return ""
        kind = kind_of(value)
        if kind in ("", wanted) and wanted != "date":
            return ""
        if (wanted, kind) == ("number", "integer") or not kind:
            return ""
        shown = literal(value[:40], 40) if isinstance(value, str) else clean(str(value)[:40], 40)
        return f"fields: {name} holds {shown}, and the habit takes {wanted}"

    return check


# -- reading in pieces -----------------------------------------------------------------------------------------------


def _pieces(context: Context) -> Iterator[str]:
    """The text, piece by piece."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogatepass")
    with context.opened() as view:
        for start in range(0, len(view), _PIECE):
            yield decoder.decode(bytes(view[start : start + _PIECE]))
    yield decoder.decode(b"", final=True)


def _lines(context: Context) -> Iterator[str]:
    """Its lines, without their ends; a byte order mark is none of the first."""
    rest, first = "", True
    for piece in _pieces(context):
        *whole, rest = (rest + (piece.removeprefix("\ufeff") if first else piece)).split("\n")
        first = False
        yield from whole
    if rest:
        yield rest


class _Json:
    """A JSON document, read item by item. Raises ValueError where it is none."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces = pieces
        self._text = next(pieces, "").removeprefix("\ufeff")
        self._at = 0

    def items(self) -> Iterator[Any]:
        """The items of the list that comes now."""
        self._take("[")
        if self._peek() == "]":
            self._take("]")
            return
        while True:
            yield self._value()
            if self._peek() != ",":
                self._take("]")
                return
            self._take(",")

    def entries(self) -> Iterator[tuple[str, Iterator[Any]]]:
        """The keys of the object that comes now that hold a list, with its items; they must be gone through."""
        self._take("{")
        if self._peek() == "}":
            return
        while True:
            key = self._value()
            self._take(":")
            if self._peek() == "[":
                yield str(key), self.items()
            else:
                self._value()
            if self._peek() != ",":
                self._take("}")
                return
            self._take(",")

    def _peek(self) -> str:
        while True:
            space = _SPACE.match(self._text, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def _take(self, sign: str) -> None:
        if self._peek() != sign:
            raise ValueError(f"there is no {sign}")
        self._at += 1

    def _value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = _decode(self._text, self._at)
            except ValueError:
                if not self._more():
                    raise
                continue
            if end == len(self._text) and self._more():  # a number that was cut in two is a number too
                continue
            self._at = end
            return value

    def _more(self) -> bool:
        """Read on: at least as much again as is waiting, so that a long item is not tried too often."""
        waiting = self._text[self._at :]
        if len(waiting) > _LARGEST_ITEM:
            raise ValueError("an item is too long")
        pieces, size = [waiting], 0
        for piece in self._pieces:
            pieces.append(piece)
            size += len(piece)
            if size > len(waiting):
                break
        self._text, self._at = "".join(pieces), 0
        return size > 0
