"""Events as JSON objects; see docs/events.md for every event and field."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from habit.calls.call import Call, Reply
from habit.errors import CallFailed
from habit.events import Event
from habit.run import Run, plain

CONTENT = frozenset({"code", "stdout", "error", "messages", "schema", "reply", "message", "query", "answer", "why"})
"""Fields that hold what people asked, what their input says, or what a model wrote: left out unless asked for."""

_FAILURE_NAME = re.compile(r"([A-Za-z_][\w.]*(?:Error|Exception|Failed|Warning|Interrupt|Exit|Iteration))(?::|$)")


def name_of(event: Event) -> str:
    """``cell_started`` for a CellStarted."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()


def to_json(event: Event, *, content: bool = False) -> dict[str, Any]:
    """The fields of ``event`` in plain data, calls and replies laid flat; with ``content`` the words as well."""
    values: dict[str, Any] = {"event": name_of(event)}
    for field in fields(event):
        value = getattr(event, field.name)
        if isinstance(value, Call):
            values |= _call(value)
        elif isinstance(value, Reply):
            values |= _reply(value)
        elif isinstance(value, Run):
            values |= value.to_json()
        elif field.name == "failure":
            values |= _failure(value)
        else:
            values[field.name] = plain(value)
            if field.name == "error":
                values["error_type"] = error_type(value)
    return values if content else {name: value for name, value in values.items() if name not in CONTENT}


def to_line(event: Event, *, run: str | None, time: float, content: bool = False) -> str:
    """``event`` on one line of ASCII, with the run it belongs to and when it happened (seconds since 1970)."""
    when = datetime.fromtimestamp(time, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    values = to_json(event, content=content)
    values = {"event": values.pop("event"), "time": when, "run": run, **values}
    try:
        return json.dumps(values, default=str, allow_nan=False)
    except ValueError:  # an answer may hold numbers that JSON does not have
        text = json.dumps(values, default=str)
        return json.dumps(json.loads(text, parse_constant=lambda _: None))


def error_type(error: str) -> str | None:
    """The kind of error that a traceback ends with, such as ``ZeroDivisionError``."""
    names = (_FAILURE_NAME.match(line) for line in reversed(error.splitlines()))
    return next((found[1] for found in names if found), None)


def _call(call: Call) -> dict[str, Any]:
    return {
        "role": call.role,
        "model": call.model,
        "session": call.session,
        "cell": call.cell,
        "key": call.key,
        "messages": [{"role": message.role, "content": message.content} for message in call.messages],
        "schema": call.schema,
    }


def _reply(reply: Reply) -> dict[str, Any]:
    return {
        "reply": reply.text,
        "input_tokens": reply.input_tokens,
        "output_tokens": reply.output_tokens,
        "cache_read_tokens": reply.cache_read_tokens,
        "usd": reply.usd,
        "finish": reply.finish,
        "seconds": round(reply.seconds, 6),
        "cached": reply.cached,
        "estimated": reply.estimated,
    }


def _failure(failure: CallFailed | None) -> dict[str, Any]:
    """Without a failure the call was stopped, by cancellation or by a budget."""
    return {
        "reason": failure.reason if failure else "stopped",
        "message": str(failure) if failure else "",
    }
