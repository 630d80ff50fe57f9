"""Values on their way into and out of monty. What comes out was made by model-written code: it is hostile input."""

from __future__ import annotations

import ast
import re
import types
from typing import Any

from pydantic_monty import MontyClassProxy, MontyClassTypeProxy, MontyStdTypeProxy

from habit.sandbox.cpython.inside.returns import Rebuild, Schema, parse_returns
from habit.sandbox.cpython.inside.values import MAX_DEPTH, context_payload, plain_answer
from habit.sandbox.monty.differences import BY_NAME
from habit.syntax import parse

_STAND_IN = re.compile(
    r"<(?:(?:built-in )?(?:function|method)|bound method|coroutine|module)\b.{0,200}>|<.{1,200} at 0x[0-9a-f]+>"
    r"|<\w*iterator object>|<class '[^']{1,200}'>|\[\.\.\.\]|\{\.\.\.\}"
)
"""Functions, iterators, modules, and values that hold themselves leave monty as such a text."""
_CLASS = re.compile(r"<class '(?:__main__\.)?[A-Z]\w*'>")
_TYPES: dict[str, Any] = {
    "str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict, "tuple": tuple, "set": set,
    "frozenset": frozenset, "object": object, "Any": Any, "None": None, "NoneType": None,
}  # fmt: skip
_REPLACED = "\ufffd"


def scrub(value: Any) -> Any:
    """``value`` as monty can hold it: its text is UTF-8, so a lone surrogate becomes U+FFFD."""
    if isinstance(value, str):
        return value if value.isascii() or not _has_surrogates(value) else _without_surrogates(value)
    if isinstance(value, list):
        return [scrub(item) for item in value]
    if isinstance(value, dict):
        return {scrub(key): scrub(item) for key, item in value.items()}
    return value


def _has_surrogates(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _without_surrogates(text: str) -> str:
    return re.sub("[\ud800-\udfff]", _REPLACED, text)


def surrogates_in(value: Any) -> bool:
    """Whether ``scrub`` would change ``value``."""
    if isinstance(value, str):
        return not value.isascii() and _has_surrogates(value)
    if isinstance(value, list):
        return any(surrogates_in(item) for item in value)
    if isinstance(value, dict):
        return any(surrogates_in(key) or surrogates_in(item) for key, item in value.items())
    return False


def refuse_stand_in(value: Any) -> None:
    """Raise TypeError for a text that stands for what can't leave the sandbox."""
    if isinstance(value, str) and len(value) < 400 and _STAND_IN.fullmatch(value):
        raise TypeError(f"it holds {value}, which is not data: {BY_NAME['stand-ins'].instead}")


def context_of(value: Any) -> tuple[str, bytes]:
    """(kind, payload) of a context given to a call; raises TypeError that says what to pass instead."""
    return context_payload(_data(value, "the context can't be passed on: {}; pass a str, or lists and dicts of them"))


def answer_of(value: Any) -> Any:
    """An answer as plain JSON; raises TypeError or ValueError that says what to do."""
    return plain_answer(_data(value, "answer(): {}; pass a str, a number, or lists and dicts of them"))


def _data(value: Any, message: str) -> Any:
    try:
        return _plain(value, 0)
    except (TypeError, ValueError) as error:
        raise type(error)(message.format(error)) from None


def _plain(value: Any, depth: int) -> Any:
    """``value`` with dataclasses as dicts. Raises for what is no data, and for nesting too deep."""
    if depth > MAX_DEPTH:
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep, or holds itself")
    if isinstance(value, str):
        refuse_stand_in(value)
        return value
    if isinstance(value, MontyClassProxy):
        if not value.is_dataclass:
            raise TypeError(f"it holds a {value.name}, which is not data")
        return {str(name): _plain(item, depth + 1) for name, item in value.attributes.items()}
    if isinstance(value, (MontyClassTypeProxy, MontyStdTypeProxy)):
        raise TypeError(f"it holds {value.name}, which is not data (a call without parentheses?)")
    if type(value) in (list, tuple):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    return value


def returns_of(returns: Any) -> tuple[Schema | None, Rebuild]:
    """The schema and the way back for ``returns=``; raises TypeError that says what may be given."""
    if isinstance(returns, (MontyClassProxy, MontyClassTypeProxy)) or _CLASS.fullmatch(str(returns)[:300]):
        raise TypeError(f"returns=: {BY_NAME['returns-classes'].instead}")
    return parse_returns(_typed(returns))


def _typed(returns: Any) -> Any:
    """monty hands ``list[str]`` and ``int | None`` over as text: make types of them again."""
    if isinstance(returns, str):
        return _type_named(returns)
    if isinstance(returns, dict):
        return {
            key: _type_named(item, always=False) if isinstance(item, str) else item for key, item in returns.items()
        }
    return returns


def _type_named(text: str, *, always: bool = True) -> Any:
    if len(text) > 200 or not (always or "[" in text or "|" in text):
        return text
    try:
        return _type_of(parse(text.replace("typing.", ""), "eval").body)
    except (SyntaxError, ValueError, TypeError, KeyError, RecursionError, MemoryError):
        return text


def _type_of(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Name():
            return _TYPES[node.id]
        case ast.BinOp(op=ast.BitOr()):
            left: Any = _type_of(node.left)
            right: Any = _type_of(node.right)
            return (types.NoneType if left is None else left) | (types.NoneType if right is None else right)
        case ast.Subscript():
            kind: Any = _TYPES[node.value.id] if isinstance(node.value, ast.Name) else None
            items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            arguments = tuple(
                ... if isinstance(item, ast.Constant) and item.value is ... else _type_of(item) for item in items
            )
            return kind[arguments if len(arguments) > 1 else arguments[0]]
    raise ValueError
