"""Dependence: an answer that stays the same whatever the input holds was memorised, however the code hides it.

The scheduler is rehearsed on inputs that differ from the real one: its halves, without what the answer names, with
scrambled records, with other replies. Code that fails on one of them depends on the input, which is all that is asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, islice
from typing import Any

from habit.contexts.context import Context
from habit.library.case import Exchange, Replies
from habit.library.crystallise.recording import RecordedRun
from habit.library.crystallise.refusal import CannotLearn
from habit.library.rehearsal import ReplySource, stage
from habit.library.same import same_answer
from habit.sandbox.session import LlmRequest, Sandbox

_FAILED = object()
"""Stands for the answer of code that gives none."""
_MOST_BYTES = 1 << 20
"""Inputs above this are cut before they are changed: dependence shows on a part as well."""

_MOST_CHOICES = 4
"""Replies that are tried in the place of all replies."""


async def must_depend(sandbox: Sandbox, source: str, run: RecordedRun, values: Mapping[str, Any]) -> None:
    """Raises CannotLearn when ``source`` gives the answer of ``run`` on every other input too."""
    others: list[tuple[Context, ReplySource]] = list(_others(run))
    for given in (values, *_exchanged(values)):
        known = _AnyReply(run.exchanges)
        first = run.answer if given is values else await _answer(sandbox, source, run, run.context, given, known)
        if first is _FAILED:
            continue
        for context, replies in others:
            other = await _answer(sandbox, source, run, context, given, replies)
            if other is _FAILED or not same_answer(run.returns, other, first):
                return
    raise CannotLearn(
        "its code gives the same answer whatever the input holds",
        "ask again for an answer that code computes from `context`",
    )


async def _answer(
    sandbox: Sandbox,
    source: str,
    run: RecordedRun,
    context: Context,
    values: Mapping[str, Any],
    replies: ReplySource,
) -> Any:
    """What ``source`` answers, or that it fails."""
    async with stage(sandbox, context, run.returns.check) as here:
        rehearsed = await here.play(source, values, replies)
    return rehearsed.answer if rehearsed.result.status == "answered" else _FAILED


def _exchanged(values: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The parameters with two of one type in each other's place: *less than* is false of most inputs, and then *more
    than* shows what they hold."""
    for one, other in combinations(values, 2):
        if type(values[one]) is type(values[other]):
            yield {**values, one: values[other], other: values[one]}


def _others(run: RecordedRun) -> Iterator[tuple[Context, ReplySource]]:
    recorded = list(run.exchanges)
    if any(_opposite(exchange) is not None for exchange in recorded):
        yield run.context, _Opposites(recorded)
    choices = dict.fromkeys(choice for exchange in recorded for choice in _choices(exchange))
    for choice in islice(choices, _MOST_CHOICES):
        yield run.context, _Always(recorded, choice)
    value = run.context.value()
    if isinstance(value, str):
        value = value[:_MOST_BYTES]
    for other in _changed(value, run.answer):
        yield Context.of(other), _AnyReply(recorded)


def _changed(value: Any, answer: Any) -> Iterator[Any]:
    """The input changed in ways that leave something of it: that there is anything at all shows no dependence."""
    records, rebuild = _records(value)
    half = len(records) // 2
    named = {part for part in _texts(answer) if len(part) > 1}
    without = [record for record in records if not any(part in _text(record) for part in named)]
    for chosen in (records[:half], records[half:], without, [_scrambled(record) for record in records]):
        if chosen:
            yield rebuild(chosen)


def _records(value: Any) -> tuple[list[Any], Any]:
    """The records of an input, and how to make an input of records."""
    if isinstance(value, str):
        lines = value.splitlines(keepends=True)
        head, body = lines[:1], lines[1:]
        return body, lambda records: "".join([*head, *records])
    if isinstance(value, list):
        return value, lambda records: list(records)
    if isinstance(value, dict):
        lists = [key for key, item in value.items() if isinstance(item, list)]
        if lists:
            key = max(lists, key=lambda name: len(value[name]))
            return value[key], lambda records: {**value, key: list(records)}
        return list(value.items()), lambda records: dict(records)
    return [value], lambda records: records[0] if records else None


def _scrambled(record: Any) -> Any:
    """The same layout with other words and numbers."""
    if isinstance(record, str):
        return re.sub(r"[A-Za-z]+", lambda found: found[0][::-1].swapcase(), re.sub(r"\d", "7", record))
    if isinstance(record, Mapping):
        return {key: _scrambled(item) for key, item in record.items()}
    if isinstance(record, (list, tuple)):
        return [_scrambled(item) for item in record]
    return 7 if type(record) in (int, float) else record


def _text(record: Any) -> str:
    return record if isinstance(record, str) else json.dumps(record, ensure_ascii=False)


def _texts(answer: Any) -> Iterator[str]:
    if isinstance(answer, str):
        yield answer
    elif isinstance(answer, Mapping):
        for key, item in answer.items():
            yield key
            yield from _texts(item)
    elif isinstance(answer, list):
        for item in answer:
            yield from _texts(item)


class _AnyReply:
    """Recorded replies where there are some, else any reply to the same query, else any of the same type."""

    def __init__(self, recorded: Sequence[Exchange]) -> None:
        self._recorded = recorded
        self._exact = Replies(recorded, again=True)

    def take(self, request: LlmRequest) -> Exchange | None:
        known = self._exact.take(request)
        alike = [one for one in self._recorded if one.schema == request.schema and not one.reason]
        return known or next((one for one in alike if one.query == request.query), alike[0] if alike else None)


class _Opposites(_AnyReply):
    """Replies that are another one of the choices, where there are choices, else other words about the same slice."""

    def take(self, request: LlmRequest) -> Exchange | None:
        known = super().take(request)
        return known and (_opposite(known) or known)


class _Always(_AnyReply):
    """One reply to all that may be replied to with it: the most common of several is then this one."""

    def __init__(self, recorded: Sequence[Exchange], reply: Any) -> None:
        super().__init__(recorded)
        self._reply = reply

    def take(self, request: LlmRequest) -> Exchange | None:
        known = super().take(request)
        if known is None or known.reason or self._reply not in _choices(known):
            return known
        return Exchange(known.query, known.context, known.schema, self._reply)


def _choices(exchange: Exchange) -> Sequence[Any]:
    """What may be replied, where there are choices between texts or numbers."""
    return [choice for choice in (exchange.schema or {}).get("enum") or () if isinstance(choice, (str, int, float))]


def _opposite(exchange: Exchange) -> Exchange | None:
    """The same exchange with another reply. Half of a text or list counts only where it is about a slice of the input:
    what a model says of nothing depends on nothing."""
    schema, reply = exchange.schema or {}, exchange.reply
    others: list[Any] = [choice for choice in schema.get("enum") or () if choice != reply]
    if schema.get("type") == "boolean":
        others = [not reply]
    elif not others and isinstance(reply, (str, list)) and reply and exchange.context is not None:
        others = [reply[len(reply) // 2 :]] if len(reply) > 1 else []
    if not others or exchange.reason:
        return None
    return Exchange(exchange.query, exchange.context, exchange.schema, others[0])
