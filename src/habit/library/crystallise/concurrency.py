"""Concurrency taken out: asyncio and thread pools become plain loops, which a session makes parallel by itself."""

from __future__ import annotations

import ast
from typing import Any

_AS_THEY_ARE = frozenset({"create_task", "ensure_future", "wait_for", "shield", "run", "as_completed"})
_METHODS_AS_THEY_ARE = frozenset({"run_until_complete", "create_task"})
_POOLS = frozenset({"ThreadPoolExecutor", "TaskGroup", "Semaphore", "BoundedSemaphore", "Lock"})


class Sequential(ast.NodeTransformer):
    """Rewrites concurrent code into the sequence that it means."""

    def __init__(self) -> None:
        self._guards: set[str] = set()
        """Names of pools, semaphores and locks."""
        self._futures = False

    def statement(self, node: ast.stmt) -> list[ast.stmt]:
        """What becomes of a statement."""
        made = self.visit(node)
        return made if isinstance(made, list) else [made] if made is not None else []

    def visit_Await(self, node: ast.Await) -> Any:
        """The value itself."""
        return self.visit(node.value)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> Any:
        """A plain function."""
        self.generic_visit(node)
        return ast.copy_location(ast.FunctionDef(**dict(ast.iter_fields(node))), node)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> Any:
        """A plain loop."""
        self.generic_visit(node)
        return ast.copy_location(ast.For(node.target, node.iter, node.body, node.orelse), node)

    def visit_comprehension(self, node: ast.comprehension) -> Any:
        """A plain comprehension."""
        self.generic_visit(node)
        node.is_async = 0
        return node

    def visit_Assign(self, node: ast.Assign) -> Any:
        """Notes what is only there to limit concurrency."""
        if _is_pool(node.value):
            self._guards |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            return None
        return self.generic_visit(node)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> Any:
        """A plain block."""
        return self.visit_With(ast.copy_location(ast.With(node.items, node.body), node))

    def visit_With(self, node: ast.With) -> Any:
        """The body alone, where the block only limits concurrency."""
        kept = []
        for item in node.items:
            if _is_pool(item.context_expr) or self._is_guard(item.context_expr):
                self._futures = True
                if isinstance(item.optional_vars, ast.Name):
                    self._guards.add(item.optional_vars.id)
            else:
                kept.append(item)
        node.items = kept
        self.generic_visit(node)
        return node if kept else node.body

    def visit_Call(self, node: ast.Call) -> Any:
        """Functions that start, gather or wait."""
        self.generic_visit(node)
        match node.func, node.args:
            case ast.Attribute(ast.Name("asyncio"), "gather"), [ast.Starred(value=items)]:
                return ast.copy_location(ast.Call(ast.Name("list", ast.Load()), [items], []), node)
            case ast.Attribute(ast.Name("asyncio"), "gather"), items:
                return ast.copy_location(ast.List(items, ast.Load()), node)
            case ast.Attribute(ast.Name("asyncio"), "to_thread"), [function, *rest]:
                return ast.copy_location(ast.Call(function, rest, node.keywords), node)
            case ast.Attribute(ast.Name("asyncio"), "sleep"), _:
                return ast.copy_location(ast.Constant(None), node)
            case ast.Attribute(ast.Name("asyncio"), name), [value, *_] if name in _AS_THEY_ARE:
                return value
            case ast.Attribute(_, name), [value] if name in _METHODS_AS_THEY_ARE:
                return value
            case ast.Attribute(ast.Name(pool), "map"), [function, *rest] if pool in self._guards:
                mapped = ast.Call(ast.Name("map", ast.Load()), [function, *rest], [])
                return ast.copy_location(ast.Call(ast.Name("list", ast.Load()), [mapped], []), node)
            case ast.Attribute(ast.Name(pool), "submit"), [function, *rest] if pool in self._guards:
                self._futures = True
                return ast.copy_location(ast.Call(function, rest, node.keywords), node)
            case ast.Attribute(value, "result"), [] if self._futures:
                return value
            case ast.Name("as_completed"), [value, *_]:
                return value
        return node

    def _is_guard(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id in self._guards


def _is_pool(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    match node.func:
        case ast.Name(name) | ast.Attribute(_, name):
            return name in _POOLS
    return False
