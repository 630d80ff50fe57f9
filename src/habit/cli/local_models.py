"""``habit models``: list, fetch and delete the models that run on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from habit.cli import completing, options
from habit.cli.groups import HabitGroup, help_without_command
from habit.cli.output import note_line, visible, write, write_json

if TYPE_CHECKING:
    from habit.local.models import KnownModel, LocalModel


@click.group(cls=HabitGroup, short_help="List, fetch and delete local models.", invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List, fetch and delete the models that run on this machine."""
    help_without_command(context)


@models.command("list", short_help="List local models, and those that can be fetched.")
@options.json_flag
def list_command(as_json: bool) -> None:
    """List the models on this machine, and those that can be fetched."""
    from habit.local.models import DEFAULT, KNOWN, list_models

    here = list_models()
    names = {model.name for model in here}
    rows = [_here(model) for model in here] + [_known(model) for model in KNOWN.values() if model.name not in names]
    for row in rows:
        row["default"] = row["name"] == DEFAULT
    if as_json:
        write_json(rows)
    else:
        name_width = max(len(row["name"]) for row in rows)
        write("\n".join(visible(_line(row, name_width)) for row in rows))


def _here(model: LocalModel) -> dict[str, Any]:
    return {"name": model.name, "bytes": model.size, "path": str(model.path), "fetched": True}


def _known(model: KnownModel) -> dict[str, Any]:
    return {"name": model.name, "bytes": model.size, "path": None, "fetched": False}


def _line(row: dict[str, Any], name_width: int) -> str:
    where = row["path"] if row["fetched"] else f"not here yet; fetch it with: habit models pull {row['name']}"
    return f"{row['name']:<{name_width}}  {row['bytes'] / 1e9:.2f} GB  {where}"


@models.command(short_help="Fetch a local model; an interrupted pull goes on where it was.")
@click.argument("name", required=False, shell_complete=completing.fetchable_models)
def pull(name: str | None) -> None:
    """Fetch the local model NAME (default: the one that `local` stands for), verified against its checksum.

    An interrupted pull goes on where it was. Prints the path of the model file.
    """
    from habit.cli.bar import progress_bar
    from habit.cli.running import Interrupted
    from habit.local.models import DEFAULT, known_model
    from habit.local.pull import pull as fetch

    model = known_model(name or DEFAULT)
    try:
        with progress_bar(model.name) as advance:
            path = fetch(model, progress=advance)
    except KeyboardInterrupt:
        raise Interrupted("Interrupted; the same command goes on where it was.", signal_number=2) from None
    write(str(path))


@models.command(short_help="Delete a local model.")
@click.argument("name", shell_complete=completing.models_here)
def rm(name: str) -> None:
    """Delete the local model NAME, and what an interrupted pull left of it."""
    from habit.local.models import remove

    freed = remove(name)
    note_line(f"Deleted {name}; {freed / 1e9:.2f} GB are free again.")
