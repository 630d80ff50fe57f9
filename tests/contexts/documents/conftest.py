import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from habit.contexts.context import Context
from habit.contexts.load import load


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own to be in; conversions are kept beside it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def kept(here: Path) -> Callable[[], list[Path]]:
    """The conversions that are kept."""

    def find() -> list[Path]:
        root = here.parent / "cache" / "habit" / "conversions"
        return sorted(Path(folder, name) for folder, _, names in os.walk(root) for name in names)

    return find


@pytest.fixture
def loaded(here: Path) -> Callable[..., Context]:
    """Writes a file and loads it."""

    def write_and_load(name: str, data: bytes, **how: Any) -> Context:
        (here / name).write_bytes(data)
        return load([name], **how)

    return write_and_load
