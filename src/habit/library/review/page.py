"""What a person sees of a candidate before approving it: the same facts for the terminal and for a browser.

Names, descriptions, code, questions and contexts may be written by a model or by whoever made the library. Here they
are plain strings; whoever draws the page escapes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from habit.contexts.display import literal
from habit.library.checks.report import Report
from habit.library.habit import Habit
from habit.library.repository import Candidate
from habit.library.review.differences import FileDiff, split
from habit.library.spec import Ceiling, Contract, HabitSpec, Parameter

Mark = Literal["", "good", "bad", "new", "changed", "gone"]
_VALUE_CHARS = 160
_LONG_LINE = 160
_MOST_WARNINGS = 10


@dataclass(frozen=True)
class Row:
    """One line of a table, or a line alone."""

    cells: Sequence[str]
    mark: Mark = ""


@dataclass(frozen=True)
class Section:
    """One part of the page."""

    title: str
    rows: Sequence[Row] = ()
    heads: Sequence[str] = ()
    """The heads of the columns; with none, every row is a line."""
    files: Sequence[FileDiff] = ()


@dataclass(frozen=True)
class Page:
    """A review."""

    title: str
    subtitle: str
    verdicts: Sequence[Row]
    """What to see first, a sentence each, good or bad."""
    sections: Sequence[Section]
    way_on: Sequence[str]
    """Commands."""


@dataclass(frozen=True)
class Facts:
    """What a review is made of."""

    candidate: Candidate
    current: Habit | None
    """The version that it is compared with: the one it would replace, else the newest; None for a new habit."""
    replaces: str
    """What it would replace, in words."""
    number: int
    """The version it would become."""
    report: Report | None
    """What the checks found; None when they could not run."""
    unchecked: str
    """Why they could not run."""
    diff: str
    """From ``current``, as git tells."""
    skill_is_generated: bool
    """Whether its SKILL.md is what its habit.toml gives."""
    cost: Sequence[str] = field(default=())
    """Cost with and without it, a sentence each."""
    objections: Sequence[str] = field(default=())
    """Why it does not approve itself; see policy.py."""


def page_of(facts: Facts) -> Page:
    """The page."""
    habit, current, report = facts.candidate.habit, facts.current, facts.report
    before = current.spec if current else None
    label = f"{habit.name}@{facts.number}"
    files = split(facts.diff, generated=facts.skill_is_generated)
    sections = [
        Section("What it is for", _purpose(habit.spec, before)),
        Section("Parameters", _parameters(habit.spec, before), ("name", "type", "example", "meaning")),
        Section("Contract", _contract(habit.spec, before), ("clause", "value", "before")),
        Section("Capabilities", _capabilities(habit.spec, before)),
        Section("Ceiling of one use", _ceilings(habit.spec, before, report)),
        Section("Cases", _cases(habit, report), ("case", "question", "parameters", "answer", "calls", "verdict")),
        Section("Relations", _relations(report), ("relation", "case", "verdict", "why")),
        Section("Mutants that nothing noticed", _survivors(report), ("line", "change", "from", "to")),
        Section("Findings", [Row((str(finding),), "bad") for finding in report.findings] if report else ()),
        Section("Cost", [Row((line,)) for line in facts.cost]),
        Section("Where it comes from", _provenance(habit.spec), ("", "")),
        Section("Difference", [Row((f"{file.path}: {file.summary}",)) for file in files if file.hidden], files=files),
    ]
    return Page(
        f"{label}: a candidate",
        f"{facts.replaces}; branch {facts.candidate.branch}; tree {facts.candidate.tree}",
        _verdicts(facts, files),
        [section for section in sections if section.rows or section.files],
        [f"habit approve {habit.name}", f"habit reject {habit.name} --reason WHY", f"habit diff {habit.name}"],
    )


def _verdicts(facts: Facts, files: Sequence[FileDiff]) -> list[Row]:
    """The sentences at the top."""
    habit, report = facts.candidate.habit, facts.report
    found: list[Row] = []
    if report is None:
        found.append(Row((f"Its checks could not run: {facts.unchecked}",), "bad"))
    else:
        found.append(
            Row(("Its tests are green.",), "good") if report.green else Row(("Its tests are NOT green.",), "bad")
        )
        found += [Row((trouble,), "bad") for trouble in report.troubles()]
        if report.mutation is None or not report.mutation.tried:
            found.append(Row(("No mutants were tried.",), "bad"))
        elif report.survivors:
            found.append(Row((f"{len(report.survivors)} of {report.mutation.tried} mutants survive.",), "bad"))
        else:
            tried = report.mutation.tried
            all_of_them = "The only mutant was" if tried == 1 else f"All {tried} mutants were"
            found.append(Row((f"{all_of_them} caught.",), "good"))
        if report.order_matters:
            depends = f"Its answer depends on the order of the records ({report.order_matters}): does the question?"
            found.append(Row((depends,), "bad"))
    before = facts.current.spec.capabilities if facts.current else ()
    added = [one for one in habit.spec.capabilities if one not in before]
    if added:
        found.append(Row((f"It asks for NEW capabilities: {', '.join(added)}.",), "bad"))
    elif not habit.spec.capabilities:
        found.append(Row(("It needs nothing beyond pure computation and bounded calls.",), "good"))
    if not facts.skill_is_generated:
        found.append(Row(("SKILL.md is not what habit.toml gives: read it.",), "bad"))
    for file in files:
        if file.is_strange:
            found.append(Row((f"{file.path} is no part of a habit; it is kept, and never read or run.",), "bad"))
        if file.cut:
            where = f"git show {facts.candidate.branch}"
            found.append(Row((f"This page leaves out {file.cut} of {file.path}; all of it: {where}",), "bad"))
    found += [Row((line,), "bad") for line in _hard_to_see(habit.source)]
    if habit.spec.policy != "review":
        why = f"but not this time: {'; '.join(facts.objections)}" if facts.objections else "and this one may"
        found.append(Row((f"Its policy lets pure and green candidates approve themselves, {why}.",)))
    return found


def _hard_to_see(source: str) -> list[str]:
    """What could be overlooked in the code: very long lines, and characters that nobody sees."""
    found = []
    for number, line in enumerate(source.split("\n"), 1):
        if len(line) > _LONG_LINE:
            found.append(f"scheduler.py:{number} is {len(line):,} characters long: read it to its end.")
        if not line.replace("\t", "").isprintable():
            found.append(f"scheduler.py:{number} holds characters that can't be seen; they are shown as \\u….")
    return found[:_MOST_WARNINGS]


def _purpose(spec: HabitSpec, before: HabitSpec | None) -> list[Row]:
    old = _purpose_lines(before) if before else []
    now = _purpose_lines(spec)
    rows = [Row((line,), "new" if before and line not in old else "") for line in now]
    return rows + [Row((line,), "gone") for line in old if line not in now]


def _purpose_lines(spec: HabitSpec) -> list[str]:
    lines = [spec.description, spec.intent.summary, f"Operation: {spec.intent.operation or 'not said'}"]
    lines += [f"Asked as: {phrasing}" for phrasing in spec.intent.phrasings]
    return [*lines, f"Answer: {spec.answer_type.name}", f"Policy: {spec.policy}"]


def _parameters(spec: HabitSpec, before: HabitSpec | None) -> list[Row]:
    old = dict(before.parameters) if before else {}
    rows = []
    for name, one in spec.parameters.items():
        mark: Mark = "" if before is None or old.get(name) == one else "changed" if name in old else "new"
        rows.append(Row(_parameter(name, one), mark))
    return rows + [Row(_parameter(name, one), "gone") for name, one in old.items() if name not in spec.parameters]


def _parameter(name: str, one: Parameter) -> tuple[str, ...]:
    kind = f"{one.type}: {', '.join(one.choices)}" if one.choices else one.type
    return name, kind, literal(one.example, _VALUE_CHARS), one.description


def _contract(spec: HabitSpec, before: HabitSpec | None) -> list[Row]:
    now = _clauses(spec.contract)
    old = _clauses(before.contract) if before else {}
    rows = []
    for clause, value in now.items():
        was = old.get(clause, "")
        mark: Mark = "" if before is None or was == value else "changed" if was else "new"
        rows.append(Row((clause, value, was if mark == "changed" else ""), mark))
    return rows + [Row((clause, "", was), "gone") for clause, was in old.items() if clause not in now]


def _clauses(contract: Contract) -> dict[str, str]:
    """The clauses of a contract that say something, by what they are about."""
    found = {"kind": contract.kind, "shape": contract.shape}
    if contract.delimiter:
        found["delimiter"] = literal(contract.delimiter, _VALUE_CHARS)
    for one in contract.fields:
        known = f", one of {', '.join(one.labels)}" if one.labels else ""
        known += f", seen were {', '.join(literal(value, _VALUE_CHARS) for value in one.seen)}" if one.seen else ""
        found[f"field {one.name}"] = f"{one.type}{'' if one.required else ', may be missing'}{known}"
    if contract.closed:
        found["keys"] = "these alone, in this order: the code goes through all of them"
    if contract.line_pattern:
        found["lines fit"] = contract.line_pattern
    if contract.bytes != Contract.model_fields["bytes"].default:
        found["bytes"] = f"{contract.bytes[0]:,} to {contract.bytes[1]:,}"
    for index, rule in enumerate(contract.postconditions, 1):
        found[f"promise {index}"] = json.dumps(dict(rule), ensure_ascii=False, sort_keys=True)
    for value in contract.format_literals:
        found[f"format literal {literal(value, _VALUE_CHARS)}"] = "belongs to the format of the input"
    return found


def _capabilities(spec: HabitSpec, before: HabitSpec | None) -> list[Row]:
    old = before.capabilities if before else ()
    rows = [Row((one,), "" if one in old else "bad") for one in spec.capabilities]
    rows += [Row((one,), "gone") for one in old if one not in spec.capabilities]
    return rows or [Row(("none beyond pure computation and bounded calls",))]


def _ceilings(spec: HabitSpec, before: HabitSpec | None, report: Report | None) -> list[Row]:
    rows = [Row((f"Budget in habit.toml: {ceiling_text(spec.ceiling)}",))]
    if before and before.ceiling != spec.ceiling:
        rows.append(Row((f"Before: {ceiling_text(before.ceiling)}",), "gone"))
    if report is not None:
        computed = ceiling_text(report.ceiling) if report.ceiling else "no bound could be seen in the code"
        over = report.ceiling is None or exceeds(report.ceiling, spec.ceiling)
        rows.append(Row((f"Computed from the code: {computed}",), "bad" if over else "good"))
    return rows


def ceiling_text(ceiling: Ceiling) -> str:
    """A ceiling in words."""
    parts = [f"{ceiling.base_calls:,} calls + {ceiling.calls_per_record:g} for each record"]
    if ceiling.calls_per_byte:
        parts = [f"{parts[0]} + {ceiling.calls_per_byte:g} for each byte"]
    if ceiling.max_usd is not None:
        parts.append(f"${ceiling.max_usd:g}")
    if ceiling.max_seconds is not None:
        parts.append(f"{ceiling.max_seconds:g} s")
    return ", ".join(parts)


def exceeds(computed: Ceiling, budget: Ceiling) -> bool:
    """Whether a use may need more calls than the budget has, on some input."""
    return (
        computed.base_calls > budget.base_calls
        or computed.calls_per_record > budget.calls_per_record
        or computed.calls_per_byte > budget.calls_per_byte
    )


def _cases(habit: Habit, report: Report | None) -> list[Row]:
    results = {one.name: one for one in report.cases} if report else {}
    rows = []
    for name, case in sorted(habit.cases.items()):
        result = results.get(name)
        verdict = "not run" if result is None else result.trouble or "green"
        mark: Mark = "" if result is None else "bad" if result.trouble else "good"
        given = literal(dict(case.parameters), _VALUE_CHARS)
        answer = literal(case.expected, _VALUE_CHARS)
        rows.append(Row((name, case.query, given, answer, str(len(case.exchanges)), verdict), mark))
    return rows


def _relations(report: Report | None) -> list[Row]:
    if report is None:
        return []
    recorded = set(report.recorded)
    rows = []
    for one in report.relations:
        mark: Mark = "good" if one.verdict == "holds" else "bad" if one.relation in recorded else ""
        verdict = one.verdict if one.relation in recorded or one.verdict != "broken" else "broken (not a test of it)"
        rows.append(Row((one.relation, one.case, verdict, one.why), "" if one.verdict == "not applicable" else mark))
    return rows


def _survivors(report: Report | None) -> list[Row]:
    if report is None:
        return []
    return [Row((str(one.line), one.change, one.before, one.after), "bad") for one in report.survivors]


def _provenance(spec: HabitSpec) -> list[Row]:
    source = spec.provenance
    rows = [Row(("run", run)) for run in source.runs]
    rows += [Row(("model", source.model)), Row(("learned", source.learned))]
    rows += [Row(("context", digest)) for digest in source.contexts]
    rows += [Row(("repairs", source.repairs))] if source.repairs else []
    return rows + [Row(("note", note)) for note in source.notes]


def as_json(page: Page, facts: Facts) -> Mapping[str, Any]:
    """The review for programs."""
    candidate = facts.candidate
    return {
        "habit": candidate.name,
        "would_become": f"{candidate.name}@{facts.number}",
        "replaces": facts.current.label if facts.current else None,
        "branch": candidate.branch,
        "tree": candidate.tree,
        "verdicts": [{"good": row.mark != "bad", "says": row.cells[0]} for row in page.verdicts],
        "spec": candidate.habit.spec.model_dump(mode="json"),
        "report": facts.report.to_json() if facts.report else None,
        "objections": list(facts.objections),
        "cost": list(facts.cost),
        "diff": facts.diff,
    }
