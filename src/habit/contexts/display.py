"""Hostile or odd values as short, harmless text: escaped, cut, and never longer than asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from habit.contexts.estimate import estimate_text

_MAX_DEPTH = 8
_PLAIN = re.compile(r"\w[\w .,()/%&+-]*")


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


@dataclass(frozen=True)
class Section:
    """Lines under a title, and a word on what is left of them where there is not room for all."""

    title: str
    lines: Sequence[str] = ()
    more: str = "  … and {} more"
    total: int | None = None
    """How many lines there would be in all, if more than ``lines``."""
    share: float = 1.0
    """The part of the room left that this section may take."""


@dataclass
class Page:
    """A description in the making, held to a number of characters and of (estimated) tokens."""

    chars: int
    tokens: int
    lines: list[str] = field(default_factory=list)

    def add(self, section: Section) -> int:
        """Add what fits of a section, or nothing if that is not one line of it; returns how many of its lines fit."""
        lines = [section.title, *section.lines] if section.title else list(section.lines)
        total = len(section.lines) if section.total is None else max(section.total, len(section.lines))
        chars, tokens = int(self.chars * section.share), int(self.tokens * section.share)
        kept = _fitting(lines, chars, tokens)
        if kept < len(lines) or total > len(section.lines):
            rest = len(section.more) + 15
            kept = _fitting(lines, chars - rest, tokens - rest)
        shown = kept - bool(section.title)
        if shown < min(len(section.lines), 1):
            return 0
        for line in lines[:kept]:
            self._put(line)
        if total > shown:
            self._put(section.more.format(f"{total - shown:,}"))
        return shown

    def headline(self, text: str) -> None:
        """Add a line, cut to what room there is."""
        while text and (len(text) > self.chars or estimate_text(text) > self.tokens):
            text = clean(text, min(self.chars, len(text) * 3 // 4))
        if text:
            self._put(text)

    @property
    def text(self) -> str:
        """All that was added."""
        return "\n".join(self.lines)

    def _put(self, line: str) -> None:
        self.lines.append(line)
        self.chars -= len(line) + 1
        self.tokens -= estimate_text(line) + 1


def _fitting(lines: Sequence[str], chars: int, tokens: int) -> int:
    """How many of the first lines fit."""
    for index, line in enumerate(lines):
        chars -= len(line) + 1
        if chars < 0:
            return index
        tokens -= estimate_text(line) + 1
        if tokens < 0:
            return index
    return len(lines)


def share(part: int, whole: int) -> str:
    """A share in per cent; a small one is never shown as none, nor a large one as all."""
    percent = 100 * part / max(whole, 1)
    if 0 < percent < 1:
        return "<1%"
    return f"{min(round(percent), 99) if part < whole else round(percent)}%"


def count(number: int, noun: str) -> str:
    """A number and its noun, in the plural where that is right."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def spread(items: Sequence[object], first: int, more: int) -> list[object]:
    """The first items and some from all over the rest, the last one included."""
    if len(items) <= first + more:
        return list(items)
    return [*islice(items, first), *(items[first + index] for index in strata(len(items) - first, more))]


def strata(size: int, most: int) -> list[int]:
    """At most ``most`` indexes below ``size``, in order, the last one included: one from each of as many equal parts.

    Where in its part an index lies varies, so that what recurs at equal distances is not met always or never.
    """
    if size <= most:
        return list(range(size))
    parts = ((part * size // most, (part + 1) * size // most) for part in range(most - 1))
    picked = [
        start + (part * 2_654_435_761 % 2**32) * (end - start) // 2**32 for part, (start, end) in enumerate(parts)
    ]
    return [*picked, size - 1]


def label(text: str, width: int) -> str:
    """A name as it is when it is plain, in quotes when it holds anything that could be misread."""
    return clean(text, width) if _PLAIN.fullmatch(text) else quoted(text, width)
