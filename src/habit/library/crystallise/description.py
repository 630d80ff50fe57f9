"""Description: what a habit is called and says of itself, computed from its question alone; no model is needed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from habit.library.crystallise.evidence import STOP_WORDS, WORD
from habit.library.spec import MOST_NAME_CHARS, Parameter

_OPERATIONS = (
    ("compare", r"\b(?:more|less|fewer|higher|lower|larger|smaller|better|greater)\b.*\b(?:than|or)\b"),
    ("compare", r"\bcompar|\bdifference\b|\bversus\b|\bvs\b"),
    ("count", r"\bhow many\b|\bcount\b|\bnumber of\b|\bhow often\b"),
    ("sum", r"\btotal\b|\bsum\b|\bhow much\b|\badd up\b"),
    ("mean", r"\baverage\b|\bmean\b|\bmedian\b"),
    ("top", r"\btop\b|\bmost\b|\blargest\b|\bhighest\b|\bbiggest\b|\bleast\b|\bfewest\b|\blowest\b|\bsmallest\b"),
    ("earliest", r"\bearliest\b|\bfirst\b|\boldest\b"),
    ("latest", r"\blatest\b|\blast\b|\bnewest\b|\bmost recent\b"),
    ("classify", r"\bclassif|\bcategori[sz]e\b|\blabel each\b"),
    ("extract", r"\bextract\b|\bpull out\b|\bfind all\b"),
    ("list", r"\blist\b|\bwhich\b|\bwhat are\b|\bname\b"),
)  # fmt: skip

OPERATIONS = (
    "count", "sum", "mean", "top", "earliest", "latest", "list", "extract", "compare", "classify", "join", "other",
)  # fmt: skip
"""What kinds of question there are."""


@dataclass(frozen=True)
class Description:
    """The words about a habit, as its spec has them."""

    name: str
    description: str
    summary: str
    operation: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    """For each parameter what it means."""


def operation_of(query: str) -> str:
    """What kind of question it is; empty when it can't be told."""
    lowered = query.lower()
    return next((name for name, pattern in _OPERATIONS if re.search(pattern, lowered)), "")


def describe(phrasing: str, query: str, parameters: Mapping[str, Parameter]) -> Description:
    """A usable default for a habit that answers ``phrasing``, a question as a template."""
    operation = operation_of(query)
    plain = re.sub(r"\{\w+\}", " ", phrasing)
    words = [word.lower() for word in WORD.findall(plain) if word.lower() not in STOP_WORDS and word.isascii()]
    nouns = [re.sub(r"[^a-z0-9]", "", word) for word in dict.fromkeys(words)][:3]
    names = [name.removeprefix("wanted_").replace("_", "-") for name in parameters]
    by = ["by", *names[:2]] if names else []
    slug = "-".join(part for part in [operation or "answer", *nouns, *by] if part)
    slug = re.sub(r"-+", "-", re.sub(r"[^a-z0-9-]", "", slug)).strip("-")
    if not slug[:1].isalpha():
        slug = f"habit-{slug}".strip("-")
    sentence = " ".join(phrasing.split())[:300]
    return Description(
        name=slug[:MOST_NAME_CHARS].rstrip("-"),
        description=f"Answers questions such as: {' '.join(query.split())[:300]}",
        summary=f"Answers: {sentence}",
        operation=operation,
        parameters={name: _about(name, parameter, phrasing) for name, parameter in parameters.items()},
    )


def _about(name: str, parameter: Parameter, phrasing: str) -> str:
    around = re.search(rf"(\S+ )?(\S+ )?\{{{name}\}}( \S+)?", phrasing)
    place = f" in “…{' '.join(around[0].split())}…”" if around else ""
    return f"What stands for {{{name}}}{place}; it was {parameter.example!r}."
