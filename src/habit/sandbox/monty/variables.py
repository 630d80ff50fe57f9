"""One line that lists the variables of a session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from habit.sandbox.cpython.inside.variables import joined


def one_line(variables: Sequence[Sequence[Any]], limit: int = 500) -> str:
    """``hits: list (12), total: int = 5`` from (name, kind, is code), data first, at most ``limit`` characters."""
    ordered = [row for row in variables if not row[2]] + [row for row in variables if row[2]]
    return joined([f"{name}: {kind}" for name, kind, _ in ordered], limit)
