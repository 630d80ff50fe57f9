"""Which runs are being worked on: one file lock per run, which the system releases when its process dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import BinaryIO

import anyio

from habit.errors import UsageError
from habit.journal.faults import explain
from habit.journal.naming import already_claimed, is_safe_in_a_path

# Looking whether a run is worked on takes its lock, shared, for some microseconds; a claim waits that out.
_TRIES = 10
_PAUSE = 0.02


class RunLock:
    """A lock that is held."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file

    def release(self) -> None:
        """Give the lock back and remove its file. Quick enough for the event loop."""
        self._path.unlink(missing_ok=True)
        self._file.close()


class RunLocks:
    """The locks of one journal's runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def acquire(self, run_id: str) -> RunLock:
        """Take the lock. Raises UsageError when somebody holds it, JournalError when the folder cannot be used."""
        for attempt in range(_TRIES):
            if attempt:
                await anyio.sleep(_PAUSE)
            lock = await anyio.to_thread.run_sync(self._try, run_id)
            if lock is not None:
                return lock
        raise already_claimed(run_id)

    def is_free(self, run_id: str) -> bool:
        """Whether nobody works on the run. Blocking."""
        if not is_safe_in_a_path(run_id):
            return True  # such an id can never be claimed
        path = self._path(run_id)
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return True
        except BlockingIOError:
            return False
        except OSError as error:
            raise explain(error, path) from error
        return True

    def _try(self, run_id: str) -> RunLock | None:
        path = self._path(run_id)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            while True:
                file = path.open("ab")
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if _is_still_there(file, path):
                        return RunLock(path, file)
                except BaseException:
                    file.close()
                    raise
                file.close()  # its holder removed it between the two lines: the lock is on a file without a name
        except BlockingIOError:
            return None
        except OSError as error:
            raise explain(error, path) from error

    def _path(self, run_id: str) -> Path:
        if not is_safe_in_a_path(run_id):
            raise UsageError(f"{run_id!r} cannot be a run id: `habit runs` lists them")
        return self.folder / f"{run_id}.lock"


def _is_still_there(file: BinaryIO, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    mine = os.fstat(file.fileno())
    return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)
