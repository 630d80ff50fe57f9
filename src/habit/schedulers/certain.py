"""Certain calls: those of a comprehension that is made to its end whatever the replies are.

``[llm_query(f"… {c}") for c in chunks]`` asks for every chunk: nothing in it looks at a reply, so a call that runs
ahead of it can't be wasted, unless a call fails. This module tells such places from the source of a cell, which it
parses and never runs. Whatever it does not know for certain is not certain.
"""

from __future__ import annotations

import ast

from habit.syntax import parse

ASKING = {"llm_query", "recursive_llm"}
MAX_CHARS = 8_000
"""Longer cells are not looked at: the event loop waits meanwhile."""
_HARMLESS = {"strip", "lstrip", "rstrip", "lower", "upper", "casefold", "startswith", "endswith"}
"""Methods of text that no text makes fail."""
_WHOLE = {"list", "tuple", "set", "sum", "max", "min", "sorted"}
"""Functions that take a generator to its end."""
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def certain_lines(code: str) -> frozenset[int]:
    """Lines of a cell, from 1, on which only such calls are made."""
    if len(code) > MAX_CHARS or not any(name in code for name in ASKING):
        return frozenset()
    try:
        tree = parse(code.removeprefix("\ufeff"))
        calls = _calls_in(tree)
        certain = [call for statement in tree.body for call in _certain_calls(statement)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    others = {call.lineno for call in calls if not any(call is known for known in certain)}
    return frozenset(call.lineno for call in certain) - others


def _calls_in(tree: ast.AST) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ASKING
    ]


def _certain_calls(statement: ast.stmt) -> list[ast.Call]:
    """In one statement that is run once: no loop, and nothing that has statements of its own."""
    if not isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr)):
        return []
    found: list[ast.Call] = []
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call) and len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp):
            if _takes_the_whole(node):
                found += _only_call(node.args[0])
            continue
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp)):
            found += _only_call(node)
        elif not isinstance(node, (ast.Lambda, ast.GeneratorExp, ast.IfExp, ast.BoolOp, ast.Await)):
            waiting += ast.iter_child_nodes(node)
    return found


def _takes_the_whole(call: ast.Call) -> bool:
    """Whether a function takes the generator it is given to its end; one that is given a ``key`` may fail at it."""
    match call.func:
        case ast.Name(name):
            return name in _WHOLE and not call.keywords
        case ast.Attribute(value=ast.Constant(str()), attr="join"):
            return not call.keywords
    return False


def _only_call(made: Comprehension) -> list[ast.Call]:
    """The call of a comprehension that has one, where it is made for every item and its reply decides nothing."""
    calls = _calls_in(made)
    if len(calls) != 1 or any(isinstance(node, (ast.NamedExpr, ast.Await)) for node in ast.walk(made)):
        return []
    values = [made.key, made.value] if isinstance(made, ast.DictComp) else [made.elt]
    last = made.generators[-1].ifs[-1:]
    return calls if any(_comes_to(value, calls[0]) for value in [*values, *last]) else []


def _comes_to(value: ast.expr, call: ast.Call) -> bool:
    """Whether ``value`` is ``call``, or made of its reply without any chance to fail."""
    if value is call:
        return True
    match value:
        case ast.Call(func=ast.Attribute(value=inner, attr=name), args=args, keywords=[]) if name in _HARMLESS:
            return all(isinstance(given, ast.Constant) for given in args) and _comes_to(inner, call)
        case ast.Compare(left=left, comparators=others):
            return any(_comes_to(side, call) for side in (left, *others))
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return any(_comes_to(item, call) for item in items)
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return _comes_to(inner, call)
    return False
