"""Copied: an answer that repeats what the cell before it printed is the value of the code that was printed.

Small models look first and then write the answer down. The number in the last cell is worth nothing to a habit; the
expression that printed it is.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from habit.library.crystallise.recording import RecordedCell, RecordedRun

_NAME = "result"


def computed(run: RecordedRun) -> tuple[RecordedRun, list[str]]:
    """``run`` with its answer computed where it was copied, and a sentence that says so; else as it is.

    Whether the code does give that answer is for the rehearsal to show.
    """
    if len(run.cells) < 2:
        return run, []
    looked, answered = run.cells[-2:]
    look, last = _parsed(looked), _parsed(answered)
    if look is None or last is None or looked.result.status != "ok":
        return run, []
    given, shown = _literal_answer(last), _only_print(look)
    if given is None or shown is None or not _prints_first(shown, _value(given), looked.result.stdout):
        return run, []
    name = _free_name(run.cells)
    source = ast.unparse(shown.args[0])
    at = next(number for number, one in enumerate(look.body) if isinstance(one, ast.Expr) and one.value is shown)
    assigned = ast.Assign([ast.Name(name, ast.Store())], shown.args[0])
    shown.args[0] = ast.Name(name, ast.Load())
    look.body.insert(at, assigned)
    given.args[0] = ast.Name(name, ast.Load())
    cells = [*run.cells[:-2], replace(looked, code=_source(look)), replace(answered, code=_source(last))]
    return replace(run, cells=cells), [f"computed the answer, which was copied from what the code printed: {source}"]


def _parsed(cell: RecordedCell) -> ast.Module | None:
    try:
        return ast.parse(cell.code.removeprefix("\ufeff"))
    except (SyntaxError, ValueError):
        return None


def _source(module: ast.Module) -> str:
    return ast.unparse(ast.fix_missing_locations(module))


def _called(node: ast.AST, name: str) -> ast.Call | None:
    """The call of ``name`` that a statement is."""
    match node:
        case ast.Expr(ast.Call(ast.Name(called)) as call) if called == name:
            return call
    return None


def _literal_answer(module: ast.Module) -> ast.Call | None:
    """The only ``answer(...)`` of a cell, where it is given a literal."""
    match [call for one in module.body if (call := _called(one, "answer"))]:
        case [ast.Call(args=[value], keywords=[]) as call] if _names(module).count("answer") == 1:
            return call if _is_literal(value) else None
    return None


def _only_print(module: ast.Module) -> ast.Call | None:
    """The only ``print(...)`` of a cell, where it stands by itself."""
    match [call for one in module.body if (call := _called(one, "print"))]:
        case [ast.Call(args=[first, *_], keywords=[]) as call] if _names(module).count("print") == 1:
            return None if isinstance(first, ast.Starred) or _is_literal(first) else call
    return None


def _prints_first(shown: ast.Call, value: Any, stdout: str) -> bool:
    """Whether ``value`` is what the first argument of the print looks like."""
    text, out = str(value), stdout.strip()
    return bool(text) and (out == text if len(shown.args) == 1 else out.startswith(f"{text} "))


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


def _value(call: ast.Call) -> Any:
    return ast.literal_eval(call.args[0])


def _names(module: ast.Module) -> list[str]:
    return [node.id for node in ast.walk(module) if isinstance(node, ast.Name)]


def _free_name(cells: Sequence[RecordedCell]) -> str:
    said = "\n".join(cell.code for cell in cells)
    name = _NAME
    while name in said:
        name += "_"
    return name
