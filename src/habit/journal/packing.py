"""How text becomes a database value and back, exactly, and which long texts are kept as an excerpt only."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import zstandard

from habit.journal.records import CallRecord, CellRecord

LONG_TEXT = 1024
"""Bytes above which a text is compressed."""
LONG_MESSAGE = 4096
"""Characters above which a prompt message is kept as an excerpt: a replay regenerates the whole."""
MESSAGE_ENDS = 1500
"""Characters kept of either end of such a message."""
LONG_STDOUT = 50_000
"""Characters of one cell's output that are kept, half from either end: a replay regenerates the whole."""

_NOTE = re.compile(r"\n\[… ([0-9][0-9,]{0,20}) characters left out; SHA-256 of the whole: [0-9a-f]{64} …\]\n")
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"  # never the beginning of UTF-8: 0xb5 cannot follow 0x28


def encode(text: str) -> bytes:
    """UTF-8 that keeps lone surrogates."""
    return text.encode("utf-8", "surrogatepass")


def digest(text: str) -> bytes:
    """SHA-256 of the text's bytes."""
    return hashlib.sha256(encode(text)).digest()


def pack(text: str) -> str | bytes:
    """A value SQLite keeps exactly: the text itself, or its bytes (lone surrogates, NUL), or those under zstd."""
    data = encode(text)
    if len(data) > LONG_TEXT:
        return zstandard.ZstdCompressor().compress(data)
    if "\0" in text:  # legal in an SQLite TEXT, but its own functions and shell would cut the text there
        return data
    try:
        text.encode()
    except UnicodeEncodeError:
        return data
    return text


def unpack(value: str | bytes) -> str:
    """The text that ``pack`` was given."""
    if isinstance(value, str):
        return value
    if value.startswith(_ZSTD_MAGIC):
        value = zstandard.ZstdDecompressor().decompress(value)
    return value.decode("utf-8", "surrogatepass")


def pack_json(value: Any) -> str | bytes:
    """``pack`` of the JSON text. Not ASCII-escaped: that would join two lone surrogates into one character."""
    return pack(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def unpack_json(value: str | bytes) -> Any:
    """The value that ``pack_json`` was given, as JSON keeps it."""
    return json.loads(unpack(value))


def as_json(value: Mapping[str, Any]) -> dict[str, Any]:
    """``value`` as it comes back from JSON: tuples as lists, keys as strings."""
    copy: dict[str, Any] = json.loads(json.dumps(value, ensure_ascii=False))
    return copy


def excerpt(text: str) -> str:
    """A prompt message as it is kept: whole, or its two ends around a line with the digest of the whole."""
    if len(text) <= LONG_MESSAGE:
        return text
    left_out = len(text) - 2 * MESSAGE_ENDS
    note = f"[… {left_out:,} characters left out; SHA-256 of the whole: {digest(text).hex()} …]"
    return f"{text[:MESSAGE_ENDS]}\n{note}\n{text[-MESSAGE_ENDS:]}"


def length_of(kept: str) -> int:
    """How long a prompt message was that is kept as ``kept``."""
    left_out = _NOTE.match(kept, MESSAGE_ENDS)
    return 2 * MESSAGE_ENDS + int(left_out[1].replace(",", "")) if left_out else len(kept)


def kept_call(call: CallRecord) -> CallRecord:
    """``call`` as any store gives it back."""
    return replace(call, prompt=tuple((role, excerpt(text)) for role, text in call.prompt))


def kept_cell(cell: CellRecord) -> CellRecord:
    """``cell`` as any store gives it back."""
    surplus = len(cell.stdout) - LONG_STDOUT
    if surplus <= 0:
        return cell
    half = LONG_STDOUT // 2
    stdout = cell.stdout[:half] + cell.stdout[-half:]
    return replace(cell, stdout=stdout, stdout_dropped=cell.stdout_dropped + surplus)
