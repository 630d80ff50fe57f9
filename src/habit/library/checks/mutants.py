"""Mutants: small changes to a scheduler, each of which its cases and relations should notice."""

from __future__ import annotations

import ast
import copy
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from habit.library.shown import short

HELPER = '''
def ask_each(recursive_llm, query, items, **how):
    """Ask about each item, all at once where the caller's recursive_llm can do that."""
    together = getattr(recursive_llm, "map", None)
    return together(query, items, **how) if together else [recursive_llm(query, item, **how) for item in items]
'''
"""The helper that crystallising emits. One of its branches is never taken in any one place, so it is not mutated."""
_COMPARISONS: dict[type[ast.cmpop], list[type[ast.cmpop]]] = {
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any"}
_CLEANING = frozenset({"strip", "lstrip", "rstrip", "lower", "upper", "casefold", "removeprefix", "removesuffix"})
_WORDS = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.In: "in",
    ast.NotIn: "not in", ast.Is: "is", ast.IsNot: "is not", ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/",
    ast.FloorDiv: "//", ast.Mod: "%", ast.BitAnd: "&", ast.BitOr: "|",
}  # fmt: skip
_HARMLESS = frozenset({"print"})
"""What these are given never reaches the answer."""


@dataclass(frozen=True, eq=False)
class Mutant:
    """One change."""

    line: int
    change: str
    before: str
    after: str
    tree: ast.Module


def mutants_of(source: str, most: int) -> tuple[list[Mutant], int]:
    """At most ``most`` mutants, always the same ones, by line; and how many different ones there are."""
    tree = ast.parse(source)
    original = ast.unparse(tree)
    seen = {original}
    found: list[tuple[str, Mutant]] = []
    for site, edit in _edits(tree):
        mutated = copy.deepcopy(tree)
        change = edit(_at(mutated, site))
        ast.fix_missing_locations(mutated)
        text = ast.unparse(mutated)
        if text in seen:
            continue  # The same program, or one that is there already.
        seen.add(text)
        before, after = _difference(original, text)
        line = getattr(_at(tree, site), "lineno", 0)
        rank = hashlib.sha256(f"{change}\0{before}\0{after}".encode("utf-8", "surrogatepass")).hexdigest()
        found.append((rank, Mutant(line, change, before, after, mutated)))
    chosen = sorted(found, key=lambda one: one[0])[:most]
    return sorted((mutant for _, mutant in chosen), key=lambda one: (one.line, one.change)), len(found)


Site = tuple[tuple[str, int | None], ...]
"""The way from the root of a tree to a node: fields, and indexes in them."""
Edit = Callable[[ast.AST], str]
"""Changes a node where it stands and says how."""


def _at(tree: ast.AST, site: Site) -> ast.AST:
    node = tree
    for name, index in site:
        inner = getattr(node, name)
        node = inner if index is None else inner[index]
    return node


def _edits(tree: ast.Module) -> Iterator[tuple[Site, Edit]]:
    helper = ast.dump(ast.parse(HELPER).body[0])

    def walk(node: ast.AST, site: Site) -> Iterator[tuple[Site, Edit]]:
        if isinstance(node, ast.FunctionDef) and ast.dump(node) == helper:
            return
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _HARMLESS:
            return
        for edit in _edits_of(node):
            yield site, edit
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "type_comment"):
                continue
            for index, inner in enumerate(value) if isinstance(value, list) else [(None, value)]:
                is_docstring = index == 0 and name == "body" and _is_text(inner)
                if isinstance(inner, ast.AST) and not is_docstring and not _is_import(inner):
                    yield from walk(inner, (*site, (name, index)))

    yield from walk(tree, ())


def _is_text(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_import(node: object) -> bool:
    return isinstance(node, (ast.Import, ast.ImportFrom))


def _edits_of(node: ast.AST) -> Iterator[Edit]:
    match node:
        case ast.Compare(ops=ops):
            for index, op in enumerate(ops):
                for other in _COMPARISONS[type(op)]:
                    yield _comparison(index, other)
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in _OPERATORS and not _is_text_sum(node):
            yield _operator(_OPERATORS[type(op)])
        case ast.BoolOp(values=values):
            yield _and_or
            for index in range(len(values)):
                yield _dropped("values", index, "a condition is dropped")
        case ast.UnaryOp(op=ast.Not()):
            yield _replaced(lambda inner: inner.operand, "not is dropped")
        case ast.Constant():
            yield from _constants(node)
        case ast.If() | ast.IfExp():
            yield _condition(True)
            yield _condition(False)
        case ast.comprehension(ifs=filters):
            for index in range(len(filters)):
                yield _dropped("ifs", index, "a filter is dropped")
        case ast.Slice(lower=lower, upper=upper):
            if lower is not None:
                yield _cleared("lower", "the start of a slice is dropped")
            if upper is not None:
                yield _cleared("upper", "the end of a slice is dropped")
        case ast.Call():
            yield from _call_edits(node)
    body = getattr(node, "body", None)
    if isinstance(body, list):
        for index, statement in enumerate(body):
            yield from _statements(index, statement)


def _call_edits(node: ast.Call) -> Iterator[Edit]:
    match node.func:
        case ast.Name(id=name) if name in _FUNCTIONS:
            yield _renamed(_FUNCTIONS[name])
        case ast.Attribute(attr=method) if method in _CLEANING:
            yield _replaced(lambda inner: inner.func.value, f".{method}() is dropped")
    symmetric = isinstance(node.func, ast.Name) and node.func.id in ("min", "max")
    if len(node.args) >= 2 and not symmetric and not any(isinstance(one, ast.Starred) for one in node.args[:2]):
        yield _swapped


def _constants(node: ast.Constant) -> Iterator[Edit]:
    match node.value:
        case bool(value):
            yield _constant(not value)
        case int(value):
            yield _constant(value + 1)
            if value > 0:
                yield _constant(value - 1)
        case float(value):
            yield _constant(value + 1.0)
        case str(value):
            yield _constant(f"{value}~")


def _statements(index: int, statement: ast.stmt) -> Iterator[Edit]:
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Name(id=name))) if name in _HARMLESS:
            return
        case ast.Expr(value=ast.Constant()):
            return
        case ast.Expr() | ast.AugAssign() | ast.Assign(targets=[ast.Subscript()]) | ast.Delete():
            yield _removed(index)
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if any(
            isinstance(inner, ast.Name) and inner.id == name for inner in ast.walk(value)
        ):
            yield _removed(index)  # ``x = f(x)``; without any other, a name would be missing.
        case ast.Break() | ast.Continue():
            yield _removed(index)


# -- changes ---------------------------------------------------------------------------------------------------------


def _comparison(index: int, other: type[ast.cmpop]) -> Edit:
    def edit(node: ast.AST) -> str:
        assert isinstance(node, ast.Compare)
        was = _WORDS[type(node.ops[index])]
        node.ops[index] = other()
        return f"{was} became {_WORDS[other]}"

    return edit


def _operator(other: type[ast.operator]) -> Edit:
    def edit(node: ast.AST) -> str:
        assert isinstance(node, (ast.BinOp, ast.AugAssign))
        was = _WORDS[type(node.op)]
        node.op = other()
        return f"{was} became {_WORDS[other]}"

    return edit


def _and_or(node: ast.AST) -> str:
    assert isinstance(node, ast.BoolOp)
    was_and = isinstance(node.op, ast.And)
    node.op = ast.Or() if was_and else ast.And()
    return "and became or" if was_and else "or became and"


def _dropped(name: str, index: int, words: str) -> Edit:
    def edit(node: ast.AST) -> str:
        values = getattr(node, name)
        if isinstance(node, ast.BoolOp) and len(values) == 2:
            # One condition is left: it stands twice, which is the same as once.
            values[index] = copy.deepcopy(values[1 - index])
        else:
            del values[index]
        return words

    return edit


def _replaced(other: Callable[..., ast.AST], words: str) -> Edit:
    def edit(node: ast.AST) -> str:
        inner = other(node)
        node.__class__ = inner.__class__
        node.__dict__.clear()
        node.__dict__.update(inner.__dict__)
        return words

    return edit


def _condition(value: bool) -> Edit:
    def edit(node: ast.AST) -> str:
        assert isinstance(node, (ast.If, ast.IfExp))
        node.test = ast.copy_location(ast.Constant(value), node.test)
        return f"a condition became {value}"

    return edit


def _cleared(name: str, words: str) -> Edit:
    def edit(node: ast.AST) -> str:
        setattr(node, name, None)
        return words

    return edit


def _renamed(name: str) -> Edit:
    def edit(node: ast.AST) -> str:
        assert isinstance(node, ast.Call)
        assert isinstance(node.func, ast.Name)
        was, node.func.id = node.func.id, name
        return f"{was} became {name}"

    return edit


def _swapped(node: ast.AST) -> str:
    assert isinstance(node, ast.Call)
    node.args[0], node.args[1] = node.args[1], node.args[0]
    return "two arguments changed places"


def _constant(value: str | int | float) -> Edit:
    def edit(node: ast.AST) -> str:
        assert isinstance(node, ast.Constant)
        was, node.value = node.value, value
        return f"{short(repr(was), 40)} became {short(repr(value), 40)}"

    return edit


def _removed(index: int) -> Edit:
    def edit(node: ast.AST) -> str:
        body: list[ast.stmt] = node.body  # type: ignore[attr-defined]
        body[index] = ast.copy_location(ast.Pass(), body[index])
        return "a statement is removed"

    return edit


def _is_text_sum(node: ast.AST) -> bool:
    """Whether a ``+`` joins texts, or a ``%`` fills one in: another operator would be an error, which is no test."""
    sides = [node.left, node.right] if isinstance(node, ast.BinOp) else [getattr(node, "value", None)]
    return any(
        isinstance(side, ast.JoinedStr) or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in sides
    )


def _difference(one: str, other: str) -> tuple[str, str]:
    """The first line that differs, in both."""
    before, after = one.splitlines(), other.splitlines()
    for left, right in zip(before, after, strict=False):
        if left != right:
            return left.strip(), right.strip()
    return "", ""
