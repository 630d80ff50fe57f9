"""Near-misses by rule: a question that a habit answers, changed so that it is another one.

The rules know nothing of the matcher; each names what it changes. A rule that does not apply to a question is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import Any

from families import Family

Rule = Callable[[str], str | None]

_OPPOSITES = {
    "more": ["fewer", "less"],
    "most": ["least", "fewest"],
    "highest": ["lowest", "average", "second highest"],
    "longest": ["shortest", "newest"],
    "earliest": ["latest", "most recent", "second"],
    "before": ["after", "during", "on or after"],
    "above": ["below", "exactly at", "not above"],
    "total": ["average", "smallest", "median"],
    "average": ["total", "largest"],
    "from": ["not from", "to", "about"],
    "by": ["not by", "about", "for anyone but"],
    "hosted": ["visited", "beat", "never hosted"],
    "of": ["outside", "unlike"],
}
_ENDINGS = {
    "scope": ["in March", "on weekends", "since Tuesday", "in the last week", "this year", "in the second half"],
    "per": ["per day", "for each sender", "by month", "in each region"],
    "except": ["except the first", "apart from duplicates", "without the longest", "excluding yesterday"],
    "two": ["and why", "and who", "and what is the average"],
    "only": ["only once", "more than twice", "at least", "at most"],
    "unit": ["in percent", "in thousands", "as a share"],
}
_BEGINNINGS = {
    "except": ["Excluding duplicates,", "Apart from the newest,", "Leaving out yesterday,"],
    "scope": ["Only for last week:", "Since May,", "Among the longest ones,"],
    "yes or no": ["Is it known", "Does it matter", "Is it true that someone asked:"],
    "explain": ["Explain why people ask", "Translate to French:", "How would you compute:"],
    "negation": ["Do not tell me", "Never mind"],
}
_QUESTION_WORDS = {
    "How many": [
        "Which",
        "What percentage of",
        "How few",
        "How old are the",
        "List the",
        "Are there any",
        "Who of the",
    ],
    "What is": ["When is", "Why is", "Is", "How good is", "Who is", "Where is"],
    "Which": ["How many", "Why do", "When did", "What share of", "Are there"],
    "When was": ["Why was", "Where was", "By whom was", "How often was"],
    "Did": ["Why did", "When did", "How often did", "Will", "Should"],
}
_AUXILIARY = re.compile(r"\b(is|are|was|were|did|have|come|went|fell)\b")
_OTHER_NOUNS = ["threads", "words", "days", "complaints", "colours"]


def by_rule(family: Family, spread: int) -> Iterator[tuple[str, str]]:
    """Kind and text of near-misses to ``family``; ``spread`` picks among equivalent changes, so that sets differ."""
    for index, values in enumerate(family.uses[:2]):
        template = family.spec.intent.phrasings[0]
        question = filled(template, values)
        yield from _words(question, index + spread)
        yield from _frames(question, index + spread)
        yield from _nouns(family, question, index + spread)
        yield from _same_words(question, values)
    yield from _slots(family)


def filled(template: str, values: Mapping[str, Any]) -> str:
    """A question of the family."""
    return re.sub(r"\{(\w+)\}", lambda slot: str(values[slot.group(1)]), template)


def _words(question: str, pick: int) -> Iterator[tuple[str, str]]:
    for word, others in _OPPOSITES.items():
        if re.search(rf"\b{word}\b", question):
            yield "opposite", re.sub(rf"\b{word}\b", others[pick % len(others)], question, count=1)
    negated = _AUXILIARY.sub(lambda found: f"{found.group(1)} not", question, count=1)
    if negated != question:
        yield "negation", negated
        yield "negation", _AUXILIARY.sub(lambda found: f"{found.group(1)} never", question, count=1)
    for opening, others in _QUESTION_WORDS.items():
        if question.startswith(opening):
            for other in {others[pick % len(others)], others[(pick + 1) % len(others)]}:
                yield "question word", other + question.removeprefix(opening)
            if opening == "How many":
                yield "unique", f"How many different{question.removeprefix(opening)}"


def _frames(question: str, pick: int) -> Iterator[tuple[str, str]]:
    for kind, endings in _ENDINGS.items():
        yield kind, f"{question.removesuffix('?')} {endings[pick % len(endings)]}?"
    for kind, beginnings in _BEGINNINGS.items():
        yield kind, f"{beginnings[pick % len(beginnings)]} {question[0].lower()}{question[1:]}"


def _nouns(family: Family, question: str, pick: int) -> Iterator[tuple[str, str]]:
    for noun in family.nouns:
        yield "other noun", question.replace(noun, _OTHER_NOUNS[pick % len(_OTHER_NOUNS)], 1)
        yield "narrower", question.replace(noun, f"{['long', 'new', 'open', 'empty'][pick % 4]} {noun}", 1)


_VERBS = ["show", "list", "give", "count", "have", "need", "lack"]


def _same_words(question: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Another verb for the auxiliary, and two of the question's own words in each other's place."""
    for verb in _VERBS:
        changed = _AUXILIARY.sub(verb, question, count=1)
        if changed != question:
            yield "other verb", changed
    words = question.removesuffix("?").split()
    fixed = {word for value in values.values() for word in str(value).split()}
    content = [n for n, word in enumerate(words) if len(word) > 3 and word not in fixed and n > 1]
    for first, second in combinations(content, 2):
        mixed = list(words)
        mixed[first], mixed[second] = words[second], words[first]
        yield "words swapped", " ".join(mixed) + "?"


def _slots(family: Family) -> Iterator[tuple[str, str]]:
    template, values = family.spec.intent.phrasings[0], dict(family.uses[0])
    for name, value in family.unknown.items():
        yield "other label", filled(template, {**values, name: value})
    for name, value in values.items():
        others = [use[name] for use in family.uses if use[name] != value]
        if isinstance(value, str) and others:
            for joined in (f"{value} or {others[0]}", f"{value} but not {others[0]}", f"not {value}", f"non-{value}"):
                yield "two values", filled(template, {**values, name: joined})
        yield "gap", filled(template, {**values, name: "everything else"})
    for first, second in combinations(values, 2):
        kinds = {family.spec.parameters[name].type for name in (first, second)}
        if len(kinds) > 1:
            yield "swapped", filled(template, {**values, first: values[second], second: values[first]})
