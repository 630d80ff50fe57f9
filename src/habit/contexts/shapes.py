"""The structure of JSON values: at which key path what is found, from a bounded sample."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from habit.contexts.columns import cell_kind, summarise_values, type_name
from habit.contexts.display import count, quoted, share, spread

_SAMPLE = 120
"""Values looked at for each place, taken from all over it."""
_MAX_PLACES = 250
_MAX_VALUES = 15_000
_MAX_DEPTH = 10
_MAX_KEYS = 120
_MANY_KEYS = 40
"""Dicts with more keys than this between them whose values are all alike are tables of records, not records."""
_MAX_CELLS = 60
"""Lists up to this long, each as long as the others and of scalars, are rows."""

_PLAIN_KEY = re.compile(r"[A-Za-z_][\w-]{0,39}", re.ASCII)
_LEGEND = "[] is any item, {} any key"


@dataclass
class _Place:
    """What was found at one path."""

    path: str
    depth: int
    parents: int | None = None
    """Dicts that could have had this key, of which ``seen`` did; None when it is not the key of a record."""
    seen: int = 0
    total: int | None = 0
    """Values there are at this place; None when only a sample of them was reached."""
    values: list[object] = field(default_factory=list)
    sizes: tuple[int, int] | None = None
    """For the items of lists and the entries of dicts: the least and most of them in one."""
    name: str = ""
    """For a cell of rows, the name that the first row gives it."""
    below: list[_Place] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """One line for this place where it says something, and those of the places below it."""
        said = self._said()
        if said:
            yield f"  {self.path}{f' {self.name}' * bool(self.name)}: {said}"
        for place in self.below:
            yield from place.lines()

    def _said(self) -> str:
        scalars = [value for value in self.values if not isinstance(value, (list, dict))]
        kinds = Counter(type_name(value) for value in self.values)
        parts = []
        if self.sizes is not None and self.path not in ("[]", "{}"):  # the size of the whole is told before
            least, most = self.sizes
            each = f"{least:,}" if least == most else f"{least:,} to {most:,} in each"
            parts.append(each if least == most or self.total is None else f"{each}, {self.total:,} in all")
        # That a place is a dict or a list is seen from the places below it.
        told = self.below and len(kinds) == 1 and not scalars
        empty = "" if any(self.values) or scalars else "empty "
        parts += [] if told else [f"{empty}{kind}" for kind in ("dict", "list") if kinds[kind]]
        if scalars:
            parts.append(summarise_values(scalars))
        if self.parents is not None and self.seen < self.parents:
            parts.append(f"in {share(self.seen, self.parents)}")
        return ", ".join(parts)


class _Survey:
    """Goes through a value level by level, so that a large branch does not hide the others."""

    def __init__(self, roots: list[object], path: str) -> None:
        self.root = _Place(path, 0, seen=len(roots), total=len(roots), values=roots)
        self.complete = True
        self.values = 0
        self.places = 0
        level = [self.root]
        while level:
            for place in level:
                self._look_below(place)
            level = [below for place in level for below in place.below]

    def _look_below(self, place: _Place) -> None:
        lists = [value for value in place.values if isinstance(value, list)]
        dicts = [value for value in place.values if isinstance(value, dict)]
        lists, dicts = lists if any(lists) else [], dicts if any(dicts) else []
        if not lists and not dicts:
            return
        if place.depth >= _MAX_DEPTH or self.places >= _MAX_PLACES or self.values >= _MAX_VALUES:
            self.complete = False
            return
        exact = place.total == len(place.values)
        if lists:
            self._items(place, lists, exact)
        if dicts:
            self._entries(place, dicts, exact)
        for below in place.below:
            self.values += len(below.values)
            self.places += 1

    def _items(self, place: _Place, lists: list[list[object]], exact: bool) -> None:
        sizes = [len(value) for value in lists]
        if place.path.endswith("]") and self._rows(place, lists, exact):
            return
        below = _Place(f"{place.path}[]", place.depth + 1, sizes=(min(sizes), max(sizes)))
        below.total = sum(sizes) if exact else None
        each = max(_SAMPLE // len(lists), 2)
        for value in lists[:_SAMPLE]:
            below.values += spread(value, each // 2, each - each // 2)
        below.seen = len(below.values)
        self.complete &= below.seen == below.total
        place.below.append(below)

    def _rows(self, place: _Place, rows: list[list[object]], exact: bool) -> bool:
        """Rows of scalars, all of one length, are noted cell by cell."""
        width = len(rows[0])
        if len(rows) < 3 or not 2 <= width <= _MAX_CELLS or any(len(row) != width for row in rows):
            return False
        if any(isinstance(cell, (list, dict)) for row in rows for cell in row):
            return False
        columns: list[list[object]] = [list(column) for column in zip(*rows, strict=True)]
        first = [column[0] for column in columns]
        named = len({cell for cell in first if isinstance(cell, str) and cell_kind(cell) == "str"}) == width
        named = named and any(not isinstance(cell, str) for column in columns for cell in column[1:])
        for index, column in enumerate(columns):
            below = _Place(f"{place.path}[{index}]", place.depth + 1, seen=len(column))
            below.total = len(column) if exact else None
            if named:
                below.name, column = quoted(str(column[0]), 40), column[1:]
            below.values = column
            place.below.append(below)
        return True

    def _entries(self, place: _Place, dicts: list[dict[object, object]], exact: bool) -> None:
        """Records are noted key by key; dicts from many keys to like values are noted as one kind of entry."""
        samples = [list(islice(value.items(), _MAX_KEYS)) for value in dicts]
        keys = Counter(key for sample in samples for key, _ in sample)
        kinds = {type(value) for sample in samples for _, value in sample}
        whole = all(len(sample) == len(value) for sample, value in zip(samples, dicts, strict=True))
        if len(keys) > _MANY_KEYS and len(kinds) == 1:
            sizes = [len(value) for value in dicts]
            below = _Place(f"{place.path}{{}}", place.depth + 1, sizes=(min(sizes), max(sizes)))
            below.total = sum(sizes) if exact else None
            each = max(_SAMPLE // len(dicts), 2)
            below.values = [value for sample in samples for _, value in sample[:each]]
            below.seen = len(below.values)
            self.complete &= below.seen == below.total
            place.below.append(below)
            return
        self.complete &= whole
        places: dict[object, _Place] = {}
        for sample in samples:
            for key, value in sample:
                if key not in places:
                    if self.places + len(places) >= _MAX_PLACES:
                        self.complete = False
                        continue
                    path = f"{place.path}.{_key(key)}" if place.path else _key(key)
                    places[key] = _Place(path, place.depth + 1, parents=len(samples), total=0 if exact else None)
                found = places[key]
                found.seen += 1
                found.values.append(value)
                if found.total is not None:
                    found.total += 1
        place.below += places.values()


def _key(key: object) -> str:
    text = key if isinstance(key, str) else type_name(key)
    return text if _PLAIN_KEY.fullmatch(text) else quoted(text, 40)


@dataclass(frozen=True)
class Shape:
    """What is where in a value; ``about`` says how to read it."""

    lines: list[str]
    about: str


def survey(value: object, root: str = "") -> Shape:
    """What is found where below ``value``, at paths that begin with ``root``."""
    return survey_all([value], root)


def survey_all(values: list[object], root: str) -> Shape:
    """The same for several values that are alike."""
    found = _Survey(values, root)
    lines = [line for place in found.root.below for line in place.lines()]
    return Shape(lines, _LEGEND if found.complete else f"{_LEGEND}; sampled")


def told(value: list[object] | dict[object, object]) -> str:
    """A list or dict in a few words."""
    return (
        f"a list of {count(len(value), 'item')}" if isinstance(value, list) else f"a dict of {count(len(value), 'key')}"
    )
