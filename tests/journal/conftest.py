"""Both stores under one name, and the sample records on the import path."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode does not: lets tests import journal_samples

from journal_faults import WatchedConnection

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


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> type[WatchedConnection]:
    real_connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **kw: real_connect(*args, factory=WatchedConnection, **kw))
    monkeypatch.setattr(WatchedConnection, "statements", [])
    monkeypatch.setattr(WatchedConnection, "failures", {})
    monkeypatch.setattr(WatchedConnection, "gate", threading.Event())
    monkeypatch.setattr(WatchedConnection, "at_gate", threading.Event())
    WatchedConnection.gate.set()
    return WatchedConnection


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 1 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def read_only_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:  # root may write to any folder, but not to a read-only file system
        folder = tmp_path / "read-only"
        folder.mkdir(mode=0o555)
        yield folder
        return
    folder = request.getfixturevalue("small_disk")
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    yield folder
