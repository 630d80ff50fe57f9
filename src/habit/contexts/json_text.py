"""JSON as bytes: texts written as one object while they are read, and files checked to be what a session can decode."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_SPARE_FRAMES = 300
_encode = json.JSONEncoder(ensure_ascii=False).encode


class Texts:
    """A JSON object from path to text, written as it grows: no text is held twice."""

    def __init__(self) -> None:
        self.json = io.BytesIO()
        self.files: list[tuple[str, str]] = []
        self.keys: set[str] = set()

    def add(self, key: str, text: bytes | str) -> None:
        """Write one more text: a str, or UTF-8."""
        self.json.write(b", " if self.keys else b"{")
        self.keys.add(key)
        self.json.write(f"{_encode(key)}: ".encode("utf-8", "surrogatepass"))
        self.json.write(_encode(text if isinstance(text, str) else str(text, "utf-8")).encode("utf-8", "surrogatepass"))

    def payload(self) -> bytes:
        """The whole object."""
        self.json.write(b"}" if self.keys else b"{}")
        return self.json.getvalue()


def as_json(text: bytes) -> tuple[bytes | None, str]:
    """``text`` when it is JSON that a session will be able to decode, else None and the reason."""
    try:
        _deeper_down(_parse, text)
    except (ValueError, RecursionError) as problem:
        return None, _reason(problem)
    return text, ""


def as_json_lines(text: bytes) -> tuple[bytes | None, str]:
    """The JSON list of the values in the lines of ``text``, each as it is written there, else None and the reason."""
    lines = {number: line.strip(b" \t\r") for number, line in enumerate(text.split(b"\n"), 1)}

    def check() -> str:
        for number, line in lines.items():
            try:
                if line:
                    _parse(line)
            except (ValueError, RecursionError) as problem:
                return f"line {number:,}: {_reason(problem)}"
        return ""

    if problem := _deeper_down(check):
        return None, problem
    return b"[" + b",\n".join(filter(None, lines.values())) + b"]", ""


def _reason(problem: Exception) -> str:
    return "nested too deeply" if isinstance(problem, RecursionError) else str(problem)


def _parse(text: bytes) -> None:
    json.loads(str(text, "utf-8"))


def _deeper_down(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call with less stack than there is: the session that parses the same again may have less left than we have."""

    def descend(frames: int) -> T:
        return descend(frames - 1) if frames else function(*args, **kwargs)

    return descend(_SPARE_FRAMES)
