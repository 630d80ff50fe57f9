"""A provider in memory: root replies from a script, leaf replies from a function."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import anyio
import anyio.lowlevel

from habit.calls.budget import Budget
from habit.calls.call import Call, Message, Reply
from habit.calls.provider import Provider
from habit.config import Settings
from habit.errors import CallFailed

CUT_OFF = "<cut off>"
"""At the end of a scripted reply: the model met its output limit here."""


def block(code: str) -> str:
    """A reply that holds ``code``."""
    return f"```python\n{code}\n```"


def use(tool: str, **arguments: Any) -> str:
    """A reply of an agent that calls a tool."""
    return f"```json {tool}\n{json.dumps(arguments)}\n```"


class ScriptedProvider:
    """Gives the root its script, reply by reply, and each leaf call what ``leaf`` says; notes every call."""

    concurrency = 64

    def __init__(
        self,
        script: Iterable[str | Exception] = (),
        *,
        leaf: Callable[[str], str | Exception] = lambda prompt: "yes",
        model: str = "scripted",
        window: int = 100_000,
        usd_per_token: float | None = 0.0,
        cuts: Sequence[int] = (),
    ) -> None:
        """``cuts``: how many characters of a root reply are there each time it is told to who listens."""
        self.model = model
        self.window = window
        self.script = list(script)
        self.leaf = leaf
        self.usd_per_token = usd_per_token
        self.cuts = cuts
        self.told: dict[int, anyio.Event] = {}
        """Waited for before a root reply that is listened to ends, by the number of the reply, from 1."""
        self.between: Callable[[], Awaitable[None]] = anyio.lowlevel.checkpoint
        """Waited for after each of the cuts."""
        self.calls: list[Call] = []

    @property
    def root_calls(self) -> list[Call]:
        return [call for call in self.calls if call.role == "root"]

    @property
    def leaf_calls(self) -> list[Call]:
        return [call for call in self.calls if call.role == "leaf"]

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content) for message in messages) // 4

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        return None if self.usd_per_token is None else self.usd_per_token * (input_tokens + output_tokens)

    async def request(self, call: Call) -> Reply:
        self.calls.append(call)
        number = len(self.root_calls)
        await anyio.lowlevel.checkpoint()
        if call.role == "root":
            if not self.script:
                raise CallFailed("the script is at its end", reason="rejected")
            reply = self.script.pop(0)
        else:
            reply = self.leaf(call.messages[-1].content)
        if isinstance(reply, Exception):
            raise reply
        if call.heard is not None:
            for cut in self.cuts:
                call.heard(reply[:cut])
                await self.between()
            if (told := self.told.get(number)) is not None:
                await told.wait()
        finish = "length" if reply.endswith(CUT_OFF) else "stop"
        text = reply.removesuffix(CUT_OFF)
        return Reply(text, await self.count_tokens(call.messages), len(text) // 4, finish=finish)

    async def aclose(self) -> None:
        pass


class ScriptedModels:
    """Gives every run of an engine the same provider."""

    def __init__(self, provider: ScriptedProvider) -> None:
        self.provider = provider

    async def open_pair(self, settings: Settings, budget: Budget) -> tuple[Provider, Provider]:
        return self.provider, self.provider

    async def aclose(self) -> None:
        pass
