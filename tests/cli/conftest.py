"""Fixtures of the command line's tests: commands run in this process, or in one of their own."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode does not: lets tests import command_bench

from command_bench import FakeEngine, InProcess, Program


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and nothing of this machine's environment."""
    import os

    for name in list(os.environ):
        if name.startswith("HABIT_") or name.endswith("_API_KEY") or name == "NO_COLOR":
            monkeypatch.delenv(name)
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TERM", "xterm")
    return folder


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Takes the place of the engine for commands run in this process."""
    fake = FakeEngine()
    monkeypatch.setattr("habit.cli.running.open_engine", fake.open)
    return fake


@pytest.fixture
def habit(monkeypatch: pytest.MonkeyPatch) -> InProcess:
    """Runs the command line in this process."""
    return InProcess(monkeypatch)


@pytest.fixture
def program(own_place: Path) -> Iterator[Program]:
    """Runs the command line in a process of its own."""
    program = Program(own_place)
    yield program
    program.close()
