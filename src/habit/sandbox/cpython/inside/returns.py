"""What ``returns=`` may be: a Python type, a list of allowed strings, or a JSON schema; and what to make of a reply."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence, Set
from typing import Any

from habit.sandbox.cpython import frames

Schema = dict[str, Any]
Rebuild = Callable[[Any], Any]

_SCALARS: dict[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    None: {"type": "null"},
    type(None): {"type": "null"},
    list: {"type": "array"},
    dict: {"type": "object"},
    tuple: {"type": "array"},
    set: {"type": "array"},
    Any: {},
    object: {},
}
_BY_NAME = {"str": str, "string": str, "text": str, "int": int, "integer": int, "float": float, "number": float,
            "bool": bool, "boolean": bool, "list": list, "dict": dict, "json": Any, "list[str]": list[str],
            "list[int]": list[int], "list[float]": list[float]}  # fmt: skip
_SCHEMA_WORDS = {"type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "properties", "items", "required"}
_HELP = (
    "use a type such as str, int, float, bool, list[str] or dict, a list of allowed strings such as ['yes', 'no'], "
    "or a JSON schema as a dict"
)


def parse_returns(returns: Any) -> tuple[Schema | None, Rebuild]:
    """The schema to ask for (None for str) and what turns a checked reply into the type; raises TypeError."""
    if returns is str or returns is None or returns in ("str", "string", "text"):
        return None, _same
    if isinstance(returns, str):
        if returns not in _BY_NAME:
            raise TypeError(f"returns={returns!r} is not known: {_HELP}")
        returns = _BY_NAME[returns]
    try:
        schema = _schema(returns)
        if len(frames.encode_json(schema)) > frames.MAX_SCHEMA:
            raise TypeError(f"is larger than {frames.MAX_SCHEMA:,} bytes")
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"returns= can't be used ({error}): {_HELP}") from None
    return schema, _rebuild(returns)


def _schema(wanted: Any) -> Schema:
    if isinstance(wanted, Mapping):
        return _mapping_schema(wanted)
    if isinstance(wanted, (list, tuple, set, frozenset)):
        return _choice_schema(wanted)
    if isinstance(wanted, Hashable) and wanted in _SCALARS:
        return dict(_SCALARS[wanted])
    if isinstance(wanted, type):
        return _class_schema(wanted)
    return _generic_schema(wanted)


def _mapping_schema(wanted: Mapping[Any, Any]) -> Schema:
    """A JSON schema as it is; else field names with their types, as in {"name": str, "age": int}."""
    if not all(isinstance(key, str) for key in wanted):
        raise TypeError("a schema has strings for keys")
    by_type = [value for value in wanted.values() if isinstance(value, type) or typing.get_origin(value) is not None]
    if by_type or (wanted and not _SCHEMA_WORDS & set(wanted)):
        return _object_schema({key: _schema(_BY_NAME.get(_text(value), value)) for key, value in wanted.items()})
    return dict(wanted)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _object_schema(fields: dict[str, Schema], required: Sequence[str] | None = None) -> Schema:
    return {
        "type": "object",
        "properties": fields,
        "required": list(fields if required is None else required),
        "additionalProperties": False,
    }


def _choice_schema(wanted: Iterable[Any]) -> Schema:
    choices = sorted(wanted) if isinstance(wanted, Set) else list(wanted)
    if len(choices) == 1 and not isinstance(choices[0], (str, int, float, bool)):
        return {"type": "array", "items": _schema(choices[0])}
    if not choices:
        raise TypeError("there is no choice in an empty list")
    if not all(isinstance(choice, (str, int, float)) for choice in choices):
        raise TypeError("choices must be strings")
    return {"enum": list(dict.fromkeys(choices))}


def _class_schema(wanted: type) -> Schema:
    model_schema = getattr(wanted, "model_json_schema", None)
    if callable(model_schema):
        return dict(model_schema())
    if issubclass(wanted, enum.Enum):
        return {"enum": [member.value for member in wanted]}
    if dataclasses.is_dataclass(wanted):
        hints = typing.get_type_hints(wanted)
        needed = [
            field.name
            for field in dataclasses.fields(wanted)
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        ]
        return _object_schema({field.name: _schema(hints[field.name]) for field in dataclasses.fields(wanted)}, needed)
    if typing.is_typeddict(wanted):
        hints = typing.get_type_hints(wanted)
        return _object_schema(
            {name: _schema(hint) for name, hint in hints.items()}, sorted(getattr(wanted, "__required_keys__", hints))
        )
    for base in (bool, int, float, str):
        if issubclass(wanted, base):
            return dict(_SCALARS[base])
    raise TypeError(f"{wanted.__name__} has no JSON form")


def _generic_schema(wanted: Any) -> Schema:
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin is typing.Annotated:
        return _schema(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_schema(argument) for argument in arguments]}
    if origin is tuple and arguments and arguments[-1] is not Ellipsis:
        items = [_schema(argument) for argument in arguments]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _schema(arguments[1])}
    if isinstance(origin, type) and (issubclass(origin, (Sequence, Set)) or origin is Iterable):
        return {"type": "array", "items": _schema(arguments[0])}
    raise TypeError(f"{wanted!r:.100} is not a type that has a JSON form")


def _same(value: Any) -> Any:
    return value


def _rebuild(wanted: Any) -> Rebuild:
    """JSON back into the wanted type, where that is one step; anything nested stays plain JSON."""
    origin = typing.get_origin(wanted) or wanted
    if origin is float:
        return lambda value: float(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(origin, type):
        return _same
    if callable(getattr(origin, "model_validate", None)):
        validate: Rebuild = origin.model_validate  # type: ignore[attr-defined]
        return validate
    if issubclass(origin, enum.Enum) or origin in (set, frozenset, tuple):
        return origin
    if dataclasses.is_dataclass(origin):
        return lambda value: origin(**value)
    return _same
