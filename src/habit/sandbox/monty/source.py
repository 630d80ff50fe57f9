"""Reads the source of a cell before monty runs it: which calls are awaited, what the last expression is.

The source is parsed and never run. What can't be parsed is handed over as it is, and monty says what is wrong with it.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from habit.sandbox.cpython.inside.awaiting import awaited_spans
from habit.syntax import parse

MAX_CHARS = 30_000
"""Longer cells are not analysed; calls in them block unless they are awaited on the spot."""
SHOW = "_habit_show"


@dataclass(frozen=True)
class Source:
    """A cell as monty gets it."""

    code: str
    analysed: bool = False
    awaited: frozenset[tuple[int, int]] = frozenset()
    """(start, end) in bytes of the calls whose value is awaited."""
    names: tuple[str, ...] = field(default=())
    """Names that the cell binds anywhere."""


def read_source(code: str) -> Source:
    """Analyse ``code``; have the value of its last expression shown, as a REPL does."""
    code = code.removeprefix("\ufeff")
    if len(code) > MAX_CHARS:
        return Source(code)
    try:
        tree = parse(code)
        changed = _rewritten(code, tree)
        if changed != code:
            tree = parse(changed)
        places = _Places(changed)
        awaited = frozenset(
            (places.offset(line, column), places.offset(end_line, end_column))
            for line, end_line, column, end_column in awaited_spans(tree)
            if line and end_line and column is not None and end_column is not None
        )
        return Source(changed, True, awaited, _bound_names(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Source(code)


class _Places:
    """Turns the lines and columns of ``ast`` into offsets in bytes."""

    def __init__(self, code: str) -> None:
        self._starts = [0]
        for line in code.encode().splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def offset(self, line: int, column: int) -> int:
        return self._starts[line - 1] + column


def _rewritten(code: str, tree: ast.Module) -> str:
    """The last expression shown; and written otherwise what monty has under another name only: ``answer |= …``, and
    ``globals()`` where it is read at the top level, where ``locals( )``, as long as it, is the same."""
    data = code.encode()
    places = _Places(code)
    changes: list[tuple[int, int, bytes, bytes]] = []
    for namespace in _namespaces_read(tree):
        start, end = _span(places, namespace)
        if data[start:end] == b"globals()":
            data = data[:start] + b"locals( )" + data[end:]
    last = tree.body[-1] if tree.body else None
    if isinstance(last, ast.Expr):
        start, end = _span(places, last)
        changes.append((start, end, f"{SHOW}((".encode(), b"\n))"))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.AugAssign)
            and isinstance(node.op, ast.BitOr)
            and isinstance(node.target, ast.Name)
            and node.target.id == "answer"
        ):
            start, end = _span(places, node)
            value = _span(places, node.value)
            data = data[:start] + b"answer.update(" + data[value[0] : value[1]] + b")" + data[end:]
            return _rewritten(data.decode(), parse(data))
    for start, end, before, after in changes:
        data = data[:start] + before + data[start:end] + after + data[end:]
    return data.decode()


def _namespaces_read(tree: ast.Module) -> list[ast.Call]:
    """The calls of ``globals()`` outside functions whose value is only looked into, at once."""
    found: list[ast.Call] = []
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            continue
        waiting += ast.iter_child_nodes(node)
        looked_into: list[ast.expr] = []
        match node:
            case ast.Compare():
                looked_into = node.comparators
            case ast.Subscript(ctx=ast.Load()) | ast.Attribute(attr="get" | "keys" | "items" | "values"):
                looked_into = [node.value]
            case ast.For() | ast.comprehension():
                looked_into = [node.iter]
            case ast.Call(func=ast.Name(id="list" | "sorted" | "len" | "dict" | "set")):
                looked_into = node.args
        found += [
            inner
            for inner in looked_into
            if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id == "globals"
        ]
    return found


def _span(places: _Places, node: ast.stmt | ast.expr) -> tuple[int, int]:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return places.offset(node.lineno, node.col_offset), places.offset(node.end_lineno, node.end_col_offset)


def _bound_names(tree: ast.Module) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names[node.id] = None
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names[node.name] = None
    return tuple(name for name in names if not name.startswith("_"))
