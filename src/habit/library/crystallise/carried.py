"""Functions that a scheduler carries in its own file when its code used the helpers of a session.

Their source is copied, so each needs nothing but the standard library, and the others that it names. They do what the
session's own helpers do (sandbox/cpython/inside/helpers.py), in fewer words.
"""

from __future__ import annotations

import csv
import io
import json
import re


def ask_each(recursive_llm, query, items, **how):  # type: ignore[no-untyped-def]
    """Ask about each item, all at once where the caller's recursive_llm can do that."""
    together = getattr(recursive_llm, "map", None)
    return together(query, items, **how) if together else [recursive_llm(query, item, **how) for item in items]


def ask_each_or_error(recursive_llm, query, items, **how):  # type: ignore[no-untyped-def]
    """Ask about each item; where a call fails, its error takes the place of the reply."""
    replies = []
    for item in items:
        try:
            replies.append(recursive_llm(query, item, **how))
        except Exception as error:  # noqa: BLE001
            replies.append(error)
    return replies


def classify(recursive_llm, items, labels, question=None):  # type: ignore[no-untyped-def]
    """One of the labels for each item, chosen by a language model by what the item means."""
    texts = [item if isinstance(item, str) else json.dumps(item, ensure_ascii=False) for item in items]
    choices = list(dict.fromkeys(str(label) for label in labels))
    listed = "\n".join(f"- {choice}" for choice in choices)
    return ask_each(recursive_llm, question or f"Which label fits the text best?\n{listed}", texts, returns=choices)


def find(value, word):  # type: ignore[no-untyped-def]
    """The lines that contain a word (of a list: the items; of a dict: "key: line"), in any case if need be."""
    patterns = (
        [word] if isinstance(word, re.Pattern) else [re.compile(re.escape(word)), re.compile(re.escape(word), re.I)]
    )
    if isinstance(word, str) and re.search(r"[\\^$*+?{}\[\]|()]|\.[*+]", word):
        patterns += [re.compile(word, re.M), re.compile(word, re.M | re.I)]
    for pattern in patterns:
        if isinstance(value, dict):
            lines = ((key, line) for key, text in value.items() for line in str(text).splitlines())
            found = [f"{key}: {line}" for key, line in lines if pattern.search(line)]
        else:
            lines = value.splitlines() if isinstance(value, str) else value
            found = [line for line in lines if pattern.search(line if isinstance(line, str) else json.dumps(line))]
        if found:
            return found
    raise ValueError(f"nothing in the context contains {word!r}")


def parts(text):  # type: ignore[no-untyped-def]
    """The parts of a text, split at its Markdown or underlined headings; the first line of a part is its heading."""
    heading = r"^(?:#{1,6}[ \t]+\S.*|(?:=+|-+|\*+)[ \t]+\S.*?[ \t]+(?:=+|-+|\*+)|(?:[Ss]ection|[Cc]hapter)[ \t]+\w+.*)$"
    starts = [match.start() for match in re.finditer(heading, text, re.M)]
    if not starts:
        raise ValueError("no headings found in the context")
    if text[: starts[0]].strip():
        starts.insert(0, 0)
    return [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)])]


def table(text):  # type: ignore[no-untyped-def]
    """The rows of CSV, TSV or JSON lines as dicts; columns that hold only numbers are int or float."""
    rows = _records(text)
    for name in rows[0] if rows else []:
        cells = [str(row[name]).strip() for row in rows if str(row[name]).strip()]
        for kind, pattern in ((int, r"[+-]?(?:0|[1-9]\d*)"), (float, r"[+-]?\d*\.?\d+(?:[eE][+-]?\d+)?")):
            if cells and all(re.fullmatch(pattern, cell) for cell in cells):
                for row in rows:
                    row[name] = kind(str(row[name])) if str(row[name]).strip() else None
                break
    return rows


def _records(text):  # type: ignore[no-untyped-def]
    if not isinstance(text, str):
        records = list(text)
    elif text.lstrip()[:1] in ("{", "["):
        whole = json.loads(text) if text.lstrip()[0] == "[" else None
        records = whole or [json.loads(line) for line in text.splitlines() if line.strip()]
    else:
        text = text.removeprefix("\ufeff")
        delimiter = max("\t,;|", key=text.lstrip().splitlines()[0].count)
        lines = [
            row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(map(str.strip, row))
        ]
        last = len(lines[0]) - 1  # a delimiter without quotes belongs to the last column
        rows = [[*row[:last], delimiter.join(row[last:])] + [""] * (last - len(row)) for row in lines[1:]]
        return [dict(zip([name.strip() for name in lines[0]], row)) for row in rows]
    names = dict.fromkeys(name for record in records for name in record)
    flat = [{name: "" if record.get(name) is None else record[name] for name in names} for record in records]
    return [{k: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for k, v in row.items()} for row in flat]
