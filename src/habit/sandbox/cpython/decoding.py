"""Decodes a large payload once: block by block into a str made for it, while the payload is freed behind.

So an input is never in memory twice. Runs in the zygote of a context, before any model-written code.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from habit.memory import SPARE, available_memory, too_little

_BLOCK = 256 << 10
"""Bytes decoded at a time: so few that the allocator keeps what a piece takes, and gives it to the next one."""
_new = ctypes.pythonapi.PyUnicode_New
_new.restype, _new.argtypes = ctypes.py_object, (ctypes.c_ssize_t, ctypes.c_uint32)
_copy = ctypes.pythonapi.PyUnicode_CopyCharacters
_copy.restype, _copy.argtypes = (
    ctypes.c_ssize_t,
    (ctypes.c_void_p, ctypes.c_ssize_t, ctypes.py_object, ctypes.c_ssize_t, ctypes.c_ssize_t),
)


class TooLarge(Exception):
    """The decoded value does not fit into memory; the message says what to do."""


def decode_and_free(kind: str, descriptor: int, characters: int, highest: int) -> Any:
    """The value that the file ``descriptor`` holds, which is empty afterwards.

    ``characters`` is how many it holds, ``highest`` what the highest of them needs (see Parked). Raises TooLarge.
    """
    with _within_memory(os.fstat(descriptor).st_size):
        text = _text(descriptor, characters, highest)
        return text if kind == "text" else json.loads(text)


def _text(descriptor: int, characters: int, highest: int) -> str:
    text: str = _new(characters, highest)
    bytearray(16 * _BLOCK)  # never touched: by its being given back glibc learns to keep what pieces take
    at, end = characters, os.fstat(descriptor).st_size
    while end:
        start = max(end - _BLOCK, 0)
        block = os.pread(descriptor, end - start, start)
        inside = _inside(block) if start else 0  # a character that begins in the block before belongs to that one
        piece = str(memoryview(block)[inside:], "utf-8", "surrogatepass")
        at -= len(piece)
        # By its address: it may be written to as long as nobody else knows of it. The interpreter checks the bounds.
        _copy(id(text), at, piece, 0, len(piece))
        end = start + inside
        os.ftruncate(descriptor, end)  # from the end to the beginning, since a file can only be cut at its end
    if at:
        raise ValueError(f"{at:,} characters too few")
    return text


def _inside(block: bytes) -> int:
    """Bytes at the start of ``block`` that are the rest of a character."""
    return next((index for index, byte in enumerate(block[:4]) if byte & 0xC0 != 0x80), 0)


@contextmanager
def _within_memory(payload: int) -> Iterator[None]:
    """Have the decoding fail, rather than the kernel choose whom to kill, when it takes more than there is.

    What the payload takes comes free meanwhile.
    """
    available = available_memory()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if available is None:
        yield
        return
    with open("/proc/self/statm", "rb") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    limit = taken + available + payload - SPARE
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (max(limit, taken), hard))
    try:
        yield
    except MemoryError:
        raise TooLarge(too_little("more, once it is decoded,", available + payload)) from None
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
