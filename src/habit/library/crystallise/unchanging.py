"""Unchanging: names that only ever hold numbers, texts and the like, which nobody can change through another name."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from habit.library.crystallise.scopes import bound, own_nodes, words

_FUNCTIONS = words("len int float str bool abs round ord chr repr isinstance any all")
_METHODS = words(
    """
    strip lstrip rstrip lower upper title capitalize casefold replace join startswith endswith find rfind index rindex
    count group start end format zfill removeprefix removesuffix isdigit isalpha isalnum strftime isoformat
    """
)
_LISTS_OF_TEXTS = words("splitlines split rsplit")
_TYPES = words("str int float bool")

Binding = tuple[str, ast.expr | None]
"""A name and the value it gets; None when nothing is known of it."""


def unchanging(nodes: Sequence[ast.AST], functions: Mapping[str, Sequence[ast.AST]]) -> set[str]:
    """Of the names that ``nodes`` bind, those that never hold anything that could change."""
    bindings = [binding for node in nodes for binding in _bindings(node)]
    names = {name for name, _ in bindings}
    while True:
        kept = names - {name for name, value in bindings if value is None or not _is_plain(value, names, functions)}
        if kept == names:
            return names
        names = kept


def _bindings(node: ast.AST) -> Iterator[Binding]:
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                if isinstance(target, ast.Name):
                    yield target.id, value
                elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                    for one, part in zip(target.elts, value.elts, strict=False):
                        yield from ((name, part if isinstance(one, ast.Name) else None) for name in bound(one))
                else:
                    yield from ((name, None) for name in bound(target))
        case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
            yield name, value
        case (
            ast.AugAssign(target=ast.Name(id=name), value=value) | ast.NamedExpr(target=ast.Name(id=name), value=value)
        ):
            yield name, value
        case ast.For(target=target, iter=iterated) | ast.comprehension(target=target, iter=iterated):
            yield from ((name, _element(iterated)) for name in bound(target))
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield name, None
        case ast.arg(arg=name) | ast.alias(asname=str(name)) | ast.alias(name=name):
            yield name, None
        case ast.withitem(optional_vars=ast.expr() as target):
            yield from ((name, None) for name in bound(target))
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.ExceptHandler(name=str(name)):
            yield name, None


def _element(iterated: ast.expr) -> ast.expr | None:
    """An expression like each element; None when nothing is known of it."""
    match iterated:
        case ast.Call(func=ast.Name(id="range")):
            return ast.Constant(0)
        case ast.Call(func=ast.Attribute(attr=method)) if method in _LISTS_OF_TEXTS:
            return ast.Constant("")
        case ast.Subscript(value=value, slice=ast.Slice()) | ast.Call(func=ast.Name(id="enumerate"), args=[value, *_]):
            return _element(value)
    return None


def _is_plain(node: ast.expr, names: set[str], functions: Mapping[str, Sequence[ast.AST]]) -> bool:
    match node:
        case ast.Constant() | ast.JoinedStr() | ast.Compare():
            return True
        case ast.Name(id=name):
            return name in names
        case ast.UnaryOp(operand=operand):
            return isinstance(node.op, ast.Not) or _is_plain(operand, names, functions)
        case ast.BinOp(left=left, right=right):
            return _is_plain(left, names, functions) and _is_plain(right, names, functions)
        case ast.BoolOp(values=values):
            return all(_is_plain(value, names, functions) for value in values)
        case ast.IfExp(body=body, orelse=other):
            return _is_plain(body, names, functions) and _is_plain(other, names, functions)
        case ast.Call(func=ast.Name(id="recursive_llm"), keywords=given):
            return all(_is_plain_type(word.value) for word in given if word.arg == "returns")
        case ast.Call(func=ast.Name(id=name)) if name in functions:
            returned = [
                part.value
                for function in functions[name]
                if isinstance(function, ast.FunctionDef)
                for part in own_nodes(function.body)
                if isinstance(part, ast.Return) and part.value is not None
            ]
            calls_itself = any(isinstance(one, ast.Call) for one in returned if _names(one, name))
            return not calls_itself and bool(returned) and all(_is_plain(one, names, functions) for one in returned)
        case ast.Call(func=ast.Name(id=name)):
            return name in _FUNCTIONS
        case ast.Call(func=ast.Attribute(attr=method)):
            return method in _METHODS
    return False


def _is_plain_type(node: ast.expr) -> bool:
    return isinstance(node, (ast.List, ast.Tuple)) or (isinstance(node, ast.Name) and node.id in _TYPES)


def _names(node: ast.expr, name: str) -> bool:
    return any(isinstance(inner, ast.Name) and inner.id == name for inner in ast.walk(node))
