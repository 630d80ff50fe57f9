"""Where names are bound and which loops go round what, in the tree of a scheduler."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from habit.library.checks.builtin_lengths import ADDING, EXTENDING, SAME_METHODS
from habit.library.checks.names import arguments_of, bound_in
from habit.library.checks.values import Frame, Function

Loop = ast.For | ast.While | ast.comprehension


@dataclass
class Scopes:
    """The scopes of one module."""

    tree: ast.Module
    _parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    _bound: dict[ast.AST, frozenset[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in ast.walk(self.tree):
            for child in ast.iter_child_nodes(node):
                self._parents[child] = node

    def position(self, node: ast.AST) -> int:
        """How deep ``node`` lies."""
        depth = 0
        while node in self._parents:
            node, depth = self._parents[node], depth + 1
        return depth

    def parent(self, node: ast.AST) -> ast.AST | None:
        """What ``node`` is a part of."""
        return self._parents.get(node)

    def bound(self, scope: ast.AST) -> frozenset[str]:
        """The names that a function, or the module, binds itself."""
        if scope not in self._bound:
            self._bound[scope] = bound_in(scope)
        return self._bound[scope]

    def parameters(self, function: Function) -> list[str]:
        """The names of its parameters."""
        return [argument.arg for argument in arguments_of(function.args)]

    def _loops(self, node: ast.AST, frame: Frame) -> list[Loop]:
        """The loops of the function that go round for ``node``, outermost first."""
        found: list[Loop] = []
        child, parent = node, self._parents.get(node)
        while parent is not None and child is not frame.node:
            match parent:
                case ast.For() if child is not parent.iter and child not in parent.orelse:
                    found.append(parent)
                case ast.While() if child not in parent.orelse:
                    found.append(parent)
                case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                    until = parent.generators
                    if isinstance(child, ast.comprehension):
                        until = until[: until.index(child)]
                    found += reversed(until)
                case ast.comprehension() if child is not parent.iter:
                    found.append(parent)
            child, parent = parent, self._parents.get(parent)
        return list(dict.fromkeys(reversed(found)))

    def _home(self, name: str, frame: Frame) -> Frame | None:
        """The frame of the function that binds ``name``; None for the module and built-ins."""
        here: Frame | None = frame
        while here is not None and name not in self.bound(here.node) and name not in here.arguments:
            here = here.outer
        return here

    def _values(self, frame: Frame) -> frozenset[str]:
        """The names that stand for values here, not for modules."""
        modules = {
            alias.asname or alias.name.partition(".")[0]
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        names: set[str] = set(self.bound(self.tree))
        here: Frame | None = frame
        while here is not None:
            names |= self.bound(here.node) | here.arguments.keys() | self._targets(here.node)
            here = here.outer
        return frozenset(names - modules)

    def _targets(self, node: ast.AST) -> frozenset[str]:
        return frozenset(
            inner.id
            for part in ast.walk(node)
            if isinstance(part, ast.comprehension)
            for inner in ast.walk(part.target)
            if isinstance(inner, ast.Name)
        )

    def _assigned(self, name: str, scope: ast.AST) -> list[ast.AST]:
        """The nodes of ``scope`` that give ``name`` a value."""
        found: list[ast.AST] = []
        for node in self._own(scope):
            match node:
                case ast.FunctionDef(name=defined) if defined == name:
                    found.append(node)
                case ast.Assign(targets=targets):
                    if any(_stores(target, name) for target in targets):
                        found.append(node)
                case ast.AnnAssign() | ast.AugAssign() | ast.NamedExpr() | ast.For():
                    if _stores(node.target, name):
                        found.append(node)
                case ast.ExceptHandler(name=bound) if bound == name:
                    found.append(node)
                case ast.withitem(optional_vars=ast.expr() as target) if _stores(target, name):
                    found.append(node)
                case ast.MatchAs(name=bound) | ast.MatchStar(name=bound) | ast.MatchMapping(rest=bound) if (
                    bound == name
                ):
                    found.append(node)
        return found

    def _own(self, scope: ast.AST) -> Iterator[ast.AST]:
        """The nodes of a scope's body, without the bodies of functions in it."""
        body = scope.body if isinstance(scope, (ast.Module, ast.FunctionDef)) else [getattr(scope, "body", scope)]
        waiting: list[ast.AST] = list(body)
        while waiting:
            node = waiting.pop(0)
            yield node
            if not isinstance(node, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
                waiting += ast.iter_child_nodes(node)

    def _mentions(self, node: ast.AST, name: str) -> bool:
        return any(isinstance(inner, ast.Name) and inner.id == name for inner in ast.walk(node))

    def _is_inside(self, node: ast.AST, whole: ast.AST) -> bool:
        return any(inner is node for inner in ast.walk(whole))

    def argument_nodes(self, call: ast.Call, callee: Frame) -> dict[str, ast.expr]:
        """The expressions that a call gives to the parameters."""
        arguments = callee.node.args
        names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
        given = dict(zip(names, call.args, strict=False))
        return {**given, **{keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}}

    def _changes_its_parameters(self, function: ast.FunctionDef) -> bool:
        names = self.parameters(function)
        for node in ast.walk(function):
            match node:
                case ast.Call(func=ast.Attribute(value=target, attr=method)) if method in ADDING | EXTENDING:
                    if any(depth_of(target, name) is not None for name in names):
                        return True
                case ast.Assign(targets=[ast.Subscript(value=target)]) | ast.AugAssign(target=target):
                    if any(depth_of(target, name) is not None for name in names):
                        return True
        return False


def _stores(target: ast.AST, name: str) -> bool:
    """Whether an assignment to ``target`` gives ``name`` a value; an element of it is no value of its own."""
    match target:
        case ast.Name(id=found):
            return found == name
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return any(_stores(part, name) for part in parts)
        case ast.Starred(value=inner):
            return _stores(inner, name)
        case _:
            return False


def one_by_one(node: ast.AST, name: str) -> ast.AST:
    """Of ``a, b = x, y`` the assignment to ``name`` alone; any other node as it is."""
    match node:
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if len(targets) == len(values):
            for target, value in zip(targets, values, strict=True):
                if isinstance(target, ast.Name) and target.id == name:
                    return ast.copy_location(ast.Assign([target], value), node)
    return node


def depth_of(target: ast.expr, name: str) -> int | None:
    """How deep in ``name`` an element lies: 0 for ``name`` itself, 1 for ``name[k]``; None when it is another."""
    match target:
        case ast.Name(id=found):
            return 0 if found == name else None
        case ast.Subscript(value=inner) | ast.Call(func=ast.Attribute(value=inner, attr="setdefault")):
            depth = depth_of(inner, name)
            return None if depth is None else depth + 1
        case _:
            return None


def shrinks(expression: ast.expr, name: str) -> bool:
    """Whether ``name = expression`` only leaves something out, or puts it in another order."""
    match expression:
        case ast.Subscript(value=ast.Name(id=found), slice=ast.Slice()):
            return found == name
        case ast.Call(func=ast.Name(id="sorted" | "list" | "set" | "tuple"), args=[ast.Name(id=found), *_]):
            return found == name
        case ast.Call(func=ast.Attribute(value=ast.Name(id=found), attr=method)):
            return found == name and method in SAME_METHODS
        case ast.ListComp(
            elt=ast.Name(id=kept), generators=[ast.comprehension(target=ast.Name(id=target), iter=source)]
        ):
            return kept == target and isinstance(source, ast.Name) and source.id == name
        case _:
            return False


def iter_of(loop: Loop) -> ast.expr:
    """What a ``for`` goes through."""
    assert not isinstance(loop, ast.While)
    return loop.iter


def iterated(loop: Loop) -> str:
    """The name of the dict whose keys a loop goes through; empty when it is something else."""
    source = iter_of(loop)
    while isinstance(source, ast.Call):
        if isinstance(source.func, ast.Attribute) and source.func.attr in ("keys", "items"):
            source = source.func.value
        elif isinstance(source.func, ast.Name) and source.func.id in ("sorted", "list") and source.args:
            source = source.args[0]
        else:
            break
    return source.id if isinstance(source, ast.Name) else ""
