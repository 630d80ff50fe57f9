"""The one bounded call of matching: the leaf model says which habit, if any, a question is for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from habit.calls.call import Call, Message, Sampling
from habit.calls.kernel import Kernel
from habit.contexts.display import clean
from habit.errors import CallFailed
from habit.library.spec import HabitSpec, Parameter

_SYSTEM = """\
You decide whether a question is exactly the question that one of several saved programs answers. Reply with JSON.
If every word of the question is accounted for, reply {"habit": its name, "parameters": the values as the question
states them}. If the question asks anything more, less or different (not, least instead of most, before instead of
after, another field, a further condition), reply {"habit": "none", "parameters": {}}. When in doubt, "none"."""
_MOST_TOKENS = 300


async def ask_model(
    kernel: Kernel, question: str, habits: Sequence[HabitSpec], session: str
) -> tuple[str, Mapping[str, Any]] | str:
    """What the model says: a name and parameters, neither of which is checked; or why it names none, in a sentence."""
    schema = {
        "type": "object",
        "properties": {
            "habit": {"type": "string", "enum": [*(spec.name for spec in habits), "none"]},
            "parameters": {"type": "object"},
        },
        "required": ["habit", "parameters"],
        "additionalProperties": False,
    }
    listed = "\n".join(json.dumps(_told(spec), ensure_ascii=False) for spec in habits)
    prompt = (
        f"Saved programs, one a line:\n{listed}\n\nThe question, as JSON: {json.dumps(question, ensure_ascii=False)}"
    )
    call = Call(
        model=kernel.leaf.model,
        messages=(Message("system", _SYSTEM), Message("user", prompt)),
        role="leaf",
        schema=schema,
        sampling=Sampling(temperature=0.0, max_tokens=_MOST_TOKENS),
        session=session,
    )
    if not await kernel.fits(call):
        return "The habits are too many words for the leaf model to be asked which is meant."
    try:
        reply = await kernel.call(call)
    except CallFailed as failure:  # no match is a sound answer: the question is then answered without a habit
        return f"The leaf model could not be asked which habit is meant ({clean(str(failure), 200)})."
    return read_reply(reply.text) or "The model says that none of the habits answers this question."


def read_reply(text: str) -> tuple[str, Mapping[str, Any]] | None:
    """The name and parameters that a reply states; None when it states no habit. Never fails."""
    start, end = text.find("{"), text.rfind("}")
    try:
        value = json.loads(text[start : end + 1])
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or set(value) != {"habit", "parameters"}:
        return None
    name, parameters = value["habit"], value["parameters"]
    if not isinstance(name, str) or name == "none" or not isinstance(parameters, dict):
        return None
    return name, parameters


def _told(spec: HabitSpec) -> dict[str, Any]:
    return {
        "habit": spec.name,
        "answers": clean(spec.intent.summary, 300),
        "asked as": [clean(phrasing, 200) for phrasing in spec.intent.phrasings[:4]],
        "parameters": {name: _about(parameter) for name, parameter in spec.parameters.items()},
    }


def _about(parameter: Parameter) -> dict[str, Any]:
    about: dict[str, Any] = {"type": parameter.type, "example": clean(str(parameter.example), 80)}
    if parameter.choices:
        about["choices"] = [clean(choice, 40) for choice in parameter.choices[:40]]
    if parameter.description:
        about["description"] = clean(parameter.description, 200)
    return about
