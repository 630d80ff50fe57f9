"""The ``habit`` command: puts the commands together."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from habit import __version__
from habit.cli import status
from habit.cli.ask import ask
from habit.cli.benching import bench
from habit.cli.checking import COMMANDS as CHECKING
from habit.cli.completion import completion
from habit.cli.doctor import doctor
from habit.cli.explaining import explain
from habit.cli.groups import HabitGroup, help_without_command
from habit.cli.history import runs, show
from habit.cli.learning import learn, suggest
from habit.cli.local_models import models
from habit.cli.output import settle_streams
from habit.cli.repeat import replay, resume
from habit.cli.using import explain as explain_run
from habit.cli.using import run, stats
from habit.cli.versions import COMMANDS as LIBRARY


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


for command in (
    *(ask, run, runs, show, explain_run, resume, replay),
    *(learn, suggest, *LIBRARY, *CHECKING, stats),
    *(bench, models, doctor, completion),
):
    cli.add_command(command)


def main(args: Sequence[str] | None = None) -> NoReturn:
    """The console script: run the command line and exit with its status."""
    try:
        code = cli.main(args, prog_name="habit", standalone_mode=False)
    except Exception as error:  # noqa: BLE001 - the outermost place: every error becomes a line and a status
        code = explain(error)
    settle_streams()
    sys.exit(code if isinstance(code, int) else status.ANSWERED)
