"""What a model is told of its input: type, size, structure and a short preview, never the bulk.

Runs inside the sandbox before any model-written code. Only the standard library, no side effects, and whatever the
size of the value only a bounded part of it is looked at (line breaks and sizes of files excepted).
"""

from __future__ import annotations

import heapq
from collections import Counter
from itertools import islice

from habit.contexts.display import clean, fit, literal, quoted, spread
from habit.contexts.shapes import survey, type_name
from habit.contexts.texts import Text, barred

_MAX_LINES = 20
_MAX_ENTRIES = 100_000
"""Entries of a list or dict whose sizes are added up; beyond, a sample must do."""


def describe(value: object, *, budget_chars: int = 6000) -> str:
    """What a model needs to know of ``value`` to write code for it, in at most ``budget_chars`` characters."""
    if isinstance(value, str):
        lines = _describe_text(value, budget_chars)
    elif isinstance(value, dict) and _is_texts(value):
        lines = _describe_texts(value, budget_chars)
    elif isinstance(value, list):
        lines = _describe_list(value, budget_chars)
    elif isinstance(value, dict):
        lines = _with_preview([f"a dict of {_count(len(value), 'key')}"], value, budget_chars)
    else:
        lines = [f"{type_name(value)}: {literal(value, 200)}"]
    return "\n".join(lines)[: max(budget_chars, 0)]


def preview(value: object, chars: int) -> str:
    """The length of ``value`` and its first lines between ``<<<`` and ``>>>``, in at most ``chars`` characters."""
    if isinstance(value, str):
        text = Text(value)
        size, lines = text.size().split(";")[0], (clean(line.removesuffix("\r"), 160) for line in text.head)
    elif isinstance(value, list):
        size = f"a list of {_count(len(value), 'item')}"
        lines = (f"context[{index}] = {literal(item, 160)}" for index, item in enumerate(islice(value, 100)))
    elif isinstance(value, dict):
        size = f"a dict of {_count(len(value), 'key')}"
        lines = (f"context[{literal(key, 80)}] = {literal(item, 160)}" for key, item in islice(value.items(), 100))
    else:
        return f"{type_name(value)}: {literal(value, max(chars - 60, 0))}"[: max(chars, 0)]
    start, end = f"{size}. It begins:\n<<<\n", "\n>>>"
    room = chars - len(start) - len(end)
    shown: list[str] = []
    for line in lines:
        # A line of the input must not look like the end of the input.
        line = "\\" + line if line.lstrip().startswith((">>>", "<<<")) else line
        if not shown and len(line) > room:
            line = clean(line, room)
        room -= len(line) + 1
        if room < -1:
            break
        shown.append(line)
    return (start + "\n".join(shown) + end)[: max(chars, 0)]


def _describe_text(value: str, budget: int) -> list[str]:
    text = Text(value)
    facts = text.facts(budget * 6 // 10)
    facts[0] = facts[0] + "."
    room = budget - sum(len(line) + 1 for line in facts) - 80
    if not value or room < 40:
        return facts
    last = barred(text.tail)
    last = last if sum(len(line) + 1 for line in last) < room // 3 else []
    head = barred(text.head[:_MAX_LINES])
    first = fit(head, room - sum(len(line) + 1 for line in last), more="  … ({} of these lines left out)")
    first = first if any(line.startswith("| ") for line in first) else barred(text.head[:1], room - 10)
    complete = len(text.head) == len(head) == len(first) and text.newlines is not None and text.rows == len(head)
    lines = [*facts, "All of it:" if complete else "First lines:", *first]
    return lines if complete or not last else [*lines, "Last lines:", *last]


def _describe_list(value: list[object], budget: int) -> list[str]:
    first = f"a list of {_count(len(value), 'item')}"
    sample = spread(value, 100, 100)
    kinds = Counter(type_name(item) for item in sample)
    if set(kinds) == {"str"}:
        texts = [item for item in sample if isinstance(item, str)]
        lengths = sorted(len(text) for text in texts)
        first += f", each a str of {lengths[0]:,} to {lengths[-1]:,} characters, typically {lengths[len(texts) // 2]:,}"
        first += " (sampled)" if len(sample) < len(value) else ""
    elif len(kinds) > 1:
        first += f": {', '.join(f'{kind} ({count})' for kind, count in kinds.most_common(8))}"
        first += f" among {len(sample)} sampled" if len(sample) < len(value) else ""
    return _with_preview([first], value, budget)


def _with_preview(lines: list[str], value: list[object] | dict[object, object], budget: int) -> list[str]:
    """``lines``, the places below ``value``, and its first and last entries."""
    lines[0] += "."
    if not value:
        return lines
    places = survey(value)
    if places:
        lines += ["What is where (sampled):", *fit(places, budget // 2, more="  … and {} more places")]
    room = budget - sum(len(line) + 1 for line in lines) - 60
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    entries = [(literal(key, 80), item) for key, item in islice(pairs, 5)]
    if isinstance(value, list) and len(value) > 5:
        entries.append((str(len(value) - 1), value[-1]))
    width = min(max(room // len(entries) - 100, 80), 500)
    shown = [f"context[{key}] = {literal(item, width)}" for key, item in entries]
    return [*lines, "Entries:", *fit(shown, room, total=max(len(value), len(shown)))] if room > 100 else lines


def _is_texts(value: dict[object, object]) -> bool:
    """Whether a dict maps names to texts, as a folder of files does, rather than being a record of short fields."""
    entries = list(islice(value.items(), 200))
    if not entries or not all(isinstance(key, str) and isinstance(item, str) for key, item in entries):
        return False
    return len(value) > 40 or any("." in str(key) or "/" in str(key) or len(str(item)) > 500 for key, item in entries)


def _describe_texts(value: dict[object, object], budget: int) -> list[str]:
    sizes = {str(key): len(item) for key, item in islice(value.items(), _MAX_ENTRIES) if isinstance(item, str)}
    total, every = sum(sizes.values()), len(sizes) == len(value)
    about = "" if every else f" in the first {len(sizes):,}"
    first = f"a dict of {_count(len(value), 'text')} by name (dict[str, str]), {total:,} characters in all{about}."
    endings = Counter(_ending(key) for key in sizes)
    lines = [first]
    if len(endings) > 1 or not endings[""]:
        shown = ", ".join(f"{clean(ending, 12) or 'none'} ({count:,})" for ending, count in endings.most_common(12))
        lines.append(f"Endings{about}: {shown}.")
    if len(sizes) > 1:
        largest = heapq.nlargest(5, sizes, key=lambda key: sizes[key])
        lines.append(f"Largest{about}: {', '.join(f'{quoted(key, 80)} ({sizes[key]:,})' for key in largest)}.")
    names = [f"  {literal(key, 100)}: {size:,} characters" for key, size in islice(sizes.items(), 60)]
    lines += ["Names and sizes:", *fit(names, budget // 3, more="  … and {} more", total=len(value))]
    key, text = next((key, item) for key, item in value.items() if isinstance(item, str))
    room = budget - sum(len(line) + 1 for line in lines) - 150
    if room > 200 and text:
        head = fit(barred(Text(text).head[:20], 160), room, more="  … ({} of these lines left out)")
        lines += [f"First lines of context[{literal(key, 100)}]:", *head]
    return lines


def _ending(name: str) -> str:
    stem, dot, ending = name.rpartition("/")[2].rpartition(".")
    return f".{ending.lower()}" if stem and dot and len(ending) <= 10 else ""


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"
