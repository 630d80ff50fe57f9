"""Values that leave the session: contexts for calls, and answers. Both become plain text or plain JSON."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import math
import pathlib
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any

from habit.sandbox.cpython.frames import encode_json

MAX_DEPTH = 200


def context_payload(value: Any) -> tuple[str, bytes]:
    """(kind, payload) of a context given to recursive_llm; raises TypeError that says what to pass instead."""
    if isinstance(value, (bytes, bytearray)):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            raise TypeError("the context is bytes that are not UTF-8: decode them to a str first") from None
    elif _is_frame(value):
        value = _frame_text(value)
    if isinstance(value, str):
        return "text", str(value).encode("utf-8", "surrogatepass")
    try:
        return "json", encode_json(plain(value))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"the context can't be passed on: {error}; pass a str, or lists and dicts of str and numbers"
        ) from None


def plain_answer(value: Any) -> Any:
    """``value`` as plain JSON for ``answer``; raises TypeError or ValueError that says what to do."""
    if value is None:
        return None
    if isinstance(value, (bytes, bytearray)):
        raise TypeError("answer(): the value is bytes: decode it to a str first")
    try:
        if _is_frame(value):
            value = value.to_dict("records")
        return plain(value, finite=True)
    except (TypeError, ValueError) as error:
        raise type(error)(f"answer(): {error}; pass a str, a number, or lists and dicts of them") from None


def plain(value: Any, *, finite: bool = False) -> Any:
    """Plain JSON types that say the same: sets become sorted lists, dates ISO text, numpy and pandas scalars Python's.

    ``finite`` refuses NaN and infinity, which JSON does not have.
    """
    try:
        return _plain(value, finite, 0, set())
    except RecursionError:
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep, or holds itself") from None


def _plain(value: Any, finite: bool, depth: int, parents: set[int]) -> Any:
    kind = type(value)
    if kind is str or kind is bool or value is None or kind is int:
        return value
    if kind is float:
        if finite and not math.isfinite(value):
            raise ValueError(f"{value} is not a number that can be passed on")
        return value
    if isinstance(value, enum.Enum):
        return _plain(value.value, finite, depth, parents)
    for base in (str, int, float):
        if isinstance(value, base) and not isinstance(value, bool):
            return _plain(base(value), finite, depth, parents)
    converted = _converted(value)
    if converted is not value:
        return _plain(converted, finite, depth, parents)
    if depth >= MAX_DEPTH or id(value) in parents:
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep, or holds itself")
    parents.add(id(value))
    try:
        if isinstance(value, Mapping):
            return {_key(key): _plain(item, finite, depth + 1, parents) for key, item in value.items()}
        if isinstance(value, Set):
            return _sorted([_plain(item, finite, depth + 1, parents) for item in value])
        if isinstance(value, (Sequence, Iterator)) or hasattr(value, "__iter__"):
            return [_plain(item, finite, depth + 1, parents) for item in value]
    finally:
        parents.discard(id(value))
    raise TypeError(f"it holds a {_name(value)}, which is not data")


def _converted(value: Any) -> Any:
    """One step towards plain types for values of well-known classes; the value itself when there is none."""
    for types, convert in _CONVERSIONS:
        if isinstance(value, types):
            return convert(value)
    module = type(value).__module__.partition(".")[0]
    if module in ("numpy", "pandas"):
        return _from_numpy_or_pandas(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, type) or callable(value):
        raise TypeError(f"it holds {_name(value)}, which is not data (a call without parentheses?)")
    dump = getattr(type(value), "model_dump", None)
    return dump(value, mode="json") if callable(dump) else value


def _decimal(value: decimal.Decimal) -> int | float:
    return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)


def _bytes(value: bytes) -> str:
    return value.decode("utf-8")


_CONVERSIONS: list[tuple[Any, Callable[[Any], Any]]] = [
    ((datetime.datetime, datetime.date, datetime.time), lambda value: value.isoformat()),
    (datetime.timedelta, lambda value: value.total_seconds()),
    (decimal.Decimal, _decimal),
    (fractions.Fraction, float),
    ((pathlib.PurePath, uuid.UUID), str),
    ((bytes, bytearray), _bytes),
    (range, list),
]


def _from_numpy_or_pandas(value: Any) -> Any:
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if _is_frame(value):
        return value.to_dict("records")
    for method in ("item", "tolist", "to_list"):
        if method == "item" and getattr(value, "ndim", None) != 0:
            continue
        if hasattr(value, method):
            return getattr(value, method)()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value


def _is_frame(value: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def _frame_text(frame: Any) -> str:
    pandas = sys.modules["pandas"]
    counted = isinstance(frame.index, pandas.RangeIndex)
    return str(frame.to_csv(index=not counted))


def _key(key: Any) -> str:
    if isinstance(key, str):
        return str(key)
    value = _plain(key, False, 0, set())
    if isinstance(value, (dict, list)):
        return str(key)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _sorted(items: list[Any]) -> list[Any]:
    try:
        return sorted(items)
    except TypeError:
        return sorted(items, key=lambda item: (type(item).__name__, str(item)))


def _name(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = getattr(value, "__name__", None)
    kind = type(value).__name__
    return f"the {kind} {name}" if isinstance(name, str) else f"a {kind}"
