"""Ready helpers over the context, most useful to small models: they raise a helpful error instead of returning nothing.

``find`` · ``parts`` · ``table`` · ``classify``
"""

from __future__ import annotations

import csv
import difflib
import io
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from habit.contexts.tables import Table, find_table

_SAMPLE = 1 << 20
"""Characters looked through for words like the one that was not found."""
_PATTERN_SIGNS = re.compile(r"[\\^$*+?{}\[\]|()]|\.[*+]")
_FENCE = re.compile(r"^ {0,3}(```|~~~)", re.MULTILINE)
_HEADING = re.compile(
    r"""^(?:
        \#{1,6}[ \t]+\S.*                                                     # Markdown
      | (?P<rule>[=\-*~_\#]{2,})[ \t]*[^\s=\-*~_\#].*?[ \t]*(?P=rule)[ \t]*   # === Title ===
      | (?i:section|chapter|part|article|appendix|act|scene|book|volume)[ \t]+(?:\d+(?:\.\d+)*|[IVXLC]+|[A-Z])
        (?:[.:)]?[ \t]*|[.:)\- \t–—].{0,90}(?<![.,;\s]))                     # Section 3: Title
      | [^\s=\-*~_\#].{0,120}\r?\n[ \t]*(?:={3,}|-{3,}|~{3,})[ \t]*           # underlined
    )\r?$""",
    re.MULTILINE | re.VERBOSE,
)
_INT = re.compile(r"[+-]?(?:0|[1-9]\d{0,17})", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:0|[1-9]\d*)?\.\d+(?:[eE][+-]?\d+)?|[+-]?[1-9]\d*\.?[eE][+-]?\d+", re.ASCII)


class Helpers:
    """The helpers of one session, bound to its context."""

    def __init__(self, context: Any, ask_each: Callable[[str, list[str], list[str]], list[Any]]) -> None:
        self.context = context
        self._ask_each = ask_each

    def find(self, word: str | re.Pattern[str], text: Any = None) -> list[Any]:
        """The lines of the context that contain ``word`` (of a list: the items; of a dict: "key: line").

        Upper and lower case count only if that finds something; a regular expression works too.
        """
        value = self.context if text is None else text
        needle = word if isinstance(word, re.Pattern) else str(word)
        if needle == "":
            raise ValueError("find(word): the word is empty; say what to look for")
        for pattern in _readings(needle):
            found = list(_matches(value, pattern))
            if found:
                return found
        shown = needle.pattern if isinstance(needle, re.Pattern) else needle
        told = f"find({shown!r:.200}): nothing in the context contains it, in any case: it is there 0 times."
        raise ValueError(f"{told}{_like(value, shown)}")

    def parts(self, text: str | None = None) -> list[str]:
        """The parts of the context, split at its headings; the first line of a part is its heading."""
        value = self.context if text is None else text
        if isinstance(value, Mapping):
            raise ValueError(
                f"parts(): the context is a dict of {len(value):,} texts; use context.items(), or parts(text) for one"
            )
        if not isinstance(value, str):
            raise ValueError(f"parts(): the context is a {type(value).__name__} and in parts already; loop over it")
        starts = _heading_starts(value)
        if not starts:
            raise ValueError(
                "parts(): no headings found in the context; use context.splitlines() for lines or "
                'context.split("\\n\\n") for paragraphs'
            )
        if value[: starts[0]].strip("\ufeff \t\r\n"):
            starts.insert(0, 0)
        return [value[start:end] for start, end in itertools.pairwise([*starts, len(value)])]

    def table(self, text: Any = None) -> list[dict[str, Any]]:
        """The rows of a CSV, TSV or JSON-lines context as dicts; columns that hold only numbers are int or float."""
        value = self.context if text is None else text
        if isinstance(value, Mapping):
            raise ValueError(
                f"table(): the context is a dict of {len(value):,} values; use table(context[key]) with a key such as "
                f"{', '.join(map(repr, itertools.islice(value, 5)))}"
            )
        if isinstance(value, str):
            records = _json_lines(value)
            return _numbers(_rows_of_text(value)) if records is None else _numbers(_rows_of_records(records))
        if isinstance(value, Sequence) and value and all(isinstance(row, Mapping) for row in value):
            return _numbers(_rows_of_records(value))
        raise ValueError(f"table(): the context is a {type(value).__name__} and no table; loop over it instead")

    def classify(self, items: Iterable[Any], labels: Iterable[str], question: str | None = None) -> list[Any]:
        """One of ``labels`` for each item, chosen by a language model by what the item means."""
        if isinstance(items, (str, bytes, Mapping)) or not isinstance(items, Iterable):
            raise TypeError(f"classify(items, labels): items must be a list of str and not a {type(items).__name__}")
        if isinstance(labels, str):
            raise TypeError("classify(items, labels): labels must be a list of str, such as ['yes', 'no']")
        texts = [item if isinstance(item, str) else _as_text(item) for item in items]
        choices = list(dict.fromkeys(str(label) for label in labels))
        if not texts:
            raise ValueError("classify(items, labels): there are no items; look at what you pass")
        if len(choices) < 2:
            raise ValueError("classify(items, labels): give at least two labels")
        listed = "\n".join(f"- {choice}" for choice in choices)  # a line each: 23 of 24 right, 20 when in one line
        return self._ask_each(question or f"Which label fits the text best?\n{listed}", texts, choices)


def _readings(needle: str | re.Pattern[str]) -> Iterator[re.Pattern[str]]:
    """What the word may mean, the most exact first."""
    if isinstance(needle, re.Pattern):
        yield needle
        return
    yield re.compile(re.escape(needle))
    yield re.compile(re.escape(needle), re.IGNORECASE)
    if _PATTERN_SIGNS.search(needle):
        try:
            yield re.compile(needle, re.MULTILINE)
            yield re.compile(needle, re.MULTILINE | re.IGNORECASE)
        except re.error:
            return


def _matches(value: Any, pattern: re.Pattern[str]) -> Iterator[Any]:
    if isinstance(value, str):
        yield from _lines_with(value, pattern)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            text = _as_text(item)
            lines = list(_lines_with(text, pattern))
            if not lines and pattern.search(str(key)):
                lines = [text if len(text) <= 200 else text[:200] + "…"]
            yield from (f"{key}: {line}" for line in lines)
    elif isinstance(value, Sequence):
        yield from (item for item in value if pattern.search(_as_text(item)))
    else:
        yield from _lines_with(_as_text(value), pattern)


def _lines_with(text: str, pattern: re.Pattern[str]) -> Iterator[str]:
    position = 0
    while match := pattern.search(text, position):
        start = text.rfind("\n", 0, match.start()) + 1
        end = text.find("\n", match.start())
        if end < 0:
            end = len(text)
        yield text[start:end].removesuffix("\r")
        position = end + 1
        if position > len(text):
            return


def _as_text(item: Any) -> str:
    if isinstance(item, str):
        return item
    try:
        return json.dumps(item, ensure_ascii=False, default=str)
    except (TypeError, ValueError):
        return str(item)


def _like(value: Any, word: str) -> str:
    """A hint with words of the context that look like the one that is not there."""
    sample = value[:_SAMPLE] if isinstance(value, str) else _as_text(value)[:_SAMPLE]
    words = dict.fromkeys(re.findall(r"\w{3,40}", sample))
    alike = difflib.get_close_matches(word, itertools.islice(words, 20_000), n=5, cutoff=0.7)
    if alike:
        return f" Words in it that look like it: {', '.join(alike)}."
    return f" It begins: {sample[:150]!r}"


def _heading_starts(text: str) -> list[int]:
    fences = [match.start() for match in _FENCE.finditer(text)]
    fenced = list(zip(fences[::2], fences[1::2], strict=False))
    starts: list[int] = []
    spans = iter(fenced)
    span = next(spans, None)
    for match in _HEADING.finditer(text):
        while span is not None and span[1] <= match.start():
            span = next(spans, None)
        if span is None or not span[0] <= match.start() < span[1]:
            starts.append(match.start())
    return starts


def _json_lines(text: str) -> list[Any] | None:
    """The values of JSON lines, or of one JSON list; None when the text is neither."""
    text = text.removeprefix("\ufeff").strip()
    if text[:1] not in ("{", "["):
        return None
    try:
        whole = json.loads(text) if text[0] == "[" else None
        records = whole if isinstance(whole, list) else [json.loads(line) for line in text.split("\n") if line.strip()]
    except ValueError:
        return None
    return records if records and all(isinstance(record, dict) for record in records) else None


def _rows_of_records(records: Iterable[Mapping[Any, Any]]) -> list[dict[str, str]]:
    rows = [{str(key): "" if item is None else _as_text(item) for key, item in record.items()} for record in records]
    names = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name, "") for name in names} for row in rows]


def _rows_of_text(text: str) -> list[dict[str, str]]:
    text = text.removeprefix("\ufeff")
    shape = find_table(text[:_SAMPLE].splitlines()[:400])
    if shape is None:
        raise ValueError("table(): the context does not look like CSV, TSV or JSON lines; split each line yourself")
    rows = _read_rows(text, shape)
    if shape.header is not None:
        first = next(rows, [])
        names = _unique(name.strip() for name in first)
    else:
        names = [f"column {index}" for index in range(shape.width)]
    width = len(names)
    table = []
    for row in rows:
        if len(row) > width:  # a delimiter without quotes in the last column
            row[width - 1 :] = [shape.delimiter.join(row[width - 1 :])]
        table.append(dict(itertools.zip_longest(names, row, fillvalue="")))
    return table


def _read_rows(text: str, shape: Table) -> Iterator[list[str]]:
    csv.field_size_limit(2**31 - 1)
    for row in csv.reader(io.StringIO(text, newline=""), delimiter=shape.delimiter):
        if any(cell.strip() for cell in row):
            yield row


def _unique(names: Iterable[str]) -> list[str]:
    seen: dict[str, None] = {}
    for name in names:
        candidate, number = name, 2
        while candidate in seen:
            candidate, number = f"{name}_{number}", number + 1
        seen[candidate] = None
    return list(seen)


def _numbers(rows: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Columns whose every filled cell is a number become int or float, and their empty cells None."""
    if not rows:
        raise ValueError("table(): the context has a header and no rows")
    converted: list[dict[str, Any]] = [dict(row) for row in rows]
    for name in rows[0]:
        kind = _kind(row[name] for row in rows)
        if kind is not None:
            for row in converted:
                row[name] = kind(row[name]) if row[name].strip() else None
    return converted


def _kind(cells: Iterable[str]) -> type | None:
    kind: type | None = None
    for cell in cells:
        text = cell.strip()
        if not text:
            continue
        if _INT.fullmatch(text):
            kind = kind or int
        elif _FLOAT.fullmatch(text):
            kind = float
        else:
            return None
    return kind
