"""The library from the command line: what is in it, and how a candidate becomes a version, or does not."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from habit.cli import completing, options
from habit.cli.history import iso, no_pager_flag
from habit.cli.output import (
    coloured,
    count_of,
    is_live,
    note_line,
    one_line,
    visible,
    warning_line,
    width_of,
    write,
    write_json,
)
from habit.cli.pager import write_paged
from habit.errors import UsageError

if TYPE_CHECKING:
    from habit.config import Settings
    from habit.library.checks.report import Report
    from habit.library.history import Entry
    from habit.library.repository import Candidate, Repository
    from habit.library.review.page import Facts, Mark

candidate_argument = click.argument("name", metavar="NAME", shell_complete=completing.candidates)
reason_option = click.option("--reason", default="", metavar="WHY", help="Why, in a sentence; the history keeps it.")
_COLOURS = {"good": "32", "bad": "31", "new": "32", "gone": "31", "changed": "33", "": ""}


def open_library(flags: dict[str, Any]) -> tuple[Settings, Repository]:
    """The settings and the library they name."""
    from habit.config import load
    from habit.library.repository import Repository

    settings = load(flags)
    return settings, Repository.open(settings.library)


@click.command(short_help="Make a library of habits: a folder of this git repository, or a repository of its own.")
@click.argument("folder", required=False, metavar="[DIR]", shell_complete=completing.paths)
def init(folder: str | None) -> None:
    """Make DIR (default ./habits) a library of habits; in a git repository it becomes a folder of that."""
    from habit.config import load
    from habit.library.repository import Repository

    shown = folder or load({}).library
    repository = Repository.init(shown)
    note_line(f"{shown} is a library in the git repository {repository.git.folder}; fill it with: habit learn RUN")


@click.command(short_help="List the habits of the library.")
@options.library_option
@no_pager_flag
@options.json_flag
def habits(no_pager: bool, as_json: bool, **flags: Any) -> None:
    """List the habits of the library: those in use, those that are not and why, and candidates to review."""
    _, repository = open_library(flags)
    standings, waiting = repository.standings(), repository.candidates()
    rows: list[dict[str, Any]] = [
        {
            "name": one.name,
            "state": one.state,
            "version": one.version,
            "description": one.habit.spec.description if one.habit else one.says,
        }
        for one in standings
    ]
    rows += [
        {"name": one.name, "state": "candidate", "version": None, "description": one.habit.spec.description}
        for one in waiting
    ]
    rows += [
        {
            "name": one.name,
            "state": "retired",
            "version": one.number,
            "description": f"to bring it back: habit rollback {one.name} {one.number}",
        }
        for one in repository.retired(standings)
    ]
    rows.sort(key=lambda row: (row["name"], row["state"] == "candidate"))
    if as_json:
        write_json(rows)
        return
    if rows:
        write_paged(_table(rows), wanted=not no_pager)
    else:
        note_line(f"There are no habits in {repository.place.shown}/ yet; make one with: habit learn RUN")
    said = {one.says for one in standings}
    for warning in [*repository.warnings(), *repository.unreadable()]:
        if warning not in said:
            warning_line(warning)


def _table(rows: list[dict[str, Any]]) -> str:
    width = width_of(sys.stdout) if is_live(sys.stdout) else None
    labels = [row["name"] + (f"@{row['version']}" if row["version"] else "") for row in rows]
    wide = max(len(label) for label in labels)
    lines = []
    for label, row in zip(labels, rows, strict=True):
        line = f"{label:<{wide}}  {row['state']:<9}  {one_line(row['description'])}"
        lines.append(line if width is None or len(line) <= width else line[: width - 1] + "…")
    return "\n".join(lines)


@click.command(short_help="Show a candidate on one page: what it does, what its tests say, what it changes.")
@candidate_argument
@click.option("--html", "html_file", metavar="FILE", default=None, help="Write the page to FILE instead.")
@options.library_option
@options.journal_option
@no_pager_flag
@options.json_flag
def review(name: str, html_file: str | None, no_pager: bool, as_json: bool, **flags: Any) -> None:
    """Show the candidate NAME on one page; then habit approve NAME approves exactly what was shown.

    A folder of the library that was edited by hand becomes a candidate first.
    """
    from habit.library.review.gather import facts_of
    from habit.library.review.page import as_json as json_of
    from habit.library.review.page import page_of

    settings, repository = open_library(flags)
    candidate = _to_review(repository, name)
    report, unchecked = _examined(settings, candidate)
    facts = facts_of(
        repository, candidate, report, unchecked=unchecked, cost=_cost(settings, candidate.habit.spec.provenance.runs)
    )
    page = page_of(facts)
    if html_file is not None:
        _write_html(html_file, facts)
    elif as_json:
        write_json(json_of(page, facts))
    else:
        from habit.library.review.text import text_of

        width = width_of(sys.stdout) if is_live(sys.stdout) else 110
        write_paged(text_of(page, width, _paint), wanted=not no_pager)
    repository.reviewed(candidate)


def _paint(text: str, mark: Mark) -> str:
    return coloured(text, _COLOURS[mark], sys.stdout) if _COLOURS[mark] else text


def _to_review(repository: Repository, name: str) -> Candidate:
    """The candidate; where there is none, one made of what was edited by hand."""
    if any(branch.name == name for branch in repository.refs().branches):
        if name in repository.edited():
            note_line(f"{repository.place.path(name)} also has edits, which are no part of this candidate.")
        return repository.candidate(name)
    candidate = repository.take_up(name)
    note_line(f"What was edited by hand is now the candidate {candidate.branch}.")
    return candidate


def _examined(settings: Settings, candidate: Candidate) -> tuple[Report | None, str]:
    """What the checks say, and why they could not run."""
    import anyio

    from habit.errors import SandboxError
    from habit.library.checks import examine
    from habit.sandbox.choose import open_sandbox

    async def work() -> Report:
        sandbox = open_sandbox(settings.sandbox)
        try:
            return await examine(sandbox, candidate.habit)
        finally:
            with anyio.CancelScope(shield=True):
                await sandbox.aclose()

    try:
        return anyio.run(work), ""
    except SandboxError as problem:
        return None, str(problem)


def _cost(settings: Settings, runs: tuple[str, ...]) -> list[str]:
    """What the runs cost that a habit was learned from, and what its leaf calls alone would have."""
    from habit.cli.history import read_journal
    from habit.errors import HabitError

    lines = []
    for run in runs if not settings.no_journal and Path(settings.journal).exists() else ():
        try:
            record = read_journal(settings, lambda store, run=run: store.run(run))  # type: ignore[misc]
        except HabitError:
            continue  # it was learned on another machine
        if record.is_aside:
            continue  # it wrote a repair, and answered nobody
        usage = (record.result or {}).get("usage") or {}
        root, leaf = usage.get("root") or {}, usage.get("leaf") or {}
        usd = f", ${usage['usd']:.4f}" if usage.get("usd") else ""
        lines += [
            f"Without it: {_calls(root, leaf)}{usd} (run {record.id})",
            f"With it: {_calls(leaf)}, by the leaf calls of that run",
        ]
    return lines


def _calls(*tallies: dict[str, int]) -> str:
    calls = sum(tally.get("calls", 0) for tally in tallies)
    tokens = sum(tally.get("input_tokens", 0) + tally.get("output_tokens", 0) for tally in tallies)
    return f"{count_of(calls, 'call')}, {count_of(tokens, 'token')}"


def _write_html(path: str, facts: Facts) -> None:
    from habit.library.review.html import html_of
    from habit.library.review.page import page_of

    try:
        Path(path).write_text(html_of(page_of(facts)), "utf-8")
    except OSError as problem:
        raise UsageError(f"{path} can't be written: {problem.strerror}.") from None
    note_line(f"The review is in {path}.")


@click.command(short_help="Approve a candidate as it was reviewed: it becomes the next version.")
@candidate_argument
@click.option("--tree", default=None, metavar="HASH", help="Approve this tree, as a review showed it elsewhere.")
@options.library_option
def approve(name: str, tree: str | None, **flags: Any) -> None:
    """Merge and tag the candidate NAME, if it is exactly what habit review showed last; prints NAME@N."""
    _, repository = open_library(flags)
    if tree is None:
        number = repository.approve_what_was_seen(name)
    else:
        candidate = repository.candidate(name)
        if len(tree) < 7 or not candidate.tree.startswith(tree):
            raise UsageError(f"{name} is {candidate.tree}, not {tree}; look at it with: habit review {name}")
        number = repository.approve(candidate, candidate.tree)
    write(f"{name}@{number}")


@click.command(short_help="Take a candidate off the list; the history keeps it.")
@candidate_argument
@reason_option
@options.library_option
def reject(name: str, reason: str, **flags: Any) -> None:
    """Reject the candidate NAME."""
    _, repository = open_library(flags)
    repository.reject(name, reason)
    note_line(f"Rejected {name}; it is kept: habit log {name}")


@click.command(short_help="Use an older version of a habit again.")
@options.habit_argument
@click.argument("number", metavar="N", type=click.IntRange(min=1))
@reason_option
@options.library_option
def rollback(name: str, number: int, reason: str, **flags: Any) -> None:
    """Let version N of NAME be the one in use, by a new commit.

    It also lifts a suspension, and brings back what was retired.
    """
    _, repository = open_library(flags)
    repository.rollback(name, number, reason)
    write(f"{name}@{number}")


@click.command(short_help="Take a habit out of use; its versions stay.")
@options.habit_argument
@reason_option
@options.library_option
def retire(name: str, reason: str, **flags: Any) -> None:
    """Take NAME out of use, by a new commit; habit rollback NAME N brings it back."""
    _, repository = open_library(flags)
    repository.retire(name, reason)
    note_line(f"Retired {name}; its versions are kept: habit log {name}")


@click.command(short_help="Say what happened to a habit.")
@options.habit_argument
@options.library_option
@no_pager_flag
@options.json_flag
def log(name: str, no_pager: bool, as_json: bool, **flags: Any) -> None:
    """Say what happened to NAME, newest first; * marks the version in use."""
    _, repository = open_library(flags)
    entries = repository.log(name)
    active = next((one.version for one in repository.standings() if one.name == name and one.state == "active"), None)
    if as_json:
        write_json([_as_json(entry, active) for entry in entries])
    else:
        write_paged("\n".join(_entry(name, entry, active) for entry in entries), wanted=not no_pager)


def _as_json(entry: Entry, active: int | None) -> dict[str, Any]:
    return {
        "when": iso(entry.when),
        "what": entry.what,
        "version": entry.version,
        "who": entry.who,
        "commit": entry.commit,
        "details": entry.details,
        "active": entry.what == "approved" and entry.version == active,
    }


def _entry(name: str, entry: Entry, active: int | None) -> str:
    sign = "*" if entry.what == "approved" and entry.version == active else " "
    label = name if entry.version is None else f"{name}@{entry.version}"
    when = datetime.fromtimestamp(entry.when, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    rest = "  ".join(one_line(part) for part in (entry.who, entry.details) if part)
    return f"{sign} {label:<{len(name) + 4}} {when}  {entry.what:<11} {entry.commit[:10]}  {rest}".rstrip()


@click.command(short_help="Show what a candidate changes, or how two versions differ.")
@options.habit_argument
@click.argument("old", metavar="[OLD]", type=click.IntRange(min=1), required=False)
@click.argument("new", metavar="[NEW]", type=click.IntRange(min=1), required=False)
@options.library_option
@no_pager_flag
def diff(name: str, old: int | None, new: int | None, no_pager: bool, **flags: Any) -> None:
    """Show what the candidate NAME (else its newest version) changes in the version in use, or in version OLD."""
    _, repository = open_library(flags)
    text = repository.diff(name, old, new)
    if text:
        lines = [_paint(visible(line), _mark(line)) for line in text.removesuffix("\n").split("\n")]
        write_paged("\n".join(lines), wanted=not no_pager)
    else:
        note_line("There is no difference.")


def _mark(line: str) -> Mark:
    return "new" if line.startswith("+") else "gone" if line.startswith("-") else ""


COMMANDS = (init, habits, review, approve, reject, rollback, retire, log, diff)
