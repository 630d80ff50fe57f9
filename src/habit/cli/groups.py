"""Groups of commands that help with a command they do not know."""

from __future__ import annotations

import difflib

import click


class HabitGroup(click.Group):
    """A group of commands that names near matches of an unknown one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order in which the commands were added: what is needed most comes first."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that ``args`` begin with; a usage error for an unknown one."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            raise click.UsageError(f"There is no command {name!r}; {self._hint(ctx, name)}", ctx)
        return super().resolve_command(ctx, args)

    def _hint(self, ctx: click.Context, name: str) -> str:
        names = self.list_commands(ctx)
        near = difflib.get_close_matches(name, names, n=1)
        if near:
            return f"did you mean {near[0]}?"
        if ctx.parent is None and " " in name:
            return "to ask a question, type: habit ask QUERY [PATH ...]"
        return f"the commands are {', '.join(names)}."


def help_without_command(ctx: click.Context) -> None:
    """Show the help of a group that was called alone."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
