"""A report tells of rules, cases, relations and mutants; code that breaks a rule is never run."""

from __future__ import annotations

import json
from dataclasses import replace

from habit.library.checks import CaseResult, RelationResult, Report, examine
from habit.sandbox.session import Sandbox
from support.made_habits import Made, case, classify, count_label, spec_of

HABIT = count_label(relations=())


async def test_a_sound_habit_is_green_and_pure(sandbox: Sandbox) -> None:
    report = await examine(sandbox, HABIT)
    assert report.troubles() == []
    assert report.green
    assert report.pure
    assert report.held == ["additivity", "label-renaming", "padding", "record-order"]
    assert report.survivors == []
    assert [(one.name, one.calls) for one in report.cases] == [("first", 5)]
    assert Report.from_json(json.loads(json.dumps(report.to_json()))).to_json() == report.to_json()


async def test_a_red_case_is_told(sandbox: Sandbox) -> None:
    report = await examine(sandbox, replace(HABIT, source=HABIT.source.replace("== label", "!= label")))
    assert not report.green
    assert report.troubles() == ["case first: it answers 2 instead of 3"]


async def test_code_that_breaks_a_rule_is_not_run(sandbox: Sandbox) -> None:
    report = await examine(sandbox, replace(HABIT, source=HABIT.source.replace("return sum", "return eval")))
    assert not report.green
    assert not report.pure
    assert not report.cases
    assert "scheduler.py:4: it uses eval" in report.troubles()[0]


async def test_a_habit_without_cases_is_not_green(sandbox: Sandbox) -> None:
    report = await examine(sandbox, replace(HABIT, cases={}))
    assert not report.green
    assert "no case" in report.troubles()[0]


async def test_a_case_that_makes_more_calls_than_its_ceiling_is_red(sandbox: Sandbox) -> None:
    """What is put into a list under another name is not seen by the reading of the code; the case shows it."""
    source = (
        "def scheduler(context, recursive_llm):\n"
        "    items = []\n    other = items\n"
        "    for line in context.splitlines():\n        other.append(line)\n"
        "    return sum(recursive_llm('long?', item, returns=bool) for item in items)\n"
    )
    asked = classify("long?", ["a", "b"], lambda _: True, {"type": "boolean"})
    report = await examine(sandbox, Made(spec_of(), source, {"first": case("a\nb", asked, 2)}))
    assert report.troubles() == ["case first: it makes 2 leaf calls, more than the 0 that its code was read to allow"]


async def test_code_that_leaves_something_behind_gets_sessions_of_its_own(sandbox: Sandbox) -> None:
    source = (
        "from decimal import getcontext\n"
        "def scheduler(context, recursive_llm):\n    getcontext().prec -= 1\n    return getcontext().prec\n"
    )
    report = await examine(sandbox, Made(spec_of(), source, {"first": case("a\nb\nc", [], 27)}), mutants=5)
    assert "record-order" in report.held


async def test_large_contexts_are_shared_with_a_session(sandbox: Sandbox) -> None:
    lines = [f"line {number} {'x' * 1000}" for number in range(400)]
    source = "def scheduler(context, recursive_llm):\n    return len(context.splitlines())\n"
    report = await examine(sandbox, Made(spec_of(), source, {"first": case("\n".join(lines), [], 400)}), mutants=2)
    assert {"additivity", "record-order"} <= set(report.held)


async def test_mutants_are_tried_for_a_time_and_the_rest_is_told(sandbox: Sandbox) -> None:
    report = await examine(sandbox, HABIT, seconds=-1.0)
    assert report.mutation is not None
    assert (report.mutation.tried, report.mutation.made > 0) == (0, True)


def test_a_relation_that_breaks_on_one_case_is_not_held() -> None:
    results = [RelationResult("additivity", "a", "holds"), RelationResult("additivity", "b", "broken", "it differs")]
    report = Report("count-label", cases=[CaseResult("a", "")], relations=results)
    assert report.held == []
    assert report.green, "what was not recorded is no test yet"
    recorded = replace(report, recorded=["additivity"])
    assert recorded.troubles() == ["relation additivity on case b: it differs"]
