"""The words of a question: tokens with their exact text, and which words may be passed over and which never."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

MOST_CHARS = 1_000
"""Longer questions than this are not matched: they say more than a phrasing can account for."""

ARTICLES = frozenset({"the", "a", "an"})
BE = {"is": "is", "are": "is", "was": "was", "were": "was"}
"""Number follows the noun; tense may matter, so it stays."""
_SIGNS = """
    not no never nor neither none nobody nothing without except excluding unless but non
    more most less least fewer fewest than few many much several enough
    highest lowest higher lower largest smallest larger smaller biggest longest shortest longer shorter best worst
    earliest latest earlier later first last newest oldest next previous recent second third final
    before after since until till during while when where if between within
    above below over under exactly at about around nearly almost up down
    only just even also too again still yet already once twice
    and or both either each every all any some other another else same different distinct unique
    per by from to for in on with into out through against toward as like unlike
    average mean median total sum percent percentage share ratio rate
    today yesterday tomorrow now ago
"""
SIGNS = frozenset(_SIGNS.split())
"""Words that turn a question into another one. They must agree exactly, and none may hide in the value of a slot."""
_OPENERS = frozenset(
    {"is", "are", "was", "were", "do", "does", "did", "has", "have", "had", "can", "could", "will", "would"}
)
QUESTION_WORDS = frozenset({"who", "whom", "whose", "what", "which", "when", "where", "why", "how"})

_SMALL = "zero one two three four five six seven eight nine ten"
NUMBERS = {word: value for value, word in enumerate(_SMALL.split())}
"""Numbers that people write as words."""
_QUOTES = {'"': '"', "“": "”", "„": "“", "«": "»", "`": "`", "‘": "’"}
_TRAILING = '.,;:?!)]}"”’»`…'
_LEADING = "([{"
_CONTRACTED = {"'s": "'s", "n't": "not", "'re": "are", "'ve": "have", "'ll": "will", "'d": "would", "'m": "am"}
_CONTRACTION = re.compile(r"(.+?)(n't|'(?:s|re|ve|ll|d|m))", re.IGNORECASE | re.DOTALL)
_IS_AFTER = QUESTION_WORDS | {"that", "there", "it"}


@dataclass(frozen=True)
class Token:
    """One word, number or quoted text of a question."""

    text: str
    """As it is written; of quoted text, what is between the quotes."""
    norm: str
    """Folded, for comparing; empty for quoted text, which never is a word of a phrasing."""
    quoted: bool = False
    comma: bool = False
    """Whether a comma follows."""


def tokens_of(question: str) -> list[Token]:
    """The tokens of a question, or nothing when it is too long to be matched. Never fails, whatever the text."""
    if len(question) > MOST_CHARS:
        return []
    found: list[Token] = []
    for piece, quoted in _pieces(question):
        if quoted:
            found.append(Token(piece, "", quoted=True))
        elif piece:
            _add(piece, found)
    return found


def _pieces(question: str) -> list[tuple[str, bool]]:
    """Pieces between white space, with quoted text kept whole."""
    found: list[tuple[str, bool]] = []
    position = 0
    while position < len(question):
        char = question[position]
        if char.isspace():
            position += 1
            continue
        end = question.find(_QUOTES[char], position + 1) if char in _QUOTES else -1
        if end > position + 1:
            found.append((question[position + 1 : end], True))
            position = end + 1
            # What follows a quote without a space is punctuation, or a word of its own.
            continue
        start = position
        while position < len(question) and not question[position].isspace():
            position += 1
        found.append((question[start:position], False))
    return found


def _add(piece: str, found: list[Token]) -> None:
    bare = piece.lstrip(_LEADING)
    word = bare.rstrip(_TRAILING)
    comma = bare[len(word) :].startswith(",")
    if not word:
        if comma and found:
            found[-1] = Token(found[-1].text, found[-1].norm, found[-1].quoted, comma=True)
        elif any(unicodedata.category(char)[0] not in "PZ" for char in bare):
            found.append(Token(bare, fold(bare)))
        return
    plain = word.replace("’", "'")
    contraction = _CONTRACTION.fullmatch(plain)
    if contraction is None:
        found.append(Token(word, fold(plain), comma=comma))
        return
    stem, ending = contraction.group(1), contraction.group(2).casefold()
    stem = {"ca": "can", "wo": "will", "sha": "shall"}.get(stem.casefold(), stem) if ending == "n't" else stem
    second = _CONTRACTED[ending]
    if ending == "'s" and fold(stem) in _IS_AFTER:
        second = "is"
    found.append(Token(stem, fold(stem)))
    found.append(Token(second, second, comma=comma))


@lru_cache(maxsize=8192)
def fold(word: str) -> str:
    """A word as words are compared: case and compatible forms of characters do not matter."""
    folded = unicodedata.normalize("NFKC", word).casefold()
    return BE.get(folded, folded)


def is_yes_or_no(tokens: list[Token]) -> bool:
    """Whether a question asks for yes or no."""
    return bool(tokens) and tokens[0].text.casefold() in _OPENERS


def number_of(token: Token, *, whole: bool) -> int | float | None:
    """The number that a token is, written in digits or as a small word; None when it is none."""
    if token.quoted:
        return None
    if token.norm in NUMBERS:
        return NUMBERS[token.norm]
    text = token.text
    if re.fullmatch(r"[+-]?\d{1,3}(?:,\d{3}){1,4}", text, re.ASCII):
        text = text.replace(",", "")
    if re.fullmatch(r"[+-]?\d{1,15}", text, re.ASCII):
        return int(text)
    if re.fullmatch(r"[+-]?[1-9]\d{0,2}\.\d{3}", text, re.ASCII):
        return None  # 1.250 is a thousand and more in half of the world
    if not whole and re.fullmatch(r"[+-]?\d{1,15}\.\d{1,15}", text, re.ASCII):
        return float(text)
    return None


def plurals(word: str) -> set[str]:
    """The word with and without a simple plural ending."""
    forms = {word, f"{word}s", f"{word}es"}
    if word.endswith("y"):
        forms.add(f"{word[:-1]}ies")
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        forms.add(word[:-1])
    return forms
