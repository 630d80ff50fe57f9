"""What goes to stdout and stderr: answers and JSON exactly, everything else made safe for a terminal."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import sys
from typing import Any, TextIO

from habit.cli import status
from habit.errors import HabitError

_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters that move the cursor, start an escape sequence, or make text read differently from what it is."""
_NOT_IN_JSON = re.compile(r"[\x7f-\x9f\ud800-\udfff]")


class OutputClosed(Exception):
    """Nobody reads stdout any more (``| head``): nothing to say, and the status stays what the run deserved."""

    def __init__(self, status: int) -> None:
        super().__init__("stdout was closed")
        self.status = status


def visible(text: str) -> str:
    """``text`` with control characters as ``\\x1b`` and the like: what a model wrote must not steer the terminal."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    """``text`` on one line, safe for a terminal."""
    return visible(" ".join(text.split()))


def json_text(value: Any, *, indent: int | None = None) -> str:
    """``value`` as valid JSON that any encoding can carry: lone surrogates are escaped, NaN and infinities are null."""
    try:
        text = json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, indent=indent)
    return _NOT_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def answer_text(answer: Any) -> str:
    """An answer as stdout shows it: a str as it is, everything else as JSON on one line."""
    if isinstance(answer, str):
        return answer
    if isinstance(answer, float) and not math.isfinite(answer):
        return str(answer)
    return json_text(answer)


def count_of(count: int, noun: str) -> str:
    """``1 call``, ``2,000 calls``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def write_answer(answer: Any, *, code: int = status.ANSWERED) -> None:
    """Put an answer on stdout."""
    text = answer_text(answer)
    write(visible(text) if is_terminal(sys.stdout) else text, code=code)


def write_json(value: Any, *, code: int = status.ANSWERED) -> None:
    """Put one JSON value on stdout, indented for people who look at it on a terminal."""
    write(json_text(value, indent=2 if is_terminal(sys.stdout) else None), code=code)


def write(text: str, *, code: int = status.ANSWERED) -> None:
    """Put ``text`` and a final newline on stdout, at once.

    Raises OutputClosed (with ``code``) when nobody reads it, HabitError when it cannot be written.
    """
    stream = sys.stdout
    if stream is None:  # closed by whoever started us
        raise OutputClosed(code)
    try:
        stream.flush()
        stream.buffer.write(encode(text if text.endswith("\n") else text + "\n", stream.encoding))
        stream.flush()
    except BrokenPipeError:
        raise OutputClosed(code) from None
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise HabitError(f"The output could not be written ({reason}); see it again with: habit show last") from None


def end_output() -> None:
    """Let whoever reads stdout through a pipe see its end now, although the program goes on for a while."""
    stream = sys.stdout
    is_own = stream is sys.__stdout__
    if stream is not None and is_own and not is_terminal(stream):
        _discard(stream)


def encode(text: str, encoding: str) -> bytes:
    """``text`` in bytes, whatever it holds: bytes that were no text come out as they went in, the rest as ``?``."""
    try:
        return text.encode(encoding, "surrogateescape")
    except UnicodeEncodeError:
        return text.encode(encoding, "replace")


def say(text: str) -> None:
    """A line on stderr. A stderr that cannot be written to never harms a run."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def error_line(message: str, *, word: str = "Error: ") -> None:
    """One line on stderr that says what went wrong."""
    say(coloured(word, "31", sys.stderr) + one_line(message))


def warning_line(message: str) -> None:
    """One line on stderr that a careful reader of the answer should see."""
    say(coloured("Warning: ", "33", sys.stderr) + one_line(message))


def note_line(message: str) -> None:
    """One line on stderr that is good to know."""
    say(coloured(one_line(message), "2", sys.stderr))


def coloured(text: str, code: str, stream: TextIO | None) -> str:
    """``text`` in the colour of an ANSI ``code`` where ``stream`` is a terminal that wants colours."""
    if not text or not is_live(stream) or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{code}m{text}\x1b[0m"


def is_live(stream: TextIO | None) -> bool:
    """Whether ``stream`` is a terminal that can redraw a line."""
    return is_terminal(stream) and os.environ.get("TERM") not in ("dumb", "unknown")


def width_of(stream: TextIO) -> int:
    """Columns of the terminal behind ``stream``; 80 when it does not tell."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def settle_streams() -> None:
    """Flush what is left, so that the interpreter's own last flush has nothing to complain about."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            _discard(stream)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person looks at ``stream``, or types there."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def _discard(stream: TextIO) -> None:
    """Send what is still buffered in ``stream`` nowhere."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
