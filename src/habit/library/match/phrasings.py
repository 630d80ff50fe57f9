"""Remembered phrasings: questions confirmed by use, as templates, so that a family needs no model to be matched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


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
