"""Phrasings as templates: literal words and slots, and the few rewordings that never change what is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from habit.library.match.words import ARTICLES, SIGNS, fold, tokens_of

_SLOT = re.compile(r"\{([A-Za-z]\w{0,60})(?::(and|or))?\}", re.ASCII)
_STANDS_FOR = "\ue000{}\ue001"
_MARK = re.compile("\ue000(\\d+)\ue001")
_MOST_SLOTS = 12

_COUNTING = ("how many", "what is the number of", "number of", "the number of", "count of", "count", "what number of")
_ASKING = ("", "tell me", "give me", "show me")
_POLITE = (
    *("please", "can you", "could you", "would you", "can you please", "could you please", "would you please"),
    *("i want to know", "i need to know", "i would like to know", "tell me", "please tell me", "can you tell me"),
    *("could you tell me", "could you please tell me", "can you please tell me", "hi", "hello"),
)
_POLITE_ENDINGS = ("please", "thanks", "thank you")
_WHERE = ("in this file", "in the file", "in this input", "in the data", "in this data", "in this table")


@dataclass(frozen=True)
class Word:
    """A word that must be there; an ``optional`` one may be left out."""

    norm: str
    optional: bool = False


@dataclass(frozen=True)
class Slot:
    """A place for the value of a parameter; ``joined`` says by what word the items of a list are joined."""

    name: str
    joined: str = "and"


Element = Word | Slot


@lru_cache(maxsize=4096)
def parse(template: str) -> tuple[Element, ...]:
    """The words and slots of a phrasing; nothing when it has no words, too many slots, or one of them twice."""
    slots: list[Slot] = []

    def mark(found: re.Match[str]) -> str:
        slots.append(Slot(found.group(1), found.group(2) or "and"))
        return f" {_STANDS_FOR.format(len(slots) - 1)} "

    text = _SLOT.sub(mark, re.sub("[\ue000\ue001]", "", template))
    elements: list[Element] = []
    for token in tokens_of(text):
        if token.quoted:
            # A slot in quotes is a slot; quoted words are a value that was never lifted, and must be there.
            inner = _MARK.fullmatch(token.text.strip())
            elements.append(slots[int(inner.group(1))] if inner else Word(fold(token.text)))
            continue
        found = _MARK.fullmatch(token.text)
        elements.append(slots[int(found.group(1))] if found else Word(token.norm))
    names = [slot.name for slot in slots]
    if len(set(names)) < len(names) or len(names) > _MOST_SLOTS or not any(isinstance(e, Word) for e in elements):
        return ()
    return tuple(elements)


@lru_cache(maxsize=4096)
def variants(template: str, choices: frozenset[str]) -> tuple[tuple[Element, ...], ...]:
    """The phrasing, and the same question in the frames that people use for it.

    ``choices`` names the parameters that take one of a few words, which can stand before a noun like an adjective.
    """
    first = parse(template)
    found = dict.fromkeys(_reframed(first, choices)) if first else {}
    return tuple(tuple(e for e in elements if not (isinstance(e, Word) and e.norm in ARTICLES)) for elements in found)


def _reframed(elements: tuple[Element, ...], choices: frozenset[str]) -> Iterator[tuple[Element, ...]]:
    for ordered in (elements, *_possessive(elements)):
        yield ordered
        rest = _after(ordered, _COUNTING)
        if rest is not None:
            yield from _counting(rest, choices)
        rest = _after(ordered, ("what is the",))
        if rest is not None:
            for opening in ("what is", "", *_ASKING[1:]):
                yield (*_words(opening), *rest)
        if _starts(ordered, ("which",)) and not _starts(ordered, ("which", "is")):
            yield (Word("what"), *ordered[1:])


def _counting(rest: tuple[Element, ...], choices: frozenset[str]) -> Iterator[tuple[Element, ...]]:
    yield (*_words("how many"), *rest)
    yield (*_words("how many of"), *rest)
    loose = tuple(_loosened(rest))
    bodies = [loose]
    attributive = _attributive(rest, choices)
    if attributive is not None:
        bodies.append(attributive)
        yield (*_words("how many"), *attributive)
        yield (*_words("how many"), *attributive, *_words("are there"))
    for opening in _COUNTING[1:]:
        for asking in _ASKING if opening in ("number of", "count of", "the number of") else ("",):
            for body in bodies:
                yield (*_words(asking), *_words(opening), *body)


def _loosened(rest: tuple[Element, ...]) -> Iterator[Element]:
    """``messages are spam`` as the end of ``the number of messages that are spam``: what joins them may be left out."""
    for index, element in enumerate(rest):
        if index:
            yield from (Word(word, optional=True) for word in ("that", "which", "who"))
        yield Word(element.norm, optional=True) if element in (Word("is"), Word("was")) else element


def _attributive(rest: tuple[Element, ...], choices: frozenset[str]) -> tuple[Element, ...] | None:
    """``messages are {label}`` as ``{label} messages``."""
    *noun, be, value = rest if len(rest) > 2 else (None, None, None)
    if not isinstance(value, Slot) or value.name not in choices or be not in (Word("is"), Word("was")):
        return None
    plain = [e for e in noun if isinstance(e, Word) and e.norm not in SIGNS | {"that", "of", "is", "was"}]
    return (value, *plain) if len(plain) == len(noun) else None


def _possessive(elements: tuple[Element, ...]) -> Iterator[tuple[Element, ...]]:
    """``the earliest ticket of {user}`` as ``{user}'s earliest ticket``."""
    for index, element in enumerate(elements):
        if not isinstance(element, Slot) or index < 3 or elements[index - 1] != Word("of"):
            continue
        start = next((i for i in range(index - 2, -1, -1) if elements[i] == Word("the")), None)
        noun = elements[start + 1 : index - 1] if start is not None else ()
        if start is not None and noun and all(isinstance(e, Word) and e.norm not in ("of", "is", "was") for e in noun):
            yield (*elements[:start], element, Word("'s"), *noun, *elements[index + 1 :])


def _words(text: str) -> tuple[Word, ...]:
    return tuple(Word(fold(word)) for word in text.split())


def _starts(elements: Sequence[Element], words: Sequence[str]) -> bool:
    return tuple(elements[: len(words)]) == tuple(Word(word) for word in words)


def _after(elements: tuple[Element, ...], openings: Sequence[str]) -> tuple[Element, ...] | None:
    for opening in openings:
        words = _words(opening)
        if elements[: len(words)] == words and len(elements) > len(words):
            return elements[len(words) :]
    return None


POLITE = tuple(sorted((tuple(fold(w) for w in text.split()) for text in _POLITE), key=len, reverse=True))
"""Openings that ask for nothing."""
POLITE_ENDINGS = tuple(tuple(fold(w) for w in text.split()) for text in (*_POLITE_ENDINGS, *_WHERE))
"""Endings that ask for nothing, or only name the input."""
