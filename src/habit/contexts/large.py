"""Large files that are plain UTF-8 text: read in blocks to where a session takes them from, never held in one piece."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable

from habit.contexts.documents.kinds import NoDocument, compression_of, kind_of
from habit.contexts.encodings import stays_as_it_is
from habit.contexts.files import opened_file
from habit.contexts.parked import BLOCK, CAN_PARK, PARKED_FROM, Parked
from habit.memory import require_memory

_HEAD = 64 << 10


def park_file(path: str, name: str, *, raw: bool, read: Callable[[int], None]) -> Parked | None:
    """The bytes of a large file that is the text it is; None for every other file, which has to be looked at closer.

    ``read`` is told of the bytes of each block. Raises Unusable, or UsageError when there is no memory for it.
    """
    with opened_file(path) as (file, size):
        if not CAN_PARK or size < PARKED_FROM:
            return None
        require_memory(size)
        head = os.pread(file.fileno(), _HEAD, 0)
        if _has_marked_json(head, name) or (not raw and _may_be_more(head, name)):
            return None
        parked, block = Parked(), bytearray(BLOCK)
        try:
            while count := file.readinto(block):
                parked.write(memoryview(block)[:count])
                read(count)
            parked.finish()
        except UnicodeDecodeError:
            read(-parked.size)
            return None
    with parked.view() as whole:
        return parked if stays_as_it_is(head, whole) else None


def _has_marked_json(head: bytes, name: str) -> bool:
    """Whether it is JSON behind a byte order mark, which is taken off."""
    return head.startswith(codecs.BOM_UTF8) and name.lower().endswith((".json", ".jsonl", ".ndjson"))


def _may_be_more(head: bytes, name: str) -> bool:
    """Whether a file that begins so may be packed, or a document."""
    try:
        return bool(compression_of(head)) or kind_of(head, name) is not None
    except NoDocument:
        return True
