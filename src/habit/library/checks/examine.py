"""``examine``: everything that can be said of a habit without a model, in one report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from habit.library.case import Case
from habit.library.checks.bounds import count_calls
from habit.library.checks.report import CaseResult, Finding, Report
from habit.library.checks.rules import check_rules, parse, scheduler_of
from habit.library.rehearsal import replay_case
from habit.library.spec import Ceiling, HabitSpec
from habit.sandbox.session import Sandbox


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


async def examine(sandbox: Sandbox, subject: Subject) -> Report:
    """Check the code of a habit, then replay its cases. Code that breaks a rule is not run."""
    spec = subject.spec
    findings, ceiling = read_code(subject.source, spec)
    cases = [] if findings else await test_cases(sandbox, subject)
    return Report(spec.name, findings, ceiling, cases, capabilities=spec.capabilities, recorded=spec.relations)


async def test_cases(sandbox: Sandbox, subject: Subject) -> list[CaseResult]:
    """Replay every case, in the order of their names."""
    results = []
    for name, case in sorted(subject.cases.items()):
        rehearsed, trouble = await replay_case(sandbox, subject.source, case, subject.spec.answer_type.check)
        results.append(CaseResult(name, trouble, len(rehearsed.asked)))
    return results
