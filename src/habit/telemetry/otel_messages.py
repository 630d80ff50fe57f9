"""Prompts and replies in the JSON that the OpenTelemetry conventions for generative AI lay down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from habit.calls import toolcalls
from habit.calls.call import Call, Message, Reply, sendable
from habit.calls.tools import Made, part


def said(role: str, content: Any) -> dict[str, Any]:
    """One message of text; anything else is put as JSON."""
    return {"role": role, "parts": [_text(content if isinstance(content, str) else as_json(content))]}


def input_messages(call: Call) -> list[dict[str, Any]]:
    """The prompt of ``call``, tool calls in it told apart where it has tools."""
    turns = toolcalls.as_turns(call.messages, call.tools) if call.tools else call.messages
    return [_message(turn) for turn in turns]


def output_messages(call: Call, reply: Reply) -> list[dict[str, Any]]:
    """The reply to ``call``, as the one message it is."""
    prose, made = part(reply.text, call.tools) if call.tools else (reply.text, ())
    parts = [_text(prose)] if prose or not made else []
    parts += [_tool_call(f"call{number}", each) for number, each in enumerate(made)]
    return [{"role": "assistant", "parts": parts, "finish_reason": reply.finish}]


def as_json(value: Any) -> str:
    """``value`` as JSON; what JSON does not have is put in words."""
    return json.dumps(value, default=str)


def as_attributes(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a span can hold of ``values``: no None, no lone surrogates, JSON for what is nested."""
    return {name: _attribute(value) for name, value in values.items() if value is not None}


def _attribute(value: Any) -> Any:
    if isinstance(value, str):
        return sendable(value)
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return [sendable(item) for item in value]
    return as_json(value)


def _message(turn: Message | toolcalls.ToolCalls | toolcalls.ToolResult) -> dict[str, Any]:
    if isinstance(turn, Message):
        return said(turn.role, turn.content)
    if isinstance(turn, toolcalls.ToolResult):
        return {"role": "tool", "parts": [{"type": "tool_call_response", "id": turn.id, "response": turn.text}]}
    prose = [_text(turn.prose)] if turn.prose else []
    return {"role": "assistant", "parts": [*prose, *(_tool_call(identity, made) for identity, made in turn.calls)]}


def _text(content: str) -> dict[str, Any]:
    return {"type": "text", "content": content}


def _tool_call(identity: str, made: Made) -> dict[str, Any]:
    return {"type": "tool_call", "id": identity, "name": made.tool, "arguments": made.arguments}
