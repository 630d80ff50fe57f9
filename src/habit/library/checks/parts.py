"""Parts of a whole: what a loop hands out piece by piece is together no more than what it goes through."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from dataclasses import dataclass

from habit.library.checks.builtin_lengths import CUTTING, SAME, SAME_METHODS, SECOND, split_up
from habit.library.checks.syntax import Loop, Scopes, iter_of, iterated
from habit.library.checks.values import Frame, Value


@dataclass
class Parts(Scopes, ABC):
    """Finds of which loop an expression is a part, and what all the parts are together."""

    @abstractmethod
    def value(self, node: ast.expr, frame: Frame) -> Value:
        """What is known of an expression."""

    @abstractmethod
    def named(self, name: str, frame: Frame) -> Value:
        """What is known of a name."""

    def loop_of(self, node: ast.expr, frame: Frame) -> Loop | None:
        """The loop whose parts ``node`` is one of."""
        part = self._part(node, frame)
        return part[0] if part and part[0] in self._loops(node, frame) else None

    def _part(self, node: ast.expr, frame: Frame) -> tuple[Loop, Value] | None:
        """The loop that ``node`` is one part of each round, and what all these parts are together."""
        match node:
            case ast.Name(id=name):
                return self._part_named(name, node, frame)
            case ast.Subscript(value=base, slice=ast.Slice() as cut):
                return self._window(base, cut, frame) or self._part(base, frame)
            case ast.Subscript(value=ast.Name(id=group), slice=ast.Name(id=key)) if (
                part := self._part_named(key, node, frame)
            ) and iterated(part[0]) == group:
                return part[0], self.named(group, frame).parts(unpacked=True)
            case ast.Subscript(value=base):
                return self._part(base, frame)
            case ast.Call(func=ast.Attribute(value=ast.Constant(value=str())), args=[pieces]):  # "\n".join(pieces)
                part = self._part(pieces, frame)
                return part and (part[0], Value(part[1].inside + part[1].length, part[1].inside, part[1].length))
            case ast.Call(func=ast.Attribute(value=base, attr=method), args=arguments) if not any(
                isinstance(inner, ast.Name) and inner.id in ("re", "csv", "json", "io") for inner in [base]
            ):
                part = self._part(base, frame)
                if part is None or method not in SAME_METHODS | CUTTING | {"get"}:
                    return None
                if method in CUTTING:
                    return part[0], split_up(part[1], method, arguments, self.value(iter_of(part[0]), frame).length)
                return part
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[first, *_]):
                if name in SAME | {"loads"}:
                    return self._part(first, frame)
                if name in SECOND and len(node.args) > 1:
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
