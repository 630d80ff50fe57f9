"""``examine``: everything that can be said of a habit without a model, in one report."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Protocol

import anyio

from habit.library.case import Case
from habit.library.checks.bounds import count_calls
from habit.library.checks.mutants import Mutant, mutants_of
from habit.library.checks.relations import Trial, trials_of
from habit.library.checks.report import CaseResult, Finding, Mutation, RelationResult, Report, Survivor
from habit.library.checks.rules import check_rules, parse, scheduler_of
from habit.library.checks.scenes import Played, Scene, Script, Theatre, theatre
from habit.library.records import count_for_ceiling
from habit.library.rehearsal import LIMITS, replay_case, what_is_wrong
from habit.library.spec import Ceiling, HabitSpec
from habit.sandbox.session import Sandbox

MOST_MUTANTS = 300
MUTATION_SECONDS = 10.0
"""How long mutants are tried; what was not tried by then is told."""
_MUTANT_SECONDS = 0.3
"""Of its own work, at least, before a mutant counts as one that does not end."""


class Subject(Protocol):
    """What is examined: a habit, or anything else with these."""

    @property
    def spec(self) -> HabitSpec:
        """What habit.toml says."""
        ...

    @property
    def source(self) -> str:
        """scheduler.py."""
        ...

    @property
    def cases(self) -> Mapping[str, Case]:
        """The cases by name."""
        ...


def read_code(source: str, spec: HabitSpec) -> tuple[list[Finding], Ceiling | None]:
    """The static part: which rules the code breaks, and the most leaf calls it can make. Nothing is run."""
    tree, findings = parse(source)
    if tree is None:
        return findings, None
    findings = check_rules(tree, spec)
    scheduler = scheduler_of(tree)
    if findings or scheduler is None:
        return findings, None
    calls, unbounded = count_calls(tree, scheduler, spec)
    return unbounded, None if unbounded else calls.ceiling(spec.ceiling)


async def examine(
    sandbox: Sandbox,
    subject: Subject,
    *,
    mutants: int = MOST_MUTANTS,
    seconds: float = MUTATION_SECONDS,
) -> Report:
    """Check the code, replay the cases, try the relations, then at most ``mutants`` mutants for ``seconds``.

    Code that breaks a rule is not run; relations are tried on green cases, mutants only when all are green.
    """
    spec = subject.spec
    findings, ceiling = read_code(subject.source, spec)
    if findings:
        return Report(spec.name, findings, ceiling, recorded=spec.relations, capabilities=spec.capabilities)
    cases, slowest = await _replay(sandbox, subject, ceiling)
    green = [case.name for case in cases if not case.trouble]
    cell_seconds = max(_MUTANT_SECONDS, 20 * slowest)
    async with theatre(sandbox, spec.answer_type.check, cell_seconds=cell_seconds) as stage:
        relations, trials = await try_relations(stage, subject, green)
        mutation = None
        if mutants and cases and len(green) == len(cases):
            fit = {one.relation for one in trials} - {one.relation for one in relations if one.verdict == "broken"}
            held = [trial for trial in trials if trial.relation in fit]
            mutation = await _mutate(stage, subject, held, mutants, seconds)
    return Report(spec.name, findings, ceiling, cases, relations, spec.relations, mutation, spec.capabilities)


async def check(sandbox: Sandbox, subject: Subject) -> Report:
    """What ``habit test`` shows: the rules, every case, and the relations that were recorded; no mutants."""
    spec = subject.spec
    findings, ceiling = read_code(subject.source, spec)
    cases: list[CaseResult] = []
    relations: list[RelationResult] = []
    if not findings:
        cases, _ = await _replay(sandbox, subject, ceiling)
        if spec.relations:
            green = [case.name for case in cases if not case.trouble]
            async with theatre(sandbox, spec.answer_type.check, cell_seconds=LIMITS.cell_seconds) as stage:
                relations, _ = await try_relations(stage, subject, green, only=spec.relations)
    return Report(spec.name, findings, ceiling, cases, relations, spec.relations, None, spec.capabilities)


async def _replay(sandbox: Sandbox, subject: Subject, ceiling: Ceiling | None) -> tuple[list[CaseResult], float]:
    """Replay every case, in the order of their names; also the seconds that the slowest took."""
    results, slowest = [], 0.0
    for name, case in sorted(subject.cases.items()):
        rehearsed, trouble = await replay_case(sandbox, subject.source, case, subject.spec.answer_type.check)
        records, calls = count_for_ceiling(case.context), len(rehearsed.asked) + len(rehearsed.missing)
        most = calls if ceiling is None else ceiling.calls(records, len(case.context.payload))
        if not trouble and calls > most:
            trouble = f"it makes {calls} leaf calls, more than the {most} that its code was read to allow"
        results.append(CaseResult(name, trouble, calls, records))
        slowest = max(slowest, rehearsed.result.seconds)
    return results, slowest


async def try_relations(
    stage: Theatre, subject: Subject, names: Sequence[str], *, only: Sequence[str] | None = None
) -> tuple[list[RelationResult], list[Trial]]:
    """Try relations on the cases called ``names``; also the trials that held."""
    script = Script.of(ast.parse(subject.source))
    results: list[RelationResult] = []
    held: list[Trial] = []
    for name in names:
        for trial in trials_of(name, subject.cases[name], subject.spec):
            if only is not None and trial.relation not in only:
                continue
            if isinstance(trial, RelationResult):
                results.append(trial)
                continue
            result = trial.result(await _play(stage, script, trial.scenes))
            results.append(result)
            held += [trial] if result.verdict == "holds" else []
    return results, held


async def _play(stage: Theatre, script: Script, scenes: Sequence[Scene]) -> list[Played]:
    """Play scenes until one asks what is not there or gives no answer: the rest would change nothing."""
    played = []
    for scene in scenes:
        one = await stage.play(script, scene)
        played.append(one)
        if not one.rehearsed.answered:
            break
    return played


async def _mutate(stage: Theatre, subject: Subject, trials: Sequence[Trial], most: int, seconds: float) -> Mutation:
    """Try mutants on the cases and on the relations that held; what nothing notices survives."""
    chosen, made = mutants_of(subject.source, most)
    survivors: list[Survivor] = []
    tried = 0
    began = anyio.current_time()
    for mutant in chosen:
        if anyio.current_time() - began > seconds:
            break
        tried += 1
        if not await _is_noticed(stage, subject, mutant, trials):
            survivors.append(Survivor(mutant.line, mutant.change, mutant.before, mutant.after))
    return Mutation(made, tried, survivors, round(anyio.current_time() - began, 3))


async def _is_noticed(stage: Theatre, subject: Subject, mutant: Mutant, trials: Sequence[Trial]) -> bool:
    script = Script.of(mutant.tree)
    for case in subject.cases.values():
        played = await stage.play(script, Scene.of(case))
        if what_is_wrong(case, played.rehearsed, played.unused):
            return True
    for trial in trials:
        if trial.result(await _play(stage, script, trial.scenes)).verdict != "holds":
            return True
    return False
