"""Tools that a model may call, and the one text form that stands for calls in journal, replay and history.

A reply with tool calls is its prose, then one fenced block for each call: the Python of ``run_python``, or the
arguments of any other tool as JSON::

    Let me count.

    ```python run_python
    print(len(context))
    ```

    ```json search
    {"pattern": "ERROR"}
    ```

Every fence is longer than any row of backticks in its block, and a line of the prose that looks like such a fence gets
a backslash before it, so that nothing is lost either way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any


@dataclass(frozen=True)
class Tool:
    """A tool as a model is told of it."""

    name: str
    description: str
    parameters: Mapping[str, Any] = field(hash=False)
    """JSON schema of an object."""
    code: bool = False
    """Its one argument, ``code``, is Python, which the text form shows as it is."""

    @property
    def label(self) -> str:
        """What stands after the marks of a fence that holds a call."""
        return f"{'python' if self.code else 'json'} {self.name}"

    def to_json(self) -> dict[str, Any]:
        """The function as the protocols of servers describe it."""
        return {"name": self.name, "description": self.description, "parameters": dict(self.parameters)}


Tools = tuple[Tool, ...]


@dataclass(frozen=True)
class Made:
    """One call of a tool that a model made."""

    tool: str
    body: str
    """Its arguments, a JSON object; of ``run_python`` the code."""
    is_code: bool = False

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments by name."""
        if self.is_code:
            return {"code": self.body}
        known: dict[str, Any] = json.loads(self.body)
        return known


RUN_PYTHON = Tool(
    "run_python",
    "Run Python code in the session and get back what it prints. "
    "Variables, functions and imports stay for later calls.",
    {
        "type": "object",
        "properties": {"code": {"type": "string", "description": "The Python code, without a fence around it."}},
        "required": ["code"],
        "additionalProperties": False,
    },
    code=True,
)
ONLY_PYTHON: Tools = (RUN_PYTHON,)

_RESULT = re.compile(r"(?m)^\[result (\d+) of (\d+): ([\w-]*)\]\n")
_LIKE_A_RESULT = re.compile(r"(?m)^(?=\\*\[result \d+ of \d+: [\w-]*\]$)")
_ESCAPED_RESULT = re.compile(r"(?m)^\\(?=\\*\[result \d+ of \d+: [\w-]*\]$)")


def write(prose: str, calls: Sequence[Made], tools: Tools) -> str:
    """The text form of a reply; without ``calls`` just its prose, as it is."""
    if not calls:
        return prose
    labels = {tool.name: tool.label for tool in tools}
    blocks = [f"{marks(call.body)}{labels[call.tool]}\n{call.body}\n{marks(call.body)}" for call in calls]
    return "\n\n".join([*filter(None, [_Fences.of(tools).like.sub(r"\\", prose)]), *blocks])


def part(text: str, tools: Tools) -> tuple[str, tuple[Made, ...]]:
    """(prose, calls) of a reply in the text form; any other text is prose alone."""
    fences = _Fences.of(tools)
    if not any(tool.label in text for tool in tools):
        return text, ()
    lines = text.split("\n")
    calls: list[Made] = []
    first = position = 0
    while position < len(lines):
        opening = fences.opening.fullmatch(lines[position])
        if opening is None:
            if calls and lines[position].strip():  # words after a block: not the text form
                return text, ()
            position += 1
            continue
        end = _closing(lines, position + 1, opening["marks"])
        made = _call(opening["label"], "\n".join(lines[position + 1 : end])) if end is not None else None
        if end is None or made is None:
            return text, ()
        first = first if calls else position
        calls.append(made)
        position = end + 1
    if not calls:
        return text, ()
    prose = "\n".join(lines[: max(0, first - 1)] if first and not lines[first - 1] else lines[:first])
    return fences.escaped.sub("", prose), tuple(calls)


def write_results(results: Sequence[tuple[str, str]]) -> str:
    """One text for the (tool, result) of each call of a reply; a line like those that part them gets a backslash."""
    if len(results) == 1:
        return results[0][1]
    count = len(results)
    escaped = [(tool, _LIKE_A_RESULT.sub(r"\\", text)) for tool, text in results]
    return "\n".join(f"[result {n} of {count}: {tool}]\n{text}" for n, (tool, text) in enumerate(escaped, 1))


def part_results(text: str, count: int) -> list[str] | None:
    """The result of each of ``count`` calls; None when ``text`` does not tell them apart."""
    begun = list(_RESULT.finditer(text))
    if count < 2 or [(int(each[1]), int(each[2])) for each in begun] != [(n, count) for n in range(1, count + 1)]:
        return None
    ends = [*(each.start() - 1 for each in begun[1:]), len(text)]
    return [
        _ESCAPED_RESULT.sub("", text[each.end() : max(end, each.end())]) for each, end in zip(begun, ends, strict=True)
    ]


def marks(body: str) -> str:
    """Backticks enough for a fence around ``body``."""
    return "`" * max(3, 1 + max((len(row) for row in re.findall("`+", body)), default=0))


def _call(label: str, body: str) -> Made | None:
    language, _, name = label.partition(" ")
    if language == "python":
        return Made(name, body, is_code=True)
    try:
        return Made(name, body) if isinstance(json.loads(body), dict) else None
    except (ValueError, RecursionError):
        return None


def _closing(lines: Sequence[str], start: int, fence: str) -> int | None:
    return next((index for index in range(start, len(lines)) if lines[index].rstrip(" \t") == fence), None)


@dataclass(frozen=True)
class _Fences:
    """How the fences of calls look that some tools have."""

    opening: re.Pattern[str]
    like: re.Pattern[str]
    """Where a line of the prose needs a backslash."""
    escaped: re.Pattern[str]

    @staticmethod
    def of(tools: Tools) -> _Fences:
        return _fences(tuple(tool.label for tool in tools))


@lru_cache(maxsize=32)
def _fences(labels: tuple[str, ...]) -> _Fences:
    label = f"(?:{'|'.join(map(re.escape, labels))})"
    return _Fences(
        re.compile(rf"(?P<marks>`{{3,}})(?P<label>{label})[ \t]*"),
        re.compile(rf"(?m)^(?=\\*`{{3,}}{label}[ \t]*$)"),
        re.compile(rf"(?m)^\\(?=\\*`{{3,}}{label}[ \t]*$)"),
    )
