"""What kind of text a text is (table, log, source code, headings, prose), from bounded samples of it."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median

from habit.contexts.display import Section, clean, count, quoted, share, strata
from habit.contexts.outline import blocks, heading_section, markup, rules
from habit.contexts.patterns import Lines, dates
from habit.contexts.shapes import survey, survey_all
from habit.contexts.tables import DELIMITERS, Table, find_table

WIDTH = 200
"""Characters shown of a line."""
_HEAD = 64 * 1024
_PIECES = 16
_PIECE = 4 * 1024
_WINDOWS = 64
_EXACT = 32 * 1024 * 1024
"""Characters up to which lines are counted one by one (0.5 s for a thousand million)."""
_FIRST = 201
"""The first lines, of which a table is known."""
_PARSED = 512 * 1024
"""Characters up to which a JSON document that came as text is parsed to show its structure."""
_WIDE = 4 * 1024
"""Characters of a line looked at when even the first one is longer than all that is looked at otherwise."""

_COMMENT = ("#", "%", "//", ";")
_JSON_START = re.compile(r'\{\s*"|\[\s*(?:[\[{"]|-?[\d.]+\s*,)')
_JSON_KEY = re.compile(r'"([^"\\]{1,60})"\s{0,3}:')
_LOG = re.compile(
    r"[\[(<]?(?:\d{4}[-/.]\d\d[-/.]\d\d[T ,_]|\d\d[-/.]\d\d[-/.]\d{2,4}[ T,]|[A-Z][a-z]{2} [A-Z][a-z]{2} +\d|"
    r"[A-Z][a-z]{2} +\d{1,2} \d\d:\d\d|\d\d:\d\d:\d\d|\d{9,13}[.\s\]]|(?:TRACE|DEBUG|INFO|NOTICE|WARN|ERROR|FATAL)\b)|"
    r"\S{1,60} \S{1,60} \S{1,60} \[\d\d/[A-Z][a-z]{2}/\d{4}"
)
_CODE = re.compile(
    r"\s*(?:(?:export|public|private|protected|static|async|pub|final|abstract|default) +)*"
    r"(?:(?:def|class|fn|func|function|interface|struct|enum|impl|trait|module|namespace|package) +[\w:.<>$]+"
    r"|#include\b|import +[\w.{*\"'(]|from +[\w.]+ +import\b|(?:const|let|var) +\w+ *[=:]|use +[\w:]+.*;)"
)


@dataclass(frozen=True)
class Text:
    """A text of any size, looked at only in samples."""

    value: str

    @cached_property
    def newlines(self) -> int | None:
        """Line breaks; None when the text is too long to count them."""
        return self.value.count("\n") if len(self.value) <= _EXACT else None

    @cached_property
    def head(self) -> list[str]:
        """The whole lines among the first characters; a first line that is longer than that is cut."""
        lines = self.value[:_HEAD].split("\n")
        return lines[:-1] if len(lines) > 1 and (len(self.value) > _HEAD or not lines[-1]) else lines

    @cached_property
    def tail(self) -> list[str]:
        """The last lines, at most a few; none of them is part of ``head``."""
        rest = self.value[max(len(self.value) - 2 * _PIECE, _HEAD) :]
        lines = rest.removesuffix("\n").split("\n")
        return lines[1:][-3:]

    @cached_property
    def sample(self) -> list[str]:
        """Lines from all over the text, without the empty ones; long ones cut."""
        lines = list(self.head)
        step = (len(self.value) - _HEAD) / _PIECES
        for index in range(_PIECES if step > _PIECE else 0):
            start = _HEAD + int(index * step)
            lines += self.value[start : start + _PIECE].split("\n")[1:-1]
        return [line[:400] for line in lines if line.strip()]

    def _spread_lines(self, most: int) -> list[str]:
        """Lines from all over the sample but for its first ones, and the last lines of the text."""
        later = self.sample[_FIRST:]
        return [later[index] for index in strata(len(later), most)] + [line[:400] for line in self.tail if line]

    def size(self) -> str:
        """Characters, lines and their typical lengths."""
        size = len(self.value)
        if not size:
            return "an empty str"
        lines = f"in {count(self.rows, 'line')}"
        if self.newlines is None:
            lines = f"in about {self.rows:,} lines (not counted)"
        text = f"a str of {count(size, 'character')} {lines}"
        lengths = [len(line) for line in self.head]
        if len(lengths) > 1:
            text += f"; lines typically of {median(lengths):.0f}, at most {max(lengths):,} characters (sampled)"
        return text

    @cached_property
    def rows(self) -> int:
        """Lines, where a last line need not end in a line break; of a very long text about that many."""
        if self.newlines is not None:
            return self.newlines + (not self.value.endswith("\n"))
        step = len(self.value) // _WINDOWS
        starts = [index * step for index in range(_WINDOWS)]
        found = sum(self.value.count("\n", start, start + 2 * _PIECE) for start in starts)
        rows = found * len(self.value) // (_WINDOWS * 2 * _PIECE)
        digits = max(len(str(rows)) - 3, 0)  # more of them than three would claim too much
        return round(rows / 10**digits) * 10**digits or 1

    def oddities(self) -> list[str]:
        """What trips up code: line ends, marks and characters that do not show."""
        head = self.value[:_HEAD]
        found = []
        if head.count("\r\n") > head.count("\n") / 2 > 0:
            found.append("lines end in \\r\\n")
        elif head.count("\r") > 2 * head.count("\n"):
            found.append("lines end in \\r alone")
        if head.startswith("\ufeff"):
            found.append("starts with a byte order mark (\\ufeff)")
        if "\0" in head:
            found.append("holds NUL characters")
        if "\x1b[" in head:
            found.append("holds terminal colour codes (\\x1b[…)")
        if head.count("\f") > 2 and head.count("\f") * 40_000 > len(head):
            found.append("form feeds (\\f) part its pages")
        if not head.isascii():
            if "\ufffd" in head:
                found.append("holds \\ufffd, where a character was lost before")
            if re.search("[\ud800-\udfff]", head):
                found.append("holds lone surrogates, which text.encode() refuses")
            found += self.scripts()
        return [f"Note: {', '.join(found)}."] if found else []

    def scripts(self) -> list[str]:
        """The writing systems of its letters, when they are not Latin alone."""
        text = "".join(self.sample)
        letters = [char for char in text[:: len(text) // 2_000 + 1] if char.isalpha()]
        names = Counter(unicodedata.name(char, "").partition(" ")[0].capitalize() for char in letters)
        often = [(name, number) for name, number in names.most_common(4) if number > len(letters) / 20 and name]
        if not often or (len(often) == 1 and often[0][0] == "Latin"):
            return []
        said = " and ".join(
            f"{'CJK' if name == 'Cjk' else name} {share(number, len(letters))}" for name, number in often
        )
        return [f"letters (sampled) {said}"]

    @cached_property
    def regular(self) -> bool:
        """Whether all lines are of one kind: records, rows of a table, entries of a log."""
        return bool(self.json_records or self.found_table or self.logged)

    def kind(self) -> list[Section]:
        """What there is to say of its structure, by the first kind that fits."""
        if len(self.value) < _HEAD and not self.value.strip():
            return []
        return self.json_lines() or self.json() or self.markup() or self.table() or self.lined()

    def json(self) -> list[Section]:
        """For a JSON document that came as text."""
        start = self.value[:100].lstrip("\ufeff \t\r\n")
        if not start.startswith(("{", "[")) or not self.value[-100:].rstrip().endswith(("}", "]")):
            return []
        if len(self.value) > _PARSED:
            if not _JSON_START.match(start):
                return []
            keys = Counter(_JSON_KEY.findall(self.value[:_HEAD]))
            names = ", ".join(f"{quoted(key, 40)} {number:,}×" for key, number in keys.most_common(30))
            known = f" Keys in the first {_HEAD:,} characters: {names}." if names else ""
            return [Section(f"Looks like JSON as text: json.loads(context).{known}")]
        try:
            value = json.loads(self.value.removeprefix("\ufeff"))
        except (ValueError, RecursionError):
            return []
        shape = survey(value, "data")
        return [Section(f"JSON as text; with data = json.loads(context), paths ({shape.about}):", shape.lines)]

    @cached_property
    def json_records(self) -> list[object]:
        """Records of JSON Lines, some from all over the text; none when it is something else."""
        records = _records(self.head)
        return [*records, *_records(self._spread_lines(80))] if len(records) > 1 else []

    def json_lines(self) -> list[Section]:
        """For JSON Lines that came as text."""
        if not self.json_records:
            return []
        shape = survey_all(self.json_records, "record")
        title = f"JSON Lines as text, one record a line: json.loads(line). Paths in {len(self.json_records)} of them"
        return [Section(f"{title} ({shape.about.removesuffix('; sampled')}):", shape.lines)]

    def markup(self) -> list[Section]:
        """For XML and HTML."""
        return markup(self.value, self.value[:_HEAD])

    @cached_property
    def found_table(self) -> Table | None:
        """The table that the text is, below lines of comments; None when it is something else."""
        table = self._table_below(0)
        comments = 0 if table else next((n for n, line in enumerate(self.head) if not line.startswith(_COMMENT)), 0)
        table = self._table_below(comments) if comments else table
        # A comma before the milliseconds, or a bar after the time, does not make a log a table.
        return None if table and self.logged and (table.is_prose_in_part or table.delimiter == ":") else table

    def _table_below(self, comments: int) -> Table | None:
        table = find_table(self.head[comments:], self._spread_lines(300), commented=comments > 0)
        return replace(table, comments=comments) if table else None

    def table(self) -> list[Section]:
        """For CSV and kin."""
        if len(self.head) == 1 and len(self.value) > _HEAD:
            return self.wide_table()
        if self.found_table is None:
            return []
        comments = self.found_table.comments
        rows = [Section("First rows:", barred(self.head[comments : comments + 4]))] if comments else []
        return [self._columns(self.found_table, self.found_table.width), *rows]

    def wide_table(self) -> list[Section]:
        """For a table whose very first line is longer than what is looked at of other texts."""
        lines, position = [], 0
        for _ in range(10):
            end = self.value.find("\n", position, position + _PARSED * 16)
            if end < 0:
                break
            lines.append(self.value[position : min(end, position + _WIDE)])
            position = end + 1
        for delimiter in DELIMITERS if len(lines) > 1 else ():
            cells = [line.split(delimiter)[:-1] for line in lines]
            width = min(len(row) for row in cells)
            table = find_table([delimiter.join(row[:width]) for row in cells]) if width > 8 else None
            if table is not None and table.delimiter == delimiter:
                return [self._columns(table, self.value.count(delimiter, 0, self.value.find("\n")) + 1)]
        return []

    def _columns(self, table: Table, width: int) -> Section:
        rows = ""
        number = self.rows - table.comments - (table.header is not None and not table.labelled)
        if table.multiline:
            rows = "cells with line breaks, so fewer rows than lines, "
        elif self.newlines is not None:
            rows = f"{count(number, 'row')}, "
        else:
            rows = f"about {number:,} rows, "
        header = table.header is not None
        heading = "names in the cells" if table.labelled else "a header line" if header else "no header line"
        if table.comments:
            heading = f"{count(table.comments, 'line')} of comments, then {heading}"
        first = f"A table with {heading}: {rows}{width:,} columns separated by {DELIMITERS[table.delimiter]}. Sampled:"
        return Section(first, table.lines(), more="  … and {} more columns", total=width)

    def lined(self) -> list[Section]:
        """For logs, source code, headings, and lines that are alike."""
        sample = self.sample
        if len(sample) < 2:
            return []
        lines = Lines(sample)
        if self.logged:
            facts = [Section("A log: most lines start with a time or level."), *lines.levels(), *self._times()]
            return [*facts, *lines.patterns(), *lines.fields()]
        code = [line for line in sample if _CODE.match(line)]
        if len(code) >= 3 and len(code) >= len(sample) / 40:
            definitions = [f"  {clean(line, 100)}" for line in code if not re.match(r"\s*(import|from|use|#)\b", line)]
            return [Section("Looks like source code, with lines such as:", definitions[:12])]
        parts = [*heading_section(self.value, self.head), *rules(self.value, sample), *lines.labels()]
        return [*parts, *blocks(self.head), *dates(sample), *lines.patterns(), *lines.fields()]

    @cached_property
    def logged(self) -> bool:
        """Whether most lines start with a time or a level."""
        return sum(bool(_LOG.match(line)) for line in self.sample) > len(self.sample) / 2

    def _times(self) -> list[Section]:
        found = dates([*self.sample, *self.tail])
        return [Section(section.title.replace("Dates in it", "Times")) for section in found]


def _records(lines: Sequence[str]) -> list[object]:
    """The JSON values that nearly all of the first lines are; nothing when they are something else."""
    lines = [line for line in lines if line.strip()][:80]
    likely = [line for line in lines if line.lstrip().startswith(("{", "["))]
    good: list[object] = []
    for line in likely if len(likely) >= 0.9 * len(lines) else ():
        try:
            good.append(json.loads(line))
        except (ValueError, RecursionError):
            continue
    return good if len(good) >= 0.9 * len(lines) else []


def barred(lines: Sequence[str], width: int = WIDTH) -> list[str]:
    """Lines of a text as they are shown: behind a bar, so that none can be mistaken for anything else."""
    return [f"| {clean(line.removesuffix(chr(13)), width)}" for line in lines]
