"""What a library keeps in ``.git/habit`` and shares with nobody: lock, reviews, suspensions, an unfinished approval.

Small JSON files, replaced as a whole, so that a crash leaves the old one or the new one.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from habit.errors import HabitError, UsageError

LOCK_SECONDS = 300.0
"""How long to wait for another process, whose hooks may run a test suite."""


@dataclass(frozen=True)
class LocalState:
    """The folder ``.git/habit``."""

    folder: Path

    @contextlib.contextmanager
    def locked(self, *, wait: bool = True) -> Iterator[None]:
        """Nobody else changes the library meanwhile; a process that dies gives the lock back.

        Raises HabitError when another process holds it: at once without ``wait``.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / "lock", timeout=LOCK_SECONDS if wait else 0.0)
            lock.acquire()
        except Timeout:
            raise Busy("Another habit process is changing this library; try again when it has ended.") from None
        except OSError as problem:
            raise UsageError(f"{self.folder} can't be written: {problem.strerror}.") from None
        try:
            yield
        finally:
            lock.release()

    def read(self, *path: str) -> dict[str, str]:
        """What was kept under ``path``; empty when nothing was, or when it can't be read any more."""
        try:
            found = json.loads(self._file(*path).read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return {}
        except OSError as problem:
            raise UsageError(f"{self._file(*path)} can't be read: {problem.strerror}.") from None
        return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}

    def write(self, values: Mapping[str, str], *path: str) -> None:
        """Keep ``values`` under ``path``."""
        target = self._file(*path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".new-")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(dict(values), file)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(target)
        except OSError as problem:
            raise UsageError(f"{target} can't be written: {problem.strerror}.") from None

    def forget(self, *path: str) -> None:
        """Keep nothing under ``path`` any more."""
        self._file(*path).unlink(missing_ok=True)

    def names(self, kind: str) -> list[str]:
        """What is kept under ``kind``."""
        folder = self.folder / kind
        return sorted(file.stem for file in folder.glob("*.json")) if folder.is_dir() else []

    def _file(self, *path: str) -> Path:
        return self.folder.joinpath(*path[:-1], f"{path[-1]}.json")


class Busy(HabitError):
    """Another process is at work on this library."""
