"""``habit learn`` and ``habit suggest``: make a candidate habit of runs, and say which runs are worth it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from habit.cli import completing, options, status
from habit.cli.journals import must_exist
from habit.cli.output import count_of, note_line, one_line, visible, warning_line, write, write_json

if TYPE_CHECKING:
    from habit.calls.usage import Usage
    from habit.engine import Engine
    from habit.journal.records import RunRecord
    from habit.library.crystallise.learn import Learned
    from habit.library.crystallise.suggest import Family
    from habit.library.repository import Candidate
    from habit.library.spec import HabitSpec


@click.command(short_help="Make a habit of a run, or of several of a family: a candidate to review.")
@click.argument("refs", nargs=-1, required=True, metavar="RUN...", shell_complete=completing.runs)
@click.option(
    "--name",
    default=None,
    metavar="NAME",
    help="What to call it (default: by a model that describes it, else from the question).",
)
@click.option("--rewrite", is_flag=True, help="Let a model write the code more cleanly; kept only if all checks pass.")
@click.option(
    "--describe/--no-describe",
    default=None,
    help="Let a model name and describe it, in one call, or not (default: if one is named that is not local).",
)
@click.option(
    "--format-literal",
    "format_literals",
    multiple=True,
    metavar="TEXT",
    help="A text of the input that belongs to its format, and so may stay in the code; once for each.",
)
@options.library_option
@options.model_options
@options.budget_options
@options.journal_option
@options.json_flag
def learn(
    refs: tuple[str, ...],
    name: str | None,
    rewrite: bool,
    describe: bool | None,
    format_literals: tuple[str, ...],
    as_json: bool,
    **flags: Any,
) -> int:
    """Make a candidate habit of RUN, an id, a unique prefix of one, or last; of several runs, what they have in common.

    The code that reaches the answer is kept, what the question says becomes a parameter, and what was copied from the
    input is refused. One call of the leaf model words what it is called and says of itself, where a model is named that
    does not run on this machine; else, and where that fails, a default does. Exit status: 0 when its tests are green,
    1 when they are not, 2 when the run can't become a habit.
    """
    from habit.cli.running import run_on_engine
    from habit.config import load

    settings = load(flags)
    must_exist(settings)

    async def work(engine: Engine) -> tuple[Learned, Candidate, int | None]:
        import anyio.to_thread

        from habit.library.crystallise.learn import learn as learn_from
        from habit.library.repository import Repository
        from habit.library.review.policy import settle

        learned = await learn_from(
            engine.resources,
            refs,
            name=name,
            rewrite=rewrite,
            describe=describe,
            format_literals=format_literals,
            library=await anyio.to_thread.run_sync(_library, settings.library),
        )
        repository = await anyio.to_thread.run_sync(Repository.init, settings.library)
        candidate = await anyio.to_thread.run_sync(repository.propose, learned.habit)
        return learned, candidate, await anyio.to_thread.run_sync(settle, repository, candidate, learned.report)

    learned, candidate, version = run_on_engine(settings, work)
    code = status.ANSWERED if learned.report.green else status.FAILED
    for line in learned.rejected:
        note_line(f"Learned without a model's proposal: {line}.")
    if as_json:
        write_json(_as_json(learned, candidate), code=code)
        return code
    write(visible(_as_text(learned)), code=code)
    for trouble in learned.report.troubles():
        warning_line(trouble)
    if version is not None:
        note_line(f"Approved by its policy, pure and green: {learned.habit.name}@{version}")
    else:
        note_line(f"To look at it: habit review {learned.habit.name}")
    return code


@click.command(short_help="Say which runs are worth a habit, and what it would have saved.")
@options.library_option
@options.journal_option
@options.json_flag
def suggest(as_json: bool, **flags: Any) -> None:
    """Look through the journal for families of runs that recur, and print the line to type for each."""
    import anyio

    from habit.config import load
    from habit.library.crystallise.suggest import MOST_RUNS, suggestions

    settings = load(flags)
    must_exist(settings)

    async def read() -> list[RunRecord]:
        from habit.journal.sqlite import SqliteStore

        store = await SqliteStore.open(settings.journal)
        try:
            return await store.runs(MOST_RUNS)
        finally:
            await store.aclose()

    worth, others = suggestions(anyio.run(read), _learned_runs(settings.library))
    if as_json:
        write_json({"worth": [_family(one) for one in worth], "not_worth": [_family(one) for one in others]})
        return
    lines = []
    for family in worth:
        usd = family.saved_usd
        money = f", ${usd:.2f}" if usd else ""
        lines.append(f"{count_of(len(family.runs), 'run')} ({family.kind}): {one_line(family.query)}")
        saved = f"{family.saved_tokens:,} root tokens{money}, {family.saved_seconds:.0f} s"
        lines.append(f"  would have saved {saved}: {family.command}")
    if not worth:
        lines.append("No family of runs is worth learning yet.")
    if others:
        lines.append("Not worth learning:")
        lines += [f"  {one_line(family.query)} ({family.against})" for family in others]
    write(visible("\n".join(lines)))


def _learned_runs(library: str) -> set[str]:
    """The runs that habits and candidates of the library were learned from."""
    return {run for spec in _library(library) for run in spec.provenance.runs}


def _library(library: str) -> list[HabitSpec]:
    """Habits and candidates of the library."""
    from habit.library.repository import Repository

    repository = Repository.find(library)
    if repository is None:
        return []
    habits = [*repository.habits(), *(candidate.habit for candidate in repository.candidates())]
    return [habit.spec for habit in habits]


def _family(family: Family) -> dict[str, Any]:
    return {
        "query": family.query,
        "kind": family.kind,
        "runs": [run.id for run in family.runs],
        "learn": family.command,
        "saved_root_tokens": family.saved_tokens,
        "saved_usd": family.saved_usd,
        "saved_seconds": round(family.saved_seconds, 3),
        "against": family.against,
    }


def _as_text(learned: Learned) -> str:
    spec, report = learned.habit.spec, learned.report
    calls = sum(len(case.exchanges) for case in learned.habit.cases.values())
    green = "tests green" if report.green else "tests not green"
    lines = [
        f"{spec.name}: a candidate, {green}",
        f"  {spec.intent.phrasings[0]}",
        *(f"  {line}" for line in (*learned.lifted, *learned.dropped)),
        f"  {count_of(len(learned.habit.cases), 'case')} with {count_of(calls, 'recorded model call')}",
    ]
    if report.mutation is not None:
        lines.append(f"  {report.mutation.caught} of {report.mutation.tried} mutants caught")
    lines += [
        f"  asked {one.model}: {_cost(one.usage)}" for one in learned.asked if one.usage.calls + one.usage.cached_calls
    ]
    return "\n".join(lines)


def _cost(usage: Usage) -> str:
    if usage.cached_calls:
        return "nothing, the journal knew the reply"
    money = "price unknown" if usage.usd is None else f"${usage.usd:.4f}"
    tokens = usage.leaf.input_tokens + usage.leaf.output_tokens
    return f"{count_of(usage.calls, 'call')}, {count_of(tokens, 'token')}, {money}"


def _as_json(learned: Learned, candidate: Candidate) -> dict[str, Any]:
    spec = learned.habit.spec
    return {
        "habit": spec.name,
        "branch": candidate.branch,
        "tree": candidate.tree,
        "green": learned.report.green,
        "phrasings": list(spec.intent.phrasings),
        "parameters": {name: parameter.model_dump(mode="json") for name, parameter in spec.parameters.items()},
        "lifted": list(learned.lifted),
        "dropped": list(learned.dropped),
        "rejected": list(learned.rejected),
        "asked": [{"model": one.model, "usage": one.usage.to_json()} for one in learned.asked],
        "report": learned.report.to_json(),
    }
