"""How long the collections in a scheduler can be, and how often its loops go round, as a function of the context.

Every name is taken for whatever it may hold anywhere in its function; what is added to a collection is counted where
it is added. Parts of a whole, as in a loop over groups with a loop over each group inside, are no more than the whole.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from habit.library.checks.builtin_lengths import (
    ADDING,
    CUTTING,
    EXTENDING,
    SAME_METHODS,
    SEARCHING,
    given_by,
    split_up,
)
from habit.library.checks.growth import BYTES, NOTHING, ONE, RECORDS, Growth
from habit.library.checks.parts import Parts
from habit.library.checks.syntax import Loop, depth_of, one_by_one, shrinks
from habit.library.checks.values import LLM, UNSEEN, Frame, Value
from habit.library.checks.whiles import rounds

MOST_DEPTH = 20
"""Calls of functions inside one another that are followed."""
MOST_STEPS = 100_000
"""Expressions looked at before the code is called too entangled."""


@dataclass
class Lengths(Parts):
    """Reads the values of one module."""

    reply: str = "a reply decides how often"
    """Why what a model replies has no bound."""
    _steps: int = 0
    _known: dict[tuple[ast.AST, Frame], Value | None] = field(default_factory=dict)

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
                return self.named(name, frame)
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
        if isinstance(element, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            inside = self.value(element, frame).length  # of all its rounds together already
        else:
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
            case ast.Attribute(value=base, attr=method) if method in SEARCHING and self._is_pattern(base, frame):
                return given_by(method, [Value(), *(self.value(one, frame) for one in arguments)])
            case ast.Attribute(value=base, attr=method) if not isinstance(base, ast.Name) or base.id in self._values(
                frame
            ):
                whole = self.value(base, frame)
                if method == "most_common" and arguments:
                    exact = self.value(arguments[0], frame).exact
                    return replace(whole.same(None if exact is None else Growth(exact)), width=2.0)
                if method in CUTTING:
                    return split_up(whole, method, arguments, ONE)
                if method == "join" and arguments:
                    pieces = self.value(arguments[0], frame)
                    lines = pieces.length if pieces.lines is None else pieces.lines.join(pieces.length)
                    return Value(pieces.inside + pieces.length, pieces.inside + pieces.length, lines)
                if method == "items":
                    return replace(whole.same(), width=2.0)
                if method in SAME_METHODS:
                    return replace(whole.same(), deep=whole.deep and method == "copy")
                if method == "get":
                    return Value(RECORDS, BYTES) if whole.deep else whole.element()
                return Value()
            case ast.Name(id=name) | ast.Attribute(attr=name):
                return given_by(name, [self.value(one, frame) for one in arguments])
        return Value()

    def _is_pattern(self, node: ast.expr, frame: Frame) -> bool:
        """Whether it is a compiled regular expression, and nothing else at any time."""
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr="compile")):
                return True
            case ast.Name(id=name):
                home = self._home(name, frame)
                if home is not None and name in home.arguments:
                    return False
                assigned = self._assigned(name, home.node if home else self.tree)
                values = [one.value for one in assigned if isinstance(one, (ast.Assign, ast.AnnAssign))]
                calls = [value for value in values if isinstance(value, ast.Call)]
                return (
                    bool(calls) and len(calls) == len(assigned) and all(self._is_pattern(one, frame) for one in calls)
                )
            case _:
                return False

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

    def named(self, name: str, frame: Frame) -> Value:
        """What is known of a name: whatever it may hold anywhere in its function."""
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
            match one_by_one(node, name):
                case ast.FunctionDef() as function:
                    value = Value(callee=Frame(function, {}, home))
                case ast.Assign(targets=[ast.Name()], value=expression) | ast.AnnAssign(value=ast.expr() as expression):
                    if self._mentions(expression, name):
                        if shrinks(expression, name):
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

    def _additions(self, name: str, scope: ast.AST, frame: Frame) -> Iterator[tuple[Growth, Growth]]:
        """What is put into the collection ``name``: how many elements, and how much inside of them."""
        own = set(self._own(scope))
        for node in ast.walk(scope):
            match node:
                case ast.Call(func=ast.Attribute(value=target, attr=method), args=arguments):
                    depth = depth_of(target, name)
                    if depth is None or method not in ADDING | EXTENDING:
                        continue
                    if node not in own:
                        yield Growth.unseen("a function inside adds to it"), UNSEEN
                    elif method in EXTENDING:
                        many = self.product(node, frame, arguments[0]) if arguments else NOTHING
                        yield many if depth == 0 else self.executions(node, frame), many
                    else:
                        times = self.executions(node, frame)
                        content = self.product(node, frame, arguments[-1]) if depth == 0 and arguments else times
                        yield times, content
                case ast.Assign(targets=[ast.Subscript(value=target)], value=value):
                    if depth_of(target, name) is not None:
                        yield self.executions(node, frame), self.product(node, frame, value)
                case ast.AugAssign(target=ast.Subscript(value=target), value=value):
                    if depth_of(target, name) is not None:
                        yield self.executions(node, frame), self.product(node, frame, value)
                case ast.Call(func=ast.Name(id=function), args=arguments) if any(
                    isinstance(one, ast.Name) and one.id == name for one in arguments
                ):
                    defined = [one for one in self._assigned(function, self.tree) if isinstance(one, ast.FunctionDef)]
                    if any(self._changes_its_parameters(one) for one in defined):
                        yield Growth.unseen(f"{function} changes what it is given"), UNSEEN

    # -- functions of the file -----------------------------------------------------------------------------------

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


def _joined(first: Value, second: Value) -> Value:
    lines = first.lines + second.lines if first.lines and second.lines else None
    return Value(first.length + second.length, first.inside + second.inside, lines)
