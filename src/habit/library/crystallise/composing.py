"""Composing: the text of ``scheduler.py`` from a slice: imports, carried helpers, functions, ``scheduler``."""

from __future__ import annotations

import ast
import builtins
import copy
import inspect
from collections.abc import Mapping, Sequence
from functools import cache

from habit.library.crystallise import carried
from habit.library.crystallise.refusal import CannotLearn
from habit.library.crystallise.scopes import bound, own_nodes, used
from habit.library.crystallise.shadowing import RESERVED
from habit.library.spec import Parameter

_READY_MADE = {
    **{name: f"import {name}" for name in ("re", "json", "math", "collections", "itertools", "datetime")},
    "Counter": "from collections import Counter",
    "defaultdict": "from collections import defaultdict",
}
"""What a session has imported beforehand."""
_OF_HELPERS = {name: f"import {name}" for name in ("csv", "io")}
_TYPES = {
    "string": "str", "choice": "str", "integer": "int", "number": "float", "boolean": "bool", "list": "list[str]",
}  # fmt: skip
_BUILTINS = frozenset(dir(builtins))


def compose(
    statements: Sequence[ast.stmt], parameters: Mapping[str, Parameter], *, returns: str, summary: str = ""
) -> str:
    """The source of a scheduler whose body is ``statements``. Raises CannotLearn when a name is left unexplained."""
    statements = [copy.deepcopy(statement) for statement in statements]
    imports: list[ast.stmt] = [node for node in statements if isinstance(node, (ast.Import, ast.ImportFrom))]
    body = [node for node in statements if node not in imports]
    helpers = _helpers_for(used(body) - bound(body))
    top = bound(imports) | {helper.name for helper in helpers}
    known = {**_READY_MADE, **(_OF_HELPERS if helpers else {})}
    ready = sorted((((used(body) - bound(body)) | used(helpers)) - top) & set(known))
    imports += [ast.parse(known[name]).body[0] for name in ready]
    top |= set(ready)
    functions = _free_standing(body, top)
    body = [node for node in body if node not in functions]
    top |= {function.name for function in functions}
    unknown = used(body) - bound(body) - top - _BUILTINS - set(parameters) - {"context", "recursive_llm"}
    if unknown:
        name = min(unknown)
        why = "that only a session knows" if name in RESERVED else "that no code which is kept defines"
        raise CannotLearn(f"its code uses {name}, {why}", "ask again for plain loops over `context`")
    for node in body:
        _globals_to_nonlocals(node)
    scheduler = _scheduler(body, parameters, returns, summary)
    module = ast.Module([*_sorted_imports(imports), *helpers, *functions, scheduler], [])
    return _spaced(ast.fix_missing_locations(module))


def _scheduler(
    body: list[ast.stmt], parameters: Mapping[str, Parameter], returns: str, summary: str
) -> ast.FunctionDef:
    keywords = ", ".join(f"{name}: {_TYPES[parameter.type]}" for name, parameter in parameters.items())
    head = f"def scheduler(context, recursive_llm{', *, ' + keywords if keywords else ''}) -> {returns}:\n    pass"
    made = ast.parse(head).body[0]
    assert isinstance(made, ast.FunctionDef)
    lines = [summary or "Answer the question that this was learned from."]
    described = [f"{name}: {parameter.description}" for name, parameter in parameters.items() if parameter.description]
    text = "\n\n    ".join([lines[0], "\n    ".join(described)]) + "\n    " if described else lines[0]
    made.body = [ast.Expr(ast.Constant(text)), *body]
    return made


def _free_standing(body: Sequence[ast.stmt], top: set[str]) -> list[ast.FunctionDef]:
    """Functions, defined once, that need nothing of the scheduler's own variables."""
    counts: dict[str, int] = {}
    for node in body:
        for name in bound(node):
            counts[name] = counts.get(name, 0) + 1
    known = set(top)
    found: list[ast.FunctionDef] = []
    grown = True
    while grown:
        grown = False
        for node in body:
            if not isinstance(node, ast.FunctionDef) or node in found or counts[node.name] > 1:
                continue
            outer = any(isinstance(inner, (ast.Global, ast.Nonlocal)) for inner in ast.walk(node))
            own_use = used(node) - {node.name}
            if not outer and own_use <= known | _BUILTINS and not own_use & {"context", "recursive_llm"}:
                found.append(node)
                known.add(node.name)
                grown = True
    return [node for node in body if node in found]


def _globals_to_nonlocals(node: ast.stmt) -> None:
    for inner in ast.walk(node):
        if isinstance(inner, (ast.FunctionDef, ast.ClassDef)):
            for part in list(own_nodes(inner.body)):
                if isinstance(part, ast.Global):
                    part.__class__ = ast.Nonlocal  # type: ignore[assignment]


@cache
def _carried() -> Mapping[str, ast.FunctionDef]:
    tree = ast.parse(inspect.getsource(carried))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def is_carried(node: ast.stmt) -> bool:
    """Whether a statement of a scheduler's file is one of the functions it carries along, unchanged."""
    known = _carried().get(node.name) if isinstance(node, ast.FunctionDef) else None
    return known is not None and ast.dump(known) == ast.dump(node)


def _helpers_for(names: set[str]) -> list[ast.FunctionDef]:
    """The carried functions among ``names``, and those they need themselves."""
    known = _carried()
    wanted = names & set(known)
    while (more := used([known[name] for name in wanted]) & set(known)) - wanted:
        wanted |= more
    return [copy.deepcopy(node) for name, node in known.items() if name in wanted]


def _sorted_imports(imports: Sequence[ast.stmt]) -> list[ast.stmt]:
    texts = dict.fromkeys(sorted((ast.unparse(node) for node in imports), key=lambda text: (text[0] == "f", text)))
    return [ast.parse(text).body[0] for text in texts]


def _spaced(module: ast.Module) -> str:
    """The text with two empty lines before each function."""
    blocks: list[str] = []
    imports = [node for node in module.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    if imports:
        blocks.append("\n".join(ast.unparse(node) for node in imports))
    blocks += [ast.unparse(node) for node in module.body if node not in imports]
    return "\n\n\n".join(blocks) + "\n"
