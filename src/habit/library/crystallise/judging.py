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
from habit.library.crystallise.scopes import words
from habit.library.crystallise.sniffing import tells_layouts_apart

Kind = Literal["lift", "format", "own", "reject"]
_UNITS = frozenset(
    {0.5, 2, 3, 4, 7, 10, 12, 24, 30, 60, 100, 365, 1000, 1024, 3600, 86400, 1e6, 1e9, 0.01, 0.001, 1024**2}
)
_ROUND_SIZES = frozenset({3, 5, 10, 20, 25, 50, 100})
_EXEMPT = words("yes no true false none null unknown other n/a na not found nothing neither both tie equal")
_SIZE_WORDS = re.compile(
    r"chunk|size|batch|window|overlap|limit|max|min|width|step|worker|top|budget|chars", re.IGNORECASE
)
_REGEX_NOISE = re.compile(r"\\[a-zA-Z]|\(\?[a-zA-Z:=!<]+(?:P?<\w+>)?|\[[^\]]*\]|\{\d+(?:,\d*)?\}|\(\?P<\w+>")
_PLACE = re.compile(
    r"\b(?:line|row|record|item|message|entry|paragraph|section|page|chapter|number|position|index|id)s? #?(\d+)", re.I
)
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
            return self._words(site, list(_words_of_pattern(text)))
        if id(site.node) in self._literals.in_choices:
            return self._choice(text)
        if evidence.is_marker(text):
            return FORMAT
        is_label = text.lower() not in _EXEMPT and any(text in labels for labels in self._literals.choices)
        if found := evidence.in_query(text, is_label=is_label):
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
            return _ANSWER if evidence.is_whole_answer(text) and not _is_looked_up(site) else KEEP
        if evidence.is_answer(text) and (len(text) > 1 or text.isdigit()):
            return _ANSWER
        if evidence.is_value(text):
            return Verdict("reject", reason="is a value that was read in the input")
        has_digits = any(character.isdigit() for character in text)
        if _is_name_of_own(site) and not (text[:1].isupper() or has_digits):
            return KEEP
        if self._looks_for(site):
            if evidence.holds(text):
                return Verdict("reject", reason="was copied from the input")
            if has_digits:
                return Verdict("reject", reason="is neither in the question nor part of the format")
        return Verdict("reject", reason="was copied from the input") if evidence.in_context(text) else KEEP

    def _looks_for(self, site: Site) -> bool:
        """Whether the input is searched for it, rather than a reply of a model or something the code has made."""
        for outer in site.parents:
            match outer:
                case ast.Compare(left=left, comparators=others):
                    sides = [side for side in (left, *others) if not any(n is site.node for n in ast.walk(side))]
                    return any(self._levels.of(_plain_side(side)) not in ("reply", "other") for side in sides)
                case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in _SEARCHING:
                    return self._levels.of(_plain_side(value)) not in ("reply", "other") or site.is_pattern
                case ast.Tuple() | ast.List() | ast.Set() | ast.JoinedStr() | ast.BinOp():
                    continue
            return False
        return False

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
            is_stop_word = word.lower() in STOP_WORDS and not site.is_pattern
            verdict = self._value(site, word) if not is_stop_word else KEEP
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
        if evidence.is_value(text):
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
        if given := self._given_away(text):
            return Verdict("reject", reason=f"says {given!r}, which is the answer or a place in this very input")
        return Verdict("lift") if any(evidence.in_query(word) for word in WORD.findall(text)) else KEEP

    def _given_away(self, text: str) -> str:
        """The answer, or a position, that a prompt names; empty when it names none."""
        evidence = self._evidence
        for match in _PLACE.finditer(text):
            if not evidence.number_in_query(float(match[1])):
                return match[0]
        for word in WORD.findall(text):
            known = evidence.in_query(word) or word.lower() in _EXEMPT | STOP_WORDS or word in ("0", "1")
            labels = {part for labels in self._literals.choices for label in labels for part in WORD.findall(label)}
            said = word.isdigit() and evidence.number_in_query(float(word))
            if not known and not said and word not in labels and evidence.is_whole_answer(word):
                return str(word)
        return ""

    # -- numbers -----------------------------------------------------------------------------------------------------

    def _number(self, site: Site) -> Verdict:
        value = site.node.value
        assert isinstance(value, (int, float))
        parent, call = site.parent, site.call
        if isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.USub):
            value, parent = -value, site.parents[1]
        outer = next((one for one in site.parents if not isinstance(one, (ast.UnaryOp, ast.BinOp))), parent)
        if isinstance(parent, (ast.Slice, ast.Subscript)) and tells_layouts_apart(site, value, self._evidence):
            return KEEP
        if isinstance(parent, ast.Slice):
            return self._bound(site, parent, value)
        if isinstance(parent, ast.Subscript):
            return self._index(parent, value)
        if self._is_position(site):
            return _POSITION
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
            return _ANSWER
        if isinstance(parent, ast.BinOp) and isinstance(parent.op, (ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)):
            return KEEP if value in _UNITS else Verdict("reject", reason="is a factor that nothing explains")
        if isinstance(parent, ast.Dict) and len(parent.values) >= 7 and value <= 31 and value == int(value):
            return KEEP  # names of months and days
        return Verdict("reject", reason="is a number that neither the question nor the format explains")

    def _is_position(self, site: Site) -> bool:
        """Whether it is part of an index into the records that is the same at each use: ``rows[len(rows) // 2]``."""
        for inner, outer in zip(site.parents, site.parents[1:], strict=False):
            if isinstance(outer, ast.Subscript) and inner is outer.slice and not isinstance(inner, ast.Slice):
                if self._levels.of(outer.value) not in ("whole", "records", "ranked"):
                    return False
                lengths = {
                    n.id for call in ast.walk(inner) if _is_len(call) for n in ast.walk(call) if isinstance(n, ast.Name)
                }
                names = {node.id for node in ast.walk(inner) if isinstance(node, ast.Name)}
                return names <= lengths
            if not isinstance(outer, (ast.BinOp, ast.UnaryOp, ast.Call, ast.Subscript)):
                return False
        return False

    def _index(self, node: ast.Subscript, value: float) -> Verdict:
        level = self._levels.of(node.value)
        asks = self._evidence.asks_for
        if level == "whole":
            return _POSITION
        if level == "mapping":
            found = self._evidence.number_in_query(value)
            return (
                Verdict("lift", found) if found else Verdict("reject", reason="is a value that was read in the input")
            )
        if level == "records":
            if value == 0 and (self._evidence.has_header or asks(*_FIRST)):
                return KEEP
            return (
                KEEP if value == -1 and asks(*_LAST) else Verdict("reject", reason="is a position in this very input")
            )
        if level == "ranked":
            known = value in (0, -1) or self._evidence.number_in_query(value + 1 if value > 0 else -value)
            return KEEP if known else Verdict("reject", reason="is a rank that the question does not ask for")
        return KEEP if abs(value) <= 60 else _POSITION

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
            return KEEP if self._evidence.asks_for(*wanted) or (node.lower is None and value == -1) else _CUT
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
            return _ANSWER
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


_ANSWER = Verdict("reject", reason="is the answer itself, or a part of it")
_POSITION = Verdict("reject", reason="is a position in this very input")
_CUT = Verdict("reject", reason="cuts this very input at a fixed place")
_STRUCTURAL_ARGUMENTS = frozenset(
    {"split", "rsplit", "round", "group", "start", "end", "span", "int", "log", "Fraction"}
)
_STRUCTURAL_WORDS = frozenset(
    {"indent", "ndigits", "maxsplit", "max_workers", "default", "digits", "base", "flags", "width"}
)


_SEARCHING = words(
    "startswith endswith find rfind index rindex count split rsplit partition rpartition replace get search match "
    "fullmatch findall finditer sub"
)


def _is_len(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len"


def _plain_side(node: ast.expr) -> ast.expr:
    """What a comparison is about: ``x`` of ``x.strip().lower()``."""
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.args:
        node = node.func.value
    return node


def _words_of_pattern(pattern: str) -> Iterator[str]:
    """The words that a regular expression looks for, without those of running text around what it takes."""
    bare = _REGEX_NOISE.sub("\0", pattern)
    for match in WORD.finditer(bare):
        before, after = bare[: match.start()][-1:], bare[match.end() :][:1]
        standing = before in ("", " ", "\0") and after in ("", " ", "\0", ":")
        if len(match[0]) > 1 and not (standing and match[0].lower() in STOP_WORDS):
            yield match[0]


def _is_looked_up(site: Site) -> bool:
    """Whether a text only serves to find something: it is compared, or a key."""
    for outer in site.parents:
        match outer:
            case ast.Compare() | ast.Subscript():
                return True
            case ast.Call(func=ast.Attribute(attr=attr)):
                return attr in _SEARCHING
            case ast.Tuple() | ast.List() | ast.Set():
                continue
        return False
    return False


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
    split = text.split()
    for start in range(len(split) - 4):
        yield " ".join(split[start : start + 5]).strip(".,;:?!")


def _number_of(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return None
