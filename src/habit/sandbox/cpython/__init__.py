"""The cpython backend: full CPython in locked-down worker processes, forked from a zygote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from habit.sandbox.cpython.support import supported

if TYPE_CHECKING:
    from habit.sandbox.cpython.sandbox import CPythonSandbox

__all__ = ["CPythonSandbox", "supported"]


def __getattr__(name: str) -> Any:
    """Import the host's side when a host asks for it: the zygote lives in this package too and must not."""
    if name != "CPythonSandbox":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from habit.sandbox.cpython.sandbox import CPythonSandbox

    return CPythonSandbox
