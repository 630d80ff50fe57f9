"""Levels: what part of the input a value is: the whole, its records in their order, ranked ones, one record, a reply.

A constant index means something else on each: on one record it is a column, on the records it is a position in this
very input, which tomorrow's input does not have.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import Literal

from habit.library.crystallise.scopes import COMPREHENSIONS, all_arguments, bound, words

Level = Literal["whole", "records", "ranked", "mapping", "record", "reply", "other"]
_ORDER: tuple[Level, ...] = ("whole", "ranked", "records", "mapping", "record", "reply", "other")
"""What a name is that has been several of these; a list that was sorted somewhere counts as ranked."""
_WHOLE_STAYS = words(
    "strip lstrip rstrip lower upper replace encode decode expandtabs removeprefix removesuffix casefold copy"
)
_FIRST_ARGUMENT = words(
    "list tuple filter reversed enumerate zip iter StringIO reader DictReader islice fromkeys deque chain"
)
_RECORDS = frozenset({"table", "parts", "find", "classify", "ask_each", "ask_each_or_error"})


class Levels:
    """Of every name of a program, as far as can be told."""

    def __init__(self, program: Sequence[ast.stmt], *, context_is_list: bool) -> None:
        self._names: dict[str, set[Level]] = {"context": {"records" if context_is_list else "whole"}}
        self._functions: dict[str, ast.FunctionDef] = {}
        self._returned: dict[str, set[Level]] = {}
        nodes = [node for statement in program for node in ast.walk(statement)]
        for node in nodes:
            if isinstance(node, ast.FunctionDef):
                self._functions[node.name] = node
        size = -1
        while size != (size := sum(map(len, self._names.values())) + sum(map(len, self._returned.values()))):
            for node in nodes:
                self._note(node)

    def of(self, node: ast.expr) -> Level:
        """The level of an expression."""
        match node:
            case ast.Name(id=name):
                return _most(self._names.get(name, ()))
            case ast.Subscript(value=value, slice=index):
                return self._of_subscript(value, index)
            case ast.Starred(value=value) | ast.NamedExpr(value=value) | ast.Attribute(value=value):
                return self.of(value)
            case ast.Call():
                return self._of_call(node)
            case ast.BinOp(left=left, right=right, op=ast.Add()):
                return _most((self.of(left), self.of(right)))
            case ast.IfExp(body=body, orelse=other):
                return _most((self.of(body), self.of(other)))
            case ast.BoolOp(values=values):
                return _most(self.of(value) for value in values)
            case ast.ListComp(generators=[first, *_]) | ast.GeneratorExp(generators=[first, *_]):
                level = self.of(first.iter)
                return "records" if level == "whole" else level
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return "record" if items and any(self.of(item) in ("record", "records") for item in items) else "other"
            case ast.Dict() | ast.DictComp() | ast.SetComp() | ast.Set():
                return "mapping"
        return "other"

    def _of_subscript(self, value: ast.expr, index: ast.expr) -> Level:
        level = self.of(value)
        if isinstance(index, ast.Slice) or level == "reply":
            return level
        if level == "mapping":
            return "other"
        if isinstance(index, ast.Constant) and isinstance(index.value, str) and level in ("whole", "records"):
            return "records"
        return "other" if level == "other" else "record"

    def _of_call(self, node: ast.Call) -> Level:
        first = self.of(node.args[0]) if node.args else "other"
        match node.func:
            case (
                ast.Name(id=name) | ast.Attribute(value=ast.Name(id="csv" | "io" | "itertools" | "dict"), attr=name)
            ) if name in _FIRST_ARGUMENT:
                if name in ("list", "tuple") and first == "mapping":
                    return "ranked"
                return "records" if first == "whole" and name != "StringIO" else first
            case ast.Name(id="dict" | "Counter" | "defaultdict" | "OrderedDict" | "set" | "frozenset"):
                return "mapping"
            case ast.Attribute(value=ast.Name(id="collections"), attr="Counter" | "defaultdict" | "OrderedDict"):
                return "mapping"
            case ast.Name(id="recursive_llm"):
                return "reply"
            case ast.Name(id="sorted") | ast.Attribute(attr="nlargest" | "nsmallest" | "most_common"):
                return "ranked"
            case ast.Name(id="map") if len(node.args) > 1:
                return self.of(node.args[1])
            case ast.Name(id="max" | "min" | "next"):
                return "record"
            case ast.Name(id=name) if name in _RECORDS:
                return "records"
            case ast.Name(id=name) if name in self._functions:
                return _most(self._returned.get(name, ()))
            case ast.Attribute(value=ast.Name(id="json"), attr="loads"):
                return "records" if first in ("whole", "records") else first
            case ast.Attribute(value=ast.Name(id="re"), attr=attr):
                level = max((self.of(argument) for argument in node.args), key=lambda one: -_ORDER.index(one))
                if attr in ("findall", "finditer", "split"):
                    return "records" if level in ("whole", "records") else level
                return level if attr in ("sub", "subn") else "record"
            case ast.Attribute(value=value, attr=attr):
                return self._of_method(self.of(value), attr, first)
        return "other"

    def _of_method(self, level: Level, method: str, first: Level) -> Level:
        if method == "join":
            return "whole" if first in ("records", "whole") else first
        if method in ("findall", "finditer", "split") and level == "other":  # of a compiled pattern
            return "records" if first in ("whole", "records") else first
        if level == "whole":
            if method in ("splitlines", "split", "rsplit", "items", "values", "keys", "get", "partition", "rpartition"):
                return "records"
            return "whole" if method in _WHOLE_STAYS else "other"
        if level == "mapping":
            return "ranked" if method in ("items", "keys", "values") else "other"
        if level == "records":
            return "record" if method in ("get", "pop", "popleft") else "records"
        return level

    def _note(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._set(target, self.of(value))
            case ast.AnnAssign(target=target, value=value) if value is not None:
                self._set(target, self.of(value))
            case ast.AugAssign(target=ast.Name() as target, op=ast.Add(), value=value):
                self._set(target, self.of(value))
            case ast.NamedExpr(target=target, value=value):
                self._set(target, self.of(value))
            case ast.withitem(context_expr=value, optional_vars=target) if target is not None:
                self._set(target, self.of(value))
            case ast.For(target=target, iter=iterated):
                level = self.of(iterated)
                self._set(target, "other" if level == "other" else "record")
                self._note_appends(node, "records" if level == "whole" else level)
            case ast.Call(func=ast.Attribute(value=ast.Name() as name, attr="sort")):
                self._set(name, "ranked")
            case ast.Call(func=ast.Name(id=name)) if name in self._functions:
                for parameter, argument in zip(all_arguments(self._functions[name]), node.args, strict=False):
                    self._names.setdefault(parameter.arg, set()).add(self.of(argument))
            case ast.FunctionDef(name=name):
                returned = (part.value for part in ast.walk(node) if isinstance(part, ast.Return) and part.value)
                self._returned.setdefault(name, set()).update(self.of(value) for value in returned)
            case _ if isinstance(node, COMPREHENSIONS):
                for generator in node.generators:
                    self._set(generator.target, "other" if self.of(generator.iter) == "other" else "record")

    def _note_appends(self, loop: ast.For, level: Level) -> None:
        for node in ast.walk(loop):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name() as name, attr="append" | "extend" | "appendleft")):
                    self._set(name, level)

    def _set(self, target: ast.expr, level: Level) -> None:
        unpacked = isinstance(target, (ast.Tuple, ast.List))
        for name in bound(target):
            self._names.setdefault(name, set()).add("record" if unpacked and level != "other" else level)


def _most(levels: Iterable[Level]) -> Level:
    return min(levels, key=_ORDER.index, default="other")
