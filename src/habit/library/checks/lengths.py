"""How long the collections in a scheduler can be, and how often its loops go round, as a function of the context.

Every name is taken for whatever it may hold anywhere in its function; what is added to a collection is counted where
it is added. Parts of a whole, as in a loop over groups with a loop over each group inside, are no more than the whole.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from habit.library.checks.growth import BYTES, NOTHING, ONE, RECORDS, Growth
from habit.library.checks.names import arguments_of, bound_in
from habit.library.checks.whiles import rounds

LLM: Final = "recursive_llm"
Function = ast.FunctionDef | ast.Lambda
Loop = ast.For | ast.While | ast.comprehension
MOST_DEPTH = 20
"""Calls of functions inside one another that are followed."""
MOST_STEPS = 100_000
"""Expressions looked at before the code is called too entangled."""
_UNSEEN = Growth.unseen("it is not seen how long the list is")
_SAME = frozenset({
    "list", "tuple", "set", "frozenset", "sorted", "reversed", "iter", "deque", "dict", "Counter", "enumerate", "str",
    "OrderedDict", "StringIO", "reader", "DictReader", "fromkeys", "deepcopy",
})  # fmt: skip
"""What gives as many elements as it is given."""
_SAME_METHODS = frozenset({
    "items", "keys", "values", "copy", "strip", "lstrip", "rstrip", "lower", "upper", "casefold", "most_common",
    "title", "removeprefix", "removesuffix", "union", "intersection",
})  # fmt: skip
_SECOND = frozenset({"filter", "map", "findall", "finditer", "split", "sub", "filterfalse", "takewhile", "dropwhile"})
_CUTTING = frozenset({"split", "rsplit", "partition", "rpartition", "splitlines"})
_ADDING = frozenset({"append", "add", "appendleft", "insert", "setdefault"})
_EXTENDING = frozenset({"extend", "update", "extendleft"})
_GROUPING = frozenset({"groupby", "batched"})


@dataclass(frozen=True)
class Value:
    """What is known of a value: how long it is, and how much is inside of its elements all together."""

    length: Growth = _UNSEEN
    inside: Growth = _UNSEEN
    lines: Growth | None = None
    """For a text, or pieces of one: the lines of them all together."""
    callee: Any = None
    """For something to call: LLM, ``map``, or the Frame of a function of the file."""
    exact: float | None = None
    """For a number: the one it is."""
    width: float = 0.0
    """For a collection of tuples, as ``enumerate`` and ``items`` give: how many values each of them wraps."""
    deep: bool = False
    """Whether it is the parsed context itself, whose lists are counted as its records."""

    def join(self, other: Value) -> Value:
        """What is known when it may be either."""
        return Value(
            self.length.join(other.length),
            self.inside.join(other.inside),
            self.lines.join(other.lines) if self.lines and other.lines else None,
            self.callee if self.callee is not None else other.callee,
            self.exact if self.exact == other.exact else None,
            max(self.width, other.width),
        )

    def same(self, length: Growth | None = None) -> Value:
        """The same elements in another collection, of ``length`` at most."""
        kept = self.length if length is None else length.least(self.length)
        return Value(kept, self.inside, self.lines, width=self.width)

    def parts(self, *, unpacked: bool) -> Value:
        """All of its elements together; ``unpacked``: the values that tuples wrap rather than the tuples."""
        if unpacked or not self.width:
            return Value(self.inside, self.inside, self.lines)
        together = self.inside + self.length.scaled(self.width)
        return Value(together, together)

    def element(self, *, unpacked: bool = False) -> Value:
        """One of its elements: no longer than all of them together."""
        return self.parts(unpacked=unpacked)


@dataclass(frozen=True, eq=False)
class Frame:
    """A function with what it is given, inside the function that defines it."""

    node: Function
    arguments: Mapping[str, Value]
    outer: Frame | None
    depth: int = 0

    def called(self, arguments: Mapping[str, Value], caller: Frame) -> Frame:
        """The same function as ``caller`` calls it."""
        return Frame(self.node, arguments, self.outer, caller.depth + 1)


@dataclass
class Lengths:
    """Reads the values of one module."""

    tree: ast.Module
    reply: str
    _parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    _steps: int = 0
    _known: dict[tuple[ast.AST, Frame], Value | None] = field(default_factory=dict)
    _bound: dict[ast.AST, frozenset[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in ast.walk(self.tree):
            for child in ast.iter_child_nodes(node):
                self._parents[child] = node

    # -- the tree ------------------------------------------------------------------------------------------------

    def position(self, node: ast.AST) -> int:
        """How deep ``node`` lies."""
        depth = 0
        while node in self._parents:
            node, depth = self._parents[node], depth + 1
        return depth

    def parent(self, node: ast.AST) -> ast.AST | None:
        """What ``node`` is a part of."""
        return self._parents.get(node)

    def bound(self, scope: ast.AST) -> frozenset[str]:
        """The names that a function, or the module, binds itself."""
        if scope not in self._bound:
            self._bound[scope] = bound_in(scope)
        return self._bound[scope]

    def parameters(self, function: Function) -> list[str]:
        """The names of its parameters."""
        return [argument.arg for argument in arguments_of(function.args)]

    def _loops(self, node: ast.AST, frame: Frame) -> list[Loop]:
        """The loops of the function that go round for ``node``, outermost first."""
        found: list[Loop] = []
        child, parent = node, self._parents.get(node)
        while parent is not None and child is not frame.node:
            match parent:
                case ast.For() if child is not parent.iter and child not in parent.orelse:
                    found.append(parent)
                case ast.While() if child not in parent.orelse:
                    found.append(parent)
                case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                    until = parent.generators
                    if isinstance(child, ast.comprehension):
                        until = until[: until.index(child)]
                    found += reversed(until)
                case ast.comprehension() if child is not parent.iter:
                    found.append(parent)
            child, parent = parent, self._parents.get(parent)
        return list(dict.fromkeys(reversed(found)))

    # -- how often -----------------------------------------------------------------------------------------------

    def executions(self, node: ast.AST, frame: Frame) -> Growth:
        """How often ``node`` is run in one invocation of its function."""
        return self._total(self._loops(node, frame), frame)

    def product(self, node: ast.AST, frame: Frame, items: ast.expr) -> Growth:
        """How many of ``items`` there are in all the times that ``node`` is run."""
        return self._total(self._loops(node, frame), frame, items)

    def executions_around(self, loop: Loop, node: ast.AST, frame: Frame) -> Growth:
        """How often ``node`` is run, if ``loop`` went round just once each time."""
        loops = self._loops(node, frame)
        at = loops.index(loop)
        total = self._total(loops[:at], frame)
        for inner in loops[at + 1 :]:
            total *= self._rounds(inner, frame)
        return total

    def loop_of(self, node: ast.expr, frame: Frame) -> Loop | None:
        """The loop whose parts ``node`` is one of."""
        part = self._part(node, frame)
        return part[0] if part and part[0] in self._loops(node, frame) else None

    def _total(self, loops: list[Loop], frame: Frame, items: ast.expr | None = None) -> Growth:
        totals = [ONE]
        sources = [None if isinstance(loop, ast.While) else loop.iter for loop in loops]
        for index, source in enumerate([*sources, items] if items is not None else sources):
            plain = totals[-1] * (
                self._rounds(loops[index], frame) if source is None else self.value(source, frame).length
            )
            part = self._part(source, frame) if source is not None else None
            if part is not None and part[0] in loops[:index]:
                at = loops.index(part[0])
                shared = totals[at] * part[1].length
                for between in loops[at + 1 : index]:
                    shared *= self._rounds(between, frame)
                plain = plain.least(shared)
            totals.append(plain)
        return totals[-1]

    def _rounds(self, loop: Loop, frame: Frame) -> Growth:
        if not isinstance(loop, ast.While):
            return self.value(loop.iter, frame).length
        found = rounds(loop, lambda node: self.value(node, frame).exact)
        if found is None:
            return Growth.unseen("a while loop is not seen to end")
        if found.uses_up:
            return self.value(found.bound, frame).length
        return self.number(found.bound, frame).scaled(1 / found.step) + ONE

    # -- parts of a whole ----------------------------------------------------------------------------------------

    def _part(self, node: ast.expr, frame: Frame) -> tuple[Loop, Value] | None:
        """The loop that ``node`` is one part of each round, and what all these parts are together."""
        match node:
            case ast.Name(id=name):
                return self._part_named(name, node, frame)
            case ast.Subscript(value=base, slice=ast.Slice() as cut):
                return self._window(base, cut, frame) or self._part(base, frame)
            case ast.Subscript(value=ast.Name(id=group), slice=ast.Name(id=key)) if (
                part := self._part_named(key, node, frame)
            ) and _iterated(part[0]) == group:
                return part[0], self._named(group, frame).parts(unpacked=True)
            case ast.Subscript(value=base):
                return self._part(base, frame)
            case ast.Call(func=ast.Attribute(value=ast.Constant(value=str())), args=[pieces]):  # "\n".join(pieces)
                part = self._part(pieces, frame)
                return part and (part[0], Value(part[1].inside + part[1].length, part[1].inside, part[1].length))
            case ast.Call(func=ast.Attribute(value=base, attr=method), args=arguments) if not any(
                isinstance(inner, ast.Name) and inner.id in ("re", "csv", "json", "io") for inner in [base]
            ):
                part = self._part(base, frame)
                if part is None or method not in _SAME_METHODS | _CUTTING | {"get"}:
                    return None
                if method in _CUTTING:
                    return part[0], self._cut(part[1], method, arguments, self.value(_iter_of(part[0]), frame).length)
                return part
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[first, *_]):
                if name in _SAME | {"loads"}:
                    return self._part(first, frame)
                if name in _SECOND and len(node.args) > 1:
                    return self._part(node.args[1], frame)
        return None

    def _part_named(self, name: str, node: ast.AST, frame: Frame) -> tuple[Loop, Value] | None:
        for loop in reversed(self._loops(node, frame)):
            if isinstance(loop, ast.While):
                continue
            targets = [inner.id for inner in ast.walk(loop.target) if isinstance(inner, ast.Name)]
            if name in targets:
                return loop, self.value(loop.iter, frame).parts(unpacked=not isinstance(loop.target, ast.Name))
        assigned = self._assigned(name, frame.node)
        if len(assigned) == 1 and name not in frame.arguments and isinstance(assigned[0], (ast.Assign, ast.AnnAssign)):
            value = assigned[0].value
            if value is not None and not self._is_inside(node, value):
                return self._part(value, frame)
        return None

    def _window(self, base: ast.expr, cut: ast.Slice, frame: Frame) -> tuple[Loop, Value] | None:
        """``text[i:i + n]`` in a loop over ``range(0, …, m)``: together the whole, n/m times."""
        if not isinstance(cut.lower, ast.Name) or cut.upper is None:
            return None
        for loop in reversed(self._loops(cut, frame)):
            match loop:
                case ast.For(target=ast.Name(id=name), iter=ast.Call(func=ast.Name(id="range"), args=[_, _, by])):
                    pass
                case ast.comprehension(
                    target=ast.Name(id=name), iter=ast.Call(func=ast.Name(id="range"), args=[_, _, by])
                ):
                    pass
                case _:
                    continue
            upper = cut.upper
            if isinstance(upper, ast.Call) and upper.args:  # min(i + n, len(text))
                upper = upper.args[0]
            if name != cut.lower.id or not isinstance(upper, ast.BinOp) or not isinstance(upper.op, ast.Add):
                continue
            step, width = self.value(by, frame).exact, self.value(upper.right, frame).exact
            same = ast.dump(by) == ast.dump(upper.right)
            if not same and not (step and width and step > 0):
                continue
            times = 1.0 if same or not step or not width else -(-width // step)
            whole = self.value(base, frame)
            pieces = self.value(loop.iter, frame).length
            lines = None if whole.lines is None else whole.lines.scaled(times) + pieces
            return loop, Value(whole.length.scaled(times), whole.inside.scaled(times), lines)
        return None

    # -- values --------------------------------------------------------------------------------------------------

    def value(self, node: ast.expr, frame: Frame) -> Value:
        """What is known of an expression."""
        key = (node, frame)
        self._steps += 1
        if self._steps > MOST_STEPS:
            return Value()
        if key in self._known:
            return self._known[key] or Value(Growth.unseen("a value depends on itself"))
        self._known[key] = None
        found = self._read(node, frame)
        self._known[key] = found
        return found

    def callee(self, node: ast.expr, frame: Frame) -> Any:
        """LLM, ``map`` or a Frame when ``node`` is one of these, else None."""
        if isinstance(node, (ast.Name, ast.Lambda, ast.Call, ast.IfExp, ast.BoolOp, ast.NamedExpr)):
            return self.value(node, frame).callee
        if isinstance(node, ast.Attribute) and node.attr == "map" and self.callee(node.value, frame) is LLM:
            return "map"
        return None

    def _read(self, node: ast.expr, frame: Frame) -> Value:
        match node:
            case ast.Constant(value=str(text)):
                lines = Growth(float(len(text.splitlines())))
                return Value(Growth(float(len(text))), Growth(float(len(text))), lines)
            case ast.Constant(value=bool() | None):
                return Value(NOTHING, NOTHING)
            case ast.Constant(value=int() | float() as number):
                return Value(NOTHING, NOTHING, exact=float(number))
            case ast.Name(id=name):
                return self._named(name, frame)
            case ast.Lambda():
                return Value(callee=Frame(node, {}, frame))
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
                return self._display(parts, frame)
            case ast.Dict(keys=keys, values=values):
                parts = [ast.Starred(value) if key is None else value for key, value in zip(keys, values, strict=True)]
                return self._display(parts, frame)
            case ast.ListComp(elt=element) | ast.SetComp(elt=element) | ast.GeneratorExp(elt=element):
                return self._comprehension(element, frame)
            case ast.DictComp(value=element):
                return self._comprehension(element, frame)
            case ast.IfExp(body=one, orelse=other):
                return self.value(one, frame).join(self.value(other, frame))
            case ast.BoolOp(values=[first, *others]):
                found = self.value(first, frame)
                for other in others:
                    found = found.join(self.value(other, frame))
                return found
            case ast.NamedExpr(value=inner):
                return self.value(inner, frame)
            case ast.BinOp(left=left, op=ast.Add() | ast.BitOr(), right=right):
                return _joined(self.value(left, frame), self.value(right, frame))
            case ast.BinOp(left=left, op=ast.BitAnd() | ast.Sub()):
                return self.value(left, frame)
            case ast.Subscript(value=base, slice=ast.Slice(lower=lower, upper=upper)):
                whole = self.value(base, frame)
                exact = None if upper is None else self.value(upper, frame).exact
                if exact is not None and exact >= 0:
                    return whole.same(Growth(exact))
                match lower:
                    case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(last))) if upper is None:
                        return whole.same(Growth(float(last)))
                return whole.same()
            case ast.Subscript(value=base):
                whole = self.value(base, frame)
                return Value(RECORDS, BYTES, None) if whole.deep else whole.element()
            case ast.Call():
                return self._call(node, frame)
        return Value()

    def _display(self, parts: list[ast.expr], frame: Frame) -> Value:
        length, inside = NOTHING, NOTHING
        for part in parts:
            if isinstance(part, ast.Starred):
                whole = self.value(part.value, frame)
                length, inside = length + whole.length, inside + whole.inside
            else:
                length, inside = length + ONE, inside + self.value(part, frame).length
        return Value(length, inside)

    def _comprehension(self, element: ast.expr, frame: Frame) -> Value:
        length = self.executions(element, frame)
        inside = self.product(element, frame, element)
        part = self._part(element, frame)
        lines = part[1].lines if part and len(self._loops(element, frame)) == 1 else None
        return Value(length, inside, lines)

    def _call(self, call: ast.Call, frame: Frame) -> Value:
        callee = self.callee(call.func, frame)
        if callee is LLM or callee == "map":
            return Value(Growth.unseen(self.reply), Growth.unseen(self.reply))
        if isinstance(callee, Frame):
            return self._returned(call, callee, frame)
        arguments = call.args
        match call.func:
            case ast.Name(id="getattr") if len(arguments) > 1 and self.callee(arguments[0], frame) is LLM:
                return Value(callee="map")
            case ast.Name(id="range"):
                return Value(self._range(arguments, frame))
            case ast.Attribute(value=base, attr=method) if not isinstance(base, ast.Name) or base.id in self._values(
                frame
            ):
                whole = self.value(base, frame)
                if method == "most_common" and arguments:
                    exact = self.value(arguments[0], frame).exact
                    return replace(whole.same(None if exact is None else Growth(exact)), width=2.0)
                if method in _CUTTING:
                    return self._cut(whole, method, arguments, ONE)
                if method == "join" and arguments:
                    pieces = self.value(arguments[0], frame)
                    lines = pieces.length if pieces.lines is None else pieces.lines.join(pieces.length)
                    return Value(pieces.inside + pieces.length, pieces.inside + pieces.length, lines)
                if method == "items":
                    return replace(whole.same(), width=2.0)
                if method in _SAME_METHODS:
                    return replace(whole.same(), deep=whole.deep and method == "copy")
                if method == "get":
                    return Value(RECORDS, BYTES) if whole.deep else whole.element()
                return Value()
            case ast.Name(id=name) | ast.Attribute(attr=name):
                return self._builtin(name, arguments, frame)
        return Value()

    def _builtin(self, name: str, arguments: list[ast.expr], frame: Frame) -> Value:
        values = [self.value(one, frame) for one in arguments]
        if not values or (name == "defaultdict" and len(values) == 1):
            return Value(NOTHING, NOTHING) if name in _SAME | {"defaultdict"} else Value()
        first = values[0]
        if name in ("StringIO", "reader", "DictReader"):
            # A text is read line by line; a list of lines is one already.
            length = first.lines.least(first.length) if first.lines else first.length
            return Value(length, first.inside, first.lines)
        if name == "enumerate":
            return replace(first.same(), width=2.0 + first.width)
        if name in _SAME:
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
        if name in _SECOND and len(values) > 1:
            pieces = name in ("findall", "finditer", "split")
            whole = values[1]
            return Value(whole.length + ONE, whole.inside, whole.lines) if pieces else whole.same()
        return Value()

    def _cut(self, whole: Value, method: str, arguments: list[ast.expr], pieces: Growth) -> Value:
        """A text, or ``pieces`` of one, split: into lines, or wherever a separator is, which is at most everywhere."""
        by_lines = method == "splitlines" or any(
            isinstance(one, ast.Constant) and one.value in ("\n", b"\n") for one in arguments[:1]
        )
        if by_lines and whole.lines is not None:
            return Value(whole.lines + pieces if method != "splitlines" else whole.lines, whole.length, whole.lines)
        if method in ("partition", "rpartition"):
            return Value(pieces.scaled(3.0), whole.length, whole.lines)
        return Value(whole.length + pieces, whole.length, whole.lines)

    def _range(self, arguments: list[ast.expr], frame: Frame) -> Growth:
        numbers = [self.number(one, frame) for one in arguments]
        if len(numbers) < 3:
            return numbers[-1] if numbers else NOTHING
        step = self.value(arguments[2], frame).exact
        if step is not None and step > 0:
            return numbers[1].scaled(1 / step) + ONE
        return numbers[0] + numbers[1]

    def number(self, node: ast.expr, frame: Frame) -> Growth:
        """How large a number can be."""
        exact = self.value(node, frame).exact
        if exact is not None:
            return Growth(max(exact, 0.0))
        match node:
            case ast.Call(func=ast.Name(id="len"), args=[collection]):
                return self.value(collection, frame).length
            case ast.Call(func=ast.Name(id="min"), args=[first, second]):
                return self.number(first, frame).least(self.number(second, frame))
            case ast.Call(func=ast.Name(id="max"), args=[first, second]):
                return self.number(first, frame) + self.number(second, frame)
            case ast.Call(func=ast.Name(id="int" | "round") | ast.Attribute(attr="ceil" | "floor"), args=[inner]):
                return self.number(inner, frame) + ONE
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self.number(left, frame) + self.number(right, frame)
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                return self.number(left, frame) * self.number(right, frame)
            case ast.BinOp(left=left, op=ast.Sub()):
                return self.number(left, frame)
            case ast.BinOp(left=left, op=ast.FloorDiv() | ast.Div(), right=right):
                by = self.value(right, frame).exact
                return self.number(left, frame).scaled(1 / by if by and by > 1 else 1.0)
            case ast.Name(id=name):
                home = self._home(name, frame)
                assigned = self._assigned(name, home.node if home else self.tree)
                plain = [one.value for one in assigned if isinstance(one, (ast.Assign, ast.AnnAssign))]
                if home and name not in home.arguments and plain and len(plain) == len(assigned):
                    total = NOTHING
                    for value in plain:
                        if value is None or self._mentions(value, name):
                            return Growth.unseen("a number that changes decides how often")
                        total = total.join(self.number(value, home))
                    return total
        return Growth.unseen("a number that is not seen decides how often")

    # -- names ---------------------------------------------------------------------------------------------------

    def _home(self, name: str, frame: Frame) -> Frame | None:
        """The frame of the function that binds ``name``; None for the module and built-ins."""
        here: Frame | None = frame
        while here is not None and name not in self.bound(here.node) and name not in here.arguments:
            here = here.outer
        return here

    def _values(self, frame: Frame) -> frozenset[str]:
        """The names that stand for values here, not for modules."""
        modules = {
            alias.asname or alias.name.partition(".")[0]
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        names: set[str] = set(self.bound(self.tree))
        here: Frame | None = frame
        while here is not None:
            names |= self.bound(here.node) | here.arguments.keys() | self._targets(here.node)
            here = here.outer
        return frozenset(names - modules)

    def _targets(self, node: ast.AST) -> frozenset[str]:
        return frozenset(
            inner.id
            for part in ast.walk(node)
            if isinstance(part, ast.comprehension)
            for inner in ast.walk(part.target)
            if isinstance(inner, ast.Name)
        )

    def _named(self, name: str, frame: Frame) -> Value:
        home = self._home(name, frame)
        if home is not None and name in home.arguments:
            found: Value | None = home.arguments[name]
        else:
            found = None
        scope = home.node if home else self.tree
        around = home or frame
        # A comprehension's own target is bound in no function.
        if home is None and name not in self.bound(self.tree):
            return self._target(name, frame)
        added, inside = NOTHING, NOTHING
        for node in self._assigned(name, scope):
            match _one_by_one(node, name):
                case ast.FunctionDef() as function:
                    value = Value(callee=Frame(function, {}, home))
                case ast.Assign(targets=[ast.Name()], value=expression) | ast.AnnAssign(value=ast.expr() as expression):
                    if self._mentions(expression, name):
                        if _shrinks(expression, name):
                            continue
                        match expression:
                            case ast.BinOp(left=ast.Name(id=left), op=ast.Add(), right=right) if left == name:
                                more = self.product(node, around, right)
                                added, inside = added + more, inside + more
                                continue
                        value = Value()
                    else:
                        value = self.value(expression, around)
                case ast.For(target=target, iter=source):
                    value = self.value(source, around).element(unpacked=not isinstance(target, ast.Name))
                case ast.Assign(value=source):
                    value = self.value(source, around).element()
                case ast.NamedExpr(value=source):
                    value = self.value(source, around)
                case ast.AugAssign(op=ast.Add(), value=expression):
                    more = self.product(node, around, expression)
                    added, inside = added + more, inside + self.value(expression, around).inside
                    continue
                case ast.AugAssign():
                    continue
                case _:
                    value = Value()
            found = value if found is None else found.join(value)
        found = found or Value()
        for length, content in self._additions(name, scope, around):
            added, inside = added + length, inside + content
        if added.is_nothing and inside.is_nothing:
            return found
        return Value(found.length + added, found.inside + inside, None, found.callee)

    def _target(self, name: str, frame: Frame) -> Value:
        """The value of a name that only comprehensions bind."""
        found: Value | None = None
        here: Frame | None = frame
        while here is not None:
            for node in ast.walk(here.node):
                if isinstance(node, ast.comprehension) and any(
                    isinstance(inner, ast.Name) and inner.id == name for inner in ast.walk(node.target)
                ):
                    value = self.value(node.iter, here).element(unpacked=not isinstance(node.target, ast.Name))
                    found = value if found is None else found.join(value)
            here = here.outer
        return found or Value()

    def _assigned(self, name: str, scope: ast.AST) -> list[ast.AST]:
        """The nodes of ``scope`` that give ``name`` a value."""
        found: list[ast.AST] = []
        for node in self._own(scope):
            match node:
                case ast.FunctionDef(name=defined) if defined == name:
                    found.append(node)
                case ast.Assign(targets=targets):
                    if any(_stores(target, name) for target in targets):
                        found.append(node)
                case ast.AnnAssign() | ast.AugAssign() | ast.NamedExpr() | ast.For():
                    if _stores(node.target, name):
                        found.append(node)
                case ast.ExceptHandler(name=bound) if bound == name:
                    found.append(node)
                case ast.withitem(optional_vars=ast.expr() as target) if _stores(target, name):
                    found.append(node)
                case ast.MatchAs(name=bound) | ast.MatchStar(name=bound) | ast.MatchMapping(rest=bound) if (
                    bound == name
                ):
                    found.append(node)
        return found

    def _own(self, scope: ast.AST) -> Iterator[ast.AST]:
        """The nodes of a scope's body, without the bodies of functions in it."""
        body = scope.body if isinstance(scope, (ast.Module, ast.FunctionDef)) else [getattr(scope, "body", scope)]
        waiting: list[ast.AST] = list(body)
        while waiting:
            node = waiting.pop(0)
            yield node
            if not isinstance(node, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
                waiting += ast.iter_child_nodes(node)

    def _additions(self, name: str, scope: ast.AST, frame: Frame) -> Iterator[tuple[Growth, Growth]]:
        """What is put into the collection ``name``: how many elements, and how much inside of them."""
        own = set(self._own(scope))
        for node in ast.walk(scope):
            match node:
                case ast.Call(func=ast.Attribute(value=target, attr=method), args=arguments):
                    depth = _depth_of(target, name)
                    if depth is None or method not in _ADDING | _EXTENDING:
                        continue
                    if node not in own:
                        yield Growth.unseen("a function inside adds to it"), _UNSEEN
                    elif method in _EXTENDING:
                        many = self.product(node, frame, arguments[0]) if arguments else NOTHING
                        yield many if depth == 0 else self.executions(node, frame), many
                    else:
                        times = self.executions(node, frame)
                        content = self.product(node, frame, arguments[-1]) if depth == 0 and arguments else times
                        yield times, content
                case ast.Assign(targets=[ast.Subscript(value=target)], value=value):
                    if _depth_of(target, name) is not None:
                        yield self.executions(node, frame), self.product(node, frame, value)
                case ast.AugAssign(target=ast.Subscript(value=target), value=value):
                    if _depth_of(target, name) is not None:
                        yield self.executions(node, frame), self.product(node, frame, value)
                case ast.Call(func=ast.Name(id=function), args=arguments) if any(
                    isinstance(one, ast.Name) and one.id == name for one in arguments
                ):
                    defined = [one for one in self._assigned(function, self.tree) if isinstance(one, ast.FunctionDef)]
                    if any(self._changes_its_parameters(one) for one in defined):
                        yield Growth.unseen(f"{function} changes what it is given"), _UNSEEN

    def _changes_its_parameters(self, function: ast.FunctionDef) -> bool:
        names = self.parameters(function)
        for node in ast.walk(function):
            match node:
                case ast.Call(func=ast.Attribute(value=target, attr=method)) if method in _ADDING | _EXTENDING:
                    if any(_depth_of(target, name) is not None for name in names):
                        return True
                case ast.Assign(targets=[ast.Subscript(value=target)]) | ast.AugAssign(target=target):
                    if any(_depth_of(target, name) is not None for name in names):
                        return True
        return False

    # -- functions of the file -----------------------------------------------------------------------------------

    def argument_nodes(self, call: ast.Call, callee: Frame) -> dict[str, ast.expr]:
        """The expressions that a call gives to the parameters."""
        arguments = callee.node.args
        names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
        given = dict(zip(names, call.args, strict=False))
        return {**given, **{keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}}

    def bind(self, call: ast.Call, callee: Frame, frame: Frame) -> dict[str, Value] | None:
        """What a call gives to the parameters; None when stars hide it."""
        arguments = callee.node.args
        if any(isinstance(one, ast.Starred) for one in call.args) or any(one.arg is None for one in call.keywords):
            return None
        given = {name: self.value(node, frame) for name, node in self.argument_nodes(call, callee).items()}
        outer = callee.outer or Frame(callee.node, {}, None)
        positional = [*arguments.posonlyargs, *arguments.args]
        defaults = dict(zip([one.arg for one in positional[::-1]], arguments.defaults[::-1], strict=False))
        named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        defaults |= {one.arg: default for one, default in named if default is not None}
        for name in self.parameters(callee.node):
            if name not in given:
                given[name] = self.value(defaults[name], outer) if name in defaults else Value()
        if arguments.kwarg is not None and any(self.callee(one.value, frame) for one in call.keywords):
            given[arguments.kwarg.arg] = Value()
        return given

    def _returned(self, call: ast.Call, callee: Frame, frame: Frame) -> Value:
        given = self.bind(call, callee, frame)
        if given is None:
            return Value()
        inner = callee.called(given, frame)
        if inner.depth > MOST_DEPTH:
            return Value()
        if isinstance(callee.node, ast.Lambda):
            return self.value(callee.node.body, inner)
        found: Value | None = None
        yielded: list[tuple[Growth, Growth]] = []
        for node in self._own(callee.node):
            match node:
                case ast.Return(value=ast.expr() as value):
                    one = self.value(value, inner)
                    found = one if found is None else found.join(one)
                case ast.Yield(value=ast.expr() as value):
                    yielded.append((self.executions(node, inner), self.product(node, inner, value)))
                case ast.YieldFrom(value=value):
                    yielded.append((self.product(node, inner, value), self.value(value, inner).inside))
        if yielded:
            length, inside = NOTHING, NOTHING
            for many, content in yielded:
                length, inside = length + many, inside + content
            return Value(length, inside)
        return found or Value(NOTHING, NOTHING)

    def asks(self, function: Frame) -> bool:
        """Whether a function mentions recursive_llm, or another function that does, without being given it."""
        own = set(self.parameters(function.node)) | self.bound(function.node)
        for node in ast.walk(function.node):
            if isinstance(node, ast.Name) and node.id not in own:
                callee = self.callee(node, function.outer) if function.outer else self._module_callee(node)
                if callee is LLM or callee == "map":
                    return True
                if isinstance(callee, Frame) and callee.node is not function.node and self.asks(callee):
                    return True
        return False

    def _module_callee(self, node: ast.Name) -> Frame | None:
        defined = [one for one in self._assigned(node.id, self.tree) if isinstance(one, ast.FunctionDef)]
        return Frame(defined[0], {}, None) if defined else None

    def _mentions(self, node: ast.AST, name: str) -> bool:
        return any(isinstance(inner, ast.Name) and inner.id == name for inner in ast.walk(node))

    def _is_inside(self, node: ast.AST, whole: ast.AST) -> bool:
        return any(inner is node for inner in ast.walk(whole))


def _stores(target: ast.AST, name: str) -> bool:
    """Whether an assignment to ``target`` gives ``name`` a value; an element of it is no value of its own."""
    match target:
        case ast.Name(id=found):
            return found == name
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return any(_stores(part, name) for part in parts)
        case ast.Starred(value=inner):
            return _stores(inner, name)
        case _:
            return False


def _one_by_one(node: ast.AST, name: str) -> ast.AST:
    """Of ``a, b = x, y`` the assignment to ``name`` alone; any other node as it is."""
    match node:
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if len(targets) == len(values):
            for target, value in zip(targets, values, strict=True):
                if isinstance(target, ast.Name) and target.id == name:
                    return ast.copy_location(ast.Assign([target], value), node)
    return node


def _depth_of(target: ast.expr, name: str) -> int | None:
    """How deep in ``name`` an element lies: 0 for ``name`` itself, 1 for ``name[k]``; None when it is another."""
    match target:
        case ast.Name(id=found):
            return 0 if found == name else None
        case ast.Subscript(value=inner) | ast.Call(func=ast.Attribute(value=inner, attr="setdefault")):
            depth = _depth_of(inner, name)
            return None if depth is None else depth + 1
        case _:
            return None


def _shrinks(expression: ast.expr, name: str) -> bool:
    """Whether ``name = expression`` only leaves something out, or puts it in another order."""
    match expression:
        case ast.Subscript(value=ast.Name(id=found), slice=ast.Slice()):
            return found == name
        case ast.Call(func=ast.Name(id="sorted" | "list" | "set" | "tuple"), args=[ast.Name(id=found), *_]):
            return found == name
        case ast.Call(func=ast.Attribute(value=ast.Name(id=found), attr=method)):
            return found == name and method in _SAME_METHODS
        case ast.ListComp(
            elt=ast.Name(id=kept), generators=[ast.comprehension(target=ast.Name(id=target), iter=source)]
        ):
            return kept == target and isinstance(source, ast.Name) and source.id == name
        case _:
            return False


def _joined(first: Value, second: Value) -> Value:
    lines = first.lines + second.lines if first.lines and second.lines else None
    return Value(first.length + second.length, first.inside + second.inside, lines)


def _iter_of(loop: Loop) -> ast.expr:
    assert not isinstance(loop, ast.While)
    return loop.iter


def _iterated(loop: Loop) -> str:
    """The name of the dict whose keys a loop goes through; empty when it is something else."""
    source = _iter_of(loop)
    while isinstance(source, ast.Call):
        if isinstance(source.func, ast.Attribute) and source.func.attr in ("keys", "items"):
            source = source.func.value
        elif isinstance(source.func, ast.Name) and source.func.id in ("sorted", "list") and source.args:
            source = source.args[0]
        else:
            break
    return source.id if isinstance(source, ast.Name) else ""
