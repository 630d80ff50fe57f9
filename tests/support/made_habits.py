"""Habits made in a test: a spec around a few lines of code, and cases from a function that answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from habit.contexts.context import Context
from habit.library.case import Case, Exchange
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
        name="count-label",
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
