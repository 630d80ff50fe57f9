"""Lets the same function be called plainly or awaited: tells from a cell's source which calls' values are awaited.

``await recursive_llm(…)`` and ``asyncio.gather(*[recursive_llm(…) for …])`` must return at once, so that calls overlap;
``text = recursive_llm(…)`` in the same cell must return the text. Python has no way to know at run time which one is
meant, but the source of the cell says it. ``awaited_spans`` follows values backwards from ``await`` and from asyncio's
own functions to the calls they come from, through names, lists, comprehensions and functions of the cell. A call at
such a place returns a ``Deferred``; any other blocks, and where an event loop runs its value can be awaited as well, so
that a case the analysis does not see is slower and not wrong.
"""

from __future__ import annotations

import ast
import asyncio
import itertools
from collections.abc import Callable, Coroutine, Generator, Iterable
from types import CodeType, FrameType
from typing import Any

from habit.sandbox.cpython.inside.link import Link, Pending

Span = tuple[int | None, int | None, int | None, int | None]
"""(line, end line, column, end column), as ``code.co_positions`` gives it."""

_CONSUMERS = {
    "gather", "create_task", "ensure_future", "wait", "wait_for", "shield", "as_completed", "run",
    "run_until_complete", "run_coroutine_threadsafe",
}  # fmt: skip
_PASS_THROUGH = {"list", "tuple", "set", "sorted", "reversed", "zip", "enumerate", "dict", "filter", "iter", "next"}
_CONTAINER_METHODS = {"append", "add", "insert", "extend", "put", "put_nowait", "setdefault", "update", "appendleft"}


def awaited_spans(tree: ast.AST) -> set[Span]:
    """Where in a cell the calls are whose value is awaited."""
    flow = _Flow()
    nodes = list(ast.walk(tree))
    while True:
        size = flow.size()
        for node in nodes:
            flow.visit(node)
        if flow.size() == size:
            return flow.spans


class _Flow:
    """Values that end in an await, followed backwards; every visit may add names, functions and spans."""

    def __init__(self) -> None:
        self.spans: set[Span] = set()
        self.names: set[str] = set()
        self.functions: set[str] = set()

    def size(self) -> int:
        return len(self.spans) + len(self.names) + len(self.functions)

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.Await):
            self.feeds(node.value)
        elif isinstance(node, ast.Call):
            self._visit_call(node)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                self._bind(target, node.value)
        elif isinstance(node, (ast.AnnAssign, ast.AugAssign, ast.NamedExpr)):
            if node.value is not None:
                self._bind(node.target, node.value)
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            if self.names & set(_names_in(node.target)):
                self.feeds(node.iter)
        elif isinstance(node, ast.FunctionDef) and node.name in self.functions:
            for inner in ast.walk(node):
                if isinstance(inner, (ast.Return, ast.Yield, ast.YieldFrom)) and inner.value is not None:
                    self.feeds(inner.value)

    def feeds(self, node: ast.expr) -> None:
        """``node``'s value is awaited, or holds values that are."""
        match node:
            case ast.Call():
                self._add_span(node)
                self._feeds_call(node)
            case ast.Name():
                self.names.add(node.id)
            case ast.List() | ast.Tuple() | ast.Set():
                for item in node.elts:
                    self.feeds(item)
            case ast.Dict():
                for item in node.values:
                    self.feeds(item)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                self.feeds(node.elt)
            case ast.DictComp():
                self.feeds(node.value)
            case ast.IfExp():
                self.feeds(node.body)
                self.feeds(node.orelse)
            case ast.BoolOp():
                for item in node.values:
                    self.feeds(item)
            case ast.BinOp():
                self.feeds(node.left)
                self.feeds(node.right)
            case ast.Starred() | ast.NamedExpr() | ast.Subscript():
                self.feeds(node.value)
            case ast.Lambda():
                self.feeds(node.body)
            case _:
                pass

    def _visit_call(self, node: ast.Call) -> None:
        name = _called_name(node)
        if name in _CONSUMERS:
            self._add_span(node)
            for argument in _arguments(node):
                self.feeds(argument)
        elif (
            name in _CONTAINER_METHODS
            and isinstance(node.func, ast.Attribute)
            and self.names & set(_names_in(node.func.value))
        ):
            for argument in _arguments(node):
                self.feeds(argument)

    def _feeds_call(self, node: ast.Call) -> None:
        name = _called_name(node)
        if isinstance(node.func, ast.Name):
            self.functions.add(node.func.id)
        elif isinstance(node.func, ast.Attribute) and name in ("values", "items", "copy", "pop", "get"):
            self.feeds(node.func.value)
        if name in _PASS_THROUGH:
            for argument in _arguments(node):
                self.feeds(argument)
        elif name == "map" and node.args:
            called = node.args[0]
            if isinstance(called, ast.Name):
                self.functions.add(called.id)
            else:
                self.feeds(called)

    def _bind(self, target: ast.expr, value: ast.expr) -> None:
        if (
            isinstance(target, (ast.Tuple, ast.List))
            and isinstance(value, (ast.Tuple, ast.List))
            and len(target.elts) == len(value.elts)
        ):
            for inner_target, inner_value in zip(target.elts, value.elts, strict=True):
                self._bind(inner_target, inner_value)
        elif self.names & set(_names_in(target)):
            self.feeds(value)
        if isinstance(value, ast.Lambda) and isinstance(target, ast.Name) and target.id in self.functions:
            self.feeds(value)

    def _add_span(self, node: ast.expr) -> None:
        self.spans.add((node.lineno, node.end_lineno, node.col_offset, node.end_col_offset))


def _called_name(node: ast.Call) -> str:
    if isinstance(node.func, ast.Name):
        return node.func.id
    return node.func.attr if isinstance(node.func, ast.Attribute) else ""


def _arguments(node: ast.Call) -> list[ast.expr]:
    return [*node.args, *(keyword.value for keyword in node.keywords)]


def _names_in(target: ast.expr) -> Iterable[str]:
    return (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


class AwaitedCalls:
    """Knows for every cell so far which of its calls are awaited."""

    def __init__(self) -> None:
        self._spans: dict[str, set[Span]] = {}
        self._known: dict[tuple[CodeType, int], bool] = {}

    def add(self, filename: str, tree: ast.AST) -> None:
        """Note the awaited calls of a cell."""
        self._spans[filename] = awaited_spans(tree)

    def is_awaited(self, frame: FrameType) -> bool:
        """Whether the call that ``frame`` is making is one."""
        code = frame.f_code
        spans = self._spans.get(code.co_filename)
        if not spans:
            return False
        key = (code, frame.f_lasti)
        if key not in self._known:
            position = next(itertools.islice(code.co_positions(), frame.f_lasti // 2, None), None)
            self._known[key] = position in spans
        return self._known[key]


class Deferred(Coroutine[Any, Any, Any]):
    """A reply that will be there once awaited; the call itself is under way from the start. May be awaited again."""

    def __init__(self, link: Link, pending: Pending, finish: Callable[[Pending], Any]) -> None:
        self._link = link
        self._pending = pending
        self._finish = finish
        self._steps: Generator[Any, Any, Any] | None = None

    def __await__(self) -> Generator[Any, Any, Any]:
        if not self._pending.settled:
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            self._link.listen(self._pending, lambda _: _wake(loop, future))
            yield from future
        return self._finish(self._pending)

    def send(self, value: Any) -> Any:
        """One step, as a coroutine makes it."""
        if self._steps is None:
            self._steps = self.__await__()
        return self._steps.send(value)

    def throw(self, *error: Any) -> Any:
        """Raise inside, as a coroutine does when its task is cancelled."""
        if self._steps is None:
            self._steps = self.__await__()
        return self._steps.throw(*error)

    def close(self) -> None:
        """Stop waiting; the call itself goes on."""
        if self._steps is not None:
            self._steps.close()

    def __repr__(self) -> str:
        return "<a reply that was not awaited yet: write `await recursive_llm(...)`>"

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"no {name!r} yet: this reply was not awaited; write `await recursive_llm(...)`")


def _wake(loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]) -> None:
    def wake() -> None:
        if not future.done():
            future.set_result(None)

    try:
        loop.call_soon_threadsafe(wake)
    except RuntimeError:
        return  # the loop was closed: nobody waits any more


def awaitable(value: Any) -> Any:
    """``value`` such that it may be awaited as well, for the types that can be subclassed."""
    kind = _AWAITABLE.get(type(value))
    return value if kind is None else kind(value)


def _awaitable_kind(base: type) -> type:
    def __await__(self: Any) -> Generator[Any, Any, Any]:  # noqa: N807
        return base(self)
        yield

    return type(base.__name__, (base,), {"__await__": __await__, "__module__": "builtins"})


_AWAITABLE = {base: _awaitable_kind(base) for base in (str, int, float, list, dict)}
