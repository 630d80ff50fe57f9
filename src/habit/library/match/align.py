"""Aligning a question with a phrasing: every word accounted for, slots filled with spans of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

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
    left = list(tokens)
    changed = True
    while changed:
        changed = False
        for words in POLITE:
            if len(left) > len(words) and tuple(token.norm for token in left[: len(words)]) == words:
                left, changed = left[len(words) :], True
        for words in POLITE_ENDINGS:
            if len(left) > len(words) and tuple(token.norm for token in left[-len(words) :]) == words:
                left, changed = left[: -len(words)], True
    return left


def readings(elements: Sequence[Element], tokens: Sequence[Token], lists: frozenset[str]) -> list[Spans]:
    """All ways to read ``tokens`` as the phrasing ``elements``; ``lists`` names the slots that take several items.

    Bounded: a question with too many readings has none.
    """
    if not tokens or len(elements) > len(tokens) * 5 + 20:
        return []
    search = _Search(elements, tokens, lists)
    found = list(search.run(0, 0, {}))
    return [] if search.steps > _MOST_STEPS or len(found) > _MOST_READINGS else found


class _Search:
    def __init__(self, elements: Sequence[Element], tokens: Sequence[Token], lists: frozenset[str]) -> None:
        self.elements = elements
        self.tokens = tokens
        self.lists = lists
        self.steps = 0

    def run(self, element: int, token: int, spans: dict[str, tuple[int, int]]) -> Iterator[Spans]:
        self.steps += 1
        if self.steps > _MOST_STEPS:
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
