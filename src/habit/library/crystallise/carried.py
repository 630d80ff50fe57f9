# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Functions that a scheduler carries in its own file when its code used the helpers of a session.

Their source is copied, so each needs nothing but the standard library, and the others that it names. They do what the
session's own helpers do (sandbox/cpython/inside/helpers.py), in fewer words.
"""

from __future__ import annotations

import csv
import io
import json
import re


def ask_each(recursive_llm, query, items, **how):
    """Ask about each item, all at once where the caller's recursive_llm can do that."""
    together = getattr(recursive_llm, "map", None)
    return together(query, items, **how) if together else [recursive_llm(query, item, **how) for item in items]


def ask_each_or_error(recursive_llm, query, items, **how):
    """Ask about each item; where a call fails, its error takes the place of the reply."""
    replies = []
    for item in items:
        try:
            replies.append(recursive_llm(query, item, **how))
        except Exception as error:  # noqa: BLE001
            replies.append(error)
    return replies


def classify(recursive_llm, items, labels, question=None):
    """One of the labels for each item, chosen by a language model by what the item means."""
    texts = [item if isinstance(item, str) else json.dumps(item, ensure_ascii=False) for item in items]
    choices = list(dict.fromkeys(str(label) for label in labels))
    listed = "\n".join(f"- {choice}" for choice in choices)
    return ask_each(recursive_llm, question or f"Which label fits the text best?\n{listed}", texts, returns=choices)


def find(value, word):
    """The lines that contain a word (of a list: the items; of a dict: "key: line"), in any case if need be."""
    patterns = (
        [word] if isinstance(word, re.Pattern) else [re.compile(re.escape(word)), re.compile(re.escape(word), re.I)]
    )
    if isinstance(word, str) and re.search(r"[\\^$*+?{}\[\]|()]|\.[*+]", word):
        patterns += [re.compile(word, re.M), re.compile(word, re.M | re.I)]
    for pattern in patterns:
        if isinstance(value, dict):
            pairs = [(key, line) for key, text in value.items() for line in str(text).splitlines()]
            found = [f"{key}: {line}" for key, line in pairs if pattern.search(line)]
        else:
            items = value.splitlines() if isinstance(value, str) else value
            found = [item for item in items if pattern.search(item if isinstance(item, str) else json.dumps(item))]
        if found:
            return found
    raise ValueError(f"nothing in the context contains {word!r}")


def parts(text):
    """The parts of a text, split at its Markdown or underlined headings; the first line of a part is its heading."""
    heading = r"^(?:#{1,6}[ \t]+\S.*|(?:=+|-+|\*+)[ \t]+\S.*?[ \t]+(?:=+|-+|\*+)|(?:[Ss]ection|[Cc]hapter)[ \t]+\w+.*)$"
    starts = [match.start() for match in re.finditer(heading, text, re.M)]
    if not starts:
        raise ValueError("no headings found in the context")
    if text[: starts[0]].strip():
        starts.insert(0, 0)
    return [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]


def table(text):
    """The rows of CSV, TSV or JSON lines as dicts; columns that hold only numbers are int or float."""
    rows = _records(text)
    kinds = {name: _kind([line[name] for line in rows]) for name in (rows[0] if rows else ())}
    return [{name: _typed(cell, kinds[name]) for name, cell in row.items()} for row in rows]


def _kind(cells):
    filled = [cell.strip() for cell in cells if cell.strip()]
    for kind, pattern in (
        ("int", r"[+-]?(?:0|[1-9]\d{0,17})"),
        ("float", r"[+-]?(?:0|[1-9]\d*)?\.?\d+(?:[eE][+-]?\d+)?"),
    ):
        if filled and all(re.fullmatch(pattern, cell) for cell in filled):
            return kind
    return ""


def _typed(cell, kind):
    if not kind:
        return cell
    if not cell.strip():
        return None
    return int(cell) if kind == "int" else float(cell)


def _records(text):
    """Rows as dicts of texts; a delimiter without quotes belongs to the last column."""
    if isinstance(text, str) and text.lstrip()[:1] not in ("{", "["):
        delimiter = max("\t,;|", key=text.strip().splitlines()[0].count)
        file = io.StringIO(text.removeprefix("\ufeff"), newline="")
        cells = [line for line in csv.reader(file, delimiter=delimiter) if any(map(str.strip, line))]
        last = len(cells[0]) - 1
        header = [cell.strip() for cell in cells[0]]
        whole = [[*one, *[""] * (last - len(one))] for one in cells[1:]]
        return [dict(zip(header, [*one[:last], delimiter.join(one[last:])], strict=True)) for one in whole]
    found = text
    if isinstance(text, str):
        found = (
            json.loads(text)
            if text.lstrip()[0] == "["
            else [json.loads(line) for line in text.splitlines() if line.strip()]
        )
    names = dict.fromkeys(name for record in found for name in record)
    return [{name: _cell(record.get(name)) for name in names} for record in found]


def _cell(value):
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
