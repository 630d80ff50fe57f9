"""Habit: recursive language models that form habits.

``habit.ask("How many …?", text)`` answers a question about an input of any size; ``habit.Engine`` is the same for
asynchronous code. Everything public is named here; it is imported when it is first used, so that ``import habit``
costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from habit.calls.budget import Budget
    from habit.calls.usage import Usage
    from habit.config import Settings
    from habit.contexts.context import Context
    from habit.direct import Library
    from habit.engine import Engine, ask
    from habit.errors import (
        BudgetExceeded,
        CallFailed,
        HabitError,
        JournalError,
        ReplayMismatch,
        RunError,
        RunFailed,
        SandboxError,
        UsageError,
    )
    from habit.run import Replay, Run
    from habit.sessions import Session
    from habit.stream import RunStream

_HOMES = {
    "Budget": "habit.calls.budget",
    "BudgetExceeded": "habit.errors",
    "CallFailed": "habit.errors",
    "Context": "habit.contexts.context",
    "Engine": "habit.engine",
    "HabitError": "habit.errors",
    "JournalError": "habit.errors",
    "Library": "habit.direct",
    "Replay": "habit.run",
    "ReplayMismatch": "habit.errors",
    "Run": "habit.run",
    "RunError": "habit.errors",
    "RunFailed": "habit.errors",
    "RunStream": "habit.stream",
    "SandboxError": "habit.errors",
    "Session": "habit.sessions",
    "Settings": "habit.config",
    "Usage": "habit.calls.usage",
    "UsageError": "habit.errors",
    "ask": "habit.engine",
}

__all__ = [
    "Budget",
    "BudgetExceeded",
    "CallFailed",
    "Context",
    "Engine",
    "HabitError",
    "JournalError",
    "Library",
    "Replay",
    "ReplayMismatch",
    "Run",
    "RunError",
    "RunFailed",
    "RunStream",
    "SandboxError",
    "Session",
    "Settings",
    "Usage",
    "UsageError",
    "ask",
]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'habit' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
