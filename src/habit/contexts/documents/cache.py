"""Conversions kept on disk, by what was converted with what: bounded in size, private, safe among processes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path

import zstandard

MAX_BYTES = 1 << 30
_MAX_ENTRY = 1 << 30
"""Bytes of one conversion, unpacked; more than that is converted again each time."""
_DIGEST = hashlib.sha256().digest_size


def default_folder() -> Path:
    """Where conversions are kept for this user."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("habit")) / "conversions"


class ConversionCache:
    """A folder of conversions. Whatever goes wrong with it is no more than a miss."""

    def __init__(self, folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._written = False

    def get(self, key: str) -> bytes | None:
        """What was put under ``key``; None when there is nothing, or nothing whole."""
        try:
            path = self._path(key)
            with open(path, "rb") as file:
                if not self._is_ours(os.fstat(file.fileno())):
                    return None
                data = file.read()
            payload = zstandard.ZstdDecompressor().decompress(data[_DIGEST:], max_output_size=_MAX_ENTRY)
            if hashlib.sha256(payload).digest() != data[:_DIGEST]:
                return None
            with contextlib.suppress(OSError):
                os.utime(path)  # what was used last is dropped last
        except (OSError, zstandard.ZstdError):
            return None
        return payload

    def put(self, key: str, payload: bytes) -> None:
        """Keep ``payload``, if the disk lets us."""
        import tempfile

        if len(payload) > _MAX_ENTRY:
            return
        data = hashlib.sha256(payload).digest() + zstandard.ZstdCompressor(level=3).compress(payload)
        path = self._path(key)
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self._is_ours(os.stat(self._folder)):
                return
            path.parent.mkdir(exist_ok=True, mode=0o700)
            descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=".")  # private by itself
            try:
                with open(descriptor, "wb") as file:
                    file.write(data)
                os.replace(partial, path)
            except OSError:
                os.unlink(partial)
                raise
            self._written = True
        except OSError:
            return

    def trim(self) -> None:
        """Drop what was not used for longest, where this object has added to a folder that is too large."""
        if not self._written:
            return
        self._written = False
        entries: list[tuple[float, int, str]] = []
        for folder, _, names in os.walk(self._folder):
            for name in names:
                path = os.path.join(folder, name)
                with contextlib.suppress(OSError):
                    known = os.lstat(path)
                    entries.append((known.st_mtime, known.st_size, path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self._max_bytes:
                break
            with contextlib.suppress(OSError):
                os.unlink(path)
            total -= size

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / key

    def _is_ours(self, known: os.stat_result) -> bool:
        """Whether nobody else can have written it."""
        return known.st_uid == os.geteuid() and not stat.S_IMODE(known.st_mode) & 0o022
