"""The frames between a host and its worker: a length-capped JSON header and a blob of bytes.

Layout: two little-endian 32-bit lengths, the header (a JSON object in UTF-8 with ``surrogatepass``), the blob. Big or
arbitrary text travels in the blob, so that a header stays small. Standard library only: both sides use this module.

From the worker, each carrying the number of its cell as ``cell``:
  ``call``    id, query (bytes), context ([kind, bytes], null, or WHOLE), schema, child (true or absent); blob: query,
              context
  ``map``     id, query (bytes), contexts (list of the same), schema, child; blob: query, contexts
  ``batch``   id, queries (list of bytes); blob: queries; each is asked by itself, without a context
  ``answer``  id; blob: the value as JSON
  ``done``    status, stdout (bytes), dropped, error, variables; blob: stdout
  ``failed``  error: the session could not start (no cell)
From the host:
  ``cell``    cell, query (text, only when it is a new one); blob: the code
  ``reply``   id; blob: JSON, {"value"} or {"error", "reason"}, for a map {"slots": [...]} of these
"""

from __future__ import annotations

import json
import struct
from typing import Any

LENGTHS = struct.Struct("<II")
MAX_HEADER = 4 << 20
"""Bytes of a header; only the slot list of a very large map comes near."""
MAX_BLOB = (1 << 32) - 1
SMALL = 64 << 10
"""Bytes up to which a frame is written in one piece, and how much is read at once."""
MAX_PENDING = 20_000
"""Requests of one session that may be under way at once."""
MAX_SLOTS = 100_000
"""Contexts in one map."""
MAX_SCHEMA = 256 << 10
"""Characters of one JSON schema."""
WHOLE = "whole"
"""Stands for the session's own context, as it is, where the host said that it may be passed on so."""
IN_FLIGHT = 64 << 20
"""Bytes of queries and contexts one session may have under way at once, besides three times its context."""


class FrameError(ValueError):
    """A frame that breaks the format; its sender is broken or hostile."""


def encode_json(value: Any) -> bytes:
    """JSON that keeps every str exactly, lone surrogates included."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def decode_json(data: bytes | bytearray | memoryview) -> Any:
    """The value; raises FrameError for anything that is not JSON a peer may send (NaN, depth, huge integers)."""
    try:
        return json.loads(str(data, "utf-8", "surrogatepass"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"not JSON: {error}") from error


def encode_frame(header: dict[str, Any], blob_size: int = 0) -> bytes:
    """Lengths and header; the blob follows separately, so that it need not be copied."""
    data = encode_json(header)
    if len(data) > MAX_HEADER:
        raise FrameError(f"a header of {len(data):,} bytes is over the limit of {MAX_HEADER:,}")
    if blob_size > MAX_BLOB:
        raise FrameError(f"a blob of {blob_size:,} bytes is over the limit of {MAX_BLOB:,}")
    return LENGTHS.pack(len(data), blob_size) + data


def decode_header(data: bytes | bytearray | memoryview) -> dict[str, Any]:
    """The header; raises FrameError."""
    header = decode_json(data)
    if not isinstance(header, dict):
        raise FrameError("no object")
    return header


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
