"""How many leaf calls a scheduler can make: read off its code as a function of the context.

Calls are counted where they stand, times how often the loops around them go round; functions of the file are counted
at each place that calls them. What cannot be counted is refused with what to write instead.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from habit.library.checks.growth import BYTES, NOTHING, ONE, RECORDS, Growth
from habit.library.checks.lengths import Lengths
from habit.library.checks.report import Finding
from habit.library.checks.values import LLM, Frame, Value
from habit.library.spec import HabitSpec

MOST_DEPTH = 20
MOST_STEPS = 200_000
"""Nodes looked at before the code is called too entangled to count."""
LIST_ITEMS = 16
"""How long a list among the parameters is taken to be at least."""
_REMEDY = "call recursive_llm in a for loop over the records of context, or over a fixed part of a list, such as [:20]"
_HIGHER = frozenset(
    {"map", "filter", "sorted", "min", "max", "reduce", "sort", "filterfalse", "takewhile", "dropwhile"}
)


def count_calls(tree: ast.Module, scheduler: ast.FunctionDef, spec: HabitSpec) -> tuple[Growth, list[Finding]]:
    """The most leaf calls one use can make, and what stands in the way of knowing it."""
    counter = _Counter(Lengths(tree))
    kinds = {contract.kind for contract in (spec.contract, *spec.also)}
    arguments = {"context": _context(kinds), "recursive_llm": Value(callee=LLM)}
    for name, parameter in spec.parameters.items():
        items = max(LIST_ITEMS, len(parameter.example)) if isinstance(parameter.example, list) else 0
        known = Growth(float(items)) if items else Growth.unseen(f"the parameter {name} decides how often")
        arguments[name] = Value(known, Growth.unseen(f"the parameter {name} decides how often"))
    total = counter.count(Frame(scheduler, arguments, None))
    findings = [
        Finding("calls", line, f"its leaf calls have no bound that can be seen, because {why}", _REMEDY)
        for line, why in sorted(counter.troubles.items())
    ]
    if total.beyond and not findings:
        why = f"its leaf calls have no bound that can be seen, because {total.beyond}"
        findings = [Finding("calls", scheduler.lineno, why, _REMEDY)]
    return total, findings


def _context(kinds: Collection[str]) -> Value:
    """What is known of a context: a text, parsed JSON, or now one and now the other."""
    if set(kinds) == {"text"}:
        return Value(BYTES, BYTES, lines=RECORDS)
    if set(kinds) == {"json"}:
        return Value(RECORDS, BYTES, deep=True)
    return Value(BYTES.join(RECORDS), BYTES, lines=RECORDS, deep=True)


@dataclass
class _Counter:
    lengths: Lengths
    troubles: dict[int, str] = field(default_factory=dict)
    steps: int = 0

    def count(self, frame: Frame) -> Growth:
        """The calls of one invocation of the function of ``frame``."""
        if frame.depth > MOST_DEPTH or self.steps > MOST_STEPS:
            return Growth.unseen("its functions call each other too deeply")
        body = [frame.node.body] if isinstance(frame.node, ast.Lambda) else frame.node.body
        return self._all(body, frame)

    def _all(self, nodes: Iterable[ast.AST], frame: Frame) -> Growth:
        total = NOTHING
        for node in nodes:
            total += self._walk(node, frame)
        return total

    def _walk(self, node: ast.AST, frame: Frame) -> Growth:
        """The calls of all the times that ``node`` is run. Of two branches the larger counts."""
        self.steps += 1
        match node:
            case ast.FunctionDef():
                return NOTHING  # Counted where it is called.
            case ast.Lambda():
                kept = self._is_laden(node, frame) and not self._is_in_sight(node)
                return self._noted(node, Growth.unseen("a lambda asks that is kept")) if kept else NOTHING
            case ast.ClassDef():
                names = [one for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)]
                asks = any(self._is_laden(one, frame) for one in names)
                return self._noted(node, Growth.unseen(f"the class {node.name} asks")) if asks else NOTHING
            case ast.If(test=test, body=body, orelse=other):
                return self._walk(test, frame) + self._all(body, frame).join(self._all(other, frame))
            case ast.IfExp(test=test, body=one, orelse=another):
                return self._walk(test, frame) + self._walk(one, frame).join(self._walk(another, frame))
            case ast.Match(subject=subject, cases=cases):
                total = NOTHING
                for case in cases:
                    total = total.join(self._all(case.body, frame))
                guards = [case.guard for case in cases if case.guard is not None]
                return self._walk(subject, frame) + self._all(guards, frame) + total
            case ast.Call():
                return self._cost(node, frame) + self._all(ast.iter_child_nodes(node), frame)
            case ast.Name(ctx=ast.Load()) if self._is_laden(node, frame) and not self._is_in_sight(node):
                hidden = Growth.unseen(f"{node.id} is kept where its calls are not seen")
                return self._noted(node, hidden)
            case _:
                return self._all(ast.iter_child_nodes(node), frame)

    def _is_in_sight(self, node: ast.Name | ast.Lambda) -> bool:
        """Whether something that asks is called, given to a call, given a name, or only looked at."""
        match self.lengths.parent(node):
            case ast.Call() | ast.keyword() | ast.NamedExpr() | ast.Assign(targets=[ast.Name()]):
                return True
            case ast.Attribute(attr="map") as method:
                return isinstance(self.lengths.parent(method), (ast.Call, ast.Assign))
            case ast.If(test=test) | ast.IfExp(test=test):
                return test is node
            case ast.Compare(ops=[ast.Is() | ast.IsNot()]):
                return True
            case _:
                return False

    def _cost(self, call: ast.Call, frame: Frame) -> Growth:
        """What one call expression adds, over all the times it is run."""
        callee = self.lengths.callee(call.func, frame)
        if callee is LLM:
            return self._noted(call, self.lengths.executions(call, frame))
        if callee == "map":  # recursive_llm.map(query, items)
            if len(call.args) < 2:
                return self._noted(call, Growth.unseen("map is called without its items in second place"))
            return self._noted(call, self.lengths.product(call, frame, call.args[1]))
        if isinstance(callee, Frame):
            return self._function(call, callee, frame)
        laden = [argument for argument in _arguments(call) if self._is_laden(argument, frame)]
        if not laden:
            return NOTHING
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        if name == "getattr":
            return NOTHING
        if name not in _HIGHER:
            return self._noted(call, Growth.unseen(f"it gives recursive_llm to {ast.unparse(call.func)}"))
        return self._higher(call, laden, frame)

    def _higher(self, call: ast.Call, laden: Sequence[ast.expr], frame: Frame) -> Growth:
        """A function that asks, given to ``map``, ``sorted`` and the like: once for each item."""
        items = [one for one in call.args if one not in laden]
        if isinstance(call.func, ast.Attribute) and call.func.attr == "sort":
            items = [call.func.value]
        total = NOTHING
        for function in laden:
            target = self.lengths.callee(function, frame)
            if target is LLM:
                each = ONE
            elif isinstance(target, Frame):
                unseen = Value(Growth.unseen("it is not seen what the function is given"))
                names = self.lengths.parameters(target.node)
                each = self.count(target.called(dict.fromkeys(names, unseen), frame))
            else:
                each = Growth.unseen("it is not seen which function asks")
            times = self.lengths.product(call, frame, items[0]) if items else Growth.unseen("it is not seen over what")
            if each.beyond and isinstance(target, Frame):
                return each  # Told at its own line.
            total += times * each
        return self._noted(call, total)

    def _function(self, call: ast.Call, callee: Frame, frame: Frame) -> Growth:
        """A function of the file, counted with what it is given here.

        Where it is given a part of what the loop around it goes through, all those parts together are no more than
        the whole: so what grows in it is counted once for the whole, and what is fixed once for each part.
        """
        given = self.lengths.bind(call, callee, frame)
        if given is None:
            laden = self._is_laden(call.func, frame) or any(self._is_laden(one, frame) for one in _arguments(call))
            return self._noted(call, Growth.unseen("a function is called with * or **")) if laden else NOTHING
        times = self.lengths.executions(call, frame)
        each = self.count(callee.called(given, frame))
        if each.beyond:
            return each  # Told at its own line.
        if each.is_fixed or times.is_fixed:
            return self._noted(call, times * each)
        parts = {
            name: loop
            for name, argument in self.lengths.argument_nodes(call, callee).items()
            if (loop := self.lengths.loop_of(argument, frame)) is not None
        }
        without = {name: Value(ONE, ONE, ONE) if name in parts else value for name, value in given.items()}
        if parts and self.count(callee.called(without, frame)).is_fixed:
            outer = min(parts.values(), key=self.lengths.position)
            around = self.lengths.executions_around(outer, call, frame)
            growing = Growth(0.0, each.per_record, each.per_byte)
            return self._noted(call, times * Growth(each.fixed + 1.0) + around * growing)
        return self._noted(call, times * each)

    def _is_laden(self, node: ast.expr, frame: Frame) -> bool:
        """Whether ``node`` is recursive_llm, or a function that asks."""
        callee = self.lengths.callee(node, frame)
        return callee is LLM or callee == "map" or (isinstance(callee, Frame) and self.lengths.asks(callee))

    def _noted(self, call: ast.expr | ast.ClassDef, growth: Growth) -> Growth:
        if growth.beyond:
            self.troubles.setdefault(call.lineno, growth.beyond)
        return growth


def _arguments(call: ast.Call) -> Iterator[ast.expr]:
    yield from call.args
    yield from (keyword.value for keyword in call.keywords)


def unused(parameters: Mapping[str, object], scheduler: ast.FunctionDef) -> list[Finding]:
    """Parameters that the code never looks at: it would answer every question alike."""
    used = {node.id for node in ast.walk(scheduler) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return [
        Finding("signature", scheduler.lineno, f"it never uses the parameter {name}", "use it, or leave it out")
        for name in sorted(parameters.keys() - used)
    ]
