"""How a text is divided: headings, separator lines, blocks, and the tags of XML and HTML."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from habit.contexts.display import Section, clean, count, quoted

_WALKED = 4 * 1024 * 1024
"""Characters up to which headings are looked for."""
_WALKED_FOR_OTHERS = 512 * 1024
"""The same for headings that do not begin with #."""
_MAX_HEADINGS = 2_000
_COUNTED = 8 * 1024 * 1024
"""Characters up to which separators and tags are counted one by one."""
_MAX_TAGS = 3_000

_NUMERAL = r"(?:\d{1,4}|[IVXLC]{1,8})\b"
_PARTS = (
    "Chapter",
    "CHAPTER",
    "Part",
    "PART",
    "Book",
    "BOOK",
    "Section",
    "SECTION",
    "Article",
    "ARTICLE",
    "ACT",
    "SCENE",
)
_KINDS = (
    (("\n#",), re.compile(r"#{1,6} +\S")),
    (("\n[",), re.compile(r"\[{1,2}[A-Za-z][\w .\"':/-]{0,60}\]{1,2}[ \t\r]*(?:\n|\Z)")),
    (("\n=",), re.compile(r"(={2,6}) ?[^=\s][^=\n]{0,100} ?\1\s")),
    (("\n--",), re.compile(r"(-{2,10}) ?[^-\s][^\n]{0,100}? ?\1\s")),
    (("\n\\",), re.compile(r"\\(?:part|chapter|(?:sub){0,2}section)\*?\{")),
    (tuple(f"\n{part} " for part in _PARTS), re.compile(rf"(?:{'|'.join(_PARTS)}) +{_NUMERAL}")),
)
_NUMBERED = re.compile(r"(?:\d{1,2}\.){1,4}(?:\d{1,2})?\.?[ \t]+[A-Z]\S*(?: \S+){0,9}")
_RULE = re.compile(r"([-=*_#~+%])\1{2,}|\* \* \*|- - -|\f")
_TAG = re.compile(r"<(/?)([A-Za-z][\w:.-]{0,60})(?=[\s/>])([^<>]{0,1000})>([^<]{0,60})")
_ATTRIBUTE = re.compile(r"\s([A-Za-z_:][\w:.-]{0,40})=")
_MARKUP = re.compile(r"\s*<(?:\?xml\b|!DOCTYPE\b|!--|[A-Za-z][\w:.-]{0,60}[\s/>])", re.IGNORECASE)


def headings(text: str, head: Sequence[str]) -> list[str]:
    """Headings of the first style that the text has two of: marked ones, underlined ones, numbered ones."""
    for starts, style in _KINDS:
        places = _marked(text, starts, style)
        if len(places) >= 2 and not _are_comments(text, places):
            return [text[place : place + 200].split("\n", 1)[0] for place in places]
    first = head[:4_000]
    found = [
        line for line, under in pairwise(first) if line[:1].isalnum() and len(line) < 120 and _underlines(line, under)
    ]
    if len(found) >= 2:
        return found
    found = [line for line in first if line[:1].isdigit() and len(line) < 100 and _NUMBERED.fullmatch(line.rstrip())]
    return found if len(found) >= 3 and not any(line.rstrip().endswith((".", ",", ";")) for line in found[:20]) else []


def _are_comments(text: str, places: list[int]) -> bool:
    """Whether lines that begin with one # are comments, as in scripts and settings: few have blank lines below."""
    if len(places) < 3 or text[places[0]] != "#" or any(text.startswith("##", place) for place in places):
        return False
    ends = [text.find("\n", place, place + 1_000) for place in places[:100]]
    return sum(text.startswith(("\n\n", "\n\r\n"), end) for end in ends) < len(ends) * 0.6


def _marked(text: str, starts: tuple[str, ...], style: re.Pattern[str]) -> list[int]:
    """Where lines are that match ``style`` in the first few million characters, in their order."""
    walked = _WALKED if starts == ("\n#",) else _WALKED_FOR_OTHERS
    found = [0] if style.match(text) else []
    for start in starts:
        position = 0
        for _ in range(5 * _MAX_HEADINGS):
            position = text.find(start, position, walked) + 1
            if not position or len(found) >= _MAX_HEADINGS:
                break
            if style.match(text, position):
                found.append(position)
    return sorted(found)


def _underlines(line: str, under: str) -> bool:
    mark = under.rstrip()
    return (
        len(mark) >= 3 and mark[0] in "=-~" and mark == mark[0] * len(mark) and abs(len(mark) - len(line.rstrip())) < 4
    )


def heading_section(text: str, head: Sequence[str]) -> list[Section]:
    """The first headings, and how many there are."""
    found = headings(text, head)
    if not found:
        return []
    number = f"{len(found):,}{'+' * (len(text) > _WALKED_FOR_OTHERS or len(found) >= _MAX_HEADINGS)}"
    levels = Counter(len(line) - len(line.lstrip("#")) for line in found)
    each = ", ".join(f"{'#' * level} {levels[level]:,}" for level in sorted(levels)) if 0 not in levels else ""
    title = f"Text with {number} headings{f' ({each})' * (len(levels) > 1 and bool(each))}, such as:"
    return [Section(title, [f"  {clean(line, 100)}" for line in found[:24]], total=len(found), share=0.6)]


def rules(text: str, sample: Sequence[str]) -> list[Section]:
    """Lines of punctuation alone that come again and again, between parts or records."""
    found = Counter(line.rstrip()[:100] for line in sample if _RULE.fullmatch(line.rstrip()))
    said = []
    for rule, number in found.most_common(3):
        if number >= 2:
            times = f"{text.count(chr(10) + rule):,}×" if len(text) <= _COUNTED else f"{number:,}× in a sample"
            said.append(f"{quoted(rule, 40)} {times}")
    return [Section(f"Separator lines: {', '.join(said)}.")] if said else []


def blocks(head: Sequence[str]) -> list[Section]:
    """How blank lines divide a text."""
    sizes = [0]
    for line in head[:4_000]:
        if line.strip():
            sizes[-1] += 1
        elif sizes[-1]:
            sizes.append(0)
    sizes = [size for size in sizes if size]
    if len(sizes) < 4:
        return []
    typical = count(int(median(sizes)), "line")
    return [Section(f"Blank lines divide it into blocks, typically of {typical}, at most {max(sizes):,} (sampled).")]


@dataclass
class _Element:
    number: int = 0
    attributes: Counter[str] = field(default_factory=Counter)
    example: str = ""


def markup(text: str, head: str) -> list[Section]:
    """For XML and HTML: which elements are within which, how often, with attributes and an example of their text."""
    if not _MARKUP.match(head) or ("</" not in head and "/>" not in head):
        return []
    html = "<html" in head[:2_000].lower() or "<!doctype html" in head[:2_000].lower()
    found: dict[str, _Element] = {}
    for path, attributes, words in _elements(head, html):
        element = found.setdefault(path, _Element())
        element.number += 1
        element.attributes.update(attributes)
        element.example = element.example or words
    if sum(element.number for element in found.values()) < 3:
        return []
    order = sorted(found.items(), key=lambda item: -item[1].number) if html else found.items()
    lines = []
    for path, element in order:
        attributes = [clean(name, 24) for name, _ in element.attributes.most_common(6)]
        with_them = f", attributes {', '.join(attributes)}" if attributes else ""
        example = f", such as {quoted(element.example, 40)}" if element.example else ""
        lines.append(f"  {clean(path, 100)}: {element.number:,}×{with_them}{example}")
    what = "HTML; its tags" if html else "XML; its elements"
    if len(head) == len(text):
        return [Section(f"{what}:", lines[:60], total=len(lines), share=0.7)]
    what = f"{what} (numbers for the first {len(head):,} characters):"
    sections = [Section(what, lines[:60], total=len(lines), share=0.7)]
    if len(text) <= _COUNTED:
        most = max(found, key=lambda path: found[path].number).rpartition("/")[2]
        sections.append(Section(f'"<{clean(most, 60)}" occurs {text.count(f"<{most}"):,} times in all of it.'))
    return sections


def _elements(head: str, html: bool) -> Iterator[tuple[str, list[str], str]]:
    """Path, names of attributes and first words of each element; in HTML, whose nesting is loose, the tag alone."""
    stack: list[str] = []
    for _, match in zip(range(_MAX_TAGS), _TAG.finditer(head), strict=False):
        closing, name, attributes, words = match.groups()
        name = name.lower() if html else name
        if closing:
            if name in stack[-20:]:
                while stack.pop() != name:
                    pass
            continue
        yield "/".join([*stack[-6:], name] if not html else [name]), _ATTRIBUTE.findall(attributes), words.strip()
        if not html and not attributes.endswith("/") and len(stack) < 1_000:
            stack.append(name)
