"""Columns and keys as a contract sees them: names, types, how dates are written, and which values there are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from habit.contexts.columns import cell_kind
from habit.contexts.display import strata

FieldType = Literal["string", "integer", "number", "boolean", "date", "list", "object", "any"]

CELL_TYPES: dict[str, FieldType] = {
    "int": "integer",
    "float": "number",
    "date": "date",
    "bool": "boolean",
    "str": "string",
}
_LOOKED_AT = 2_000
_MOST_FIELDS = 200
_MOST_VALUES = 100
_MOST_DEPTH = 3
_SHORT = 80
"""Characters of a value that can be a label."""


@dataclass(frozen=True)
class Seen:
    """A column or a key, as it was found in a context."""

    name: str
    """A column's name, or the path of a key: ``user.name``, ``messages[].label``."""
    type: FieldType | Literal[""]
    """Nothing when no value was there."""
    always: bool = True
    """Whether each record that was looked at has it."""
    values: frozenset[str] | None = None
    """The different values, as text; None when there are more than a set of labels would have."""
    patterns: frozenset[str] = frozenset()
    """For dates: how they are written, with digits as 9."""
    repeated: bool = False
    """Whether each of ``values`` was there more than once."""


def cells_seen(names: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[Seen, ...]:
    """The columns of a table."""
    found = []
    sample = [rows[index] for index in strata(len(rows), _LOOKED_AT)]
    for index, name in enumerate(names):
        cells = [row[index] for row in sample if index < len(row)]
        kinds = {CELL_TYPES[kind] for cell in cells if (kind := cell_kind(cell[:400]))}
        dates = frozenset(written(cell) for cell in cells if cell.strip()) if kinds == {"date"} else frozenset()
        values, repeated = _values(row[index] for row in rows if index < len(row))
        found.append(Seen(name, _one_of(kinds, mixed="string"), True, values, dates, repeated))
    return tuple(found)


def values_seen(items: Sequence[Any]) -> tuple[Seen, ...]:
    """The keys of records with what is at them; of other items, what they are, under the name ``[]``."""
    found: list[Seen] = []
    sample = [items[index] for index in strata(len(items), _LOOKED_AT)]
    dicts = [item for item in sample if isinstance(item, dict)]
    if dicts and len(dicts) == len(sample):
        _keys(dicts, "", 0, found)
    elif sample and all(isinstance(item, list) for item in sample):
        width = len(sample[0])
        if 0 < width <= 60 and all(len(item) == width for item in sample):
            found += [_seen(f"[{index}]", [item[index] for item in sample], True) for index in range(width)]
    elif sample:
        found.append(_seen("[]", sample, True))
    return tuple(found)


def _keys(dicts: Sequence[dict[Any, Any]], prefix: str, depth: int, found: list[Seen]) -> None:
    names = list(dict.fromkeys(str(key) for item in dicts for key in item))
    for name in names[: _MOST_FIELDS - len(found)]:
        values = [item[name] for item in dicts if name in item]
        found.append(_seen(prefix + name, values, len(values) == len(dicts)))
        below = [value for value in values if isinstance(value, dict)]
        if below and depth < _MOST_DEPTH:
            _keys(below, f"{prefix}{name}.", depth + 1, found)
        inner = [item for value in values if isinstance(value, list) for item in value[:200]][:_LOOKED_AT]
        if inner:
            found.append(_seen(f"{prefix}{name}[]", inner, True))
        records = [item for item in inner if isinstance(item, dict)]
        if records and len(records) == len(inner) and depth < _MOST_DEPTH:
            _keys(records, f"{prefix}{name}[].", depth + 1, found)


def _seen(name: str, values: Sequence[Any], always: bool) -> Seen:
    known = [value for value in values if value is not None]
    kinds = {type_of(value) for value in known}
    texts = [value for value in known if isinstance(value, str)]
    dates = frozenset(written(text) for text in texts) if kinds == {"date"} else frozenset()
    scalars = [value for value in known if isinstance(value, (str, int))]
    labels, repeated = _values(map(str, scalars)) if len(scalars) == len(known) else (None, False)
    return Seen(name, _one_of(kinds, mixed="any"), always, labels, dates, repeated)


def type_of(value: Any) -> FieldType:
    """The type of a JSON value."""
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "date" if cell_kind(value[:400]) == "date" else "string"
        case list():
            return "list"
        case dict():
            return "object"
        case _:
            return "any"


def _one_of(kinds: set[FieldType], *, mixed: FieldType) -> FieldType | Literal[""]:
    if not kinds:
        return ""
    if len(kinds) == 1:
        return next(iter(kinds))
    if kinds == {"integer", "number"}:
        return "number"
    return "string" if kinds == {"date", "string"} else mixed


def _values(texts: Iterable[str]) -> tuple[frozenset[str] | None, bool]:
    """The different texts, and whether each is there more than once; None when they are too many or too long."""
    found: dict[str, bool] = {}
    for text in texts:
        if text:
            found[text] = text in found
            if len(found) > _MOST_VALUES or len(text) > _SHORT:
                return None, False
    return frozenset(found), all(found.values())


def written(date: str) -> str:
    """How a date is written: ``2026-11-24 10:05`` as ``9999-99-99 99:99``."""
    return re.sub(r"[A-Za-z]+", "a", re.sub(r"\d", "9", date.strip()[:40], flags=re.ASCII))


def loosely(pattern: str) -> str:
    """The same where single digits are not padded: ``9/9/9``."""
    return re.sub("9+", "9", pattern)
