"""What a session offers besides Python itself, written in monty's Python and run inside the session.

Never imported: its text is fed to a new session, in which the host functions it calls are bound already. Everything
sits in one function that takes the builtins it needs, so that a cell with a variable called ``list`` breaks nothing.
"""

# ruff: noqa: N803, F401, F821, RUF005 - the modules are for the cells; monty knows a part of Python
# mypy: disable-error-code="name-defined"
from __future__ import annotations

import asyncio
import binascii
import collections
import csv
import datetime
import itertools
import json
import math
import re
from collections import Counter, defaultdict
from typing import Any

_SECTION = r"^(?i:section|chapter|part|article|appendix|act|scene|book|volume)[ \t]+(?:\d+(?:\.\d+)*|[IVXLC]+|[A-Z])"


def _habit_build(
    host: Any, saved: Any, re: Any, json: Any, csv: Any, len: Any, str: Any, int: Any, float: Any, list: Any, dict: Any,
    tuple: Any, set: Any, type: Any, isinstance: Any, repr: Any, print: Any, eval: Any, enumerate: Any,
    ValueError: Any, TypeError: Any,
    NameError: Any, Exception: Any, failed: Any,
) -> Any:  # fmt: skip
    patterns = [
        re.compile(r"^#{1,6}[ \t]+\S"),
        re.compile(r"^(?P<rule>[=\-*~_#]{2,})[ \t]*[^\s=\-*~_#].*?[ \t]*(?P=rule)[ \t]*$"),
        re.compile(_SECTION + r"(?:[.:)]?[ \t]*|[.:)\- \t–—].{0,90}(?<![.,;\s]))$"),
    ]
    title = re.compile(r"^[^\s=\-*~_#].{0,120}$")
    underline = re.compile(r"^[ \t]*(?:={3,}|-{3,}|~{3,})[ \t]*$")
    fence = re.compile(r"^ {0,3}(```|~~~)")
    signs = re.compile(r"[\\^$*+?{}\[\]|()]|\.[*+]")
    whole = re.compile(r"^[+-]?(?:0|[1-9][0-9]{0,17})$")
    fraction = re.compile(
        r"^(?:[+-]?(?:0|[1-9][0-9]*)?\.[0-9]+(?:[eE][+-]?[0-9]+)?|[+-]?[1-9][0-9]*\.?[eE][+-]?[0-9]+)$"
    )

    def as_text(item: Any) -> Any:
        if isinstance(item, str):
            return item
        try:
            return json.dumps(item, ensure_ascii=False)
        except Exception:
            return str(item)

    def matches(value: Any, hit: Any) -> Any:
        found = []
        if isinstance(value, dict):
            for key, item in value.items():
                text = as_text(item)
                lines = [line for line in text.split("\n") if hit(line)]
                if not lines and hit(str(key)):
                    lines = [text if len(text) <= 200 else text[:200] + "…"]
                for line in lines:
                    found.append(f"{key}: {line.removesuffix(chr_return)}")
        elif isinstance(value, (list, tuple)):
            found = [item for item in value if hit(as_text(item))]
        else:
            found = [line.removesuffix(chr_return) for line in as_text(value).split("\n") if hit(line)]
        return found

    chr_return = "\r"

    def find(word: Any, text: Any = None) -> Any:
        value = saved["context"] if text is None else text
        if isinstance(word, re.Pattern):
            found = matches(value, lambda line: word.search(line) is not None)
            shown = word.pattern
        else:
            shown = str(word)
            if shown == "":
                raise ValueError("find(word): the word is empty; say what to look for")
            lower = shown.lower()
            found = matches(value, lambda line: shown in line)
            if not found:
                found = matches(value, lambda line: lower in line.lower())
            if not found and signs.search(shown) is not None:
                try:
                    exact = re.compile(shown)
                    folded = re.compile(shown, re.IGNORECASE)
                except Exception:
                    exact = None
                if exact is not None:
                    found = matches(value, lambda line: exact.search(line) is not None)
                    found = found or matches(value, lambda line: folded.search(line) is not None)
        if found:
            return found
        sample = (value if isinstance(value, str) else as_text(value))[:1000000]
        hint = host["_habit_like"](sample, shown)
        told = f"find({repr(shown)[:200]}): nothing in the context contains it, in any case: it is there 0 times."
        raise ValueError(f"{told}{hint}")

    def parts(text: Any = None) -> Any:
        value = saved["context"] if text is None else text
        if isinstance(value, dict):
            raise ValueError(
                f"parts(): the context is a dict of {len(value):,} texts; use context.items(), or parts(text) for one"
            )
        if not isinstance(value, str):
            raise ValueError(f"parts(): the context is a {type(value).__name__} and in parts already; loop over it")
        lines = value.split("\n")
        bare = [line.removesuffix("\r") for line in lines]
        fences = [number for number, line in enumerate(bare) if fence.search(line) is not None]
        inside = set()
        for opening in [index for index in range(0, len(fences) - 1, 2)]:
            for number in range(fences[opening], fences[opening + 1]):
                inside.add(number)
        starts = []
        skip = -1
        for number, line in enumerate(bare):
            if number in inside or number == skip:
                continue
            if [1 for pattern in patterns if pattern.search(line) is not None]:
                starts.append(number)
            elif number + 1 < len(bare) and title.search(line) is not None and underline.search(bare[number + 1]):
                starts.append(number)
                skip = number + 1
        if not starts:
            raise ValueError(
                "parts(): no headings found in the context; use context.splitlines() for lines or "
                'context.split("\\n\\n") for paragraphs'
            )
        if "".join(lines[: starts[0]]).strip("\ufeff \t\r\n"):
            starts.insert(0, 0)
        ends = starts[1:] + [len(lines)]
        last = len(lines)
        pieces = []
        for start, end in zip(starts, ends):  # noqa: B905
            pieces.append("\n".join(lines[start:end]) + ("\n" if end < last else ""))
        return pieces

    def json_lines(text: Any) -> Any:
        text = text.removeprefix("\ufeff").strip()
        if text[:1] not in ("{", "["):
            return None
        try:
            all_of_it = json.loads(text) if text[0] == "[" else None
            records = all_of_it
            if not isinstance(all_of_it, list):
                records = [json.loads(line) for line in text.split("\n") if line.strip()]
        except Exception:
            return None
        return records if records and not [1 for record in records if not isinstance(record, dict)] else None

    def rows_of_records(records: Any) -> Any:
        rows = [{str(key): "" if item is None else as_text(item) for key, item in r.items()} for r in records]
        names = []
        for row in rows:
            for name in row:
                if name not in names:
                    names.append(name)
        return [{name: row.get(name, "") for name in names} for row in rows]

    def rows_of_text(text: Any) -> Any:
        text = text.removeprefix("\ufeff")
        shape = host["_habit_shape"](text[:1000000].splitlines()[:400])
        if shape is None:
            raise ValueError("table(): the context does not look like CSV, TSV or JSON lines; split each line yourself")
        delimiter, width, has_header = shape
        rows = []
        for row in csv.reader(text.splitlines(True), delimiter=delimiter):
            if [1 for cell in row if cell.strip()]:
                rows.append(row)
        names = []
        if has_header:
            for name in rows[0]:
                name = name.strip()
                candidate, number = name, 2
                while candidate in names:
                    candidate, number = f"{name}_{number}", number + 1
                names.append(candidate)
            rows = rows[1:]
        else:
            names = [f"column {index}" for index in range(width)]
        width = len(names)
        table_rows = []
        for row in rows:
            if len(row) > width:
                row = row[: width - 1] + [delimiter.join(row[width - 1 :])]
            table_rows.append(dict(zip(names, row + [""] * (width - len(row)))))  # noqa: B905
        return table_rows

    def kind_of_column(cells: Any) -> Any:
        kind = None
        for cell in cells:
            text = cell.strip()
            if not text:
                continue
            if whole.search(text) is not None:
                kind = kind or int
            elif fraction.search(text) is not None:
                kind = float
            else:
                return None
        return kind

    def numbers(rows: Any) -> Any:
        if not rows:
            raise ValueError("table(): the context has a header and no rows")
        converted = [dict(row) for row in rows]
        for name in rows[0]:
            kind = kind_of_column([row[name] for row in rows])
            if kind is not None:
                for row in converted:
                    row[name] = kind(row[name]) if row[name].strip() else None
        return converted

    def table(text: Any = None) -> Any:
        value = saved["context"] if text is None else text
        if isinstance(value, dict):
            raise ValueError(
                f"table(): the context is a dict of {len(value):,} values; use table(context[key]) with a key such as "
                + ", ".join([repr(key) for key in list(value)[:5]])
            )
        if isinstance(value, str):
            records = json_lines(value)
            return numbers(rows_of_text(value) if records is None else rows_of_records(records))
        if isinstance(value, (list, tuple)) and value and not [1 for row in value if not isinstance(row, dict)]:
            return numbers(rows_of_records(value))
        raise ValueError(f"table(): the context is a {type(value).__name__} and no table; loop over it instead")

    def classify(items: Any, labels: Any, question: Any = None) -> Any:
        if isinstance(items, (str, bytes, dict)):
            raise TypeError(f"classify(items, labels): items must be a list of str and not a {type(items).__name__}")
        if isinstance(labels, str):
            raise TypeError("classify(items, labels): labels must be a list of str, such as ['yes', 'no']")
        texts = [item if isinstance(item, str) else as_text(item) for item in items]
        choices = list(dict.fromkeys([str(label) for label in labels]))
        if not texts:
            raise ValueError("classify(items, labels): there are no items; look at what you pass")
        if len(choices) < 2:
            raise ValueError("classify(items, labels): give at least two labels")
        listed = "\n".join([f"- {choice}" for choice in choices])
        asked = question or f"Which label fits the text best?\n{listed}"
        return host["recursive_llm_map"](asked, texts, returns=choices)

    sized = ("bytes", "list", "tuple", "dict", "set", "frozenset", "range", "Counter", "defaultdict", "deque")

    def kind_of(value: Any) -> Any:
        name = type(value).__name__
        if value is None:
            return "None"
        if name in ("bool", "float") or (name == "int" and -(2**100) < value < 2**100):
            return f"{name} = {value!r}"
        if name == "str":
            return f"str = {value!r}" if len(value) <= 40 else f"str ({len(value):,} characters)"
        if name in sized:
            return f"{name} ({len(value):,})"
        return "class" if name == "type" else name[:40]

    def describe(namespace: Any) -> Any:
        listed = []
        for name, value in namespace.items():
            if name.startswith("_") or name in saved or type(value).__name__ == "module":
                continue
            if name in ready_made and ready_made[name] is value:
                continue
            listed.append([name[:60], kind_of(value), type(value).__name__ in ("function", "type")])
            if len(listed) >= 2000:
                break
        return listed

    def list_variables() -> Any:
        found = {}
        for habit_name in host["_habit_names"]():
            try:
                found[habit_name] = eval(habit_name)
            except NameError:
                continue
        rows = describe(found)
        rows = [row for row in rows if not row[2]] + [row for row in rows if row[2]]
        return "\n".join([f"context: {kind_of(saved['context'])}"] + [f"{name}: {kind}" for name, kind, code in rows])

    def show_vars() -> None:
        print(list_variables())

    def show_variables() -> Any:
        return list_variables()

    def final_var(habit_given: Any) -> Any:
        if not isinstance(habit_given, str):
            return host["_habit_give"](habit_given)
        habit_wanted = habit_given.strip().strip("\"'`")
        if habit_wanted in host["_habit_names"]():
            return host["_habit_give"](eval(habit_wanted))
        if not habit_wanted.isidentifier() or habit_given in [eval(name) for name in host["_habit_names"]()]:
            return host["_habit_give"](habit_given)
        raise NameError(f"FINAL_VAR: there is no variable {habit_wanted!r}; there are:\n{list_variables()}")

    class Answer:
        def __init__(self) -> None:
            self.fields = {"content": "", "ready": False}

        def __call__(self, value: Any) -> Any:
            return host["_habit_give"](value)

        def __getitem__(self, key: Any) -> Any:
            return self.fields[key]

        def __setitem__(self, key: Any, value: Any) -> None:
            self.fields[key] = value

        def __contains__(self, key: Any) -> Any:
            return key in self.fields

        def __repr__(self) -> Any:
            return repr(self.fields)

        def get(self, key: Any, default: Any = None) -> Any:
            return self.fields.get(key, default)

        def keys(self) -> Any:
            return self.fields.keys()

        def values(self) -> Any:
            return self.fields.values()

        def items(self) -> Any:
            return self.fields.items()

        def update(self, *others: Any, **fields: Any) -> None:
            for other in others:
                for key, value in other.items():
                    self.fields[key] = value
            for key, value in fields.items():
                self.fields[key] = value

    def settle(namespace: Any) -> Any:
        """After a cell: the variables, the reserved names that were taken, and the answer that the dict holds."""
        answer = saved["answer"]
        current = namespace.get("answer")
        if current is not answer and isinstance(current, dict) and "content" in current:
            extra = [key for key in current if key not in ("content", "ready")]
            if not extra:
                answer.update(current)
                current = answer
        taken = [name for name, value in saved.items() if name != "answer" and namespace.get(name) is not value]
        if current is not answer:
            taken.append("answer")
        ready = []
        if answer.get("ready"):
            answer["ready"] = False
            ready = [answer.get("content")]
        return {"variables": describe(namespace), "taken": taken, "answer": ready}

    def show(value: Any) -> None:
        if value is not None:
            print(repr(value))

    ready_made = {"Counter": Counter, "defaultdict": defaultdict, "Any": Any}
    for name, value in host.items():
        if not name.startswith("_"):
            saved[name] = value
    saved["CallFailed"] = failed
    saved["find"] = find
    saved["parts"] = parts
    saved["table"] = table
    saved["classify"] = classify
    saved["show_vars"] = show_vars
    saved["SHOW_VARS"] = show_variables
    saved["FINAL_VAR"] = final_var
    saved["answer"] = Answer()
    return show, settle


_habit_show, _habit_settle = _habit_build(
    _habit_host, _habit_saved, re, json, csv, len, str, int, float, list, dict, tuple, set, type, isinstance, repr,
    print, eval, enumerate, ValueError, TypeError, NameError, Exception, binascii.Incomplete,
)  # fmt: skip
