"""Names that a session reserves, and what to do where a cell or a function uses one of them for itself."""

from __future__ import annotations

import ast
from typing import Any

from habit.library.crystallise.scopes import COMPREHENSIONS, Function, body_of, bound, declared_outer, parameters_of

RESERVED = frozenset(
    {
        "context", "query", "recursive_llm", "recursive_llm_map", "find", "parts", "table", "classify", "answer",
        "show_vars", "CallFailed", "llm_query", "llm_query_batched", "rlm_query", "rlm_query_batched", "FINAL",
        "FINAL_VAR", "SUBMIT", "SHOW_VARS",
    }
)  # fmt: skip


class ScopedTransformer(ast.NodeTransformer):
    """A transformer that knows which names the functions around a node have taken for themselves."""

    def __init__(self) -> None:
        self._taken: list[set[str]] = []

    def is_free(self, name: str) -> bool:
        """Whether ``name`` means here what it means at the top."""
        return not any(name in taken for taken in self._taken)

    def generic_visit(self, node: ast.AST) -> Any:
        """As in NodeTransformer, with the scopes kept track of."""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            self._taken.append(_own_names(node))
        elif isinstance(node, COMPREHENSIONS):
            self._taken.append({name for generator in node.generators for name in bound(generator.target)})
        else:
            return super().generic_visit(node)
        try:
            return super().generic_visit(node)
        finally:
            self._taken.pop()


def _own_names(function: Function) -> set[str]:
    return (parameters_of(function) | bound(body_of(function))) - declared_outer(function)


class Rename(ScopedTransformer):
    """Gives names of the top scope others."""

    def __init__(self, names: dict[str, str]) -> None:
        super().__init__()
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """A variable."""
        if node.id in self._names and self.is_free(node.id):
            return ast.copy_location(ast.Name(self._names[node.id], node.ctx), node)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """A function, by its name."""
        if node.name in self._names and self.is_free(node.name):
            node.name = self._names[node.name]
        return self.generic_visit(node)  # type: ignore[no-any-return]

    def visit_Global(self, node: ast.Global) -> ast.AST:
        """A declaration."""
        node.names = [self._names.get(name, name) for name in node.names]
        return node


def rename_shadowed(body: list[ast.stmt]) -> list[ast.stmt]:
    """A cell whose own variables are named like reserved ones, with other names for them from where they are bound.

    After the cell the session has its reserved names back, and so has the program.
    """
    shadowed: dict[str, str] = {}
    done: list[ast.stmt] = []
    for node in body:
        new = {name for name in bound(node) if name in RESERVED} - set(shadowed)
        if isinstance(node, ast.Assign) and "answer" in new and isinstance(node.value, ast.Dict):
            new.discard("answer")  # the dict of a dialect
        if not new:
            done.append(Rename(shadowed).visit(node) if shadowed else node)
            continue
        later = {**shadowed, **{name: f"own_{name}" for name in new}}
        done.append(_first_binding(node, shadowed, later))
        shadowed = later
    return done


def _first_binding(node: ast.stmt, before: dict[str, str], after: dict[str, str]) -> ast.stmt:
    """In the statement that binds a name first, what is evaluated before it is bound keeps its meaning."""
    for field in ("value", "iter"):
        part = getattr(node, field, None)
        if isinstance(part, ast.expr) and not isinstance(node, ast.AugAssign):
            kept = Rename(before).visit(part)
            setattr(node, field, ast.Constant(None))
            renamed: ast.stmt = Rename(after).visit(node)
            setattr(renamed, field, kept)
            return renamed
    made: ast.stmt = Rename(after).visit(node)
    return made
