"""Turns every error into one line on stderr and an exit status."""

from __future__ import annotations

import os
import traceback

import click

from habit.cli import status
from habit.cli.output import OutputClosed, error_line
from habit.cli.running import Interrupted
from habit.errors import BudgetExceeded, HabitError, UsageError


def explain(error: Exception) -> int:
    """Say on stderr what went wrong, in one line; gives the exit status."""
    if os.environ.get("HABIT_DEBUG") not in (None, "", "0"):
        traceback.print_exception(error)
    match error:
        case OutputClosed():
            return error.status
        case click.Abort():
            error_line("Interrupted.", word="")
            return status.INTERRUPTED
        case Interrupted():
            error_line(str(error), word="")
            return error.status
        case click.ClickException():
            error_line(_with_help(error))
            return error.exit_code
        case HabitError():
            error_line(str(error))
            return _status_of(error)
        case _:
            what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            error_line(f"This is a bug in Habit: {what}; please report it with the output under HABIT_DEBUG=1.")
            return status.FAILED


def _status_of(error: HabitError) -> int:
    if isinstance(error, UsageError):
        return status.USAGE
    return status.BUDGET if isinstance(error, BudgetExceeded) else status.FAILED


def _with_help(error: click.ClickException) -> str:
    message = error.format_message()
    context = getattr(error, "ctx", None)
    if context is None:
        return message
    return f"{message.rstrip('.')} (see {context.command_path} --help)."
