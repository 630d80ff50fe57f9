"""``habit completion``: the script that makes a shell complete ``habit``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from habit.cli.output import write

_INSTALL = {
    "bash": "add this line to ~/.bashrc: eval \"$(habit completion bash)\"",
    "zsh": "add this line to ~/.zshrc, below compinit: eval \"$(habit completion zsh)\"",
    "fish": "habit completion fish > ~/.config/fish/completions/habit.fish",
}  # fmt: skip


@click.command(short_help="Print the script that makes a shell complete habit.")
@click.argument("shell", type=click.Choice(tuple(_INSTALL)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script for bash, zsh or fish; its last line says how to install it.

    It completes commands, flags and their values, runs of the journal, models and paths.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(context.find_root().command, {}, "habit", "_HABIT_COMPLETE").source()
    write(f"{script.rstrip()}\n\n# To install: {_INSTALL[shell]}")
