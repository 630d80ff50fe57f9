"""Remembered phrasings: questions confirmed by use, as templates, so that a family needs no model to be matched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from habit.library.match.templates import Slot, parse
from habit.library.spec import HabitSpec


class Phrasings(Protocol):
    """Where confirmed phrasings are kept, by the name of the habit. What it gives back is never trusted unread."""

    def lookup(self, habit: str) -> Sequence[str]:
        """The templates remembered for a habit, the oldest first."""
        ...

    def add(self, habit: str, template: str) -> None:
        """Remember a template; once is enough."""
        ...

    def remove(self, habit: str, template: str) -> None:
        """Forget a template, because an answer it led to was wrong."""
        ...


class RememberedPhrasings:
    """Phrasings in memory."""

    def __init__(self) -> None:
        self._by_habit: dict[str, dict[str, None]] = {}

    def lookup(self, habit: str) -> Sequence[str]:
        """The templates remembered for a habit, the oldest first."""
        return list(self._by_habit.get(habit, ()))

    def add(self, habit: str, template: str) -> None:
        """Remember a template; once is enough."""
        self._by_habit.setdefault(habit, {})[template] = None

    def remove(self, habit: str, template: str) -> None:
        """Forget a template."""
        self._by_habit.get(habit, {}).pop(template, None)


def template_of(question: str, written: Mapping[str, str], spec: HabitSpec) -> str | None:
    """The template that ``question`` is an instance of, given how it writes each parameter's value.

    None when a value does not stand in it exactly once, or when braces in it would be read as slots.
    """
    if "{" in question or "}" in question:
        return None
    template = question
    for name, text in sorted(written.items(), key=lambda item: -len(item[1])):
        if not text or template.count(text) != 1:
            return None
        template = template.replace(text, f"{{{name}}}")
    slots = {element.name for element in parse(template) if isinstance(element, Slot)}
    return template if slots == set(spec.parameters) else None


def literal_values(parameters: Mapping[str, Any]) -> dict[str, str]:
    """How values are written where nothing else is known: as Python writes them, without quotes."""
    return {
        name: ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in parameters.items()
    }
