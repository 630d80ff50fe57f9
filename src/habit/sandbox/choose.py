"""Picks the sandbox backend. What is not to be had is refused with the way on; nothing weaker is taken in silence."""

from __future__ import annotations

import importlib.util

from habit.errors import SandboxError, UsageError
from habit.sandbox.cpython import supported
from habit.sandbox.session import Sandbox

_INSTALL = "pip install 'habit[monty]'"


def pick(name: str) -> tuple[str, str]:
    """The backend to take for ``auto``, ``cpython`` or ``monty``; and what to tell people when it is not the usual one.

    Raises SandboxError, with the way on, where it is not to be had.
    """
    if name == "auto":
        lacking = supported()
        if lacking is None:
            return "cpython", ""
        if not monty_is_installed():
            raise SandboxError(f"{lacking}: {_INSTALL}, and Habit runs cells in the monty sandbox instead.")
        return "monty", f"{lacking}: cells run in the monty sandbox, which knows a part of Python."
    if name == "cpython":
        lacking = supported()
        if lacking is not None:
            raise SandboxError(f"{lacking}: {_INSTALL} and choose --sandbox monty.")
    elif name == "monty":
        if not monty_is_installed():
            raise SandboxError(f"The monty sandbox is not installed: {_INSTALL}.")
    else:
        raise UsageError(f"--sandbox must be one of auto, cpython, monty, not {name!r}.")
    return name, ""


def open_sandbox(name: str = "auto") -> Sandbox:
    """A sandbox of the backend that ``pick`` takes; its ``name`` says which. Raises SandboxError, UsageError."""
    if pick(name)[0] == "monty":
        from habit.sandbox.monty import MontySandbox

        return MontySandbox()
    from habit.sandbox.cpython import CPythonSandbox

    return CPythonSandbox()


def monty_is_installed() -> bool:
    """Whether pydantic-monty can be imported; it is not imported for that."""
    return importlib.util.find_spec("pydantic_monty") is not None
