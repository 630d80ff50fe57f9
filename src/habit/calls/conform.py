"""From a JSON value to one that satisfies a schema: lossless coercions, and reasons a model can act on."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from habit.calls.schemas import Schema, pattern_check, subschemas

_MAX_DEPTH = 100
_MAX_INT_BITS = 10_000
_NAMES = {
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "string": "str",
    "null": "None",
    "array": "list",
    "object": "dict",
}
# What this module checks by itself; anything beyond goes to jsonschema, which takes a third of a second to import.
_OWN = {
    *("type", "enum", "const", "properties", "required", "additionalProperties", "items", "prefixItems", "anyOf"),
    *("allOf", "$ref", "$defs", "definitions", "title", "description", "default", "examples", "$comment", "format"),
    *("deprecated", "readOnly", "writeOnly"),
}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def conform(value: Any, schema: Schema | bool) -> Any:
    """``value`` in the shape ``schema`` asks for; raises ValueError with a one-line reason.

    Coercions never lose anything: 3.0 and "3" are an int, 3 is a float, "yes" is a bool, 3 is a str, a tuple is a list.
    """
    walk = _Walk(schema)
    try:
        result = walk.conform(value, schema, "", 0)
        if any(isinstance(part, Mapping) and not set(part) <= _OWN for _, part in subschemas(schema)):
            walk.validate(result)
    except RecursionError:
        raise ValueError("the value is nested too deeply; make it flatter") from None
    return result


def shown(value: Any) -> str:
    """``value`` with its type, short enough for one line."""
    if value is None:
        return "None"
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an int of {value.bit_length()} bits"
    if isinstance(value, (bool, int, float)):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, str):
        return f"str {value[:60]!r}" + ("…" if len(value) > 60 else "")
    if isinstance(value, (list, tuple, dict)):
        return f"{type(value).__name__} of {len(value)}"
    return type(value).__name__


def bool_of_text(text: str) -> bool | None:
    """True for yes and true, False for no and false, in any case; else None."""
    return {"yes": True, "true": True, "no": False, "false": False}.get(text.strip().casefold())


def choose(text: str, choices: tuple[str, ...]) -> str | None:
    """The one choice that ``text`` names: exactly, else but for case, else but for the punctuation around it."""
    if text in choices:
        return text
    if len(text) > 10_000:
        return None
    for simplify in (_folded, _unquoted, _bare):
        wanted = simplify(text)
        hits = [choice for choice in choices if simplify(choice) == wanted]
        if wanted and hits:
            return hits[0] if len(hits) == 1 else None
    return None


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def _unquoted(text: str) -> str:
    return _folded(text).strip("\"'`*_“”‘’ ").removesuffix(".")


def _bare(text: str) -> str:
    return re.sub(r"^[\W_]+|[\W_]+$", "", _folded(text))


class _Walk:
    """One conversion; counts its steps, so that a schema that refers to itself in circles cannot run away."""

    def __init__(self, root: Schema | bool) -> None:
        self.root = root
        self.steps = 0
        self.allowed = 20_000

    def step(self, depth: int) -> None:
        self.steps += 1
        if depth > _MAX_DEPTH:
            raise ValueError(f"the value is nested more than {_MAX_DEPTH} levels deep; make it flatter")
        if self.steps > self.allowed:
            raise ValueError("the schema needs too many steps to check; make it simpler")

    def conform(self, value: Any, schema: Schema | bool, path: str, depth: int) -> Any:
        self.step(depth)
        if isinstance(schema, bool):
            if not schema:
                raise _mismatch(path, "nothing here", value)
            return self.json(value, path, depth)
        if "$ref" in schema:
            value = self.conform(value, self.target(schema["$ref"]), path, depth + 1)
        for part in schema.get("allOf", ()):
            value = self.conform(value, part, path, depth + 1)
        if "anyOf" in schema:
            value = self.any_of(value, schema["anyOf"], path, depth)
        kinds = schema.get("type")
        if "enum" in schema or "const" in schema:
            return self.one_of(value, schema, path)
        if isinstance(kinds, list):
            value = self.any_of(value, [{"type": kind} for kind in kinds], path, depth)
        elif kinds is not None:
            value = self.scalar(value, kinds, path)
        if isinstance(value, (list, tuple)):
            return self.array(value, schema, path, depth)
        if isinstance(value, dict):
            return self.object(value, schema, path, depth)
        return self.json(value, path, depth)

    def target(self, ref: str) -> Schema | bool:
        target: Any = self.root
        for step in ref.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            target = target[int(name)] if isinstance(target, list) else target[name]
        found: Schema | bool = target
        return found

    def any_of(self, value: Any, branches: list[Schema | bool], path: str, depth: int) -> Any:
        """The first branch that takes ``value`` as it is, else the first that can convert it."""
        converted: list[Any] = []
        reasons: list[str] = []
        for branch in branches:
            try:
                result = self.conform(value, branch, path, depth + 1)
            except ValueError as reason:
                reasons.append(str(reason))
                continue
            if result is value:
                return value
            converted.append(result)
        if converted:
            return converted[0]
        raise ValueError(" or ".join(dict.fromkeys(reasons))[:500])

    def one_of(self, value: Any, schema: Schema, path: str) -> Any:
        options = [schema["const"]] if "const" in schema else schema["enum"]
        for option in options:
            if option == value and isinstance(option, bool) == isinstance(value, bool):
                return value if type(option) is type(value) else option
        if isinstance(value, str):
            strings = tuple(option for option in options if isinstance(option, str))
            if (choice := choose(value, strings)) is not None:
                return choice
        some = ", ".join(json.dumps(option, ensure_ascii=False)[:80] for option in options[:20])
        raise _mismatch(path, f"one of {some}" + (", …" if len(options) > 20 else ""), value)

    def scalar(self, value: Any, kind: str, path: str) -> Any:
        """``value`` as JSON type ``kind``; containers are only looked at from outside."""
        result = _COERCE[kind](value)
        if result is _NO:
            raise _mismatch(path, _NAMES[kind], value)
        return result

    def array(self, value: list[Any] | tuple[Any, ...], schema: Schema, path: str, depth: int) -> list[Any]:
        first: list[Schema | bool] = schema.get("prefixItems", [])
        rest: Schema | bool = schema.get("items", True)
        self.allowed += 20 * len(value)
        items = [
            self.conform(item, first[index] if index < len(first) else rest, f"{path}[{index}]", depth + 1)
            for index, item in enumerate(value)
        ]
        unchanged = isinstance(value, list) and all(new is old for new, old in zip(items, value, strict=True))
        return value if unchanged else items  # type: ignore[return-value]

    def object(self, value: dict[Any, Any], schema: Schema, path: str, depth: int) -> dict[str, Any]:
        properties: Mapping[str, Schema | bool] = schema.get("properties", {})
        rest: Schema | bool = schema.get("additionalProperties", True)
        self.allowed += 20 * len(value)
        result: dict[str, Any] = {}
        for key, item in value.items():
            name = _key(key, path)
            if name in result:
                raise ValueError(f"{_at(path)}the key {name[:60]!r} is there twice, as str and as number")
            if name not in properties and rest is False:
                known = ", ".join(repr(known) for known in list(properties)[:20])
                raise ValueError(f"{_at(path)}unexpected key {name[:60]!r}; the keys are {known}")
            inner = f"{path}.{name}" if name.isidentifier() else f"{path}[{name[:60]!r}]"
            result[name] = self.conform(item, properties.get(name, rest), inner, depth + 1)
        for name in schema.get("required", ()):
            if name not in result:
                raise ValueError(f"{_at(path)}missing key {name!r}")
        unchanged = all(result.get(key, _NO) is item for key, item in value.items())
        return value if unchanged else result

    def json(self, value: Any, path: str, depth: int) -> Any:
        """``value`` when it is JSON through and through."""
        if isinstance(value, (list, tuple)):
            return self.array(value, {}, path, depth)
        if isinstance(value, dict):
            return self.object(value, {}, path, depth)
        if isinstance(value, float) and not math.isfinite(value):
            raise _mismatch(path, "a finite number", value)
        if isinstance(value, int) and value.bit_length() > _MAX_INT_BITS:
            raise _mismatch(path, f"a number of at most {_MAX_INT_BITS} bits", value)
        if value is not None and not isinstance(value, (str, int, float, bool)):
            raise _mismatch(path, "a value JSON can hold (str, int, float, bool, None, list, dict)", value)
        return value

    def validate(self, value: Any) -> None:
        """Everything a schema may say beyond shape, by jsonschema, with counted steps and no network."""
        from jsonschema import Draft202012Validator, validators
        from referencing import Registry

        def counted(check: Any) -> Any:
            def run(validator: Any, part: Any, instance: Any, schema: Any) -> Any:
                self.step(0)
                return check(validator, part, instance, schema)

            return run

        checks = {keyword: counted(check) for keyword, check in Draft202012Validator.VALIDATORS.items()}
        checks |= {"pattern": _check_pattern, "uniqueItems": _check_unique}
        extend: Any = validators.extend
        validator = extend(Draft202012Validator, checks)(self.root, registry=Registry())
        for error in validator.iter_errors(value):
            path = "".join(f"[{step!r}]" for step in error.absolute_path)
            raise ValueError(f"{_at(path)}{' '.join(error.message.split())[:300]}")


def _check_pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Any:
    from jsonschema import ValidationError
    from pydantic_core import ValidationError as PatternMismatch

    if isinstance(instance, str):
        try:
            # A lone surrogate cannot enter Rust; as a replacement character it matches what any character matches.
            pattern_check(pattern).validate_python(instance.encode("utf-8", "replace").decode())
        except PatternMismatch:
            yield ValidationError(f"{shown(instance)} does not match the pattern {pattern[:100]!r}")


def _check_unique(_validator: Any, wanted: bool, instance: Any, _schema: Any) -> Any:
    from jsonschema import ValidationError

    if wanted and isinstance(instance, list):
        texts = {json.dumps(item, sort_keys=True) for item in instance}
        if len(texts) < len(instance):
            yield ValidationError("an item is there twice; all items must differ")


def _key(key: Any, path: str) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, (int, float)) and not isinstance(key, bool):
        return str(key)
    raise ValueError(f"{_at(path)}keys must be str, got {shown(key)}")


def _at(path: str) -> str:
    return f"at {path[:200]}: " if path else ""


def _mismatch(path: str, expected: str, value: Any) -> ValueError:
    return ValueError(f"{_at(path)}expected {expected}, got {shown(value)}")


_NO = object()


def _to_int(value: Any) -> Any:
    if isinstance(value, bool):
        return _NO
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and value.is_integer() else _NO
    if isinstance(value, str):
        text = value.strip().removeprefix("+")
        # "007" may be a name rather than a number, so only the canonical writing is taken.
        return int(text) if len(text) < 1000 and re.fullmatch(r"-?[1-9]\d*|0", text, re.ASCII) else _NO
    return value if isinstance(value, int) else _NO


def _to_float(value: Any) -> Any:
    if isinstance(value, str):
        text = value.strip()
        value = float(text) if len(text) < 1000 and _NUMBER.fullmatch(text) else _NO
    if isinstance(value, bool):
        return _NO
    if isinstance(value, int):
        try:
            number = float(value)
        except OverflowError:
            return value
        return number if number == value else value
    return value if isinstance(value, float) and math.isfinite(value) else _NO


def _to_bool(value: Any) -> Any:
    if isinstance(value, str):
        answer = bool_of_text(value[:10])
        return _NO if answer is None or len(value) > 10 else answer
    return value if isinstance(value, bool) else _NO


def _to_str(value: Any) -> Any:
    if isinstance(value, float):
        return str(value) if math.isfinite(value) else _NO
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if value.bit_length() <= _MAX_INT_BITS else _NO
    return value if isinstance(value, str) else _NO


_COERCE: Mapping[str, Callable[[Any], Any]] = {
    "integer": _to_int,
    "number": _to_float,
    "boolean": _to_bool,
    "string": _to_str,
    "null": lambda value: None if value is None else _NO,
    "array": lambda value: value if isinstance(value, (list, tuple)) else _NO,
    "object": lambda value: value if isinstance(value, dict) else _NO,
}
