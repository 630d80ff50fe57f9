"""Calls of the tool ``run_python``, and the one text form that stands for them in journal, replay and history.

A reply with tool calls is its prose, then one fenced block for each call::

    Let me count.

    ```python run_python
    print(len(context))
    ```

Every fence is longer than any row of backticks in its code, and a line of the prose that looks like such a fence gets
a backslash before it, so that nothing is lost either way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from habit.calls.call import Message

TOOL = "run_python"
DESCRIPTION = (
    "Run Python code in the session and get back what it prints. Variables, functions and imports stay for later calls."
)
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"code": {"type": "string", "description": "The Python code, without a fence around it."}},
    "required": ["code"],
    "additionalProperties": False,
}
EARLIER = "(see the output of the last call)"
"""The result of every call of one reply but the last: their output is told together."""

_INFO = f"python {TOOL}"
_OPENING = re.compile(rf"(`{{3,}}){_INFO}[ \t]*")
_PROSE_FENCE = re.compile(rf"(?m)^(?=\\*`{{3,}}{_INFO}[ \t]*$)")
_ESCAPED_FENCE = re.compile(rf"(?m)^\\(?=\\*`{{3,}}{_INFO}[ \t]*$)")
_WHOLE_FENCE = re.compile(r"\s*(`{3,}|~{3,})[ \t]*\w*[ \t]*\n((?:(?!\1).*\n)*?)[ \t]*\1\s*")
_TAGGED = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
_BEGUN = re.compile(r'\s*\{\s*"\w+"\s*:\s*"')
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_HALF_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\(?:u[0-9a-fA-F]{0,3})?\Z")
"""An escape that was cut in two at the end."""
_CODE_KEYS = ("code", "python", "source", "script", "python_code")
_PYTHON_TOOLS = re.compile(r"python|code|repl|exec", re.IGNORECASE)
_SHOWN = 2_000
"""Characters of unreadable arguments that the model gets to see again."""


def as_text(prose: str, codes: Sequence[str]) -> str:
    """The text form of a reply; without ``codes`` just its prose, as it is."""
    if not codes:
        return prose
    blocks = [f"{_opening(code)}\n{code}\n{_marks(code)}" for code in codes]
    return "\n\n".join([*filter(None, [_PROSE_FENCE.sub(r"\\", prose)]), *blocks])


def split(text: str) -> tuple[str, tuple[str, ...]]:
    """(prose, codes) of a reply in the text form; any other text is prose alone."""
    if _INFO not in text:
        return text, ()
    lines = text.split("\n")
    codes: list[str] = []
    first = position = 0
    while position < len(lines):
        opening = _OPENING.fullmatch(lines[position])
        if opening is None:
            if codes and lines[position].strip():  # words after a block: not the text form
                return text, ()
            position += 1
            continue
        end = _closing(lines, position + 1, opening[1])
        if end is None:
            return text, ()
        first = first if codes else position
        codes.append("\n".join(lines[position + 1 : end]))
        position = end + 1
    if not codes:
        return text, ()
    prose = "\n".join(lines[: max(0, first - 1)] if first and not lines[first - 1] else lines[:first])
    return _ESCAPED_FENCE.sub("", prose), tuple(codes)


@dataclass(frozen=True)
class ToolCalls:
    """A turn of the model that called the tool."""

    prose: str
    calls: tuple[tuple[str, str], ...]
    """(id, code) of each call."""


@dataclass(frozen=True)
class ToolResult:
    """What one call is told to have given."""

    id: str
    text: str


def as_turns(messages: Sequence[Message]) -> Iterator[Message | ToolCalls | ToolResult]:
    """A prompt with its tool calls and their results told apart; for requests that define the tool.

    A call that no user message follows stays text, because providers refuse a call without its result. Ids say where
    the call stands, so that they are the same in every later request: a prefix cache may rely on them. Nine letters
    and digits is what every provider takes.
    """
    results: list[ToolResult] = []
    for index, message in enumerate(messages):
        if results and message.role == "user":
            results[-1] = ToolResult(results[-1].id, message.content)
            yield from results
            results = []
            continue
        answered = index + 1 < len(messages) and messages[index + 1].role == "user"
        prose, codes = split(message.content) if message.role == "assistant" and answered else ("", ())
        if not codes:
            yield message
            continue
        calls = tuple((f"run{index % 10_000:04}{number % 100:02}", code) for number, code in enumerate(codes))
        yield ToolCalls(prose, calls)
        results = [ToolResult(identity, EARLIER) for identity, _ in calls]


def read_reply(prose: str, calls: Sequence[tuple[str, Any]], *, cut_off: bool = False) -> str:
    """The text form of what a provider returned: prose, and (tool name, arguments) of each call.

    No turn is lost. Arguments that are not quite as asked are read as what they must mean. Where that can't be told,
    the text says what was wrong instead. A call ``cut_off`` at the output limit becomes an unclosed block. A call that
    the server did not recognise and left in the prose counts as one.
    """
    if not calls:
        prose, calls = _left_in_prose(prose)
    codes: list[str] = []
    problems: list[str] = []
    unclosed = ""
    for name, arguments in calls:
        try:
            codes.append(_code_of(name, arguments))
        except ValueError as problem:
            begun = _begun_code(arguments) if cut_off else ""
            if begun:
                unclosed = f"{_marks(begun)}python\n{begun}"
            else:
                problems.append(f"[{problem}]")
    if unclosed:  # it has to be the last, and nothing can be told apart as a call
        blocks = [f"{_marks(code)}python\n{code}\n{_marks(code)}" for code in codes]
        return "\n\n".join([*filter(None, [prose, *problems]), *blocks, unclosed])
    return as_text("\n\n".join(filter(None, [prose, *problems])), codes)


def _opening(code: str) -> str:
    return _marks(code) + _INFO


def _marks(code: str) -> str:
    return "`" * max(3, 1 + max((len(row) for row in re.findall("`+", code)), default=0))


def _closing(lines: Sequence[str], start: int, marks: str) -> int | None:
    return next((index for index in range(start, len(lines)) if lines[index].rstrip(" \t") == marks), None)


def _code_of(name: str, arguments: Any) -> str:
    """The code that a call asks to run. Raises ValueError with what is wrong, for the model to read."""
    if name != TOOL and not _PYTHON_TOOLS.search(name):
        raise ValueError(f"There is no tool {name[:80]!r}: call {TOOL} with the Python code to run.")
    value = _decoded(arguments)
    if isinstance(value, Mapping):
        found = [value[key] for key in _CODE_KEYS if key in value]
        alone = [item for item in value.values() if len(value) == 1]
        value = next(iter(found or alone), None)
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        value = "\n".join(value)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{TOOL} was called without code: {_shown(arguments)}")
    fenced = _WHOLE_FENCE.fullmatch(value)
    return fenced[2].removesuffix("\n") if fenced else value


def _decoded(arguments: Any) -> Any:
    """Arguments as data: from JSON, from JSON in JSON, or raw code as it is. Raises ValueError for broken JSON."""
    value = arguments
    for _ in range(2):
        if not isinstance(value, str):
            break
        try:
            decoded = _loads(value)
        except ValueError as problem:
            if not value.lstrip().startswith("{"):
                break
            code, rest = _code_string(value)
            if code is not None and not rest.strip("} \t\r\n"):  # only braces are missing, or too many
                return code
            raise ValueError(f"The arguments of {TOOL} are no JSON ({problem}): {_shown(value)}") from None
        if not isinstance(decoded, str | Mapping | list):
            break  # such as the code ``3``
        value = decoded
    return value


def _loads(text: str) -> Any:
    """JSON with the slips that models make: line ends inside strings, and escapes such as ``\\d``."""
    try:
        return json.loads(text, strict=False)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError as problem:
        try:
            return json.loads(_mended(text), strict=False)
        except (ValueError, RecursionError):
            raise problem from None


def _mended(text: str) -> str:
    return _ESCAPE.sub(lambda found: found[0] if found[1] in '"\\/bfnrtu' else rf"\\{found[1]}", text)


def _code_string(text: str) -> tuple[str | None, str]:
    """The first string of a broken JSON object and what comes after it; None when it is not closed."""
    begun = _BEGUN.match(text)
    if begun is None:
        return None, ""
    try:
        rest = '"' + _mended(text[begun.end() :])
        code, end = json.JSONDecoder(strict=False).raw_decode(rest)
    except ValueError:
        return None, ""
    return code, rest[end:]


def _begun_code(arguments: Any) -> str:
    """The code in arguments that were cut off in its midst; empty when there is none."""
    begun = _BEGUN.match(arguments) if isinstance(arguments, str) else None
    if begun is None:
        return ""
    rest = _mended(_HALF_ESCAPE.sub(r"\1", arguments[begun.end() :]))
    try:
        return str(json.loads(f'"{rest}"', strict=False))
    except ValueError:
        return ""


def _shown(arguments: Any) -> str:
    try:
        text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False, default=repr)
    except RecursionError:
        text = "{…}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _left_in_prose(prose: str) -> tuple[str, list[tuple[str, Any]]]:
    """(remaining prose, calls) where a server left the model's own notation of a call in its text."""
    calls = [call for inner in _TAGGED.findall(prose) if (call := _written_call(inner)) is not None]
    if calls:
        return _TAGGED.sub("", prose).strip(), calls
    fenced = _WHOLE_FENCE.fullmatch(prose)
    whole = _written_call(fenced[2].removesuffix("\n") if fenced else prose)
    return ("", [whole]) if whole is not None else (prose, [])


def _written_call(text: str) -> tuple[str, Any] | None:
    """The (name, arguments) that ``text`` writes out as JSON, if it is a call of our tool."""
    if TOOL not in text or not text.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, Mapping) or value.get("name") != TOOL:
        return None
    return TOOL, value.get("arguments", value.get("parameters"))
