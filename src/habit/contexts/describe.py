"""What a model is told of its input: type, size, structure and a short preview, never the bulk.

Runs inside the sandbox before any model-written code. Only the standard library, no side effects, and whatever the
size of the value only a bounded part of it is looked at (sizes of files excepted). The same value is always described
in the same words.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from habit.contexts.columns import type_name
from habit.contexts.display import Page, Section, clean, count, literal, quoted, spread, strata
from habit.contexts.patterns import Lines, dates
from habit.contexts.shapes import survey, told
from habit.contexts.tables import DELIMITERS, find_table
from habit.contexts.texts import WIDTH, Text, barred

MAX_TOKENS = 2_000
"""Tokens of a description at most, as ``habit.contexts.estimate`` counts them: with caution."""
_MAX_LINES = 20
_OUTLINED = 16
"""Items of a list of longer texts whose first lines are shown."""
_FEW_LINES = 6
"""Lines shown of a text whose lines are all of one kind, which has been told."""
_MAX_ENTRIES = 10_000
"""Entries of a dict of texts that are grouped by name and size."""
_MAX_SUMMED = 200_000
"""Entries of a dict of texts whose sizes are added up."""


def describe(value: object, *, budget_chars: int = 6000, budget_tokens: int = MAX_TOKENS) -> str:
    """What a model needs to know of ``value`` to write code for it, within so many characters and tokens."""
    page = Page(budget_chars, budget_tokens)
    if isinstance(value, str):
        _describe_text(page, value)
    elif isinstance(value, dict) and is_texts(value):
        _describe_texts(page, value)
    elif isinstance(value, list):
        _describe_list(page, value)
    elif isinstance(value, dict):
        page.headline(f"{told(value)}.")
        _structure(page, value)
        _entries(page, value)
    else:
        page.headline(f"{type_name(value)}: {literal(value, 200)}")
    return page.text


def preview(value: object, chars: int) -> str:
    """The length of ``value`` and its first lines between ``<<<`` and ``>>>``, in at most ``chars`` characters."""
    if isinstance(value, str):
        text = Text(value)
        size, lines = text.size().split(";")[0], (clean(line.removesuffix("\r"), 160) for line in text.head)
    elif isinstance(value, list):
        size = told(value)
        lines = (f"context[{index}] = {literal(item, 160)}" for index, item in enumerate(islice(value, 100)))
    elif isinstance(value, dict):
        size = told(value)
        lines = (f"context[{literal(key, 80)}] = {literal(item, 160)}" for key, item in islice(value.items(), 100))
    else:
        return f"{type_name(value)}: {literal(value, max(chars - 60, 0))}"[: max(chars, 0)]
    start, end = f"{size}. It begins:\n<<<\n", "\n>>>"
    room = chars - len(start) - len(end)
    shown: list[str] = []
    for line in lines:
        # A line of the input must not look like the end of the input, nor like the start of code.
        line = "\\" + line if line.lstrip().startswith((">>>", "<<<", "```", "~~~")) else line
        if not shown and len(line) > room:
            line = clean(line, room)
        room -= len(line) + 1
        if room < -1:
            break
        shown.append(line)
    return (start + "\n".join(shown) + end)[: max(chars, 0)]


def _describe_text(page: Page, value: str) -> None:
    text = Text(value)
    page.headline(f"{text.size()}.")
    for line in text.oddities():
        page.add(Section("", [line]))
    sections = text.kind()
    _add_within(page, sections, 0.62)
    if value:
        _first_and_last_lines(page, text, _FEW_LINES if sections and text.regular else _MAX_LINES)


def _add_within(page: Page, sections: Sequence[Section], part: float) -> None:
    """Add what fits of ``sections`` into a part of the room, so that the rest is left to a preview."""
    within = Page(int(page.chars * part), int(page.tokens * part))
    for section in sections:
        within.add(section)
    page.add(Section("", within.lines))


def _first_and_last_lines(page: Page, text: Text, most: int) -> None:
    last = [Section("Last lines:", barred(text.tail), share=1 / 3)] if text.tail else []
    head = barred(text.head[:most])
    ending = Page(page.chars // 3, page.tokens // 3)
    for section in last:
        ending.add(section)
    complete = text.rows == len(text.head) == len(head) and max(map(len, text.head)) <= WIDTH
    reserved = Page(
        page.chars - sum(len(line) + 1 for line in ending.lines), ending.tokens + page.tokens - page.tokens // 3
    )
    more = "  … ({} of these lines left out)"
    title = "All of it:" if complete else "First lines:"
    if complete and page.add(Section(title, head)):
        return
    shown = reserved.add(Section("First lines:", head, more))
    if not shown and text.head:
        room = max(min(reserved.chars, reserved.tokens) - 40, 0)
        shown = reserved.add(Section("First lines:", barred(text.head[:1], room)))
    page.add(Section("", [*reserved.lines, *ending.lines]))


def _describe_list(page: Page, value: list[object]) -> None:
    first = told(value)
    sample = spread(value, 100, 200)
    kinds = Counter(type_name(item) for item in sample)
    texts = [item for item in sample if isinstance(item, str)]
    if set(kinds) == {"str"}:
        lengths = sorted(len(text) for text in texts)
        lengths_told = f"{lengths[0]:,} to {lengths[-1]:,} characters, typically {lengths[len(texts) // 2]:,}"
        first += f", each a str of {lengths_told if lengths[0] < lengths[-1] else count(lengths[0], 'character')}"
        first += " (sampled)" if len(sample) < len(value) else ""
    elif len(kinds) > 1:
        first += f": {', '.join(f'{kind} ({number})' for kind, number in kinds.most_common(8))}"
        first += f" among {len(sample)} sampled" if len(sample) < len(value) else ""
    page.headline(f"{first}.")
    if set(kinds) == {"str"}:
        _add_within(page, _items(value, texts), 0.6)
    else:
        _structure(page, value)
    _entries(page, value)


def _items(value: list[object], texts: list[str]) -> list[Section]:
    """What the items of a list of texts have in common."""
    short = [text[:400] for text in texts]
    table = None if any("\n" in text for text in short) else find_table(short[:200], short[200:])
    if table is not None:
        what = f"Each item is a row of {table.width:,} cells separated by {DELIMITERS[table.delimiter]}. Sampled:"
        return [Section(what, table.lines(), "  … and {} more columns", table.width)]
    lines = Lines([text.partition("\n")[0] for text in short if text.strip()])
    facts = []
    several = sum("\n" in text for text in short)
    if several:
        shown = [f"  {index}: {_first_line(value[index])}" for index in strata(len(value), _OUTLINED)]
        title = f"{several} of {len(short)} sampled items have several lines. The first lines of some:"
        facts.append(Section(title, shown, total=len(value), share=0.6))
    different = len(set(texts)) if sum(len(text) for text in texts) < 1_000_000 else len(texts)
    if different < len(texts):
        facts.append(Section(f"{different} different ones among {len(texts)}{' sampled' * (len(texts) < len(value))}."))
    return [*facts, *lines.labels(), *dates(short), *lines.patterns(), *lines.fields()]


def _first_line(item: object) -> str:
    """The first line of an item that is not empty, in quotes."""
    lines = str(item)[:2_000].split("\n") if isinstance(item, str) else []
    return quoted(next((line.strip() for line in lines if line.strip()), ""), 80)


def _structure(page: Page, value: list[object] | dict[object, object]) -> None:
    """The places below ``value``."""
    shape = survey(value)
    if shape.lines:
        page.add(Section(f"Paths below context ({shape.about}):", shape.lines, "  … and {} more paths", share=0.65))


def _entries(page: Page, value: list[object] | dict[object, object]) -> None:
    """Some entries as they are."""
    if not value:
        return
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    entries = [(literal(key, 80), item) for key, item in islice(pairs, 4)]
    if isinstance(value, list) and len(value) > 4:
        entries += [
            (str(index), value[index]) for index in dict.fromkeys((len(value) // 2, len(value) - 1)) if index > 3
        ]
    room = min(page.chars, page.tokens * 2)
    width = min(max(room // len(entries) - 60, 60), 500)
    shown = [f"context[{key}] = {literal(item, width)}" for key, item in entries]
    page.add(Section("Entries:", shown, "… and {} more", max(len(value), len(shown))))


def is_texts(value: dict[object, object]) -> bool:
    """Whether a dict maps names to texts, as a folder of files does, rather than being a record of short fields."""
    entries = list(islice(value.items(), 200))
    if not entries or not all(isinstance(key, str) and isinstance(item, str) for key, item in entries):
        return False
    return len(value) > 40 or any("." in str(key) or "/" in str(key) or len(str(item)) > 500 for key, item in entries)


def _describe_texts(page: Page, value: dict[object, object]) -> None:
    sizes = {str(key): len(item) for key, item in islice(value.items(), _MAX_ENTRIES) if isinstance(item, str)}
    total = sum(len(item) for item in islice(value.values(), _MAX_SUMMED) if isinstance(item, str))
    summed = "" if len(value) <= _MAX_SUMMED else f" of the first {_MAX_SUMMED:,}"
    about = "" if len(sizes) == len(value) else f" of the first {len(sizes):,}"
    names = count(len(value), "text")
    page.headline(f"a dict of {names} by name (dict[str, str]), {total:,} characters in all{summed}.")
    endings = _grouped(sizes, _ending)
    if len(sizes) > 1:
        middle = sorted(sizes.values())[len(sizes) // 2]
        empty = sum(not size for size in sizes.values())
        page.add(Section("", [f"Typically of {middle:,} characters{f'; {empty:,} are empty' * bool(empty)}."]))
        for title, groups in (("Endings", endings), ("Folders", _grouped(sizes, _folder))):
            if len(groups) > 1:
                page.add(Section("", [f"{title}{about} (texts; characters): {_shown(groups)}."], share=0.25))
        largest = heapq.nlargest(5, sizes, key=lambda key: sizes[key])
        page.add(
            Section("", [f"Largest{about}: {', '.join(f'{quoted(key, 80)} ({sizes[key]:,})' for key in largest)}."])
        )
    listed = [f"  {literal(key, 100)}: {size:,}" for key, size in islice(sizes.items(), 30)]
    page.add(Section("Names and sizes in characters:", listed, total=len(value), share=0.45))
    _beginnings(page, value, [group.example for group in endings.values() if group.example][:3])


def _beginnings(page: Page, value: dict[object, object], keys: list[str]) -> None:
    """The first lines of a few of the texts."""
    for index, key in enumerate(keys):
        text = Text(str(value[key]))
        shown = text.head[: _MAX_LINES if len(keys) == 1 else _FEW_LINES]
        complete = text.rows == len(shown) and max(map(len, shown)) <= WIDTH
        title = f"{'All' if complete else 'First lines'} of context[{literal(key, 100)}]:"
        more = "  … ({} of these lines left out)"
        page.add(Section(title, barred(shown), more, share=1 / (len(keys) - index)))


@dataclass
class _Group:
    texts: int = 0
    characters: int = 0
    example: str = ""
    """The name of the first one that is not empty."""


def _grouped(sizes: dict[str, int], group: Callable[[str], str]) -> dict[str, _Group]:
    """Texts grouped by name, the groups of many texts first."""
    found: dict[str, _Group] = {}
    for name, size in sizes.items():
        key = group(name)
        if key not in found:
            found[key] = _Group()
        known = found[key]
        known.texts += 1
        known.characters += size
        if size and not known.example:
            known.example = name
    return dict(sorted(found.items(), key=lambda item: -item[1].texts))


def _shown(groups: dict[str, _Group]) -> str:
    some = islice(groups.items(), 8)
    said = [f"{clean(name, 40) or 'none'} ({group.texts:,}; {group.characters:,})" for name, group in some]
    return ", ".join([*said, f"and {len(groups) - 8:,} more"] if len(groups) > 8 else said)


def _ending(name: str) -> str:
    stem, dot, ending = name.rpartition("/")[2].rpartition(".")
    return f".{ending.lower()}" if stem and dot and len(ending) <= 10 else ""


def _folder(name: str) -> str:
    folder, slash, _ = name.rpartition("/")
    return "/".join(folder.split("/", 2)[:2]) + slash
