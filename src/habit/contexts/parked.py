"""A large payload outside of this process's own memory: in an anonymous file, until a session takes it over.

Whoever decodes it may free it piece by piece, so that a large input is never held twice. Digest, characters and their
width are noted while it is written. Linux only; elsewhere payloads are bytes.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final, TypeAlias

from habit.errors import UsageError

PARKED_FROM = 8 << 20
"""Bytes from which on a payload is parked."""
BLOCK = 256 << 10
"""Bytes read, hashed and decoded at a time: so few that the allocator keeps what they take for the next ones."""
SLICE_FROM = 1 << 20
"""The same for a slice that a cell gives to a child run: there may be many of them at once."""
CAN_PARK: Final = hasattr(os, "memfd_create")


class Parked:
    """UTF-8 in an anonymous file: written once, then handed over once.

    ``errors`` is how its characters are read while it is written: ``strict``, or ``surrogatepass``.
    """

    def __init__(self, errors: str = "strict") -> None:
        self.size = 0
        self.characters = 0
        self.highest = 0x7F
        """The highest character that the narrowest str for this text can hold: 127, 255, 65,535 or 1,114,111."""
        self.sha256 = ""
        """Once it is finished."""
        self._hash = hashlib.sha256()
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors)
        self._descriptor = os.memfd_create("habit-payload", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)

    def __len__(self) -> int:
        return self.size

    def __eq__(self, other: object) -> bool:
        return self.sha256 == other.sha256 if isinstance(other, Parked) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __del__(self) -> None:
        self.close()

    @property
    def is_spent(self) -> bool:
        """Whether it was handed over, or closed."""
        return self._descriptor < 0

    @property
    def is_beyond_prompts(self) -> bool:
        """Whether it is too large for any prompt, so that the host need not have it to ask about all of it."""
        return self.size >= PARKED_FROM

    def write(self, data: bytes | memoryview) -> None:
        """Append. Raises UnicodeDecodeError, or OSError when there is no memory for it."""
        view = memoryview(data)
        for start in range(0, len(view), BLOCK):
            block = view[start : start + BLOCK]
            self._note(self._decoder.decode(block))
            self._hash.update(block)
            self.size += len(block)
            while block:
                block = block[os.write(self._descriptor, block) :]

    def filled(self, data: bytes | memoryview) -> Parked:
        """Write all of it at once. Raises UnicodeDecodeError, or OSError when there is no memory for it."""
        self.write(data)
        return self.finish()

    def finish(self) -> Parked:
        """Nothing more will be written. Raises UnicodeDecodeError when it ends within a character."""
        self._decoder.decode(b"", final=True)
        self.sha256 = self._hash.hexdigest()
        return self

    @contextmanager
    def view(self) -> Iterator[memoryview]:
        """The bytes, for a while. Raises UsageError when they are not here any more."""
        if not self.size:
            yield memoryview(b"")
            return
        with mmap.mmap(self._here(), self.size, prot=mmap.PROT_READ) as mapped, memoryview(mapped) as view:
            yield view

    def open(self) -> BinaryIO:
        """The bytes as a file, from the first on. Raises UsageError when they are not here any more."""
        file = os.fdopen(os.dup(self._here()), "rb", BLOCK)
        file.seek(0)
        return file

    def copy(self) -> Parked:
        """The same once more, to be handed over as well."""
        with self.view() as view:
            return Parked("surrogatepass").filled(view)

    def hand_over(self) -> int:
        """The descriptor, for whoever decodes it and closes it; from now on nothing is here any more."""
        descriptor, self._descriptor = self._here(), -1
        return descriptor

    def close(self) -> None:
        """Free the memory, unless it was handed over."""
        if not self.is_spent:
            os.close(self.hand_over())

    def _here(self) -> int:
        if self.is_spent:
            raise UsageError("The input was handed to a session that is over: read it again, in a new session.")
        return self._descriptor

    def _note(self, text: str) -> None:
        self.characters += len(text)
        if self.highest < 0x10FFFF and not text.isascii():
            self.highest = max(self.highest, _highest(text))


def _highest(text: str) -> int:
    """As Parked.highest, for a text that is not all ASCII."""
    try:
        text.encode("latin-1")
        return 0xFF
    except UnicodeEncodeError:
        pairs = len(text.encode("utf-16-le", "surrogatepass")) // 2
        return 0xFFFF if pairs == len(text) else 0x10FFFF


Payload: TypeAlias = bytes | Parked


@contextmanager
def viewed(payload: Payload) -> Iterator[bytes | memoryview]:
    """The bytes of ``payload``, wherever they are. Raises UsageError when they were handed over."""
    if isinstance(payload, Parked):
        with payload.view() as view:
            yield view
    else:
        yield payload


def park(payload: Payload) -> Payload:
    """``payload``, parked if it is large and not yet parked. Raises OSError when there is no memory for it."""
    if isinstance(payload, Parked) or len(payload) < PARKED_FROM or not CAN_PARK:
        return payload
    return Parked("surrogatepass").filled(payload)


def park_slice(payload: memoryview) -> Payload:
    """A copy of ``payload``, parked from SLICE_FROM on where there are descriptors to spare.

    Raises UnicodeDecodeError, or OSError when there is no memory for it.
    """
    if len(payload) < SLICE_FROM or not CAN_PARK or not _has_descriptors_to_spare():
        return bytes(payload)
    return Parked("surrogatepass").filled(payload)


def _has_descriptors_to_spare() -> bool:
    """Whether this process uses less than half of those it may have: sessions and models need some, too."""
    import resource  # as Linux has it, where memfd_create is

    try:
        lowest_free = os.eventfd(0)
    except OSError:
        return False
    os.close(lowest_free)
    return lowest_free < resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2


class Growing:
    """A payload written bit by bit: parked as soon as it is large."""

    def __init__(self) -> None:
        self._bits = io.BytesIO()
        self._parked: Parked | None = None

    def write(self, data: bytes) -> None:
        """Append valid UTF-8. Raises OSError when there is no memory for it."""
        self._bits.write(data)
        if CAN_PARK and self._bits.tell() >= (PARKED_FROM if self._parked is None else BLOCK):
            self._move()

    def payload(self) -> Payload:
        """All of it; nothing more can be written."""
        if self._parked is None:
            return self._bits.getvalue()
        self._move()
        return self._parked.finish()

    def _move(self) -> None:
        self._parked = self._parked or Parked("surrogatepass")
        with self._bits.getbuffer() as bits:
            self._parked.write(bits)
        self._bits = io.BytesIO()
