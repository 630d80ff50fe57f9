"""Tables in text (CSV, TSV and kin): found by their first lines, described column by column."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from habit.contexts.display import clean, quoted

_MAX_ROWS = 200
_MAX_COLUMNS = 300
_INT = re.compile(r"\s*[+-]?\d{1,18}\s*", re.ASCII)
_FLOAT = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_DATE = re.compile(r"\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})([T ]\d{1,2}:\d{2}.{0,20})?\s*")
_BOOLS = {"true", "false", "yes", "no"}


@dataclass(frozen=True)
class Table:
    """The shape of a table, from a sample of its rows."""

    delimiter: str
    width: int
    header: list[str] | None
    rows: list[list[str]]
    """Sampled rows of the common width, without the header."""
    multiline: bool
    """Whether a quoted cell of the sample holds a line break, so that lines are not rows."""

    def lines(self) -> list[str]:
        """One line for each column: name, type and examples."""
        names = self.header or [f"column {index}" for index in range(self.width)]
        columns = zip(*self.rows, strict=True) if self.rows else [()] * self.width
        return [
            f"  {clean(name.strip(), 60) or '(no name)'}: {_column(values)}"
            for name, values in list(zip(names, columns, strict=True))[:_MAX_COLUMNS]
        ]


def find_table(lines: Sequence[str], later: Sequence[str] = ()) -> Table | None:
    """The table that ``lines``, the first lines of a text, begin; None when they are something else.

    ``later`` holds lines from further down, for values that the first lines do not show.
    """
    lines = [line for line in lines[: _MAX_ROWS + 1] if line.strip()]
    if len(lines) < 2:
        return None
    best: tuple[float, int, Table] | None = None
    for delimiter in "\t,;|":
        if delimiter not in lines[0] or delimiter not in lines[1]:
            continue
        rows = _read(lines, delimiter)
        width, count = Counter(len(row) for row in rows).most_common(1)[0] if rows else (0, 0)
        share = count / max(len(rows), 1)
        if width < 2 or share < 0.9 or len(rows[0]) != width or _is_prose(rows, delimiter):
            continue
        if best is None or (share, width) > best[:2]:
            good = [row for row in rows if len(row) == width]
            header = [cell.removeprefix("\ufeff") for cell in good[0]] if _is_header(good) else None
            multiline = any("\n" in cell for row in good for cell in row)
            good += [row for row in _read(later, delimiter) if len(row) == width]
            best = share, width, Table(delimiter, width, header, good[1:] if header else good, multiline)
    return best[2] if best else None


def _read(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    # A stray quote swallows the rest of the sample; if so, quotes mean nothing here.
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
        try:
            rows = list(csv.reader([line + "\n" for line in lines], delimiter=delimiter, quoting=quoting))
        except csv.Error:
            continue
        if len(rows) > len(lines) / 2:
            return rows
    return []


def _is_prose(rows: list[list[str]], delimiter: str) -> bool:
    """Whether the delimiter is only punctuation: followed by spaces, between cells of several words, few rows."""
    if delimiter == "\t":
        return False
    if len(rows) < 3:
        return not (_is_header(rows) and all(" " not in cell for cell in rows[0]))
    cells = [cell for row in rows for cell in row[1:]]
    spaced = sum(cell.startswith(" ") for cell in cells) > len(cells) / 2
    return spaced and sum(cell.count(" ") for cell in cells) > 3 * len(cells)


def _is_header(rows: list[list[str]]) -> bool:
    first, body = rows[0], rows[1:]
    if len(set(first)) < len(first) or any(not cell.strip() or len(cell) > 60 for cell in first):
        return False
    if any(_kind(cell) != "str" for cell in first):
        return False
    return not any(cell in {row[index] for row in body} for index, cell in enumerate(first))


def _kind(cell: str) -> str:
    if not cell.strip():
        return ""
    if _INT.fullmatch(cell):
        return "int"
    if _FLOAT.fullmatch(cell[:60]):
        return "float"
    if _DATE.fullmatch(cell[:60]):
        return "date"
    return "bool" if cell.strip().casefold() in _BOOLS else "str"


def _column(values: Sequence[str]) -> str:
    kinds = Counter(_kind(value) for value in values)
    empty = kinds.pop("", 0)
    if set(kinds) == {"int", "float"}:
        kinds = Counter(float=1)
    kind = " or ".join(sorted(kinds)) or "empty"
    distinct = list(dict.fromkeys(value for value in values if value.strip()))
    text = kind
    if empty and distinct:
        text += f" ({empty} of {len(values)} sampled are empty)"
    if not distinct:
        return text
    if len(distinct) <= 12 and len(values) >= 40:
        return f"{text}, values in a sample: {', '.join(quoted(value, 40) for value in distinct)}"
    if len(distinct) < len(values) / 3:
        text += f", {len(distinct)} different in a sample of {len(values):,}"
    return f"{text}, such as {', '.join(quoted(value, 40) for value in distinct[:3])}"
