"""Learning: one run, or several of a family, become a candidate habit; or a refusal that says why."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from habit.calls.returns import Returns
from habit.errors import UsageError
from habit.library.checks.examine import MOST_MUTANTS, examine
from habit.library.checks.report import Report
from habit.library.contract import comparisons, infer_contract
from habit.library.contract.places import goes_by_place
from habit.library.crystallise.antiunify import must_be_alike
from habit.library.crystallise.asking import Asked, Asking
from habit.library.crystallise.composing import compose
from habit.library.crystallise.copied import computed
from habit.library.crystallise.cutting import case_of
from habit.library.crystallise.dependence import must_depend
from habit.library.crystallise.description import Description
from habit.library.crystallise.description import describe as describe_question
from habit.library.crystallise.evidence import Evidence
from habit.library.crystallise.lifting import Lifted, lift
from habit.library.crystallise.literals import Literals
from habit.library.crystallise.plain import program_of, returns_in
from habit.library.crystallise.recording import RecordedRun, record_run
from habit.library.crystallise.refusal import CannotLearn
from habit.library.crystallise.rehearsing import rehearse
from habit.library.crystallise.rewriting import rewritten
from habit.library.crystallise.scopes import used
from habit.library.crystallise.slicing import slice_of
from habit.library.crystallise.wording import offers, worded
from habit.library.habit import Habit
from habit.library.rehearsal import Rehearsed
from habit.library.spec import MOST_NAME_CHARS, NAME, Contract, HabitSpec, Intent, Parameter, Provenance
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
    """What a model was asked for and could not be taken, a line each."""
    asked: Sequence[Asked] = field(default=())
    """The calls of a model that learning made."""


async def learn(
    resources: Resources,
    refs: Sequence[str],
    *,
    name: str | None = None,
    rewrite: bool = False,
    describe: bool | None = False,
    format_literals: Sequence[str] = (),
    mutants: int = MOST_MUTANTS,
    library: Sequence[HabitSpec] = (),
) -> Learned:
    """Make a candidate of the runs ``refs``, which are of one family, and try so many ``mutants``. Raises CannotLearn.

    Without ``rewrite`` and ``describe`` no model is asked. ``describe=None`` asks one for words where one is named that
    does not run on this machine; whatever fails then, they are the default. Words take no name from another habit of
    ``library``. ``format_literals`` are texts of the input that somebody declares to belong to its format: they may
    stay in the code, and the contract says so.
    """
    if name is not None and not (NAME.fullmatch(name) and len(name) <= MOST_NAME_CHARS):
        raise UsageError(f"{name!r} is no name for a habit: use lower-case words joined by hyphens.")
    store = await resources.store()
    records = [await store.run(ref) for ref in refs]
    if not records or len({record.id for record in records}) < len(records):
        raise UsageError("Name the runs to learn from, each once: habit learn last.")
    for record in records:
        if record.strategy not in ("rlm", "auto"):
            raise CannotLearn(f"run {record.id} was not answered by a program of its own", "learn from another run")
        if habit := (record.result or {}).get("habit"):
            raise CannotLearn(
                f"run {record.id} was answered by the habit {habit}",
                "learn from a run that a program of its own answered",
            )
    runs = [await record_run(record, resources) for record in records]
    sandbox = await resources.sandbox(records[0].settings["sandbox"])
    slices = [await _sliced(sandbox, run) for run in runs]
    runs = [one.run for one in slices]
    draft = _draft([one.program for one in slices], runs, format_literals)
    asking = Asking(resources)
    rejected: list[str] = []
    if describe or (describe is None and offers(resources.settings)):
        draft.words, rejected = await worded(
            asking,
            draft.words,
            draft.lifted.phrasings[0],
            draft.lifted.parameters,
            draft.source(runs[0]),
            demanded=bool(describe),
            name=name,
            library=library,
        )
    dropped = [note for one in slices for note in one.dropped]
    habit = await _candidate(sandbox, draft, runs, dropped, name)
    habit, report = await _examined(sandbox, habit, mutants)
    if rewrite:
        habit, report, refusal = await rewritten(asking, sandbox, habit, report, runs, draft.lifted.values, mutants)
        rejected += [refusal] if refusal else []
    relations = {"relations": tuple(report.held)}
    habit = replace(habit, spec=habit.spec.model_copy(update=relations))
    return Learned(habit, report, draft.lifted.notes, dropped, rejected, asking.asked)


@dataclass
class _Draft:
    """A program with parameters, and the words about it."""

    lifted: Lifted
    words: Description

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """With what each means."""
        return {
            key: parameter.model_copy(update={"description": self.words.parameters.get(key, "")})
            for key, parameter in self.lifted.parameters.items()
        }

    def source(self, run: RecordedRun) -> str:
        """The text of scheduler.py."""
        returns = annotation_of(run)
        return compose(self.lifted.program, self.parameters, returns=returns, summary=self.words.summary)


def _draft(
    programs: Sequence[Sequence[ast.stmt]], runs: Sequence[RecordedRun], format_literals: Sequence[str]
) -> _Draft:
    """What ``programs`` have in common. Raises CannotLearn."""
    must_be_alike(programs, [run.record.id for run in runs])
    if len({run.returns.name for run in runs}) > 1:
        raise CannotLearn("the runs were asked for answers of different types", "learn from runs of one type")
    lifted = lift(programs, [Evidence(run.query, run.context, run.answer, format_literals) for run in runs])
    lifted = replace(lifted, format_literals=list(dict.fromkeys([*lifted.format_literals, *format_literals])))
    return _Draft(lifted, describe_question(lifted.phrasings[0], runs[0].query, lifted.parameters))


async def _candidate(
    sandbox: Sandbox, draft: _Draft, runs: Sequence[RecordedRun], dropped: Sequence[str], name: str | None
) -> Habit:
    """The habit, rehearsed on every run it is learned from. Raises CannotLearn."""
    lifted, source = draft.lifted, draft.source(runs[0])
    contract = infer_contract(
        [run.context for run in runs],
        answer_type=runs[0].returns,
        answers=[run.answer for run in runs],
        operation=draft.words.operation,
        parameters=lifted.values,
        choices=dict.fromkeys(Literals(lifted.program).choices),
        format_literals=[value for value in lifted.format_literals if isinstance(value, (str, int, float))],
        compared={one.column for one in comparisons(source)},
        **_columns_used(lifted),
    )
    cases = {}
    for number, (run, values) in enumerate(zip(runs, lifted.values, strict=True), 1):
        rehearsed = await rehearse(sandbox, source, run, values)
        await must_depend(sandbox, source, run, values)
        cases[f"run-{number}"] = await case_of(sandbox, source, run, values, rehearsed, contract)
    return Habit(_spec(runs, draft, contract, [*lifted.notes, *dropped], name), source, cases)


async def _examined(sandbox: Sandbox, habit: Habit, mutants: int) -> tuple[Habit, Report]:
    """The habit with its ceiling, and the report on it. Raises CannotLearn when its code breaks a rule."""
    report = await examine(sandbox, habit, mutants=mutants)
    if report.findings:
        first = report.findings[0]
        raise CannotLearn(f"{first.message} (line {first.line} of its code)", f"ask again, or {first.remedy}")
    if report.ceiling is not None:
        habit = replace(habit, spec=habit.spec.model_copy(update={"ceiling": report.ceiling}))
    return habit, report


@dataclass(frozen=True)
class _Slice:
    program: Sequence[ast.stmt]
    dropped: Sequence[str]
    run: RecordedRun
    """With the replies that this code got."""


async def _sliced(sandbox: Sandbox, recorded: RecordedRun) -> _Slice:
    """The code of a run that reaches its answer, shown to give that answer again with the replies of the run."""
    recorded, dropped = computed(recorded)
    program = program_of(recorded.cells)
    kept = slice_of(program)
    _must_compute(kept)
    source = compose(kept, {}, returns="object")
    run, rehearsed = await _with_its_replies(sandbox, source, kept, recorded)
    if len(kept) < len(program):
        dropped.append(f"dropped {len(program) - len(kept)} of {len(program)} statements that do not reach the answer")
    raw = rehearsed.result.answer
    if run.returns.is_text and type(raw) in (int, float):  # no type was asked for; the number is what the code gives
        run = replace(run, returns=Returns.from_type(type(raw)), answer=raw)
    unused = len(recorded.exchanges) - len(rehearsed.asked)
    if unused:
        dropped.append(
            f"dropped {unused} of {len(recorded.exchanges)} model calls whose replies do not reach the answer"
        )
    return _Slice(kept, dropped, run)


async def _with_its_replies(
    sandbox: Sandbox, source: str, kept: Sequence[ast.stmt], run: RecordedRun
) -> tuple[RecordedRun, Rehearsed]:
    """The run with the replies that the kept code got, which may have asked what other code asked before it."""
    cells = {getattr(statement, "of_cell", -1) for statement in kept}
    of_kept = [cell if number in cells else replace(cell, exchanges=[]) for number, cell in enumerate(run.cells)]
    latest = {exchange.key: exchange for exchange in run.exchanges}
    last_ones = [
        replace(cell, exchanges=[one for one in cell.exchanges if latest[one.key] is one]) for cell in run.cells
    ]
    refusals = []
    for attempt in (of_kept, run.cells, last_ones):
        chosen = replace(run, cells=attempt)
        try:
            return chosen, await rehearse(sandbox, source, chosen, {})
        except CannotLearn as refusal:
            refusals.append(refusal)
    raise refusals[0]


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
    by_place = goes_by_place(lifted.program)
    if not by_place and ("DictReader" in attributes | names or "table" in names):
        return {"uses": [str(value) for value in lifted.format_literals], "by_name": True}
    return {"closed": by_place}


def _spec(
    runs: Sequence[RecordedRun], draft: _Draft, contract: Contract, notes: Sequence[str], name: str | None
) -> HabitSpec:
    schema = runs[0].returns.schema
    words, phrasings = draft.words, draft.lifted.phrasings
    return HabitSpec(
        name=name or words.name,
        description=words.description,
        intent=Intent(summary=words.summary, operation=words.operation, phrasings=tuple(dict.fromkeys(phrasings))),
        parameters=draft.parameters,
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
