"""What is known of a value in a scheduler: how long it is, and how much is inside of its elements all together."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from habit.library.checks.growth import Growth

LLM: Final = "recursive_llm"
Function = ast.FunctionDef | ast.Lambda
UNSEEN = Growth.unseen("it is not seen how long the list is")


@dataclass(frozen=True)
class Value:
    """What is known of a value: how long it is, and how much is inside of its elements all together."""

    length: Growth = UNSEEN
    inside: Growth = UNSEEN
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
