"""Hostile or odd values as short, harmless text: escaped, cut, and never longer than asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

_MAX_DEPTH = 8


def clean(text: str, width: int) -> str:
    """``text`` as one line of at most ``width`` characters: what cannot be seen is escaped, what is too long is cut."""
    text, longer = text[: width + 1], len(text) > width
    if not text.isprintable():
        text = "".join(char if char.isprintable() or char == "\t" else _escaped(char) for char in text)
    if longer or len(text) > width:
        text = text[: max(width - 1, 0)] + "…"
    return text[: max(width, 0)]


def _escaped(char: str) -> str:
    return {"\n": "\\n", "\r": "\\r"}.get(char) or ascii(char)[1:-1]


def quoted(text: str, width: int) -> str:
    """``text`` in double quotes, at most ``width`` characters with them."""
    return f'"{clean(text, max(width - 2, 1))}"'[: max(width, 0)]


def literal(value: object, width: int) -> str:
    """``value`` much as Python writes it, looking only at the part of it that can be shown."""
    pieces: list[str] = []
    _write(value, _Room(width), pieces, 0)
    text = "".join(pieces)
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


class _Room:
    """Characters left; kept by reference so that every level of a nested value draws on the same."""

    def __init__(self, left: int) -> None:
        self.left = left


def _write(value: object, room: _Room, pieces: list[str], depth: int) -> None:
    def put(text: str) -> None:
        pieces.append(text)
        room.left -= len(text)

    if isinstance(value, str):
        put(quoted(value, max(room.left, 3)))
    elif isinstance(value, dict):
        put("{")
        for index, (key, item) in enumerate(value.items()):
            if room.left <= 0 or depth >= _MAX_DEPTH:
                put("…")
                break
            put(", " * bool(index) + literal(key, min(room.left, 80)) + ": ")
            _write(item, room, pieces, depth + 1)
        put("}")
    elif isinstance(value, (list, tuple)):
        put("[")
        for index, item in enumerate(value):
            if room.left <= 0 or depth >= _MAX_DEPTH:
                put("…")
                break
            put(", " * bool(index))
            _write(item, room, pieces, depth + 1)
        put("]")
    else:
        put(scalar(value))


def scalar(value: object) -> str:
    """A number, bool or None as Python writes it; for anything else only its type, whose repr could be hostile."""
    if isinstance(value, int) and value.bit_length() > 256:
        return f"<an int of {value.bit_length()} bits>"
    if value is None or type(value) in (bool, int, float):
        return repr(value)
    return f"<{clean(type(value).__name__, 40)}>"


def fit(lines: Iterable[str], room: int, *, more: str = "… and {} more", total: int | None = None) -> list[str]:
    """As many of ``lines`` as fit into ``room`` characters, newlines counted, and a word on the rest."""
    lines = list(lines)
    total = len(lines) if total is None else total
    if total == len(lines) and sum(len(line) + 1 for line in lines) <= room:
        return lines
    kept: list[str] = []
    room -= len(more) + 10
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return [*kept, more.format(f"{total - len(kept):,}")] if total > len(kept) else kept


def spread(items: Sequence[object], first: int, more: int) -> list[object]:
    """The first items and some evenly spaced ones from all over the rest."""
    if len(items) <= first + more:
        return list(items)
    step = (len(items) - first) / more
    return [*islice(items, first), *(items[first + int(index * step)] for index in range(more))]
