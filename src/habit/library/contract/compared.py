"""Which columns or keys code compares with its parameters, so that a value that none of them ever had is told.

Only what is plain to see is found: ``row["label"] == label``, ``record.get("kind").lower() in kinds``, also through a
name that is given once. In doubt nothing is compared.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from habit.syntax import parse

_AS_IT_IS = frozenset({"strip", "lstrip", "rstrip"})
_OTHER_CASE = frozenset({"lower", "upper", "casefold", "title", "capitalize"})
_GATHERED = frozenset({"set", "frozenset", "list", "tuple", "sorted"})
_MOST_STEPS = 12


@dataclass(frozen=True)
class Compared:
    """A column or key that is compared for equality."""

    column: str
    """Empty where a parameter is looked for in something else."""
    parameter: str
    """What it is compared with; empty for a literal of the code."""
    exact: bool
    """Whether upper and lower case make a difference."""
    each: bool
    """Whether the parameter is a list, of which each item is compared."""


@dataclass(frozen=True)
class _Side:
    column: str = ""
    parameter: str = ""
    exact: bool = True
    each: bool = False


def comparisons(source: str) -> frozenset[Compared]:
    """The columns or keys that the scheduler in ``source`` compares; none when it can't be read."""
    try:
        program = parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()  # whoever runs or checks it says more
    functions = {node.name: node for node in program.body if isinstance(node, ast.FunctionDef)}
    if "scheduler" not in functions:
        return frozenset()
    scheduler = functions["scheduler"]  # names of the functions beside it are their own
    nodes = list(ast.walk(scheduler))
    names = _Names(scheduler, nodes)
    own = {*functions, *(node.name for node in nodes if isinstance(node, ast.FunctionDef))}
    return frozenset(found for node in nodes for found in _compared(node, names, own))


def _compared(node: ast.AST, names: _Names, own: Collection[str]) -> Iterator[Compared]:
    match node:
        case ast.Compare(left=first, ops=signs, comparators=others):
            for left, sign, right in zip([first, *others], signs, others, strict=False):
                yield from _of_pair(left, sign, right, names)
        case ast.Call(func=ast.Name(id=name)) if name in own:  # what that function does with it is not looked at
            inside = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
            yield from (Compared("", parameter, False, False) for parameter in inside & names.parameters)
        case _:
            return


def _of_pair(left: ast.expr, sign: ast.cmpop, right: ast.expr, names: _Names) -> Iterator[Compared]:
    match sign:
        case ast.Eq() | ast.NotEq():
            firsts, seconds = list(names.sides(left)), list(names.sides(right))
            yield from _paired([*firsts, *seconds], [*seconds, *firsts])
        case ast.In() | ast.NotIn():
            listed = isinstance(right, (ast.Tuple, ast.List, ast.Set))
            found = [replace(one, each=one.each or not listed) for one in names.sides(right)]
            yield from _paired(names.sides(left), found)
            if isinstance(right, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
                yield from _paired(names.sides(right), names.sides(left))
            else:  # part of a text, or one of who knows what
                yield from (Compared("", one.parameter, False, one.each) for one in names.sides(left))
        case _:
            return


def _paired(columns: Iterable[_Side], others: Iterable[_Side]) -> Iterator[Compared]:
    with_what = [one for one in others if not one.column]
    for one in columns:
        if one.column:
            for other in with_what:
                yield Compared(one.column, other.parameter, one.exact and other.exact, other.each)


class _Names:
    """What the names of a scheduler stand for."""

    def __init__(self, scheduler: ast.FunctionDef, nodes: Iterable[ast.AST]) -> None:
        given: dict[str, ast.expr] = {}
        looped: set[str] = set()
        bound: Counter[str] = Counter()
        for node in nodes:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    given[name] = value
                case (
                    ast.For(target=ast.Name(id=name), iter=value)
                    | ast.comprehension(target=ast.Name(id=name), iter=value)
                ):
                    given[name] = value
                    looped.add(name)
                case _:
                    pass
            bound.update(_bound_by(node))
        self.parameters = frozenset(one.arg for one in scheduler.args.kwonlyargs if bound[one.arg] == 1)
        self._given = {name: value for name, value in given.items() if bound[name] == 1}
        self._looped = looped

    def sides(self, side: ast.expr, steps: int = _MOST_STEPS) -> Iterator[_Side]:
        """What ``side`` of a comparison may be; nothing when that is not plain to see."""
        if steps == 0:
            return
        match side:
            case ast.Constant(value=str()):
                yield _Side()
            case ast.Subscript(slice=ast.Constant(value=str() as column)):
                yield _Side(column)
            case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str() as column), *_]):
                yield _Side(column)
            case ast.Call(func=ast.Attribute(value=inner, attr=attr), args=[]) if attr in _AS_IT_IS | _OTHER_CASE:
                for one in self.sides(inner, steps - 1):
                    yield replace(one, exact=one.exact and attr in _AS_IT_IS)
            case ast.Call(func=ast.Name(id=name), args=[inner]) if name in _GATHERED | {"str"}:
                yield from self.sides(inner, steps - 1)
            case ast.BoolOp(op=ast.Or(), values=[inner, ast.Constant()]):  # (row.get("label") or "").strip()
                yield from self.sides(inner, steps - 1)
            case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items):
                for item in items[:20]:
                    yield from self.sides(item, steps - 1)
            case ast.ListComp(elt=inner) | ast.SetComp(elt=inner) | ast.GeneratorExp(elt=inner):
                yield from self.sides(inner, steps - 1)
            case ast.Name(id=name) if name in self.parameters:
                yield _Side(parameter=name)
            case ast.Name(id=name) if name in self._given:
                for one in self.sides(self._given[name], steps - 1):
                    yield replace(one, each=one.each or name in self._looped)
            case _:
                return


def _bound_by(node: ast.AST) -> list[str]:
    """The names that ``node`` itself gives something to."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
            return [name]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case (
            ast.ExceptHandler(name=str() as name) | ast.MatchAs(name=str() as name) | ast.MatchStar(name=str() as name)
        ):
            return [name]
        case ast.alias(name=name, asname=known_as):
            return [known_as or name.partition(".")[0]]
        case ast.MatchMapping(rest=str() as name):
            return [name]
        case _:
            return []
