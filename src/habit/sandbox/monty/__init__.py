"""The monty backend: a subset of Python in Rust, each session in a worker process of its own (extra ``monty``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from habit.sandbox.monty.sandbox import MontySandbox

__all__ = ["MontySandbox"]


def __getattr__(name: str) -> Any:
    """Import the backend, and with it pydantic-monty, when it is asked for."""
    if name != "MontySandbox":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from habit.sandbox.monty.sandbox import MontySandbox

    return MontySandbox
