"""One sandbox for all tests of the library in a process: starting it is most of what a rehearsal costs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from habit.sandbox.choose import open_sandbox
from habit.sandbox.session import Sandbox


@pytest.fixture(scope="session")
async def sandbox(anyio_backend: str) -> AsyncIterator[Sandbox]:
    made = open_sandbox("cpython")
    yield made
    await made.aclose()
