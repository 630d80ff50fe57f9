"""What a hostile worker may say in a cell, drawn from a seed: an honest conversation with something wrong in it."""

# ruff: noqa: E501 - values as data
from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from habit.sandbox.cpython import frames
from sandbox.cpython.hostile import ANSWER, CALL, DONE, MAP, frame

BATCH: dict[str, Any] = {"t": "batch", "id": 1, "cell": 1, "queries": [1, 2, 0]}
CHILD: dict[str, Any] = {**CALL, "child": True, "schema": {"type": "array", "items": {"type": "integer"}}}

Frame = tuple[dict[str, Any], bytes]
HONEST: list[Frame] = [
    (CALL, b"qab"), (CALL, "q日本".encode()[:3]), (CHILD, b"qab"), (MAP, b"qa1"), (BATCH, b"abb"),
    (ANSWER, b"[1]"), (ANSWER, b'"refuse"'), (ANSWER, b'{"a": {"b": null}}'),
]  # fmt: skip
STATUSES = ("ok", "ok", "error", "interrupted", "answered")
KEYS = sorted(
    {key for header, _ in [*HONEST, (DONE, b"")] for key in header} | {"slots", "value", "reason", "__class__"}
)


@dataclass(frozen=True)
class Talk:
    """What is sent, in these pieces, and how it ends."""

    mutation: str
    pieces: list[bytes]
    frames: int
    """How many frames were meant, the broken ones included."""
    ending: str
    """``end``: end of file. ``silence``: nothing more comes. ``gone``: hangs up without reading replies."""


def talk(seed: int) -> Talk:
    """The conversation of this seed."""
    random = Random(seed)
    said = _conversation(random)
    name, mutate = random.choice(MUTATIONS)
    data = mutate(random, said)
    ending = random.choices(("end", "silence", "gone"), (88, 5, 7))[0]
    return Talk(name, _pieces(random, data), len(said), ending)


def _conversation(random: Random) -> list[Frame]:
    """Requests with ids in order, then the end of the cell."""
    said: list[Frame] = []
    for number in range(1, random.choice((1, 1, 1, 2, 3)) + 1):
        header, blob = random.choice(HONEST)
        said.append(({**header, "id": number}, blob))
    output = random.choice((b"", b"hello\n", "\ud800é".encode("utf-8", "surrogatepass")))
    said.append(({**DONE, "status": random.choice(STATUSES), "stdout": len(output)}, output))
    return said


def _pieces(random: Random, data: bytes) -> list[bytes]:
    """The same bytes in one write or in several."""
    cuts = sorted(random.randrange(len(data) + 1) for _ in range(random.choice((0, 0, 0, 1, 4))))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def _joined(said: list[Frame]) -> bytes:
    return b"".join(frame(header, blob) for header, blob in said)


def _one(random: Random, said: list[Frame], change: Callable[[dict[str, Any], bytes], bytes]) -> bytes:
    """The conversation with one frame sent otherwise."""
    at = random.randrange(len(said))
    return _joined(said[:at]) + change(dict(said[at][0]), said[at][1]) + _joined(said[at + 1 :])


def _value(random: Random, depth: int = 0) -> Any:
    """Anything JSON can hold, and some more."""
    simple: list[Any] = [
        None, True, False, 0, 1, 2, -1, 3, 2**31, 2**32, 2**53 + 1, 2**63, 2**64, 10**400, 0.0, -0.0, 1.5, 1e308, "", "1",
        "text", "json", "done", "call", "\ud800", "\udfff\ud800", "\0", "a" * 5000, "é" * 100, "\u202e", "refuse",
        [], {}, ["text", 1], ["json", 1], ["pickle", 1], ["text", -1], ["text", 2**40], [None] * 50,
        {"type": "object"}, {"$ref": "http://127.0.0.1:1/"}, {"$ref": "#"}, {"pattern": "(a+)+$"}, {"__proto__": 1},
    ]  # fmt: skip
    if depth < 3 and random.random() < 0.25:
        items = [_value(random, depth + 1) for _ in range(random.randrange(4))]
        return items if random.random() < 0.5 else {random.choice(KEYS): item for item in items}
    if random.random() < 0.05:
        nested: Any = 1
        for _ in range(random.choice((70, 500))):
            nested = [nested] if random.random() < 0.5 else {"items": nested}
        return nested
    return random.choice(simple)


def _noise(random: Random) -> bytes:
    """A blob that may be JSON, text, or neither."""
    return random.choice(
        (
            b"", b"null", b"1", b"NaN", b"-Infinity", b"[" * 5000, b"[" * 500 + b"]" * 500, b'{"a":' * 300, b"9" * 6000,
            b"1e999999", b"\xff\xfe\xff", b"\xed\xa0\x80", b'"\\ud800"', b'"\xed\xa0\x80"', b'"\xc3"', b"\x00" * 64,
            b"\xf4\x90\x80\x80", b'{"a":1,"a":2}', b"[1,]", b"'a'", b"\xef\xbb\xbf1", b"x" * 20_000, random.randbytes(40),
            json.dumps(_value(random)).encode(),
        )
    )  # fmt: skip


def _header_value(random: Random, said: list[Frame]) -> bytes:
    def change(header: dict[str, Any], blob: bytes) -> bytes:
        return frame({**header, random.choice(list(header)): _value(random)}, blob)

    return _one(random, said, change)


def _header_key(random: Random, said: list[Frame]) -> bytes:
    def change(header: dict[str, Any], blob: bytes) -> bytes:
        if random.random() < 0.5:
            header.pop(random.choice(list(header)))
        else:
            header[random.choice(KEYS)] = _value(random)
        return frame(header, blob)

    return _one(random, said, change)


def _raw_header(random: Random, said: list[Frame]) -> bytes:
    """A key twice, constants that are not JSON, another order, white space, comments, other encodings."""

    def change(header: dict[str, Any], blob: bytes) -> bytes:
        raw = frames.encode_json(header)
        extra = frames.encode_json({random.choice(KEYS): _value(random)})
        odd = random.choice(
            (
                raw[:-1] + b"," + extra[1:], extra[:-1] + b"," + raw[1:], raw + raw, raw + b" " * 1000, b"\xef\xbb\xbf" + raw,
                raw.replace(b"1", b"NaN", 1), raw.replace(b"1", b"1e0", 1), raw.replace(b"1", b"01", 1), b"[" + raw + b"]",
                raw.decode().encode("utf-16"), b"/**/" + raw, raw.replace(b'"', b"'"), raw.replace(b"1", b"9" * 5000, 1),
                raw.replace(b'"t"', b'"\\u0074"'), raw[: random.randrange(len(raw))], b"",
            )
        )  # fmt: skip
        return frame(odd, blob)

    return _one(random, said, change)


def _lengths(random: Random, said: list[Frame]) -> bytes:
    def change(header: dict[str, Any], blob: bytes) -> bytes:
        off = random.choice((-1, 1, -2, 7, 100, 4 << 20, 1 << 31, 2**32 - 1))
        size = len(frames.encode_json(header))
        if random.random() < 0.5:
            return frame(header, blob, header_size=(size + off) % 2**32)
        return frame(header, blob, blob_size=(len(blob) + off) % 2**32)

    return _one(random, said, change)


def _sizes(random: Random, said: list[Frame]) -> bytes:
    """Announced sizes that do not match the blob."""

    def change(header: dict[str, Any], blob: bytes) -> bytes:
        odd = random.choice((-1, 0, 1, 2, 4, 5, 2**31, 2**63, 1.0, True))
        for key in ("query", "stdout"):
            if key in header and random.random() < 0.5:
                header[key] = odd
        for key in ("contexts", "queries"):
            if key in header:
                header[key] = [*header[key], odd if key == "queries" else ["text", odd]][random.randrange(2) :]
        if header.get("context"):
            header["context"] = [random.choice(("text", "json", "TEXT")), odd]
        return frame(header, blob)

    return _one(random, said, change)


def _blob(random: Random, said: list[Frame]) -> bytes:
    def change(header: dict[str, Any], blob: bytes) -> bytes:
        noise = _noise(random)
        if "stdout" in header:
            header["stdout"] = len(noise)
        elif "queries" in header:
            header["queries"] = [len(noise)]
        elif header.get("context"):
            header["query"], header["context"] = 0, [random.choice(("text", "json")), len(noise)]
        return frame(header, noise)

    return _one(random, said, change)


def _ids(random: Random, said: list[Frame]) -> bytes:
    key = random.choice(("id", "id", "cell"))
    return _joined([({**header, key: random.choice((0, 1, 2, 3, -1, 2**40))}, blob) for header, blob in said])


def _order(random: Random, said: list[Frame]) -> bytes:
    mixed = [*said, *random.sample(said, random.randrange(len(said) + 1))]
    random.shuffle(mixed)
    return _joined(mixed)


def _interleaved(random: Random, said: list[Frame]) -> bytes:
    """Two frames written into one another, as two threads without a lock would."""
    one, other = (frame(*random.choice(said)) for _ in range(2))
    cut = random.randrange(1, len(one))
    return one[:cut] + other + one[cut:] + _joined(said)


def _cut(random: Random, said: list[Frame]) -> bytes:
    data = _joined(said)
    return data[: random.randrange(len(data))]


def _bits(random: Random, said: list[Frame]) -> bytes:
    data = bytearray(_joined(said))
    for _ in range(random.choice((1, 1, 2, 8, 64))):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(data)


def _splices(random: Random, said: list[Frame]) -> bytes:
    data = _joined(said)
    for _ in range(random.choice((1, 2, 4))):
        start, end = sorted(random.randrange(len(data) + 1) for _ in range(2))
        piece = random.choice((b"", data[start:end] * 2, random.randbytes(end - start), _noise(random)))
        data = data[:start] + piece + data[end:]
    return data


def _garbage(random: Random, said: list[Frame]) -> bytes:
    return random.choice((random.randbytes(random.randrange(300)), _noise(random), b"")) + _joined(said)


def _flood(random: Random, said: list[Frame]) -> bytes:
    """Many requests at once, numbered in order, whose replies nobody may read."""
    header, blob = random.choice(HONEST)
    return b"".join(frame({**header, "id": number}, blob) for number in range(1, random.choice((10, 60))))


def _none(random: Random, said: list[Frame]) -> bytes:
    return _joined(said)


MUTATIONS = [
    ("another value", _header_value), ("another value", _header_value), ("another key", _header_key),
    ("another header", _raw_header), ("lying lengths", _lengths), ("lying sizes", _sizes), ("another blob", _blob),
    ("other ids", _ids), ("another order", _order), ("interleaved", _interleaved), ("cut off", _cut),
    ("flipped bits", _bits), ("spliced", _splices), ("garbage", _garbage), ("spliced", _splices), ("lying sizes", _sizes), ("another blob", _blob),
    ("another key", _header_key), ("a flood", _flood),
]  # fmt: skip
