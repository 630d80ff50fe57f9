"""``habit test``, ``harden`` and ``relax``: what holds of habits, and what could hold with fewer calls, or more."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from habit.cli import completing, options, status
from habit.cli.output import coloured, note_line, one_line, write, write_json

if TYPE_CHECKING:
    from habit.engine import Engine
    from habit.library.case import Exchange
    from habit.library.checks import Report
    from habit.library.habit import Habit
    from habit.library.hardening import Hardened, Relaxed, Signals

_COLOURS = {"green": "32", "red": "31"}


@click.command(short_help="Replay every case of every habit: no model, no network.")
@click.argument("names", nargs=-1, metavar="[NAME ...]", shell_complete=completing.habits)
@options.library_option
@options.json_flag
def test(names: tuple[str, ...], as_json: bool, **flags: Any) -> int:
    """Test the habits NAME, else all in the library's folder as it lies there: rules, cases and recorded relations.

    A line for each habit. Exit status: 0 when all are green, 1 when one is red.
    """
    from pathlib import Path

    import anyio

    from habit.config import load
    from habit.errors import UsageError
    from habit.library.checks import check
    from habit.library.folder import read_all
    from habit.sandbox.choose import open_sandbox

    settings = load(flags)
    found = read_all(Path(settings.library), names)
    if not found:
        raise UsageError(
            f"There is no habit in {settings.library} to test: approve a candidate, which habit habits lists, or make "
            "one with habit learn RUN."
        )
    results: list[dict[str, Any]] = []

    async def work() -> None:
        sandbox = open_sandbox(settings.sandbox)
        try:
            for name, habit in found.items():
                if isinstance(habit, UsageError):
                    results.append(_told(name, [str(habit)], None, as_json=as_json))
                else:
                    report = await check(sandbox, habit)
                    results.append(_told(name, report.troubles(), report, as_json=as_json))
        finally:
            await sandbox.aclose()

    anyio.run(work)
    code = status.ANSWERED if all(result["green"] for result in results) else status.FAILED
    if as_json:
        write_json(results, code=code)
    return code


def _told(name: str, troubles: Any, report: Report | None, *, as_json: bool) -> dict[str, Any]:
    """Say how a habit fared, as soon as it is known; also as a value."""
    grade = "red" if troubles else "green"
    if not as_json:
        said = one_line(troubles[0]) if troubles else _counted(report)
        more = f" (and {len(troubles) - 1} more)" if len(troubles) > 1 else ""
        code = status.FAILED if troubles else status.ANSWERED
        write(f"{coloured(f'{grade:<5}', _COLOURS[grade], sys.stdout)}  {name}  {said}{more}", code=code)
    details = {} if report is None else report.to_json()
    return {**details, "habit": name, "green": not troubles, "troubles": list(troubles)}


def _counted(report: Report | None) -> str:
    if report is None:
        return ""
    cases, relations = len(report.cases), len(report.recorded)
    words = f"{cases} case{'s' * (cases != 1)}"
    return f"{words}, {relations} relation{'s' * (relations != 1)}" if relations else words


@click.command(short_help="Put rules in the place of leaf calls whose replies they reproduce: a candidate.")
@options.habit_argument
@click.argument("refs", nargs=-1, metavar="[RUN ...]", shell_complete=completing.runs)
@options.library_option
@options.journal_option
@options.json_flag
def harden(name: str, refs: tuple[str, ...], as_json: bool, **flags: Any) -> None:
    """Look for rules that reproduce all recorded replies of NAME's leaf calls, in its cases and in the given runs.

    A rule must also hold on replies that it was not made from. What it does not know is still asked. Nothing is asked
    now; the result is a candidate to review.
    """
    from habit.cli.running import run_on_engine
    from habit.config import load

    settings = load(flags)

    async def work(engine: Engine) -> Hardened:
        import anyio.to_thread

        from habit.library.crystallise.recording import record_run
        from habit.library.hardening import harden as hardened_from
        from habit.library.repository import Repository

        repository = await anyio.to_thread.run_sync(Repository.open, settings.library)
        habit = await anyio.to_thread.run_sync(repository.get, name)
        evidence: list[Exchange] = []
        for ref in refs:
            record = await (await engine.resources.store()).run(ref)
            evidence += (await record_run(record, engine.resources)).exchanges
        found = await hardened_from(await engine.resources.sandbox(settings.sandbox), habit, evidence)
        await anyio.to_thread.run_sync(repository.propose, found.habit)
        return found

    found = run_on_engine(settings, work)
    if as_json:
        calls = [asdict(call) for call in found.calls]
        left = [{"query": query, "why": why} for query, why in found.left]
        write_json({"habit": name, "calls": calls, "left": left, "report": found.report.to_json()})
        return
    lines = [
        f"{one_line(call.query)}\n  {one_line(call.rule)}\n  it replies to {call.known} of {call.examples} recorded "
        f"questions, none of them wrong, and saves about {call.tokens:,} tokens in the cases"
        for call in found.calls
    ]
    lines += [f"{one_line(query)}\n  stays a leaf call: {one_line(why)}" for query, why in found.left]
    write("\n".join(lines))
    note_line(f"To look at it: habit review {name}")


@click.command(short_help="Let rules be leaf calls again, or retire a habit that too much speaks against.")
@options.habit_argument
@options.library_option
@options.journal_option
def relax(name: str, **flags: Any) -> None:
    """Take back what hardening NAME brought, when the evidence speaks against it: a candidate with leaf calls again.

    A habit without rules is retired when its answers differ from fresh ones, or most inputs have another format.
    """
    from habit.cli.running import run_on_engine
    from habit.config import load

    settings = load(flags)

    async def work(engine: Engine) -> Relaxed:
        import anyio.to_thread

        from habit.library.evidence import Evidence
        from habit.library.hardening import relax as relaxed_from
        from habit.library.hardening import signals_of
        from habit.library.librarian import evidence_path
        from habit.library.repository import Repository

        def read() -> tuple[Repository, Habit, list[Habit], Signals]:
            repository = Repository.open(settings.library)
            habit = repository.get(name)
            numbers = [one.number for one in repository.refs().of(name) if one.number < (habit.version or 0)]
            earlier = [repository.get(name, number) for number in sorted(numbers, reverse=True)]
            since = repository.restored(name)
            evidence = Evidence(evidence_path(settings))
            try:
                return repository, habit, earlier, signals_of(evidence.uses(name), habit.version, since=since)
            finally:
                evidence.close()

        repository, habit, earlier, signals = await anyio.to_thread.run_sync(read)
        found = await relaxed_from(await engine.resources.sandbox(settings.sandbox), habit, signals, earlier)
        if found.habit is None:
            await anyio.to_thread.run_sync(repository.retire, name, found.why)
        else:
            await anyio.to_thread.run_sync(repository.propose, found.habit)
        return found

    found = run_on_engine(settings, work)
    if found.habit is None:
        write(f"{name} is retired: {one_line(found.why)}")
        note_line(f"Its versions stay; to bring it back: habit rollback {name} N")
    else:
        write(f"{name}: a candidate that asks again what rules replied: {one_line(found.why)}")
        note_line(f"To look at it: habit review {name}")


COMMANDS = (test, harden, relax)
