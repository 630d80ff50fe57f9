"""``habit run``, ``habit explain`` and ``habit stats``: use a habit by name, and see how habits fare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from habit.cli import completing, options
from habit.cli.ask import answer_run, standard_input
from habit.cli.history import read_journal
from habit.cli.journals import must_exist
from habit.cli.listening import listening
from habit.cli.output import answer_text, note_line, one_line, write, write_json
from habit.errors import UsageError

if TYPE_CHECKING:
    from habit.engine import Engine
    from habit.journal.records import RunRecord
    from habit.library.evidence import Use
    from habit.run import Run


@click.command(short_help="Use an approved habit by name, with its parameters.")
@options.habit_argument
@click.argument("paths", nargs=-1, metavar="[PATH]...", shell_complete=completing.paths)
@click.option("--param", "given", multiple=True, metavar="NAME=VALUE", help="A parameter of the habit; once for each.")
@click.option(
    "--at", "version", type=click.IntRange(min=1), default=None, metavar="N", help="Version N, not the active."
)
@click.option(
    "--strategy",
    metavar="habit|auto",
    default=None,
    shell_complete=completing.by_metavar("habit|auto"),
    help="habit (default): the habit or nothing; auto: where it can't answer, the model writes a program.",
)
@options.direct_option
@options.library_options
@options.model_options
@options.budget_options
@options.limit_options
@options.record_options
@options.listening_options
@click.option("--raw", is_flag=True, help="Take every file as the text it is: convert and unpack nothing.")
@click.option("--skip-bad", is_flag=True, help="Leave out files that can't be read as text, and say so.")
@options.json_flag
@options.verbose_flag
def run(
    name: str,
    paths: tuple[str, ...],
    given: tuple[str, ...],
    version: int | None,
    raw: bool,
    skip_bad: bool,
    events: str | None,
    events_content: bool,
    as_json: bool,
    verbose: bool,
    **flags: Any,
) -> int:
    """Use the habit NAME on the given files, folders and globs, or on standard input.

    It answers by itself or not at all, unless --strategy auto is given.
    """
    from habit.config import load

    settings = load({**flags, "strategy": flags.get("strategy") or "habit"})
    parameters = _parameters(given)
    stdin = standard_input(paths)
    if stdin is not None and not paths:
        paths = ("-",)
    listeners = click.get_current_context().with_resource(listening(settings, events, content=events_content))

    async def work(engine: Engine) -> Run:
        return await engine.use(
            name, parameters=parameters, version=version, paths=paths, stdin=stdin, skip_bad=skip_bad, raw=raw
        )

    return answer_run(settings, work, listeners, as_json=as_json, verbose=verbose)


def _parameters(given: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise UsageError(f"--param takes NAME=VALUE, such as --param label=ham, not {text!r}.")
        values[name] = value
    return values


@click.command(short_help="Say how a run was answered, and why in this way.")
@options.run_argument
@options.journal_option
@options.json_flag
def explain(ref: str, as_json: bool, **flags: Any) -> None:
    """Say how RUN (an id, a unique prefix, or last) was answered: by which habit, or why by none."""
    from habit.config import load

    settings = load(flags)
    must_exist(settings)
    record = read_journal(settings, lambda store: store.run(ref))
    facts = explanation(record)
    if as_json:
        write_json(facts)
    else:
        told = {name: one_line(answer_text(value)) for name, value in facts.items() if value not in (None, "")}
        write("\n".join(f"{name:<11} {text}" for name, text in told.items()))


_AFRESH = {
    "rlm": "a program the model wrote for this run",
    "agent": "the model, by calls of tools",
    "direct": "one call with the whole input",
}
"""What answers where no habit does, by strategy."""


def _plainly(record: RunRecord) -> str:
    """Why no habit was looked for, where nothing was written down."""
    strategy = record.settings.get("strategy")
    return f"--strategy {strategy}" if strategy in ("agent", "direct") else "there was no library to look in"


def explanation(record: RunRecord) -> dict[str, Any]:
    """How a run was answered, from what the journal has of it."""
    result: Mapping[str, Any] = record.result or {}
    chosen = result.get("chosen") or {}
    usage = result.get("usage") or {}
    answered = result.get("answer") is not None
    return {
        "run": record.id,
        "query": record.query,
        "status": record.status,
        "answered by": (result.get("habit") or _AFRESH.get(result.get("strategy", ""), _AFRESH["rlm"]))
        if answered
        else None,
        "why": result.get("why") or (_plainly(record) if answered else None),
        "tried": f"{chosen['name']}@{chosen['version']}" if chosen else None,
        "parameters": chosen.get("parameters") or None,
        "gave up": (result.get("gave_up") or {}).get("reason"),
        "drift": result.get("drift"),
        "error": result.get("error"),
        "root calls": (usage.get("root") or {}).get("calls", 0),
        "leaf calls": (usage.get("leaf") or {}).get("calls", 0),
    }


@click.command(short_help="Show how habits fare: uses, fallbacks, shadows, and what they save.")
@click.argument("name", required=False, metavar="[NAME]", shell_complete=completing.habits)
@options.library_option
@options.journal_option
@options.json_flag
def stats(name: str | None, as_json: bool, **flags: Any) -> None:
    """Show how each version of each habit has fared on this machine, or every use of NAME."""
    from habit.config import load
    from habit.library.evidence import Evidence
    from habit.library.librarian import evidence_path
    from habit.library.standing import standings

    settings = load(flags)
    path = evidence_path(settings)
    uses: list[Use] = []
    if path is not None and path.exists():
        with closing(Evidence(path)) as evidence:
            uses = evidence.uses(name)
    rows = standings(uses)
    if as_json:
        write_json([row.to_json() for row in rows])
        return
    if not rows:
        whose = f"the habit {name}" if name else "any habit"
        note_line(f"Nothing is recorded of {whose} in {settings.journal} yet.")
        return
    write("\n\n".join(row.text() for row in rows))
    if name:
        write("\n" + "\n".join(_use_line(use) for use in uses[-20:]))


def _use_line(use: Use) -> str:
    from habit.cli.history import iso

    reason = f": {use.reason}" if use.reason else ""
    return one_line(f"{iso(use.at)}  {use.habit}@{use.version}  {use.outcome}{reason}  (run {use.run})")
