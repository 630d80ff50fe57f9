"""JSON schemas as Habit takes them: vetted (they may come from model-written code), named, wrapped for providers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

Schema: TypeAlias = Mapping[str, Any]

MAX_SCHEMA_CHARS = 64_000
MAX_SCHEMA_DEPTH = 40

_ONE = ("additionalProperties", "propertyNames", "items", "contains", "not", "if", "then", "else", "contentSchema")
_MANY = ("allOf", "anyOf", "oneOf", "prefixItems")
_NAMED = ("properties", "$defs", "definitions", "dependentSchemas")
# Each of these would need a resolver of its own, or work that a hostile schema can make grow without bound.
_REFUSED = ("$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$anchor", "unevaluatedItems", "unevaluatedProperties")
_PLAIN = {"integer": "int", "number": "float", "boolean": "bool", "string": "str", "null": "None"}


def subschemas(schema: Any, pointer: str = "#") -> Iterator[tuple[str, Any]]:
    """Every schema in ``schema``, itself first, with its JSON pointer; values that are only data are left out."""
    yield pointer, schema
    if not isinstance(schema, Mapping):
        return
    for keyword in _ONE:
        if keyword in schema:
            yield from subschemas(schema[keyword], f"{pointer}/{keyword}")
    for keyword in _MANY:
        if isinstance(children := schema.get(keyword), Sequence) and not isinstance(children, str):
            for index, child in enumerate(children):
                yield from subschemas(child, f"{pointer}/{keyword}/{index}")
    for keyword in _NAMED:
        if isinstance(named := schema.get(keyword), Mapping):
            for name, child in named.items():
                escaped = str(name).replace("~", "~0").replace("/", "~1")
                yield from subschemas(child, f"{pointer}/{keyword}/{escaped}")


def vetted(schema: Any) -> dict[str, Any]:
    """A copy of ``schema`` that is safe to validate with; raises ValueError with a one-line reason."""
    copy = _plain_json(schema)
    # The root's own identity is of no use here, and an ``$id`` would move the ground under local references.
    copy.pop("$schema", None)
    copy.pop("$id", None)
    places = dict(subschemas(copy))
    for pointer, part in places.items():
        if isinstance(part, Mapping):
            _vet_part(part, pointer, places)
        elif not isinstance(part, bool):
            raise ValueError(f"the schema at {pointer} must be an object, not {type(part).__name__}")
    if not is_plain(copy):
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import SchemaError

        try:
            Draft202012Validator.check_schema(copy)
        except SchemaError as error:
            where = "/".join(str(step) for step in ("#", *error.absolute_path))
            raise ValueError(f"not a JSON schema: {error.message[:200]} (at {where})") from None
        except RecursionError:
            raise ValueError("the schema is nested too deeply; make it flatter") from None
    return copy


def _plain_json(schema: Any) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        raise ValueError(f"a JSON schema must be an object, not {type(schema).__name__}")
    if _deeper_than(schema, MAX_SCHEMA_DEPTH):
        raise ValueError(f"the schema is nested more than {MAX_SCHEMA_DEPTH} levels deep; make it flatter")
    try:
        text = json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"a JSON schema must hold JSON only: {error}") from None
    if len(text) > MAX_SCHEMA_CHARS:
        raise ValueError(f"the schema has {len(text)} characters; keep it under {MAX_SCHEMA_CHARS}")
    copy: dict[str, Any] = json.loads(text)
    return copy


def _deeper_than(value: Any, levels: int) -> bool:
    """Whether ``value`` is nested deeper than ``levels``, looking at each level once and never recursing."""
    level: list[Any] = [value]
    for _ in range(levels):
        level = [
            child
            for item in level
            if isinstance(item, (Mapping, list, tuple))
            for child in (item.values() if isinstance(item, Mapping) else item)
        ][: MAX_SCHEMA_CHARS + 1]
        if not level:
            return False
    return True


def _vet_part(part: Schema, pointer: str, places: Mapping[str, Any]) -> None:
    for keyword in (*_REFUSED, "patternProperties", "$id"):
        if keyword in part:
            raise ValueError(f'"{keyword}" (at {pointer}) is not supported in a schema; leave it out')
    if "$ref" in part:
        ref = part["$ref"]
        if not isinstance(ref, str) or not ref.startswith("#"):
            raise ValueError(f'"$ref" (at {pointer}) must point into the schema itself ("#/$defs/…"), not elsewhere')
        if ref not in places:
            raise ValueError(f'"$ref" {ref[:100]} (at {pointer}) points to nothing in the schema')
    if "pattern" in part:
        if not isinstance(part["pattern"], str):
            raise ValueError(f'"pattern" (at {pointer}) must be a string')
        pattern_check(part["pattern"])


@lru_cache(maxsize=256)
def pattern_check(pattern: str) -> SchemaValidator:
    """A validator for ``pattern`` in linear time (Rust's regex), so that no schema can hang its reader."""
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except SchemaError:
        raise ValueError(
            f"the pattern {pattern[:100]!r} cannot be used; leave out look-around and back-references"
        ) from None


def is_plain(schema: Any) -> bool:
    """Whether ``schema`` is one of the shapes ``name_of`` writes as a Python type: nothing in it needs a check."""
    if not isinstance(schema, Mapping):
        return False
    keys = set(schema)
    kind = schema.get("type")
    if not keys:
        return True
    if not isinstance(kind, str):
        return choices_of(schema) is not None and keys == {"enum"}
    if kind in _PLAIN:
        return keys == {"type"} or (choices_of(schema) is not None and keys == {"type", "enum"})
    if kind == "array":
        return keys == {"type"} or (keys == {"type", "items"} and is_plain(schema["items"]))
    if kind == "object":
        inner = "additionalProperties"
        return keys == {"type"} or (keys == {"type", inner} and is_plain(schema[inner]))
    return False


def choices_of(schema: Any) -> tuple[str, ...] | None:
    """The strings an answer must be one of, when the schema is a list of strings to choose from."""
    if not isinstance(schema, Mapping) or not set(schema) <= {"type", "enum", "title", "description", "default"}:
        return None
    options = schema.get("enum")
    if schema.get("type", "string") != "string" or not isinstance(options, list) or not options:
        return None
    return tuple(options) if all(isinstance(option, str) for option in options) else None


def name_of(schema: Schema | bool | None) -> str:
    """What people call the type: ``list[str]``, ``one of "a", "b"``, a title, or ``json``."""
    if schema is None:
        return "str"
    if isinstance(schema, bool):
        return "json"
    if choices := choices_of(schema):
        shown = ", ".join(json.dumps(choice, ensure_ascii=False) for choice in choices[:8])
        return f"one of {shown}" + (f" and {len(choices) - 8} more" if len(choices) > 8 else "")
    if isinstance(title := schema.get("title"), str) and title.strip():
        return " ".join(title.split())[:60]
    kind = schema.get("type")
    if isinstance(kind, str) and kind in _PLAIN:
        return _PLAIN[kind]
    if kind == "array":
        return f"list[{name_of(schema['items'])}]" if _inner(schema, "items") else "list"
    if kind == "object":
        if _inner(schema, "additionalProperties") and "properties" not in schema:
            return f"dict[str, {name_of(schema['additionalProperties'])}]"
        return "dict"
    if isinstance(branches := schema.get("anyOf"), list) and branches and set(schema) == {"anyOf"}:
        return " | ".join(name_of(branch) for branch in branches)
    return "json"


def _inner(schema: Schema, keyword: str) -> bool:
    return isinstance(schema.get(keyword), Mapping) and bool(schema[keyword])


def structured(schema: Schema) -> Schema:
    """The schema to hand to structured output, which wants an object: any other is wrapped in ``{"value": …}``.

    ``Returns.parse`` takes the wrapping off again. An empty schema (any JSON) is better asked for in words.
    """
    if schema.get("type") == "object":
        return schema
    inner = {keyword: part for keyword, part in schema.items() if keyword not in ("$defs", "definitions")}
    # References point from the root, so what they name stays at the root.
    shared = {keyword: schema[keyword] for keyword in ("$defs", "definitions") if keyword in schema}
    return {
        "type": "object",
        "properties": {"value": inner},
        "required": ["value"],
        "additionalProperties": False,
        **shared,
    }
