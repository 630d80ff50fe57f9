"""The context: the input of a run, of any size, held as bytes until a session decodes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from habit.contexts.parked import Parked, Payload, park, viewed


@dataclass(frozen=True)
class Context:
    """An exact value and where it came from.

    ``payload`` is UTF-8 with ``surrogatepass``: the text itself (kind ``text``, a ``str`` in the session) or JSON
    (kind ``json``: a list, a dict or any other JSON value). Lone surrogates, CRLF, BOM and NUL survive.
    A large one that was read from files is ``Parked``, until it is handed to the session that it was read for.
    """

    kind: Literal["text", "json"]
    payload: Payload
    origin: str = ""
    """One line for people: the file's path, "12 files", "standard input"."""
    files: tuple[tuple[str, str], ...] = ()
    """(path, SHA-256 of the file's bytes) when the context can be rebuilt from files on disk; else empty."""
    notes: tuple[str, ...] = field(default=())
    """What the loader wants people to know: a detected encoding, skipped files."""
    base: str | None = None
    """For a dict of files, the folder its keys are relative to; None when one file is the whole context."""
    raw: bool = False
    """Whether files were taken as the text they are, none of them converted or unpacked."""
    known_sha256: str = field(default="", repr=False, compare=False)
    """The digest, where the loader has computed it already."""

    @classmethod
    def of(cls, value: Any, *, origin: str = "a Python value") -> Context:
        """The context that holds ``value`` (str, or anything JSON can hold); raises TypeError for other types."""
        if isinstance(value, str):
            return cls("text", value.encode("utf-8", "surrogatepass"), origin)
        text = json.dumps(value, ensure_ascii=False)
        return cls("json", text.encode("utf-8", "surrogatepass"), origin)

    def value(self) -> Any:
        """Decode. Costs time and memory in proportion to the size; a host that only ships the payload need not."""
        with self.opened() as payload:
            return decode(self.kind, payload)

    def opened(self) -> AbstractContextManager[bytes | memoryview]:
        """The bytes of the payload, wherever they are. Raises UsageError when they were handed to a session."""
        return viewed(self.payload)

    def parked(self) -> Context:
        """The same for a session to take over: large ones parked. Raises OSError when there is no memory for it."""
        payload = self.payload
        return replace(self, payload=payload.copy() if isinstance(payload, Parked) else park(payload))

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the payload: also the name of its blob in the journal."""
        if isinstance(self.payload, Parked):
            return self.payload.sha256
        return self.known_sha256 or hashlib.sha256(self.payload).hexdigest()

    def record(self) -> Mapping[str, Any]:
        """What the journal keeps of it, without the payload; ``load.reload`` takes it back when ``files`` are there."""
        return {
            "kind": self.kind,
            "digest": self.digest,
            "origin": self.origin,
            "bytes": len(self.payload),
            "files": [list(file) for file in self.files],
            "base": self.base,
            **({"raw": True} if self.raw else {}),
        }


def decode(kind: str, payload: bytes | memoryview) -> Any:
    """The value that ``payload`` holds; the one decoder, used by the host and inside the sandbox."""
    text = str(payload, "utf-8", "surrogatepass")
    return text if kind == "text" else json.loads(text)
