"""``SKILL.md``: a habit as an Agent Skill (agentskills.io), so that other agents can read and use it too.

Generated, never read back. Everything in it may be written by a model: in the front matter it is quoted, in the text it
stays on its own line.
"""

from __future__ import annotations

import re

from habit.library.spec import HabitSpec, Parameter

MOST_DESCRIPTION_CHARS = 1024
_UNQUOTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
"""Characters that YAML takes only as escapes or not at all, and those that turn the reading around."""
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|!~])")


def skill_text(spec: HabitSpec) -> str:
    """The text of ``SKILL.md`` for ``spec``."""
    asked = "; ".join(_line(phrasing) for phrasing in spec.intent.phrasings[:3])
    front = [
        "---",
        f"name: {_quoted(spec.name)}",
        f"description: {_quoted(_description(spec, asked))}",
        'compatibility: "Needs Python 3.11 or newer and a function that asks a language model."',
        "metadata:",
        f'  habit-format: "{spec.format}"',
        "---",
    ]
    body = [
        f"# {spec.name}",
        "",
        "<!-- Generated from habit.toml; edit that file instead. -->",
        "",
        _escaped(spec.intent.summary),
        "",
        "## When to use it",
        "",
        *[f"- {_escaped(phrasing)}" for phrasing in spec.intent.phrasings],
        "",
        f"The input is {_escaped(spec.contract.shape)} ({spec.contract.kind}). If it has another shape, or the "
        "question is another one, do not use it.",
        "",
        "## Parameters",
        "",
        *([_parameter(name, one) for name, one in spec.parameters.items()] or ["None."]),
        "",
        "## How to run it",
        "",
        "With Habit, which checks the input first and answers the question afresh where this does not apply:",
        "",
        "```sh",
        " ".join([f"habit run {spec.name} FILE", *[f"--param {name}=…" for name in spec.parameters]]),
        "```",
        "",
        "Without it: `scheduler.py` is plain Python with one function,",
        f"`scheduler({', '.join(['context', 'recursive_llm', *_keywords(spec)])})`.",
        "`context` is the input itself; `recursive_llm(query, context=None, *, returns=str)` asks a language model one",
        "question about one slice and gives a value of the type `returns`. Run it in a sandbox.",
    ]
    return "\n".join([*front, "", *body]) + "\n"


def _description(spec: HabitSpec, asked: str) -> str:
    """What it does and when to use it, never empty, without anything that looks like a tag."""
    does = _line(spec.description) or _line(spec.intent.summary) or spec.name
    text = f"{does} Use it for questions such as: {asked}" if asked else does
    text = text.replace("<", "‹").replace(">", "›")
    return text if len(text) <= MOST_DESCRIPTION_CHARS else text[: MOST_DESCRIPTION_CHARS - 1] + "…"


def _keywords(spec: HabitSpec) -> list[str]:
    return ["*", *spec.parameters] if spec.parameters else []


def _parameter(name: str, parameter: Parameter) -> str:
    choices = f", one of {', '.join(_escaped(choice) for choice in parameter.choices)}" if parameter.choices else ""
    says = f": {_escaped(parameter.description)}" if parameter.description.strip() else ""
    return f"- `{name}` ({parameter.type}{choices}){says}"


def _line(text: str) -> str:
    """``text`` on one line, without what no file of text should hold."""
    return " ".join(_UNQUOTABLE.sub(" ", text).split())


def _escaped(text: str) -> str:
    """``text`` on one line of Markdown, taken literally."""
    return _MARKUP.sub(r"\\\1", _line(text))


def _quoted(text: str) -> str:
    """``text`` as a double-quoted YAML scalar, without a ``---`` that a careless reader takes for the end."""
    return '"' + _line(text).replace("\\", "\\\\").replace('"', '\\"').replace("---", "-\\x2d-") + '"'
