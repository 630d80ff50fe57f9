"""Inferring a contract: what the contexts of a few runs have in common, and what their answers promise."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from habit.calls.returns import Returns
from habit.contexts.context import Context
from habit.errors import UsageError
from habit.library.contract.columns import Seen, loosely
from habit.library.contract.facts import Facts, observe
from habit.library.contract.lines import common, line_pattern
from habit.library.contract.postconditions import holds, is_number
from habit.library.spec import Contract, RecordField, Value

_TIMES_LARGER = 100
"""Code that is quadratic takes 10,000 times longer on an input 100 times larger: what took a hundredth of a second
still ends. Beyond that nothing of what was seen says that the habit is fit."""
_ALWAYS_FINE = 16 << 20
"""Bytes that any code reads in about a second: small samples must not shut out ordinary inputs."""

_MOST_LABELS = 12
_LONGEST_LABEL = 40
_COUNTING = {"count"}
_CHOOSING = {"classify", "top"}
_TAKING = {"extract", "list", "earliest", "latest", "top", "join"}
"""Operations whose text answers are taken from the context as they stand there."""
_SORTED = {"sort"}
_OF_KEYS = {"records", "mapping", "object", "json-lines", "list"}
"""Layouts whose fields are JSON keys."""


def infer_contract(
    contexts: Sequence[Context],
    *,
    answer_type: Returns,
    answers: Sequence[Any],
    labels: Mapping[str, Sequence[str]] | None = None,
    choices: Collection[Sequence[str]] = (),
    operation: str = "",
    uses: Collection[str] | None = None,
    by_name: bool = False,
    closed: bool = False,
    parameters: Sequence[Mapping[str, Any]] = (),
    format_literals: Sequence[Value] = (),
    compared: Collection[str] = (),
) -> Contract:
    """The contract that all ``contexts`` satisfy, with postconditions that all ``answers`` satisfy.

    ``labels`` names columns or keys whose values the habit takes for a closed set, with that set; ``choices`` are the
    sets of labels that its leaf calls choose from, which an answer may be one of. ``operation`` is the kind of question
    (Intent.operation): without one, nothing is promised that follows from it. ``uses`` names the columns or keys that
    the scheduler needs (None: all of them); ``by_name`` says that it takes cells by their name rather than by their
    place; ``closed``, that it goes through the keys of JSON records. ``parameters`` are those of each run.
    ``compared`` names columns or keys that the code compares: of those that hold labels, the labels are noted. Raises
    UsageError when the contexts have too little in common, ValueError when an answer is not of ``answer_type``.
    """
    facts = [observe(context) for context in contexts]
    if not facts:
        raise ValueError("a contract is inferred from at least one context")
    shapes = {(one.kind, one.shape, one.delimiter) for one in facts}
    if len(shapes) > 1:
        said = " and ".join(sorted({f"{one.shape} ({one.kind})" for one in facts}))
        raise UsageError(f"The inputs of these runs are laid out differently ({said}): learn from runs on one format.")
    first = facts[0]
    if first.shape in ("unreadable", "empty"):
        raise UsageError(f"The input of this run is {first.shape}: learn from a run that had something to read.")
    known = _labels(facts, labels or {})
    checked = [answer_type.check(answer) for answer in answers]
    return Contract(
        kind=first.context.kind,
        shape=first.shape,
        delimiter=first.delimiter,
        fields=_fields(facts, known, uses, compared),
        ordered=not by_name,
        closed=closed and any(one.shape.removeprefix("json-text/") in _OF_KEYS for one in facts),
        marks=tuple(sorted(frozenset().union(*(one.marks for one in facts)))),
        line_pattern=_pattern(facts),
        bytes=(1, max(_TIMES_LARGER * max(one.bytes for one in facts), _ALWAYS_FINE)),
        postconditions=tuple(_promises(facts, checked, [*known.values(), *choices], operation, parameters)),
        format_literals=tuple(format_literals),
    )


def _labels(facts: Sequence[Facts], given: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The sets of labels, completed by what the contexts hold: the code has coped with those too."""
    known = {}
    for name, values in given.items():
        seen = [field.values for one in facts if (field := one.field(name)) is not None and field.values is not None]
        known[name] = tuple(sorted({*values, *frozenset().union(*seen)}))
    return known


def _fields(
    facts: Sequence[Facts],
    labels: Mapping[str, tuple[str, ...]],
    uses: Collection[str] | None,
    compared: Collection[str],
) -> tuple[RecordField, ...]:
    tabular = facts[0].shape.removeprefix("texts/") in ("csv", "tsv")
    names = list(dict.fromkeys(seen.name for one in facts for seen in one.fields))
    if tabular and any([seen.name for seen in one.fields] != names for one in facts) and uses is None:
        raise UsageError("The inputs of these runs have different columns: learn from runs on one format.")
    found = []
    for name in names:
        seen = [field for one in facts if (field := one.field(name)) is not None]
        required = len(seen) == len(facts) and all(field.always for field in seen)
        required = required and (uses is None or name in uses or name.rpartition(".")[2] in uses)
        made = _field(name, seen, required, labels.get(name, ()))
        if name in compared or name.rpartition(".")[2] in compared:
            made = made.model_copy(update={"seen": _few(made, seen)})
        found.append(made)
    return tuple(found)


def _few(field: RecordField, seen: Sequence[Seen]) -> tuple[str, ...]:
    """The values of a column of labels: few, short, each there more than once. None where it holds other text."""
    values = [one.values for one in seen if one.values is not None and one.repeated]
    found = frozenset().union(*values)
    if field.type != "string" or len(values) < len(seen) or not 2 <= len(found) <= _MOST_LABELS:
        return ()
    return tuple(sorted(found)) if max(map(len, found)) <= _LONGEST_LABEL else ()


def _field(name: str, seen: Sequence[Seen], required: bool, labels: tuple[str, ...]) -> RecordField:
    types = {field.type for field in seen if field.type}
    if types == {"integer", "number"}:
        types = {"number"}
    kind = types.pop() if len(types) == 1 else "any"
    patterns = set().union(*(field.patterns for field in seen)) if kind == "date" else set()
    if len(patterns) > 1:
        patterns = {loosely(pattern) for pattern in patterns}
    patterns = patterns if len(patterns) <= 4 else set()
    return RecordField(
        name=name, type=kind or "any", required=required, labels=labels, patterns=tuple(sorted(patterns))
    )


def _pattern(facts: Sequence[Facts]) -> str:
    patterns = [line_pattern(one.lines) for one in facts]
    return common(patterns) if all(patterns) else ""


def _promises(
    facts: Sequence[Facts],
    answers: Sequence[Any],
    labels: Sequence[Sequence[str]],
    operation: str,
    parameters: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Rules that hold for all answers, of those that the kind of question gives a reason for."""
    proposed: list[dict[str, Any]] = []
    if operation in _COUNTING and answers and all(is_number(answer) for answer in answers):
        proposed.append({"rule": "at_least", "value": 0})
        if not any(one.shape.startswith("texts") for one in facts):  # there, what is counted may be rows of a text
            proposed.append({"rule": "at_most_records"})
    texts = _all(answers, str)
    lists = bool(answers) and all(isinstance(one, list) and all(isinstance(x, str) for x in one) for one in answers)
    chosen = operation in _CHOOSING and (texts or lists)
    proposed += [{"rule": "one_of", "values": list(values)} for values in labels if chosen]
    if operation in _TAKING and (texts or lists) and not any(holds(rule, answers[0], facts[0]) for rule in proposed):
        proposed += [{"rule": "not_empty"}] if all(answers) else []
        proposed.append({"rule": "in_context"})
    if operation in _COUNTING | _TAKING and lists and len(answers) > 1 and all(len(one) > 1 for one in answers):
        proposed.append({"rule": "unique"})
    if operation in _SORTED and answers and all(isinstance(one, list) for one in answers):
        proposed += [{"rule": "sorted"}, {"rule": "sorted", "descending": True}]
    proposed += _sizes(answers, parameters, operation)
    return [
        rule
        for rule in proposed
        if all(holds(rule, answer, one, given) for answer, one, given in _uses_of(answers, facts, parameters))
    ]


def _sizes(answers: Sequence[Any], parameters: Sequence[Mapping[str, Any]], operation: str) -> list[dict[str, Any]]:
    """A list of the top k has at most k items."""
    if operation != "top" or not parameters or not all(isinstance(one, list) for one in answers):
        return []
    numbers = [name for name, value in parameters[0].items() if type(value) is int]
    return [{"rule": "at_most_items", "parameter": name} for name in numbers]


def _uses_of(
    answers: Sequence[Any], facts: Sequence[Facts], parameters: Sequence[Mapping[str, Any]]
) -> list[tuple[Any, Facts, Mapping[str, Any]]]:
    given = [*parameters, *({} for _ in answers)]
    return list(zip(answers, [*facts, *([facts[-1]] * len(answers))], given, strict=False))


def _all(answers: Sequence[Any], kind: type) -> bool:
    return bool(answers) and all(type(answer) is kind for answer in answers)
