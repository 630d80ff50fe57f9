"""A report tells of rules, cases, relations and mutants; code that breaks a rule is never run."""

from __future__ import annotations

import json
from dataclasses import replace

from habit.library.checks import Report, examine
from habit.sandbox.session import Sandbox
from support.made_habits import count_label

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
