"""Learning: one run, or several of a family, become a candidate habit; or a refusal that says why."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from habit.errors import UsageError
from habit.library.case import Case
from habit.library.checks.examine import MOST_MUTANTS, examine
from habit.library.checks.report import Report
from habit.library.contract import infer_contract
from habit.library.crystallise.antiunify import must_be_alike
from habit.library.crystallise.composing import compose
from habit.library.crystallise.cutting import case_context
from habit.library.crystallise.dependence import must_depend
from habit.library.crystallise.description import Description, describe
from habit.library.crystallise.evidence import Evidence
from habit.library.crystallise.lifting import Lifted, lift
from habit.library.crystallise.plain import program_of, returns_in
from habit.library.crystallise.recording import RecordedRun, record_run
from habit.library.crystallise.refusal import CannotLearn
from habit.library.crystallise.rehearsing import rehearse
from habit.library.crystallise.scopes import used
from habit.library.crystallise.slicing import slice_of
from habit.library.habit import Habit
from habit.library.rehearsal import Rehearsed
from habit.library.spec import Contract, HabitSpec, Intent, Parameter, Provenance
from habit.resources import Resources
from habit.sandbox.session import Sandbox


@dataclass(frozen=True)
class Learned:
    """A candidate, and how it came to be."""

    habit: Habit
    report: Report
    """What the checks found."""
    lifted: Sequence[str]
    """What became a parameter, a line each."""
    dropped: Sequence[str]
    """What was left out, a line each."""
    rejected: Sequence[str] = field(default=())
    """Proposals of the model that did not pass the checks, a line each."""


async def learn(
    resources: Resources,
    refs: Sequence[str],
    *,
    name: str | None = None,
    rewrite: bool = False,
    describe: bool = False,
    mutants: int = MOST_MUTANTS,
) -> Learned:
    """Make a candidate of the runs ``refs``, which are of one family, and try so many ``mutants``. Raises CannotLearn.

    Without ``rewrite`` and ``describe`` no model is asked.
    """
    if not refs:
        raise UsageError("Name a run to learn from: habit learn last.")
    store = await resources.store()
    records = [await store.run(ref) for ref in refs]
    if len({record.id for record in records}) < len(records):
        raise UsageError("A run is named twice; name each run once.")
    runs = [await record_run(record, resources) for record in records]
    sandbox = await resources.sandbox(records[0].settings["sandbox"])
    return await crystallise(sandbox, runs, name=name, mutants=mutants)


async def crystallise(
    sandbox: Sandbox, runs: Sequence[RecordedRun], *, name: str | None = None, mutants: int = MOST_MUTANTS
) -> Learned:
    """As ``learn``, of runs that are recorded already."""
    slices = [await _sliced(sandbox, run) for run in runs]
    programs = [one.program for one in slices]
    must_be_alike(programs, [run.record.id for run in runs])
    if len({run.returns for run in runs}) > 1:
        raise CannotLearn("the runs were asked for answers of different types", "learn from runs of one type")
    evidences = [Evidence(run.query, run.context, run.answer) for run in runs]
    lifted = lift(programs, evidences)
    words = describe(lifted.phrasings[0], runs[0].query, lifted.parameters)
    parameters = {
        key: parameter.model_copy(update={"description": words.parameters.get(key, "")})
        for key, parameter in lifted.parameters.items()
    }
    source = compose(lifted.program, parameters, returns=annotation_of(runs[0]), summary=words.summary)
    cases = {}
    for number, (run, values) in enumerate(zip(runs, lifted.values, strict=True), 1):
        rehearsed = await rehearse(sandbox, source, run, values)
        await must_depend(sandbox, source, run, values)
        cases[f"run-{number}"] = await case_context(sandbox, source, run, values, rehearsed)
    contract = infer_contract(
        [run.context for run in runs],
        answer_type=runs[0].returns,
        answers=[run.answer for run in runs],
        operation=words.operation,
        parameters=lifted.values,
        format_literals=[value for value in lifted.format_literals if isinstance(value, (str, int, float))],
        **_columns_used(lifted),
    )
    dropped = [note for one in slices for note in one.dropped]
    spec = _spec(runs, lifted, words, parameters, contract, [*lifted.notes, *dropped], name)
    return await examined(sandbox, Habit(spec, source, cases), lifted.notes, dropped, mutants)


async def examined(
    sandbox: Sandbox, habit: Habit, lifted: Sequence[str], dropped: Sequence[str], mutants: int
) -> Learned:
    """The candidate with its ceiling and the relations that hold, and the report on it."""
    report = await examine(sandbox, habit, mutants=mutants)
    if report.findings:
        first = report.findings[0]
        raise CannotLearn(f"{first.message} (line {first.line} of its code)", f"ask again, or {first.remedy}")
    changes = {"relations": tuple(report.held), **({"ceiling": report.ceiling} if report.ceiling else {})}
    return Learned(replace(habit, spec=habit.spec.model_copy(update=changes)), report, lifted, dropped)


@dataclass(frozen=True)
class _Slice:
    program: Sequence[ast.stmt]
    dropped: Sequence[str]


async def _sliced(sandbox: Sandbox, run: RecordedRun) -> _Slice:
    """The code of ``run`` that reaches its answer, shown to give that answer again with the replies of the run."""
    program = program_of(run.cells)
    kept = slice_of(program)
    _must_compute(kept)
    source = compose(kept, {}, returns="object")
    rehearsed = await rehearse(sandbox, source, run, {})
    dropped = []
    if len(kept) < len(program):
        dropped.append(f"dropped {len(program) - len(kept)} of {len(program)} statements that do not reach the answer")
    unused = len(run.exchanges) - len(rehearsed.asked)
    if unused:
        dropped.append(f"dropped {unused} of {len(run.exchanges)} model calls whose replies do not reach the answer")
    return _Slice(kept, dropped)


def _must_compute(kept: Sequence[ast.stmt]) -> None:
    """Raises CannotLearn unless the answer is computed from the input."""
    answers = list(returns_in(kept))
    if not answers:
        raise CannotLearn("no statement of its code gives the answer", "learn from a run that ends with answer(value)")
    if "context" not in used(kept):
        raise CannotLearn(
            "its answer was written down and not computed: the code that gives it does not look at the input",
            "ask again for an answer that code computes from `context`",
        )


def annotation_of(run: RecordedRun) -> str:
    """The type that ``scheduler`` is said to return."""
    schema = run.returns.schema
    if schema is None:
        return "object"
    kinds = {"integer": "int", "number": "float", "boolean": "bool", "string": "str", "array": "list", "object": "dict"}
    return kinds.get(str(schema.get("type")), "object")


def _columns_used(lifted: Lifted) -> dict[str, Any]:
    """Which columns or keys the program needs, and whether it takes them by their name."""
    names = used(lifted.program)
    attributes = {
        node.attr for statement in lifted.program for node in ast.walk(statement) if isinstance(node, ast.Attribute)
    }
    if "DictReader" in attributes | names or "table" in names:
        return {"uses": [str(value) for value in lifted.format_literals], "by_name": True}
    return {}


def _spec(
    runs: Sequence[RecordedRun],
    lifted: Lifted,
    words: Description,
    parameters: Mapping[str, Parameter],
    contract: Contract,
    notes: Sequence[str],
    name: str | None,
) -> HabitSpec:
    import json

    schema = runs[0].returns.schema
    return HabitSpec(
        name=name or words.name,
        description=words.description,
        intent=Intent(
            summary=words.summary, operation=words.operation, phrasings=tuple(dict.fromkeys(lifted.phrasings))
        ),
        parameters=parameters,
        returns="" if schema is None else json.dumps(schema),
        contract=contract,
        provenance=Provenance(
            runs=tuple(run.record.id for run in runs),
            model=str(runs[0].record.settings["model"]),
            learned=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            contexts=tuple(run.context.digest for run in runs),
            notes=tuple(notes),
        ),
    )
