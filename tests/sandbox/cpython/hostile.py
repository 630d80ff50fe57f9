"""What a hostile worker may send: names and byte sequences, each of which must cost it its session and no more."""

# ruff: noqa: E501 - code of cells as text
from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from typing import Any

from habit.sandbox.cpython import frames

Sequence = tuple[str, bytes]


def frame(header: Any, blob: bytes = b"", *, header_size: int | None = None, blob_size: int | None = None) -> bytes:
    """A frame, whose lengths may lie and whose header may be raw bytes."""
    data = header if isinstance(header, bytes) else frames.encode_json(header)
    lengths = (
        len(data) if header_size is None else header_size,
        len(blob) if blob_size is None else blob_size,
    )
    return struct.pack("<II", *lengths) + data + blob


CALL: dict[str, Any] = {"t": "call", "id": 1, "cell": 1, "query": 1, "context": ["text", 2], "schema": None}
MAP: dict[str, Any] = {
    "t": "map", "id": 1, "cell": 1, "query": 1, "contexts": [["text", 1], None, ["json", 1]], "schema": None,
}  # fmt: skip
ANSWER: dict[str, Any] = {"t": "answer", "id": 1, "cell": 1}
DONE: dict[str, Any] = {
    "t": "done", "cell": 1, "status": "ok", "error": "", "stdout": 0, "dropped": 0, "variables": "",
}  # fmt: skip
VALID: dict[str, tuple[dict[str, Any], bytes]] = {
    "call": (CALL, b"qab"),
    "map": (MAP, b"qa1"),
    "answer": (ANSWER, b"1"),
    "done": (DONE, b""),
}
WRONG: dict[str, list[Any]] = {
    "t": [None, 1, "", "ready", "hello", "reply", "cell", "spec", "failed", "DONE", ["call"], {"call": 1}],
    "cell": [None, 0, 2, -1, "1", 1.0, True, [1], 2**63],
    "id": [None, 0, -1, 2, "1", 1.0, True, [1], 2**63, 10**400],
    "query": [None, -1, "1", 1.0, True, 4, 2**40, 2**70],
    "context": [
        1,
        "text",
        [],
        ["text"],
        ["text", -1],
        ["text", 3],
        ["text", 1],
        ["pickle", 2],
        ["text", 2, 2],
        {"a": 1},
    ],
    "contexts": [None, 3, "x", {}, [1], [["text", 1]], [["text", 1]] * 4, [["json", 2], None], [["text", 2**40]]],
    "schema": [1, "str", [], True],
    "status": [None, 1, "", "answered", "died", "timeout", "OK", ["ok"]],
    "stdout": [None, -1, 1, "0", True, 2**40],
    "dropped": [None, -1, "0", 1.5, 2**70],
    "error": [None, 1, ["x"]],
    "variables": [None, 1, {}],
}
NOT_JSON = [
    b"", b"{", b"nonsense", b"\xff\xfe", b"[1, 2]", b'"call"', b"null", b"1" * 5000, b"NaN", b'{"t": NaN}', b"{}", b"\x00" * 50,
    b'{"t": "done"', b"[" * 100_000, b'{"a":' * 50_000, b'{"t":"call","id":' + b"9" * 6000 + b"}", b'{"t":"\xed\xa0"}',
]  # fmt: skip
LYING_LENGTHS = [(2**32 - 1, 0), (0, 2**32 - 1), (2**32 - 1, 2**32 - 1), (5 << 20, 0), (0, 1 << 31), (1, 0), (0, 0)]
PAYLOADS = {
    "text that is not UTF-8": (CALL, b"q\xff\xff"),
    "query that is not UTF-8": (CALL, b"\xffab"),
    "json that is none": ({**CALL, "context": ["json", 2]}, b"q{x"),
    "deep json": ({**CALL, "context": ["json", 100_000]}, b"q" + b"[" * 100_000),
    "answer that is no json": (ANSWER, b"nope"),
    "answer of nothing": (ANSWER, b""),
    "answer of NaN": (ANSWER, b"NaN"),
    "deep answer": (ANSWER, b"[" * 100_000 + b"]" * 100_000),
    "endless integer as answer": (ANSWER, b"9" * 10_000),
    "answer that is not UTF-8": (ANSWER, b'"\xff"'),
    "output that is not UTF-8": ({**DONE, "stdout": 1}, b"\xff"),
    "more output than agreed": ({**DONE, "stdout": 100_000}, b"x" * 100_000),
    "blob nobody announced": (DONE, b"extra"),
    "too many contexts": ({**MAP, "contexts": [None] * 100_001}, b"q"),
    "deep schema": ({**CALL, "schema": {"a": {}}}, b"qab"),
    "huge schema": ({**CALL, "schema": {"a": "x" * 300_000}}, b"qab"),
}
_deep: dict[str, Any] = {}
for _ in range(100):
    _deep = {"items": _deep}
PAYLOADS["deep schema"] = ({**CALL, "schema": _deep}, b"qab")


def sequences() -> Iterator[Sequence]:
    """All of them."""
    for (kind, (header, blob)), (key, values) in itertools.product(VALID.items(), WRONG.items()):
        if key not in header:
            continue
        for value in values:
            yield f"{kind} with {key}={str(value)[:30]!r}", frame({**header, key: value}, blob)
        if not (key in ("context", "schema") and kind in ("call", "map")):
            yield f"{kind} without {key}", frame({k: v for k, v in header.items() if k != key}, blob)
    for data in NOT_JSON:
        yield f"header {data[:20]!r}… of {len(data)}", frame(data)
    for header_size, blob_size in LYING_LENGTHS:
        yield f"lengths {header_size} {blob_size}", frame(CALL, b"qab", header_size=header_size, blob_size=blob_size)
    for name, (header, blob) in PAYLOADS.items():
        yield name, frame(header, blob)
    for kind, (header, blob) in VALID.items():
        whole = frame(header, blob)
        for cut in sorted({1, 4, 7, 8, 9, len(whole) // 2, len(whole) - 1}):
            yield f"{kind} cut off after {cut}", whole[:cut]
        yield f"{kind} after garbage", b"\x13\x37" + whole
    call = frame(CALL, b"qab")
    yield "the same id twice", call + call
    yield "an id left out", call + frame({**CALL, "id": 3}, b"qab")
    yield "ids backwards", call + frame({**CALL, "id": 2}, b"qab") + frame({**CALL, "id": 1}, b"qab")
    yield "an answered end after a refused answer", frame(ANSWER, b'"refuse"') + frame({**DONE, "status": "answered"})
    yield "half a flood", call * 100_000
    yield "nothing at all, then the end", b""
    for size in (1, 2, 3, 7, 8, 9, 100, 10_000):
        yield f"{size} bytes of 0xff", b"\xff" * size
        yield f"{size} bytes of 0x7f", b"\x7f" * size
        yield f"{size} bytes of text", (b"GET / HTTP/1.1\r\n" * 1000)[:size]
