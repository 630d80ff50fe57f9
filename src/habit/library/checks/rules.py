"""What a scheduler's code may say: plain functions of the context, with nothing hidden and nothing left undefined.

The sandbox is the wall; these rules are what makes a scheduler reviewable, repeatable and bounded.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator, Mapping

from habit.library.checks.imports import check_imports
from habit.library.checks.names import bound_in, free_names
from habit.library.checks.recursion import cycles
from habit.library.checks.report import Finding
from habit.library.checks.whiles import check_loops
from habit.library.spec import HabitSpec, Parameter

MOST_SOURCE_CHARS = 100_000
MOST_DEPTH = 200
"""Levels of syntax inside one another: more would exhaust the stack of whoever reads the tree."""
_PLAIN = "write what it does as plain code"
FORBIDDEN: Mapping[str, str] = {
    **dict.fromkeys(("eval", "exec", "compile", "__import__", "breakpoint"), _PLAIN),
    **dict.fromkeys(("globals", "locals", "vars", "dir"), "use a dict of your own"),
    **dict.fromkeys(("setattr", "delattr"), "use a dict of your own"),
    **dict.fromkeys(("open", "input"), "take everything from context and the parameters"),
    **dict.fromkeys(("exit", "quit", "help", "copyright", "credits", "license"), "return the answer instead"),
    "hash": "use hashlib, which gives the same in every process",
    "id": "compare with ==, which means the same in every process",
    "memoryview": "use bytes",
}
_RESERVED = frozenset({
    "query", "answer", "show_vars", "recursive_llm_map", "find", "table", "parts", "classify", "llm_query",
    "llm_query_batched", "rlm_query", "rlm_query_batched", "SHOW_VARS", "FINAL", "FINAL_VAR", "SUBMIT",
})  # fmt: skip
_INNARDS = re.compile(r"__\w*__|(?:gi|cr|ag|tb|f|func|co|im)_[a-z]+")
_READABLE = frozenset({"__name__"})
_HARMLESS_METHODS = frozenset(["__init__", "__post_init__", "__repr__", "__str__", "__eq__", "__lt__", "__hash__"])
_TODAY = frozenset({"now", "today", "utcnow"})
_TEMPLATE_INNARDS = re.compile(r"\{[^{}]*[.\[]_")
_TYPES: Mapping[str, frozenset[str]] = {
    "string": frozenset({"str"}),
    "choice": frozenset({"str"}),
    "integer": frozenset({"int"}),
    "number": frozenset({"float", "int | float", "float | int"}),
    "boolean": frozenset({"bool"}),
    "list": frozenset({"list", "list[str]"}),
}
_BUILTINS = frozenset(name for name in vars(builtins) if not name.startswith("_")) | {"__debug__"}


def parse(source: str) -> tuple[ast.Module | None, list[Finding]]:
    """The tree of a scheduler's source; None, with the reason, when it cannot be read."""
    if len(source) > MOST_SOURCE_CHARS:
        long = f"it is {len(source):,} characters long"
        return None, [Finding("syntax", 0, long, f"keep it below {MOST_SOURCE_CHARS:,}, or split the habit")]
    try:
        tree = ast.parse(source, "scheduler.py")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as problem:
        line = problem.lineno or 0 if isinstance(problem, SyntaxError) else 0
        message = f"it is not Python ({problem.msg if isinstance(problem, SyntaxError) else problem})"
        return None, [Finding("syntax", line, message, "mend the syntax")]
    if _depth(tree) > MOST_DEPTH:
        return None, [Finding("syntax", 0, "its expressions are nested too deeply", "name the parts of them")]
    return tree, []


def check_rules(tree: ast.Module, spec: HabitSpec) -> list[Finding]:
    """Everything about the code that is not allowed, by line."""
    found = [
        *_top_level(tree),
        *_signature(tree, spec),
        *check_imports(tree),
        *_names(tree),
        *_innards(tree),
        *_shape(tree),
        *cycles(tree),
        *check_loops(tree),
    ]
    return sorted(set(found), key=lambda finding: (finding.line, finding.rule, finding.message))


def scheduler_of(tree: ast.Module) -> ast.FunctionDef | None:
    """The function ``scheduler``; None when the file does not define it just once."""
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "scheduler"]
    return found[0] if len(found) == 1 else None


def _depth(tree: ast.AST) -> int:
    deepest, waiting = 0, [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        deepest = max(deepest, depth)
        waiting += [(child, depth + 1) for child in ast.iter_child_nodes(node)]
    return deepest


def _top_level(tree: ast.Module) -> Iterator[Finding]:
    """At the top of the file only definitions: what is computed there would not depend on the context."""
    for index, node in enumerate(tree.body):
        match node:
            case ast.FunctionDef() | ast.ClassDef() | ast.Import() | ast.ImportFrom():
                continue
            case ast.Expr(value=ast.Constant(value=str())) if index == 0:
                continue
            case ast.Assign(targets=[ast.Name()], value=value) | ast.AnnAssign(target=ast.Name(), value=value):
                if value is None or _is_constant(value):
                    continue
        line = node.lineno
        yield Finding("top-level", line, "it does something while it is loaded", "move it into scheduler or a function")


def _is_constant(node: ast.expr) -> bool:
    match node:
        case ast.Constant():
            return True
        case ast.Name(id=name):
            return name.isupper()
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts) | ast.JoinedStr(values=parts):
            return all(_is_constant(part) for part in parts)
        case ast.Starred(value=part) | ast.FormattedValue(value=part) | ast.UnaryOp(operand=part):
            return _is_constant(part)
        case ast.BinOp(left=left, right=right):
            return _is_constant(left) and _is_constant(right)
        case ast.Dict(keys=keys, values=values):
            return all(_is_constant(part) for part in (*filter(None, keys), *values))
        case ast.Call(func=ast.Name(id="frozenset" | "set" | "tuple" | "dict" | "list"), args=args, keywords=named):
            return all(_is_constant(part) for part in (*args, *(keyword.value for keyword in named)))
        case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr="compile"), args=args):
            return all(_is_constant(part) or isinstance(part, (ast.Attribute, ast.BinOp)) for part in args)
        case _:
            return False


def _signature(tree: ast.Module, spec: HabitSpec) -> Iterator[Finding]:
    wanted = ", ".join(["context", "recursive_llm", *(["*", *spec.parameters] if spec.parameters else [])])
    remedy = f"write def scheduler({wanted})"
    function = scheduler_of(tree)
    if function is None:
        yield Finding("signature", 0, "it does not define scheduler just once, as a plain function", remedy)
        return
    arguments = function.args
    first = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    named = [argument.arg for argument in arguments.kwonlyargs]
    starred = arguments.vararg is not None or arguments.kwarg is not None
    if first != ["context", "recursive_llm"] or starred or set(named) != set(spec.parameters):
        yield Finding("signature", function.lineno, "its parameters are not those of habit.toml", remedy)
    if function.decorator_list:
        yield Finding("signature", function.lineno, "scheduler is decorated", "call what the decorator does inside it")
    for argument in arguments.kwonlyargs:
        parameter = spec.parameters.get(argument.arg)
        if parameter is not None:
            yield from _annotation(argument, parameter)


def _annotation(argument: ast.arg, parameter: Parameter) -> Iterator[Finding]:
    if argument.annotation is None:
        return
    said = ast.unparse(argument.annotation)
    known = _TYPES[parameter.type]
    if said not in known and not said.startswith(("Literal[", "typing.Literal[")):
        message = f"the parameter {argument.arg} is a {said} here and of type {parameter.type} in habit.toml"
        yield Finding("signature", argument.lineno, message, f"write {argument.arg}: {sorted(known)[0]}")


def _names(tree: ast.Module) -> Iterator[Finding]:
    for name in free_names(tree):
        if name.id in FORBIDDEN:
            yield Finding("names", name.lineno, f"it uses {name.id}", FORBIDDEN[name.id])
        elif name.id in _RESERVED:
            message = f"it uses {name.id}, which exists in a session only"
            yield Finding("names", name.lineno, message, "write it with recursive_llm, or as a function of the file")
        elif name.id not in _BUILTINS and name.id != "getattr":
            yield Finding("names", name.lineno, f"nothing defines {name.id}", "define or import it")
    # A name that is bound in a function hides the built-in there; elsewhere its first use would still be the built-in.
    for scope in ast.walk(tree):
        if isinstance(scope, (ast.Module, ast.ClassDef)):
            for bound in sorted(bound_in(scope) & (FORBIDDEN.keys() | {"getattr", "recursive_llm"})):
                line = getattr(scope, "lineno", 0)
                yield Finding("names", line, f"it gives the name {bound} to something of its own", "choose another")


def _innards(tree: ast.Module) -> Iterator[Finding]:
    """Access to what is inside of Python's objects, written out or through computed names."""
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.Attribute(attr=name) if _INNARDS.fullmatch(name) and name not in _READABLE:
                yield Finding("innards", line, f"it reaches into objects ({name})", _PLAIN)
            case ast.Attribute(attr=name) if name in _TODAY:
                message = f"its answer depends on the day it is run ({name})"
                yield Finding("innards", line, message, "take the date as a parameter, or from the context")
            case ast.Name(id=name) if _INNARDS.fullmatch(name) and name.startswith("__"):
                yield Finding("innards", line, f"it reaches into its module ({name})", _PLAIN)
            case ast.MatchClass(kwd_attrs=names) if any(_INNARDS.fullmatch(name) for name in names):
                yield Finding("innards", line, "it reaches into objects with a pattern", _PLAIN)
            case ast.FunctionDef(name=name) if name.startswith("__") and name not in _HARMLESS_METHODS:
                yield Finding("innards", line, f"it changes what Python's syntax does ({name})", "write a named method")
            case ast.Constant(value=str(text)) if _TEMPLATE_INNARDS.search(text):
                yield Finding("innards", line, "a template of it reaches into objects", _PLAIN)
    yield from _getattr(tree)


def _getattr(tree: ast.Module) -> Iterator[Finding]:
    allowed = set()
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="getattr") as name, args=[_, ast.Constant(value=str(attribute)), *_]):
                if attribute.isidentifier() and not attribute.startswith("_") and not _INNARDS.fullmatch(attribute):
                    allowed.add(name)
    for free in free_names(tree):
        if free.id == "getattr" and free not in allowed:
            message = "it reads an attribute whose name is computed or private"
            yield Finding("innards", free.lineno, message, "write the attribute's name, or use a dict")


def _shape(tree: ast.Module) -> Iterator[Finding]:
    """Kinds of statement that have no place in a scheduler."""
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                remedy = "call recursive_llm in a plain loop, which runs in parallel by itself"
                yield Finding("statements", line, "it is asynchronous", remedy)
            case ast.Global(names=names):
                message = f"it keeps {', '.join(names)} from one use to the next"
                yield Finding("statements", line, message, "pass it to the functions and return it")
            case ast.ExceptHandler(type=None) | ast.ExceptHandler(type=ast.Name(id="BaseException")):
                yield Finding("statements", line, "it catches everything", "name the exceptions that are expected")
            case ast.ClassDef(keywords=[_, *_]):
                yield Finding("statements", line, "its class has a metaclass", "write a plain class")
