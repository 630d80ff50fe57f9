"""Repair: a habit met an input it can't answer. A fresh scheduler did; from both comes a version that does both.

The model is shown the failing case, the clause that was violated and the old code. What it writes must keep every rule,
pass every old case, and give the fresh scheduler's answer on the new input; it arrives as a candidate with its diff,
for people to review like any other. Where only the contract kept the old code from the input, that code is tried first:
no model need write anything when it can do both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import anyio.to_thread

from habit.contexts.context import Context
from habit.errors import RunError
from habit.events import Notice
from habit.librarian import Asking
from habit.library.checks import examine
from habit.library.contract import comparisons, contract_for, infer_contract, observe
from habit.library.contract.places import goes_by_place
from habit.library.crystallise.anew import must_hold_nothing_read
from habit.library.crystallise.cutting import case_of
from habit.library.crystallise.dependence import must_depend
from habit.library.crystallise.recording import RecordedRun, record_run
from habit.library.crystallise.refusal import CannotLearn
from habit.library.crystallise.rehearsing import rehearse
from habit.library.habit import Habit
from habit.library.repository import Repository
from habit.library.review.policy import settle
from habit.library.same import same_answer
from habit.library.shown import short
from habit.library.spec import Provenance
from habit.library.using import budget_of
from habit.resources import Resources
from habit.run import Run, plain
from habit.sandbox.session import Sandbox
from habit.schedulers.habit import Chosen
from habit.syntax import parse

ROUNDS = 2
"""How often the model may try; the second time it is told what was wrong with the first."""
_SHOWN = 1_500
"""Characters of an old input that the model is shown."""
_FENCE = re.compile(r"\A\s*```[a-z]*\n(.*?)\n```\s*\Z", re.DOTALL)


@dataclass(frozen=True)
class Breakage:
    """A question that was a habit's, about an input that it could not answer, and how it was answered then."""

    habit: Habit
    context: Context
    parameters: Mapping[str, Any]
    run: Run
    """The run of the fresh scheduler."""
    clause: str
    """What was violated, or why the habit gave up."""
    ran: bool = True
    """Whether the habit's code was run on this input; else its contract kept it from that."""
    disputed: bool = False
    """Whether the habit gave another answer, in which case a person must say who is right."""


async def repair(breakage: Breakage, resources: Resources, repository: Repository, ask: Asking) -> Notice:
    """Try to open a candidate that mends ``breakage``; what to tell people, in one sentence. Raises HabitError when
    the machine, not the model, is at fault."""
    habit = breakage.habit
    try:
        right = habit.spec.answer_type.check(plain(breakage.run.answer))
    except ValueError as problem:
        return Notice(f"No repair of {habit.label} is tried, because the answer is of another type", str(problem))
    breakage = replace(breakage, run=replace(breakage.run, answer=right))
    trouble = source = ""
    if not breakage.ran and not await _tried(breakage, habit.source, breakage.run, resources, repository, ask):
        return Notice(f"The code of {habit.label} can do this input too: habit review {habit.name}")
    for _ in range(ROUNDS):
        try:
            written = await ask(_request(breakage, source, trouble), returns=str)
        except RunError as failure:
            return Notice(f"No repair of {habit.label} was found", str(failure))
        if written.status != "answered":
            return Notice(f"No repair of {habit.label} was found", written.error or "the model came to no end with it")
        source = _code(str(written.answer))
        trouble = await _tried(breakage, source, written, resources, repository, ask)
        if not trouble:
            return Notice(f"A repair of {habit.label} passes its old cases and this one: habit review {habit.name}")
    return Notice(f"No repair of {habit.label} was found", trouble)


async def _tried(
    breakage: Breakage,
    source: str,
    written: Run,
    resources: Resources,
    repository: Repository,
    ask: Asking,
) -> str:
    """Try ``source`` on everything; propose it when it does all. What is wrong with it, else empty."""
    candidate = _candidate(breakage, source, written)
    sandbox = await resources.sandbox(resources.settings.sandbox)
    report = await examine(sandbox, candidate, mutants=0)
    if not report.green:
        return report.troubles()[0]
    facts = await anyio.to_thread.run_sync(observe, breakage.context)
    ceiling = report.ceiling or candidate.spec.ceiling
    trial = Chosen(
        candidate.name,
        (breakage.habit.version or 0) + 1,
        source,
        breakage.parameters,
        budget_of(ceiling, facts),
    )
    try:
        run = await ask(breakage.run.query, returns=candidate.spec.answer_type, chosen=trial)
    except RunError as failure:
        return f"on the new input it fails: {failure}"
    expected = plain(breakage.run.answer)
    if not same_answer(candidate.spec.answer_type, run.answer, expected):
        found = _as_json(run.answer)
        return f"on the new input it answers {found} and the right answer is {_as_json(expected)}"
    record = await (await resources.store()).run(run.id)
    recorded = replace(await record_run(record, resources), answer=expected)
    try:
        rehearsed = await rehearse(sandbox, source, recorded, breakage.parameters)
        if source != breakage.habit.source:
            await _must_be_learned(sandbox, source, recorded, breakage)
    except CannotLearn as refusal:
        return refusal.reason
    contract = contract_for(candidate.spec, facts)
    case = replace(
        await case_of(sandbox, source, recorded, dict(breakage.parameters), rehearsed, contract),
        run=breakage.run.id,
    )
    name = _case_name(candidate, breakage.run)
    whole = replace(
        candidate,
        spec=candidate.spec.model_copy(update={"ceiling": ceiling}),
        cases={**candidate.cases, name: case},
    )
    report = await examine(sandbox, whole, mutants=0)
    refuted = {one.relation for one in report.broken if one.case == name}
    if refuted:  # the right answer itself says that they do not hold, so they never were tests
        kept = tuple(relation for relation in whole.spec.relations if relation not in refuted)
        whole = replace(whole, spec=whole.spec.model_copy(update={"relations": kept}))
        report = await examine(sandbox, whole, mutants=0)
    if not report.green:
        return report.troubles()[0]
    settles = whole.spec.policy == "pure-and-green" and not breakage.disputed
    if settles:
        report = await examine(sandbox, whole)

    def propose() -> None:
        proposed = repository.propose(whole)
        if settles:
            settle(repository, proposed, report)

    await anyio.to_thread.run_sync(propose)
    return ""


async def _must_be_learned(sandbox: Sandbox, source: str, run: RecordedRun, breakage: Breakage) -> None:
    """Raises CannotLearn when new code has the answer, or anything else of the new input, by heart."""
    habit, values = breakage.habit, breakage.parameters
    must_hold_nothing_read(source, run, values, contracts=habit.spec.contracts, before=habit.source)
    await must_depend(sandbox, source, run, values)


def _candidate(breakage: Breakage, source: str, written: Run) -> Habit:
    """The habit with the new code; it takes the new layout of input beside the old ones."""
    old = breakage.habit.spec
    new_layout = infer_contract(
        [breakage.context],
        answer_type=old.answer_type,
        answers=[plain(breakage.run.answer)],
        operation=old.intent.operation,
        parameters=[breakage.parameters],
        closed=_goes_by_place(source),
        compared={one.column for one in comparisons(source)},
    )
    spec = old.model_copy(
        update={
            "also": old.also if breakage.ran else (*old.also, new_layout),
            "provenance": Provenance(
                runs=tuple(dict.fromkeys((*old.provenance.runs, breakage.run.id, written.id))),
                model=old.provenance.model,
                learned=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                contexts=(*old.provenance.contexts, breakage.context.digest),
                repairs=breakage.habit.label,
                notes=(f"repaired because {breakage.clause}",),
            ),
        }
    )
    return replace(breakage.habit, spec=spec, source=source, version=None)


def _goes_by_place(source: str) -> bool:
    try:
        return goes_by_place(parse(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True  # the rules of the code will say more


def _request(breakage: Breakage, tried: str, trouble: str) -> str:
    """What the model is asked; the failing input is the context of the run."""
    habit = breakage.habit
    with next(iter(habit.cases.values())).context.opened() as view:
        old_input = bytes(view[:_SHOWN]).decode("utf-8", "replace")
    again = f"\nYour last attempt was this; it does not do, because {trouble}:\n{_fenced(tried)}\n" if trouble else ""
    right = _as_json(breakage.run.answer)
    return f"""Mend a Python program. What it is for: {habit.spec.intent.summary}
It does not work on `context` any more: {breakage.clause}
For `context` and the parameters {json.dumps(dict(breakage.parameters))} the right answer is {right}.
It must go on working for inputs like the one it was written for, which begins:
{_fenced(old_input)}
This is the program:
{_fenced(habit.source)}
{again}
Write the whole program anew so that it works for both kinds of input: `def scheduler(context, recursive_llm, *, ...)`
with the same parameters, plain Python, imports of text-handling standard modules only, no input or output, loops over
what is in `context`. Wherever it asks recursive_llm(query, item, returns=...) for old inputs, keep query and returns to
the letter. Look at `context` first. Never put the answer or a value of this one input into the program.
Give the source as a string: answer(source)."""


def _fenced(text: str) -> str:
    fence = "~" * max(3, 1 + max((len(run) for run in re.findall("~+", text)), default=0))
    return f"{fence}\n{text.rstrip()}\n{fence}"


def _code(text: str) -> str:
    """The program of a reply, without a fence that a model may have put around it."""
    fenced = _FENCE.match(text)
    return (fenced[1] if fenced else text).strip("\n") + "\n"


def _case_name(habit: Habit, run: Run) -> str:
    return f"repair-{len(habit.cases) + 1}-{run.id[-8:]}"


def _as_json(answer: Any) -> str:
    return short(json.dumps(plain(answer), ensure_ascii=False), 200)
