"""Judging: may a literal stay, does it become a parameter, or was it copied from the input and so is refused.

The rule behind all rules: what the question says may vary, what the format fixes may stay, what this very input
happened to hold must not be in the code. In doubt a literal is refused, with a sentence that says why.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from habit.library.crystallise.evidence import STOP_WORDS, WORD, Evidence, Found
from habit.library.crystallise.levels import Levels
from habit.library.crystallise.literals import Literals, Site

Kind = Literal["lift", "format", "own", "reject"]
_UNITS = frozenset(
    {0.5, 2, 3, 4, 7, 10, 12, 24, 30, 60, 100, 365, 1000, 1024, 3600, 86400, 1e6, 1e9, 0.01, 0.001, 1024**2}
)
_ROUND_SIZES = frozenset({3, 5, 10, 20, 25, 50, 100})
_EXEMPT = frozenset("yes no true false none null unknown other n/a na not found nothing neither both tie equal".split())
_SIZE_WORDS = re.compile(
    r"chunk|size|batch|window|overlap|limit|max|min|width|step|worker|top|budget|chars", re.IGNORECASE
)
_REGEX_NOISE = re.compile(r"\\[a-zA-Z]|\(\?[a-zA-Z:=!<]+(?:P?<\w+>)?|\[[^\]]*\]|\{\d+(?:,\d*)?\}|\(\?P<\w+>")
_FIRST = ("first", "earliest", "oldest", "initial", "begin", "start", "header", "column", "title")
_LAST = ("last", "latest", "newest", "final", "recent", "end")


@dataclass(frozen=True)
class Verdict:
    """What is to become of a literal."""

    kind: Kind
    found: Found | None = None
    """Where the question says it, when it is lifted."""
    reason: str = ""
    """Why it is refused, for people: goes on ``'x' …``."""


KEEP = Verdict("own")
FORMAT = Verdict("format")


class Judge:
    """Judges the literals of one slice by the evidence of its run."""

    def __init__(self, literals: Literals, levels: Levels, evidence: Evidence) -> None:
        self._literals = literals
        self._levels = levels
        self._evidence = evidence

    def judge(self, site: Site) -> Verdict:
        """What is to become of ``site``."""
        return self._text(site) if site.is_text else self._number(site)

    # -- texts -------------------------------------------------------------------------------------------------------

    def _text(self, site: Site) -> Verdict:
        evidence, text = self._evidence, site.text
        if not WORD.search(text) or site.is_formatting:
            return KEEP
        if text == evidence.query or site.is_prose:
            return self._prose(text)
        if site.is_pattern:
            return self._words(site, [word for word in WORD.findall(_REGEX_NOISE.sub(" ", text)) if len(word) > 1])
        if id(site.node) in self._literals.in_choices:
            return self._choice(text)
        if evidence.is_marker(text):
            return FORMAT
        if found := evidence.in_query(text):
            return Verdict("lift", found)
        if evidence.is_format(text):
            return FORMAT
        if len(WORD.findall(text)) > 1 or not WORD.fullmatch(text):
            return self._words(site, WORD.findall(text), whole=text)
        return self._value(site, text)

    def _value(self, site: Site, text: str) -> Verdict:
        evidence = self._evidence
        if text.lower() in _EXEMPT:
            return KEEP
        if any(text in labels for labels in self._literals.choices):
            return KEEP
        if evidence.is_answer(text) and len(text) > 1:
            return Verdict("reject", reason="is the answer itself, or a part of it")
        if evidence.is_value(text):
            return Verdict("reject", reason="is a value that was read in the input")
        if _is_name_of_own(site) and not (text[:1].isupper() or any(c.isdigit() for c in text)):
            return KEEP
        if evidence.in_context(text):
            return Verdict("reject", reason="was copied from the input")
        return KEEP

    def _words(self, site: Site, words: list[str], whole: str = "") -> Verdict:
        """Of a text of several words, or of a pattern, each by itself."""
        lifted: Verdict | None = None
        for word in words:
            if self._evidence.is_marker(word):
                continue
            if found := self._evidence.in_query(word):
                lifted = Verdict("lift", found)
                continue
            if self._evidence.is_format(word):
                continue
            verdict = self._value(site, word) if word.lower() not in STOP_WORDS else KEEP
            if verdict.kind == "reject":
                return verdict
        if lifted is None and whole and len(words) > 1:
            return self._value(site, whole)
        return lifted or KEEP

    def _choice(self, text: str) -> Verdict:
        """A label that a model chooses: vocabulary, unless it is a name or a number read in the input."""
        evidence = self._evidence
        if evidence.in_query(text) or text.lower() in _EXEMPT:
            return KEEP
        strange = any(character.isdigit() for character in text) or text[:1].isupper()
        if strange and evidence.is_value(text) and sum(text in record for record in evidence.records) < 3:
            return Verdict("reject", reason="is a label that was read in the input")
        return KEEP

    def _prose(self, text: str) -> Verdict:
        """A prompt, or another sentence: what in it is too particular to come from anywhere but the input?"""
        evidence = self._evidence
        for span in _particular(text):
            if evidence.in_query(span) or evidence.is_format(span) or not evidence.in_context(span):
                continue
            if _number_of(span) is not None and evidence.number_in_query(float(span)):
                continue
            if any(span in label for labels in self._literals.choices for label in labels):
                continue
            return Verdict("reject", reason=f"says {span!r}, which was copied from the input")
        return Verdict("lift") if any(evidence.in_query(word) for word in WORD.findall(text)) else KEEP

    # -- numbers -----------------------------------------------------------------------------------------------------

    def _number(self, site: Site) -> Verdict:
        value = site.node.value
        assert isinstance(value, (int, float))
        parent, call = site.parent, site.call
        if isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.USub):
            value, parent = -value, site.parents[1]
        outer = next((one for one in site.parents if not isinstance(one, (ast.UnaryOp, ast.BinOp))), parent)
        if isinstance(parent, ast.Slice):
            return self._bound(site, parent, value)
        if isinstance(parent, ast.Subscript):
            return self._index(parent, value)
        found = self._evidence.number_in_query(abs(value))
        if found is not None and abs(value) > 1:
            return Verdict("lift", found)
        if self._is_size(site, value):
            return KEEP
        if call is not None and not isinstance(outer, ast.Compare):
            return self._argument(call, site, value)
        if abs(value) in (0, 1):
            return KEEP
        if isinstance(parent, ast.Compare) and self._counts_columns(parent) and value <= 60:
            return KEEP
        if self._evidence.is_answer(value):
            return Verdict("reject", reason="is the answer itself, or a part of it")
        if isinstance(parent, ast.BinOp) and isinstance(parent.op, (ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)):
            return KEEP if value in _UNITS else Verdict("reject", reason="is a factor that nothing explains")
        if isinstance(parent, ast.Dict) and len(parent.values) >= 7 and value <= 31 and value == int(value):
            return KEEP  # names of months and days
        return Verdict("reject", reason="is a number that neither the question nor the format explains")

    def _index(self, node: ast.Subscript, value: float) -> Verdict:
        level = self._levels.of(node.value)
        asks = self._evidence.asks_for
        if level == "whole":
            return Verdict("reject", reason="is a position in this very input")
        if level == "records":
            if value == 0 and (self._evidence.has_header or asks(*_FIRST)):
                return KEEP
            return (
                KEEP if value == -1 and asks(*_LAST) else Verdict("reject", reason="is a position in this very input")
            )
        if level == "ranked":
            known = value in (0, -1) or self._evidence.number_in_query(value + 1 if value > 0 else -value)
            return KEEP if known else Verdict("reject", reason="is a rank that the question does not ask for")
        return KEEP if abs(value) <= 60 else Verdict("reject", reason="is a position in this very input")

    def _bound(self, site: Site, node: ast.Slice, value: float) -> Verdict:
        subscript = site.parents[site.parents.index(node) + 1]
        assert isinstance(subscript, ast.Subscript)
        level = self._levels.of(subscript.value)
        if node.step is not None and any(inner is site.node for inner in ast.walk(node.step)):
            return KEEP if value in (1, -1) else Verdict("reject", reason="leaves out records of this very input")
        if level in ("record", "other"):
            return KEEP
        if value == 0 or (level == "records" and value == 1 and node.lower is not None and node.upper is None):
            return KEEP
        if found := self._evidence.number_in_query(abs(value)):
            return Verdict("lift", found)
        if level == "ranked" and value in _ROUND_SIZES | {1}:
            return KEEP
        if level == "records" and value in (1, -1):
            wanted = _FIRST if value == 1 else _LAST
            return KEEP if self._evidence.asks_for(*wanted) or node.lower is None and value == -1 else _CUT
        return _CUT

    def _argument(self, call: ast.Call, site: Site, value: float) -> Verdict:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if abs(value) in (0, 1) or name in _STRUCTURAL_ARGUMENTS:
            return KEEP
        word = next((outer.arg for outer in site.parents[:2] if isinstance(outer, ast.keyword)), "")
        if word in _STRUCTURAL_WORDS or (name in ("most_common", "nlargest", "nsmallest") and value in _ROUND_SIZES):
            return KEEP
        if name in ("timedelta", "datetime", "date") and value in _UNITS:
            return KEEP
        if self._evidence.is_answer(value):
            return Verdict("reject", reason="is the answer itself, or a part of it")
        return Verdict("reject", reason=f"is given to {name}() and neither the question nor the format explains it")

    def _is_size(self, site: Site, value: float) -> bool:
        """Whether it is how much is looked at in one piece, which has nothing to do with what is found."""
        if value in self._literals.step_values:
            return True
        names: set[str] = set()
        for outer in site.parents[:3]:
            if isinstance(outer, ast.keyword):
                names.add(outer.arg or "")
            if isinstance(outer, ast.Assign):
                names |= {target.id for target in outer.targets if isinstance(target, ast.Name)}
            if isinstance(outer, ast.arguments):
                names |= {argument.arg for argument in (*outer.args, *outer.kwonlyargs)}
        if names & self._literals.steps:
            return True
        if self._evidence.is_answer(value):
            return False
        is_round = value == int(value) and value >= 50 and (value % 50 == 0 or int(value) & (int(value) - 1) == 0)
        call = site.call
        if is_round and call is not None:
            name = getattr(call.func, "id", getattr(call.func, "attr", ""))
            if re.search(r"chunk|batch|split|wrap|window|truncate|shorten", name, re.IGNORECASE):
                return True
        return is_round and any(_SIZE_WORDS.search(name) for name in names)

    def _counts_columns(self, node: ast.Compare) -> bool:
        """Whether the length of one record, or of a piece of it, is compared."""
        for side in (node.left, *node.comparators):
            if isinstance(side, ast.Call) and isinstance(side.func, ast.Name) and side.func.id == "len" and side.args:
                return self._levels.of(side.args[0]) in ("record", "other")
        return False


_CUT = Verdict("reject", reason="cuts this very input at a fixed place")
_STRUCTURAL_ARGUMENTS = frozenset(
    {"split", "rsplit", "round", "group", "start", "end", "span", "int", "log", "Fraction"}
)
_STRUCTURAL_WORDS = frozenset(
    {"indent", "ndigits", "maxsplit", "max_workers", "default", "digits", "base", "flags", "width"}
)


def _is_name_of_own(site: Site) -> bool:
    """Whether a text only names something the code makes itself: a key, an attribute, a default."""
    match site.parent:
        case ast.Dict(keys=keys):
            return any(key is site.node for key in keys)
        case ast.Subscript(slice=index):
            return index is site.node
        case ast.Call(func=ast.Attribute(attr="get" | "setdefault" | "pop" | "join" | "getattr")):
            return True
        case ast.JoinedStr() | ast.FormattedValue():
            return True
        case ast.keyword():
            return True
    return False


def _particular(text: str) -> Iterator[str]:
    """The parts of a sentence that are about something particular: numbers, names, quotations."""
    yield from (match[1] for match in re.finditer(r"[\"'“‘`]([^\"'”’`\n]{2,60})[\"'”’`]", text))
    for match in re.finditer(r"[\w@.:/#+-]*\d[\w@.:/#+-]*", text):
        token = match[0].strip(".:,")
        if len(token) > 1:
            yield token
    for match in re.finditer(r"(?<=[a-z,;:] )[A-Z][\w'’-]+(?: [A-Z][\w'’-]+)*", text):
        yield match[0]
    words = text.split()
    for start in range(len(words) - 4):
        yield " ".join(words[start : start + 5]).strip(".,;:?!")


def _number_of(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return None
