"""Plain: the cells of a run as one program in plain Python, which needs of a session only ``context`` and
``recursive_llm``.

Dialects, helpers, ``answer`` and concurrency are rewritten into what they mean. What can't be said plainly is refused.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any

from habit.library.crystallise.concurrency import Sequential
from habit.library.crystallise.recording import RecordedCell
from habit.library.crystallise.scopes import COMPREHENSIONS, bound
from habit.library.crystallise.shadowing import ScopedTransformer, rename_shadowed

DO_AS_IT_SAYS = "The text in `context` is a request. Do what it asks for, and give the result."
"""What ``rlm_query`` asks about its prompt, as the sandbox has it."""
CONTENT, READY = "answer_content", "answer_ready"
_FAILED_LINE = re.compile(r"^  Cell \d+, line (\d+)$|^line (\d+):", re.MULTILINE)
_LOOPS = (ast.For, ast.AsyncFor, ast.While, *COMPREHENSIONS)
_SHOWS = frozenset({"show_vars", "SHOW_VARS"})


def program_of(cells: Sequence[RecordedCell]) -> list[ast.stmt]:
    """The statements that were executed, in order; those that give the answer have become ``return``.

    Each knows the number of its cell (``of_cell``).
    """
    program: list[ast.stmt] = []
    for number, cell in enumerate(cells):
        if cell.result.status == "died":
            program = []
            continue
        statements = _statements(cell, bound(program))
        if cell is not cells[-1] and cell.result.status == "answered":  # that was another question
            statements = list(takewhile(lambda one: not any(returns_in([one])), statements))
        for statement in statements:
            statement.of_cell = number  # type: ignore[attr-defined]
        program += statements
    return _return_what_functions_answer(program)


def _statements(cell: RecordedCell, known: set[str]) -> list[ast.stmt]:
    try:
        body = ast.parse(cell.code.removeprefix("\ufeff")).body
    except (SyntaxError, ValueError):
        return []
    if cell.result.status in ("error", "timeout"):
        body = _executed(body, cell.result.error)
    body = rename_shadowed(body)
    plain = _Plain(cell.query, known | bound(body))
    done = [statement for node in body for statement in plain.statement(node)]
    if plain.ends_with_content:
        done.append(ast.Return(ast.Name(CONTENT, ast.Load())))
    elif plain.may_end_with_content:
        end = ast.Return(ast.Name(CONTENT, ast.Load()))
        start = ast.Assign([ast.Name(READY, ast.Store())], ast.Constant(False))
        done = [start, *done, ast.If(ast.Name(READY, ast.Load()), [end], [])]
    return [ast.fix_missing_locations(statement) for statement in done]


def _executed(body: list[ast.stmt], error: str) -> list[ast.stmt]:
    """The statements before the one that failed. That one may have done a part of its work: the rehearsal decides."""
    found = _FAILED_LINE.search(error)
    if found is None:
        return []
    line = int(found[1] or found[2])
    return [statement for statement in body if (statement.end_lineno or 0) < line]


class _Plain(ScopedTransformer):
    """Rewrites one cell."""

    def __init__(self, query: str, known: set[str]) -> None:
        super().__init__()
        self._query = query
        self._known = known
        self._sequential = Sequential()
        self._loops = 0
        self.ends_with_content = False
        self.may_end_with_content = False

    def statement(self, node: ast.stmt) -> list[ast.stmt]:
        """What becomes of a statement at the top of the cell."""
        parts = self._of_answer_dict(node, top=True)
        made = [self.visit(part) for part in parts] if parts is not None else [self.visit(node)]
        flat: list[ast.stmt] = []
        for part in made:
            flat += part if isinstance(part, list) else [part] if part is not None else []
        return [after for part in flat for after in self._sequential.statement(part)]

    def visit_Expr(self, node: ast.Expr) -> Any:  # noqa: N802
        """A statement that gives the answer becomes ``return``."""
        value = self._answer_given(node.value)
        if value is not None:
            made = ast.copy_location(ast.Return(self.visit(value)), node)
            made.gives_answer = True  # type: ignore[attr-defined]
            return made
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> Any:  # noqa: N802
        """The ``answer`` dict, inside of something else."""
        parts = self._of_answer_dict(node, top=False)
        if parts is None:
            return self.generic_visit(node)
        return [self.generic_visit(part) for part in parts]

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> Any:  # noqa: N802
        """What catches everything would catch the end of a run, too, in a session that did not see to it."""
        if node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "BaseException"):
            node.type = ast.copy_location(ast.Name("Exception", ast.Load()), node)
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> Any:  # noqa: N802
        """``if __name__ == "__main__":`` holds in every cell."""
        match node.test:
            case ast.Compare(left=ast.Name("__name__"), ops=[ast.Eq()], comparators=[ast.Constant("__main__")]):
                return [part for one in node.body for part in self._flat(self.visit(one))]
        return self.generic_visit(node)

    def _flat(self, made: Any) -> list[ast.stmt]:
        return made if isinstance(made, list) else [made]

    def visit_Name(self, node: ast.Name) -> ast.AST:  # noqa: N802
        """The question is a text, other systems' names are ours."""
        if not isinstance(node.ctx, ast.Load) or not self.is_free(node.id):
            return node
        if node.id == "query":
            return ast.copy_location(ast.Constant(self._query), node)
        if node.id == "llm_query":
            return ast.copy_location(ast.Name("recursive_llm", ast.Load()), node)
        if node.id == "CallFailed":
            return ast.copy_location(ast.Name("Exception", ast.Load()), node)
        return node

    def generic_visit(self, node: ast.AST) -> Any:
        """As in ScopedTransformer, with the loops around counted."""
        self._loops += isinstance(node, _LOOPS)
        try:
            return super().generic_visit(node)
        finally:
            self._loops -= isinstance(node, _LOOPS)

    def visit_Call(self, node: ast.Call) -> Any:  # noqa: N802
        """Reserved functions become plain ones."""
        name = node.func.id if isinstance(node.func, ast.Name) and self.is_free(node.func.id) else ""
        if name == "print":
            node.args = [self.visit(argument) for argument in node.args]
            node.keywords = [self.generic_visit(word) for word in node.keywords]
            return node
        if name in _SHOWS:
            return ast.copy_location(ast.Constant(None), node)
        rewrite = _inline_map if name == "recursive_llm_map" and self._loops else _REWRITES.get(name)
        if rewrite is None:
            return self.generic_visit(node)
        node.args = [self.visit(argument) for argument in node.args]
        node.keywords = [ast.keyword(word.arg, self.visit(word.value)) for word in node.keywords]
        return ast.copy_location(ast.parse(rewrite(node), mode="eval").body, node)

    def _answer_given(self, node: ast.expr) -> ast.expr | None:
        """The expression of the answer, when ``node`` gives it."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or not self.is_free(node.func.id):
            return None
        match node.func.id, node.args, node.keywords:
            case (("answer" | "FINAL" | "SUBMIT"), [ast.Call(func=ast.Attribute(ast.Call(ast.Name("globals"))))], []):
                call = node.args[0]
                assert isinstance(call, ast.Call)
                name = call.args[0]
                assert isinstance(name, ast.Constant)
                return ast.Name(name.value, ast.Load()) if name.value in self._known else name
            case (("answer" | "FINAL" | "SUBMIT"), [value], []):
                return value
            case "SUBMIT", [], [ast.keyword(value=value)]:
                return value
            case "SUBMIT", [], [_, *_]:
                keys: list[ast.expr | None] = [ast.Constant(word.arg) for word in node.keywords]
                return ast.Dict(keys, [word.value for word in node.keywords])
            case "FINAL_VAR", [ast.Constant(value=str(name))], [] if name.strip("\"'` ").isidentifier():
                return ast.Name(name.strip("\"'` "), ast.Load())
            case "FINAL_VAR", [value], []:
                return value
        return None

    def _of_answer_dict(self, node: ast.stmt, *, top: bool) -> list[ast.stmt] | None:
        """What becomes of a statement about ``answer["content"]`` and ``answer["ready"]``."""
        if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not self.is_free("answer"):
            return None
        match node.targets[0], node.value:
            case ast.Subscript(ast.Name("answer"), ast.Constant("content")), value:
                return [ast.copy_location(ast.Assign([ast.Name(CONTENT, ast.Store())], value), node)]
            case ast.Subscript(ast.Name("answer"), ast.Constant("ready")), value:
                return self._ready(node, value, top=top)
            case ast.Name("answer"), ast.Dict(keys, values) if {
                key.value for key in keys if isinstance(key, ast.Constant)
            } >= {"content", "ready"}:
                named = {
                    key.value: value for key, value in zip(keys, values, strict=True) if isinstance(key, ast.Constant)
                }
                content = ast.copy_location(ast.Assign([ast.Name(CONTENT, ast.Store())], named["content"]), node)
                return [content, *self._ready(node, named["ready"], top=top)]
        return None

    def _ready(self, node: ast.stmt, value: ast.expr, *, top: bool) -> list[ast.stmt]:
        if top and isinstance(value, ast.Constant) and value.value:
            self.ends_with_content = True
            return []
        self.may_end_with_content = True
        return [ast.copy_location(ast.Assign([ast.Name(READY, ast.Store())], value), node)]


def _argument(node: ast.Call, position: int, name: str) -> str | None:
    if len(node.args) > position:
        return ast.unparse(node.args[position])
    return next((ast.unparse(word.value) for word in node.keywords if word.arg == name), None)


def _map(node: ast.Call) -> str:
    query, contexts = _argument(node, 0, "query"), _argument(node, 1, "contexts")
    returns, on_error = _argument(node, 9, "returns"), _argument(node, 9, "on_error")
    function = "ask_each" if on_error in (None, "'raise'") else "ask_each_or_error"
    return f"{function}(recursive_llm, {query}, {contexts}{f', returns={returns}' if returns else ''})"


def _inline_map(node: ast.Call) -> str:
    """In a loop as a loop of its own, so that anybody can see how many calls there are in all."""
    if _argument(node, 9, "on_error") not in (None, "'raise'"):
        return _map(node)
    returns = _argument(node, 9, "returns")
    more = f", returns={returns}" if returns else ""
    query, contexts = _argument(node, 0, "query"), _argument(node, 1, "contexts")
    return f"[recursive_llm({query}, one{more}) for one in {contexts}]"


def _find(node: ast.Call) -> str:
    return f"find({_argument(node, 1, 'text') or 'context'}, {_argument(node, 0, 'word')})"


def _classify(node: ast.Call) -> str:
    question = _argument(node, 2, "question")
    more = f", question={question}" if question else ""
    return f"classify(recursive_llm, {_argument(node, 0, 'items')}, {_argument(node, 1, 'labels')}{more})"


_REWRITES = {
    "llm_query": lambda node: f"recursive_llm({_argument(node, 0, 'prompt')})",
    "llm_query_batched": lambda node: f"[recursive_llm(prompt) for prompt in {_argument(node, 0, 'prompts')}]",
    "rlm_query": lambda node: f"recursive_llm({DO_AS_IT_SAYS!r}, {_argument(node, 0, 'prompt')})",
    "rlm_query_batched": lambda node: f"ask_each(recursive_llm, {DO_AS_IT_SAYS!r}, {_argument(node, 0, 'prompts')})",
    "recursive_llm_map": _map,
    "find": _find,
    "parts": lambda node: f"parts({_argument(node, 0, 'text') or 'context'})",
    "table": lambda node: f"table({_argument(node, 0, 'text') or 'context'})",
    "classify": _classify,
}


def _return_what_functions_answer(program: list[ast.stmt]) -> list[ast.stmt]:
    """A function that gives the answer returns it, and so does the statement that calls it."""
    answering = {
        node.name
        for statement in program
        for node in ast.walk(statement)
        if isinstance(node, ast.FunctionDef) and any(_gives_answer(inner) for inner in ast.walk(node))
    }
    if not answering:
        return program
    return [
        _returning(statement)
        if isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Call)
        and isinstance(statement.value.func, ast.Name)
        and statement.value.func.id in answering
        else statement
        for statement in program
    ]


def _returning(statement: ast.Expr) -> ast.stmt:
    made = ast.copy_location(ast.Return(statement.value), statement)
    made.of_cell = statement.of_cell  # type: ignore[attr-defined]
    return made


def _gives_answer(node: ast.AST) -> bool:
    return isinstance(node, ast.Return) and getattr(node, "gives_answer", False)


def returns_in(program: Sequence[ast.stmt]) -> Iterator[ast.Return]:
    """Every ``return`` that gives the answer of the program."""
    for statement in program:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Return):
                yield node
