"""A host in memory for sessions under test."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from habit.sandbox.session import LlmRequest, slot_by_slot

Reply = Callable[[LlmRequest], Any]


def echo(request: LlmRequest) -> Any:
    """The context, else the query."""
    return request.query if request.context is None else value_of(request)


def value_of(request: LlmRequest) -> Any:
    assert request.context is not None
    return request.context.value()


class RecordingHost:
    """Answers with ``reply`` (which may be async and may raise), notes every request and every answer offered."""

    def __init__(self, reply: Reply = echo, *, check: Callable[[Any], None] = lambda value: None) -> None:
        self.reply = reply
        self.check = check
        self.requests: list[LlmRequest] = []
        self.maps: list[Sequence[LlmRequest]] = []
        self.answers: list[Any] = []

    async def recursive_llm(self, request: LlmRequest) -> Any:
        self.requests.append(request)
        reply = self.reply(request)
        return await reply if inspect.isawaitable(reply) else reply

    async def recursive_llm_map(self, requests: Sequence[LlmRequest]) -> Sequence[Any]:
        self.maps.append(requests)
        return await slot_by_slot(self, requests)

    def check_answer(self, value: Any) -> None:
        self.answers.append(value)
        self.check(value)
