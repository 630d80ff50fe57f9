"""A review as text for a terminal; everything shown is made visible, so that it can't steer one."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

from habit.contexts.display import clean
from habit.library.review.differences import MOST_CHARS, MOST_LINES
from habit.library.review.page import Mark, Page, Row, Section

Paint = Callable[[str, Mark], str]
_SIGNS: dict[Mark, str] = {"": " ", "good": "✓", "bad": "✗", "new": "+", "changed": "~", "gone": "-"}
_MOST_COLUMN = 48


def text_of(page: Page, width: int, paint: Paint) -> str:
    """The page, at most ``width`` columns wide where lines can be broken; ``paint`` colours a line by its mark."""
    lines = [clean(page.title, MOST_CHARS), clean(page.subtitle, MOST_CHARS), ""]
    for row in page.verdicts:
        lines += _line(row, width, paint)
    for section in page.sections:
        lines += ["", section.title.upper(), *_section(section, width, paint)]
    return "\n".join([*lines, "", "THE WAY ON", *(f"  {clean(command, MOST_CHARS)}" for command in page.way_on)])


def _section(section: Section, width: int, paint: Paint) -> list[str]:
    lines: list[str] = []
    if section.heads:
        lines += _table(section, paint)
    else:
        for row in section.rows:
            lines += _line(row, width, paint)
    for file in section.files:
        if not file.hidden:
            lines.append(f"  {clean(file.path, MOST_CHARS)}")
            for line in file.lines[:MOST_LINES]:
                mark: Mark = "new" if line.startswith("+") else "gone" if line.startswith("-") else ""
                lines.append(paint(f"    {clean(line, MOST_CHARS)}", mark))
            if len(file.lines) > MOST_LINES:
                lines.append(paint(f"    {len(file.lines) - MOST_LINES:,} more lines are not shown.", "bad"))
    return lines


def _line(row: Row, width: int, paint: Paint) -> list[str]:
    """One sentence, broken to fit."""
    text = clean(" ".join(row.cells), MOST_CHARS)
    wrapped = textwrap.wrap(text, max(width - 4, 20), break_on_hyphens=False) or [""]
    signs = [_SIGNS[row.mark], *([" "] * (len(wrapped) - 1))]
    return [paint(f"  {sign} {part}", row.mark) for sign, part in zip(signs, wrapped, strict=True)]


def _table(section: Section, paint: Paint) -> list[str]:
    """Columns as wide as their cells up to a limit; what is longer pushes the rest of its own line."""
    cells = [[clean(cell, MOST_CHARS) for cell in row.cells] for row in section.rows]
    everything: Sequence[Sequence[str]] = [section.heads, *cells] if any(section.heads) else cells
    widths = [min(max(len(line[at]) for line in everything), _MOST_COLUMN) for at in range(len(section.heads))]
    lines = []
    if any(section.heads):
        lines.append(
            "    " + "  ".join(head.ljust(wide) for head, wide in zip(section.heads, widths, strict=True)).rstrip()
        )
    for row, shown in zip(section.rows, cells, strict=True):
        text = "  ".join(cell.ljust(wide) for cell, wide in zip(shown, widths, strict=True)).rstrip()
        lines.append(paint(f"  {_SIGNS[row.mark]} {text}", row.mark))
    return lines
