"""The values of slots: typed, allowed, and with a reason to be what the parameter means."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

from habit.contexts.context import Context
from habit.library.case import Case
from habit.library.contract import Facts, observe
from habit.library.match.templates import Slot
from habit.library.match.words import QUESTION_WORDS, SIGNS, Token, fold, number_of, plurals
from habit.library.spec import Parameter
from habit.schedulers.meaning import may_be_judged

_NEVER_INSIDE = SIGNS | QUESTION_WORDS | {"that", "this", "of", "is", "does", "do", "did", "anyone", "everything"}
_MOST_SCANNED = 200_000
"""Records that are looked through for a value."""


class Places:
    """Which columns or keys hold the values of a habit's text parameters, found out from its cases."""

    def __init__(self, parameters: Mapping[str, Parameter], cases: Collection[Case]) -> None:
        self._parameters = parameters
        self._cases = cases

    @cached_property
    def fields(self) -> Mapping[str, frozenset[str]]:
        """For each text parameter, the columns or keys that held its value in every case."""
        found: dict[str, frozenset[str]] = {}
        for case in self._cases:
            looked = ValuesOf(case.context)
            for name, value in case.parameters.items():
                kind = self._parameters[name].type if name in self._parameters else ""
                items = [value] if kind == "string" else value if kind == "list" and isinstance(value, list) else []
                for item in items:
                    here = looked.fields_with(str(item))
                    found[name] = found[name] & here if name in found else here
        return found

    @cached_property
    def judged(self) -> frozenset[str]:
        """The text parameters whose value no input of a case says: what they mean is judged, not searched for."""
        names = {name for name, parameter in self._parameters.items() if parameter.type == "string"}
        for case in self._cases:
            looked = ValuesOf(case.context)
            names = {name for name in names if not looked.mentions(str(case.parameters.get(name, "")))}
        return frozenset(names) if self._cases else frozenset()


class ValuesOf:
    """The values in a context, as far as it has columns or keys."""

    def __init__(self, context: Context | Facts) -> None:
        self.facts = observe(context) if isinstance(context, Context) else context

    @cached_property
    def _by_field(self) -> Mapping[str, Mapping[str, set[str]]]:
        """For each field, the different values as they are written, by their folded form."""
        found: dict[str, dict[str, set[str]]] = {seen.name: {} for seen in self.facts.fields}
        names = [seen.name for seen in self.facts.fields]
        for row in self.facts.rows[:_MOST_SCANNED]:
            for name, cell in zip(names, row, strict=False):
                found[name].setdefault(fold(cell.strip()), set()).add(cell.strip())
        for item in self.facts.items[:_MOST_SCANNED]:
            _collect(item, "", 0, found)
        return found

    def fields_with(self, value: str) -> frozenset[str]:
        """The columns or keys where ``value`` stands alone, exactly."""
        return frozenset(name for name, values in self._by_field.items() if value in values.get(fold(value), ()))

    def written(self, value: str, fields: Collection[str] | None) -> str | None:
        """``value`` as one of ``fields`` (None: any) writes it; None when none does, or not in one way."""
        forms: set[str] = set()
        for name, values in self._by_field.items():
            if fields is None or name in fields:
                forms |= values.get(fold(value), set())
        if value in forms:
            return value
        return forms.pop() if len(forms) == 1 else None

    def of(self, field: str) -> frozenset[str]:
        """The different values of a column or key, as far as they were read."""
        return frozenset().union(*self._by_field.get(field, {}).values())

    @property
    def has_fields(self) -> bool:
        """Whether there are columns or keys to look in."""
        return any(self._by_field.values())

    @property
    def complete(self) -> bool:
        """Whether all records were read, rather than a sample of them."""
        return max(len(self.facts.rows), len(self.facts.items)) >= min(self.facts.records, _MOST_SCANNED)

    def stands_alone(self, value: str) -> bool:
        """Whether the context has ``value`` between delimiters, quotes or line ends, as a cell or string of its own."""
        edge = rb"[,;|\t\r\n\"]"
        encoded = re.escape(value.encode("utf-8", "surrogatepass"))
        return re.search(rb"(?:\A|" + edge + rb") ?" + encoded + rb" ?(?:\Z|" + edge + rb")", self._payload) is not None

    @property
    def _payload(self) -> bytes:
        return self.facts.payload

    def mentions(self, value: str) -> bool:
        """Whether the text of the context has ``value`` as whole words."""
        encoded = re.escape(value.encode("utf-8", "surrogatepass"))
        return re.search(rb"(?<![\w])" + encoded + rb"(?![\w])", self._payload) is not None


def _collect(item: Any, path: str, depth: int, found: dict[str, dict[str, set[str]]]) -> None:
    if isinstance(item, dict) and depth < 5:
        for key, value in item.items():
            _collect(value, f"{path}.{key}" if path else str(key), depth + 1, found)
    elif isinstance(item, list) and depth < 5:
        for value in item[:2_000]:
            _collect(value, f"{path}[]", depth + 1, found)
    elif isinstance(item, (str, int, float)):
        text = str(item)
        found.setdefault(path, {}).setdefault(fold(text), set()).add(text)


class Filler:
    """Reads the spans of a question as values of a habit's parameters."""

    def __init__(self, parameters: Mapping[str, Parameter], places: Places, values: ValuesOf) -> None:
        self._parameters = parameters
        self._places = places
        self._values = values

    def fill(self, slot: Slot, tokens: Sequence[Token]) -> Any:
        """The value that ``tokens`` state for the slot; None when they state none that is surely meant."""
        parameter = self._parameters.get(slot.name)
        if parameter is None or not tokens:
            return None
        match parameter.type:
            case "choice":
                return choice_of(parameter, tokens)
            case "integer" | "number":
                return number_of(tokens[0], whole=parameter.type == "integer") if len(tokens) == 1 else None
            case "boolean":
                said = tokens[0].norm if len(tokens) == 1 else ""
                return {"true": True, "yes": True, "false": False, "no": False}.get(said)
            case "string":
                return self._text(slot.name, parameter, tokens)
            case "list":
                return self._list(slot, parameter, tokens)

    def _text(self, name: str, parameter: Parameter, tokens: Sequence[Token]) -> str | None:
        quoted = len(tokens) == 1 and tokens[0].quoted
        if not quoted and any(token.quoted for token in tokens):
            return None
        value = tokens[0].text if quoted else " ".join(token.text for token in tokens)
        if any(token.comma for token in tokens[:-1]):
            return None
        example = parameter.example if isinstance(parameter.example, str) else str(parameter.example)
        if has_form(example) and form_of(value) == form_of(example):
            return value
        if has_form(example) and not quoted:
            return None
        fields = self._places.fields.get(name)
        if fields or (fields is None and self._values.has_fields):
            known = self._values.written(value, fields or None)
            if known is not None:
                return known
            # Quoted text that stands in none of the fields is asked for on purpose. Of a large input not all fields
            # were read: there it is enough that the value stands alone somewhere. Either way, not in another field.
            there = quoted or (not self._values.complete and self._values.stands_alone(value))
            return value if there and self._values.written(value, None) is None else None
        if quoted:
            return value
        if any(token.norm in _NEVER_INSIDE for token in tokens) or _looks_unlike(value, example):
            return None
        if name in self._places.judged and len(tokens) == 1 and not self._values.mentions(value):
            return value if may_be_judged(value) else None
        return value if self._values.mentions(value) else None

    def _list(self, slot: Slot, parameter: Parameter, tokens: Sequence[Token]) -> list[str] | None:
        parts: list[list[Token]] = [[]]
        for token in tokens:
            if not token.quoted and token.norm == slot.joined:
                parts.append([])
                continue
            parts[-1].append(token)
            if token.comma:
                parts.append([])
        items = [part for part in parts if part]
        example = parameter.example[0] if isinstance(parameter.example, list) and parameter.example else ""
        one = Parameter(type="string", example=str(example))
        read = [self._text(slot.name, one, [*part[:-1], _without_comma(part[-1])]) for part in items]
        return [value for value in read if value is not None] if all(value is not None for value in read) else None


def _without_comma(token: Token) -> Token:
    return Token(token.text, token.norm, token.quoted)


def choice_of(parameter: Parameter, tokens: Sequence[Token]) -> str | None:
    """The choice that ``tokens`` name, in whole and perhaps in the plural; None when that is not exactly one."""
    said = fold(" ".join(token.text for token in tokens))
    exact = [choice for choice in parameter.choices if _spaced(choice) == said or fold(choice) == said]
    if exact:
        return exact[0] if len(exact) == 1 else None
    plural = [choice for choice in parameter.choices if said in plurals(_spaced(choice))]
    return plural[0] if len(plural) == 1 else None


def _spaced(choice: str) -> str:
    return fold(re.sub(r"[_\s]+", " ", choice).strip())


def has_form(example: str) -> bool:
    """Whether the example is written in a way that tells its kind: a date, a number with signs, an identifier."""
    return any(char.isdigit() for char in example) and len(example) > 1


def form_of(text: str) -> str:
    """How a text is written: digits as 9, runs of letters as a."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d", "9", text, flags=re.ASCII))


def _looks_unlike(value: str, example: str) -> bool:
    """Whether a name was expected and this is none."""
    return example[:1].isupper() and not value[:1].isupper() and not value[:1].isdigit()
