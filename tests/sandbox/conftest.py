"""Sandboxes for the contract tests: one of each backend for the whole session, since starting one takes a while."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from habit.contexts.context import Context
from habit.sandbox.session import Sandbox, Session, SessionLimits, SessionSpec
from sandbox.backends import BACKENDS

Open = Callable[..., Awaitable[Session]]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", params=list(BACKENDS))
async def sandbox(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[Sandbox]:
    made = BACKENDS[request.param]()
    yield made
    await made.aclose()


@pytest.fixture
async def open_session(sandbox: Sandbox) -> AsyncIterator[Open]:
    """Opens a session: ``await open_session(context, query=…, seed=…, clock=…, cell_seconds=…, memory=…)``."""
    async with AsyncExitStack() as stack:

        async def opened(
            context: Any = "", *, query: str = "How many?", seed: int = 0, clock: float = 1.7e9, **limits: Any
        ) -> Session:
            shared = await sandbox.share(context if isinstance(context, Context) else Context.of(context))
            stack.push_async_callback(shared.aclose)
            spec = SessionSpec(query, seed, clock, SessionLimits(**{"cell_seconds": 20.0, **limits}))
            session = await shared.session(spec)
            stack.push_async_callback(session.aclose)
            return session

        yield opened
