"""The structure of JSON values: where what type of value is found, from a bounded sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from habit.contexts.display import clean, literal, quoted, spread

_MAX_NODES = 6_000
_MAX_PATHS = 250
_MAX_DEPTH = 8
_MAX_KEYS = 60
_MANY_KEYS = 40
"""A dict with more keys than this whose values are all alike is a table of records, not a record."""

_NAMES = {str: "str", int: "int", float: "float", bool: "bool", type(None): "None", list: "list", dict: "dict"}


def type_name(value: object) -> str:
    """The type of a JSON value, by its Python name."""
    return _NAMES.get(type(value)) or clean(type(value).__name__, 40)


@dataclass
class _Place:
    """What was found at one path."""

    kinds: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    least: int = 0
    most: int = 0
    record: str | None = None
    """The path of the dict this is a key of, when that dict is a record."""

    def see(self, value: object) -> None:
        self.kinds[type_name(value)] += 1
        if isinstance(value, (list, dict)):
            first = self.kinds["list"] + self.kinds["dict"] == 1
            self.least = len(value) if first else min(self.least, len(value))
            self.most = max(self.most, len(value))
        elif value is not None and len(self.examples) < 3:
            example = quoted(value, 40) if isinstance(value, str) else literal(value, 40)
            if example not in self.examples:
                self.examples.append(example)

    def line(self, path: str, parents: int) -> str:
        parts = []
        for kind, _ in self.kinds.most_common():
            size = f"{self.least:,}" if self.least == self.most else f"{self.least:,} to {self.most:,}"
            parts.append(f"{kind} of {size}" if kind in ("list", "dict") else kind)
        text = f"  {path}: {' or '.join(parts)}"
        seen = self.kinds.total()
        if seen < parents:
            text += f", in {seen} of {parents} sampled"
        if self.examples:
            text += f", such as {', '.join(self.examples)}"
        return text


class Survey:
    """The places of a value, in the order they are met."""

    def __init__(self) -> None:
        self.places: dict[str, _Place] = {}
        self.nodes = 0

    def visit(self, value: object, path: str, depth: int = 0, record: str | None = None) -> None:
        """Note ``value`` at ``path`` and go on below it, as far as the bounds allow."""
        if self.nodes >= _MAX_NODES or (path not in self.places and len(self.places) >= _MAX_PATHS):
            return
        self.nodes += 1
        self.places.setdefault(path, _Place(record=record)).see(value)
        if depth >= _MAX_DEPTH:
            return
        if isinstance(value, list):
            for item in spread(value, *((60, 60) if depth < 2 else (10, 10))):
                self.visit(item, f"{path}[i]", depth + 1)
        elif isinstance(value, dict):
            self.visit_dict(value, path, depth)

    def visit_dict(self, value: dict[object, object], path: str, depth: int) -> None:
        """A record is noted key by key; a dict from many keys to like values is noted as one kind of entry."""
        items = list(islice(value.items(), _MAX_KEYS))
        if len(value) > _MANY_KEYS and len({type(item) for _, item in items}) == 1:
            for _, item in items:
                self.visit(item, f"{path}[key]", depth + 1)
            return
        for key, item in items:
            self.visit(item, f"{path}[{literal(key, 60)}]", depth + 1, record=path)

    def lines(self) -> Iterator[str]:
        """One line for each place below the value itself."""
        for path, place in self.places.items():
            if path != "context":
                parents = self.places[place.record].kinds["dict"] if place.record is not None else 0
                yield place.line(path, parents)


def survey(value: object) -> list[str]:
    """Lines that say what is found where below ``value``, which the session knows as ``context``."""
    found = Survey()
    found.visit(value, "context")
    return list(found.lines())
