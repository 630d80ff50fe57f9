"""How long the results of built-in and library functions are, for what they are given."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from habit.library.checks.growth import NOTHING, ONE, Growth
from habit.library.checks.values import Value

SAME = frozenset({
    "list", "tuple", "set", "frozenset", "sorted", "reversed", "iter", "deque", "dict", "Counter", "enumerate", "str",
    "OrderedDict", "StringIO", "reader", "DictReader", "fromkeys", "deepcopy",
})  # fmt: skip
"""What gives as many elements as it is given."""
SAME_METHODS = frozenset({
    "items", "keys", "values", "copy", "strip", "lstrip", "rstrip", "lower", "upper", "casefold", "most_common",
    "title", "removeprefix", "removesuffix", "union", "intersection",
})  # fmt: skip
"""Methods that give as many elements as their owner has."""
SECOND = frozenset({"filter", "map", "findall", "finditer", "split", "filterfalse", "takewhile", "dropwhile"})
"""What goes through its second argument."""
SEARCHING = frozenset({"findall", "finditer", "split"})
"""Methods of a compiled pattern that go through the text they are given."""
CUTTING = frozenset({"split", "rsplit", "partition", "rpartition", "splitlines"})
ADDING = frozenset({"append", "add", "appendleft", "insert", "setdefault"})
EXTENDING = frozenset({"extend", "update", "extendleft"})


def given_by(name: str, values: Sequence[Value]) -> Value:
    """What the built-in or library function ``name`` gives, when it is given ``values``."""
    if not values or (name == "defaultdict" and len(values) == 1):
        return Value(NOTHING, NOTHING) if name in SAME | {"defaultdict"} else Value()
    first = values[0]
    if name in ("StringIO", "reader", "DictReader"):
        # A text is read line by line; a list of lines is one already.
        length = first.lines.least(first.length) if first.lines else first.length
        return Value(length, first.inside, first.lines)
    if name == "enumerate":
        return replace(first.same(), width=2.0 + first.width)
    if name in SAME:
        return first.same()
    if name == "loads":
        return Value(first.length, first.length)
    if name in ("wrap", "groupby"):
        return Value(first.length, first.length, width=2.0 if name == "groupby" else 0.0)
    if name == "batched" and len(values) > 1:
        return Value(first.length.scaled(1 / (values[1].exact or 1.0)) + ONE, first.length, first.lines)
    if name == "zip":
        length, inside = first.length, first.inside
        for other in values[1:]:
            length, inside = length.least(other.length), inside + other.inside
        return Value(length, inside, width=float(len(values)) + sum(value.width for value in values))
    if name in ("islice", "nlargest", "nsmallest") and len(values) == 2:
        many, whole = (values[1], first) if name == "islice" else (first, values[1])
        return whole.same(None if many.exact is None else Growth(many.exact))
    if name in ("product", "combinations") and len(values) == 2:
        return Value(first.length * (first if name == "combinations" else values[1]).length)
    if name == "chain":
        total = Value(NOTHING, NOTHING)
        for value in values:
            total = Value(total.length + value.length, total.inside + value.inside)
        return total
    if name in SECOND and len(values) > 1:
        pieces = name in ("findall", "finditer", "split")
        whole = values[1]
        if name == "map":
            return Value(whole.length)  # The function may make anything of an element.
        return Value(whole.length + ONE, whole.inside, whole.lines) if pieces else whole.same()
    return Value()


def split_up(whole: Value, method: str, arguments: list[ast.expr], pieces: Growth) -> Value:
    """A text, or ``pieces`` of one, split: into lines, or wherever a separator is, which is at most everywhere."""
    by_lines = method == "splitlines" or any(
        isinstance(one, ast.Constant) and one.value in ("\n", b"\n") for one in arguments[:1]
    )
    if by_lines and whole.lines is not None:
        return Value(whole.lines + pieces if method != "splitlines" else whole.lines, whole.length, whole.lines)
    if method in ("partition", "rpartition"):
        return Value(pieces.scaled(3.0), whole.length, whole.lines)
    return Value(whole.length + pieces, whole.length, whole.lines)
