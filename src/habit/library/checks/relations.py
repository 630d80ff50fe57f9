"""Metamorphic relations: what must not change, or change in a known way, when the input of a case is varied.

Each relation makes scenes out of one case and judges their answers. Replies come from the case alone; a scene that asks
anything else makes its relation not applicable, whatever it answers. docs/checks.md defines each one.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from habit.contexts.context import Context
from habit.library.case import Case, Exchange
from habit.library.checks.report import RelationResult
from habit.library.checks.scenes import Played, Scene
from habit.library.records import Records, rename, split
from habit.library.same import same
from habit.library.shown import short
from habit.library.spec import Contract, HabitSpec

MOST_RECORDS = 5_000
"""Cases with more records are not varied: it would take too long."""
_TRIES = 8
"""Records that padding looks at."""


@dataclass(frozen=True)
class Trial:
    """A relation on one case: scenes to play, and a judge of the answers."""

    relation: str
    case: str
    scenes: Sequence[Scene]
    judge: Callable[[Sequence[Any]], tuple[bool | None, str]]
    """Whether it holds, and why not; None when these answers do not say."""

    def result(self, played: Sequence[Played]) -> RelationResult:
        """How it went."""
        for one in played:
            if one.rehearsed.missing:
                asked = one.rehearsed.missing[0].query[:80]
                return self._not_applicable(f"a variation asks what was not recorded ({asked!r})")
        for one in played:
            if not one.rehearsed.answered:
                return RelationResult(self.relation, self.case, "broken", one.rehearsed.trouble)
        holds, why = self.judge([one.rehearsed.answer for one in played])
        if holds is None:
            return self._not_applicable(why)
        return RelationResult(self.relation, self.case, "holds" if holds else "broken", "" if holds else why)

    def _not_applicable(self, why: str) -> RelationResult:
        return RelationResult(self.relation, self.case, "not applicable", why)


def trials_of(name: str, case: Case, spec: HabitSpec) -> Iterator[Trial | RelationResult]:
    """Every relation, as a trial on this case, or as not applicable to it."""
    contract, records = _taken_apart(case, spec)
    if records is None:
        why = f"a context of the shape {contract.shape} has no records that can be told apart"
    elif not 2 <= len(records.items) <= MOST_RECORDS:
        why = f"the context has {len(records.items)} records"
    else:
        why = ""
    for relation, make in _BY_RECORDS.items():
        if records is None or why:
            yield RelationResult(relation, name, "not applicable", why)
            continue
        made = make(case, records)
        if isinstance(made, str):
            yield RelationResult(relation, name, "not applicable", made)
        else:
            yield Trial(relation, name, *made)
    renamed = _renaming(case, spec, contract, records)
    if isinstance(renamed, str):
        yield RelationResult("label-renaming", name, "not applicable", renamed)
    else:
        yield Trial("label-renaming", name, *renamed)


def _taken_apart(case: Case, spec: HabitSpec) -> tuple[Contract, Records | None]:
    """The records of a case, by the first of the habit's layouts that takes it apart."""
    for contract in (spec.contract, *spec.also):
        if contract.kind == case.context.kind:
            records = split(case.context, contract)
            if records is not None:
                return contract, records
    return spec.contract, None


Made = tuple[Sequence[Scene], Callable[[Sequence[Any]], tuple[bool | None, str]]] | str
"""Scenes and their judge; or why there are none."""


def _scene(case: Case, context: Context) -> Scene:
    return Scene(context, case.parameters, case.exchanges)


def _orders(records: Records) -> list[list[Any]]:
    items = list(records.items)
    shuffled = items[:]
    # No secret: the same case is always shuffled alike.
    random.Random(len(items)).shuffle(shuffled)
    half = len(items) // 2
    return [items[::-1], items[half:] + items[:half], shuffled]


def _record_order(case: Case, records: Records) -> Made:
    scenes = [_scene(case, records.join(order)) for order in _orders(records)]

    def judge(answers: Sequence[Any]) -> tuple[bool | None, str]:
        for answer in answers:
            if not same(answer, case.expected):
                return False, f"with its records in another order it answers {short(repr(answer))}"
        return True, ""

    return scenes, judge


def _record_order_of_list(case: Case, records: Records) -> Made:
    if not isinstance(case.expected, list) or len(case.expected) < 2:
        return "the answer is not a list of several"
    wanted = Counter(map(repr, case.expected))
    scenes = [_scene(case, records.join(order)) for order in _orders(records)]

    def judge(answers: Sequence[Any]) -> tuple[bool | None, str]:
        for answer in answers:
            if not isinstance(answer, list) or Counter(map(repr, answer)) != wanted:
                return False, f"with its records in another order it lists {short(repr(answer))}"
        return True, ""

    return scenes, judge


def _halves(case: Case, records: Records) -> tuple[list[Scene], int]:
    """Scenes in pairs: the context cut in two at a few places."""
    size = len(records.items)
    cuts = sorted({size // 2, size // 3, 1} - {0})
    scenes = []
    for cut in cuts:
        scenes += [
            _scene(case, records.join(records.items[:cut])),
            _scene(case, records.join(records.items[cut:])),
        ]
    return scenes, len(cuts)


def _additivity(case: Case, records: Records) -> Made:
    if not _addable(case.expected):
        return "the answer is no number and no table of numbers"
    return _summed(case, records, "parts of it add up to")


def _concatenation(case: Case, records: Records) -> Made:
    if not isinstance(case.expected, list):
        return "the answer is no list"
    return _summed(case, records, "parts of it put together give")


def _summed(case: Case, records: Records, words: str) -> Made:
    scenes, pairs = _halves(case, records)

    def judge(answers: Sequence[Any]) -> tuple[bool | None, str]:
        for pair in range(pairs):
            whole = _plus(answers[2 * pair], answers[2 * pair + 1])
            if not same(whole, case.expected):
                return False, f"{words} {short(repr(whole))}"
        return True, ""

    return scenes, judge


def _addable(value: Any) -> bool:
    if isinstance(value, dict):
        return bool(value) and all(_addable(inner) and not isinstance(inner, dict) for inner in value.values())
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _plus(one: Any, other: Any) -> Any:
    match one, other:
        case dict(), dict():
            return {key: one.get(key, 0) + other.get(key, 0) for key in {**one, **other}}
        case (list(), list()) | (int() | float(), int() | float()):
            return one + other
        case _:
            return None


def _padding(case: Case, records: Records) -> Made:
    if not records.repeats:
        return "a record cannot be there twice"
    items = list(records.items)
    chosen = sorted({round(i * (len(items) - 1) / (_TRIES - 1)) for i in range(_TRIES)})
    scenes = []
    for index in chosen:
        scenes.append(_scene(case, records.join(items[:index] + items[index + 1 :])))
        scenes.append(_scene(case, records.join([*items, items[index]])))
        scenes.append(_scene(case, records.join([*items[:index], items[index], *items[index:]])))

    def judge(answers: Sequence[Any]) -> tuple[bool | None, str]:
        neutral = False
        for at in range(0, len(answers), 3):
            without, *twice = answers[at : at + 3]
            if not same(without, case.expected):
                continue
            neutral = True
            for answer in twice:
                if not same(answer, case.expected):
                    return False, f"with a record twice that does not matter once it answers {short(repr(answer))}"
        return (True, "") if neutral else (None, "every record that was left out mattered")

    return scenes, judge


_BY_RECORDS: Mapping[str, Callable[[Case, Records], Made]] = {
    "record-order": _record_order,
    "record-order-of-list": _record_order_of_list,
    "additivity": _additivity,
    "concatenation": _concatenation,
    "padding": _padding,
}
RELATIONS = (*_BY_RECORDS, "label-renaming")
"""The names of all relations, as ``relations`` in habit.toml may hold them."""


def _renaming(case: Case, spec: HabitSpec, contract: Contract, records: Records | None) -> Made:
    """Labels change places: in replies, parameters, prompts and label fields of the context, and in the answer."""
    labels = _labels(case, spec, contract)
    if len(labels) < 2:
        return "the habit knows no set of labels"
    names = dict(zip(labels, [*labels[1:], labels[0]], strict=True))
    context = case.context
    if any(set(field.labels) & names.keys() for field in contract.fields):
        renamed = rename(records, contract, names) if records is not None else None
        if renamed is None:
            return "the labels in the context cannot be told from the rest"
        context = renamed.join(renamed.items)
    parameters = {
        name: _renamed(value, names) if spec.parameters[name].type in ("choice", "list") else value
        for name, value in case.parameters.items()
        if name in spec.parameters
    }
    asked: list[Exchange] = []
    for exchange in case.exchanges:
        reply = _renamed(exchange.reply, names)
        other = _in_text(exchange.query, names)
        asked += [replace(exchange, query=query, reply=reply) for query in dict.fromkeys((exchange.query, other))]
    if (
        context is case.context
        and parameters == dict(case.parameters)
        and all(_renamed(exchange.reply, names) == exchange.reply for exchange in case.exchanges)
    ):
        return "no label occurs in the case"
    wanted = _renamed(case.expected, names)

    def judge(answers: Sequence[Any]) -> tuple[bool | None, str]:
        if same(answers[0], wanted):
            return True, ""
        return False, f"with its labels renamed it answers {short(repr(answers[0]))} instead of {short(repr(wanted))}"

    return [Scene(context, parameters, asked)], judge


def _labels(case: Case, spec: HabitSpec, contract: Contract) -> list[str]:
    """The first closed set of labels: of a parameter, of the replies, of a field."""
    for parameter in spec.parameters.values():
        if parameter.choices:
            return list(parameter.choices)
    for exchange in case.exchanges:
        choices = (exchange.schema or {}).get("enum")
        if isinstance(choices, list) and all(isinstance(choice, str) for choice in choices):
            return [str(choice) for choice in choices]
    for field in contract.fields:
        if field.labels:
            return list(field.labels)
    return []


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    match value:
        case str():
            return names.get(value, value)
        case list():
            return [_renamed(item, names) for item in value]
        case dict():
            return {names.get(key, key): _renamed(item, names) for key, item in value.items()}
        case _:
            return value


def _in_text(text: str, names: Mapping[str, str]) -> str:
    pattern = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{pattern})(?!\w)", lambda found: names[found[0]], text)
