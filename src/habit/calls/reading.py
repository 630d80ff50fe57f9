"""From the text of a reply to the value it states: fences, wrappers and lead-ins off, and never a guess."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from habit.calls.conform import bool_of_text, choose, conform
from habit.calls.schemas import Schema, choices_of

T = TypeVar("T")

_FENCE = re.compile(r"```[^\n`]*\n(.*?)```", re.DOTALL)
_LEAD_IN = re.compile(
    r"^[\W_]*(?:(?:the|my|final|correct|best)\s+){0,3}"
    r"(?:answer|result|value|label|category|class|classification|choice|output)\b[\s*_]*(?::|=|\bis\b)[\s*_:]*(?=\S)",
    re.IGNORECASE,
)
_STARTS_WITH_BOOL = re.compile(r"(yes|no|true|false)(?:\s*[,;:!.](?!\s*\d)|\s*\n|\s+[–—-]\s)", re.IGNORECASE)
_AMOUNT = re.compile(r"([+-]?)\s?[$€£¥]?\s?([+-]?)(\d{1,3}(?:,\d{3})+|\d+)?(\.\d+)?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_OPENING = re.compile(r"[\[{]")
_MAX_STARTS = 50
"""Places in a reply at which JSON is looked for; more than that and the reply is not an answer."""


def read(text: str, schema: Schema) -> Any:
    """The value of ``schema`` that ``text`` states; raises ValueError with a one-line reason."""
    reasons: list[ValueError] = []
    readings = _readings(schema)
    for candidate in _candidates(text):
        for reading in readings:
            try:
                return reading(candidate)
            except ValueError as reason:
                reasons.append(reason)
    embedded = _embedded(text, schema)
    if embedded:
        return embedded[0]
    if not text.strip():
        raise ValueError("the reply is empty")
    # A value of the wrong shape tells more than text that is no value at all.
    told = [reason for reason in reasons if not isinstance(reason, _NotAValue)]
    raise (told or reasons[len(readings) - 1 :])[0]


class _NotAValue(ValueError):
    """The text is not the writing of any value of the wanted type."""


def _candidates(text: str) -> Iterator[str]:
    """The parts of a reply that may be the answer: all of it, the one fenced block, what follows "Answer:"."""
    text = text.strip().removeprefix("\ufeff")
    yield text
    blocks: list[str] = [block.strip() for block in _FENCE.findall(text)]
    if len(blocks) == 1:
        yield blocks[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in (lines[-1:] + lines[:1])[: len(lines)]:
        if lead_in := _LEAD_IN.match(line):
            yield line[lead_in.end() :]
            break


def _readings(schema: Schema) -> list[Callable[[str], Any]]:
    choices = choices_of(schema)
    readings: list[Callable[[str], Any]] = [lambda text: _json(text, schema)]
    if choices:
        readings.append(lambda text: _choice(text, choices))
    elif schema.get("type") == "boolean":
        readings.append(_bool)
    elif schema.get("type") in ("integer", "number"):
        readings.append(lambda text: conform(_number(text), schema))
    elif schema.get("type") == "string":
        readings.append(lambda text: conform(text, schema))
    return readings


def _json(text: str, schema: Schema) -> Any:
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise _NotAValue(f"expected JSON and nothing else, got {_excerpt(text)}") from None
    return unwrap(value, schema)


def unwrap(value: Any, schema: Schema) -> Any:
    """``value`` conforming to ``schema``, out of the ``{"value": …}`` that structured output puts around it."""
    wrapped = isinstance(value, dict) and len(value) == 1
    if wrapped and "value" in value and schema.get("type") != "object":
        try:
            return conform(value["value"], schema)
        except ValueError as reason:
            try:
                return conform(value, schema)
            except ValueError:
                raise reason from None
    try:
        return conform(value, schema)
    except ValueError:
        # Models that are asked in words like to put a single answer into an object of their own.
        key = next(iter(value)) if wrapped else ""
        if key.casefold() not in ("value", "answer", "result", "label", "choice", "category"):
            raise
    return conform(value[key], schema)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _choice(text: str, choices: tuple[str, ...]) -> str:
    lines = text.strip().splitlines()
    named = {choose(part, choices) for part in (lines[:1] + lines[-1:])} - {None}
    choice = choose(text, choices) or (named.pop() if len(named) == 1 else None)
    if choice is None:
        some = ", ".join(json.dumps(choice, ensure_ascii=False)[:80] for choice in choices[:20])
        raise ValueError(f"expected one of {some}{', …' * (len(choices) > 20)}, got {_excerpt(text)}")
    return choice


def _bool(text: str) -> bool:
    if (answer := bool_of_text(text.strip("\"'`*_.! \n"))) is not None:
        return answer
    if start := _STARTS_WITH_BOOL.match(text.lstrip("*_\"'` ")):
        return start[1].casefold() in ("yes", "true")
    raise _NotAValue(f"expected yes or no, got {_excerpt(text)}")


def _number(text: str) -> str:
    """The plain writing of a number: ``**1,234.50**`` and ``$1,234.50`` are 1234.50; units and ranges are refused."""
    bare = text.strip("\"'`*_ \n").rstrip(".") if len(text) < 1000 else ""
    amount = _AMOUNT.fullmatch(bare)
    if not amount or not (amount[3] or amount[4]) or (amount[1] and amount[2]):
        raise _NotAValue(f"expected one number and nothing else, got {_excerpt(text)}")
    return re.sub(r"[,$€£¥\s]", "", bare)


def _embedded(text: str, schema: Schema) -> list[Any]:
    """The one JSON object or list that stands in prose and conforms; none when there are several different ones."""
    if schema.get("type", "array") not in ("array", "object") or "enum" in schema:
        return []
    found: list[Any] = []
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    position = 0
    for _ in range(_MAX_STARTS):
        if not (start := _OPENING.search(text, position)):
            break
        try:
            value, position = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            position = start.end()
            continue
        try:
            value = unwrap(value, schema)
        except ValueError:
            continue
        if value not in found:
            found.append(value)
    return found if len(found) == 1 else []


def _excerpt(text: str) -> str:
    short = " ".join(text[:400].split())
    return repr(short[:80]) + ("…" if len(short) > 80 else "")
