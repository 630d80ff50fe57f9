"""Aligning a question with a phrasing: every word accounted for, slots filled with spans of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from habit.library.match.templates import POLITE, POLITE_ENDINGS, Element, Slot, Word
from habit.library.match.words import ARTICLES, Token

_LONGEST_VALUE = 8
"""Tokens of a value that is not a list."""
_LONGEST_LIST = 60
_MOST_STEPS = 20_000
_MOST_READINGS = 64

Spans = Mapping[str, tuple[int, int]]
"""For each slot, the first token and the one after the last."""


def trimmed(tokens: Sequence[Token]) -> list[Token]:
    """The question without what is said out of politeness, and without a name for the input at its end."""
    norms = tuple(token.norm for token in tokens)
    start, end = 0, len(norms)
    changed = True
    while changed:
        changed = False
        for words in POLITE:
            if end - start > len(words) and norms[start : start + len(words)] == words:
                start, changed = start + len(words), True
        for words in POLITE_ENDINGS:
            if end - start > len(words) and norms[end - len(words) : end] == words:
                end, changed = end - len(words), True
    return list(tokens[start:end])


@dataclass
class Effort:
    """Steps that may still be taken, over any number of phrasings: a library may come from anywhere."""

    left: int

    def take(self, steps: int) -> bool:
        """Take so many; whether there were as many left."""
        self.left -= steps
        return self.left >= 0


def readings(
    elements: Sequence[Element], tokens: Sequence[Token], lists: frozenset[str], effort: Effort | None = None
) -> list[Spans]:
    """All ways to read ``tokens`` as the phrasing ``elements``; ``lists`` names the slots that take several items.

    Bounded: a question with too many readings has none. What it takes is taken from ``effort``.
    """
    if not tokens or len(elements) > len(tokens) * 5 + 20:
        return []
    most = _MOST_STEPS if effort is None else max(min(_MOST_STEPS, effort.left), 0)
    search = _Search(elements, tokens, lists, most)
    found = list(search.run(0, 0, {}))
    enough = effort is None or effort.take(search.steps)
    return [] if not enough or search.steps > most or len(found) > _MOST_READINGS else found


class _Search:
    def __init__(self, elements: Sequence[Element], tokens: Sequence[Token], lists: frozenset[str], most: int) -> None:
        self.elements = elements
        self.tokens = tokens
        self.lists = lists
        self.most = most
        self.steps = 0

    def run(self, element: int, token: int, spans: dict[str, tuple[int, int]]) -> Iterator[Spans]:
        self.steps += 1
        if self.steps > self.most:
            return
        if element == len(self.elements):
            if all(self._is_article(rest) for rest in self.tokens[token:]):
                yield dict(spans)
            return
        wanted = self.elements[element]
        if isinstance(wanted, Word) and wanted.optional:
            yield from self.run(element + 1, token, spans)
        if token == len(self.tokens):
            return
        if isinstance(wanted, Word):
            if self.tokens[token].norm == wanted.norm:
                yield from self.run(element + 1, token + 1, spans)
            elif self._is_article(self.tokens[token]) and not wanted.optional:
                yield from self.run(element, token + 1, spans)
            return
        yield from self._fill(wanted, element, token, spans)

    def _fill(self, slot: Slot, element: int, token: int, spans: dict[str, tuple[int, int]]) -> Iterator[Spans]:
        longest = _LONGEST_LIST if slot.name in self.lists else _LONGEST_VALUE
        for end in range(token + 1, min(token + longest, len(self.tokens)) + 1):
            yield from self.run(element + 1, end, {**spans, slot.name: (token, end)})
        if self._is_article(self.tokens[token]):
            yield from self.run(element, token + 1, spans)

    @staticmethod
    def _is_article(token: Token) -> bool:
        return token.norm in ARTICLES
