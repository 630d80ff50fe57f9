"""Both stores under one name, and the sample records on the import path."""

import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode does not: lets tests import journal_samples

from habit.journal.memory import MemoryStore
from habit.journal.sqlite import SqliteStore
from habit.journal.store import Store


@pytest.fixture
def journal_path(tmp_path: Path) -> Path:
    return tmp_path / ".habit" / "journal.db"


@pytest.fixture
async def sqlite_store(journal_path: Path) -> AsyncIterator[SqliteStore]:
    async with aclosing(await SqliteStore.open(journal_path)) as store:
        yield store


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened = MemoryStore() if request.param == "memory" else await SqliteStore.open(tmp_path / ".habit" / "journal.db")
    async with aclosing(opened):
        yield opened
