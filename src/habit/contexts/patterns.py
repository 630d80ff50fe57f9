"""What recurs in lines: patterns with the varying parts masked, labels, fields, levels, and the times they span."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import eq

from habit.contexts.display import Section, clean, quoted, share, strata

_WIDTH = 200
"""Characters of a line that count for its pattern."""
_MAX_WORDS = 30
_MAX_SHAPES = 300
_MAX_PATTERNS = 8
_ALIKE = 0.6
"""The share of words two lines of equally many words have in common when they follow one pattern."""

_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sep(?:t|tember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?)"
)
_CLOCK = r"\d\d?:\d\d(?::\d\d(?:[.,]\d{1,9})?)?"
_DATE = rf"\d{{4}}[-/.]\d\d[-/.]\d\d(?:[T ,_]{{1,2}}{_CLOCK})?(?: ?Z\b| ?[+-]\d\d:?\d\d\b)?"
_WEB_DATE = rf"\d\d/{_MONTH}/\d{{4}}(?::{_CLOCK}(?: [+-]\d{{4}})?)?"
_MASKS = (
    (re.compile(r"https?://[^\s\"'<>]{1,200}"), "<url>"),
    (re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?::\d{1,5})?\b", re.ASCII), "<ip>"),
    (re.compile(r"0x[0-9a-fA-F]+|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), "<id>"),
    (re.compile(r"\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{6,64}\b"), "<id>"),
    (re.compile(rf"{_DATE}|{_WEB_DATE}|\b{_CLOCK}\b(?: ?[AP]M\b)?", re.ASCII), "<time>"),
    (
        re.compile(rf"{_MONTH}\.? {{1,2}}\d\d?(?!\d)(?:,? \d{{4}})?(?: <time>(?: \d{{4}})?)?", re.ASCII),
        "<time>",
    ),
    (re.compile(r"\d+(?:[.,]\d+)*", re.ASCII), "#"),
)
"""What varies from line to line, and what stands for it, in the order in which they are looked for."""
_LEVEL = re.compile(
    r"\b(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERR|ERROR|CRITICAL|FATAL|ALERT|EMERG"
    r"|(?<=[\[ ])(?:trace|debug|info|notice|warn|warning|error|crit|alert)(?=[\]:]))\b"
)
_FIELD = re.compile(r"(?<![\w.-])([A-Za-z_][\w.-]{0,30})=(?=[^\s=])", re.ASCII)
_LABEL = re.compile(
    r"\W{0,3}?(?:<time>\W{1,3}?)?(?:<(?!time>)([\w .-]{1,30})> |([^\W\d_][\w .'/#-]{0,30}?) ?:(?:\s|$))"
)
_DAY = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?:[T ]\d\d:\d\d(?::\d\d)?)?", re.ASCII)


@dataclass
class _Pattern:
    words: list[str]
    number: int
    example: str
    first: int
    """Where in the sample its first line is."""

    def takes(self, words: list[str]) -> bool:
        """Whether a line of equally many words follows this pattern; if so, what differs is masked from now on."""
        if len(words) < 3 or sum(map(eq, self.words, words)) < _ALIKE * len(words):
            return False
        self.words = [mine if mine == theirs else "*" for mine, theirs in zip(self.words, words, strict=True)]
        return True

    @property
    def text(self) -> str:
        return re.sub(r"\*(?: \*)+", "* …", " ".join(self.words))


class Lines:
    """Sampled lines of a text, or sampled items of a list, and what they have in common."""

    def __init__(self, sample: Sequence[str], most: int = 400) -> None:
        self.lines = [sample[index][:_WIDTH] for index in strata(len(sample), most)]
        masked = "\n".join(line.replace("\n", " ") for line in self.lines)
        for mask, name in _MASKS:
            masked = mask.sub(name, masked)
        self.masked = masked.split("\n") if self.lines else []

    def patterns(self) -> list[Section]:
        """Shapes of lines that recur."""
        least = max(3, len(self.lines) // 100)
        found = [pattern for pattern in self._found() if pattern.number >= least]
        found = sorted(found, key=lambda pattern: -pattern.number)[:_MAX_PATTERNS]
        covered = sum(pattern.number for pattern in found)
        if not found or covered < len(self.lines) / 4:
            return []
        lines = []
        for pattern in found:
            line = f"  {share(pattern.number, len(self.lines)):>4}  {clean(pattern.text, 140)}"
            # The others are seen among the first lines, which are shown.
            shown = pattern.first < 5 or pattern.text == pattern.example
            lines.append(line if shown else f"{line}, such as {quoted(pattern.example, 80)}")
        what = f"Line patterns ({share(covered, len(self.lines))} of the sampled lines; # is a number, * varies):"
        return [Section(what, lines, share=0.7)]

    def _found(self) -> list[_Pattern]:
        shapes = Counter(self.masked)
        first: dict[str, int] = {}
        for index, shape in enumerate(self.masked):
            first.setdefault(shape, index)
        found: dict[tuple[int, str], list[_Pattern]] = {}
        for shape, number in shapes.most_common(_MAX_SHAPES):
            words = shape.split(None, _MAX_WORDS) or [""]
            words[0] = shape[: len(shape) - len(shape.lstrip())] + words[0]
            alike = found.setdefault((len(words), words[0] if len(words[0]) < 12 else ""), [])
            for pattern in alike[:20]:
                if pattern.takes(words):
                    pattern.number += number
                    pattern.first = min(pattern.first, first[shape])
                    break
            else:
                alike.append(_Pattern(words, number, self.lines[first[shape]], first[shape]))
        return [pattern for patterns in found.values() for pattern in patterns]

    def levels(self) -> list[Section]:
        """The levels of log lines, each with its share."""
        found = Counter(match.group(1) for match in map(_LEVEL.search, self.lines) if match)
        if found.total() < len(self.lines) / 3:
            return []
        said = ", ".join(f"{level} {share(number, len(self.lines))}" for level, number in found.most_common(8))
        return [Section(f"Levels (sampled): {said}.")]

    def fields(self) -> list[Section]:
        """The names of ``name=value`` that many lines hold."""
        found = Counter(name for line in self.lines for name in dict.fromkeys(_FIELD.findall(line)))
        often = [(name, number) for name, number in found.most_common(20) if number >= max(len(self.lines) / 5, 3)]
        if not often:
            return []
        said = ", ".join(f"{name} {share(number, len(self.lines))}" for name, number in often)
        return [Section(f"Fields written name=value, and the share of lines with each: {clean(said, 600)}.")]

    def labels(self) -> list[Section]:
        """What lines begin with before a colon: the speakers of a conversation, or the fields of records."""
        found: Counter[str] = Counter()
        for match in map(_LABEL.match, self.masked):
            if match:
                found[(match.group(1) or match.group(2)).strip()] += 1
        often = [(label, number) for label, number in found.most_common(16) if number > 1]
        covered = sum(number for _, number in often)
        if len(often) < 2 or covered < max(len(self.lines) / 4, 4):
            return []
        said = ", ".join(f"{clean(label, 40)}: {share(number, len(self.lines))}" for label, number in often)
        what = "Lines begin with a name and a colon (speakers or fields; share of the sampled lines)"
        return [Section(f"{what}: {said}{', …' * (len(found) > len(often))}")]


def dates(lines: Sequence[str]) -> list[Section]:
    """The first and last day (or time) among lines, where they are written so that they sort."""
    found = _DAY.findall("\n".join(line[:_WIDTH] for line in lines))
    if len(found) < 3:
        return []
    least, most = min(found), max(found)
    return [Section(f"Dates in it (sampled): {least} to {most}.")] if least != most else []
