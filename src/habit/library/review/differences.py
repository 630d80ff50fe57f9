"""A difference as git tells it, taken apart into files, so that a page shows what matters and names the rest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from habit.library.habit import CASE_FILE, SKILL_FILE, SOURCE_FILE, SPEC_FILE

MOST_LINES = 2000
"""Lines of one file that a page shows; it says how many more there are."""
MOST_CHARS = 4000
"""Characters of one line, or of one cell of a table, that a page shows."""
_HEADER = re.compile(r"diff --git a/(.*) b/(.*)")


@dataclass(frozen=True)
class FileDiff:
    """What changes in one file."""

    path: str
    lines: Sequence[str]
    """Without the header; the first character of each tells ``+``, ``-``, `` `` or ``@``."""
    generated: bool = False
    """Whether it is a SKILL.md that follows from habit.toml."""

    @property
    def hidden(self) -> bool:
        """Whether naming it is enough: recorded cases, and what is generated."""
        return CASE_FILE.fullmatch(self.path) is not None or self.generated

    @property
    def is_strange(self) -> bool:
        """Whether it is no part of a habit."""
        return self.path not in (SPEC_FILE, SOURCE_FILE, SKILL_FILE) and CASE_FILE.fullmatch(self.path) is None

    @property
    def cut(self) -> str:
        """What of it a page does not show, in a few words; empty when it shows all."""
        long = sum(len(line) > MOST_CHARS for line in self.lines[:MOST_LINES])
        parts = [f"all but its first {MOST_LINES:,} lines"] if len(self.lines) > MOST_LINES else []
        parts += [f"all but the first {MOST_CHARS:,} characters of {long:,} of its lines"] if long else []
        return "" if self.hidden else " and ".join(parts)

    @property
    def summary(self) -> str:
        """How much changes."""
        plus = sum(line.startswith("+") for line in self.lines)
        minus = sum(line.startswith("-") for line in self.lines)
        return f"{plus:,} lines added, {minus:,} removed" + (", generated" if self.generated else "")


def split(diff: str, *, generated: bool) -> list[FileDiff]:
    """The files of a unified diff, scheduler.py first; ``generated`` tells whether SKILL.md follows from habit.toml."""
    found: list[FileDiff] = []
    path, in_header = "", True
    lines: list[str] = []
    for line in diff.split("\n"):
        header = _HEADER.fullmatch(line)
        if header and (in_header or not line.startswith((" ", "+", "-", "\\"))):
            _add(found, path, lines, generated)
            path, lines, in_header = header[2], [], True
        elif line.startswith("@@"):
            in_header = False
            lines.append(line)
        elif (not in_header and line[:1] in (" ", "+", "-", "\\")) or line.startswith("Binary files"):
            lines.append(line)
    _add(found, path, lines, generated)
    return sorted(found, key=lambda file: (_ORDER.get(file.path, len(_ORDER)), file.path))


_ORDER = {SOURCE_FILE: 0, SPEC_FILE: 1}


def _add(found: list[FileDiff], path: str, lines: list[str], generated: bool) -> None:
    if path:
        found.append(FileDiff(path, lines, generated and path == SKILL_FILE))
