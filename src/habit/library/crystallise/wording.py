"""Wording: a model proposes name, description, intent and what the parameters mean; words only, never code."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from habit.calls.returns import Returns
from habit.config import Settings
from habit.errors import BudgetExceeded, CallFailed, UsageError
from habit.library.crystallise.asking import Asking
from habit.library.crystallise.description import OPERATIONS, Description
from habit.library.spec import MOST_NAME_CHARS, NAME, HabitSpec, Parameter
from habit.models import is_local

_SHOWN = 6_000
_MOST = {"description": 900, "summary": 300, "parameter": 200}


_PATIENCE = 60.0
"""Seconds that learning waits for words nobody demanded."""


def offers(settings: Settings) -> bool:
    """Whether words are asked for though nobody said so: only of a model that is named, and not on this machine, where
    they would take tens of seconds; see docs/learning.md."""
    named = settings.leaf_model or settings.model
    return named is not None and not is_local(named)


async def worded(
    asking: Asking,
    default: Description,
    phrasing: str,
    parameters: Mapping[str, Parameter],
    source: str,
    *,
    demanded: bool,
    name: str | None = None,
    library: Sequence[HabitSpec] = (),
) -> tuple[Description, list[str]]:
    """``default`` with what the model says better, and what of its proposal can't be used, a line each.

    ``name`` is its name already; else the model may not give it that of another habit of the ``library``. Raises
    UsageError when there is no model to ask and the words are ``demanded``.
    """
    if name is not None:
        default = replace(default, name=name)
    about = f"Question: {phrasing}\nParameters: {', '.join(parameters) or 'none'}\n\n{source[:_SHOWN]}"
    query = (
        "This program answers a family of questions. Describe it for a library: a short name of lower-case words "
        "joined by hyphens; a description of one or two sentences that says what it does and when to use it; a summary "
        "of what question it answers, in terms of its parameters; the operation; and what each parameter means."
    )
    returns, patience = Returns.from_schema(_schema(parameters)), None if demanded else _PATIENCE
    try:
        proposal = await asking.once(query, about, returns, patience=patience)
    except (CallFailed, BudgetExceeded) as failure:
        return default, [f"the model gave no description ({failure})"]
    except UsageError as refusal:
        if demanded:
            raise
        return default, [f"no model could be asked for a description ({refusal})"]
    taken = {spec.name for spec in library if phrasing not in spec.intent.phrasings}
    return _checked(default, proposal, parameters, taken=taken, named=name is not None)


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
    default: Description,
    proposal: Mapping[str, Any],
    parameters: Mapping[str, Parameter],
    *,
    taken: Collection[str],
    named: bool,
) -> tuple[Description, list[str]]:
    rejected = []
    name = str(proposal["name"]).strip().lower().replace("_", "-").replace(" ", "-")
    if named:
        name = default.name
    elif not NAME.fullmatch(name) or len(name) > MOST_NAME_CHARS:
        rejected.append(f"{json.dumps(str(proposal['name'])[:60])} is no name for a habit")
        name = default.name
    elif name in taken:
        rejected.append(f"{name} is the name of another habit")
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
