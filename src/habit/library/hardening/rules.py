"""Deterministic rules that may stand in for a leaf call: what they reply to a text, or that they do not know.

A rule replies only inside of what it was shown; everything else is left to the leaf call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

NUMBER = r"-?\d+(?:\.\d+)?"
WORD = r"[^\W_][\w'-]*"
_PATTERNS: Mapping[str, str] = {
    "an e-mail address": r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    "a date": r"\d{4}-\d{2}-\d{2}",
    "a link": r"https?://[^\s<>\"')\]]+",
    "a number": NUMBER,
    "a time": r"\d{1,2}:\d{2}(?::\d{2})?",
    "a word in capitals": r"\b[A-Z][A-Z0-9_]{2,}\b",
}
_MOST_MARKS = 3
"""Words that may stand for one reply."""
_LEAST_MARK = 3
"""Examples that a word must occur in before it may stand for a reply."""
_TIMES_SEEN = 3
"""How often the texts of a closed set must have come, on average."""


class Rule(Protocol):
    """What stands in for a leaf call."""

    @property
    def says(self) -> str:
        """The rule in a sentence, for people."""
        ...

    def reply(self, text: str) -> Any:
        """What it replies; None when it does not know."""
        ...

    def body(self) -> str:
        """The same as the statements of a function of ``text``."""
        ...


@dataclass(frozen=True)
class Lookup:
    """A closed set of texts."""

    known: Mapping[str, Any]

    @property
    def says(self) -> str:
        """The rule in a sentence."""
        return f"{len(self.known)} texts that come again and again have their replies"

    def reply(self, text: str) -> Any:
        """What it replies."""
        return self.known.get(text)

    def body(self) -> str:
        """As code."""
        entries = "".join(f"\n    {key!r}: {value!r}," for key, value in sorted(self.known.items()))
        return f"known = {{{entries}\n}}\nreturn known.get(text)"


@dataclass(frozen=True)
class Marks:
    """Words, each of which stands for one reply; the replies whose words are there must agree."""

    words: Mapping[str, Any]

    @property
    def says(self) -> str:
        """The rule in a sentence."""
        parts = [f"{word} means {reply!r}" for word, reply in sorted(self.words.items())]
        return f"words decide: {', '.join(parts)}"

    def reply(self, text: str) -> Any:
        """What it replies."""
        found = [self.words[word] for word in set(words_of(text)) if word in self.words]
        return found[0] if found and all(_same(one, found[0]) for one in found) else None

    def body(self) -> str:
        """As code."""
        entries = "".join(f"\n    {key!r}: {value!r}," for key, value in sorted(self.words.items()))
        return (
            f"marks = {{{entries}\n}}\n"
            f"found = [marks[word] for word in re.findall({WORD!r}, text.casefold()) if word in marks]\n"
            "return found[0] if found and all(one == found[0] for one in found) else None"
        )


@dataclass(frozen=True)
class Threshold:
    """The one number in a text, above or below a limit; what lies between the examples is not known."""

    low: float
    """Numbers up to this are below."""
    high: float
    """Numbers from this on are above."""
    below: Any
    above: Any

    @property
    def says(self) -> str:
        """The rule in a sentence."""
        return f"a number up to {self.low:g} means {self.below!r}, from {self.high:g} on {self.above!r}"

    def reply(self, text: str) -> Any:
        """What it replies."""
        numbers = re.findall(NUMBER, text)
        if len(numbers) != 1:
            return None
        number = float(numbers[0])
        return self.below if number <= self.low else self.above if number >= self.high else None

    def body(self) -> str:
        """As code."""
        return (
            f"numbers = re.findall({NUMBER!r}, text)\nif len(numbers) != 1:\n    return None\n"
            f"number = float(numbers[0])\nif number <= {self.low!r}:\n    return {self.below!r}\n"
            f"return {self.above!r} if number >= {self.high!r} else None"
        )


@dataclass(frozen=True)
class Taken:
    """A part of the text, found by a pattern that matches just once."""

    pattern: str
    what: str
    kind: str
    """``str``, ``int`` or ``float``: what the part is read as."""

    @property
    def says(self) -> str:
        """The rule in a sentence."""
        return f"the reply is {self.what}, taken from the text"

    def reply(self, text: str) -> Any:
        """What it replies."""
        found = re.findall(self.pattern, text)
        if len(found) != 1:
            return None
        try:
            return _READ[self.kind](found[0])
        except ValueError:
            return None

    def body(self) -> str:
        """As code."""
        one = "found[0]" if self.kind == "str" else f"{self.kind}(found[0])"
        condition = "len(found) == 1"
        if self.kind == "int":
            condition += " and '.' not in found[0]"
        return f"found = re.findall({self.pattern!r}, text)\nreturn {one} if {condition} else None"


_READ: Mapping[str, Callable[[str], Any]] = {"str": str, "int": int, "float": float}


def words_of(text: str) -> list[str]:
    """The words of a text, as rules compare them."""
    return re.findall(WORD, text.casefold())


Example = tuple[str, Any]
"""A text, and the reply it got."""


def fit(examples: Sequence[Example]) -> list[Rule]:
    """Rules that reply to each example as was replied, or do not know it; the one that knows most first."""
    proposed: list[Rule | None] = [_taken(examples), _threshold(examples), _marks(examples), _lookup(examples)]
    rules = [rule for rule in proposed if rule is not None and agrees(rule, examples)]
    return sorted(rules, key=lambda rule: -known(rule, examples))


def agrees(rule: Rule, examples: Sequence[Example]) -> bool:
    """Whether it contradicts no example."""
    replies = ((rule.reply(text), reply) for text, reply in examples)
    return all(given is None or _same(given, reply) for given, reply in replies)


def known(rule: Rule, examples: Sequence[Example]) -> int:
    """To how many examples it replies."""
    return sum(rule.reply(text) is not None for text, _ in examples)


def _same(one: Any, other: Any) -> bool:
    """Equal, and of one type: True is not 1 here."""
    return type(one) is type(other) and bool(one == other)


def _lookup(examples: Sequence[Example]) -> Rule | None:
    replies: dict[str, Any] = {}
    for text, reply in examples:
        if text in replies and not _same(replies[text], reply):
            return None
        replies[text] = reply
    return Lookup(replies) if len(examples) >= _TIMES_SEEN * len(replies) else None


def _marks(examples: Sequence[Example]) -> Rule | None:
    """For each reply up to three words that only its texts have and that reach the most of them."""
    labels: list[Any] = []
    for _, reply in examples:
        if not any(_same(reply, label) for label in labels):
            labels.append(reply)
    if not 2 <= len(labels) <= 20 or any(isinstance(label, (list, dict)) for label in labels):
        return None
    bags = [(frozenset(words_of(text)), reply) for text, reply in examples]
    chosen: dict[str, Any] = {}
    for label in labels:
        inside = [bag for bag, reply in bags if _same(reply, label)]
        outside = frozenset().union(*(bag for bag, reply in bags if not _same(reply, label)))
        waiting = list(inside)
        for _ in range(_MOST_MARKS):
            counts: dict[str, int] = {}
            for bag in waiting:
                for word in bag - outside:
                    counts[word] = counts.get(word, 0) + 1
            best = max(counts, key=lambda word: (counts[word], word), default=None)
            if best is None or counts[best] < _LEAST_MARK:
                break
            chosen[best] = label
            waiting = [bag for bag in waiting if best not in bag]
    return Marks(chosen) if chosen else None


def _threshold(examples: Sequence[Example]) -> Rule | None:
    numbers: list[tuple[float, Any]] = []
    for text, reply in examples:
        found = re.findall(NUMBER, text)
        if len(found) != 1 or not isinstance(reply, (bool, str)):
            return None
        numbers.append((float(found[0]), reply))
    numbers.sort(key=lambda one: one[0])
    if not numbers or _same(numbers[0][1], numbers[-1][1]):
        return None
    below, above = numbers[0][1], numbers[-1][1]
    turn = next(index for index, (_, reply) in enumerate(numbers) if not _same(reply, below))
    if any(not _same(reply, above) for _, reply in numbers[turn:]) or numbers[turn - 1][0] == numbers[turn][0]:
        return None
    return Threshold(numbers[turn - 1][0], numbers[turn][0], below, above)


def _taken(examples: Sequence[Example]) -> Rule | None:
    kinds = {type(reply).__name__ for _, reply in examples}
    if len(kinds) != 1 or next(iter(kinds)) not in _READ:
        return None
    kind = next(iter(kinds))
    candidates = [Taken(pattern, what, kind) for what, pattern in _PATTERNS.items()]
    value = r".*\S" if kind == "str" else NUMBER
    candidates += [
        Taken(rf"(?m)^[ \t]*{re.escape(key)}[ \t]*[:=][ \t]*({value})[ \t]*$", f"what stands after {key!r}", kind)
        for key in _keys(examples[0][0])
    ]
    fitting = [rule for rule in candidates if all(_same(rule.reply(text), reply) for text, reply in examples)]
    return fitting[0] if fitting else None


def _keys(text: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"(?m)^[ \t]*([A-Za-z][\w -]{0,30}?)[ \t]*[:=][ \t]*\S", text)))[:20]
