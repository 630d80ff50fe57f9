"""Cells and rows of tables as JSON can hold them."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from habit.contexts.documents.converted import Row


def plain(cell: object) -> Any:
    """A value that JSON can hold.

    Dates and times are ISO 8601, bytes are UTF-8 text or else base64, a float without a fraction is an int. A decimal
    is a number if a float holds every digit of it, else its digits as text. What is not a number (nan) is None.
    """
    match cell:
        case None | bool() | int() | str():
            return cell
        case float():
            if not math.isfinite(cell):
                return None if math.isnan(cell) else str(cell)
            return int(cell) if cell.is_integer() and abs(cell) < 2**53 else cell
        case Decimal():
            return _number(cell)
        case datetime() | date() | time():
            return cell.isoformat()
        case timedelta():
            return str(cell)
        case bytes() | bytearray() | memoryview():
            return _bytes(bytes(cell))
        case Mapping():
            return {str(plain(key)): plain(item) for key, item in cell.items()}
        case list() | tuple():
            return [plain(item) for item in cell]
        case _:
            return str(cell)


def named(rows: list[list[Any]]) -> list[Row]:
    """Rows by column name if the first row names every column, each by another text; else the rows as they are."""
    names = rows[0]
    width = max(len(row) for row in rows)
    fits = len(rows) > 1 and len(names) == width and all(isinstance(name, str) and name.strip() for name in names)
    if not fits or len(set(names)) < width:
        return list(rows)
    return [dict(zip(names, row, strict=False)) for row in rows[1:]]


def _number(value: Decimal) -> Any:
    if not value.is_finite():
        return None if value.is_nan() else str(value)
    if value == value.to_integral_value() and abs(value) < 2**53:
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else str(value)


def _bytes(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()
    return text if text.isprintable() else base64.b64encode(value).decode()
