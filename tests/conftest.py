"""What all tests share."""

from collections.abc import AsyncIterator, Generator
from inspect import iscoroutinefunction

import pytest
import sniffio

from habit.sandbox.cpython import CPythonSandbox


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let a test that is no coroutine, and its fixtures, run an event loop of their own, as a command does.

    While an asynchronous fixture of a wide scope lives (a sandbox that many tests share, say), anyio takes its event
    loop to be running even between the tests that use it, and whatever test comes next would be refused another.
    """
    test = getattr(item, "obj", None)
    if iscoroutinefunction(test.hypothesis.inner_test if hasattr(test, "hypothesis") else test):
        return (yield)
    token = sniffio.current_async_library_cvar.set(None)
    try:
        return (yield)
    finally:
        sniffio.current_async_library_cvar.reset(token)


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[CPythonSandbox]:
    """The sandbox that the tests of one file share."""
    sandbox = CPythonSandbox()
    yield sandbox
    await sandbox.aclose()
