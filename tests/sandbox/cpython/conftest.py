"""Tests in this folder are about one backend."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from habit.sandbox.cpython import CPythonSandbox


@pytest.fixture(scope="session")
async def sandbox(anyio_backend: str) -> AsyncIterator[CPythonSandbox]:
    made = CPythonSandbox()
    yield made
    await made.aclose()
