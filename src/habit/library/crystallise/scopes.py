"""Which names a piece of Python uses from outside of itself, and which it binds there."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def used(node: ast.AST | Iterable[ast.AST]) -> set[str]:
    """The names whose values ``node`` takes from the scope it stands in, those of functions inside it included."""
    if not isinstance(node, ast.AST):
        return {name for part in node for name in used(part)}
    match node:
        case ast.Name(id=name, ctx=ast.Load() | ast.Del()):
            return {name}
        case ast.Name():
            return set()
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
            inside = used(body_of(node)) - (parameters_of(node) | (bound(body_of(node)) - declared_outer(node)))
            return used(outside_of(node)) | inside
        case ast.ClassDef():
            return used(outside_of(node)) | (used(node.body) - bound(node.body))
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            targets = {name for generator in node.generators for name in bound(generator.target)}
            first = node.generators[0]
            rest = [child for child in ast.iter_child_nodes(node) if child is not first]
            return used(first.iter) | (used([*rest, *first.ifs, first.target]) - targets)
        case ast.AugAssign(target=ast.Name(id=name), value=value):
            return {name} | used(value)
        case _:
            return {name for child in ast.iter_child_nodes(node) for name in used(child)}


def bound(node: ast.AST | Iterable[ast.AST]) -> set[str]:
    """The names that ``node`` binds in the scope it stands in."""
    if not isinstance(node, ast.AST):
        return {name for part in node for name in bound(part)}
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return {name}
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name} | bound(outside_of(node))
        case ast.Lambda():
            return bound(outside_of(node))
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            return {
                name for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr) for name in bound(inner.target)
            }
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            return {alias.asname or alias.name.partition(".")[0] for alias in aliases}
        case ast.ExceptHandler(name=name):
            return ({name} if name else set()) | bound(node.body)
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return {name} | {inner for child in ast.iter_child_nodes(node) for inner in bound(child)}
        case _:
            return {name for child in ast.iter_child_nodes(node) for name in bound(child)}


def body_of(function: Function) -> list[ast.AST]:
    """The statements of a function, or the expression of a lambda."""
    return [function.body] if isinstance(function, ast.Lambda) else list(function.body)


def parameters_of(function: Function) -> set[str]:
    """The names of its parameters."""
    return {argument.arg for argument in all_arguments(function)}


def all_arguments(function: Function) -> list[ast.arg]:
    """Its parameters, in the order in which they are written."""
    given = function.args
    starred = [argument for argument in (given.vararg, given.kwarg) if argument is not None]
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *starred]


def outside_of(node: Function | ast.ClassDef) -> list[ast.AST]:
    """What belongs to a function or class and is evaluated in the scope around it."""
    if isinstance(node, ast.ClassDef):
        return [*node.decorator_list, *node.bases, *node.keywords]
    given = [default for default in (*node.args.defaults, *node.args.kw_defaults) if default is not None]
    if isinstance(node, ast.Lambda):
        return list(given)
    notes = [argument.annotation for argument in all_arguments(node) if argument.annotation is not None]
    return [*node.decorator_list, *given, *notes, *([node.returns] if node.returns else [])]


def declared_outer(function: Function) -> set[str]:
    """Names that its body declares ``global`` or ``nonlocal``."""
    return {
        name
        for part in own_nodes(body_of(function))
        if isinstance(part, (ast.Global, ast.Nonlocal))
        for name in part.names
    }


def own_nodes(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All nodes below ``nodes``, but for the bodies of functions and classes among them."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            waiting += outside_of(node)
        else:
            waiting += ast.iter_child_nodes(node)


def words(text: str) -> frozenset[str]:
    """The words of ``text``, for long sets of names."""
    return frozenset(text.split())
