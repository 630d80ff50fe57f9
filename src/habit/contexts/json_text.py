"""JSON as bytes: texts written as one object while they are read, and files checked to be what a session can decode."""

from __future__ import annotations

import codecs
import json
import json.scanner
from collections.abc import Callable, Iterable, Iterator
from typing import ParamSpec, TypeVar

from habit.contexts.parked import BLOCK, Growing, Payload

P = ParamSpec("P")
T = TypeVar("T")

_SPARE_FRAMES = 300
_LINES_A_TICK = 20_000
_encode = json.JSONEncoder(ensure_ascii=False).encode
_scan: Callable[[str, int], tuple[object, int]] = json.scanner.make_scanner(json.JSONDecoder())  # type: ignore[arg-type]


class Texts:
    """A JSON object from path to text, written as it grows: no text is held twice."""

    def __init__(self) -> None:
        self.json = Growing()
        self.files: list[tuple[str, str]] = []
        self.keys: set[str] = set()

    def add(self, key: str, text: bytes | str) -> None:
        """Write one more text: a str, or UTF-8."""
        start = f"{', ' if self.keys else '{'}{_encode(key)}: "
        self.keys.add(key)
        if len(text) <= BLOCK:
            whole = text if isinstance(text, str) else str(text, "utf-8")
            self.json.write((start + _encode(whole)).encode("utf-8", "surrogatepass"))
            return
        self.json.write(f'{start}"'.encode("utf-8", "surrogatepass"))
        for piece in _pieces(text):
            self.json.write(_encode(piece)[1:-1].encode("utf-8", "surrogatepass"))
        self.json.write(b'"')

    def payload(self) -> Payload:
        """The whole object."""
        self.json.write(b"}" if self.keys else b"{}")
        return self.json.payload()


def _pieces(text: bytes | str) -> Iterator[str]:
    """``text`` as pieces that take little memory each."""
    if isinstance(text, str):
        yield from (text[start : start + BLOCK] for start in range(0, len(text), BLOCK))
    else:
        decoder = codecs.getincrementaldecoder("utf-8")()
        yield from (decoder.decode(text[start : start + BLOCK]) for start in range(0, len(text), BLOCK))


def why_not_json(text: bytes | memoryview) -> str:
    """Why a session will not be able to decode ``text`` as JSON; empty when it will."""
    try:
        _deeper_down(_parse, str(text, "utf-8"))
    except (ValueError, RecursionError) as problem:
        return _reason(problem)
    return ""


def as_json_lines(lines: Iterable[bytes], tick: Callable[[], None] = lambda: None) -> tuple[Payload | None, str]:
    """The JSON list of the values in ``lines``, each as it is written there, else None and the reason.

    ``tick`` is called now and then.
    """
    whole = Growing()

    def check() -> str:
        between = b"["
        for number, line in enumerate(lines, 1):
            if number % _LINES_A_TICK == 0:
                tick()
            line = line.strip(b" \t\r\n")
            try:
                if line:
                    _parse_line(str(line, "utf-8"))
                    whole.write(between + line)
                    between = b",\n"
            except (ValueError, RecursionError) as problem:
                return f"line {number:,}: {_reason(problem)}"
        whole.write(b"]" if between != b"[" else b"[]")
        return ""

    if problem := _deeper_down(check):
        return None, problem
    return whole.payload(), ""


def _reason(problem: Exception) -> str:
    return "nested too deeply" if isinstance(problem, RecursionError) else str(problem)


def _parse(text: str) -> None:
    json.loads(text)


def _parse_line(line: str) -> None:
    """The same for many short texts: a third of the time is saved by not asking twice where each one begins."""
    try:
        if _scan(line, 0)[1] == len(line):
            return
    except (StopIteration, ValueError):  # json.loads says what is wrong
        pass
    _parse(line)


def _deeper_down(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call with less stack than there is: the session that parses the same again may have less left than we have."""

    def descend(frames: int) -> T:
        return descend(frames - 1) if frames else function(*args, **kwargs)

    return descend(_SPARE_FRAMES)
