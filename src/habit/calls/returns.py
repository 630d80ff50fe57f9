"""Typed answers: what type a question asks for, how to ask a model for it, and how to read what comes back."""

from __future__ import annotations

import ast
import difflib
import json
import os
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union

from habit.calls.conform import conform, shown
from habit.calls.reading import read
from habit.calls.schemas import MAX_SCHEMA_CHARS, Schema, choices_of, name_of, vetted
from habit.errors import UsageError
from habit.syntax import parse

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_ANY: Schema = {}
_SCALARS: dict[Any, Schema] = {
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    str: {"type": "string"},
    None: {"type": "null"},
    type(None): {"type": "null"},
    list: {"type": "array"},
    dict: {"type": "object"},
    Any: _ANY,
    object: _ANY,
}
_WORDS: dict[str, Any] = {
    word: kind
    for kind, words in (
        (int, "int integer"),
        (float, "float number"),
        (bool, "bool boolean"),
        (str, "str string text"),
        (list, "list List array"),
        (dict, "dict Dict object"),
        (None, "None null"),
        (Any, "json any Any"),
    )
    for word in words.split()
}
_FORMS = 'int, float, bool, str, json, list[…], dict[str, …], Literal["a", "b"] or the path of a JSON schema (.json)'


@dataclass(frozen=True)
class Returns:
    """The type of an answer. Immutable; made by ``from_text``, ``from_type`` or ``from_schema``."""

    name: str
    """For people: ``list[str]``."""
    schema: Schema | None = field(hash=False)
    """JSON schema of the answer; None for plain text."""
    python_type: Any = field(default=None, repr=False, compare=False)
    """The Python type that only pydantic can check and build; None when the schema says it all."""

    # -- constructors ------------------------------------------------------------------------------------------------

    @classmethod
    def from_text(cls, text: str) -> Returns:
        """The type written on a command line, or the path of a JSON schema. Raises UsageError."""
        text = text.strip()
        if text.endswith(".json") or (os.sep in text and "[" not in text):
            return _from_file(Path(text))
        try:
            return cls.from_type(_parse_type(text))
        except _UnknownWord as unknown:
            near = difflib.get_close_matches(unknown.word, _WORDS, n=2, cutoff=0.5)
            hint = f": did you mean {' or '.join(near)}?" if near else "."
            raise UsageError(f"Unknown type {text[:80]!r}{hint} Use {_FORMS}.") from None

    @classmethod
    def from_type(cls, wanted: Any) -> Returns:
        """The type given in Python: a type, a pydantic model, a Literal, an Enum, a list of strings to choose from, or
        a JSON schema as a dict. Raises UsageError."""
        if isinstance(wanted, Returns):
            return wanted
        if isinstance(wanted, Mapping):
            try:
                return cls.from_schema(wanted)
            except ValueError as reason:
                raise UsageError(f"returns is not a usable JSON schema: {reason}.") from None
        if isinstance(wanted, (list, tuple)):
            return cls._of(_choices_schema(wanted))
        if isinstance(wanted, str):
            raise UsageError(f"returns={wanted[:60]!r} is a string; give a type, or a list of strings to choose from.")
        schema = _native(wanted)
        return cls._of(schema) if schema is not None else _from_pydantic(wanted)

    @classmethod
    def from_schema(cls, schema: Any) -> Returns:
        """The type that a JSON schema describes (None: text), with every suspicion: it may come from model-written
        code. Raises ValueError."""
        return cls._of(None if schema is None else vetted(schema))

    @classmethod
    def _of(cls, schema: Schema | None) -> Returns:
        if schema == {"type": "string"}:
            schema = None
        return cls(name_of(schema), schema)

    # -- the journal -------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """What the journal keeps. A pydantic type is not in it: what it is read back as gives plain JSON."""
        return {"name": self.name, "schema": self.schema}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Returns:
        """Read back what ``to_json`` gave; a schema that only pydantic could check becomes any JSON."""
        name, schema = str(record["name"]), record["schema"]
        try:
            return cls(name, None if schema is None else vetted(schema))
        except ValueError:
            return cls(name, _ANY)

    # -- asking ------------------------------------------------------------------------------------------------------

    @property
    def is_text(self) -> bool:
        """Whether plain text is asked for."""
        return self.schema is None

    @property
    def choices(self) -> tuple[str, ...] | None:
        """The strings to choose from, when it is a choice."""
        return choices_of(self.schema)

    @cached_property
    def instruction(self) -> str:
        """One line for a prompt that says what to reply with; empty for plain text."""
        if self.schema is None:
            return ""
        if self.choices:
            return f"Reply with one of: {', '.join(json.dumps(c, ensure_ascii=False) for c in self.choices)}."
        simple = {
            '{"type": "integer"}': "Reply with one whole number and nothing else.",
            '{"type": "number"}': "Reply with one number and nothing else, without a unit.",
            '{"type": "boolean"}': "Reply with yes or no and nothing else.",
            '{"type": "null"}': "Reply with null.",
            '{"type": "array"}': "Reply with JSON only: a list.",
            '{"type": "object"}': "Reply with JSON only: an object.",
            '{"type": "array", "items": {"type": "string"}}': "Reply with JSON only: a list of strings.",
            '{"type": "array", "items": {"type": "integer"}}': "Reply with JSON only: a list of whole numbers.",
            '{"type": "array", "items": {"type": "number"}}': "Reply with JSON only: a list of numbers.",
            "{}": "Reply with JSON only.",
        }
        text = json.dumps(self.schema, ensure_ascii=False)
        return simple.get(text, f"Reply with JSON only, which must satisfy this JSON schema: {text}")

    # -- reading -----------------------------------------------------------------------------------------------------

    def check(self, value: Any) -> Any:
        """``value`` as this type, in JSON terms; raises ValueError with a one-line reason that a model can act on.

        Coercions never lose anything: 3.0 and "3" are an int; True is not. As plain text, a number is its digits and
        a list or dict its JSON.
        """
        if self.schema is None:
            return _as_text(value)
        result = conform(value, self.schema)
        return result if self.python_type is None else self._through_pydantic(result)

    def parse(self, text: str) -> Any:
        """The value that the text of a reply states: bare, fenced, wrapped in ``{"value": …}`` or after "Answer:".

        Raises ValueError with a one-line reason; never guesses between two readings.
        """
        if self.schema is None:
            return text.strip()
        result = read(text, self.schema)
        return result if self.python_type is None else self._through_pydantic(result)

    def to_python(self, value: Any) -> Any:
        """The instance that a checked ``value`` stands for, such as a pydantic model or a date; else ``value``."""
        return value if self.python_type is None else self._adapter.validate_json(json.dumps(value))

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        from pydantic import TypeAdapter

        return TypeAdapter(self.python_type)

    def _through_pydantic(self, value: Any) -> Any:
        from pydantic import ValidationError

        try:
            instance = self._adapter.validate_json(json.dumps(value))
        except ValidationError as invalid:
            first = invalid.errors(include_url=False, include_context=False)[0]
            path = ".".join(str(step) for step in first["loc"])
            reason = f"{f'at {path}: ' if path else ''}{first['msg']}, got {shown(first['input'])}"
            raise ValueError(" ".join(reason.split())[:400]) from None
        return self._adapter.dump_python(instance, mode="json", by_alias=True, round_trip=True)


def _as_text(value: Any) -> str:
    """Plain text is forgiving: most models give a number or a list where nobody asked for a type."""
    if isinstance(value, str):
        return value
    if value is None:
        raise ValueError("expected str, got None; give the answer as text")
    value = conform(value, _ANY)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else str(value)


class _UnknownWord(Exception):
    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


def _parse_type(text: str) -> Any:
    """The Python type that ``text`` writes down; only names from ``_WORDS`` mean anything, nothing is evaluated."""
    try:
        tree = parse(text, "eval").body if len(text) < 2000 else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        tree = None
    if tree is None:
        raise _UnknownWord(text[:80])
    return _type_of(tree)


def _type_of(node: ast.expr) -> Any:
    match node:
        case ast.Name(id=word) if word in _WORDS:
            return _WORDS[word]
        case ast.Name(id=word):
            raise _UnknownWord(word)
        case ast.Constant(value=None):
            return None
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return Union[_type_of(left), _type_of(right)]  # noqa: UP007  (None | None is not a type)
        case ast.Subscript(value=ast.Name(id="Literal" | "choice"), slice=options):
            parts = options.elts if isinstance(options, ast.Tuple) else [options]
            values = tuple(part.value for part in parts if isinstance(part, ast.Constant))
            if len(values) == len(parts) and all(isinstance(v, (str, int)) for v in values):
                return Literal[values]
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
            return Union[_type_of(inner), None]  # noqa: UP007
        case ast.Subscript(value=ast.Name(id="list" | "List"), slice=inner):
            return list[_type_of(inner)]  # type: ignore[misc]
        case ast.Subscript(value=ast.Name(id="dict" | "Dict"), slice=ast.Tuple(elts=[ast.Name(id="str"), inner])):
            return dict[str, _type_of(inner)]  # type: ignore[misc]
        case ast.Subscript(value=ast.Name(id=word)) if word not in _WORDS:
            raise _UnknownWord(word)
    raise _UnknownWord(ast.unparse(node)[:80])


def _native(wanted: Any) -> Schema | None:
    """The schema of a type that needs no pydantic; None for any other."""
    try:
        if wanted in _SCALARS:
            return _SCALARS[wanted]
    except TypeError:  # unhashable, so not one of them
        return None
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is Literal and all(isinstance(option, (str, int)) for option in arguments):
        strings = all(isinstance(option, str) for option in arguments)
        return {"type": "string", "enum": list(arguments)} if strings else {"enum": list(arguments)}
    if origin in (list, Union, types.UnionType) or (origin is dict and arguments[0] is str):
        inner = [_native(argument) for argument in arguments if not (origin is dict and argument is arguments[0])]
        if origin is dict:
            inner = [_native(arguments[1])]
        if None in inner:
            return None
        if origin is list:
            return {"type": "array", "items": inner[0]}
        return {"type": "object", "additionalProperties": inner[0]} if origin is dict else {"anyOf": inner}
    return None


def _choices_schema(choices: list[Any] | tuple[Any, ...]) -> Schema:
    usable = choices and all(isinstance(choice, str) and choice.strip() for choice in choices)
    if not usable or len(set(choices)) < len(choices):
        raise UsageError("A list in returns holds the strings to choose from: at least one, none empty, none twice.")
    return {"type": "string", "enum": list(choices)}


def _from_pydantic(wanted: Any) -> Returns:
    from pydantic import PydanticUserError, TypeAdapter
    from pydantic.errors import PydanticUndefinedAnnotation

    try:
        if isinstance(wanted, (types.FunctionType, types.BuiltinFunctionType, types.MethodType)):
            raise TypeError("it is a function")
        schema = TypeAdapter(wanted).json_schema()
    except (PydanticUserError, PydanticUndefinedAnnotation, TypeError, ValueError, NameError) as reason:
        first = str(reason).splitlines()[0][:200]
        raise UsageError(f"returns={wanted!r:.80} is not a type that JSON can carry ({first}); use {_FORMS}.") from None
    name = getattr(wanted, "__name__", "") if isinstance(wanted, type) and not typing.get_args(wanted) else str(wanted)
    return Returns(name.replace("typing.", ""), schema, wanted)


def _from_file(path: Path) -> Returns:
    try:
        if path.stat().st_size > 10 * MAX_SCHEMA_CHARS:
            raise UsageError(f"{path} is too large for a JSON schema; give a smaller one.")
        schema = json.loads(path.read_bytes())
        returns = Returns.from_schema(schema if isinstance(schema, dict) else [])
    except OSError as error:
        raise UsageError(f"The JSON schema {path} cannot be read ({error.strerror}); check the path.") from None
    except (ValueError, RecursionError) as reason:
        raise UsageError(f"{path} is not a usable JSON schema: {reason}.") from None
    return returns if returns.name != "dict" else Returns(path.stem, returns.schema)
