"""Bounded samples of bytes that may be large and hostile: whole lines of a text, whole items of a JSON document."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

WHOLE = 4 << 20
"""Bytes up to which JSON is parsed whole and tables are read to the last row (about 0.1 s)."""
_HEAD = 64 * 1024
_PIECE = 4 * 1024
_PIECES = 16
_JSON_HEAD = 1 << 20
_JSON_PIECE = 64 * 1024
_FROM_THE_HEAD = 200
_SPACE = " \t\r\n"


def decoded(payload: bytes) -> str:
    """UTF-8 as contexts have it; where a character was cut in two, or bytes are none at all, U+FFFD."""
    try:
        return payload.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return payload.decode("utf-8", "replace")


def sample_text(payload: bytes) -> str:
    """The text when it is short; else its first lines, and lines from all over the rest."""
    if len(payload) <= _HEAD + _PIECE * _PIECES:
        return decoded(payload)
    head = payload[:_HEAD]
    whole = head[: head.rfind(b"\n") + 1] or head + b"\n"
    step = (len(payload) - _HEAD) // _PIECES
    pieces = []
    for index in range(_PIECES):
        start = _HEAD + index * step
        piece = payload[start : start + _PIECE]
        pieces.append(piece[piece.find(b"\n") + 1 : piece.rfind(b"\n") + 1])
    return decoded(whole + b"".join(pieces))


@dataclass(frozen=True)
class SampledJson:
    """A JSON document, or what was looked at of one that is large."""

    value: Any
    """The document, or a list or dict of some of its items."""
    size: int
    """Items of a list or keys of a dict that there are; of a sample, about that many."""
    whole: bool


def sample_json(payload: bytes) -> SampledJson | None:
    """The document when it is small; else its first items, and items from all over a list. None when it is no JSON."""
    try:
        if len(payload) <= WHOLE:
            value = json.loads(decoded(payload))
            return SampledJson(value, len(value) if isinstance(value, (list, dict)) else 1, True)
        text = decoded(payload[:_JSON_HEAD])
        start = len(text) - len(text.lstrip("\ufeff" + _SPACE))
        if text[start : start + 1] == "[":
            return _list(payload, text, start + 1)
        return _dict(payload, text, start + 1) if text[start : start + 1] == "{" else None
    except (ValueError, RecursionError):
        return None


_decode = json.JSONDecoder().raw_decode
_GAP = re.compile(r"[ \t\r\n]*,?[ \t\r\n]*")
_COLON = re.compile(r"[ \t\r\n]*:[ \t\r\n]*")


def _items(text: str, position: int, most: int) -> tuple[list[Any], int]:
    """Whole items from ``position`` on, and where the last of them ends."""
    found: list[Any] = []
    while len(found) < most:
        gap = _GAP.match(text, position)
        try:
            value, end = _decode(text, gap.end() if gap else position)
        except (ValueError, RecursionError):
            break
        if end >= len(text):  # a number that was cut in two is a number too
            break
        found.append(value)
        position = end
    return found, position


def _list(payload: bytes, text: str, position: int) -> SampledJson | None:
    items, end = _items(text, position, _FROM_THE_HEAD)
    if not items:
        return None
    first = items[0]
    # Between other braces and brackets nothing says where an item begins; the name of its first key mostly does.
    mark = json.dumps(next(iter(first)), ensure_ascii=False) if isinstance(first, dict) and first else ""
    opening = re.compile(rb"\{\s{0,40}" + re.escape(mark.encode("utf-8", "surrogatepass"))) if mark else None
    for index in range(_PIECES if opening else 0):
        start = len(payload) * (index + 1) // (_PIECES + 1)
        piece = payload[start : start + _JSON_PIECE]
        hit = opening.search(piece) if opening else None
        later = _items(decoded(piece[hit.start() :]), 0, 8)[0] if hit else []
        items += [item for item in later if isinstance(item, dict) and len(item.keys() & first.keys()) > len(first) / 2]
    each = len(text[position:end].encode("utf-8", "surrogatepass")) / max(min(len(items), _FROM_THE_HEAD), 1)
    return SampledJson(items, max(round(len(payload) / max(each, 1)), len(items)), False)


def _dict(payload: bytes, text: str, position: int) -> SampledJson | None:
    found: dict[str, Any] = {}
    begin = position
    while len(found) < _FROM_THE_HEAD:
        gap = _GAP.match(text, position)
        try:
            key, end = _decode(text, gap.end() if gap else position)
        except (ValueError, RecursionError):
            break
        colon = _COLON.match(text, end)
        if not isinstance(key, str) or colon is None:
            break
        try:
            value, position = _decode(text, colon.end())
        except (ValueError, RecursionError):
            # A value longer than what is looked at: of a text, its beginning; of a list, its first items.
            rest = text[colon.end() :]
            found[key] = _items(rest, 1, _FROM_THE_HEAD)[0] if rest.startswith("[") else _beginning(rest)
            return SampledJson(found, len(found), False)
        found[key] = value
    if not found:
        return None
    each = (position - begin) / len(found)
    return SampledJson(found, max(round(len(payload) / max(each, 1)), len(found)), False)


def _beginning(rest: str) -> Any:
    if not rest.startswith('"'):
        return {} if rest.startswith("{") else None
    cut = rest[: 256 * 1024]
    for shorter in range(12):  # an escape that was cut in two
        try:
            return json.loads(cut[: len(cut) - shorter] + '"')
        except ValueError:
            continue
    return ""
