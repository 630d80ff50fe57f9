"""Evidence: where a literal of the code can have come from: the question, the format of the input, or its contents."""

from __future__ import annotations

import calendar
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from habit.contexts.context import Context
from habit.contexts.tables import find_table
from habit.library.crystallise.scopes import words

Span = tuple[int, int]
"""Where in the question: first character, and the one after the last."""
WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_NUMBER = re.compile(r"(?<![\w.])[$€£]?(\d{1,3}(?:[, ]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?:st|nd|rd|th)?(?![\w])")
_CARDINALS = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
]  # fmt: skip
_ORDINALS = [
    "zeroth", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
]  # fmt: skip
STOP_WORDS = words("""
    a an the of in on at to for from by with and or not no is are was were be been do does did has have had how many
    much what which who whom whose when where why that this these those there it its than as if all any each per every
    most least more less few fewer between among about over under above below before after first last list give show
    find tell me us you i we they he she them their our your name names count number total sum average mean answer
    question text input data file record records row rows line lines item items value values only just please can could
    should would will into out up down same other another yes true false none null
    """)
_SAMPLE_RECORDS = 2_000
_FEW_RECORDS = 3
_FORMAT_SHARE = 0.5
_NEARLY_ALL = 0.9
_MANY_KEYS = 40
_DEPTH = 6


@dataclass(frozen=True)
class Found:
    """A place in the question that a literal comes from."""

    span: Span
    text: str


class Evidence:
    """Of one run: its question, its input and its answer."""

    def __init__(self, query: str, context: Context, answer: Any, format_literals: Iterable[Any] = ()) -> None:
        self.query = query
        self.context = context
        self.answer = answer
        self._declared = {str(literal) for literal in format_literals}
        self._words = [(match[0], match.span()) for match in WORD.finditer(query)]

    # -- the question ------------------------------------------------------------------------------------------------

    def in_query(self, text: str, *, is_label: bool = False) -> Found | None:
        """Where the question says ``text``: to the letter, in another case, or in another inflection.

        Words that every question has say nothing, unless they are a label: *question* is one of *complaint* and so on.
        """
        words = WORD.findall(text)
        if not words or (not is_label and all(word.lower() in STOP_WORDS for word in words)):
            return None
        exact = re.search(rf"(?<![^\W_]){re.escape(text)}(?![^\W_])", self.query)
        exact = exact or re.search(rf"(?<![^\W_]){re.escape(text)}(?![^\W_])", self.query, re.IGNORECASE)
        if exact and (len(text) > 1 or exact[0] == text != "a"):
            return Found(exact.span(), exact[0])
        if len(text) < 3:
            return None
        stems = [stem(word) for word in words]
        for start in range(len(self._words) - len(stems) + 1):
            window = self._words[start : start + len(stems)]
            if all(stem(word) == wanted for (word, _), wanted in zip(window, stems, strict=True)):
                span = (window[0][1][0], window[-1][1][1])
                return Found(span, self.query[slice(*span)])
        return self._date_in_query(text)

    def number_in_query(self, number: float) -> Found | None:
        """Where the question says ``number``: in digits, in words, as an ordinal, or as so many percent."""
        for match in _NUMBER.finditer(self.query):
            said = float(re.sub(r"[, ]", "", match[1]))
            if said == number or (self.query[match.end() : match.end() + 1] == "%" and said == number * 100):
                return Found(match.span(1), match[1])
        for word, span in self._words:
            for names in (_CARDINALS, _ORDINALS):
                if word.lower() in names and names.index(word.lower()) == number:
                    return Found(span, word)
        return None

    def asks_for(self, *words: str) -> bool:
        """Whether the question has one of ``words``, in any inflection."""
        stems = {stem(word) for word in words}
        return any(stem(word) in stems for word, _ in self._words)

    def _date_in_query(self, text: str) -> Found | None:
        """``2024-03`` and ``03`` for March (2024)."""
        match = re.fullmatch(r"(?:(\d{4})-)?(\d{2})(?:-(\d{2}))?-?", text)
        if match is None or not 1 <= int(match[2]) <= 12:
            return None
        month = calendar.month_name[int(match[2])].lower()
        for position, (word, span) in enumerate(self._words):
            if word.lower() in (month, month[:3]):
                around = self._words[max(position - 2, 0) : position + 3]
                wanted = [part for part in (match[1], match[3]) if part]
                near = [(said, place) for said, place in around if said.lstrip("0") in {w.lstrip("0") for w in wanted}]
                if len(near) >= len(wanted):
                    places = [span, *(place for _, place in near)]
                    whole = (min(start for start, _ in places), max(end for _, end in places))
                    return Found(whole, self.query[slice(*whole)])
        return None

    # -- the input ---------------------------------------------------------------------------------------------------

    @cached_property
    def _value(self) -> Any:
        return self.context.value()

    @cached_property
    def text(self) -> str:
        """The whole input as text."""
        with self.context.opened() as payload:
            return str(payload, "utf-8", "surrogatepass")

    @cached_property
    def _lowered(self) -> str:
        return self.text.lower()

    @cached_property
    def records(self) -> Sequence[str]:
        """Lines of a text, items of a list, values of a dict: as text, a sample where there are many."""
        if isinstance(self._value, str):
            items: Sequence[Any] = [line for line in self._value.splitlines() if line.strip()]
        elif isinstance(self._value, list):
            items = self._value
        else:
            items = list(self._value.values()) if isinstance(self._value, dict) else [self._value]
        step = max(len(items) // _SAMPLE_RECORDS, 1)
        return [item if isinstance(item, str) else json.dumps(item, ensure_ascii=False) for item in items[::step]]

    @cached_property
    def has_header(self) -> bool:
        """Whether the first line names the columns of a table."""
        return bool(self._columns)

    @cached_property
    def _columns(self) -> Sequence[str]:
        """The columns of a table, or of those among texts by name."""
        texts = self._value.values() if isinstance(self._value, dict) else [self._value]
        tables = [
            find_table(text[:200_000].removeprefix("\ufeff").splitlines()[:200])
            for text in islice(texts, _MANY_KEYS)
            if isinstance(text, str)
        ]
        return [name.strip() for table in tables if table and table.header for name in table.header]

    @cached_property
    def _keys(self) -> frozenset[str]:
        if not isinstance(self._value, str):
            return frozenset(_keys_in(self._value))
        try:
            samples = [json.loads(line) for line in self.records[:50]] if self.text.lstrip()[:1] == "{" else []
        except ValueError:
            return frozenset()
        return frozenset(key for sample in samples for key in _keys_in(sample))

    @cached_property
    def _cells(self) -> Counter[str]:
        """The values of fields: cells of a table, strings in JSON."""
        if isinstance(self._value, str):
            table = find_table(self._value.removeprefix("\ufeff").splitlines()[:1_000])
            if table is None:
                return Counter()
            lines = (line.split(table.delimiter) for line in self.records)
            return Counter(cell.strip().strip('"') for cells in lines for cell in cells)
        return Counter(_strings_in(self._value))

    def is_named(self, text: str) -> bool:
        """Whether ``text`` names a place in the format: a column, a key, what a line begins with before a colon."""
        return text in self._declared or text in self._columns or text in self._keys or text in self._line_labels

    def share(self, text: str) -> float:
        """In how many of the records ``text`` is found, from 0 to 1; lines or paragraphs, where it is more in those."""
        if not text.strip() or text in self._cells:
            return 0.0
        shares = [
            sum(text in record for record in records) / len(records)
            for records in (self.records, self._paragraphs)
            if len(records) >= _FEW_RECORDS
        ]
        return max(shares, default=0.0)

    def is_marker(self, text: str) -> bool:
        """Whether nearly all records have it, so that it belongs to the format whatever the question says."""
        return self.is_named(text) or self.share(text) >= _NEARLY_ALL

    def is_format(self, text: str) -> bool:
        """Whether ``text`` belongs to the format: a column, a key, a marker that most records have."""
        return self.is_named(text) or self.share(text) >= _FORMAT_SHARE

    @cached_property
    def _paragraphs(self) -> Sequence[str]:
        if not isinstance(self._value, str):
            return ()
        return [part for part in re.split(r"\n\s*\n", self._value) if part.strip()][:_SAMPLE_RECORDS]

    @cached_property
    def _line_labels(self) -> frozenset[str]:
        """``Patient`` where several lines begin with ``Patient:``."""
        if not isinstance(self._value, str):
            return frozenset()
        found = Counter(re.findall(r"(?m)^[ \t*#-]*([^\W\d_][\w ]{0,30}?)[ \t]*[:=]", self.text))
        return frozenset(label for label, times in found.items() if times >= _FEW_RECORDS)

    def field_of(self, value: str) -> str:
        """The column or key whose values ``value`` is one of; empty when there is none, or more than one."""
        found = {name for name, values in self._fields.items() if value in values}
        return found.pop() if len(found) == 1 else ""

    @cached_property
    def _fields(self) -> Mapping[str, set[str]]:
        rows: list[Mapping[str, Any]] = []
        if isinstance(self._value, list):
            rows = [item for item in self._value[:1_000] if isinstance(item, dict)]
        elif isinstance(self._value, str):
            lines = self._value.removeprefix("\ufeff").splitlines()[:1_000]
            table = find_table(lines)
            if table is not None and table.header:
                rows = [dict(zip(table.header, row, strict=False)) for row in table.rows]
            elif self._keys:
                rows = [json.loads(line) for line in self.records[:50]]
        fields: dict[str, set[str]] = {}
        for row in rows:
            for name, item in row.items():
                fields.setdefault(name, set()).add(item if isinstance(item, str) else json.dumps(item))
        return fields

    def is_value(self, text: str) -> bool:
        """Whether a field of the input holds exactly this."""
        return text in self._cells or text.lower() in (cell.lower() for cell in self._cells)

    def in_context(self, text: str) -> bool:
        """Whether the input holds ``text`` as a word or several, in any case."""
        wanted = text.lower()
        position = self._lowered.find(wanted)
        while position >= 0:
            before, after = self._lowered[position - 1 : position], self._lowered[position + len(wanted) :][:1]
            if not (before.isalnum() and wanted[0].isalnum()) and not (after.isalnum() and wanted[-1].isalnum()):
                return True
            position = self._lowered.find(wanted, position + 1)
        return False

    def holds(self, text: str) -> bool:
        """Whether the input holds ``text`` anywhere, within words too, in any case."""
        return text.lower() in self._lowered

    # -- the answer --------------------------------------------------------------------------------------------------

    def is_answer(self, value: Any) -> bool:
        """Whether ``value`` is the answer, one of its parts, or so much of it that it gives it away."""
        return any(_gives_away(value, part) for part in _parts(self.answer))

    def is_whole_answer(self, word: str) -> bool:
        """Whether ``word`` is the answer, or one of its parts, and no less."""
        return any(_is_said(word, part) for part in _parts(self.answer))


def _is_said(value: str, part: Any) -> bool:
    return not isinstance(part, bool) and value.lower() == str(part).strip().lower()


def _gives_away(value: Any, part: Any) -> bool:
    if isinstance(value, str):
        said, wanted = value.strip().lower(), str(part).strip().lower()
        if not said or not wanted or isinstance(part, bool):
            return False
        return said == wanted or (len(wanted) >= 4 and wanted in said) or (len(said) >= 4 and said in wanted)
    if isinstance(part, str):
        numbers = re.findall(r"-?\d+(?:\.\d+)?", part.replace(",", ""))
        return len(part) < 60 and any(float(number) == value for number in numbers)
    return type(part) in (int, float) and float(part) == value


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _parts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _parts(item)
    elif value is not None:
        yield value


def _keys_in(value: Any, depth: int = 0) -> Iterator[str]:
    """Keys of records; those of dicts from names or numbers to like values are values themselves."""
    if depth > _DEPTH:
        return
    if isinstance(value, dict):
        if not _is_keyed_by_values(value, depth):
            yield from value
        for item in list(value.values())[:200]:
            yield from _keys_in(item, depth + 1)
    elif isinstance(value, list):
        for item in value[:200]:
            yield from _keys_in(item, depth + 1)


def _is_keyed_by_values(value: Mapping[str, Any], depth: int) -> bool:
    """Whether a dict holds records by their names or numbers, rather than being a record itself."""
    items = list(value.values())
    if len(items) > _MANY_KEYS:
        return True
    if depth == 0 and len(items) > 1 and all(isinstance(item, str) for item in items):
        return not _are_different_tables(items)
    if len(items) < _FEW_RECORDS or not all(isinstance(item, dict) and item for item in items):
        return False
    common = set(items[0]).intersection(*items[1:])
    return 2 * len(common) >= max(len(item) for item in items)


def _are_different_tables(texts: Sequence[str]) -> bool:
    """Whether files are each a table of columns of its own: such as users and orders, whose names are their roles."""
    headers = []
    for text in texts:
        table = find_table(text[:20_000].removeprefix("\ufeff").splitlines()[:100])
        if table is None or not table.header:
            return False
        headers.append(frozenset(table.header))
    return len(set(headers)) == len(headers)


def _strings_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, dict):
        if _is_keyed_by_values(value, 0):
            yield from value
        for item in value.values():
            yield from _strings_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings_in(item)


def stem(word: str) -> str:
    """A word without its inflection, roughly: what is only compared with other stems."""
    word = word.lower().replace("’", "'").removesuffix("'s")
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("ches", "ch"), ("shes", "sh"), ("xes", "x")):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word[: -len(ending)] + instead
    if word.endswith("s") and not word.endswith("ss") and len(word) > 3:
        word = word[:-1]
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            word = word[: -len(ending)]
            if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls":
                word = word[:-1]
            break
    return word.removesuffix("e") if len(word) > 3 else word
