"""The tools of the agent loop: what a model is told of them, and the cell that each call of one becomes.

Arguments are data: they pass as literals, or as JSON in a string literal, whatever they hold, and are never code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

from habit.calls.returns import Returns
from habit.calls.structured import wrapped
from habit.calls.tools import Made, Tool, Tools

ANSWER = "answer"
UNKNOWN = "unknown"
"""What is told in place of the name of a tool that there is not."""
_RECURSIVE = "recursive_llm"
_ASK = "ask_about"
_ANSWER_NAMES = ("value", "answer", "final_answer", "result", "response", "text", "output")
_MOST_SLICES = 200
_RANGE = re.compile(r"\s*(\d{1,9})\s*(?:(?:-|–|\.\.|to)\s*(\d{1,9}))?\s*")
_TEXT = {"type": "string"}
_NUMBER = {"type": "integer"}
_YES_OR_NO = {"type": "boolean"}


class BadArguments(ValueError):
    """A call's arguments can't be used; the message is one sentence for the model."""


def _parameters(required: Mapping[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


def _described(schema: Mapping[str, Any], description: str) -> dict[str, Any]:
    return {**schema, "description": description}


_PATTERN = _described(_TEXT, "A regular expression (Python), matched line by line: ^ and $ are the ends of lines.")
_IGNORE_CASE = _described(_YES_OR_NO, "Whether upper and lower case are the same; by default not.")

OVER_CONTEXT: Tools = (
    Tool("peek", "See what the input is, how many pages it has, and how it begins and ends.", _parameters({})),
    Tool(
        "search",
        "Find the lines of the input that match a regular expression, with the page each is on.",
        _parameters(
            {"pattern": _PATTERN},
            ignore_case=_IGNORE_CASE,
            limit=_described(_NUMBER, "Show at most so many lines; by default 50."),
            skip=_described(_NUMBER, "Leave out so many of the lines that match, to go on where a search ended."),
        ),
    ),
    Tool(
        "read",
        "Read a page of the input, or some pages in a row if they are short.",
        _parameters(
            {"page": _described(_NUMBER, "The page, from 1.")},
            last_page=_described(_NUMBER, "Read on to this page, as far as there is room."),
        ),
    ),
    Tool(
        "count",
        "Count how often a regular expression matches in the whole input, and on how many lines. With a group in the "
        "expression, such as user=(\\w+), also how often the group has each value.",
        _parameters({"pattern": _PATTERN}, ignore_case=_IGNORE_CASE),
    ),
    Tool(
        "recursive_llm",
        "Have a fresh language model read slices of the input and answer a query about each. It sees only the query "
        "and the slice. Use it for meaning, for what search and count can't decide. Slices are worked on at the same "
        "time.",
        _parameters(
            {
                "query": _described(_TEXT, "What to find out; say all that is needed, and what form the reply has."),
                "slices": _described(
                    {"type": "array", "items": _TEXT}, 'Pages of each slice, such as ["1-4", "5-8"] or ["3"].'
                ),
            }
        ),
    ),
)


def tools_for(returns: Returns) -> Tools:
    """All tools, ``answer`` with the type that the question asks for."""
    value = wrapped(_TEXT if returns.schema is None else returns.schema) or _parameters({"value": {}})
    answer = Tool(ANSWER, f"Give the final answer, of type {returns.name}, and end the work.", value)
    return (*OVER_CONTEXT, answer)


def prelude(page_chars: int) -> str:
    """The code that makes the tools in a session."""
    return f"PAGE_CHARS = {page_chars}\n{_source()}"


@cache
def _source() -> str:
    source = files(__package__).joinpath("agent_tools.py").read_text("utf-8")
    return source.replace("from __future__ import annotations\n", "")


@dataclass(frozen=True)
class Step:
    """One call of a tool: the cell that does it, or what is wrong with it."""

    tool: str
    code: str
    problem: str = ""
    asks: str = ""
    """Of ``recursive_llm``: its query and slices, as code."""


def step_of(made: Made) -> Step:
    """The cell for a call."""
    try:
        code = _cell(made.tool, made.arguments)
        return Step(made.tool, code, asks=f"asked{code.removeprefix(_ASK)}" if made.tool == _RECURSIVE else "")
    except BadArguments as problem:
        return Step(made.tool, f"# {made.tool}: {problem}", str(problem))


def together(steps: Sequence[Step]) -> list[Step]:
    """``steps`` with all that they ask of fresh models asked by the first that asks, at the same time; each tells its
    own part. What comes after an answer is never asked."""
    ends = next((number for number, step in enumerate(steps) if step.tool == ANSWER and not step.problem), len(steps))
    asking = [step for step in steps[:ends] if step.asks]
    if len(asking) < 2:
        return list(steps)
    all_at_once = f"await ask_together([{', '.join(step.asks for step in asking)}])\n{asking[0].code}"
    return [replace(step, code=all_at_once) if step is asking[0] else step for step in steps]


def _cell(tool: str, arguments: Mapping[str, Any]) -> str:
    if tool == ANSWER:
        if not arguments:
            raise BadArguments("answer needs a value: call it with the final answer.")
        value: Any = dict(arguments)  # all of it, unless it says by name that it holds the answer
        if len(arguments) == 1:
            ((name, only),) = arguments.items()
            value = only if name in _ANSWER_NAMES else value
        return f"answer({_literal(value)})"
    declared = next(each.parameters for each in OVER_CONTEXT if each.name == tool)
    given = {name: value for name, value in arguments.items() if value is not None}
    unknown = [name for name in given if name not in declared["properties"]]
    missing = [name for name in declared["required"] if name not in given]
    if unknown and missing and len(unknown) == len(missing) == 1:  # another word for it
        given[missing[0]] = given.pop(unknown[0])
    elif missing:
        raise BadArguments(f"{tool} needs {' and '.join(missing)}.")
    elif unknown:
        takes = ", ".join(declared["properties"]) or "no arguments"
        raise BadArguments(f"{tool} has no argument {unknown[0][:40]!r}; it takes {takes}.")
    values = {
        name: _READ[_kind(declared, name)](f"{tool}'s {name}", given[name])
        for name in declared["properties"]
        if name in given
    }
    call = _ASK if tool == _RECURSIVE else tool
    return f"{call}({', '.join(f'{name}={_literal(value)}' for name, value in values.items())})"


def _kind(declared: Mapping[str, Any], name: str) -> str:
    return str(declared["properties"][name]["type"])


def _text(what: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise BadArguments(f"{what} has to be a text.")


def _whole(what: str, value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal() and len(value) < 20:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        return value
    raise BadArguments(f"{what} has to be a whole number.")


def _flag(what: str, value: Any) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    try:
        return known[str(value).strip().lower()]
    except KeyError:
        raise BadArguments(f"{what} has to be true or false.") from None


def _ranges(what: str, value: Any) -> list[tuple[int, int]]:
    """Slices as (first page, last page), from every way in which they may be written."""
    wrong = BadArguments(f'{what} have to be pages such as ["1-4", "5-8"] or ["3"].')
    if isinstance(value, str):
        value = value.strip().strip("[]").replace('"', "").replace("'", "").split(",")
    elif isinstance(value, (int, float)):
        value = [value]
    if not isinstance(value, list) or not value:
        raise wrong
    if len(value) > _MOST_SLICES:
        raise BadArguments(f"{what} are too many: pass {_MOST_SLICES} at most, each of more pages.")
    ranges = []
    for item in value:
        pair = [item, item] if isinstance(item, (int, float)) else item
        if isinstance(pair, str):
            found = _RANGE.fullmatch(pair.lower().replace("pages", "").replace("page", ""))
            if found is None:
                raise wrong
            pair = [found[1], found[2] or found[1]]
        if not isinstance(pair, list) or len(pair) != 2:
            raise wrong
        first, last = (_whole(what, page) for page in pair)
        ranges.append((min(first, last), max(first, last)))
    return ranges


_READ: Mapping[str, Callable[[str, Any], Any]] = {
    "string": _text,
    "integer": _whole,
    "boolean": _flag,
    "array": _ranges,
}


def _literal(value: Any) -> str:
    """Code that stands for ``value``, whatever it holds."""
    if value is None or isinstance(value, (bool, int, str)):
        return ascii(value)
    if isinstance(value, list) and all(isinstance(item, tuple) for item in value):
        return repr(value)
    return f"json.loads({json.dumps(value, ensure_ascii=True)!a})"


def grammar(tools: Tools) -> str:
    """A GBNF grammar that holds a reply to one call: ``{"tool": …, "arguments": {…}}``."""
    rules = ["root ::= " + " | ".join(f"call-{n}" for n in range(len(tools)))]
    for number, tool in enumerate(tools):
        properties = tool.parameters["properties"]
        required = [name for name in properties if name in tool.parameters.get("required", ())]
        optional = [name for name in properties if name not in required]
        members = ' "," ws '.join(_member(name, properties[name]) for name in required)
        for name in optional if required else ():
            members += f' ("," ws {_member(name, properties[name])})?'
        start = _quoted(f'{{"tool": "{tool.name}", "arguments": {{')
        rules.append(f'call-{number} ::= {start} {members} "}}}}"')
    return "\n".join([*rules, *_JSON_RULES]) + "\n"


def _member(name: str, schema: Mapping[str, Any]) -> str:
    kind = {"string": "string", "integer": "integer", "number": "number", "boolean": "boolean", "array": "array"}
    rule = kind.get(str(schema.get("type")), "value")
    if isinstance(schema.get("enum"), list) and all(isinstance(choice, str) for choice in schema["enum"]):
        rule = "(" + " | ".join(_quoted(json.dumps(choice)) for choice in schema["enum"]) + ")"
    return f'{_quoted(json.dumps(name))} ":" ws {rule}'


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_JSON_RULES = (
    'ws ::= " "?',
    'value ::= object | array | string | number | boolean | "null"',
    'object ::= "{" ws (string ":" ws value ("," ws string ":" ws value)*)? "}"',
    'array ::= "[" ws (value ("," ws value)*)? "]"',
    r'string ::= "\"" ([^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt/] | "u" [0-9a-fA-F]{4}))* "\""',
    'integer ::= "-"? ("0" | [1-9] [0-9]{0,15})',
    'number ::= integer ("." [0-9]{1,15})?',
    'boolean ::= "true" | "false"',
)
