"""In-memory twins for tests that need no HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio
import anyio.lowlevel

from habit.calls.call import Call, Message, Reply, Role
from habit.calls.provider import TransientFailure
from habit.errors import CallFailed
from habit.journal.memory import MemoryStore
from habit.journal.records import RunRecord

Outcome = Reply | CallFailed | str


class FakeProvider:
    """A model whose replies a function makes; a token is a character, and a million of them cost one USD."""

    def __init__(
        self,
        reply: Callable[[Call], Outcome] = lambda call: f"re: {call.messages[-1].content}",
        *,
        model: str = "fake",
        window: int = 10_000,
        concurrency: int = 8,
        priced: bool = True,
    ) -> None:
        self.reply = reply
        self.model = model
        self.window = window
        self.concurrency = concurrency
        self.priced = priced
        self.sent: list[Call] = []
        self.under_way = 0
        self.peak = 0
        self.gate: anyio.Event | None = None
        """Replies wait until it is set."""

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content) for message in messages)

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        return (input_tokens + output_tokens) / 1_000_000 if self.priced else None

    async def request(self, call: Call) -> Reply:
        self.sent.append(call)
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        try:
            await anyio.lowlevel.checkpoint()
            if self.gate is not None:
                await self.gate.wait()
        finally:
            self.under_way -= 1
        outcome = self.reply(call)
        if isinstance(outcome, CallFailed):
            raise outcome
        if isinstance(outcome, Reply):
            return outcome
        return Reply(outcome, await self.count_tokens(call.messages), len(outcome))

    async def aclose(self) -> None:
        pass


def ask(text: str, *, role: Role = "leaf", **more: object) -> Call:
    """A call of the fake model with one user message."""
    return Call("fake", (Message("user", text),), role, **more)  # type: ignore[arg-type]


def transient(reason: str = "server", retry_after: float | None = None, at_most: int | None = None) -> TransientFailure:
    return TransientFailure("it failed", reason=reason, retry_after=retry_after, at_most=at_most)


async def memory_store(*run_ids: str) -> MemoryStore:
    """A store that knows these runs."""
    store = MemoryStore()
    for run_id in run_ids:
        await store.add_run(RunRecord(run_id, "a question", 0.0, {}, {}))
    return store
