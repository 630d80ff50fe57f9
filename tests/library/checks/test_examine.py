"""A report tells of rules, cases, relations and mutants; code that breaks a rule is never run."""

from __future__ import annotations

import json
from dataclasses import replace

from habit.library.checks import Report, examine
from habit.sandbox.session import Sandbox
from support.made_habits import LABEL, Made, case, classify, spec_of

SOURCE = '''
def scheduler(context, recursive_llm, *, label: str) -> int:
    """Count the lines of one label."""
    return sum(
        recursive_llm("spam or ham?", line, returns=["spam", "ham"]) == label for line in context.splitlines()
    )
'''
SCHEMA = {"enum": ["spam", "ham"]}
LINES = ["buy now", "hello", "win big", "see you", "free cash"]


def spam(line: str) -> str:
    return "ham" if line in ("hello", "see you") else "spam"


ASKED = classify("spam or ham?", LINES, spam, SCHEMA)
HABIT = Made(spec_of({"label": LABEL}), SOURCE, {"first": case("\n".join(LINES), ASKED, 3, label="spam")})


async def test_a_sound_habit_is_green_and_pure(sandbox: Sandbox) -> None:
    report = await examine(sandbox, HABIT)
    assert report.troubles() == []
    assert report.green
    assert [(one.name, one.calls) for one in report.cases] == [("first", 5)]
    assert Report.from_json(json.loads(json.dumps(report.to_json()))).to_json() == report.to_json()


async def test_a_red_case_is_told(sandbox: Sandbox) -> None:
    report = await examine(sandbox, replace(HABIT, source=SOURCE.replace("== label", "!= label")))
    assert not report.green
    assert report.troubles() == ["case first: it answers 2 instead of 3"]


async def test_code_that_breaks_a_rule_is_not_run(sandbox: Sandbox) -> None:
    report = await examine(sandbox, replace(HABIT, source=SOURCE.replace("return sum", "return eval")))
    assert not report.green
    assert not report.pure
    assert not report.cases
    assert "scheduler.py:4: it uses eval" in report.troubles()[0]


async def test_a_habit_without_cases_is_not_green(sandbox: Sandbox) -> None:
    report = await examine(sandbox, replace(HABIT, cases={}))
    assert not report.green
    assert "no case" in report.troubles()[0]
