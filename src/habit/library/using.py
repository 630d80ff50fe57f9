"""From an approved habit to what a scheduler runs: its parameters, what one use may take, and who judges its answer."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from habit.calls.budget import Budget
from habit.contexts.context import Context
from habit.errors import UsageError
from habit.library.contract import Facts, broken_postconditions, contract_for, observe
from habit.library.evidence import Use
from habit.library.habit import Habit
from habit.library.records import count_for_ceiling
from habit.library.spec import Ceiling, Contract, HabitSpec, Parameter
from habit.schedulers.habit import Chosen, nothing_wrong

ENOUGH_HITS, LATEST_HITS = 3, 20
"""From how many hits on the evidence says what a use takes, and how many of the latest are looked at."""
DEARER = 4.0
"""How many times dearer than any before the calls of a use may be: inputs differ in how long their records are."""
_ASKED_TWICE = 1.25
"""Room above the computed ceiling of calls: a reply of the wrong type is asked for once more."""


def chosen(habit: Habit, parameters: Mapping[str, Any], facts: Facts) -> Chosen:
    """The habit with its parameters, for the input that ``facts`` are about."""
    assert habit.version is not None
    contract = contract_for(habit.spec, facts)
    return Chosen(
        habit.name,
        habit.version,
        habit.source,
        dict(parameters),
        budget_of(habit.spec.ceiling, facts),
        promises=contract.model_dump(mode="json"),
        judge=_judge(contract, parameters, facts),
    )


def judge_of(chosen: Chosen, context: Context) -> Callable[[Any], Sequence[str]]:
    """The judge of a habit that the journal chose; the trial of a repair has promised nothing yet."""
    if not chosen.promises:
        return nothing_wrong
    contract = Contract.model_validate_json(json.dumps(chosen.promises))
    return _judge(contract, chosen.parameters, observe(context))


def _judge(contract: Contract, parameters: Mapping[str, Any], facts: Facts) -> Callable[[Any], Sequence[str]]:
    return lambda answer: broken_postconditions(contract, answer, facts, parameters)


def budget_of(ceiling: Ceiling, facts: Facts) -> Budget:
    """What one use about this input may take together."""
    most = ceiling.calls(count_for_ceiling(facts.context), facts.bytes)
    calls = math.ceil(_ASKED_TWICE * most) + 2  # one is held back for a final call, never made here
    return Budget(max_calls=calls, max_usd=ceiling.max_usd, max_seconds=ceiling.max_seconds)


def narrowed_by(uses: Sequence[Use], budget: Budget) -> Budget:
    """``budget`` with the tokens and US dollars that the evidence allows; without enough hits it stays as it is.

    That is some times what the dearest call of the latest hits took on average, for as many calls as may be made.
    """
    hits = [use for use in uses if use.outcome == "hit" and use.calls > 0][-LATEST_HITS:]
    if len(hits) < ENOUGH_HITS or budget.max_calls is None:
        return budget
    tokens = math.ceil(DEARER * max(use.tokens / use.calls for use in hits) * budget.max_calls)
    priced = [use.usd / use.calls for use in hits if use.usd]
    usd = DEARER * max(priced) * budget.max_calls if len(priced) == len(hits) else None
    known = [limit for limit in (budget.max_usd, usd) if limit is not None]
    return replace(budget, max_tokens=max(tokens, 1), max_usd=min(known) if known else None)


def question_of(spec: HabitSpec, parameters: Mapping[str, Any]) -> str:
    """The question that a use by name answers, in the words of the habit's first phrasing."""

    def shown(slot: re.Match[str]) -> str:
        value = parameters.get(slot[1], slot[0])
        return (" or " if slot[2] else ", ").join(value) if isinstance(value, list) else str(value)

    return re.sub(r"\{(\w+)(:or)?\}", shown, spec.intent.phrasings[0] if spec.intent.phrasings else spec.intent.summary)


def filled(spec: HabitSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters given by name, as text or as values, each of its type. Raises UsageError that says what is wanted."""
    unknown = sorted(set(given) - set(spec.parameters))
    if unknown:
        near = difflib.get_close_matches(unknown[0], spec.parameters, 1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(spec.parameters) or 'none'}."
        raise UsageError(f"{spec.name} has no parameter {unknown[0]!r}; {hint}")
    values = {}
    for name, parameter in spec.parameters.items():
        if name not in given:
            example = f"--param {name}={_as_text(parameter.example)}"
            raise UsageError(f"{spec.name} needs a value for {name}: give one with {example}")
        values[name] = _value(spec.name, name, parameter, given[name])
    return values


def _value(habit: str, name: str, parameter: Parameter, given: Any) -> Any:
    value = _from_text(parameter, given) if isinstance(given, str) else given
    if parameter.accepts(value):
        return value
    wanted = f"one of {', '.join(parameter.choices)}" if parameter.choices else f"of type {parameter.type}"
    raise UsageError(f"{name} of {habit} must be {wanted}, not {str(given)[:80]!r}")


def _as_text(value: Any) -> str:
    """As ``_from_text`` reads it."""
    match value:
        case list():
            return ",".join(value)
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def _from_text(parameter: Parameter, text: str) -> Any:
    try:
        match parameter.type:
            case "integer":
                return int(text)
            case "number":
                return float(text)
            case "boolean":
                return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[text.lower()]
            case "list":
                return [item.strip() for item in text.split(",") if item.strip()]
            case "string" | "choice":
                return text
    except (ValueError, KeyError):
        return text  # not of the type: whoever checks says so
