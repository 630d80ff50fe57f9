"""The ``habit`` command: puts the commands together, and turns every error into one line and an exit status."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import click

from habit import __version__
from habit.cli import status
from habit.cli.ask import ask
from habit.cli.completion import completion
from habit.cli.doctor import doctor
from habit.cli.groups import HabitGroup, help_without_command
from habit.cli.history import runs, show
from habit.cli.local_models import models
from habit.cli.output import OutputClosed, error_line, settle_streams
from habit.cli.repeat import replay, resume
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


@click.group(
    cls=HabitGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Start with: habit ask 'How many errors are there, and of what kind?' server.log",
    invoke_without_command=True,
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Answer questions about inputs of any size: a model writes the program that finds the answer."""
    help_without_command(context)


for command in (ask, runs, show, resume, replay, models, doctor, completion):
    cli.add_command(command)


def main(args: Sequence[str] | None = None) -> NoReturn:
    """The console script: run the command line and exit with its status."""
    try:
        code = cli.main(args, prog_name="habit", standalone_mode=False)
    except Exception as error:  # noqa: BLE001 - the outermost place: every error becomes a line and a status
        code = explain(error)
    settle_streams()
    sys.exit(code if isinstance(code, int) else status.ANSWERED)
