"""Compressed files and archives, unpacked in memory within bounds; nothing is ever written to disk."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import zstandard

from habit.contexts.documents.converted import Unreadable
from habit.contexts.documents.kinds import COMPRESSIONS, ZIP, Kind
from habit.contexts.files import LEFT_OUT

MAX_MEMBERS = 200_000
_FREE = 256 << 20
_MAX_RATIO = 200
_MAX_BYTES = 4 << 30

_CHUNK = 1 << 20
_ZSTD_CHUNK = 4096
"""Small, as a block of a few bytes may stand for 128 KiB."""
_OPENERS: dict[str, Callable[[IO[bytes]], Any]] = {
    "gzip": lambda file: gzip.GzipFile(fileobj=file),
    "bzip2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
}
_SHORT = {".tgz": ".tar", ".tbz2": ".tar", ".tbz": ".tar", ".txz": ".tar", ".tzst": ".tar"}
_NOT_INPUT = frozenset({*LEFT_OUT, "__MACOSX"})
_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, zstandard.ZstdError),
    *(EOFError, OSError, ValueError, struct.error),
)


@dataclass
class Allowance:
    """How much may still come out of one file on disk, over all its layers: what bombs exceed."""

    bytes: int
    members: int = MAX_MEMBERS

    @classmethod
    def for_file(cls, size: int) -> Allowance:
        """The allowance for a file of ``size`` bytes."""
        return cls(min(max(_FREE, size * _MAX_RATIO), _MAX_BYTES))

    def take(self, size: int) -> None:
        """Spend ``size`` bytes; raises Unreadable when there are not that many."""
        self.bytes -= size
        if self.bytes < 0:
            raise Unreadable("unpacks to far more than its size", "unpack it yourself if you trust it")

    def is_spent(self) -> bool:
        """Whether more came out than may."""
        return self.bytes < 0 or self.members < 0

    def take_member(self) -> None:
        """Spend a member."""
        self.members -= 1
        if self.members < 0:
            raise Unreadable(f"has more than {MAX_MEMBERS:,} members", "unpack it yourself if you trust it")


def decompress(data: bytes, compression: str, allowance: Allowance) -> bytes:
    """What ``data`` is when unpacked. Raises Unreadable."""
    try:
        if compression == "zstd":
            return _zstd(data, allowance)
        with _OPENERS[compression](io.BytesIO(data)) as file:
            return _read(file, allowance)
    except MemoryError:
        raise Unreadable("takes too much memory to unpack") from None
    except _DAMAGE as problem:
        raise _damaged(f"a file packed with {compression}", problem) from None


def inner_name(name: str) -> str:
    """The name of what a compressed file called ``name`` holds."""
    stem, ending = os.path.splitext(name)
    if ending.lower() in _SHORT:
        return stem + _SHORT[ending.lower()]
    known = {ending for _, _, endings in COMPRESSIONS for ending in endings}
    return stem if ending.lower() in known else name


@dataclass
class Archive:
    """The members of a zip or tar archive that are files, by name, as far as the allowance goes."""

    kind: Kind
    data: bytes
    allowance: Allowance
    links: int = 0
    """Links among the members, left out."""
    outside: int = 0
    """Members whose names lead out of the archive, left out."""
    names: set[str] = field(default_factory=set)

    def members(self) -> Iterator[tuple[str, bytes | Unreadable]]:
        """(name, bytes) of each file, or what is wrong with that one. Raises Unreadable for the whole archive."""
        try:
            yield from self._zip() if self.kind is ZIP else self._tar()
        except MemoryError:
            raise Unreadable("takes too much memory to unpack") from None
        except (*_DAMAGE, NotImplementedError) as problem:
            raise _damaged(self.kind.name, problem) from None

    def _zip(self) -> Iterator[tuple[str, bytes | Unreadable]]:
        with zipfile.ZipFile(io.BytesIO(self.data)) as archive:
            # Of members with the same name, the last counts.
            last = {info.filename: info for info in archive.infolist()}
            for info in sorted(last.values(), key=lambda info: info.filename):
                link = info.create_system == 3 and info.external_attr >> 28 == 0o12
                name = self._admitted(info.filename, is_link=link, is_file=not info.is_dir())
                if not name:
                    continue
                if info.flag_bits & 1:
                    yield name, Unreadable("is encrypted with a password", "unpack the archive yourself")
                    continue
                try:
                    with archive.open(info) as file:
                        data = _read(file, self.allowance)
                except NotImplementedError:
                    yield name, Unreadable("is compressed in an unknown way", "unpack the archive yourself")
                except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as problem:
                    yield name, _damaged("a file", problem)
                else:
                    yield name, data

    def _tar(self) -> Iterator[tuple[str, bytes | Unreadable]]:
        with tarfile.open(fileobj=io.BytesIO(self.data), mode="r:", errorlevel=1) as archive:
            last: dict[str, tarfile.TarInfo] = {}
            for info in archive:
                self.allowance.take_member()
                last[info.name] = info
            if archive.offset > len(self.data):
                raise tarfile.ReadError("it ends too early")
            for info in sorted(last.values(), key=lambda info: info.name):
                # A hard link to a file of the archive is that file.
                name = self._admitted(info.name, is_link=info.issym(), is_file=info.isreg() or info.islnk())
                if not name:
                    continue
                if info.size > self.allowance.bytes:
                    self.allowance.take(info.size)
                try:
                    file = archive.extractfile(info)
                except KeyError:
                    self.links += 1
                    continue
                if file is not None:
                    with file:
                        yield name, _read(file, self.allowance)

    def _admitted(self, name: str, *, is_link: bool, is_file: bool) -> str:
        """The key of a member; empty for what is left out."""
        if self.kind is ZIP:
            self.allowance.take_member()
        if is_link:
            self.links += 1
            return ""
        if not is_file:
            return ""
        steps = [step for step in name.replace("\\", "/").split("/") if step not in ("", ".")]
        if not steps or ".." in steps or name.startswith(("/", "\\")) or "\0" in name or steps[0].endswith(":"):
            self.outside += 1
            return ""
        key = "/".join(steps)
        if any(step in _NOT_INPUT for step in steps[:-1]) or steps[-1] == ".DS_Store" or key in self.names:
            return ""
        self.names.add(key)
        return key


def _read(file: IO[bytes], allowance: Allowance) -> bytes:
    pieces = []
    while piece := file.read(_CHUNK):
        allowance.take(len(piece))
        pieces.append(piece)
    return b"".join(pieces)


def _zstd(data: bytes, allowance: Allowance) -> bytes:
    pieces = []
    view = memoryview(data)
    while view:
        if bytes(view[:4])[1:] == b"\x2a\x4d\x18" and view[0] & 0xF0 == 0x50:  # a frame to skip
            view = view[8 + int.from_bytes(view[4:8], "little") :]
            continue
        frame = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
        while not frame.eof:
            if not view:
                raise EOFError("it ends too early")
            piece = frame.decompress(view[:_ZSTD_CHUNK])
            allowance.take(len(piece))
            pieces.append(piece)
            view = view[min(_ZSTD_CHUNK, len(view)) - len(frame.unused_data) :]
    return b"".join(pieces)


def _damaged(what: str, problem: BaseException) -> Unreadable:
    said = "".join(char if char.isprintable() else "?" for char in str(problem))[:150].rstrip(".")
    return Unreadable(f"is {what} that cannot be unpacked ({said or type(problem).__name__})", "fetch or pack it again")
