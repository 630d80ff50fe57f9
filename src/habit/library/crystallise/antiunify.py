"""Anti-unification: what runs of a family have in common is the program, what varies can only be a parameter."""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence

from habit.library.crystallise.refusal import CannotLearn


def must_be_alike(programs: Sequence[Sequence[ast.stmt]], names: Sequence[str]) -> None:
    """Raises CannotLearn, with the run that is different, unless all programs differ in constants and names only."""
    first = _shape(programs[0])
    for program, name in zip(programs[1:], names[1:], strict=True):
        if _shape(program) != first:
            raise CannotLearn(
                f"runs {names[0]} and {name} found their answers by different programs",
                "learn from one of them, or from runs that went the same way",
            )


def _shape(program: Sequence[ast.stmt]) -> str:
    """The program without its constants, and with its own names numbered in the order in which they appear."""
    module = ast.Module([copy.deepcopy(statement) for statement in program], [])
    return ast.dump(_Masked().visit(module))


class _Masked(ast.NodeTransformer):
    def __init__(self) -> None:
        self._numbers: dict[str, str] = {}

    def _number(self, name: str) -> str:
        return self._numbers.setdefault(name, f"n{len(self._numbers)}")

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        kind = "number" if type(node.value) in (int, float) else type(node.value).__name__
        return ast.Constant(kind)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(self._number(node.id), node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(self._number(node.arg))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name = self._number(node.name)
        return self.generic_visit(node)


def differing_segment(texts: Sequence[str]) -> Sequence[str] | None:
    """What texts have between their common beginning and their common end, in whole words; None if nothing."""
    words = [text.split(" ") for text in texts]
    shortest = min(len(one) for one in words)
    start = 0
    while start < shortest and len({one[start] for one in words}) == 1:
        start += 1
    end = 0
    while end < shortest - start and len({one[-1 - end] for one in words}) == 1:
        end += 1
    segments = [" ".join(one[start : len(one) - end]) for one in words]
    tail = 0
    while all(len(one) > tail + 1 and not one[-1 - tail].isalnum() for one in segments) and (
        len({one[-1 - tail] for one in segments}) == 1
    ):
        tail += 1
    segments = [one[: len(one) - tail] for one in segments]
    return segments if all(segments) else None
