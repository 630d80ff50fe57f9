"""Tables in text (CSV, TSV and kin): found by their first lines, described column by column."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from habit.contexts.columns import cell_kind, summarise_cells
from habit.contexts.display import label

_MAX_ROWS = 200
_MAX_COLUMNS = 100
_MAX_CELLS = 20_000
_LABEL = re.compile(r"\s*([A-Za-z][\w ]{0,30}):\s")
DELIMITERS = {
    "\t": "tab",
    ",": "comma",
    ";": "semicolon",
    "|": "bar",
    "||": "a double bar",
    "\x1f": "the unit separator \\x1f",
    "\x01": "\\x01",
    "^": "caret",
    "~": "tilde",
    ":": "colon",
}
"""Delimiters and their names."""


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
    comments: int = 0
    """Lines of comments before the table."""
    labelled: bool = False
    """Whether the cells carry their names themselves, as in ``name: Ada || age: 36``."""

    @property
    def is_prose_in_part(self) -> bool:
        """Whether the table has few columns, no names for them, and one with several words in most of its cells."""
        rows = self.rows[:50]
        columns = list(zip(*rows, strict=True))
        wordy = any(sum(cell.count(" ") > 2 for cell in column) > len(rows) / 2 for column in columns)
        return self.header is None and self.width <= 3 and wordy

    def lines(self) -> list[str]:
        """One line for each of the first columns: name, type, and range, frequent values or examples."""
        names = (self.header or [f"column {index}" for index in range(self.width)])[:_MAX_COLUMNS]
        rows = self.rows[:: len(self.rows) * len(names) // _MAX_CELLS + 1]
        columns = list(zip(*(row[:_MAX_COLUMNS] for row in rows), strict=True)) or [()] * len(names)
        return [
            f"  {label(name.strip(), 60) if name.strip() else '(no name)'}: {summarise_cells(cells)}"
            for name, cells in zip(names, columns, strict=True)
        ]


def find_table(lines: Sequence[str], later: Sequence[str] = (), *, commented: bool = False) -> Table | None:
    """The table that ``lines``, the first lines of a text, begin; None when they are something else.

    ``later`` holds lines from further down, for values that the first lines do not show. ``commented``: lines of
    comments came before, so that names are not to be expected.
    """
    lines = [line for line in lines[: _MAX_ROWS + 1] if line.strip()]
    if len(lines) < 2:
        return None
    best: tuple[float, int, Table] | None = None
    for delimiter in DELIMITERS:
        if delimiter not in lines[0] or delimiter not in lines[1]:
            continue
        rows = _read(lines, delimiter)
        width, number = Counter(len(row) for row in rows).most_common(1)[0] if rows else (0, 0)
        share = number / max(len(rows), 1)
        if width < (5 if delimiter == ":" else 2) or share < 0.9 or len(rows[0]) != width or _is_prose(rows, delimiter):
            continue
        # Of "a||b" with two columns and three, the second of them always empty, the first is meant.
        width_without_gaps = width - sum(
            all(not row[index] for row in rows if len(row) == width) for index in range(width)
        )
        if best is None or (share, width_without_gaps) > best[:2] or (delimiter == "||" and best[2].delimiter == "|"):
            best = share, width_without_gaps, _table(rows, _read(later, delimiter), delimiter, width, commented)
    return best[2] if best else None


def _table(rows: list[list[str]], later: list[list[str]], delimiter: str, width: int, commented: bool) -> Table:
    good = [row for row in rows if len(row) == width]
    multiline = any("\n" in cell for row in good for cell in row)
    named = _is_header(good) and not (commented and all(cell_kind(cell) == "str" for cell in good[1]))
    header = [cell.removeprefix("\ufeff") for cell in good[0]] if named else None
    body = good[1:] if header else list(good)
    body += [row for row in later if len(row) == width and not multiline]
    labels = [_LABEL.match(cell) for cell in good[0]]
    if not header and all(labels) and len(body) > 1:
        names = [label.group(1) for label in labels if label]
        if all(
            cell.lstrip().startswith(f"{name}:") for row in body[:50] for name, cell in zip(names, row, strict=True)
        ):
            body = [
                [cell.lstrip().removeprefix(f"{name}:").strip() for name, cell in zip(names, row, strict=True)]
                for row in body
            ]
            return Table(delimiter, width, names, body, multiline, labelled=True)
    return Table(delimiter, width, header, body, multiline)


def _read(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    if len(delimiter) > 1:
        return [line.split(delimiter) for line in lines]
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
    if delimiter in "\t\x1f\x01" or delimiter == "||":
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
    if any(cell_kind(cell) != "str" for cell in first):
        return False
    return not any(cell in {row[index] for row in body} for index, cell in enumerate(first))
