"""One line that lists the variables of a session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def one_line(variables: Sequence[Sequence[Any]], limit: int = 500) -> str:
    """``hits: list (12), total: int = 5`` from (name, kind, is code), data first, at most ``limit`` characters."""
    ordered = [row for row in variables if not row[2]] + [row for row in variables if row[2]]
    pieces = [f"{name}: {kind}" for name, kind, _ in ordered]
    text = ", ".join(pieces)
    if len(text) <= limit:
        return text
    kept: list[str] = []
    room = limit - 20
    for piece in pieces:
        room -= len(piece) + 2
        if room < 0:
            break
        kept.append(piece)
    return f"{', '.join(kept)}, … {len(pieces) - len(kept)} more"[:limit]
