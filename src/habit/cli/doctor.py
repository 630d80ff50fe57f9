"""``habit doctor``: what works on this machine, what does not, and what to do about it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from habit.cli import completing, options, status
from habit.cli.output import coloured, one_line, write, write_json

if TYPE_CHECKING:
    from habit.config import Settings
    from habit.doctor import Finding

_COLOURS = {"ok": "32", "warning": "33", "problem": "31"}


@click.command(short_help="Check the sandbox, the model, the journal and the installation.")
@options.model_options
@click.option(
    "--sandbox",
    default=None,
    metavar="auto|cpython|monty",
    shell_complete=completing.words("auto", "cpython", "monty"),
    help="The sandbox to test (default: the one that would be taken).",
)
@options.journal_option
@click.option(
    "--online/--offline", default=None, help="Ask the model, the local one too; or no model (default: one you named)."
)
@options.json_flag
def doctor(online: bool | None, as_json: bool, **flags: Any) -> int:
    """Check what a question needs: sandbox, model, journal, installation. Each finding comes with its remedy.

    A model that was named is asked for one word, which costs what a word costs. Exit status: 0 when there is no
    problem, 1 when there is one; warnings are no problem.
    """
    import anyio

    from habit.doctor import examine

    settings, problem = _settings(flags)

    def show(finding: Finding) -> None:
        if not as_json:
            write(_text(finding), code=status.FAILED if finding.grade == "problem" else status.ANSWERED)

    async def work() -> list[Finding]:
        return await examine(settings, problem=problem, online=online, on_finding=show)

    findings = anyio.run(work)
    code = status.FAILED if any(finding.grade == "problem" for finding in findings) else status.ANSWERED
    if as_json:
        write_json({"ok": code == status.ANSWERED, "findings": [finding.to_json() for finding in findings]}, code=code)
    return code


def _settings(flags: dict[str, Any]) -> tuple[Settings, str]:
    """The settings in force; where they cannot be read, those of the flags alone, and what is wrong."""
    from habit.config import Settings, load
    from habit.errors import UsageError

    try:
        return load(flags), ""
    except UsageError as error:
        # A flag that is wrong raises here once more: that is the caller's mistake, not the machine's.
        return Settings(**{name: value for name, value in flags.items() if value is not None}), str(error)


def _text(finding: Finding) -> str:
    grade = coloured(f"{finding.grade:<8}", _COLOURS[finding.grade], sys.stdout)
    line = f"{grade} {finding.check:<14} {one_line(finding.message)}"
    return f"{line}\n{'':<24}→ {one_line(finding.remedy)}" if finding.remedy else line
