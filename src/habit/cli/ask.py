"""``habit ask``: one question about files, folders, globs or standard input."""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from habit.cli import completing, options, status
from habit.cli.journals import must_exist
from habit.cli.listening import Listeners, listening
from habit.cli.output import is_terminal, note_line, warning_line, write_answer, write_json
from habit.errors import UsageError

if TYPE_CHECKING:
    from habit.cli.progress import Progress
    from habit.cli.running import Work
    from habit.config import Settings
    from habit.engine import Engine
    from habit.run import Run

_PATIENCE_SECONDS = 2.0
"""How long standard input may stay silent before people are told that it is being waited for."""


@click.command(short_help="Answer a question about files, folders or standard input.")
@click.argument("query", required=False, shell_complete=completing.question_or_paths)
@click.argument("paths", nargs=-1, metavar="[PATH]...", shell_complete=completing.paths)
@options.model_options
@click.option(
    "--returns",
    default="str",
    metavar="TYPE",
    shell_complete=completing.types,
    help="int, float, bool, str, json, list[str] … or schema.json.",
)
@options.strategy_option
@options.library_options
@options.budget_options
@options.limit_options
@options.record_options
@options.listening_options
@click.option(
    "--continue",
    "continue_from",
    metavar="RUN",
    shell_complete=completing.runs,
    help="Ask about the input of RUN, with the variables it made.",
)
@click.option("--raw", is_flag=True, help="Take every file as the text it is: convert and unpack nothing.")
@click.option("--skip-bad", is_flag=True, help="Leave out files that can't be read as text, and say so.")
@click.option("-i", "--interactive", is_flag=True, help="Ask at a prompt, about one input: every argument is a PATH.")
@options.json_flag
@options.verbose_flag
def ask(
    query: str | None,
    paths: tuple[str, ...],
    returns: str,
    continue_from: str | None,
    raw: bool,
    skip_bad: bool,
    interactive: bool,
    events: str | None,
    events_content: bool,
    as_json: bool,
    verbose: bool,
    **flags: Any,
) -> int:
    """Answer QUERY about the given files, folders (whole, without what .gitignore names) and globs.

    With no PATH, or with -, the input is read from standard input. The answer goes to stdout, everything else to
    stderr. With --continue RUN, the question is about the input of RUN (an id, a unique prefix, or last).

    Without QUERY on a terminal, or with -i, questions are asked at a prompt, in one session that keeps its variables.

    Exit status: 0 answered, 1 failed, 2 usage error, 3 stopped by a budget, 130 interrupted.
    """
    from habit.config import load

    settings = load(flags)
    expected = _expected(returns)
    listeners = click.get_current_context().with_resource(listening(settings, events, content=events_content))
    if interactive:
        query, paths = None, (*filter(None, [query]), *paths)
    change = {name: value for name, value in flags.items() if value is not None}
    if continue_from is not None:
        if paths:
            raise UsageError("Give either PATHs or --continue, not both: RUN brings its own input.")
        must_exist(settings)
    if query is None:
        about: dict[str, Any] = {"paths": paths, "skip_bad": skip_bad, "raw": raw}
        if continue_from is not None:
            about = {"continue_from": continue_from, "change": change}
        return _ask_at_a_prompt(settings, about, expected, listeners, as_json=as_json, verbose=verbose)
    if continue_from is not None:

        async def go_on(engine: Engine) -> Run:
            async with engine.session(continue_from=continue_from, change=change) as session:
                return await session.ask(query, returns=expected)

        return answer_run(settings, go_on, listeners, as_json=as_json, verbose=verbose)
    stdin = standard_input(paths)
    if stdin is not None and not paths:
        paths = ("-",)
    if not paths and os.path.exists(query):
        note_line(f"{query} was taken for the question; to ask about it, type: habit ask -i {query}")

    async def work(engine: Engine) -> Run:
        return await engine.ask(query, paths=paths, stdin=stdin, skip_bad=skip_bad, raw=raw, returns=expected)

    return answer_run(settings, work, listeners, as_json=as_json, verbose=verbose)


def _ask_at_a_prompt(
    settings: Settings,
    about: Mapping[str, Any],
    expected: Any,
    listeners: Listeners,
    *,
    as_json: bool,
    verbose: bool,
) -> int:
    """Answer question after question, as long as there is somebody to ask them."""
    if not (is_terminal(sys.stdin) and (is_terminal(sys.stdout) or is_terminal(sys.stderr))):
        raise UsageError("There is no QUERY, and no terminal to ask for one: type habit ask QUERY [PATH ...].")
    if "-" in about.get("paths", ()):
        raise UsageError("Questions are read from standard input here, so the input must come from a PATH.")
    from habit.cli.conversation import converse

    def present(answer: Callable[[], Run], progress: Progress) -> int:
        return present_failure(lambda: print_run(answer(), progress, as_json=as_json), progress, as_json=as_json)

    return converse(settings, about, expected, present, verbose=verbose, listeners=listeners)


def _expected(returns: str) -> Any:
    from habit.calls.returns import Returns

    return Returns.from_text(returns)


def answer_run(settings: Settings, work: Work[Run], listeners: Listeners, *, as_json: bool, verbose: bool) -> int:
    """Do ``work`` with progress on stderr, print what came out, and give the exit status."""
    from habit.cli.progress import Progress
    from habit.cli.running import Interrupted, known_all_the_same, run_on_engine

    progress = Progress(verbose=verbose, resumable=not settings.no_journal)

    def present(run: Run) -> None:
        print_run(run, progress, as_json=as_json)

    def answer() -> None:
        try:
            run_on_engine(settings, work, progress, listeners, present)
        except Interrupted:
            if (run := known_all_the_same(progress)) is None:
                raise
            present(run)

    return present_failure(answer, progress, as_json=as_json)


def present_failure(answer: Callable[[], None], progress: Progress, *, as_json: bool) -> int:
    """Print what a run that fails in ``answer`` had reached, and raise it on; else give the exit status."""
    from habit.errors import BudgetExceeded, RunError

    try:
        answer()
    except RunError as error:
        if error.run is not None:
            code = status.BUDGET if isinstance(error, BudgetExceeded) else status.FAILED
            _print_partial(error.run, progress, as_json=as_json, code=code)
        raise
    return status.ANSWERED


def print_run(run: Run, progress: Progress, *, as_json: bool) -> None:
    """Print the answer, or the whole run as JSON; on stderr what a reader should know of it."""
    progress.summary(run)
    if run.status == "salvaged":
        warning_line("A limit was met, so this is the best answer known by then, not a finished one.")
    if as_json:
        write_json(run.to_json())
    else:
        write_answer(run.answer)


def _print_partial(run: Run, progress: Progress, *, as_json: bool, code: int) -> None:
    """Print what was reached by a run that ended without an answer of full worth, and how it can go on."""
    progress.summary(run)
    goes_on = run.status == "budget" or run.usage.failed_calls > 0  # anything else would only fail again
    if goes_on and progress.resumable and "habit resume" not in (run.error or ""):
        note_line(f"What was paid for is kept; to go on from there: habit resume {run.id}")
    if run.answer is not None:
        warning_line("The budget was used up, so this is the best answer known by then, not a finished one.")
    if as_json:
        write_json(run.to_json(), code=code)
    elif run.answer is not None:
        write_answer(run.answer, code=code)


def standard_input(paths: Sequence[str]) -> BinaryIO | None:
    """Standard input, read to its end, when it is asked for with ``-`` or, without paths, piped in; else None.

    It is read before anything is started, so that Ctrl-C ends a wait for it at once.
    """
    asked_for = "-" in paths
    if (paths and not asked_for) or sys.stdin is None:
        return None
    if sys.stdin.isatty():
        if not asked_for:
            return None
        note_line("Reading from the terminal; end with Ctrl-D.")
    else:
        _tell_when_silent()
    return _ReadOnce(sys.stdin.buffer.read())


class _ReadOnce(io.BytesIO):
    """Bytes that are forgotten once they have all been read, so that a large input is not kept twice."""

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if size is None or size < 0:
            self.truncate(0)
        return data


def _tell_when_silent() -> None:
    """Say so when nothing comes from standard input for a while: it may have been left open by mistake."""
    try:
        ready, _, _ = select.select([sys.stdin.fileno()], [], [], _PATIENCE_SECONDS)
    except (OSError, ValueError):  # not a real file: nothing to wait for
        return
    if not ready:
        note_line("Waiting for standard input; name a PATH, or use < /dev/null to ask without input.")
