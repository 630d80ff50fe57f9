"""Wording: a model proposes name, description, intent and what the parameters mean; words only, never code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from habit.calls.returns import Returns
from habit.errors import BudgetExceeded, CallFailed
from habit.library.crystallise.asking import ask_once
from habit.library.crystallise.description import OPERATIONS, Description
from habit.library.spec import MOST_NAME_CHARS, NAME, Parameter
from habit.resources import Resources

_SHOWN = 6_000
_MOST = {"description": 900, "summary": 300, "parameter": 200}


async def worded(
    resources: Resources, default: Description, phrasing: str, parameters: Mapping[str, Parameter], source: str
) -> tuple[Description, list[str]]:
    """``default`` with what the model says better, and what of its proposal can't be used, a line each."""
    about = f"Question: {phrasing}\nParameters: {', '.join(parameters) or 'none'}\n\n{source[:_SHOWN]}"
    query = (
        "This program answers a family of questions. Describe it for a library: a short name of lower-case words "
        "joined by hyphens; a description of one or two sentences that says what it does and when to use it; a summary "
        "of what question it answers, in terms of its parameters; the operation; and what each parameter means."
    )
    try:
        proposal = await ask_once(resources, query, about, Returns.from_schema(_schema(parameters)))
    except (CallFailed, BudgetExceeded) as failure:
        return default, [f"the model gave no description ({failure})"]
    return _checked(default, proposal, parameters)


def _schema(parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    texts = {name: {"type": "string"} for name in parameters}
    return {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "description": {"type": "string"},
            "summary": {"type": "string"},
            "operation": {"enum": list(OPERATIONS)},
            "parameters": {"type": "object", "properties": texts, "required": list(texts)},
        },
        "required": ["name", "description", "summary", "operation", "parameters"],
    }


def _checked(
    default: Description, proposal: Mapping[str, Any], parameters: Mapping[str, Parameter]
) -> tuple[Description, list[str]]:
    rejected = []
    name = str(proposal["name"]).strip().lower().replace("_", "-").replace(" ", "-")
    if not NAME.fullmatch(name) or len(name) > MOST_NAME_CHARS:
        rejected.append(f"{json.dumps(str(proposal['name'])[:60])} is no name for a habit")
        name = default.name
    meanings = {
        key: _line(proposal["parameters"].get(key, ""), _MOST["parameter"]) or default.parameters.get(key, "")
        for key in parameters
    }
    made = replace(
        default,
        name=name,
        description=_line(proposal["description"], _MOST["description"]) or default.description,
        summary=_line(proposal["summary"], _MOST["summary"]) or default.summary,
        operation=default.operation or str(proposal["operation"]),
        parameters=meanings,
    )
    return made, rejected


def _line(text: Any, most: int) -> str:
    """On one line, with nothing that could end a docstring early or steer a terminal."""
    plain = "".join(character if character.isprintable() else " " for character in str(text))
    return " ".join(plain.replace('"""', "'''").replace("\\", "/").split())[:most]
