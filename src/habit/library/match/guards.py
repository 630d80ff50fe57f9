"""Guards over what a model says: whether a question, its values taken out, has the same words as a phrasing, by rule.

A model may only choose among readings that these rules allow; whatever it says, it cannot make two questions the same
that differ in a content word, in a word that turns the meaning, or in the place of a value that is not an adjective.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from habit.library.match.align import trimmed
from habit.library.match.templates import Slot, parse
from habit.library.match.values import Filler, choice_of
from habit.library.match.words import ARTICLES, SIGNS, Token, fold, is_yes_or_no, number_of, plurals, tokens_of
from habit.library.spec import HabitSpec

_COUNT = "⟨how many⟩"
_OPERATIONS = (
    (("how", "many"), _COUNT),
    (("the", "number", "of"), _COUNT),
    (("number", "of"), _COUNT),
    (("the", "count", "of"), _COUNT),
    (("count", "of"), _COUNT),
)
_AT_THE_START = (
    (("count",), _COUNT),
    (("total", "number", "of"), _COUNT),
    *((words, "⟨what⟩") for words in (("what", "is"), ("which", "is"), ("list",), ("give", "me"), ("show", "me"))),
    (("what",), "⟨which⟩"),
    (("which",), "⟨which⟩"),
)
_FILLERS = ARTICLES | {"is", "was", "there", "that", "of", "'s", "these", "those"}
_PARTICIPLE = re.compile(
    r"\w+(?:ed|wn)|made|sent|sold|told|built|paid|held|kept|left|lost|found|won|done|put|bought|brought|caught|taught"
    r"|(?:writt|tak|giv|brok|chos|driv|eat|hidd|stol|spok|beat|forgott)en"
)


@dataclass(frozen=True)
class _Frame:
    """What of a question must agree, once its values are taken out."""

    operations: Counter[str]
    signs: Counter[str]
    sequence: tuple[str, ...]
    """Content words in their order, and slots of names and numbers in their places."""
    yes_or_no: bool
    passive: bool
    """``were hired`` and ``hired`` ask of different people: whether there is a form of *to be* beside a participle."""


def objection(
    question: str, parameters: Mapping[str, Any], spec: HabitSpec, filler: Filler, more: Sequence[str]
) -> str:
    """Why ``question`` with ``parameters`` is not surely what the habit answers; empty when nothing speaks against it.

    ``more`` holds remembered phrasings.
    """
    if set(parameters) != set(spec.parameters):
        return "the parameters are not those of the habit"
    for name, value in parameters.items():
        if not spec.parameters[name].accepts(value):
            return f"{name} is not of type {spec.parameters[name].type}"
    tokens = trimmed(tokens_of(question))
    located = _located(tokens, parameters, spec, filler)
    if isinstance(located, str):
        return located
    adjectives = frozenset(name for name in parameters if _is_adjective(name, spec))
    asked = _frame(located, adjectives)
    if any(
        not token.norm or number_of(token, whole=False) is not None for token in located if isinstance(token, Token)
    ):
        return "it holds a value that is no parameter"
    closest = "it is in other words than any phrasing known"
    for template in (*spec.intent.phrasings, *more):
        elements = parse(template)
        if not elements or {e.name for e in elements if isinstance(e, Slot)} != set(parameters):
            continue
        known: list[Token | str] = [e.name if isinstance(e, Slot) else Token(e.norm, e.norm) for e in elements]
        learned = _frame(_trimmed(known), adjectives)
        if asked == learned:
            return ""
        if asked.operations != learned.operations or asked.yes_or_no != learned.yes_or_no:
            closest = "it asks another kind of question"
        elif asked.signs != learned.signs:
            words = (asked.signs - learned.signs) + (learned.signs - asked.signs)
            closest = f"the word {next(iter(words))!r} may make it another question"
        elif asked.sequence != learned.sequence:
            words = (
                Counter(asked.sequence)
                - Counter(learned.sequence)
                + (Counter(learned.sequence) - Counter(asked.sequence))
            )
            word = next(iter(words), "")
            closest = f"the word {word!r} is not accounted for" if word else "its words stand in another order"
    return closest


def _trimmed(known: list[Token | str]) -> list[Token | str]:
    """The phrasing without politeness, as the question."""
    standing = [piece if isinstance(piece, Token) else Token(piece, f"\ue000{piece}") for piece in known]
    return [token.norm[1:] if token.norm.startswith("\ue000") else token for token in trimmed(standing)]


def _is_adjective(name: str, spec: HabitSpec) -> bool:
    """Whether a parameter may move: a choice whose words no other parameter can have."""
    parameter = spec.parameters[name]
    others = [other for key, other in spec.parameters.items() if key != name]
    return parameter.type == "choice" and not any(
        other.type == "choice" and set(other.choices) & set(parameter.choices) for other in others
    )


def _located(
    tokens: Sequence[Token], parameters: Mapping[str, Any], spec: HabitSpec, filler: Filler, *, exact: bool = False
) -> list[Token | str] | str:
    """The question with each value replaced by the name of its parameter; else why that can't be done.

    Unless ``exact``, a word that only names the parameter goes with its value.
    """
    pieces: list[Token | str] = list(tokens)
    for name, value in sorted(parameters.items(), key=lambda item: -len(str(item[1]))):
        places = list(_spans(name, value, pieces, spec, filler))
        if len(places) != 1:
            return f"the value of {name} is {'not in the question' if not places else 'in the question twice'}"
        start, end = places[0]
        # "with the label spam", "customer Ada": a name for the value, right before it, says nothing more.
        if not exact and start and isinstance(before := pieces[start - 1], Token) and before.norm in _namings(name):
            start -= 1
        pieces[start:end] = [name]
    return pieces


def _namings(name: str) -> set[str]:
    """Words for a parameter: ``label``, ``labels``, ``labelled``."""
    word = fold(name)
    return plurals(word) | {f"{word}ed", f"{word}d", f"{word}{word[-1:]}ed"}


def template_of(question: str, parameters: Mapping[str, Any], spec: HabitSpec, filler: Filler) -> str | None:
    """The phrasing that ``question`` is an instance of; None when a value does not stand in it exactly once."""
    tokens = trimmed(tokens_of(question))
    located = _located(tokens, parameters, spec, filler, exact=True)
    if isinstance(located, str) or any(isinstance(piece, Token) and _is_unclear(piece) for piece in located):
        return None
    return " ".join(piece.text if isinstance(piece, Token) else f"{{{piece}}}" for piece in located)


def _is_unclear(token: Token) -> bool:
    return token.quoted or "{" in token.text or "}" in token.text


def _spans(
    name: str, value: Any, pieces: Sequence[Token | str], spec: HabitSpec, filler: Filler
) -> list[tuple[int, int]]:
    found = []
    parameter = spec.parameters[name]
    longest = 60 if parameter.type == "list" else 8
    for start in range(len(pieces)):
        for end in range(start + 1, min(start + longest, len(pieces)) + 1):
            inside = pieces[start:end]
            tokens = [piece for piece in inside if isinstance(piece, Token)]
            if len(tokens) < len(inside):
                break
            if parameter.type == "choice":
                stated = choice_of(parameter, tokens)
            elif any(token.norm in ARTICLES for token in (tokens[0], tokens[-1])):
                continue
            else:
                stated = filler.fill(Slot(name), tokens)
            if stated is not None and stated == value and type(stated) is type(value):
                found.append((start, end))
    return found


def _frame(pieces: Sequence[Token | str], adjectives: frozenset[str]) -> _Frame:
    words = [piece.norm if isinstance(piece, Token) else f"{{{piece}}}" for piece in pieces]
    tokens = [piece for piece in pieces if isinstance(piece, Token)]
    yes_or_no = bool(tokens) and isinstance(pieces[0], Token) and is_yes_or_no(tokens)
    passive = any(word in ("is", "was") for word in words) and any(map(_PARTICIPLE.fullmatch, words))
    words = _operations(words)
    operations = Counter(word for word in words if word.startswith("⟨") and word != "⟨what⟩")
    kept = [word for word in words if not word.startswith("⟨") and word not in _FILLERS]
    still = [word for word in kept if not (word.startswith("{") and word[1:-1] in adjectives)]
    signs = Counter(word for word in still if word in SIGNS)
    return _Frame(operations, signs, tuple(still), yes_or_no, passive)


def _operations(words: Sequence[str]) -> list[str]:
    """The words with what names the kind of question replaced by one sign for it."""
    left = list(words)
    found: list[str] = []
    while left:
        for sequence, sign in (*_OPERATIONS, *(() if found else _AT_THE_START)):
            if tuple(left[: len(sequence)]) == sequence:
                found.append(sign)
                left = left[len(sequence) :]
                break
        else:
            found.append(left.pop(0))
    # "what is the number of" counts
    if _COUNT in found:
        found = (
            [word for word in found if word not in ("⟨what⟩", "⟨which⟩")] if found[0] in ("⟨what⟩", _COUNT) else found
        )
    return found
