"""Habits made in a test: a spec around a few lines of code, and cases from a function that answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from habit.contexts.context import Context
from habit.library.case import Case, Exchange
from habit.library.habit import Habit
from habit.library.spec import Contract, HabitSpec, Intent, Parameter, Provenance


@dataclass(frozen=True)
class Made:
    """What the checks need of a habit."""

    spec: HabitSpec
    source: str
    cases: Mapping[str, Case]


LABEL = Parameter(type="choice", choices=("spam", "ham"), example="spam")
CONTRACT = Contract(kind="text", shape="lines")


def spec_of(
    parameters: Mapping[str, Parameter] | None = None,
    *,
    contract: Contract = CONTRACT,
    returns: str = '{"type": "integer"}',
    **more: Any,
) -> HabitSpec:
    return HabitSpec(
        name=more.pop("name", "count-label"),
        description="Counts the messages of one label.",
        intent=Intent(summary="Count messages by label", operation="count", phrasings=("How many are {label}?",)),
        parameters={} if parameters is None else parameters,
        returns=returns,
        contract=contract,
        provenance=Provenance(runs=("run-1",), model="m", learned="2026-11-24T12:00:00Z"),
        **more,
    )


def exchanges(query: str, answers: Mapping[str, Any], schema: Any = None) -> list[Exchange]:
    return [Exchange(query, Context.of(item), schema, reply) for item, reply in answers.items()]


def case(context: Any, asked: list[Exchange], expected: Any, **parameters: Any) -> Case:
    return Case(parameters, Context.of(context), asked, expected, "run-1", "How many are spam?")


def classify(query: str, items: list[str], label: Callable[[str], Any], schema: Any = None) -> list[Exchange]:
    return exchanges(query, {item: label(item) for item in items}, schema)


def write_library(folder: Path, *habits: Habit) -> None:
    """Habits as they lie in a folder."""
    for habit in habits:
        for name, content in habit.files().items():
            path = folder / habit.name / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


COUNT_LABEL = '''
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


def count_label(**changes: Any) -> Habit:
    """A habit with one green case; ``changes`` are fields of its spec."""
    asked = classify("spam or ham?", LINES, spam, SCHEMA)
    spec = spec_of({"label": LABEL}, **{"relations": ("additivity", "record-order"), **changes})
    return Habit(spec, COUNT_LABEL, {"first": case("\n".join(LINES), asked, 3, label="spam")})
