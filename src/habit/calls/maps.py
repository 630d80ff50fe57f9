"""Maps: many calls at once. How they are spread over workers, and what they are expected to take."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread

from habit.calls.account import Account
from habit.calls.events import FanOut
from habit.calls.fanout import FanOutGate, Forecast, Planned, add_up, measure, most_usd
from habit.calls.numbering import Numbering
from habit.calls.provider import Provider
from habit.calls.sending import Sender
from habit.errors import BudgetExceeded, CallFailed
from habit.tasks import task_group

AHEAD = 64
"""Slots of a map that are made ready while others are under way."""


class Maps:
    """The maps of one run."""

    def __init__(
        self, root: Provider, leaf: Provider, account: Account, sender: Sender, numbers: Numbering, gate: FanOutGate
    ) -> None:
        self._root = root
        self._leaf = leaf
        self._account = account
        self._sender = sender
        self._numbers = numbers
        self._gate = gate
        self._ready = min(AHEAD, 2 * max(root.concurrency, leaf.concurrency))

    async def call_all(self, slots: Sequence[Any], ask: Callable[[Any], Awaitable[Any]]) -> list[Any]:
        """What ``ask`` gives for each slot; see Kernel.call_all."""
        results: list[Any] = [None] * len(slots)
        workers = 0
        upcoming = iter(range(len(slots)))
        stop: BudgetExceeded | None = None

        async def work() -> None:
            nonlocal stop
            for index in upcoming:
                try:
                    results[index] = await ask(slots[index])
                except CallFailed as failure:
                    results[index] = failure
                except BudgetExceeded as reached:
                    stop = stop or reached
                if stop is not None:
                    return

        def hire() -> None:
            """Have a few more workers than there are requests under way, so that journal and counting never leave a
            model idle; and not one for every slot, because those would all do that before the first is sent."""
            nonlocal workers
            while workers < min(self._ready + len(self._sender.out), len(slots)):
                workers += 1
                group.start_soon(work)

        self._sender.on_leave.add(hire)
        try:
            async with task_group() as group:
                hire()
        finally:
            self._sender.on_leave.discard(hire)
        if stop is not None:
            raise stop
        return results

    @asynccontextmanager
    async def passing(self, planned: Planned, count: int, size: int, *, session: str, cell: int) -> AsyncIterator[None]:
        """Held while a map is under way, once people have agreed to it where they must; see Kernel.fan_out."""
        if not self.may_ask_people(count, size):
            yield
            return
        expected = await self.forecast(planned)
        if self._gate.would_ask(expected):
            expected = await self.forecast(planned, skip_known=True)
        map_ = FanOut(session, cell, self._leaf.model, expected.calls, expected.tokens, expected.usd)
        try:
            async with self._gate.passing(map_, lambda: self._account.ledger.spent.usd):
                yield
        except BudgetExceeded as refusal:
            await self._account.refuse(refusal)

    def may_ask_people(self, count: int, size: int) -> bool:
        """Whether a map of ``count`` slots with ``size`` bytes together may be one that people are asked about."""
        return self._gate.may_matter(count, most_usd(count, size, self._leaf))

    async def forecast(self, planned: Planned, *, skip_known: bool = False) -> Forecast:
        """What the ``planned`` calls are expected to take; see Kernel.forecast."""
        prompts = await anyio.to_thread.run_sync(measure, planned, self._leaf, self._account.usual_longest("leaf"))
        if skip_known:
            keys = await anyio.to_thread.run_sync(lambda: [call.key if call else None for call in planned()])
            known = await self.call_all(self._numbers.upcoming(keys), self._numbers.is_known)
            prompts = [prompt for prompt, is_known in zip(prompts, known, strict=True) if not is_known]
        return add_up(prompts, self._root, self._leaf)
