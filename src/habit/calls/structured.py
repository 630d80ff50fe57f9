"""How a JSON schema for a reply is put to a server: as an object schema, or as a grammar."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

VALUE = "value"
"""The one key of the object that a schema of anything but an object is wrapped in."""


def as_object_schema(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """``schema`` as providers want it, which is for an object; None when it can't be put that way.

    Any other schema is wrapped: the reply is then ``{"value": …}``. A reader of replies has to expect both forms,
    because a provider without structured output is asked by the prompt alone.
    """
    if any(reference == "#" for reference in _references(schema)):
        return None
    return dict(schema) if schema.get("type") == "object" else wrapped(schema)


def wrapped(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema of ``{"value": …}`` with a value of this ``schema``; None when it can't be put that way."""
    if any(reference == "#" for reference in _references(schema)):
        return None
    inner = {name: value for name, value in schema.items() if name not in ("$defs", "definitions", "$schema", "$id")}
    wrapped: dict[str, Any] = {
        "type": "object",
        "properties": {VALUE: inner},
        "required": [VALUE],
        "additionalProperties": False,
    }
    for name in ("$defs", "definitions"):
        if name in schema:
            wrapped[name] = schema[name]
    return wrapped


def choices(schema: Mapping[str, Any] | None) -> list[str] | None:
    """The allowed strings, when ``schema`` is nothing but an enumeration of strings."""
    allowed = (schema or {}).get("enum")
    if not isinstance(allowed, list) or not allowed or not all(isinstance(choice, str) for choice in allowed):
        return None
    return allowed if (schema or {}).get("type", "string") == "string" else None


def choice_grammar(allowed: list[str]) -> str:
    """A GBNF grammar that lets a model say one of ``allowed`` and nothing else."""
    return "root ::= " + " | ".join(_gbnf_string(choice) for choice in allowed)


def _gbnf_string(text: str) -> str:
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(escapes.get(char) or (char if char.isprintable() else _code(char)) for char in text) + '"'


def _code(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


def _references(value: Any) -> list[str]:
    """Every ``$ref`` in a schema."""
    return [
        node["$ref"]
        for node in _nodes(json.loads(json.dumps(value)))
        if isinstance(node, dict) and isinstance(node.get("$ref"), str)
    ]


def _nodes(value: Any) -> list[Any]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(node for child in children for node in _nodes(child))]
