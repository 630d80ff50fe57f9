"""Models by name: opens each provider once, and the local server when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import anyio.to_thread

from habit.calls.budget import Budget
from habit.calls.call import Call, Message, Reply
from habit.calls.prices import require_price
from habit.calls.provider import Provider
from habit.config import Settings
from habit.errors import ReplayMismatch, UsageError


class Models:
    """The providers that the runs of one engine share."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._open: dict[str, Provider] = {}
        self._opening = anyio.Lock()
        self._resources = AsyncExitStack()

    async def open_pair(self, budget: Budget) -> tuple[Provider, Provider]:
        """The root and the leaf provider, priced if ``budget`` is in USD. Raises UsageError."""
        root_name = self.settings.model or default_model(self.settings)
        async with self._opening:
            root = await self._provider(root_name)
            leaf = await self._provider(self.settings.leaf_model or root_name)
        for provider in (root, leaf):
            require_price(provider, budget)
        return root, leaf

    async def aclose(self) -> None:
        """Close every connection; the local server ends by itself when nobody needs it."""
        await self._resources.aclose()

    async def _provider(self, name: str) -> Provider:
        if name not in self._open:
            provider = await (self._local(name) if _is_local(name) else self._remote(name))
            self._resources.push_async_callback(provider.aclose)
            self._open[name] = provider
        return self._open[name]


def _is_local(name: str) -> bool:
    return name.partition(":")[0] == "local" or name.endswith(".gguf")


def default_model(settings: Settings) -> str:
    """The model to take when none is named: ``local`` when it is there. Raises UsageError that names the two ways on."""


class AbsentModel:
    """Stands in for a model during a replay: everything it would say has to come from the journal."""

    concurrency = 1

    def __init__(self, model: str, window: int) -> None:
        self.model = model
        self.window = window

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Nothing is sent, so nothing is counted."""
        return 0

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """A replay costs nothing."""
        return 0.0

    async def request(self, call: Call) -> Reply:
        """Raises ReplayMismatch: a replay never asks a model."""
        raise ReplayMismatch(f"The replay asked {self.model} for a reply that was not recorded.")

    async def aclose(self) -> None:
        """Nothing to close."""
