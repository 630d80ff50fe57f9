"""Scheduler code runs in every sandbox, and its parameters are never code."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from habit.contexts.context import Context
from habit.sandbox.session import Sandbox, SessionSpec
from habit.schedulers.invocation import cell_of
from sandbox.backends import BACKENDS
from sandbox.hosts import RecordingHost


@pytest.fixture(params=list(BACKENDS))
async def sandbox(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    made = BACKENDS[request.param]()
    yield made
    await made.aclose()


@pytest.mark.parametrize(
    "value", ["plain", '\'"""\')); answer(9) #\n\\', "é 🙂", 3, 2.5, True, None, ["a", "b"], {"k": [1]}]
)
async def test_parameters_arrive_as_they_are(sandbox: Sandbox, value: Any) -> None:
    shared = await sandbox.share(Context.of("text"))
    session = await shared.session(SessionSpec("?"))
    source = "def scheduler(context, recursive_llm, *, given, size):\n    return [given, len(context) + size]\n"
    result = await session.run_cell(cell_of(source, {"given": value, "size": 1}), RecordingHost())
    await session.aclose()
    await shared.aclose()
    assert result.answer == [value, 5], result.error
