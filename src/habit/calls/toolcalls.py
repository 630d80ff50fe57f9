"""What models and servers make of tool calls, and how a conversation with such calls is put to a server.

``tools`` has the text form that stands for calls everywhere else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from habit.calls.call import Message, sendable
from habit.calls.tools import ONLY_PYTHON, RUN_PYTHON, Made, Tool, Tools, marks, part, part_results, write

EARLIER = "(see the output of the last call)"
"""The result of every call of one reply but the last: their output is told together."""

_WHOLE_FENCE = re.compile(r"\s*(`{3,}|~{3,})[ \t]*\w*[ \t]*\n((?:(?!\1).*\n)*?)[ \t]*\1\s*")
_BLOCK = re.compile(
    r"(?m)^[ \t]*(?P<marks>`{3,}|~{3,})[ \t]*(?P<label>[^\n`]*)\n"
    r"(?P<body>(?:(?![ \t]*(?P=marks)).*\n)*?)[ \t]*(?P=marks)[ \t]*$"
)
_TAGGED = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
_NAMED = re.compile(r'"(?:name|tool|function)"')
_BEGUN = re.compile(r'\s*\{\s*"\w+"\s*:\s*"')
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_HALF_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\(?:u[0-9a-fA-F]{0,3})?\Z")
"""An escape that was cut in two at the end."""
_CODE_KEYS = ("code", "python", "source", "script", "python_code")
_PYTHON_TOOLS = re.compile(r"python|code|repl|exec", re.IGNORECASE)
_SHOWN = 2_000
"""Characters of unreadable arguments that the model gets to see again."""


def as_text(prose: str, codes: Sequence[str]) -> str:
    """The text form of a reply that runs ``codes``; without any just its prose, as it is."""
    return write(prose, [Made(RUN_PYTHON.name, code, is_code=True) for code in codes], ONLY_PYTHON)


def split(text: str) -> tuple[str, tuple[str, ...]]:
    """(prose, codes) of a reply in the text form; any other text is prose alone."""
    prose, calls = part(text, ONLY_PYTHON)
    return prose, tuple(call.body for call in calls)


@dataclass(frozen=True)
class ToolCalls:
    """A turn of the model that called tools."""

    prose: str
    calls: tuple[tuple[str, Made], ...]
    """(id, call) of each."""


@dataclass(frozen=True)
class ToolResult:
    """What one call is told to have given."""

    id: str
    tool: str
    text: str


def as_turns(messages: Sequence[Message], tools: Tools = ONLY_PYTHON) -> Iterator[Message | ToolCalls | ToolResult]:
    """A prompt with its tool calls and their results told apart; for requests that define the tools.

    A call that no user message follows stays text, because providers refuse a call without its result. Ids say where
    the call stands, so that they are the same in every later request: a prefix cache may rely on them. Nine letters
    and digits is what every provider takes.
    """
    results: list[ToolResult] = []
    for index, message in enumerate(messages):
        if results and message.role == "user":
            told = part_results(message.content, len(results))
            told = told or [*[EARLIER] * (len(results) - 1), message.content]
            yield from (replace(result, text=text) for result, text in zip(results, told, strict=True))
            results = []
            continue
        answered = index + 1 < len(messages) and messages[index + 1].role == "user"
        prose, made = part(message.content, tools) if message.role == "assistant" and answered else ("", ())
        if not made:
            yield message
            continue
        calls = tuple((f"run{index % 10_000:04}{number % 100:02}", call) for number, call in enumerate(made))
        yield ToolCalls(prose, calls)
        results = [ToolResult(identity, call.tool, "") for identity, call in calls]


def sendable_arguments(made: Made) -> dict[str, Any]:
    """The arguments of a call, as JSON in UTF-8 can hold them."""
    return replace(made, body=sendable(made.body)).arguments


def read_reply(
    prose: str, calls: Sequence[tuple[str, Any]], tools: Tools = ONLY_PYTHON, *, cut_off: bool = False
) -> str:
    """The text form of what a provider returned: prose, and (tool name, arguments) of each call.

    No turn is lost. Arguments that are not quite as asked are read as what they must mean. Where that can't be told,
    the text says what was wrong instead. Code ``cut_off`` at the output limit becomes an unclosed block. A call that
    the server did not recognise and left in the prose counts as one.
    """
    prose, made, problems, begun = _read(prose, calls, tools, cut_off=cut_off)
    said = [*filter(None, [prose]), *(f"[{problem}]" for problem in problems)]
    if begun:  # it has to be the last, and nothing can be told apart as a call
        blocks = [f"{marks(call.body)}python\n{call.body}\n{marks(call.body)}" for call in made]
        return "\n\n".join([*said, *blocks, f"{marks(begun)}python\n{begun}"])
    return write("\n\n".join(said), made, tools)


def read_calls(prose: str, calls: Sequence[tuple[str, Any]], tools: Tools) -> tuple[str, list[Made], list[str]]:
    """(prose, calls, what is wrong with others) as ``read_reply`` reads them."""
    return _read(prose, calls, tools, cut_off=False)[:3]


def _read(
    prose: str, calls: Sequence[tuple[str, Any]], tools: Tools, *, cut_off: bool
) -> tuple[str, list[Made], list[str], str]:
    """(prose, calls, what is wrong with others, code that was cut off)."""
    if not calls:
        prose, calls = left_in_prose(prose, tools)
    made: list[Made] = []
    problems: list[str] = []
    unclosed = ""
    for name, arguments in calls:
        try:
            made.append(_made(name, arguments, tools))
        except ValueError as problem:
            begun = _begun_code(arguments) if cut_off and any(tool.code for tool in tools) else ""
            unclosed = begun or unclosed
            if not begun:
                problems.append(str(problem))
    return prose, made, problems, unclosed


def _made(name: str, arguments: Any, tools: Tools) -> Made:
    """The call that is meant. Raises ValueError with what is wrong, for the model to read."""
    tool = _tool_called(name, tools)
    if tool.code:
        return Made(tool.name, _code_of(arguments), is_code=True)
    value = _decoded(arguments, tool.name) if arguments not in (None, "") else {}
    required: list[str] = tool.parameters.get("required") or []
    if not isinstance(value, Mapping) and len(required) == 1:  # its one argument, bare
        value = {required[0]: value}
    try:
        if isinstance(value, Mapping):
            return Made(tool.name, json.dumps(dict(value), ensure_ascii=False))
    except (RecursionError, TypeError, ValueError):
        pass  # nested beyond all bounds, or no JSON
    raise ValueError(f"The arguments of {tool.name} have to be a JSON object: {_shown(arguments)}")


def _tool_called(name: str, tools: Tools) -> Tool:
    wanted = name.rpartition(".")[2].strip().lower()
    for tool in tools:
        if wanted == tool.name or (tool.code and _PYTHON_TOOLS.search(name)):
            return tool
    if tools == ONLY_PYTHON:
        raise ValueError(f"There is no tool {name[:80]!r}: call {RUN_PYTHON.name} with the Python code to run.")
    raise ValueError(f"There is no tool {name[:80]!r}: the tools are {', '.join(tool.name for tool in tools)}.")


def _code_of(arguments: Any) -> str:
    """The code that a call asks to run. Raises ValueError with what is wrong, for the model to read."""
    value = _decoded(arguments, RUN_PYTHON.name)
    if isinstance(value, Mapping):
        found = [value[key] for key in _CODE_KEYS if key in value]
        alone = [item for item in value.values() if len(value) == 1]
        value = next(iter(found or alone), None)
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        value = "\n".join(value)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{RUN_PYTHON.name} was called without code: {_shown(arguments)}")
    fenced = _WHOLE_FENCE.fullmatch(value)
    return fenced[2].removesuffix("\n") if fenced else value


def _decoded(arguments: Any, tool: str) -> Any:
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
            raise ValueError(f"The arguments of {tool} are no JSON ({problem}): {_shown(value)}") from None
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


def left_in_prose(prose: str, tools: Tools = ONLY_PYTHON) -> tuple[str, list[tuple[str, Any]]]:
    """(remaining prose, calls) where a server left the model's own notation of a call in its text, or where a model
    that was asked for the text form wrote something near it."""
    calls = [call for inner in _TAGGED.findall(prose) for call in _written_calls(inner, tools)]
    if calls:
        return _TAGGED.sub("", prose).strip(), calls
    fenced = _WHOLE_FENCE.fullmatch(prose)
    whole = _written_calls(fenced[2].removesuffix("\n") if fenced else prose, tools)
    if whole or tools == ONLY_PYTHON:
        return ("" if whole else prose), whole
    spans = []
    for block in _BLOCK.finditer(prose):
        found = _written_calls(block["body"], tools) or _labelled(block["label"], block["body"], tools)
        if found:
            calls += found
            spans.append(block.span())
    for start, end in reversed(spans):
        prose = f"{prose[:start].rstrip()}\n{prose[end:].lstrip()}"
    return prose.strip() if calls else prose, calls


def _labelled(label: str, body: str, tools: Tools) -> list[tuple[str, Any]]:
    """The call in a block whose label names a tool: its arguments, or the one argument it has to have."""
    words = label.split()
    names = words[1:] if len(words) == 2 and words[0] == "json" else []  # a name that no tool has is told so
    names = [word for word in words if any(word == tool.name for tool in tools)] or names
    return [(names[0], body.removesuffix("\n"))] if len(names) == 1 else []


def _written_calls(text: str, tools: Tools) -> list[tuple[str, Any]]:
    """The (name, arguments) that ``text`` writes out as JSON, if it is a call of a tool, or several."""
    if not text.lstrip().startswith(("{", "[")) or not _NAMED.search(text):
        return []
    try:
        value = _loads(text)
    except (ValueError, RecursionError):
        return []
    written = value if isinstance(value, list) and tools != ONLY_PYTHON else [value]
    calls = [_written_call(each, tools) for each in written]
    return [call for call in calls if call is not None] if all(calls) else []


def _written_call(value: Any, tools: Tools) -> tuple[str, Any] | None:
    if not isinstance(value, Mapping):
        return None
    if isinstance(inner := value.get("function"), Mapping):
        value = inner
    name = next((value[key] for key in ("name", "tool", "function") if isinstance(value.get(key), str)), None)
    given = [value[key] for key in ("arguments", "parameters", "args", "input") if key in value]
    if name is None or (all(name != tool.name for tool in tools) and (tools == ONLY_PYTHON or not given)):
        return None
    beside = {key: item for key, item in value.items() if key not in ("name", "tool", "function", "type", "id")}
    return name, given[0] if given else beside
