"""Models by name: opens each provider once, and the local server when it is asked for."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Protocol

import anyio
import anyio.to_thread

from habit.calls.budget import Budget
from habit.calls.call import Call, Message, Reply
from habit.calls.concurrency import share_limiter
from habit.calls.local_provider import LocalProvider
from habit.calls.prices import require_price
from habit.calls.provider import Provider
from habit.calls.pydantic_ai import open_provider
from habit.config import Settings
from habit.errors import CallFailed, ReplayMismatch, UsageError
from habit.local.models import find
from habit.local.server import local_server

_UNREADY_WINDOW = 32_000
"""Tokens; only decides whether a call that will fail in any case is one call or a child run."""


class Models(Protocol):
    """Where an engine gets its models from."""

    async def open_pair(self, settings: Settings, budget: Budget) -> tuple[Provider, Provider]:
        """The root and the leaf provider, each with a known price if ``budget`` is in USD. Raises UsageError."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class NamedModels:
    """Models by name, each opened once and shared by all runs of an engine."""

    def __init__(self) -> None:
        self._open: dict[tuple[object, ...], Provider] = {}
        self._opening = anyio.Lock()
        self._resources = AsyncExitStack()

    async def open_pair(self, settings: Settings, budget: Budget) -> tuple[Provider, Provider]:
        """See Models; the local server starts when it is first named."""
        root_name = settings.model or default_model(settings)
        async with self._opening:
            root = await self._provider(root_name, settings)
            leaf = await self._provider(settings.leaf_model or root_name, settings)
        for provider in (root, leaf):
            require_price(provider, budget)
        return root, leaf

    async def aclose(self) -> None:
        """Close every connection; the local server ends by itself when nobody needs it."""
        await self._resources.aclose()

    async def _provider(self, name: str, settings: Settings) -> Provider:
        identity = (name, settings.base_url, settings.base_url_from_file, settings.concurrency, settings.window)
        if identity not in self._open:
            provider = await (self._local(name) if is_local(name) else _remote(name, settings))
            self._resources.push_async_callback(provider.aclose)
            share_limiter(provider, (name, settings.base_url))
            self._open[identity] = provider
        return self._open[identity]

    async def _local(self, name: str) -> Provider:
        wanted = name.removeprefix("local").removeprefix(":")
        model = await anyio.to_thread.run_sync(lambda: find(wanted) if wanted else find())
        if model is None:
            raise UsageError("The local model is not on this machine yet: run `habit models pull`.")
        server = await self._resources.enter_async_context(local_server(model.path))
        return LocalProvider(
            server.base_url,
            window=server.window,
            concurrency=server.slots,
            model=name,
            api_key=server.api_key,
        )


async def _remote(name: str, settings: Settings) -> Provider:
    return await open_provider(
        name,
        base_url=settings.base_url,
        send_key=not settings.base_url_from_file,
        concurrency=settings.concurrency,
        window=settings.window,
    )


def is_local(name: str) -> bool:
    """Whether ``name`` means a model served on this machine: ``local``, ``local:NAME``, or a GGUF file."""
    return name.partition(":")[0] == "local" or name.endswith(".gguf")


def default_model(settings: Settings) -> str:
    """The model when none is named: ``local``, if it is there. Raises UsageError that names the two ways on."""
    if settings.base_url is not None:
        raise UsageError(f"Name the model that {settings.base_url} should use with --model.")
    installed = importlib.util.find_spec("xllamacpp") is not None
    if installed and find() is not None:
        return "local"
    first = "run `habit models pull`" if installed else "run `pip install 'habit[local]'` and `habit models pull`"
    raise UsageError(
        f"No model is configured. For a model on this machine, {first}; for a provider, set its key and name a model, "
        "such as OPENAI_API_KEY=… habit ask --model openai:gpt-5-mini …"
    )


class AbsentModel:
    """Stands in for a model during a replay: everything it would say has to come from the journal."""

    concurrency = 64

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


class UnreadyModel(AbsentModel):
    """Stands in for a model that can't be had: a habit may need none, and the first call says what is wrong."""

    def __init__(self, model: str, problem: str) -> None:
        super().__init__(model, _UNREADY_WINDOW)
        self._problem = problem

    async def request(self, call: Call) -> Reply:
        """Raises CallFailed, with why there is no such model."""
        raise CallFailed(self._problem, reason="rejected")


def unready_pair(settings: Settings, problem: str) -> tuple[Provider, Provider]:
    """Root and leaf for a run that should get along without."""
    root = settings.model or "no model"
    return UnreadyModel(root, problem), UnreadyModel(settings.leaf_model or root, problem)
