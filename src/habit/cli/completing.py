"""What the shell is offered when Tab is pressed: the words of a flag, runs of the journal, models, paths.

Every press starts a process of ours, so nothing heavy is imported here; and whatever goes wrong means no suggestions.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class

from habit.cli.output import one_line
from habit.errors import HabitError

Items = list[CompletionItem]
Completer = Callable[[click.Context, click.Parameter, str], Items]

_RUNS = 50
_BUSY_SECONDS = 0.5
_HELP_CHARS = 60
_TYPES = ("str", "int", "float", "bool", "json", "list[str]", "list[int]")


@add_completion_class
class Bash(BashComplete):
    """click's completion, but with colons in words: bash splits ``local:NAME`` there, and completes the last part."""

    source_template = BashComplete.source_template.replace(
        "COMPREPLY+=($value)\n", "COMPREPLY+=($value)\n            [[ $value == *: ]] && compopt -o nospace\n"
    )
    _done = ""
    """What bash has of the word already, and does not replace."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one to complete, and its beginning."""
        arguments, begun = super().get_completion_args()
        whole: list[str] = []
        before = ""
        for word in (*arguments, begun):
            if whole and (word == ":" or (word and before == ":")):
                whole[-1] += word
            else:
                whole.append(word)
            before = word
        if len(whole) <= len(arguments):
            self._done = whole[-1][: whole[-1].rfind(":") + 1]
        return whole[:-1], whole[-1]

    def format_completion(self, item: CompletionItem) -> str:
        """A line for the script."""
        return f"{item.type},{str(item.value).removeprefix(self._done)}"


def by_metavar(metavar: str | None) -> Completer | None:
    """What completes a flag whose value is called ``metavar`` in its help."""
    if metavar is None:
        return None
    return words(*metavar.split("|")) if "|" in metavar else _BY_METAVAR.get(metavar)


def words(*choices: str) -> Completer:
    """Completes one of ``choices``."""
    return lambda context, parameter, begun: _begun([CompletionItem(choice) for choice in choices], begun)


def paths(context: click.Context, parameter: click.Parameter, begun: str) -> Items:
    """Leaves it to the shell to complete a file or folder."""
    return [CompletionItem(begun, type="file")]


def question_or_paths(context: click.Context, parameter: click.Parameter, begun: str) -> Items:
    """A question is for the person to make up; at a prompt (``-i``) even the first argument is a PATH."""
    return paths(context, parameter, begun) if context.params.get("interactive") else []


def types(context: click.Context, parameter: click.Parameter, begun: str) -> Items:
    """Types of an answer, or the file of a schema."""
    found = _begun([CompletionItem(name) for name in _TYPES], begun)
    return found or paths(context, parameter, begun)


def runs(context: click.Context, parameter: click.Parameter, begun: str) -> Items:
    """Runs of the journal, newest first, with their questions; for ``resume`` those that were not answered."""
    import sqlite3

    from habit.journal.naming import is_safe_in_a_path
    from habit.journal.packing import unpack
    from habit.journal.peek import peek

    found = []
    try:
        path = _journal(context)
        if not path.exists():
            return []
        wanted = "WHERE status != 'answered'" if context.info_name == "resume" else ""
        with closing(peek(path, busy_seconds=_BUSY_SECONDS)) as db:
            select = f"SELECT id, query FROM runs {wanted} ORDER BY started DESC, id DESC LIMIT ?"
            for run_id, query in db.execute(select, (_RUNS,)):
                if isinstance(run_id, str) and is_safe_in_a_path(run_id):
                    found.append(CompletionItem(run_id, help=one_line(unpack(query))[:_HELP_CHARS]))
    except (sqlite3.Error, OSError, ValueError, HabitError):
        return []
    newest = [CompletionItem("last", help="the newest run")] if found else []
    return _begun([*newest, *found], begun)


def habits(context: click.Context, parameter: click.Parameter, begun: str) -> Items:
    """Habits of the library: its folders that hold one."""
    from habit.config import load

    try:
        folder = Path(load({"library": context.params.get("library")}).library)
        names = sorted(path.parent.name for path in folder.glob("*/habit.toml"))
    except (OSError, HabitError):
        return []
    return _begun([CompletionItem(name) for name in names], begun)


def candidates(context: click.Context, parameter: click.Parameter, begun: str) -> Items:
    """Habits that wait for a review: branches ``habit/NAME``; then those in use, which may have been edited."""
    from habit.config import load
    from habit.library.git import Git

    try:
        folder = Path(load({"library": context.params.get("library")}).library)
        listed = Git(folder if folder.is_dir() else Path()).read(
            "for-each-ref", "--format=%(refname:lstrip=3)", "refs/heads/habit/"
        )
    except (OSError, HabitError):
        return []
    return _begun([CompletionItem(name) for name in listed.decode("utf-8", "replace").split()], begun)


def _journal(context: click.Context) -> Path:
    from habit.config import load

    flags = {"journal": context.params.get("journal")}
    return Path(load(flags).journal)


def models(context: click.Context, parameter: click.Parameter, begun: str) -> Items:
    """Local models, those of providers by their beginning, and the path of a GGUF file."""
    from habit.calls.catalogue import PROVIDERS
    from habit.local.models import KNOWN, list_models

    if "/" in begun or begun.startswith((".", "~")):
        return paths(context, parameter, begun)
    try:
        here = {model.name for model in list_models() if model.known}
    except (HabitError, OSError):
        here = set()
    local = [CompletionItem("local", help="the default model on this machine")]
    local += [
        CompletionItem(f"local:{name}", help="" if name in here else "to be fetched with habit models pull")
        for name in KNOWN
    ]
    providers = [CompletionItem(f"{name}:", help=f"a model of {name}") for name in PROVIDERS]
    return _begun([*local, *providers], begun)


def fetchable_models(context: click.Context, parameter: click.Parameter, begun: str) -> Items:
    """Models that can be fetched by name."""
    from habit.local.models import KNOWN

    return _begun([CompletionItem(name, help=f"{model.size / 1e9:.2f} GB") for name, model in KNOWN.items()], begun)


def models_here(context: click.Context, parameter: click.Parameter, begun: str) -> Items:
    """Models that can be deleted."""
    from habit.local.models import list_models

    try:
        names = [model.name if model.known else model.path.name for model in list_models()]
    except (HabitError, OSError):
        return []
    return _begun([CompletionItem(name) for name in names], begun)


def _begun(items: Items, begun: str) -> Items:
    return [item for item in items if str(item.value).startswith(begun)]


_BY_METAVAR: dict[str, Completer] = {"FILE": paths, "M": models, "RUN": runs, "TYPE": types}
