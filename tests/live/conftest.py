"""Live tests ask the real local model; they are skipped, with the reason shown, where it can't be had."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from habit import Settings
from habit.engine import Engine
from habit.errors import HabitError
from habit.local.models import DEFAULT, KNOWN, find


@pytest.fixture(scope="session")
def local_model() -> Path:
    """The model file, fetched once into the user's cache."""
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("the extra 'local' is not installed")
    model = find()
    if model is not None:
        return model.path
    from habit.local.pull import pull

    try:
        return pull(KNOWN[DEFAULT])
    except HabitError as problem:
        pytest.skip(f"the local model can't be had: {problem}")


@pytest.fixture
async def engine(local_model: Path, tmp_path: Path) -> AsyncIterator[Engine]:
    settings = Settings(model="local", max_cells=6, no_cache=True, journal=str(tmp_path / "journal.db"))
    async with Engine(settings) as engine:
        yield engine
