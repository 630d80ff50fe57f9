"""``while`` loops that are seen to end: those that count up to a length, count down, or use up a list."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from habit.library.checks.report import Finding

Exact = Callable[[ast.expr], float | None]
"""The number that an expression is known to be; None when it is not known."""
_ADDING = frozenset({"append", "appendleft", "insert", "extend", "extendleft", "add", "update"})
_ENDLESS = frozenset({"count", "cycle", "repeat"})
_TAKING = frozenset({"pop", "popleft", "popitem"})
_REMEDY = "write for … in range(…) or for … in a list; or count up to a len() by a fixed step in every round"


@dataclass(frozen=True)
class Rounds:
    """How often a loop goes round: the size of ``bound`` over ``step``."""

    bound: ast.expr
    """A number, or, when ``uses_up``, a list."""
    step: float = 1.0
    uses_up: bool = False


def check_loops(tree: ast.Module) -> Iterator[Finding]:
    """Loops that are not seen to end, and endless sources."""
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    modules = {
        alias.asname or alias.name
        for node in imports
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name == "itertools"
    }
    taken = {
        alias.asname or alias.name: alias.name
        for node in imports
        if isinstance(node, ast.ImportFrom) and node.module == "itertools"
        for alias in node.names
    }
    ending = {
        node.func
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and len(node.args) == 2 and _repeats(node, taken)
    }
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.While() if rounds(node, constant) is None:
                yield Finding("loops", line, f"while {ast.unparse(node.test)[:60]} is not seen to end", _REMEDY)
            case ast.For(iter=ast.Name(id=name)) if any(_adds_to(name, part) for part in node.body):
                yield Finding("loops", line, f"it adds to {name} while it goes through it", f"go through list({name})")
            case ast.Call(func=ast.Name(id="iter"), args=[_, _]):
                yield Finding("loops", line, "iter with a stop value is not seen to end", _REMEDY)
            case ast.Attribute(value=ast.Name(id=module), attr=name) if module in modules and name in _ENDLESS:
                if node not in ending:
                    yield Finding("loops", line, f"{name} never ends", "use range, or enumerate")
            case ast.Name(id=alias, ctx=ast.Load()) if taken.get(alias) in _ENDLESS and node not in ending:
                yield Finding("loops", line, f"{taken[alias]} never ends", "use range, or enumerate")


def constant(node: ast.expr) -> float | None:
    """The number that is written here."""
    match node:
        case ast.Constant(value=int(number)) if not isinstance(number, bool):
            return float(number)
        case _:
            return None


def rounds(loop: ast.While, exact: Exact) -> Rounds | None:
    """How often ``loop`` goes round; None when it is not seen to end. With ``and`` one ending clause is enough."""
    clauses = loop.test.values if isinstance(loop.test, ast.BoolOp) and isinstance(loop.test.op, ast.And) else ()
    for test in clauses or (loop.test,):
        found = _counting(test, loop, exact) or _using_up(test, loop)
        if found is not None:
            return found
    return None


def _counting(test: ast.expr, loop: ast.While, exact: Exact) -> Rounds | None:
    match test:
        case ast.Compare(left=ast.Name(id=name), ops=[ast.Lt() | ast.LtE()], comparators=[bound]):
            pass
        case ast.Compare(left=bound, ops=[ast.Gt() | ast.GtE()], comparators=[ast.Name(id=name)]):
            pass
        case ast.Compare(left=ast.Name(id=name), ops=[ast.Gt() | ast.GtE()], comparators=[ast.Constant(value=int())]):
            falls = _steps(name, loop, ast.Sub, exact)
            return Rounds(ast.Name(name, ast.Load()), falls) if falls else None
        case _:
            return None
    step = _steps(name, loop, ast.Add, exact)
    if not step or any(_changes(inner.id, loop) for inner in ast.walk(bound) if isinstance(inner, ast.Name)):
        return None
    return Rounds(bound, step)


def _steps(name: str, loop: ast.While, operation: type[ast.operator], exact: Exact) -> float | None:
    """By how much ``name`` grows (or falls) in every round at least; None when it may not, or may go back."""
    others = [node for node in _assignments(name, loop) if not _step(name, node, loop, operation, exact)]
    if others:
        return None
    ways = _moved(loop.body, lambda node: _step(name, node, loop, operation, exact) or 0.0)
    ends = [way for way in (ways.through, ways.again) if way is not None]
    return (min(ends) or None) if ends else 1.0  # every way leaves the loop in its first round


@dataclass(frozen=True)
class _Ways:
    """How far a piece of a round moves a number on at least, on the ways that lead through it."""

    through: float | None
    """To what stands behind it; None when no way leads there."""
    again: float | None = None
    """To the next round, by ``continue``."""

    def or_else(self, other: _Ways) -> _Ways:
        """Whichever of the two is run."""
        return _Ways(_least(self.through, other.through), _least(self.again, other.again))


def _least(one: float | None, other: float | None) -> float | None:
    known = [each for each in (one, other) if each is not None]
    return min(known) if known else None


def _moved(body: Sequence[ast.stmt], step: Callable[[ast.stmt], float]) -> _Ways:
    """What these statements add at least, one after the other; what may be left half way adds nothing."""
    through, again = 0.0, None
    for node in body:
        ways = _ways(node, step)
        again = _least(again, None if ways.again is None else through + ways.again)
        if ways.through is None:
            return _Ways(None, again)
        through += ways.through
    return _Ways(through, again)


def _ways(node: ast.stmt, step: Callable[[ast.stmt], float]) -> _Ways:
    match node:
        case ast.Continue():
            return _Ways(None, 0.0)
        case ast.Break() | ast.Return() | ast.Raise():
            return _Ways(None)
        case ast.If(body=body, orelse=other):
            return _moved(body, step).or_else(_moved(other, step))
        case ast.Match(cases=cases):
            found = _Ways(0.0)
            for case in cases:
                found = found.or_else(_moved(case.body, step))
            return found
        case ast.Try(body=body, handlers=handlers, orelse=other, finalbody=final):
            found = _moved([*body, *other], step)
            for handler in handlers:
                found = found.or_else(_moved(handler.body, step))
            # A ``finally`` may leave by a way of its own, whatever happened before it.
            last = _moved(final, step)
            return _Ways(found.through if last.through is not None else None, _least(found.again, last.again))
        case ast.With(body=body):
            return _Ways(0.0, _moved(body, step).again)  # it may swallow an error half way
        case ast.For(orelse=other) | ast.While(orelse=other):
            return _Ways(0.0, _moved(other, step).again)  # it may go round not once; ``continue`` in it is its own
        case _:
            return _Ways(step(node))


def _step(name: str, node: ast.stmt, loop: ast.While, operation: type[ast.operator], exact: Exact) -> float | None:
    """By how much this statement moves ``name`` on; None when it is not seen to."""
    match node:
        case ast.AugAssign(target=ast.Name(id=target), op=op, value=moved) if target == name:
            step = exact(moved) if isinstance(op, operation) else None
            return step if step and step > 0 else None
        case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
            if isinstance(value, ast.Name):  # end = start + n; …; start = end
                value = _only_value(value.id, loop) or value
            if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "min":
                value = value.args[0]
            if isinstance(value, ast.BinOp) and isinstance(value.left, ast.Name) and value.left.id == name:
                step = exact(value.right) if isinstance(value.op, operation) else None
                return step if step and step > 0 else None
    return None


def _only_value(name: str, loop: ast.While) -> ast.expr | None:
    """What every round gives ``name``, when there is just one assignment to it."""
    match list(_assignments(name, loop)):
        case [ast.Assign(targets=[ast.Name()], value=value) as only] if only in _always_run(loop.body):
            return value
        case _:
            return None


def _using_up(test: ast.expr, loop: ast.While) -> Rounds | None:
    match test:
        case ast.Name(id=name):
            pass
        case ast.Call(func=ast.Name(id="len"), args=[ast.Name(id=name)]):
            pass
        case ast.Compare(left=ast.Call(func=ast.Name(id="len"), args=[ast.Name(id=name)]), ops=[ast.Gt() | ast.GtE()]):
            pass
        case _:
            return None
    taken = any(_takes_from(name, node) for node in _always_run(loop.body))
    assigned = [node for node in _assignments(name, loop) if not _takes_from(name, node)]
    if not taken or assigned or any(_adds_to(name, part) for part in loop.body):
        return None
    return Rounds(ast.Name(name, ast.Load()), uses_up=True)


def _takes_from(name: str, node: ast.stmt) -> bool:
    """Whether the statement leaves less in the list for certain."""
    match node:
        case ast.Assign(
            targets=[ast.Name(id=target)],
            value=ast.Subscript(
                value=ast.Name(id=source), slice=ast.Slice(lower=ast.Constant(value=int(first)), upper=None, step=None)
            ),
        ) if target == source == name and first > 0:
            return True
        case ast.Delete(targets=[ast.Subscript(value=ast.Name(id=source), slice=ast.Constant())]):
            return source == name
        case ast.Assign(value=value) | ast.Expr(value=value) | ast.AnnAssign(value=ast.expr() as value):
            return any(_takes(name, inner) for inner in _evaluated(value))
    return False


def _evaluated(node: ast.AST) -> Iterator[ast.AST]:
    """What is evaluated in any case: neither the branches of a conditional, nor what a comprehension repeats."""
    yield node
    skipped = (ast.Lambda, ast.IfExp, ast.BoolOp, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    if not isinstance(node, skipped):
        for child in ast.iter_child_nodes(node):
            yield from _evaluated(child)


def _takes(name: str, node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(attr="heappop") | ast.Name(id="heappop"), args=[ast.Name(id=source)]):
            return source == name
        case ast.Call(func=ast.Attribute(value=ast.Name(id=source), attr=method)):
            return source == name and method in _TAKING
        case _:
            return False


def _always_run(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """The statements that every full round runs: those of the body itself, up to the first that may skip the rest."""
    found = []
    for node in body:
        found.append(node)
        if any(isinstance(inner, ast.Continue) for inner in _same_loop(node)):
            break
    return found


def _same_loop(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    if not isinstance(node, (ast.For, ast.While)):
        for child in ast.iter_child_nodes(node):
            yield from _same_loop(child)


def _assignments(name: str, loop: ast.While) -> Iterator[ast.stmt]:
    """Statements anywhere in the loop that give ``name`` another value."""
    for part in (*loop.body, *loop.orelse):
        for node in ast.walk(part):
            if isinstance(node, ast.stmt) and not isinstance(node, (ast.If, ast.While, ast.With, ast.Try, ast.Match)):
                stored = node.target if isinstance(node, ast.For) else node
                if any(
                    isinstance(inner, ast.Name) and inner.id == name and not isinstance(inner.ctx, ast.Load)
                    for inner in ast.walk(stored)
                ):
                    yield node
            if isinstance(node, ast.NamedExpr) and node.target.id == name:
                yield ast.Expr(node)


def _changes(name: str, loop: ast.While) -> bool:
    return any(True for _ in _assignments(name, loop)) or any(_adds_to(name, part) for part in loop.body)


def _adds_to(name: str, part: ast.AST) -> bool:
    for node in ast.walk(part):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=target), attr=method)) if target == name:
                if method in _ADDING:
                    return True
            case ast.AugAssign(target=ast.Name(id=target), op=ast.Add()) if target == name:
                return True
    return False


def _repeats(call: ast.Call, taken: dict[str, str]) -> bool:
    """Whether it is ``repeat``, which ends when it is told how often."""
    match call.func:
        case ast.Attribute(attr=name):
            return name == "repeat"
        case ast.Name(id=name):
            return taken.get(name) == "repeat"
        case _:
            return False
