"""Postconditions: rules that an answer must satisfy beyond its type. They come from habits, so none is ever trusted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from habit.contexts.display import literal
from habit.library.contract.facts import Facts
from habit.library.contract.sampling import WHOLE, decoded
from habit.library.spec import Contract

_NUMBER = re.compile(r"\s*-?\d{1,15}(?:\.\d{1,15})?\s*", re.ASCII)
Rule = Mapping[str, Any]


@dataclass(frozen=True)
class _Use:
    """An answer, what it is about, and the parameters it was asked with."""

    answer: Any
    facts: Facts
    parameters: Mapping[str, Any]


def broken_postconditions(
    contract: Contract, answer: Any, facts: Facts, parameters: Mapping[str, Any] | None = None
) -> list[str]:
    """The rules of ``contract`` that ``answer``, as JSON, breaks: one sentence each; none when it keeps them all."""
    broken = []
    for rule in contract.postconditions:
        said = _broken(rule, _Use(answer, facts, parameters or {}))
        if said:
            broken.append(said)
    return broken


def holds(rule: Rule, answer: Any, facts: Facts, parameters: Mapping[str, Any] | None = None) -> bool:
    """Whether ``answer`` keeps ``rule``."""
    return not _broken(rule, _Use(answer, facts, parameters or {}))


def _broken(rule: Rule, use: _Use) -> str:
    name = rule.get("rule")
    check = _RULES.get(name) if isinstance(name, str) else None
    if check is None:
        return f"The postcondition {literal(dict(rule), 80)} is of a kind that this version of Habit does not know."
    try:
        return check(rule, use)
    except (TypeError, KeyError, ValueError, RecursionError):
        return f"The postcondition {literal(dict(rule), 80)} can't be checked on the answer {literal(use.answer, 60)}."


def _at_least(rule: Rule, use: _Use) -> str:
    kept = _number(use.answer) >= _number(rule["value"])
    return "" if kept else f"The answer {literal(use.answer, 40)} is less than {literal(rule['value'], 40)}."


def _at_most(rule: Rule, use: _Use) -> str:
    kept = _number(use.answer) <= _number(rule["value"])
    return "" if kept else f"The answer {literal(use.answer, 40)} is more than {literal(rule['value'], 40)}."


def _at_most_records(rule: Rule, use: _Use) -> str:
    if not use.facts.exact or _number(use.answer) <= use.facts.records:
        return ""
    return f"The answer {literal(use.answer, 40)} counts more than the {use.facts.records:,} records there are."


def _one_of(rule: Rule, use: _Use) -> str:
    known = list(rule["values"])
    strange = [text for text in _texts(use.answer) if text not in known]
    if not strange:
        return ""
    shown = ", ".join(literal(value, 30) for value in known[:8])
    return f"The answer has {literal(strange[0], 40)}, which is none of the labels {shown}."


def _in_context(rule: Rule, use: _Use) -> str:
    strange = next((text for text in _texts(use.answer) if not _occurs(text, use.facts)), None)
    return "" if strange is None else f"The answer has {literal(strange, 60)}, which does not occur in the input."


def _not_empty(rule: Rule, use: _Use) -> str:
    texts = _texts(use.answer)
    return "" if texts and all(text.strip() for text in texts) else "The answer is empty."


def _unique(rule: Rule, use: _Use) -> str:
    seen = [json.dumps(item, sort_keys=True) for item in use.answer]
    return "" if len(set(seen)) == len(seen) else "The answer holds the same item twice."


def _sorted(rule: Rule, use: _Use) -> str:
    items = list(reversed(use.answer)) if rule.get("descending") else list(use.answer)
    return "" if all(first <= second for first, second in pairwise(items)) else "The answer is not in order."


def _at_most_items(rule: Rule, use: _Use) -> str:
    most = rule["value"] if "value" in rule else use.parameters.get(rule["parameter"])
    if most is None or len(use.answer) <= _number(most):
        return ""
    return f"The answer has {len(use.answer)} items where {literal(most, 20)} at most were asked for."


_RULES: dict[str, Callable[[Rule, _Use], str]] = {
    "at_least": _at_least,
    "at_most": _at_most,
    "at_most_records": _at_most_records,
    "one_of": _one_of,
    "in_context": _in_context,
    "not_empty": _not_empty,
    "unique": _unique,
    "sorted": _sorted,
    "at_most_items": _at_most_items,
}


def is_number(answer: Any) -> bool:
    """Whether an answer is a number, or the text of one, as answers are when no type was asked for."""
    return type(answer) in (int, float) or (isinstance(answer, str) and _NUMBER.fullmatch(answer) is not None)


def _number(value: Any) -> int | float:
    if not is_number(value):
        raise TypeError("not a number")
    return float(value) if isinstance(value, str) else value + 0


def _texts(answer: Any) -> Sequence[str]:
    texts = [answer] if isinstance(answer, str) else answer
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise TypeError("not text")
    return texts


def _occurs(text: str, facts: Facts) -> bool:
    """Whether ``text`` stands in the context; in JSON, in one of its strings, however they are escaped."""
    payload = facts.payload
    if facts.kind == "text" and not facts.shape.startswith(("json-", "texts/json")):
        return text.encode("utf-8", "surrogatepass") in payload
    for plain in (True, False):
        if json.dumps(text, ensure_ascii=plain)[1:-1].encode("utf-8", "surrogatepass") in payload:
            return True
    if len(payload) > WHOLE:  # escaped in a way that only a parser would undo, in more than is parsed here
        return b"\\" in payload
    try:
        return any(text in string for string in _strings(json.loads(decoded(payload))))
    except (ValueError, RecursionError):
        return text in decoded(payload)


def _strings(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from (key for key in value if isinstance(key, str))
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
