"""Every error Habit raises on purpose; each message is one sentence that says what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from habit.run import Run


class HabitError(Exception):
    """Base of every error raised on purpose."""


class UsageError(HabitError):
    """The request itself is wrong (no such file, unknown model, budget of 0); nothing was started. Exit status 2."""


class CallFailed(HabitError):
    """One bounded call gave no usable reply, after retries where they make sense.

    ``reason`` is a stable word for programs: ``refused``, ``empty``, ``invalid`` (nonsense from the server),
    ``rejected`` (4xx), ``no_tools``, ``rate_limited``, ``server``, ``timeout``, ``connection``, ``too_long``,
    ``mismatch`` (wrong type).
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class ReplayMismatch(HabitError):
    """A replayed run asked for a call that was not recorded: the code, the context or the settings differ."""


class SandboxError(HabitError):
    """The sandbox could not be started or used on this machine; the message names the way on."""


class SessionDied(SandboxError):
    """A worker process is gone (crash, memory, ignored interrupt); its variables are lost, the run can go on."""


class JournalError(HabitError):
    """The journal cannot be read or written (full disk, read-only folder, newer format)."""


class RunError(HabitError):
    """A run ended without an answer; ``run`` holds everything that was reached, usage included."""

    def __init__(self, message: str, run: Run | None = None) -> None:
        super().__init__(message)
        self.run = run


class BudgetExceeded(RunError):
    """The run was stopped by a budget. Exit status 3.

    ``limit`` names it: ``calls``, ``tokens``, ``usd``, ``seconds``, ``usd_day``, or ``fan_out`` for a large map that
    nobody agreed to. ``scope`` says whose limit it is: ``run``, ``day``, or the name of a wider scope.
    """

    def __init__(self, message: str, *, limit: str, scope: str = "run", run: Run | None = None) -> None:
        super().__init__(message, run)
        self.limit = limit
        self.scope = scope
        self.best_answer: Any = None
        """What the model took for the best answer when it was stopped, where there was room left to ask."""


class RunFailed(RunError):
    """The run could not be answered. Exit status 1."""
