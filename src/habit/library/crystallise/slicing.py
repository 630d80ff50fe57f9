"""Slicing: of a program, the statements that reach its answer. Prints, peeks and dead attempts go.

Backwards over the statements, with the set of names whose values are still needed. A statement stays when it binds or
may change one of them, or when it decides whether another one that stays is run.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence

from habit.library.crystallise.effects import Facts
from habit.library.crystallise.refusal import CannotLearn
from habit.library.crystallise.scopes import bound, outside_of, used

INDIRECT = frozenset(
    {"globals", "locals", "vars", "exec", "eval", "compile", "setattr", "delattr", "__import__", "builtins"}
)
"""What reaches variables without naming them."""
Block = list[ast.stmt]
_Control = (ast.Break, ast.Continue, ast.Raise)


def slice_of(program: Sequence[ast.stmt]) -> Block:
    """The statements that reach the answer of ``program``. Raises CannotLearn when that can't be told."""
    for statement in program:
        if not _is_print(statement):
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and node.id in INDIRECT:
                    raise CannotLearn(
                        f"its code reaches variables through {node.id}, so what leads to the answer can't be told",
                        "ask again; code that names its variables can be kept",
                    )
    silent = [_silent(statement) for statement in program]
    kept, _ = _Slicer(Facts(silent)).block(silent, frozenset(), control=False, everything=False)
    return kept


class _Slicer:
    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._leaving: list[frozenset[str]] = [frozenset()]
        """What is needed where ``break`` and ``continue`` of the loops around lead to."""

    def block(
        self, statements: Sequence[ast.stmt], live: frozenset[str], *, control: bool, everything: bool
    ) -> tuple[Block, frozenset[str]]:
        """What stays of a block before which nothing is known and after which ``live`` is needed; and what it needs.

        With ``control`` what leaves the loop around stays; with ``everything`` all of it does, because anything may
        raise what a handler around it waits for.
        """
        kept: Block = []
        for statement in reversed(statements):
            if isinstance(statement, ast.Return) or (isinstance(statement, _Control) and (control or everything)):
                kept, live = [], self._leaving[-1]  # what follows is never run
            stays, live = self._statement(statement, live, control=control, everything=everything)
            if stays is not None:
                kept.append(stays)
        return kept[::-1], live

    def _statement(
        self, node: ast.stmt, live: frozenset[str], *, control: bool, everything: bool
    ) -> tuple[ast.stmt | None, frozenset[str]]:
        match node:
            case ast.Return():
                return node, live | self._facts.uses(node)
            case ast.Break() | ast.Continue() | ast.Raise():
                return (node, live | self._facts.uses(node)) if control or everything else (None, live)
            case ast.If():
                return self._if(node, live, control=control, everything=everything)
            case ast.For() | ast.While():
                return self._loop(node, live, everything=everything)
            case ast.Try() | ast.TryStar():
                return self._try(node, live, control=control, everything=everything)
            case ast.With():
                return self._with(node, live, control=control, everything=everything)
            case ast.Pass() | ast.Global() | ast.Nonlocal():
                return None, live
            case ast.Delete() if all(isinstance(target, ast.Name) for target in node.targets):
                return None, live
            case ast.Expr(ast.Constant()):
                return None, live
            case ast.FunctionDef(name=name):  # whoever uses it uses what it uses, when he does
                kept = everything or name in live
                return (node, live - {name} | self._facts.uses(outside_of(node))) if kept else (None, live)
        effects = self._facts.effects(node)
        if not (everything or (effects.binds | effects.changes) & live):
            return None, live
        firmly = frozenset() if everything else effects.binds - effects.changes
        return node, (live - firmly) | effects.uses | (effects.changes & live)

    def _if(
        self, node: ast.If, live: frozenset[str], *, control: bool, everything: bool
    ) -> tuple[ast.stmt | None, frozenset[str]]:
        body, of_body = self.block(node.body, live, control=control, everything=everything)
        other, of_other = self.block(node.orelse, live, control=control, everything=everything)
        if not body and not other and not self._touches(node.test, live):
            return None, live
        made = ast.copy_location(ast.If(node.test, body or [ast.Pass()], other), node)
        return made, of_body | of_other | self._facts.uses(node.test)

    def _loop(
        self, node: ast.For | ast.While, live: frozenset[str], *, everything: bool
    ) -> tuple[ast.stmt | None, frozenset[str]]:
        head = node.iter if isinstance(node, ast.For) else node.test
        targets = bound(node.target) if isinstance(node, ast.For) else set()
        body, _ = self.block(node.body, live, control=False, everything=everything)
        other, after = self.block(node.orelse, live, control=True, everything=everything)
        if not (body or other or targets & live or everything or self._touches(head, live)):
            return None, live
        top = after | live | self._facts.uses(head)
        while True:
            self._leaving.append(top)
            body, of_body = self.block(node.body, top, control=True, everything=everything)
            self._leaving.pop()
            grown = top | (of_body - targets)
            if grown == top:
                break
            top = grown
        made = copy.copy(node)
        made.body, made.orelse = body or [ast.Pass()], other
        return made, top | self._facts.uses(head)

    def _try(
        self, node: ast.Try | ast.TryStar, live: frozenset[str], *, control: bool, everything: bool
    ) -> tuple[ast.stmt | None, frozenset[str]]:
        parts = [node.body, *(handler.body for handler in node.handlers), node.orelse, node.finalbody]
        trial = [self.block(part, live, control=control, everything=everything)[0] for part in parts]
        if not any(trial):
            return None, live
        last, of_last = self.block(node.finalbody, live, control=control, everything=True)
        other, of_other = self.block(node.orelse, live | of_last, control=control, everything=True)
        needed = live | of_last | of_other
        handlers = []
        for handler in node.handlers:
            body, of_handler = self.block(handler.body, live | of_last, control=True, everything=everything)
            needed |= of_handler | (self._facts.uses(handler.type) if handler.type else set())
            handlers.append(
                ast.copy_location(ast.ExceptHandler(handler.type, handler.name, body or [ast.Pass()]), handler)
            )
        body, of_body = self.block(node.body, needed, control=True, everything=True)
        made = copy.copy(node)
        made.body, made.handlers, made.orelse, made.finalbody = body or [ast.Pass()], handlers, other, last
        return made, needed | of_body

    def _with(
        self, node: ast.With, live: frozenset[str], *, control: bool, everything: bool
    ) -> tuple[ast.stmt | None, frozenset[str]]:
        body, of_body = self.block(node.body, live, control=control, everything=everything)
        if not body and not bound(node.items) & live:
            return None, live
        made = copy.copy(node)
        made.body = body or [ast.Pass()]
        return made, live | of_body | self._facts.uses(node.items)

    def _touches(self, head: ast.expr, live: frozenset[str]) -> bool:
        """Whether evaluating a condition changes something that is needed."""
        effects = self._facts.effects(ast.Expr(head))
        return bool((effects.binds | effects.changes) & live)


def _is_print(node: ast.stmt) -> bool:
    match node:
        case ast.Expr(ast.Call(ast.Name("print" | "display" | "pprint"))):
            return True
    return False


class _Silencer(ast.NodeTransformer):
    """Takes prints out; what they evaluate stays where it may have an effect."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        self.generic_visit(node)
        if not _is_print(node):
            return node
        assert isinstance(node.value, ast.Call)
        parts = [part for part in node.value.args if any(isinstance(inner, ast.Call) for inner in ast.walk(part))]
        if not parts:
            return None
        parts = [part.value if isinstance(part, ast.Starred) else part for part in parts]
        return ast.copy_location(ast.Expr(ast.Tuple(parts, ast.Load()) if len(parts) > 1 else parts[0]), node)

    def _filled(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        if hasattr(node, "body") and isinstance(node.body, list) and not node.body:
            node.body = [ast.copy_location(ast.Pass(), node)]
        return node

    visit_If = visit_For = visit_While = visit_With = visit_Try = visit_FunctionDef = _filled  # noqa: N815
    visit_ExceptHandler = visit_ClassDef = _filled  # noqa: N815


def _silent(statement: ast.stmt) -> ast.stmt:
    made = _Silencer().visit(copy.deepcopy(statement))
    return ast.fix_missing_locations(made if made is not None else ast.copy_location(ast.Pass(), statement))


def unbound_in(program: Sequence[ast.stmt]) -> set[str]:
    """Names that a slice uses and nowhere binds."""
    return used(program) - bound(program)
