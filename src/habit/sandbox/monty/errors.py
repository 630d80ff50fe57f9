"""Errors of a cell as the model sees them: its own lines, what went wrong, and the way round what monty lacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from habit.sandbox.cpython.inside.tracebacks import MAX_FRAMES, MAX_LINE, MAX_MESSAGE
from habit.sandbox.monty.differences import explain

CALL_FAILED = "binascii.Incomplete"
"""The exception that stands for CallFailed: classes can't inherit, and nothing else ever raises this one."""
_MAX_TRACE = 10_000


def describe(error: Any, sources: Mapping[str, tuple[int, str]], memory: int) -> str:
    """A MontyError in short. ``sources`` holds (number, code) of every cell by monty's name for it."""
    text = message_of(error)
    lines = (_syntax if type(error).__name__ == "MontySyntaxError" else _frames)(error, sources)
    lines.append(text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE * 2 // 3]} … {text[-MAX_MESSAGE // 3 :]}")
    hint = _hint(text, memory)
    return "\n".join([*lines, hint] if hint else lines)


def message_of(error: Any) -> str:
    """``Type: message``, with our name for a failed call."""
    if type(error).__name__ == "MontySyntaxError":
        return f"SyntaxError: {error}"
    text: str = error.display(format="type-msg") if hasattr(error, "display") else f"{type(error).__name__}: {error}"
    return text.replace(CALL_FAILED, "CallFailed", 1) if text.startswith(CALL_FAILED) else text


def line_of(error: Any, sources: Mapping[str, tuple[int, str]]) -> str:
    """Where in the cells it happened: ``line 3: while x:``; empty when it was nowhere in them."""
    frames = [frame for frame in _trace(error) if frame.filename in sources]
    if not frames:
        return ""
    return f"line {frames[-1].line}: {_line(sources, frames[-1])}"


def _trace(error: Any) -> list[Any]:
    """The frames of an error; a worker that crashed leaves none."""
    return list(error.traceback())[:_MAX_TRACE] if hasattr(error, "traceback") else []


def _frames(error: Any, sources: Mapping[str, tuple[int, str]]) -> list[str]:
    frames = [frame for frame in _trace(error) if frame.filename in sources]
    if not frames:
        return []
    shown = list(frames)
    if len(frames) > MAX_FRAMES:
        shown = [*frames[:2], None, *frames[2 - MAX_FRAMES :]]
    lines = ["Traceback (most recent call last):"]
    for frame in shown:
        if frame is None:
            lines.append(f"  … {len(frames) - MAX_FRAMES:,} more lines of the same kind …")
            continue
        name = frame.function_name
        where = "" if name in (None, "<module>") else f", in {name}"
        lines.append(f"  Cell {sources[frame.filename][0]}, line {frame.line}{where}")
        if line := _line(sources, frame):
            lines.append(f"    {line}")
    return lines


def _syntax(error: Any, sources: Mapping[str, tuple[int, str]]) -> list[str]:
    frames = [frame for frame in _trace(error) if frame.filename in sources]
    if not frames:
        return []
    frame = frames[-1]
    number, code = sources[frame.filename]
    lines = [f"  Cell {number}, line {frame.line}"]
    whole = _source_line(code, frame.line)
    text = whole.strip()
    if text:
        column = frame.column - 1 - (len(whole) - len(whole.lstrip()))
        lines.append(f"    {_cut(text)}")
        if 0 <= column <= min(len(text), MAX_LINE):
            lines.append("    " + " " * column + "^")
    return lines


def _line(sources: Mapping[str, tuple[int, str]], frame: Any) -> str:
    return _cut(_source_line(sources[frame.filename][1], frame.line).strip())


def _source_line(code: str, number: int) -> str:
    lines = code.split("\n")
    return lines[number - 1] if 0 < number <= len(lines) else ""


def _hint(text: str, memory: int) -> str:
    if text.startswith("MemoryError"):
        return (
            f"The session may use {memory / (1 << 30):.3g} GiB beyond the context: work on slices; the variables are "
            "as they were before this cell."
        )
    if "`context`" in text:
        return ""
    if text.startswith("NameError") and any(f"'{name}'" in text for name in ("llm", "ask_llm", "query_llm")):
        return "recursive_llm(query, text) asks a language model."
    difference = explain(text)
    return f"Note: {difference.instead}" if difference is not None and difference.instead not in text else ""


def _cut(text: str) -> str:
    return text if len(text) <= MAX_LINE else text[: MAX_LINE - 1] + "…"
