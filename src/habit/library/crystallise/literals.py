"""Literals: every constant of a slice with the place it stands in, and the closed label sets among them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from habit.library.crystallise.scopes import all_arguments

PROSE_WORDS = 3
_ASKING = frozenset({"recursive_llm", "ask_each", "ask_each_or_error"})
_PATTERN_FUNCTIONS = frozenset(
    {"compile", "search", "match", "fullmatch", "findall", "finditer", "sub", "subn", "split", "escape"}
)
_FORMATTING = frozenset(
    {"strftime", "strptime", "encode", "decode", "format", "open", "reader", "DictReader", "to_datetime"}
)


@dataclass(frozen=True)
class Site:
    """A constant and what it stands in, from the inside out."""

    node: ast.Constant
    parents: tuple[ast.AST, ...]

    @property
    def parent(self) -> ast.AST:
        """What it stands in directly."""
        return self.parents[0]

    @property
    def is_text(self) -> bool:
        """Whether it is a string."""
        return isinstance(self.node.value, str)

    @property
    def text(self) -> str:
        """Its string."""
        return str(self.node.value)

    @property
    def call(self) -> ast.Call | None:
        """The call it is an argument of, at once or inside of a text."""
        for inner, outer in zip((self.node, *self.parents), self.parents, strict=False):
            if isinstance(outer, ast.Call) and inner is not outer.func:
                return outer
            if not isinstance(outer, (ast.JoinedStr, ast.BinOp, ast.keyword)):
                return None
        return None

    @property
    def is_prose(self) -> bool:
        """Whether it is a sentence rather than a value, or a part of one."""
        whole = self.text
        for outer in self.parents:
            if not isinstance(outer, (ast.JoinedStr, ast.BinOp)):
                break
            texts = [part.value for part in ast.walk(outer) if isinstance(part, ast.Constant)]
            whole = " ".join(text for text in texts if isinstance(text, str))
        return len([word for word in whole.split() if any(c.isalpha() for c in word)]) >= PROSE_WORDS

    @property
    def is_pattern(self) -> bool:
        """Whether it is a regular expression."""
        call = self.call
        if call is None or not isinstance(call.func, ast.Attribute) or not call.args:
            return False
        from_re = isinstance(call.func.value, ast.Name) and call.func.value.id == "re"
        return from_re and call.func.attr in _PATTERN_FUNCTIONS and self._is_within(call.args[0])

    @property
    def is_formatting(self) -> bool:
        """Whether it only says how something is written, such as ``%Y-%m-%d`` or ``utf-8``."""
        call = self.call
        if call is None:
            return False
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        return name in _FORMATTING

    @property
    def is_prompt(self) -> bool:
        """Whether a model is asked with it."""
        call = self.call
        return call is not None and isinstance(call.func, ast.Name) and call.func.id in _ASKING

    def _is_within(self, root: ast.AST) -> bool:
        return any(inner is self.node for inner in ast.walk(root))


class Literals:
    """The constants of a slice."""

    def __init__(self, program: Sequence[ast.stmt]) -> None:
        self._program = program
        self.sites = [site for statement in program for site in _sites(statement, ())]

    @cached_property
    def choices(self) -> Sequence[tuple[str, ...]]:
        """The label sets that model calls choose from."""
        return [labels for _, labels in self._choice_lists]

    @cached_property
    def in_choices(self) -> frozenset[int]:
        """The constants (by ``id``) that stand in a label set."""
        return frozenset(id(inner) for node, _ in self._choice_lists for inner in ast.walk(node))

    @cached_property
    def _choice_lists(self) -> Sequence[tuple[ast.expr, tuple[str, ...]]]:
        named: dict[str, list[ast.expr]] = {}
        for node in self._nodes():
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        named.setdefault(target.id, []).append(node.value)
        found = []
        for node in self._nodes():
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            wanted = [
                word.value for word in node.keywords if word.arg == ("labels" if name == "classify" else "returns")
            ]
            if name == "classify" and len(node.args) > 2:
                wanted.append(node.args[2])
            for value in wanted:
                candidates = named.get(value.id, []) if isinstance(value, ast.Name) else [value]
                candidates += [one for candidate in candidates for one in _enumerated(candidate)]
                found += [(one, labels) for one in candidates if (labels := _labels(one))]
        return found

    @cached_property
    def prompt_names(self) -> frozenset[str]:
        """Names whose value a model is asked with."""
        names: set[str] = set()
        for node in self._nodes():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _ASKING:
                names |= {inner.id for part in node.args[:2] for inner in ast.walk(part) if isinstance(inner, ast.Name)}
        return frozenset(names)

    @cached_property
    def steps(self) -> frozenset[str]:
        """Names that are the step of a ``range``: sizes of chunks."""
        return frozenset(n.id for step in self._range_steps() for n in ast.walk(step) if isinstance(n, ast.Name))

    @cached_property
    def step_values(self) -> frozenset[float]:
        """Constants that are the step of a ``range``."""
        steps = self._range_steps()
        return frozenset(step.value for step in steps if isinstance(step, ast.Constant) and type(step.value) is int)

    def _range_steps(self) -> Iterator[ast.expr]:
        for node in self._nodes():
            match node:
                case ast.Call(func=ast.Name(id="range"), args=[_, _, step]):
                    yield step

    def _nodes(self) -> Iterator[ast.AST]:
        for statement in self._program:
            yield from ast.walk(statement)


def _enumerated(schema: ast.expr) -> Iterator[ast.expr]:
    """The enumerations inside of a JSON schema."""
    for node in ast.walk(schema):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "enum":
                    yield value


def _labels(node: ast.expr) -> tuple[str, ...]:
    """The strings of a list of strings."""
    if not isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return ()
    values = [item.value for item in node.elts if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    return tuple(values) if len(values) == len(node.elts) > 1 else ()


def _sites(node: ast.AST, parents: tuple[ast.AST, ...]) -> Iterator[Site]:
    if isinstance(node, ast.Constant):
        if node.value is not None and not isinstance(node.value, (bool, bytes, complex)) and node.value is not ...:
            yield Site(node, parents)
        return
    skipped: set[int] = set()
    if isinstance(node, ast.FormattedValue) and node.format_spec is not None:
        skipped.add(id(node.format_spec))
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            skipped.add(id(first))
        if isinstance(node, ast.FunctionDef):
            skipped |= {id(argument) for argument in all_arguments(node)}
            skipped |= {id(node.returns)} if node.returns else set()
    if isinstance(node, ast.AnnAssign):
        skipped.add(id(node.annotation))
    for child in ast.iter_child_nodes(node):
        if id(child) not in skipped:
            yield from _sites(child, (node, *parents))
