"""``habit resume`` and ``habit replay``: go on with a recorded run, or run it again from the journal alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from habit.cli import options, status
from habit.cli.ask import answer_run
from habit.cli.journals import must_exist
from habit.cli.listening import listening
from habit.cli.output import error_line, note_line, write_answer, write_json
from habit.errors import ReplayMismatch

if TYPE_CHECKING:
    from habit.cli.progress import Progress
    from habit.engine import Engine
    from habit.run import Replay, Run


@click.command(short_help="Continue an interrupted run; finished calls are not paid for again.")
@options.run_argument
@options.budget_options
@options.journal_option
@options.listening_options
@options.json_flag
@options.verbose_flag
def resume(ref: str, events: str | None, events_content: bool, as_json: bool, verbose: bool, **flags: Any) -> int:
    """Continue RUN, an id, a unique prefix of one, or last. Only calls that had not completed are paid for."""
    from habit.config import load

    settings = load(flags)
    must_exist(settings)
    listeners = click.get_current_context().with_resource(listening(settings, events, content=events_content))

    async def work(engine: Engine) -> Run:
        return await engine.resume(ref)

    return answer_run(settings, work, listeners, as_json=as_json, verbose=verbose)


@click.command(short_help="Run again from the journal alone, and say whether the answer is the same.")
@options.run_argument
@options.journal_option
@options.listening_options
@options.json_flag
@options.verbose_flag
def replay(ref: str, events: str | None, events_content: bool, as_json: bool, verbose: bool, **flags: Any) -> int:
    """Run RUN (an id, a unique prefix, or last) again with no model at all: every reply comes from the journal.

    Exit status: 0 when the answer is the same, 1 when it is not.
    """
    from habit.cli.progress import Progress
    from habit.cli.running import run_on_engine
    from habit.config import load

    settings = load(flags)
    must_exist(settings)
    listeners = click.get_current_context().with_resource(listening(settings, events, content=events_content))
    progress = Progress(verbose=verbose, resumable=False)

    async def work(engine: Engine) -> Replay:
        try:
            return await engine.replay(ref)
        except ReplayMismatch as mismatch:
            return await _departed(engine, ref, progress, str(mismatch))

    replayed = run_on_engine(settings, work, progress, listeners)
    progress.summary(replayed.run)
    code = status.ANSWERED if replayed.same else status.FAILED
    if as_json:
        write_json(replayed.to_json(), code=code)
    elif replayed.run.answer is not None or replayed.run.status == "answered":
        write_answer(replayed.run.answer, code=code)
    if replayed.same:
        note_line("The replay gave the same answer.")
    else:
        reason = f": {replayed.run.error}" if replayed.run.error else "."
        error_line(f"The replay did not give the recorded answer{reason}")
    return code


async def _departed(engine: Engine, ref: str, progress: Progress, reason: str) -> Replay:
    """What to show for a replay that asked something else than was recorded."""
    from habit.run import Replay, Run

    record = await (await engine.store()).run(ref)
    run = Run(record.id, record.query, "failed", strategy=record.strategy, cells=progress.cells, error=reason)
    return Replay(run, (record.result or {}).get("answer"), same=False)
