from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from habit.contexts.context import Context
from habit.sandbox.monty.differences import BY_NAME, DIFFERENCES
from habit.sandbox.session import CellResult, Host, Sandbox, Session, SessionLimits, SessionSpec
from sandbox.backends import BACKENDS
from sandbox.monty.expected import ANY, BY_CHANCE, difference_of

Open = Callable[..., Awaitable[Session]]
_RESULTS = pytest.StashKey[list[CellResult]]()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", params=list(BACKENDS))
async def sandbox(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[Sandbox]:
    made = BACKENDS[request.param]()
    yield made
    await made.aclose()


@pytest.fixture
async def open_session(sandbox: Sandbox, request: pytest.FixtureRequest) -> AsyncIterator[Open]:
    """Opens a session: ``await open_session(context, query=…, seed=…, clock=…, cell_seconds=…, memory=…)``."""
    results = request.node.stash.setdefault(_RESULTS, [])
    async with AsyncExitStack() as stack:

        async def opened(
            context: Any = "", *, query: str = "How many?", seed: int = 0, clock: float = 1.7e9, **limits: Any
        ) -> Session:
            shared = await sandbox.share(context if isinstance(context, Context) else Context.of(context))
            stack.push_async_callback(shared.aclose)
            spec = SessionSpec(query, seed, clock, SessionLimits(**{"cell_seconds": 20.0, **limits}))
            session = await shared.session(spec)
            stack.push_async_callback(session.aclose)
            _remember(session, results)
            return session

        yield opened


def _remember(session: Session, results: list[CellResult]) -> None:
    run_cell = session.run_cell

    async def remembered(code: str, host: Host) -> CellResult:
        result = await run_cell(code, host)
        results.append(result)
        return result

    session.run_cell = remembered  # type: ignore[method-assign]


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """What monty is known not to do must fail, and the model must be told what to do instead."""
    name = difference_of(pyfuncitem.nodeid)
    if name is None:
        return (yield)
    try:
        returned = yield
    except Exception:  # noqa: BLE001 - however the test fails, what the model was told is what counts
        told = "\n".join(result.error for result in pyfuncitem.stash.get(_RESULTS, []))
        if name == ANY:
            assert any(difference.instead in told for difference in DIFFERENCES), f"the model was told only: {told}"
        elif BY_NAME[name].signs:
            assert BY_NAME[name].instead in told, f"{name}: the model was told only: {told}"
        return True
    if name == ANY or pyfuncitem.originalname in BY_CHANCE:
        return returned
    pytest.fail(f"monty can do this now: take it off the list of {name!r} in tests/sandbox/monty/expected.py")
