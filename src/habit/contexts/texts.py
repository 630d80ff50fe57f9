"""What kind of text a text is (table, log, source code, headings, prose), from bounded samples of it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from habit.contexts.display import clean, fit
from habit.contexts.shapes import survey
from habit.contexts.tables import find_table

_HEAD = 64 * 1024
_PIECES = 16
_PIECE = 4 * 1024
_EXACT = 128 * 1024 * 1024
"""Characters up to which lines are counted one by one (0.4 s for a thousand million)."""
_WALKED = 4 * 1024 * 1024
"""Characters up to which headings are looked for."""
_MAX_HEADINGS = 2_000
_PARSED = 512 * 1024
"""Characters up to which a JSON document that came as text is parsed to show its structure."""

_JSON_START = re.compile(r'\{\s*"|\[\s*(?:[\[{"]|-?[\d.]+\s*,)')
_HEADING = re.compile(r"#{1,6} +\S")
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
_MASKED = re.compile(r"0x[0-9a-fA-F]+|\b(?=[0-9a-fA-F-]{0,40}\d)[0-9a-fA-F]{4,64}(?:-[0-9a-fA-F]{1,64}){0,6}\b|\d+")


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

    def facts(self, room: int) -> list[str]:
        """Lines that say size and kind, at most ``room`` characters of them."""
        lines = [self.size(), *self.oddities()]
        room -= sum(len(line) + 1 for line in lines)
        return lines + self.kind(room)

    def size(self) -> str:
        """Characters, lines and their typical lengths."""
        count = len(self.value)
        if not count:
            return "an empty str"
        if self.newlines is not None:
            lines = f"in {self.rows:,} line{'s' * (self.rows != 1)}"
        else:
            mean = max(sum(len(line) + 1 for line in self.head) / len(self.head), 1)
            lines = f"in about {int(count / mean):,} lines (not counted)"
        text = f"a str of {count:,} character{'s' * (count != 1)} {lines}"
        lengths = [len(line) for line in self.head]
        if len(lengths) > 1:
            text += f"; lines typically of {median(lengths):.0f}, at most {max(lengths):,} characters (sampled)"
        return text

    @property
    def rows(self) -> int:
        """Lines, where a last line need not end in a line break."""
        return (self.newlines or 0) + (not self.value.endswith("\n"))

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
        return [f"Note: {', '.join(found)}."] if found else []

    def kind(self, room: int) -> list[str]:
        """Lines on structure, of the first kind that fits."""
        if not self.value.strip() if len(self.value) < _HEAD else False:
            return []
        return self.json_lines(room) or self.json(room) or self.table(room) or self.lined(room)

    def json(self, room: int) -> list[str]:
        """For a JSON document that came as text."""
        start = self.value[:100].lstrip("\ufeff \t\r\n")
        if not start.startswith(("{", "[")) or not self.value[-100:].rstrip().endswith(("}", "]")):
            return []
        if len(self.value) > _PARSED:
            return ["Looks like JSON as text: json.loads(context)."] if _JSON_START.match(start) else []
        try:
            value = json.loads(self.value.removeprefix("\ufeff"))
        except (ValueError, RecursionError):
            return []
        paths = [line.replace("context", "data", 1) for line in survey(value)]
        return ["JSON as text; with data = json.loads(context):", *fit(paths, room - 60)]

    def json_lines(self, room: int) -> list[str]:
        """For JSON Lines that came as text."""
        records = []
        for line in [line for line in self.head if line.strip()][:40]:
            try:
                records.append(json.loads(line) if line.lstrip().startswith(("{", "[")) else None)
            except (ValueError, RecursionError):
                records.append(None)
        good = [record for record in records if record is not None]
        if len(good) < 2 or len(good) < 0.9 * len(records):
            return []
        paths = [line.replace("context[i]", "record", 1) for line in survey(good)[1:]]
        return ["JSON Lines as text, one record a line: json.loads(line).", *fit(paths, room - 60)]

    def table(self, room: int) -> list[str]:
        """For CSV and kin."""
        table = find_table(self.head, self.sample[len(self.head) :])
        if table is None:
            return []
        name = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar"}[table.delimiter]
        rows = ""
        if self.newlines is not None:
            count = self.rows - (table.header is not None)
            rows = f"{count:,} row{'s' * (count != 1)}, "
        if table.multiline or self.newlines is None:
            rows = "cells with line breaks, so fewer rows than lines, " if table.multiline else ""
        heading = "a header line" if table.header else "no header line"
        first = f"A table with {heading}: {rows}{table.width:,} columns separated by {name}."
        return [first, *fit(table.lines(), room - len(first), more="  … and {} more columns", total=table.width)]

    def lined(self, room: int) -> list[str]:
        """For logs, source code, headings, and lines that are alike."""
        sample = self.sample
        if len(sample) < 2:
            return []
        logged = sum(bool(_LOG.match(line)) for line in sample)
        if logged > len(sample) / 2:
            return ["A log: most lines start with a time or level.", *self.patterns(room - 60)]
        code = [line for line in sample if _CODE.match(line)]
        if len(code) >= 3 and len(code) >= len(sample) / 40:
            definitions = [f"  {clean(line, 100)}" for line in code if not re.match(r"\s*(import|from|use|#)\b", line)]
            return ["Looks like source code, with lines such as:", *fit(definitions[:12], room - 60)]
        headings = self.headings()
        if len(headings) >= 2:
            count = f"{len(headings):,}{'+' * (len(self.value) > _WALKED or len(headings) >= _MAX_HEADINGS)}"
            lines = [f"  {clean(heading, 100)}" for heading in headings[:40]]
            return [f"Text with {count} headings, such as:", *fit(lines, room - 60, total=len(headings))]
        return self.patterns(room)

    def headings(self) -> list[str]:
        """Lines that start like a Markdown heading, in the first few million characters."""
        text, found, position = self.value, [], 0
        if _HEADING.match(text):
            found.append(text[:200].split("\n", 1)[0])
        for _ in range(5 * _MAX_HEADINGS):
            position = text.find("\n#", position, _WALKED) + 1
            if not position or len(found) >= _MAX_HEADINGS:
                break
            if _HEADING.match(text, position):
                found.append(text[position : position + 200].split("\n", 1)[0])
        return found

    def patterns(self, room: int) -> list[str]:
        """Shapes of lines that recur, with digits and hexadecimal ids masked as #."""
        sample = self.sample[:: len(self.sample) // 500 + 1]
        shapes = Counter(_MASKED.sub("#", line[:200]) for line in sample)
        lines = [
            f"  {count / len(sample):4.0%}  {clean(shape, 140)}"
            for shape, count in shapes.most_common(8)
            if count >= 3 and count >= len(sample) / 50
        ]
        return ["Lines that recur (share of a sample; # stands for digits):", *fit(lines, room - 60)] if lines else []


def barred(lines: Sequence[str], width: int = 200) -> list[str]:
    """Lines of a text as they are shown: behind a bar, so that none can be mistaken for anything else."""
    return [f"| {clean(line.removesuffix(chr(13)), width)}" for line in lines]
