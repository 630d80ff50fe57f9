"""Lists the variables of a session by name, type and size, without running any code of theirs."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any

_SIZED = (str, bytes, bytearray, list, tuple, dict, set, frozenset, deque, range)
_MAX_SCALAR = 40


def one_line(namespace: Mapping[str, Any], hidden: set[str], limit: int = 500) -> str:
    """``hits: list (12), total: int = 5``, data first, at most ``limit`` characters."""
    data, code = _user_variables(namespace, hidden)
    return joined([f"{name}: {_kind(value)}" for name, value in [*data, *code]], limit)


def joined(pieces: Sequence[str], limit: int) -> str:
    """``pieces`` on one line of at most ``limit`` characters; those that do not fit are counted."""
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


def listing(namespace: Mapping[str, Any], hidden: set[str]) -> str:
    """One line for each variable, ``context`` first."""
    data, code = _user_variables(namespace, hidden)
    rows = [("context", namespace.get("context")), *data, *code]
    return "\n".join(f"{name}: {_kind(value)}" for name, value in rows)


def _user_variables(
    namespace: Mapping[str, Any], hidden: set[str]
) -> tuple[list[tuple[str, Any]], list[tuple[str, Any]]]:
    data: list[tuple[str, Any]] = []
    code: list[tuple[str, Any]] = []
    for name, value in list(namespace.items()):
        if not isinstance(name, str) or name in hidden or name.startswith("_") or isinstance(value, ModuleType):
            continue
        (code if isinstance(value, (type, FunctionType)) else data).append((name[:60], value))
    return data, code


def _kind(value: Any) -> str:
    kind = type(value)
    name = kind.__name__[:40]
    if kind in (bool, float, type(None)) or (kind is int and value.bit_length() <= 100):
        return f"{name} = {value!r}" if value is not None else "None"
    if isinstance(value, str) and len(value) <= _MAX_SCALAR:
        return f"str = {str.__str__(value)!r}"
    if isinstance(value, _SIZED):
        size = f"{kind.__len__(value):,}" if kind.__module__ in ("builtins", "collections") else "?"
        return f"{name} ({size} characters)" if isinstance(value, str) else f"{name} ({size})"
    if kind.__module__.partition(".")[0] in ("numpy", "pandas"):
        shape = getattr(value, "shape", None)
        if isinstance(shape, tuple) and shape:
            return f"{name} ({' × '.join(f'{size:,}' for size in shape)})"
    if isinstance(value, type):
        return "class"
    return name
