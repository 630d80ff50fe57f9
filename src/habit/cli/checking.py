"""``habit test``: every case of every habit, with no model and no network."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from habit.cli import completing, options, status
from habit.cli.output import coloured, one_line, write, write_json

if TYPE_CHECKING:
    from habit.library.checks import Report

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
        raise UsageError(f"There is no habit in {settings.library} to test: make one with habit learn RUN.")
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


COMMANDS = (test,)
