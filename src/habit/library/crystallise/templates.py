"""Templates: constants of a program with names in the place of their parts; texts become f-strings."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Substitution:
    """One parameter, and where it takes the place of a literal."""

    places: set[int]
    """The nodes (by ``id``)."""
    forms: Mapping[str, str]
    """For a text: how it may stand there, and the expression that gives it; empty when the whole node is replaced."""
    name: str


def substitute(
    program: Sequence[ast.stmt], substitutions: Sequence[Substitution], *, patterns: set[int]
) -> list[ast.stmt]:
    """A copy of ``program``; ``patterns`` are the constants that are regular expressions."""
    made: list[ast.stmt] = []
    for statement in program:
        visited = _Substituter(substitutions, patterns).visit(_marked_copy(statement))
        assert isinstance(visited, ast.stmt)
        made.append(ast.fix_missing_locations(visited))
    return made


def _marked_copy(statement: ast.stmt) -> ast.stmt:
    """A copy whose nodes know which node they are a copy of."""
    made = copy.deepcopy(statement)
    for original, copied in zip(ast.walk(statement), ast.walk(made), strict=True):
        copied.copy_of = id(original)  # type: ignore[attr-defined]
    return made


class _Substituter(ast.NodeTransformer):
    def __init__(self, substitutions: Sequence[Substitution], patterns: set[int]) -> None:
        self._substitutions = substitutions
        self._patterns = patterns

    def visit(self, node: ast.AST) -> ast.AST:
        known = getattr(node, "copy_of", None)
        for substitution in self._substitutions:
            if known in substitution.places and not substitution.forms:
                return ast.copy_location(ast.Name(substitution.name, ast.Load()), node)
        made: ast.AST = super().visit(node)
        return made

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        parts = self._parts(node)
        if parts is None:
            return node
        if len(parts) == 1 and isinstance(parts[0], ast.FormattedValue):
            return ast.copy_location(parts[0].value, node)
        return ast.copy_location(ast.JoinedStr(parts), node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        values: list[ast.expr] = []
        for value in node.values:
            parts = self._parts(value) if isinstance(value, ast.Constant) else None
            if parts is not None:
                values += parts
            else:
                visited = self.visit(value)
                assert isinstance(visited, ast.expr)
                values.append(visited)
        node.values = values
        return node

    def _parts(self, node: ast.Constant) -> list[ast.expr] | None:
        """The parts of a text with names in it; None when nothing of it is replaced."""
        known = getattr(node, "copy_of", None)
        forms: dict[str, str] = {}
        for substitution in self._substitutions:
            if known in substitution.places:
                forms |= {form: code for form, code in substitution.forms.items() if form not in forms}
        if not forms or not isinstance(node.value, str):
            return None
        pattern = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
        parts: list[ast.expr] = []
        for index, piece in enumerate(re.split(rf"(?<![^\W_])({pattern})(?![^\W_])", node.value)):
            if index % 2 == 0:
                if piece:
                    parts.append(ast.Constant(piece))
                continue
            code = f"re.escape({forms[piece]})" if known in self._patterns else forms[piece]
            parts.append(ast.FormattedValue(ast.parse(code, mode="eval").body, -1))
        return parts if any(isinstance(part, ast.FormattedValue) for part in parts) else None
