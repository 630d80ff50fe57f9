"""Values that a habit is asked about and that nothing has: more likely misspelt than rightly counted as none."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from habit.contexts.display import literal
from habit.library.contract import Compared, Facts, comparisons, contract_for
from habit.library.habit import Habit
from habit.library.match.values import ValuesOf
from habit.library.spec import RecordField

_MOST_SHOWN = 5
_MOST_CHARS = 40


def unknown_label(habit: Habit, parameters: Mapping[str, Any], facts: Facts) -> str:
    """One sentence when a parameter is compared with a column of labels and its value is none that this input or those
    learned from have there; empty when nothing speaks against it.

    A label that was known is asked for rightly where an input has none of it, and so is one that only this input has.
    """
    fields = [field for field in contract_for(habit.spec, facts).fields if field.seen]
    texts = {name for name, one in habit.spec.parameters.items() if one.type in ("string", "list")}
    if not fields or not texts:
        return ""
    places: dict[str, list[tuple[RecordField, Compared]]] = {}
    other: set[str] = set()
    for one in comparisons(habit.source):
        if one.parameter in texts:
            known = [field for field in fields if one.column in (field.name, field.name.rpartition(".")[2])]
            places.setdefault(one.parameter, []).extend((field, one) for field in known)
            other |= set() if known else {one.parameter}  # it is looked for elsewhere too, where anything may stand
    values = ValuesOf(facts)
    for name, found in sorted(places.items()):
        if name in other:
            continue
        for value in _asked(parameters.get(name), each=any(one.each for _, one in found)):
            if not any(_has(field, one, value, values) for field, one in found):
                return _said(habit, name, value, [field for field, _ in found], values)
    return ""


def _asked(value: Any, *, each: bool) -> Iterator[str]:
    if isinstance(value, str) and not each:
        yield value
    elif isinstance(value, list) and each:
        yield from (one for one in value if isinstance(one, str))


def _has(field: RecordField, compared: Compared, value: str, values: ValuesOf) -> bool:
    here = values.of(field.name)
    if value in field.seen or value in here:
        return True
    if not compared.exact and value.strip().casefold() in {one.strip().casefold() for one in (*field.seen, *here)}:
        return True
    return not values.complete and values.mentions(value)


def _said(habit: Habit, name: str, value: str, fields: list[RecordField], values: ValuesOf) -> str:
    first = fields[0]
    known = sorted({*first.seen, *values.of(first.name)})
    by_case = {one.casefold(): one for one in reversed(known)}
    near = [by_case[one] for one in difflib.get_close_matches(value.casefold(), by_case, 3)]
    shown = ", ".join(literal(one, _MOST_CHARS) for one in (near or known)[:_MOST_SHOWN])
    more = ", …" if not near and len(known) > _MOST_SHOWN else ""
    hint = f"nearest is {shown}" if len(near) == 1 else f"nearest are {shown}" if near else f"it has {shown}{more}"
    where = f"no {literal(first.name, _MOST_CHARS)} of this input or of those that {habit.label} was learned from"
    return f"{where} is {literal(value, _MOST_CHARS)}, which was given for {name} ({hint})"
