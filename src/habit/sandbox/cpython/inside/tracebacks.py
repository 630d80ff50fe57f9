"""Short tracebacks: the lines of the cells, the error, and what to do where the sandbox itself is the reason."""

from __future__ import annotations

import errno
import linecache
import traceback
from types import TracebackType

from habit.sandbox.cpython.inside.interrupts import CELL_PREFIX

MAX_FRAMES = 6
MAX_LINE = 240
MAX_MESSAGE = 2_000
NO_WORLD = (
    "This sandbox has no files, no network and no other processes: the data is in the variable `context`, and "
    "recursive_llm(query, text) asks a language model."
)


def describe_error(error: BaseException, memory: int) -> str:
    """What went wrong, for the model that wrote the cell."""
    lines: list[str] = []
    if isinstance(error, SyntaxError) and str(error.filename or "").startswith(CELL_PREFIX):
        lines += _syntax_lines(error)
    else:
        lines += _frame_lines(error.__traceback__)
    lines.append(_message(error))
    if isinstance(error, BaseExceptionGroup):
        lines += [f"  - {_message(inner)}" for inner in error.exceptions[:5]]
    elif error.__cause__ is not None:
        lines.append(f"(caused by {_message(error.__cause__)})")
    hint = _hint(error, memory)
    return "\n".join([*lines, hint] if hint else lines)


def line_of(error: BaseException) -> str:
    """Where in the cells an interrupt hit: ``line 3: for x in y:``; empty when it was nowhere in them."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_cell(frame.filename)]
    if not frames:
        return ""
    frame = frames[-1]
    return f"line {frame.lineno}: {_cut((frame.line or '').strip())}"


def remember_source(filename: str, source: str) -> None:
    """Let tracebacks show the lines of this cell."""
    linecache.cache[filename] = (len(source), None, [line + "\n" for line in source.split("\n")], filename)


def _frame_lines(trace: TracebackType | None) -> list[str]:
    frames = [frame for frame in traceback.extract_tb(trace) if _is_cell(frame.filename)]
    if not frames:
        return []
    shown: list[traceback.FrameSummary | None] = list(frames)
    if len(frames) > MAX_FRAMES:
        shown = [*frames[:2], None, *frames[2 - MAX_FRAMES :]]
    lines = ["Traceback (most recent call last):"]
    for frame in shown:
        if frame is None:
            lines.append(f"  … {len(frames) - MAX_FRAMES:,} more lines of the same kind …")
            continue
        where = "" if frame.name == "<module>" else f", in {frame.name}"
        lines.append(f"  Cell {_number(frame.filename)}, line {frame.lineno}{where}")
        if frame.line:
            lines.append(f"    {_cut(frame.line.strip())}")
    return lines


def _syntax_lines(error: SyntaxError) -> list[str]:
    lines = [f"  Cell {_number(str(error.filename))}, line {error.lineno}"]
    text = (error.text or "").rstrip("\r\n")
    stripped = text.lstrip()
    if stripped:
        lines.append(f"    {_cut(stripped)}")
        start = (error.offset or 1) - 1 - (len(text) - len(stripped))
        end = (error.end_offset or 0) - 1 - (len(text) - len(stripped))
        if error.end_lineno != error.lineno or end <= start:
            end = start + 1
        if 0 <= start < MAX_LINE:
            lines.append("    " + " " * start + "^" * min(end - start, MAX_LINE - start, max(len(stripped) - start, 1)))
    return lines


def _message(error: BaseException) -> str:
    try:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
        if not isinstance(text, str):
            text = ""
    except Exception:  # noqa: BLE001 - a cell's own __str__ may do anything; the error is reported without its text
        text = "(its text can't be shown)"
    if len(text) > MAX_MESSAGE:
        text = f"{text[: MAX_MESSAGE * 2 // 3]} … {text[-MAX_MESSAGE // 3 :]}"
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def _hint(error: BaseException, memory: int) -> str:
    text = str(error) if isinstance(error, (OSError, RuntimeError)) else ""
    if isinstance(error, MemoryError):
        return (
            f"The session may use {memory / (1 << 30):.3g} GiB beyond the context: work on slices, and `del` what is "
            "not needed any more."
        )
    if "`context`" in text:
        return ""
    denied = isinstance(error, OSError) and error.errno in (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOENT)
    name_lookup = type(error).__name__ in ("gaierror", "URLError", "HTTPError", "SSLError")
    if denied or name_lookup:
        return NO_WORLD
    if isinstance(error, RuntimeError) and "no running event loop" in text:
        return (
            "An event loop runs in cells that use `await` at their top level: write `await` where the result is needed."
        )
    if isinstance(error, RuntimeError) and "running event loop" in text:
        return "An event loop is running in this cell already: write `await main()` instead of `asyncio.run(main())`."
    if isinstance(error, NameError) and error.name in ("llm_query", "llm", "ask_llm", "query_llm"):
        return "recursive_llm(query, text) asks a language model."
    return ""


def _is_cell(filename: str) -> bool:
    return filename.startswith(CELL_PREFIX)


def _number(filename: str) -> str:
    return filename.removeprefix(CELL_PREFIX).removesuffix(">")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_LINE else text[: MAX_LINE - 1] + "…"
