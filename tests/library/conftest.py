"""What tests of the library share: a sandbox, whose start is most of what a rehearsal costs, and a library."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from habit.sandbox.choose import open_sandbox
from habit.sandbox.session import Sandbox
from support.libraries import isolate
from support.library_bench import LibraryBench, count_label


@pytest.fixture(scope="session")
async def sandbox(anyio_backend: str) -> AsyncIterator[Sandbox]:
    made = open_sandbox("cpython")
    yield made
    await made.aclose()


@pytest.fixture
def bench(tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> LibraryBench:
    """A library with one approved habit, of this test alone."""
    isolate(monkeypatch, tmp_path)
    bench = LibraryBench(tmp_path, sandbox)
    bench.approve(count_label())
    return bench
